"""Local files that should be on a host, with which times, owner and mode."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from pyinfra import host, state
from pyinfra.api import (
    FileUploadCommand,
    OperationError,
    OperationTypeError,
    QuoteString,
    StringCommand,
    operation,
)
from pyinfra.api.command import PyinfraCommand, QuotePath
from pyinfra.api.util import get_file_md5, get_file_sha1, get_file_sha256
from pyinfra.facts.files import Directory, File, FileDict, HashFileFactBase, Link, Md5File, Sha1File, Sha256File
from pyinfra.facts.server import Date

from ..util.commands import succeeded
from ..util.files import unix_path_join
from ..util.links import follow_links
from . import Commands, of_files
from .diff import show_file_change
from .paths import Attributes, Steps, ensure_parent, is_directory, remote_path, report_no_change

if TYPE_CHECKING:
    from pyinfra.api.arguments import ConnectorArguments
    from pyinfra.api.host import Host
    from pyinfra.api.state import State

TimeArgument: TypeAlias = "datetime | float | int | str | bool | None"

# In the order of how many hosts have a program for them
_DIGESTS: tuple[tuple[type[HashFileFactBase], Callable[[Any], str | None]], ...] = (
    (Sha1File, get_file_sha1),
    (Md5File, get_file_md5),
    (Sha256File, get_file_sha256),
)


def local_path(path: Any, add_deploy_dir: bool, name: str) -> str:
    """A path on this machine as text; relative ones are below the working directory of the run.

    Raises:
        OperationTypeError: it is no path
    """
    if not isinstance(path, (str, os.PathLike)):
        raise OperationTypeError(f"`{name}` must be a string or `os.PathLike` object")
    text = os.fspath(path)
    if add_deploy_dir and state.cwd:
        return os.path.join(state.cwd, text)
    return text


def has_content(path: str, source: str | IO[Any]) -> bool:
    """Whether a file on the host has the content of a local one; not, where the host has no program to tell."""
    for fact, digest in _DIGESTS:
        remote = host.get_fact(fact, path=path)
        if remote:
            return bool(remote == digest(source))
    return False


def local_mode(path: str) -> int:
    """The mode of a local file as facts have it: its decimal digits are the octal ones."""
    return int(f"{os.stat(path).st_mode & 0o7777:o}")


class _Touch(StringCommand):
    """The command that sets a time of a file, in one of two forms: BusyBox's ``touch`` knows no zone, nor less than a
    second.

    Args:
        path: the file
        letter: ``a`` or ``m``
        time: in UTC, without a zone
    """

    def __init__(self, path: str, letter: str, time: datetime) -> None:
        super().__init__("touch", f"-{letter}", "-d", f"{time.isoformat()}Z", QuotePath(path))
        whole = QuoteString(f"{time:%Y-%m-%d %H:%M:%S}")
        self.other_form = StringCommand("TZ=UTC0 touch", f"-{letter}", "-d", whole, QuotePath(path))

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> Any:
        """Run it; returns ``(success, CommandOutput)``."""
        result = super().execute(state, host, connector_arguments)
        return result if succeeded(result) else self.other_form.execute(state, host, connector_arguments)


class _Times:
    """The times of access and modification that a file should have.

    Each may be a time (one without a zone is in the host's), seconds since 1970, ``True`` for the local file's, or a
    file on the host to take it from.
    """

    def __init__(self, source: str | IO[Any], atime: TimeArgument, mtime: TimeArgument) -> None:
        self.source = source
        self.wanted: list[tuple[str, datetime]] = []
        for name, value in (("mtime", mtime), ("atime", atime)):
            if value is not None and value is not False:
                self.wanted.append((name, self._resolve(name, value)))

    def _resolve(self, name: str, value: datetime | float | str | bool) -> datetime:
        """A time in UTC, without a zone."""
        if value is True:
            if not isinstance(self.source, str):
                raise OperationTypeError(f"`{name}=True` is for local files, and `src` is a file-like object")
            value = float(getattr(os.stat(self.source), f"st_{name}"))
        if isinstance(value, (int, float)):
            return datetime.fromtimestamp(value, timezone.utc).replace(tzinfo=None)
        if isinstance(value, datetime):
            if value.tzinfo is None:
                value = value.replace(tzinfo=host.get_fact(Date).tzinfo or timezone.utc)
            return value.astimezone(timezone.utc).replace(tzinfo=None)
        if not isinstance(value, (str, os.PathLike)):
            raise OperationTypeError(f"`{name}` must be a time, seconds, a file's path or a boolean, not {value!r}")
        reference = host.get_fact(File, path=remote_path(value, name))
        if not reference or reference[name] is None:  # type: ignore[literal-required]
            raise OperationError(f"cannot take `{name}` from {value}: there is no such file on the host, or no time")
        time: datetime = reference[name]  # type: ignore[literal-required]
        return time

    def set(self, path: str, status: FileDict | None = None) -> Iterator[StringCommand]:
        """The commands for the times that differ from a file's status (facts have whole seconds), or for all."""
        for name, time in self.wanted:
            if status and status.get(name) == time.replace(microsecond=0):
                continue
            yield _Touch(path, name[0], time)


def _destination(dest: str, name: str | None, nameless: str) -> tuple[str, Any]:
    """Where an upload will end up, and the ``File`` fact of that: in a folder, it keeps its name.

    Through a symbolic link, that is the link's target. Devices and pipes can be written to, and have no content.

    Args:
        dest: where to
        name: the file's name, if it has one
        nameless: what it is if it has none
    """
    in_folder = dest.endswith("/")
    dest = remote_path(dest, "dest")
    status = None if in_folder else host.get_fact(File, path=dest)
    if in_folder or (status is False and is_directory(dest)):
        if name is None:
            raise OperationTypeError(f"When `src` is {nameless}, `dest` must be a full file path, not a directory")
        dest = unix_path_join(dest, name)
        status = host.get_fact(File, path=dest)
    if status is False:
        dest, status = follow_links(dest)
    if status is False and host.get_fact(Directory, path=dest):
        raise OperationError(f"{dest} exists and is not a file")
    return dest, status


def no_file(path: str) -> OSError:
    """The error that there is no local file of that path, or that it is something else."""
    if os.path.isdir(path):
        return OSError(f"{path} is a folder, and no file: files.sync uploads folders")
    return OSError(f"No such file: {path}")


def put_file(
    source: str | IO[Any],
    dest: Any,
    user: str | None = None,
    group: str | None = None,
    mode: int | str | bool | None = None,
    create_remote_dir: bool = True,
    force: bool = False,
    assume_exists: bool = False,
    atime: TimeArgument = None,
    mtime: TimeArgument = None,
    secrets: Iterable[Any] = (),
    nameless: str = "a file-like object",
) -> Steps:
    """Have a file on the host with the content of a local one.

    The arguments are those of :func:`put`, but for these.

    Args:
        source: a path as it is, or a file object
        secrets: values in it that are not to be shown
        nameless: what a file object stands for
    """
    local = source if isinstance(source, str) else None
    is_there = local is not None and os.path.isfile(local)
    if local is not None and not is_there and not assume_exists:
        raise no_file(local)
    if mode is True:
        if local is None:
            raise OperationTypeError("`mode=True` is for local files, and `src` is a file-like object")
        mode = local_mode(local)
    if mode is False:
        mode = None
    wanted = Attributes(user, group, mode)
    if not isinstance(dest, (str, os.PathLike)):
        raise OperationTypeError("`dest` must be a string or `os.PathLike` object")

    dest, status = _destination(os.fspath(dest), None if local is None else os.path.basename(local), nameless)
    times = _Times(source, atime, mtime)
    if create_remote_dir and not status:
        yield from ensure_parent(dest, user, group)
    if not force and status and has_content(dest, source):
        return (yield from _correct(dest, status, wanted, times))
    if local is None or is_there:
        show_file_change(dest, status, source, mode, secrets)
    yield from _upload(source, dest, wanted)
    yield from times.set(dest)
    return None


def _upload(source: str | IO[Any], dest: str, wanted: Attributes) -> Iterator[PyinfraCommand]:
    """The commands that put a file on the host, with its owner and mode."""
    yield FileUploadCommand(source, dest)
    yield from wanted.set_owner(dest)
    yield from wanted.set_mode(dest)


def _correct(dest: str, status: FileDict, wanted: Attributes, times: _Times) -> Steps:
    """Have owner, mode and times of a file with the right content be right too."""
    changed = False
    for commands in (wanted.correct(dest, status), times.set(dest, status)):
        for command in commands:
            changed = True
            yield command
    return None if changed else f"file {dest} is already uploaded"


def replace_file(source: str, dest: str, wanted: Attributes) -> Steps:
    """Have a file with the content of a local one at just this path, where a symbolic link has to make way for it.

    Raises:
        OperationError: something else is there
    """
    status = host.get_fact(File, path=dest)
    if status and has_content(dest, source):
        return (yield from _correct(dest, status, wanted, _Times(source, None, None)))
    if status is False:
        if not host.get_fact(Link, path=dest):
            raise OperationError(f"{dest} exists and is not a file")
        yield StringCommand("rm", "-f", QuotePath(dest))
        status = None
    show_file_change(dest, status, source, wanted.mode)
    yield from _upload(source, dest, wanted)
    return None


@operation()
@of_files
def put(
    src: str | IO[Any],
    dest: str,
    user: str | None = None,
    group: str | None = None,
    mode: int | str | bool | None = None,
    add_deploy_dir: bool = True,
    create_remote_dir: bool = True,
    force: bool = False,
    assume_exists: bool = False,
    atime: datetime | float | int | str | bool | None = None,
    mtime: datetime | float | int | str | bool | None = None,
) -> Commands:
    """Have a file on the host with the content of a local one.

    Args:
        src: the local file, or a file object
        dest: the file on the host, or a folder for it
        user, group: its owner
        mode: its mode; ``True``: that of the local file
        add_deploy_dir: a relative ``src`` is in the working directory of the run
        create_remote_dir: make the folder for it, with the same owner
        force: copy it in any case
        assume_exists: the local file may not be there yet while the operation is prepared
        atime, mtime: its times: a time (without a zone: in the host's), seconds since 1970, ``True`` for those of the
            local file, or the path of a file on the host to take them from

    .. code:: python

        files.put(name="Upload the message", src="files/motd", dest="/etc/motd", mode="644")
        files.put(name="Set the port", src=StringIO("port=8080\\n"), dest="/etc/app.conf")
    """
    source = src if hasattr(src, "read") else local_path(src, add_deploy_dir, "src")
    yield from report_no_change(
        put_file(source, dest, user, group, mode, create_remote_dir, force, assume_exists, atime, mtime)
    )
