"""``known_hosts`` files: which host keys are known for a host, and how a new one is added.

Files are parsed once per process and file, however many hosts there are; keys are compared as bytes. Nothing here needs
an SSH library.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import stat
import struct
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

DEFAULT_FILES = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
DEFAULT_GLOBAL_FILES = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
DEFAULT_PORT = 22
_LENGTH = struct.Struct(">I")
# How the binary files of ssh-keygen -k begin
_REVOCATION_LIST = b"SSHKRL\n\0"


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A line of a ``known_hosts`` file."""

    names: str
    # "", "@revoked" or "@cert-authority"
    marker: str
    kind: str
    blob: bytes
    path: str
    line: int

    @property
    def place(self) -> str:
        return f"{self.path} line {self.line}"


def lookup_name(host: str, port: int) -> str:
    """A host as ``known_hosts`` files name it: ``host``, or ``[host]:port`` for other ports than 22."""
    host = host.lower()
    return host if port == DEFAULT_PORT else f"[{host}]:{port}"


def fingerprint(blob: bytes) -> str:
    """A key's fingerprint, as ``ssh-keygen -l`` shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def rsa_bits(blob: bytes) -> int | None:
    """The size of an RSA key; ``None`` for keys of other kinds."""
    kind, *rest = _strings(blob)
    # The exponent, and the modulus
    return int.from_bytes(rest[1], "big").bit_length() if kind == b"ssh-rsa" and len(rest) > 1 else None


def _strings(blob: bytes) -> list[bytes]:
    """What a key is made of (RFC 4251, section 5)."""
    found = []
    while len(blob) >= _LENGTH.size:
        end = _LENGTH.size + _LENGTH.unpack_from(blob)[0]
        found.append(blob[_LENGTH.size : end])
        blob = blob[end:]
    return found or [b""]


class RevokedKeysError(ValueError):
    """A file of revoked keys cannot be used; the message says why, and names it."""


def revoked_keys(path: str) -> frozenset[bytes]:
    """The keys in a file of revoked ones: a public key in each line.

    Raises:
        RevokedKeysError: there is no such file, it is a list by ``ssh-keygen -k``, or a line holds no key
    """
    try:
        status = os.stat(path)
        key = (path, status.st_mtime_ns, status.st_size)
        if key not in _revoked:
            with open(path, "rb") as file:
                _revoked[key] = frozenset(_parse_revoked(file.read(), path))
    except OSError as error:
        raise RevokedKeysError(f"cannot read {path} ({error.strerror})") from error
    return _revoked[key]


def _parse_revoked(content: bytes, path: str) -> Iterator[bytes]:
    if content.startswith(_REVOCATION_LIST):
        raise RevokedKeysError(f"{path} is a key revocation list, which cannot be read here")
    for number, line in enumerate(content.split(b"\n"), 1):
        fields = line.split()
        if not fields or fields[0].startswith(b"#"):
            continue
        try:
            blob = base64.b64decode(fields[1], validate=True)
        except (IndexError, ValueError):
            blob = b""
        if _strings(blob)[0] != fields[0]:
            raise RevokedKeysError(f"{path} line {number} holds no public key")
        yield blob


class _File:
    """A parsed file: names in clear are found by a look-up, the others one by one."""

    def __init__(self, path: str) -> None:
        self.by_name: dict[str, list[KnownKey]] = {}
        self.others: list[KnownKey] = []
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            for number, line in enumerate(file, 1):
                known = _parse_line(line, path, number)
                if known is None:
                    continue
                if known.names.startswith("|") or any(sign in known.names for sign in "*?!"):
                    self.others.append(known)
                else:
                    for name in known.names.lower().split(","):
                        self.by_name.setdefault(name, []).append(known)

    def find(self, name: str) -> Iterator[KnownKey]:
        yield from self.by_name.get(name, ())
        for known in self.others:
            if _names_match(known.names, name):
                yield known


def _parse_line(line: str, path: str, number: int) -> KnownKey | None:
    """The key in a line; ``None`` for comments and for what is no key, which OpenSSH passes over as well."""
    fields = line.split()
    if not fields or fields[0].startswith("#"):
        return None
    marker = fields.pop(0) if fields[0].startswith("@") else ""
    if len(fields) < 3:
        return None
    try:
        blob = base64.b64decode(fields[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    return KnownKey(fields[0], marker, fields[1], blob, path, number)


def _names_match(names: str, name: str) -> bool:
    """Whether the first field of a line, hashed or with wildcards, means a host."""
    if names.startswith("|1|"):
        try:
            salt, digest = (base64.b64decode(part) for part in names.split("|")[2:4])
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), digest)
    found = False
    for pattern in names.lower().split(","):
        # Brackets stand for themselves: [host]:2222
        if fnmatchcase(name, pattern.lstrip("!").replace("[", "[[]")):
            if pattern.startswith("!"):
                return False
            found = True
    return found


_revoked: dict[tuple[str, int, int], frozenset[bytes]] = {}
_files: dict[str, tuple[tuple[int, int], _File]] = {}
_adding = threading.Lock()


def _load(path: str) -> _File | None:
    """The parsed file, ``None`` where there is none; read again only if it has changed."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    stamp = (status.st_mtime_ns, status.st_size)
    cached = _files.get(path)
    if cached is None or cached[0] != stamp:
        cached = _files[path] = (stamp, _File(path))
    return cached[1]


class KnownHosts:
    """What some ``known_hosts`` files know together.

    Args:
        paths: files of the user, of which new keys go into the first
        global_paths: further files
    """

    def __init__(self, paths: Iterable[str] | None = None, global_paths: Iterable[str] | None = None) -> None:
        self.paths = [os.path.expanduser(path) for path in (DEFAULT_FILES if paths is None else paths)]
        self._global_paths = list(DEFAULT_GLOBAL_FILES if global_paths is None else global_paths)

    def find(self, host: str, port: int) -> list[KnownKey]:
        """All lines that mean a host at a port, in the order of the files; for port 22 those without a port.

        Raises:
            OSError: a file cannot be read
        """
        name = lookup_name(host, port)
        return [known for path in (*self.paths, *self._global_paths) for known in _find_in(path, name)]

    def add(self, host: str, port: int, kind: str, blob: bytes, *, hashed: bool = False) -> str | None:
        """Add a key to the first file, which is made if need be; returns its path, ``None`` where there is no file.

        Raises:
            OSError: the file cannot be written
        """
        if not self.paths or self.paths[0] == os.devnull:
            return None
        path = self.paths[0]
        name = lookup_name(host, port)
        line = f"{_hash_name(name) if hashed else name} {kind} {base64.b64encode(blob).decode()}\n"
        with _adding:
            if any(known.blob == blob and not known.marker for known in _find_in(path, name)):
                return path
            os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
            # One write to a file opened for appending: complete lines, whoever else adds some
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                starts_line = size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"
                os.write(descriptor, (line if starts_line else f"\n{line}").encode("utf-8", "surrogateescape"))
            finally:
                os.close(descriptor)
        return path


def _find_in(path: str, name: str) -> Iterable[KnownKey]:
    file = _load(path)
    return () if file is None else file.find(name)


def _hash_name(name: str) -> str:
    salt = secrets.token_bytes(20)
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"
