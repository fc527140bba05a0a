"""Local files, hashes, templates and text forms of values, for operations and the engine."""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache, wraps
from os import stat
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, Any
from weakref import WeakSet

from .exceptions import OperationValueError
from .hiddenvalue import holds_secret, shown

if TYPE_CHECKING:
    from jinja2 import Template

BLOCK_SIZE = 1 << 20


def try_int(value: Any) -> Any:
    """``value`` as an integer if it is one, else as it is."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return value


def sha1_hash(string: str) -> str:
    """The hexadecimal SHA-1 of a text in UTF-8."""
    return hashlib.sha1(string.encode("utf-8", "surrogateescape")).hexdigest()


def _hash_text(obj: Any) -> str:
    """A text that is the same for equal values in every run: no addresses, no order of sets."""
    if isinstance(obj, dict):
        return "{" + ",".join(sorted(f"{_hash_text(k)}:{_hash_text(v)}" for k, v in obj.items())) + "}"
    if isinstance(obj, (list, tuple)):
        return "[" + ",".join(_hash_text(item) for item in obj) + "]"
    if isinstance(obj, (set, frozenset)):
        return "(" + ",".join(sorted(_hash_text(item) for item in obj)) + ")"
    if callable(obj):
        return getattr(obj, "__qualname__", type(obj).__qualname__)
    if hasattr(obj, "read"):
        return type(obj).__qualname__ if is_stream(obj) else get_file_sha1(obj) or ""
    return f"{type(obj).__name__}={obj}"


def make_hash(obj: Any) -> str:
    """The hexadecimal SHA-1 of a value, the same in every run for equal values (containers, file objects too)."""
    return sha1_hash(_hash_text(obj))


def get_kwargs_str(kwargs: dict[Any, Any]) -> str:
    """Arguments as people and test tools know them: ``a=1, b=2``, sorted by name; a method's ``self`` is none.

    Secrets are masked.
    """
    return ", ".join(f"{key}={shown(kwargs[key])}" for key in sorted(kwargs) if key != "self")


def memoize(func: Callable[..., Any]) -> Callable[..., Any]:
    """Have ``func`` run once for each set of arguments, told apart by their text; each time for one with secrets."""
    results: dict[str, Any] = {}

    @wraps(func)
    def remembered(*args: Any, **kwargs: Any) -> Any:
        # Their text is masked
        if holds_secret((args, kwargs)):
            return func(*args, **kwargs)
        key = f"{args}{kwargs}"
        if key not in results:
            results[key] = func(*args, **kwargs)
        return results[key]

    return remembered


def format_exception(e: Exception) -> str:
    """An error in one line, with its type: ``ValueError('no',)``."""
    return f"{type(e).__name__}{e.args}"


def raise_if_bad_type(value: Any, type_: Any, exception: type[Exception], message_prefix: str) -> None:
    """Raise ``exception`` unless ``value`` is of ``type_``, any annotation.

    The message is ``{message_prefix}:: {why}``.
    """
    # Most checks are of plain classes: those are spared the import and the machinery of typeguard
    if type(type_) is type and isinstance(value, type_):
        return
    from typeguard import TypeCheckError, check_type

    try:
        check_type(value, type_)
    except TypeCheckError as error:
        raise exception(f"{message_prefix}:: {error}") from None


class _TextAsBytes(io.RawIOBase):
    """A text file object for those who read bytes: UTF-8, block by block."""

    def __init__(self, text: IO[str]) -> None:
        self.text = text
        self.rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self.rest:
            self.rest = self.text.read(BLOCK_SIZE // 4).encode()
        count = min(len(buffer), len(self.rest))
        buffer[:count] = self.rest[:count]
        self.rest = self.rest[count:]
        return count


class _BytesAsText:
    """A text file object for those who write bytes: UTF-8, with sequences that a block cuts kept whole."""

    def __init__(self, text: IO[str]) -> None:
        import codecs

        self.text = text
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, data: bytes) -> int:
        self.text.write(self.decoder.decode(data))
        return len(data)

    def finish(self) -> None:
        """Write what an incomplete sequence at the end stands for."""
        self.text.write(self.decoder.decode(b"", final=True))


def is_stream(file: Any) -> bool:
    """Whether a file object has no beginning to go back to, such as a pipe or what comes over a network."""
    seekable = getattr(file, "seekable", None)
    if seekable is None:
        return not hasattr(file, "seek")
    try:
        return not seekable()
    except ValueError:  # it is closed, as who reads it is told
        return False


# Those that have been read: a second time there would be nothing left
_read_streams: WeakSet[Any] = WeakSet()


def _read_once(stream: Any) -> None:
    """Take note that a stream is being read, or raise an error where it has been."""
    with suppress(TypeError):  # of some classes no note can be taken
        if stream in _read_streams:
            raise OperationValueError(
                f"{type(stream).__name__} has been read already and has no beginning to go back to: give a path, or "
                "keep what is in it, as in io.BytesIO(file.read())",
            )
        _read_streams.add(stream)


def file_text(file: Any) -> str:
    """A file object as output shows it: its type, with the hash of its content where that stays there to be read."""
    kind = type(file).__name__
    if is_stream(file):
        return kind
    try:
        return f"{kind}(hash={get_file_sha1(file)})"
    except (OSError, ValueError):  # it is closed, or open for writing alone
        return kind


class get_file_io:  # noqa: N801 (a public name)
    """A context manager that opens a path, or takes a file object from its start, for bytes.

    Args:
        filename_or_io: a path, or a file object of text or bytes
        mode: as for :func:`open`; with a ``b``, text file objects are read and written as UTF-8

    A file object stays open. One that was read is left where it was before; one that was written to, behind what was
    written.

    Raises:
        TypeError: it is neither
        OperationValueError: a file object that has no beginning to go back to has been read before
    """

    filename_or_io: str | IO[Any]
    mode: str

    def __init__(self, filename_or_io: str | IO[Any], mode: str = "rb") -> None:
        if not (isinstance(filename_or_io, (str, PurePath)) or hasattr(filename_or_io, "read")):
            raise TypeError(f"{filename_or_io!r} is neither a path nor a file object")
        self.filename_or_io = filename_or_io
        self.mode = mode
        self._opened: IO[Any] | None = None
        self._position: int | None = None
        self._adapter: Any = None

    @property
    def cache_key(self) -> str:
        """What names the content: the path, or a file object's identity."""
        if isinstance(self.filename_or_io, (str, PurePath)):
            return os.fspath(self.filename_or_io)
        return f"{type(self.filename_or_io).__name__}-{id(self.filename_or_io)}"

    def __enter__(self) -> Any:
        source = self.filename_or_io
        if isinstance(source, (str, PurePath)):
            self._opened = open(source, self.mode)
            return self._opened
        if "w" not in self.mode and is_stream(source):
            _read_once(source)
        elif "w" not in self.mode:
            with suppress(OSError, AttributeError, ValueError):
                self._position = source.tell()
            with suppress(OSError, AttributeError, ValueError):
                source.seek(0)
        if "b" in self.mode and _is_text(source):
            self._adapter = _BytesAsText(source) if "w" in self.mode else _TextAsBytes(source)
            return self._adapter
        return source

    def __exit__(self, *error: object) -> None:
        if self._opened is not None:
            self._opened.close()
        elif isinstance(self._adapter, _BytesAsText):
            self._adapter.finish()
        if self._position is not None:
            with suppress(OSError, ValueError):
                self.filename_or_io.seek(self._position)  # type: ignore[union-attr]


def _is_text(file: Any) -> bool:
    """Whether a file object is one of text."""
    if isinstance(file, io.TextIOBase):
        return True
    mode = getattr(file, "mode", None)
    return isinstance(mode, str) and "b" not in mode and not isinstance(file, (io.RawIOBase, io.BufferedIOBase))


def read_blocks(file: Any) -> Iterator[bytes]:
    """The rest of a file object in blocks of bytes, text as UTF-8."""
    while block := file.read(BLOCK_SIZE):
        yield block if isinstance(block, bytes) else block.encode()


# Digests by algorithm, path and what stat says of the file: a deploy that sends one file to many hosts reads it once
_digests: dict[tuple[Any, ...], str] = {}
# A file written twice within a tick of the clock has one time stamp: only files that have been at rest are remembered
_SECONDS_AT_REST = 2


def _get_digest(algorithm: str, filename_or_io: str | IO[Any]) -> str | None:
    """The hexadecimal digest of a local file's or file object's content."""
    key: tuple[Any, ...] | None = None
    if isinstance(filename_or_io, (str, PurePath)):
        try:
            about = stat(filename_or_io)
        except OSError:
            return None
        # Test tools make up files whose status has no nanoseconds: those have one content per name
        if about.st_mtime_ns is None or time.time() - about.st_mtime > _SECONDS_AT_REST:
            key = (algorithm, os.fspath(filename_or_io), about.st_mtime_ns, about.st_size, about.st_ino)
    if key is not None and key in _digests:
        return _digests[key]
    digest = hashlib.new(algorithm)
    with get_file_io(filename_or_io) as file:
        for block in read_blocks(file):
            digest.update(block)
    if key is not None:
        _digests[key] = digest.hexdigest()
    return digest.hexdigest()


def get_file_sha1(filename_or_io: str | IO[Any]) -> str | None:
    """The SHA-1 of a local file or file object, ``None`` where there is no such file."""
    return _get_digest("sha1", filename_or_io)


def get_file_sha256(filename_or_io: str | IO[Any]) -> str | None:
    """The SHA-256 of a local file or file object, ``None`` where there is no such file."""
    return _get_digest("sha256", filename_or_io)


def get_file_md5(filename_or_io: str | IO[Any]) -> str | None:
    """The MD5 of a local file or file object, ``None`` where there is no such file."""
    return _get_digest("md5", filename_or_io)


def get_template(filename_or_io: str | IO[Any], jinja_env_kwargs: dict[str, Any] | None = None) -> Template:
    """The Jinja2 template in a local file or file object.

    Undefined names are errors, a final newline stays, secrets are in clear, and a path's ``include`` and ``extends``
    look beside the working directory; ``jinja_env_kwargs`` are those of :class:`jinja2.Environment` and win over this.
    """
    with get_file_io(filename_or_io, "r") as file:
        content = file.read()
    text = content if isinstance(content, str) else content.decode()
    if jinja_env_kwargs:
        from .templates import compile_template

        return compile_template(text, os.getcwd(), jinja_env_kwargs)
    return _plain_template(text, os.getcwd())


@lru_cache(maxsize=64)
def _plain_template(text: str, folder: str) -> Template:
    """A template of default settings: many hosts share one, and compiling takes longer than rendering."""
    from .templates import compile_template

    return compile_template(text, folder, {})
