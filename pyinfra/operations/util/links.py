"""Symbolic links on a host: where they lead, and commands that leave them what they are."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from pyinfra import host
from pyinfra.api import OperationError, StringCommand
from pyinfra.context import ctx_host
from pyinfra.facts.files import File, Link

from .commands import read_fact

if TYPE_CHECKING:
    from pyinfra.api.arguments import ConnectorArguments
    from pyinfra.api.host import Host
    from pyinfra.api.state import State

_LINK_LIMIT = 40


def follow_links(path: str, get_fact: Callable[..., Any] | None = None) -> tuple[str, Any]:
    """Where a path leads, through symbolic links, and the :class:`File` fact of that.

    Args:
        path: where to begin
        get_fact: reads facts; by default those of the host whose operation is being prepared

    Raises:
        OperationError: the links go round in circles
    """
    start = path
    get_fact = get_fact or host.get_fact
    for _ in range(_LINK_LIMIT):
        status = get_fact(File, path=path)
        link = get_fact(Link, path=path) if status is False else None
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
        self.command = make(path)
        super().__init__(self.command)
        self.path = path
        self.make = make

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> Any:
        """Run it; returns ``(success, CommandOutput)``."""
        path, _ = follow_links(self.path, partial(read_fact, state, host, connector_arguments))
        if path == self.path:
            return self.command.execute(state, host, connector_arguments)
        with ctx_host.use(host):
            command = self.make(path)
        return command.execute(state, host, connector_arguments)
