"""Commands of operations that need others to run with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyinfra.api import StringCommand

if TYPE_CHECKING:
    from pyinfra.api.arguments import ConnectorArguments
    from pyinfra.api.host import Host
    from pyinfra.api.state import State


def succeeded(result: Any) -> bool:
    """Whether what executing a command returned means success."""
    return bool(result[0] if isinstance(result, tuple) else result)


class PreparedCommand(StringCommand):
    """A command that runs only once another has succeeded, which makes what it needs."""

    def __init__(self, preparation: StringCommand, *bits: Any) -> None:
        super().__init__(*bits)
        self.preparation = preparation

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> Any:
        """Run both; returns ``(success, CommandOutput)``, of the preparation if that failed."""
        prepared = self.preparation.execute(state, host, connector_arguments)
        return super().execute(state, host, connector_arguments) if succeeded(prepared) else prepared
