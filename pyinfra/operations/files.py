"""Operations on files and folders of hosts: content, owners and modes, links, transfers.

Paths on hosts may hold any characters; a leading ``~`` or ``~user`` is the home folder there. Local paths are relative
to the working directory. Modes are like ``644``, ``"0644"`` or ``"u+x"``; users and groups are names.
"""

from __future__ import annotations

import os

from pyinfra import host
from pyinfra.api import OperationError, StringCommand, operation
from pyinfra.api.command import QuotePath
from pyinfra.facts.files import Directory, File, Flags, Link

from .filesystem import Commands
from .filesystem.archives import unarchive
from .filesystem.blocks import block
from .filesystem.downloads import download
from .filesystem.lines import line, replace
from .filesystem.paths import (
    Attributes,
    Obstacle,
    ensure_absent,
    ensure_directory,
    ensure_file,
    ensure_link,
    remote_path,
    report_no_change,
)
from .filesystem.relocation import copy, move
from .filesystem.templates import template
from .filesystem.transfer import get, rsync
from .filesystem.trees import sync
from .filesystem.uploads import put

# Test tools replace it here too
from .util.files import get_timestamp

__all__ = [
    "block",
    "copy",
    "directory",
    "download",
    "file",
    "flags",
    "get",
    "get_timestamp",
    "line",
    "link",
    "move",
    "put",
    "replace",
    "rsync",
    "sync",
    "template",
    "unarchive",
]


@operation()
def file(
    path: str,
    present: bool = True,
    user: str | None = None,
    group: str | None = None,
    mode: int | str | None = None,
    touch: bool = False,
    create_remote_dir: bool = True,
    force: bool = False,
    force_backup: bool = True,
    force_backup_dir: str | None = None,
) -> Commands:
    """Have a file at a path, an empty one if it has to be made, or none.

    Args:
        path: the file
        present: whether it should be there
        user, group, mode: its owner and mode
        touch: give it the current time in any case
        create_remote_dir: make the folder for it, with the same owner
        force: rename what is there and is no file
        force_backup: with ``force``: keep that, else it is removed
        force_backup_dir: with ``force``: move that into this folder, which is made where it is missing

    .. code:: python

        files.file(name="Only root reads the log", path="/var/log/app.log", user="root", mode="600")
    """
    path = remote_path(path)
    obstacle = Obstacle(force, force_backup, force_backup_dir)
    if present:
        steps = ensure_file(path, Attributes(user, group, mode), touch, create_remote_dir, obstacle)
    else:
        steps = ensure_absent(path, "file", File, obstacle)
    yield from report_no_change(steps)


@operation()
def directory(
    path: str,
    present: bool = True,
    user: str | None = None,
    group: str | None = None,
    mode: int | str | None = None,
    recursive: bool = False,
    force: bool = False,
    force_backup: bool = True,
    force_backup_dir: str | None = None,
    _no_check_owner_mode: bool = False,
    _no_fail_on_link: bool = False,
) -> Commands:
    """Have a folder at a path, or none, whatever is in it.

    Args:
        path: the folder; those above it are made too
        present: whether it should be there
        user, group, mode: its owner and mode
        recursive: where they are set, set them for all in it too
        force: rename what is there and is no folder
        force_backup: with ``force``: keep that, else it is removed
        force_backup_dir: with ``force``: move that into this folder, which is made where it is missing

    .. code:: python

        files.directory(name="Make the folder of the site", path="/srv/www", user="www-data", mode="755")
    """
    path = remote_path(path)
    obstacle = Obstacle(force, force_backup, force_backup_dir)
    if present:
        wanted = Attributes(user, group, mode)
        steps = ensure_directory(path, wanted, recursive, obstacle, not _no_check_owner_mode, _no_fail_on_link)
    else:
        steps = ensure_absent(path, "directory", Directory, obstacle)
    yield from report_no_change(steps)


@operation()
def link(
    path: str,
    target: str | None = None,
    present: bool = True,
    user: str | None = None,
    group: str | None = None,
    symbolic: bool = True,
    create_remote_dir: bool = True,
    force: bool = False,
    force_backup: bool = True,
    force_backup_dir: str | None = None,
) -> Commands:
    """Have a link at a path, or none.

    Args:
        path: the link
        target: what it points to
        present: whether it should be there
        user, group: its own owner
        symbolic: whether it is a symbolic link, else a hard one
        create_remote_dir: make the folder for it
        force: rename what is there and is no link
        force_backup: with ``force``: keep that, else it is removed
        force_backup_dir: with ``force``: move that into this folder, which is made where it is missing

    .. code:: python

        files.link(name="Switch to the release", path="/srv/app/current", target="/srv/app/releases/12")
    """
    path = remote_path(path)
    obstacle = Obstacle(force, force_backup, force_backup_dir)
    if not present:
        yield from report_no_change(ensure_absent(path, "link", Link, obstacle))
        return
    if not target:
        raise OperationError("If present is True target must be provided")
    owner = Attributes(user, group)
    steps = ensure_link(path, os.fspath(target), owner, symbolic, create_remote_dir, obstacle)
    yield from report_no_change(steps)


@operation()
def flags(path: str, flags: list[str] | None = None, present: bool = True) -> Commands:
    """Have flags of a file set, or clear, with ``chflags`` (macOS, BSD).

    Args:
        path: the file
        flags: their names
        present: whether they should be set

    .. code:: python

        files.flags(name="Hide the folder", path="/Users/app/Library", flags=["hidden"])
    """
    path = remote_path(path)
    names = [flags] if isinstance(flags, str) else list(flags or ())
    if not names:
        host.noop(f"no changes requested to flags for '{path}'")
        return
    current = host.get_fact(Flags, path=path) or []
    to_change = [name for name in names if (name in current) != present]
    if not to_change:
        host.noop(f"'{path}' already has '{','.join(names)}' {'set' if present else 'clear'}")
        return
    words = ",".join(name if present else f"no{name}" for name in to_change)
    yield StringCommand("chflags", words, QuotePath(path))
