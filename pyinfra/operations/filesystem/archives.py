"""Archives that are unpacked on a host."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from typing import Any

from pyinfra import host
from pyinfra.api import FileUploadCommand, OperationError, OperationValueError, QuoteString, StringCommand, operation
from pyinfra.api.command import QuotePath
from pyinfra.facts.files import File

from ..util.commands import TemporaryFileCommand
from ..util.links import follow_links
from . import Commands, of_files
from .paths import Attributes, Steps, is_directory, remote_path, report_no_change
from .uploads import local_path

# The options of tar, by how names of archives end
_TAR_OPTIONS = {
    (".tar",): "-x",
    (".tar.gz", ".tgz"): "-xz",
    (".tar.bz2", ".tbz2", ".tbz"): "-xj",
    (".tar.xz", ".txz"): "-xJ",
    (".tar.zst", ".tzst"): "--zstd -x",
}
_ZIP_ENDINGS = (".zip", ".jar", ".war")


def _unpack_command(name: str, archive: str, dest: str, options: Sequence[str]) -> StringCommand:
    """The command that unpacks an archive of this name.

    Raises:
        OperationValueError: its ending is of no known kind
    """
    words: list[Any] = [QuoteString(option) for option in options]
    if name.lower().endswith(_ZIP_ENDINGS):
        return StringCommand("unzip", "-o", *words, QuotePath(archive), "-d", QuotePath(dest))
    for endings, kind in _TAR_OPTIONS.items():
        if name.lower().endswith(endings):
            return StringCommand("tar", kind, "-f", QuotePath(archive), "-C", QuotePath(dest), *words)
    known = ", ".join([*(ending for endings in _TAR_OPTIONS for ending in endings), *_ZIP_ENDINGS])
    raise OperationValueError(f"cannot tell what kind of archive {name} is: its name must end in one of {known}")


def _unpack(
    src: str,
    dest: str,
    remote_src: bool,
    creates: str | None,
    options: Sequence[str],
    owner: Attributes,
) -> Steps:
    """Have the content of an archive in a folder."""
    if creates and host.get_fact(File, path=creates) is not None:
        return f"archive already extracted ({creates} exists)"
    if not is_directory(dest):
        raise OperationError(f"Destination {dest} is not an existing directory")
    if remote_src and not follow_links(src)[1]:
        raise OperationError(f"Remote archive {src} does not exist")
    name = posixpath.basename(src) if remote_src else os.path.basename(src)
    archive = src if remote_src else host.get_temp_filename(f"{src} {dest}")
    command = _unpack_command(name, archive, dest, options)
    if remote_src:
        yield command
    else:
        yield FileUploadCommand(src, archive)
        yield TemporaryFileCommand(archive, command)
        yield StringCommand("rm", "-f", QuotePath(archive))
    yield from owner.set_owner(dest, recursive=True)
    return None


@operation()
@of_files
def unarchive(
    src: str,
    dest: str,
    remote_src: bool = False,
    creates: str | None = None,
    extra_opts: list[str] | None = None,
    user: str | None = None,
    group: str | None = None,
) -> Commands:
    """Unpack an archive, of ``tar`` or ``zip``, into a folder on the host.

    Args:
        src: the local archive, or with ``remote_src`` one on the host
        dest: the folder, which must be there
        remote_src: whether the archive is on the host
        creates: a path that is there once the archive is unpacked: then there is nothing to do
        extra_opts: further options of ``tar`` or ``unzip``
        user, group: the owner of all in the folder

    .. code:: python

        files.unarchive(name="Unpack the app", src="app.tar.gz", dest="/opt/app", creates="/opt/app/bin/start")
    """
    source = remote_path(src, "src") if remote_src else local_path(src, False, "src")
    created = remote_path(creates, "creates") if creates else None
    steps = _unpack(source, remote_path(dest, "dest"), remote_src, created, extra_opts or (), Attributes(user, group))
    yield from report_no_change(steps)
