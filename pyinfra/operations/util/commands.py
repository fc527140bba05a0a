"""Commands of operations that need others to run with them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pyinfra.api import StringCommand
from pyinfra.api.command import QuotePath
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.facts import FACT_ARGUMENT_KEYS
from pyinfra.api.reading import Reading, form_of

if TYPE_CHECKING:
    from pyinfra.api.arguments import ConnectorArguments
    from pyinfra.api.facts import FactBase
    from pyinfra.api.host import Host
    from pyinfra.api.state import State


def succeeded(result: Any) -> bool:
    """Whether what executing a command returned means success."""
    return bool(result[0] if isinstance(result, tuple) else result)


def housekeeping_arguments(connector_arguments: ConnectorArguments) -> Any:
    """The connector arguments for what goes on around a command: its input and exit codes are none of that's."""
    return {key: value for key, value in connector_arguments.items() if key in FACT_ARGUMENT_KEYS}


def read_fact(
    state: State, host: Host, connector_arguments: ConnectorArguments, cls: type[FactBase[Any]], **own: Any
) -> Any:
    """The value of a fact that a command needs while it runs.

    Args:
        state: the run
        host: the host
        connector_arguments: those of the command, which are resolved: the configuration has no more say in them
        cls: the fact's class
        own: the fact's own arguments

    Raises:
        FactError: it could not be read
    """
    arguments = housekeeping_arguments(connector_arguments)
    return Reading(state, host, cls(), form_of(cls).bind((), own), arguments, ignore_errors=False).read()[0]


class PreparedCommand(StringCommand):
    """A command that runs only once another has succeeded, which makes what it needs."""

    def __init__(self, preparation: StringCommand, *bits: Any) -> None:
        super().__init__(*bits)
        self.preparation = preparation

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> Any:
        """Run both; returns ``(success, CommandOutput)``, of the preparation if that failed."""
        prepared = self.preparation.execute(state, host, connector_arguments)
        return super().execute(state, host, connector_arguments) if succeeded(prepared) else prepared


def remove_temporary(path: str, state: State, host: Host, connector_arguments: ConnectorArguments) -> None:
    """Remove a temporary file, if the connection still works."""
    with suppress(ConnectError, OSError):
        StringCommand("rm", "-f", QuotePath(path)).execute(state, host, housekeeping_arguments(connector_arguments))


def or_removed(
    execute: Callable[..., Any], path: str, state: State, host: Host, connector_arguments: ConnectorArguments
) -> Any:
    """What ``execute`` returns, given the last three; a temporary file goes if that is no success, or if it raises."""
    try:
        result = execute(state, host, connector_arguments)
    except Exception:
        remove_temporary(path, state, host, connector_arguments)
        raise
    if not succeeded(result):
        remove_temporary(path, state, host, connector_arguments)
    return result


class TemporaryFileCommand(StringCommand):
    """A command that uses a temporary file, which goes if that fails.

    Args:
        temporary: the file
        bits: the command's parts
        is_last: whether the file goes in any case
    """

    def __init__(self, temporary: str, *bits: Any, is_last: bool = False) -> None:
        super().__init__(*bits)
        self.temporary = temporary
        self.is_last = is_last

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> Any:
        """Run it; returns ``(success, CommandOutput)``."""
        result = or_removed(super().execute, self.temporary, state, host, connector_arguments)
        if self.is_last and succeeded(result):
            remove_temporary(self.temporary, state, host, connector_arguments)
        return result
