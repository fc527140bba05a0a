"""Files of a host that should be here, and folders that rsync takes there."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING, Any

from pyinfra import host
from pyinfra.api import FileDownloadCommand, OperationError, RsyncCommand, operation
from pyinfra.facts.files import File

from . import Commands, of_files
from .paths import Steps, remote_path, report_no_change
from .uploads import has_content, local_path

if TYPE_CHECKING:
    from pyinfra.api.arguments import ConnectorArguments
    from pyinfra.api.host import Host
    from pyinfra.api.state import State


@operation(is_idempotent=False, idempotent_notice="What rsync finds to do is known when it runs, not before.")
@of_files
def rsync(src: str, dest: str, flags: list[str] | None = None) -> Commands:
    """Copy a local folder to the host with ``rsync``, on the connectors that can.

    Args:
        src: the local folder; with a slash at its end, what is in it
        dest: the folder on the host
        flags: of ``rsync``; by default ``-ax --delete``

    .. code:: python

        files.rsync(name="Upload the site", src="site/", dest="/srv/www/", flags=["-a", "--delete"])
    """
    try:
        host.check_can_rsync()
    except NotImplementedError as error:
        raise OperationError(f"rsync does not work here: {error or 'the connector cannot do it'}") from None
    yield RsyncCommand(os.fspath(src), os.fspath(dest), ["-ax", "--delete"] if flags is None else flags)


class _DownloadIntoNewFolder(FileDownloadCommand):
    """A download that makes the local folder for it, when it runs and not before."""

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> Any:
        """Make the folder, then copy the file."""
        if isinstance(self.dest, str):
            os.makedirs(os.path.dirname(self.dest) or ".", exist_ok=True)
        return super().execute(state, host, connector_arguments)


def _get(src: str, dest: str, create_local_dir: bool = False, force: bool = False) -> Steps:
    """Have a local file with the content of one on the host; in a local folder, it keeps its name."""
    if dest.endswith(os.sep) or os.path.isdir(dest):
        dest = os.path.join(dest, posixpath.basename(src))
    if not force and os.path.isfile(dest) and host.get_fact(File, path=src) is not None and has_content(src, dest):
        return f"file {dest} has already been downloaded"
    download = _DownloadIntoNewFolder if create_local_dir else FileDownloadCommand
    yield download(src, dest)
    return None


@operation(is_idempotent=False, idempotent_notice="The local file changes, not the host.")
@of_files
def get(
    src: str,
    dest: str,
    add_deploy_dir: bool = True,
    create_local_dir: bool = False,
    force: bool = False,
) -> Commands:
    """Copy a file from the host, unless the local one is the same.

    Args:
        src: the file on the host
        dest: the local file, or a folder for it
        add_deploy_dir: a relative ``dest`` is in the working directory of the run
        create_local_dir: make the folder for it
        force: copy it in any case

    .. code:: python

        files.get(name="Fetch the log", src="/var/log/app.log", dest=f"logs/{host.name}.log", create_local_dir=True)
    """
    target = local_path(dest, add_deploy_dir, "dest")
    yield from report_no_change(_get(remote_path(src, "src"), target, create_local_dir, force))
