"""Files of SSH targets that have no shell, by SFTP or SCP; elsewhere files go through the session."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from pyinfra.api.exceptions import ConnectError
from pyinfra.api.util import get_file_io, read_blocks

from .session import local_file, measured
from .sshlogin import Connection
from .sshpipe import ChannelPipe, call_blocking

_BLOCK_SIZE = 1 << 18
_ANSWER_SECONDS = 60.0


@contextmanager
def _own(filename_or_io: str | IO[Any]) -> Iterator[str | IO[Any]]:
    """A path, or a copy of a file object: other hosts may be reading that meanwhile, by SFTP in threads."""
    if not hasattr(filename_or_io, "read"):
        yield filename_or_io
        return
    with tempfile.TemporaryFile() as copy:
        with get_file_io(filename_or_io) as source:
            for block in read_blocks(source):
                copy.write(block)
        yield copy


def upload_by_sftp(connection: Connection, filename_or_io: str | IO[Any], remote_filename: str) -> None:
    """Write a local file or file object to a file of the target, or raise ``OSError``."""

    def upload(sftp: Any) -> None:
        with get_file_io(own) as source, sftp.open(remote_filename, "wb") as target:
            target.set_pipelined(True)
            size = 0
            for block in read_blocks(source):
                target.write(block)
                size += len(block)
        _check(remote_filename, sftp.stat(remote_filename).st_size, size)

    with _own(filename_or_io) as own:
        _with_sftp(connection, upload)


def download_by_sftp(connection: Connection, filename_or_io: str | IO[Any], remote_filename: str) -> None:
    """Write a file of the target to a local path or file object, or raise ``OSError``."""

    def download(sftp: Any) -> None:
        with sftp.open(remote_filename, "rb") as source, local_file(filename_or_io) as write:
            wanted = source.stat().st_size
            _prefetch(source, wanted)
            size = 0
            while block := source.read(_BLOCK_SIZE):
                write(block)
                size += len(block)
            # A part of it is nothing to keep
            _check(remote_filename, size, wanted)

    _with_sftp(connection, download)


def _prefetch(source: Any, size: int) -> None:
    """Ask for the whole of an open file in a thread, as paramiko does, which dies in silence: the reader finds out."""
    ask = source._prefetch_thread

    def quietly(*args: Any) -> None:
        with suppress(EOFError, OSError):
            ask(*args)

    source._prefetch_thread = quietly
    source.prefetch(size)


def _check(remote_filename: str, size: int | None, wanted: int) -> None:
    if size != wanted:
        raise OSError(f"{remote_filename}: {size} of {wanted} bytes arrived")


def _with_sftp(connection: Connection, work: Callable[[Any], None]) -> None:
    from paramiko import SFTPClient, SSHException

    channel = connection.open_session()

    def run() -> None:
        try:
            channel.invoke_subsystem("sftp")
            with SFTPClient(channel) as sftp:
                work(sftp)
        except EOFError as error:
            raise ConnectError(connection.describe_loss()) from error
        except SSHException as error:
            raise OSError(f"SFTP: {error}; ssh_file_transfer_protocol = scp is the other way") from error

    try:
        call_blocking(run)
    finally:
        channel.close()


def upload_by_scp(connection: Connection, filename_or_io: str | IO[Any], remote_filename: str) -> None:
    """Write a local file or file object to a file of the target, or raise ``OSError``."""
    with _own(filename_or_io) as own, get_file_io(own) as source, measured(source) as (file, size):
        pipe = _start(connection, "-t", remote_filename)
        try:
            _expect_ok(pipe)
            # The name counts in a folder alone; that of the file could end the line
            pipe.send(f"C0644 {size} file\n".encode())
            _expect_ok(pipe)
            sent = 0
            for block in read_blocks(file):
                pipe.send(block)
                sent += len(block)
            _check(remote_filename, sent, size)
            pipe.send(b"\0")
            _expect_ok(pipe)
        finally:
            pipe.close()


def download_by_scp(connection: Connection, filename_or_io: str | IO[Any], remote_filename: str) -> None:
    """Write a file of the target to a local path or file object, or raise ``OSError``."""
    pipe = _start(connection, "-f", remote_filename)
    try:
        pipe.send(b"\0")
        header, data = _line(pipe)
        if not header.startswith(b"C"):
            raise OSError(header.lstrip(b"\1\2").decode("utf-8", "replace") or f"{remote_filename}: no file came")
        size = int(header.split(b" ")[1])
        with local_file(filename_or_io) as write:
            pipe.send(b"\0")
            count = 0
            while count < size:
                data = data or _receive(pipe)
                write(data[: size - count])
                count += min(len(data), size - count)
                data = b""
        pipe.send(b"\0")
    finally:
        pipe.close()


def _start(connection: Connection, flag: str, path: str) -> ChannelPipe:
    pipe = connection.open_pipe()
    pipe.start(f"scp {flag} {shlex.quote(path if path.startswith('/') else f'./{path}')}")
    return pipe


def _receive(pipe: ChannelPipe) -> bytes:
    """The next bytes of standard output; what stands on standard error is an error's text."""
    try:
        chunk = pipe.receive(_ANSWER_SECONDS)
    except TimeoutError:
        raise OSError(f"SCP: no answer within {_ANSWER_SECONDS:g}s") from None
    if chunk is None:
        raise OSError("SCP: the target ended the copy; ssh_file_transfer_protocol = sftp is the other way")
    if chunk[0] == 2:
        raise OSError(chunk[1].decode("utf-8", "replace").strip())
    return chunk[1]


def _line(pipe: ChannelPipe) -> tuple[bytes, bytes]:
    """A line, and what came after it."""
    data = _receive(pipe)
    while b"\n" not in data:
        data += _receive(pipe)
    line, _, rest = data.partition(b"\n")
    return line, rest


def _expect_ok(pipe: ChannelPipe) -> None:
    answer = _receive(pipe)
    if answer[:1] != b"\0":
        raise OSError(answer.lstrip(b"\1\2").decode("utf-8", "replace").strip())


# By the protocol that copies files
UPLOADS = {"sftp": upload_by_sftp, "scp": upload_by_scp}
DOWNLOADS = {"sftp": download_by_sftp, "scp": download_by_scp}
