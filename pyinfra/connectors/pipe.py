"""Whatever a command line that ends in a shell can reach."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any, Union

from pyinfra.api.exceptions import ConnectError, InventoryError

from .base import DataMeta
from .session import SessionConnector, SessionData


class PipeData(SessionData):
    """The host data that ``@pipe`` reads."""

    pipe_command: Union[str, list[str]]


class PipeConnector(SessionConnector):
    """Run in the shell that a command line ends in.

    That is the data ``pipe_command`` of ``@pipe/NAME``, or without it the name itself.
    ``docker exec -i web sh``, ``chroot /srv/tree sh``, ``nsenter -t 1 -n sh`` are such command lines.
    """

    data_cls = PipeData
    data_meta = {
        **SessionConnector.data_meta,
        "pipe_command": DataMeta("A command line that ends in a shell, as text or as a list of words; else the name"),
    }

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield the host of that name."""
        if not name:
            raise InventoryError("@pipe needs a name, or a command line that ends in a shell: @pipe/chroot /srv sh")
        yield f"@pipe/{name}", {}, ["@pipe"]

    def shell_argv(self) -> list[str]:
        """The words of the command line, or :class:`ConnectError` if it cannot be taken apart."""
        command = self.host.data.get("pipe_command")
        if command is None:
            command = self.host.name.partition("/")[2]
        try:
            words = shlex.split(command) if isinstance(command, str) else list(command)
        except ValueError as error:
            raise ConnectError(f"pipe_command is no command line: {command!r} ({error})") from error
        if not words:
            raise ConnectError(
                "pipe_command is empty: it takes a command line that ends in a shell, such as 'chroot /srv sh'"
            )
        return words
