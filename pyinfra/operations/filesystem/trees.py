"""A local folder, with all in it, on a host."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from typing import Any

from pyinfra import host
from pyinfra.api import StringCommand, operation
from pyinfra.api.command import QuotePath
from pyinfra.facts.files import Directory, FindFiles, FindLinks
from pyinfra.facts.server import Home

from ..util.files import unix_path_join
from . import Commands, of_files
from .paths import Attributes, Steps, ensure_directory, ensure_link, remote_path, report_no_change
from .uploads import local_mode, local_path, replace_file


@dataclass(slots=True)
class _Tree:
    """What is in a local folder: paths relative to it, with slashes, in the order in which they are made."""

    root: str
    exclude: Sequence[str]
    exclude_dir: Sequence[str]
    folders: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)

    def read(self) -> None:
        """Look through the folder."""
        for folder, subfolders, names in os.walk(self.root):
            base = os.path.relpath(folder, self.root)
            below = "" if base == os.curdir else base.replace(os.sep, "/") + "/"
            kept = []
            for name in subfolders:
                if self.excludes_folder(below + name):
                    continue
                if os.path.islink(os.path.join(folder, name)):
                    self.links.append(below + name)
                else:
                    kept.append(name)
                    self.folders.append(below + name)
            # os.walk goes into what is left here
            subfolders[:] = kept
            for name in names:
                if self.excludes_file(below + name):
                    continue
                is_link = os.path.islink(os.path.join(folder, name))
                (self.links if is_link else self.files).append(below + name)

    def excludes_folder(self, path: str) -> bool:
        """Whether a folder is left out."""
        return any(fnmatch(path, pattern) for pattern in self.exclude_dir)

    def excludes_file(self, path: str) -> bool:
        """Whether a file is left out, by its name, its path below the root, or its whole path."""
        forms = (path.rpartition("/")[2], path, os.path.join(self.root, path))
        return any(fnmatch(form, pattern) for pattern in self.exclude for form in forms)

    def keeps(self, path: str) -> bool:
        """Whether a file on the host, by its path below the root, stays there."""
        folders = path.split("/")[:-1]
        above = ["/".join(folders[: depth + 1]) for depth in range(len(folders))]
        return self.excludes_file(path) or any(self.excludes_folder(folder) for folder in above)

    def local(self, path: str) -> str:
        """The local path of one of the tree's."""
        return os.path.join(self.root, path.replace("/", os.sep))


def _patterns(value: str | Sequence[str] | None) -> Sequence[str]:
    """One or several patterns as a sequence."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


def _sync(tree: _Tree, dest: str, files: Attributes, folders: Attributes, delete: bool) -> Steps:
    """Have all of a local folder in one on the host.

    Args:
        tree: the local folder
        dest: the one on the host
        files: owner and mode of all files; without a mode, they have those of the local ones
        folders: likewise of folders
        delete: whether other files and links there go
    """
    if not os.path.isdir(tree.root):
        raise OSError(f"No such directory: {tree.root}")
    tree.read()
    changed = False
    for command in _make(tree, dest, files, folders):
        changed = True
        yield command
    if delete:
        for path in _left_over(tree, dest):
            changed = True
            yield StringCommand("rm", "-f", QuotePath(path))
    return None if changed else f"directory {dest} is already in sync"


def _make(tree: _Tree, dest: str, files: Attributes, folders: Attributes) -> Iterator[Any]:
    """The commands that make folders, links and files, in this order."""
    for path in ("", *tree.folders):
        folder = tree.local(path) if path else tree.root
        wanted = replace(folders, mode=folders.mode or local_mode(folder))
        remote = unix_path_join(dest, path) if path else dest
        yield from ensure_directory(remote, wanted, allow_link=not path)
    for path in tree.links:
        target = os.readlink(tree.local(path))
        owner = replace(files, mode=None)
        yield from ensure_link(unix_path_join(dest, path), target, owner, create_remote_dir=False)
    for path in tree.files:
        source = tree.local(path)
        wanted = replace(files, mode=files.mode or local_mode(source))
        yield from replace_file(source, unix_path_join(dest, path), wanted)


def _left_over(tree: _Tree, dest: str) -> Iterator[str]:
    """The files and links in the folder on the host that are not in the local one and not excluded."""
    wanted = {*tree.files, *tree.links}
    prefixes = tuple(unix_path_join(start, "/") for start in _spellings(dest))
    if host.get_fact(Directory, path=dest) is False:
        # It is a link to a folder, into which find goes by the slash
        dest += "/"
    for fact in (FindFiles, FindLinks):
        for path, below in _found(host.get_fact(fact, path=dest), prefixes):
            if below not in wanted and not tree.keeps(below):
                yield path


def _found(lines: list[str], prefixes: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """What ``find`` found in a folder: paths, whole and below the folder."""
    paths: list[str] = []
    for line in lines:
        if line.startswith(prefixes):
            paths.append(line)
        elif paths:
            # The name has a newline
            paths[-1] += f"\n{line}"
    for path in paths:
        prefix = next(prefix for prefix in prefixes if path.startswith(prefix))
        yield path, path[len(prefix) :].lstrip("/")


def _spellings(dest: str) -> Iterator[str]:
    """How ``find`` may begin the paths in a folder."""
    yield dest
    if dest.startswith("-"):
        yield f"./{dest}"
    home, slash, rest = dest.partition("/")
    if home.startswith("~"):
        folder = host.get_fact(Home, user=home[1:])
        if folder:
            yield f"{folder}{slash}{rest}"


@operation()
@of_files
def sync(
    src: str,
    dest: str,
    user: str | None = None,
    group: str | None = None,
    mode: str | None = None,
    dir_mode: str | None = None,
    delete: bool = False,
    exclude: str | list[str] | tuple[str] | None = None,
    exclude_dir: str | list[str] | tuple[str] | None = None,
    add_deploy_dir: bool = True,
) -> Commands:
    """Have a local folder, with all in it, on the host. Symbolic links stay links.

    On the host, a symbolic link in the place of a file or link makes way; a folder in the place of a file is an error.

    Args:
        src: the local folder
        dest: the folder on the host
        user, group: the owner of all in it
        mode, dir_mode: the mode of files and of folders; by default that of the local ones
        delete: remove files and links that are not in the local folder
        exclude: patterns of files that are left as they are, of the name, the path below ``src``, or the whole path
        exclude_dir: patterns of folders that are left as they are with all in them, of the path below ``src``
        add_deploy_dir: a relative ``src`` is in the working directory of the run

    .. code:: python

        files.sync(name="Upload the site", src="site", dest="/srv/www", delete=True, exclude="*.pyc")
    """
    root = local_path(src, add_deploy_dir, "src")
    dest = remote_path(dest, "dest")
    tree = _Tree(root, _patterns(exclude), _patterns(exclude_dir))
    files, folders = Attributes(user, group, mode), Attributes(user, group, dir_mode)
    yield from report_no_change(_sync(tree, dest, files, folders, delete))
