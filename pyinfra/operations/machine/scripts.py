"""Local scripts that run on a machine, and are gone from it afterwards."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pyinfra import host
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation
from pyinfra.api.command import QuotePath
from pyinfra.api.hiddenvalue import HiddenValue, reveal

from .. import files
from ..util.commands import TemporaryFileCommand, housekeeping_arguments, or_removed, succeeded
from ..util.files import chmod
from . import of_server

if TYPE_CHECKING:
    from pyinfra.api.arguments import ConnectorArguments
    from pyinfra.api.host import Host
    from pyinfra.api.state import State


class _PrivateUpload(FileUploadCommand):
    """An upload of what only the user that it is for may read, also while it is under way."""

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> Any:
        """Copy it; returns whether that went well."""
        name = QuotePath(str(self.dest))
        # An upload leaves the mode of a file that is there
        made = StringCommand("rm -f", name, "&& ( umask 077; set -C; : >", name, ")")
        result = made.execute(state, host, housekeeping_arguments(connector_arguments))
        if not succeeded(result):
            return result
        return or_removed(super().execute, str(self.dest), state, host, connector_arguments)


class _MakeExecutable(TemporaryFileCommand):
    """The command that makes a temporary file executable, for the user that it is for alone."""

    def __init__(self, path: str) -> None:
        super().__init__(path, chmod(path, "+x"))

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> Any:
        """Run it; returns ``(success, CommandOutput)``."""
        # Some connectors put a file of another mode in the place of the one that was made for it
        bits = (*self.bits, "&&", chmod(self.temporary, "go-rwx"))
        return TemporaryFileCommand(self.temporary, *bits).execute(state, host, connector_arguments)


def _upload_and_run(path: str, uploads: Iterable[Any], args: Sequence[Any]) -> Iterator[Any]:
    """Upload a script, run it, and remove it.

    Args:
        path: where it is for that time
        uploads: the commands that upload it
        args: its arguments
    """
    for command in uploads:
        yield _PrivateUpload(command.src, command.dest) if isinstance(command, FileUploadCommand) else command
    words = [args] if isinstance(args, (str, HiddenValue)) else args
    yield _MakeExecutable(path)
    arguments = [QuoteString(str(reveal(word))) for word in words]
    yield TemporaryFileCommand(path, QuoteString(path), *arguments, is_last=True)


@operation(is_idempotent=False)
@of_server
def script(src: str, args: Sequence[Any] = ()) -> Generator[Any, None, None]:
    """Upload a script, run it, and remove it. Only the user that it runs as may read it meanwhile.

    Args:
        src: the local file
        args: arguments for the script; each reaches it as one word, as it is

    .. code:: python

        server.script(name="Set up the node", src="scripts/setup.sh", args=("--role", "db"))
    """
    path = host.get_temp_filename(src)
    yield from _upload_and_run(path, files.put._inner(src=src, dest=path, force=True), args)


@operation(is_idempotent=False)
@of_server
def script_template(src: str, args: Sequence[Any] = (), **data: Any) -> Generator[Any, None, None]:
    """Render a Jinja2 template, upload the result, run it as a script, and remove it.

    Args:
        src: the local template
        args: arguments for the script; each reaches it as one word, as it is
        data: values for the template, besides ``host``, ``state`` and ``inventory``

    Only the user that it runs as may read it meanwhile.

    .. code:: python

        server.script_template(name="Join", src="templates/join.sh.j2", token=host.data.token)
    """
    path = host.get_temp_filename(src)
    yield from _upload_and_run(path, files.template._inner(src=src, dest=path, **data), args)
