"""What ``ansible-vault`` has encrypted."""

from __future__ import annotations

import os
import shlex
from binascii import Error as HexError
from binascii import unhexlify
from collections.abc import Mapping
from functools import cache
from typing import Any

from pyinfra.api.command import MaskString
from pyinfra.api.exceptions import InventoryError

from ..inventorytools import ask_tool
from .model import UnsafeSecret, UnsafeText

HEADER = "$ANSIBLE_VAULT;"
PASSWORD_FILE = "ANSIBLE_VAULT_PASSWORD_FILE"
IDENTITIES = "ANSIBLE_VAULT_IDENTITY_LIST"
# Of the format: rounds of PBKDF2, and the bytes of the two keys and the initial counter that it derives
_ROUNDS = 10000
_KEY, _COUNTER = 32, 16


@cache
def _password(path: str) -> bytes:
    """The password in a file, or printed by a program."""
    path = os.path.abspath(os.path.expanduser(path))
    if os.path.isfile(path) and os.access(path, os.X_OK):
        text = ask_tool(path, advice=f"it should print a password for ansible-vault, see {PASSWORD_FILE}")
        return text.strip().encode()
    try:
        with open(path, "rb") as file:
            return file.read().strip()
    except OSError as error:
        raise InventoryError(f"Cannot read a password of ansible-vault, see {PASSWORD_FILE}: {error}") from error


def _passwords(label: str) -> list[bytes]:
    """All passwords that the environment tells of, that with this label first."""
    sources: list[tuple[str, str]] = []
    for identity in filter(None, map(str.strip, os.environ.get(IDENTITIES, "").split(","))):
        name, at, source = identity.partition("@")
        sources.append((name, source) if at else ("default", identity))
    if path := os.environ.get(PASSWORD_FILE):
        sources.append(("default", path))
    sources.sort(key=lambda source: source[0] != label)
    return [_password(source) for _, source in sources if source not in ("prompt", "prompt_ask_vault_pass")]


def _decrypt_with(password: bytes, salt: bytes, digest: bytes, data: bytes) -> bytes | None:
    """The content, or ``None`` if the password is another one."""
    # paramiko needs this library too, but an inventory alone may not
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, padding
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.hmac import HMAC
    from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

    derived = PBKDF2HMAC(hashes.SHA256(), 2 * _KEY + _COUNTER, salt, _ROUNDS).derive(password)
    check = HMAC(derived[_KEY : 2 * _KEY], hashes.SHA256())
    check.update(data)
    try:
        check.verify(digest)
    except InvalidSignature:
        return None
    decryptor = Cipher(algorithms.AES(derived[:_KEY]), modes.CTR(derived[2 * _KEY :])).decryptor()
    unpadder = padding.PKCS7(algorithms.AES.block_size).unpadder()
    padded = decryptor.update(data) + decryptor.finalize()
    return unpadder.update(padded) + unpadder.finalize()


def hidden(value: Any) -> Any:
    """A value out of an encrypted file, the text in it turned into secrets, at any depth."""
    if isinstance(value, UnsafeText):
        return UnsafeSecret(value)
    if isinstance(value, str):
        return MaskString(value)
    if isinstance(value, Mapping):
        return {key: hidden(item) for key, item in value.items()}
    for kind in (list, tuple, set):
        if isinstance(value, kind):
            return kind(hidden(item) for item in value)
    return value


def decrypt(text: str, place: str) -> MaskString:
    """What an encrypted text says.

    Args:
        text: begins with ``$ANSIBLE_VAULT;``
        place: where it is written, for errors

    Raises:
        InventoryError: there is no password for it, or it is damaged
    """
    header, *lines = text.strip().splitlines()
    fields = header.strip().split(";")
    if len(fields) < 3 or fields[1] not in ("1.1", "1.2") or fields[2] != "AES256":
        raise InventoryError(
            f"{place}: this begins with `{header}`: of ansible-vault, only 1.1 and 1.2 with AES256 is read"
        )
    try:
        salt, digest, data = (unhexlify(part) for part in unhexlify("".join(map(str.strip, lines))).split(b"\n"))
    except (HexError, ValueError):
        raise InventoryError(f"{place}: this text of ansible-vault is damaged: encrypt it anew") from None
    label = fields[3] if len(fields) > 3 else "default"
    passwords = _passwords(label)
    for password in passwords:
        content = _decrypt_with(password, salt, digest, data)
        if content is not None:
            return MaskString(content.decode("utf-8", "surrogateescape"))
    if passwords:
        why = f"none of the passwords that {PASSWORD_FILE} and {IDENTITIES} name fits"
    else:
        why = f"set the environment variable {PASSWORD_FILE} to a file with the password, or a program that prints it"
    raise InventoryError(f"{place}: this is encrypted with ansible-vault (vault id {shlex.quote(label)}): {why}")
