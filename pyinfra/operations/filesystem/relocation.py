"""Files and folders that go, or are copied, into other folders on the same host."""

from __future__ import annotations

import posixpath

from pyinfra import host
from pyinfra.api import OperationError, StringCommand, operation
from pyinfra.api.command import QuotePath
from pyinfra.facts.files import Directory, File, FindDirectories, FindFiles, FindLinks, Link, Sha1File
from pyinfra.facts.server import Command

from ..util.files import unix_path_join
from . import Commands, of_files
from .paths import Steps, are_same_file, is_directory, remote_path, report_no_change


@operation()
@of_files
def move(src: str, dest: str, overwrite: bool = False) -> Commands:
    """Move a file, link or folder of the host into another folder there.

    Args:
        src: what to move
        dest: the folder
        overwrite: remove what has its name there, unless that is, or holds, what is to be moved

    .. code:: python

        files.move(name="Archive the report", src="/srv/report.pdf", dest="/srv/archive")
    """
    yield from report_no_change(_move_into(remote_path(src, "src"), remote_path(dest, "dest"), overwrite))


@operation()
@of_files
def copy(src: str, dest: str, overwrite: bool = False) -> Commands:
    """Copy a file, link or folder of the host into another folder there.

    Args:
        src: what to copy
        dest: the folder
        overwrite: copy over what has its name there and differs

    .. code:: python

        files.copy(name="Keep the old settings", src="/etc/app.conf", dest="/var/backups")
    """
    yield from report_no_change(_copy_into(remote_path(src, "src"), remote_path(dest, "dest"), overwrite))


def _move_into(src: str, dest: str, overwrite: bool) -> Steps:
    """Have what is at ``src`` in the folder ``dest``, and no longer at ``src``."""
    source = host.get_fact(File, path=src)
    _require_directory(dest)
    target = unix_path_join(dest, posixpath.basename(src))
    there = host.get_fact(File, path=target)
    if source is None:
        if there is None:
            raise OperationError(f"src {src} does not exist")
        return f"{src} has already been moved to {target}"
    if there is not None:
        if not overwrite:
            raise OperationError(f"dest {target} already exists and `overwrite` is unset")
        if _keeps_what_it_moves(src, source, dest, target):
            return f"{src} is in {dest} already"
        # mv would put a folder into one of its name, and not take its place
        yield StringCommand("rm", "-rf", QuotePath(target))
    yield StringCommand("mv", QuotePath(src), QuotePath(dest))
    return None


def _keeps_what_it_moves(src: str, source: object, dest: str, target: str) -> bool:
    """Whether what would make way is what would be moved; ``source`` is the ``File`` fact of that.

    Raises:
        OperationError: it is not, but with the one the other would go as well
    """
    name = posixpath.basename(src)
    source_path = unix_path_join(_real_folder(posixpath.dirname(src) or "."), name)
    target_path = unix_path_join(_real_folder(dest), name)
    if source_path == target_path:
        return True
    if source_path.startswith(f"{target_path}/"):
        raise OperationError(f"src {src} is in {target}, which would have to be removed for it")
    if target_path.startswith(f"{source_path}/"):
        raise OperationError(f"dest {dest} is in src {src}, which cannot be moved into itself")
    if source is False and host.get_fact(Link, path=src) and are_same_file(src, target):
        raise OperationError(f"src {src} is a symbolic link to {target}, which would have to be removed for it")
    return False


def _real_folder(path: str) -> str:
    """The path of a folder without any symbolic links in it."""
    command = StringCommand("CDPATH= cd", QuotePath(path), "&& pwd -P")
    return str(host.get_fact(Command, command=command.get_raw_value()))


def _copy_into(src: str, dest: str, overwrite: bool) -> Steps:
    """Have a copy of what is at ``src`` in the folder ``dest``."""
    source = host.get_fact(File, path=src)
    is_folder = not source and bool(host.get_fact(Directory, path=src))
    if source is None and not is_folder:
        raise OperationError(f"src {src} does not exist")
    _require_directory(dest)
    target = unix_path_join(dest, posixpath.basename(src))
    there = host.get_fact(File, path=target)
    if there is not None:
        same = _are_same_trees(src, target) if is_folder else _are_same_files(src, target)
        if same:
            return f"{target} already exists"
        if not overwrite:
            raise OperationError(f"{target} already exists and is different than src")
    yield StringCommand("cp", "-r", *(["-f"] if overwrite else []), QuotePath(src), QuotePath(dest))
    return None


def _require_directory(dest: str) -> None:
    if not is_directory(dest):
        raise OperationError(f"dest {dest} is not an existing directory")


def _are_same_files(one: str, other: str) -> bool:
    digest = host.get_fact(Sha1File, path=one)
    if digest:
        return bool(digest == host.get_fact(Sha1File, path=other))
    return _are_same_links(one, other)


def _are_same_links(one: str, other: str) -> bool:
    link, other_link = host.get_fact(Link, path=one), host.get_fact(Link, path=other)
    return bool(link and other_link and link["link_target"] == other_link["link_target"])


def _are_same_trees(one: str, other: str) -> bool:
    """Whether all that is in one folder is in another too, and the same there."""
    tree, other_tree = _contents(one), _contents(other)
    if not all(names <= other_names for names, other_names in zip(tree, other_tree, strict=True)):
        return False
    _, files, links = tree
    return all(
        are_same(unix_path_join(one, name), unix_path_join(other, name))
        for names, are_same in ((files, _are_same_files), (links, _are_same_links))
        for name in names
    )


def _contents(folder: str) -> list[set[str]]:
    """The folders, files and links below a folder, relative to it."""
    found = [host.get_fact(fact, path=folder) for fact in (FindDirectories, FindFiles, FindLinks)]
    # find begins with the folder itself, and with a home folder in place of its tilde
    start = found[0][0] if found[0] else folder
    return [{path[len(start) :].strip("/") for path in paths} - {""} for paths in found]
