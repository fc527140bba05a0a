"""Symbolic links on a host: where they lead, and commands that leave them what they are."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyinfra import host
from pyinfra.api import OperationError, StringCommand
from pyinfra.api.facts import FACT_ARGUMENT_KEYS
from pyinfra.context import ctx_host
from pyinfra.facts.files import File, Link

if TYPE_CHECKING:
    from pyinfra.api.arguments import ConnectorArguments
    from pyinfra.api.host import Host
    from pyinfra.api.state import State

_LINK_LIMIT = 40


def follow_links(path: str, **arguments: Any) -> tuple[str, Any]:
    """Where a path leads, through symbolic links, and the :class:`File` fact of that.

    ``arguments`` are global ones for the facts.

    Raises:
        OperationError: the links go round in circles
    """
    start = path
    for _ in range(_LINK_LIMIT):
        status = host.get_fact(File, path=path, **arguments)
        link = host.get_fact(Link, path=path, **arguments) if status is False else None
        if not link:
            return path, status
        path = posixpath.join(posixpath.dirname(path), link["link_target"])
    raise OperationError(f"{start} is a symbolic link that leads to itself")


class ReplacingCommand(StringCommand):
    """A command that puts a new file in the place of one, and so would put it in the place of a symbolic link.

    Where the path is a link when the command runs, what runs is the same for the file that the link leads to.

    Args:
        path: the file
        make: gives the command for a path
    """

    def __init__(self, path: str, make: Callable[[str], StringCommand]) -> None:
        super().__init__(make(path))
        self.path = path
        self.make = make

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> Any:
        """Run it; returns ``(success, CommandOutput)``."""
        arguments = {key: value for key, value in connector_arguments.items() if key in FACT_ARGUMENT_KEYS}
        with ctx_host.use(host):
            path, _ = follow_links(self.path, **arguments)
            if path != self.path:
                return self.make(path).execute(state, host, connector_arguments)
        return super().execute(state, host, connector_arguments)
