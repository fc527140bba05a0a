"""What should be at a path on a host: a file, a folder, a link, of some owner and mode, or nothing.

The generators here yield the commands that are missing and return, if there are none, a sentence that says why.
"""

from __future__ import annotations

import posixpath
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any, TypeAlias

from pyinfra import host
from pyinfra.api import OperationError, OperationTypeError, OperationValueError, QuoteString, StringCommand
from pyinfra.api.command import QuotePath
from pyinfra.facts.files import Directory, File, Link
from pyinfra.facts.server import Command, Home

from ..util import files as shell
from ..util.commands import PreparedCommand
from .modes import has_mode

Steps: TypeAlias = Generator[Any, None, "str | None"]


def report_no_change(steps: Steps) -> Iterator[Any]:
    """An operation's commands; where there are none, the host is told why."""
    reason = yield from steps
    if reason:
        host.noop(reason)


def remote_path(path: Any, name: str = "path") -> str:
    """A path on the host as text, without slashes at its end.

    Raises:
        OperationTypeError: it is no path
        OperationValueError: it is empty, or holds a character that no path can
    """
    if not isinstance(path, (str, PathLike)):
        raise OperationTypeError(f"`{name}` must be a string or `os.PathLike` object")
    text = fspath(path)
    if not text or "\0" in text:
        raise OperationValueError(f"`{name}` is no path: {text!r}")
    return text.rstrip("/") or "/"


@dataclass(frozen=True, slots=True)
class Attributes:
    """Owner, group and mode that a file should have; ``None`` and empty text leave them as they are."""

    user: str | None = None
    group: str | None = None
    mode: int | str | None = None

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "mode", shell.ensure_mode_int(self.mode))
        except ValueError as error:
            raise OperationValueError(str(error)) from None

    def set_mode(self, path: str, recursive: bool = False) -> Iterator[StringCommand]:
        """The command that sets the mode, if there is one to set."""
        if self.mode is not None and self.mode != "":
            yield shell.chmod(path, self.mode, recursive=recursive)

    def set_owner(self, path: str, recursive: bool = False, dereference: bool = True) -> Iterator[StringCommand]:
        """The command that sets owner and group, if there are any to set."""
        if self.user or self.group:
            yield shell.chown(path, self.user, self.group, recursive=recursive, dereference=dereference)

    def correct(
        self,
        path: str,
        status: Mapping[str, Any],
        recursive: bool = False,
        is_directory: bool = False,
    ) -> Iterator[StringCommand]:
        """The commands for what differs from a file's status."""
        if self.mode is not None and self.mode != "" and not has_mode(status["mode"], self.mode, is_directory):
            yield from self.set_mode(path, recursive)
        yield from self.correct_owner(path, status, recursive)

    def correct_owner(
        self,
        path: str,
        status: Mapping[str, Any],
        recursive: bool = False,
        dereference: bool = True,
    ) -> Iterator[StringCommand]:
        """The command for an owner or group that differs from a file's status."""
        if (self.user and status["user"] != str(self.user)) or (self.group and status["group"] != str(self.group)):
            yield from self.set_owner(path, recursive, dereference)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What to do with something of another kind at the path: nothing, which is an error, or to remove or rename it."""

    force: bool = False
    backup: bool = True
    backup_dir: str | None = None

    def clear(self, path: str, kind: str) -> Iterator[StringCommand]:
        """The command that takes it away.

        Raises:
            OperationError: it must stay
        """
        if not self.force:
            raise OperationError(f"{path} exists and is not a {kind}")
        if not self.backup:
            yield StringCommand("rm", "-rf", QuotePath(path))
            return
        copy = path + f".{shell.get_timestamp()}"
        if not self.backup_dir:
            yield StringCommand("mv", QuotePath(path), QuotePath(copy))
            return
        folder = fspath(self.backup_dir)
        copy = shell.unix_path_join(folder, posixpath.basename(copy))
        make_folder = StringCommand("mkdir", "-p", QuotePath(folder))
        yield PreparedCommand(make_folder, "mv", QuotePath(path), QuotePath(copy))


KEEP = Obstacle()


def is_directory(path: str) -> bool:
    """Whether a folder is at a path, itself or through symbolic links."""
    status = host.get_fact(Directory, path=path)
    if status is False and host.get_fact(Link, path=path):
        # The slash has the host follow the link
        status = host.get_fact(Directory, path=path + "/")
    return bool(status)


def ensure_parent(path: str, user: str | None = None, group: str | None = None) -> Steps:
    """Create the folder that a path is in, with this owner, unless there is one."""
    folder = posixpath.dirname(path)
    if folder in ("", "/", "~"):
        return None
    owner = Attributes(user, group)
    return (yield from ensure_directory(folder, owner, check_attributes=False, allow_link=True))


def ensure_directory(
    path: str,
    wanted: Attributes,
    recursive: bool = False,
    obstacle: Obstacle = KEEP,
    check_attributes: bool = True,
    allow_link: bool = False,
) -> Steps:
    """Have a folder at a path.

    Args:
        path: where
        wanted: its owner and mode
        recursive: whether they are set for all in it too
        obstacle: what to do with anything else that is there
        check_attributes: whether owner and mode of a folder that is there matter
        allow_link: whether a symbolic link is as good
    """
    status = host.get_fact(Directory, path=path)
    if status is False:
        if allow_link and host.get_fact(Link, path=path):
            return f"directory {path} already exists (as a link)"
        yield from obstacle.clear(path, "directory")
    if not status:
        yield StringCommand("mkdir", "-p", QuotePath(path))
        yield from wanted.set_mode(path, recursive)
        yield from wanted.set_owner(path, recursive)
        return None
    changed = False
    if check_attributes:
        for command in wanted.correct(path, status, recursive, is_directory=True):
            changed = True
            yield command
    return None if changed else f"directory {path} already exists"


def ensure_file(
    path: str,
    wanted: Attributes,
    touch: bool = False,
    create_remote_dir: bool = True,
    obstacle: Obstacle = KEEP,
) -> Steps:
    """Have a file at a path, an empty one if it has to be made.

    Args:
        path: where
        wanted: its owner and mode
        touch: whether it gets the current time even if it is there
        create_remote_dir: whether the folder for it is created
        obstacle: what to do with anything else that is there
    """
    status = host.get_fact(File, path=path)
    if status is False:
        yield from obstacle.clear(path, "file")
    if not status:
        if create_remote_dir and status is None:
            yield from ensure_parent(path, wanted.user, wanted.group)
        yield StringCommand("touch", QuotePath(path))
        yield from wanted.set_mode(path)
        yield from wanted.set_owner(path)
        return None
    if touch:
        yield StringCommand("touch", QuotePath(path))
    changed = touch
    for command in wanted.correct(path, status):
        changed = True
        yield command
    return None if changed else f"file {path} already exists"


def _link_command(target: str, path: str, symbolic: bool) -> StringCommand:
    # A target is no path here and now: nothing may be put before its dash
    word = QuoteString(target) if target.startswith("-") else QuotePath(target)
    options = [*(["-s"] if symbolic else []), *(["--"] if target.startswith("-") else [])]
    return StringCommand("ln", *options, word, QuotePath(path))


def _expand_home(target: str) -> str:
    """A link's target as the host's shell makes it of a leading ``~``."""
    home, slash, rest = target.partition("/")
    if not home.startswith("~"):
        return target
    folder = host.get_fact(Home, user=home[1:])
    return f"{folder}{slash}{rest}" if folder else target


def ensure_link(
    path: str,
    target: str,
    wanted: Attributes,
    symbolic: bool = True,
    create_remote_dir: bool = True,
    obstacle: Obstacle = KEEP,
) -> Steps:
    """Have a link at a path.

    Args:
        path: where
        target: what it points to
        wanted: the owner of the link itself
        symbolic: whether it is a symbolic link, else a hard one
        create_remote_dir: whether the folder for it is created
        obstacle: what to do with anything else that is there
    """
    status = host.get_fact(Link, path=path)
    unchanged = f"link {path} already exists"
    if not symbolic and status is False and are_same_file(path, target):
        return unchanged
    if status is False:
        yield from obstacle.clear(path, "link")
    if status:
        if symbolic and status["link_target"] == _expand_home(target):
            changed = False
            for command in wanted.correct_owner(path, status, dereference=False):
                changed = True
                yield command
            return None if changed else unchanged
        yield StringCommand("rm", "-f", QuotePath(path))
    elif create_remote_dir and status is None:
        yield from ensure_parent(path)
    yield _link_command(target, path, symbolic)
    # A hard link is the file itself: its owner is not the link's
    yield from wanted.set_owner(path, dereference=not symbolic)
    return None


def are_same_file(path: str, other: str) -> bool:
    """Whether two paths lead to one file."""
    test = StringCommand("if test", QuotePath(path), "-ef", QuotePath(other), "; then echo same; fi")
    return str(host.get_fact(Command, command=test.get_raw_value()) or "").strip() == "same"


def ensure_absent(path: str, kind: str, fact: type[File], obstacle: Obstacle = KEEP) -> Steps:
    """Have nothing at a path.

    Args:
        path: where
        kind: what may be there: ``file``, ``directory`` or ``link``
        fact: the fact about that kind
        obstacle: what to do with anything else that is there
    """
    status = host.get_fact(fact, path=path)
    if status is None:
        return f"{kind} {path} does not exist"
    if status is False:
        yield from obstacle.clear(path, kind)
        return None
    yield StringCommand("rm", "-rf" if kind == "directory" else "-f", QuotePath(path))
    return None
