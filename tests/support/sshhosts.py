"""Connectors for tests, without the engine's own connecting: what a host's data give, ready to connect."""

from __future__ import annotations

from typing import Any

from pyinfra.api.command import StringCommand
from pyinfra.api.config import Config
from pyinfra.api.inventory import Inventory
from pyinfra.api.state import State
from pyinfra.connectors.ssh import SSHConnector
from tests.support.sshd import SSHServer, User


def ssh_data(server: SSHServer, user: User, **changes: Any) -> dict[str, Any]:
    """Data that lead to a test server, with the user's key and nothing of the machine's own SSH settings."""
    return {
        "ssh_hostname": server.addresses[0],
        "ssh_port": server.port,
        "ssh_user": user.name,
        "ssh_key": str(user.key),
        "ssh_allow_agent": False,
        "ssh_look_for_keys": False,
        **changes,
    }


def ssh_connector(data: dict[str, Any], **config: Any) -> SSHConnector:
    """A connector of a host called ``h`` with these data."""
    inventory = Inventory(([("h", data)], {}))
    state = State(inventory, Config(**config))
    return SSHConnector(state, inventory.get_host("h"))


def run(connector: SSHConnector, command: str, **arguments: Any) -> tuple[bool, str, str]:
    """Whether a command went well, its output and its errors."""
    success, output = connector.run_shell_command(StringCommand(command), False, False, **arguments)
    return success, output.stdout, output.stderr
