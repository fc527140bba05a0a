"""The session, and the simplest connector over it, can be used inside pyinfra 3.10 as they are."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

CONNECTORS = Path(__file__).parents[2] / "pyinfra" / "connectors"

# What pyinfra 3.10 has of the modules that are used here
NAMES = {
    "pyinfra.api.arguments": {"ConnectorArguments"},
    "pyinfra.api.command": {"MaskString", "QuoteString", "StringCommand"},
    "pyinfra.api.exceptions": {"ConnectError", "InventoryError"},
    "pyinfra.api.host": {"Host"},
    "pyinfra.api.output": {"echo", "format_text"},
    "pyinfra.api.state": {"State"},
    "pyinfra.api.util": {"get_file_io"},
    "pyinfra.connectors.base": {"BaseConnector", "ConnectorData", "DataMeta"},
    "pyinfra.connectors.util": {
        "CommandOutput",
        "OutputLine",
        "execute_command_with_sudo_retry",
        "extract_control_arguments",
        "make_unix_command_for_host",
        "write_stdin",
    },
}


def imports(path: Path) -> set[tuple[str, str]]:
    """Module and name of all that a file of the connectors imports of pyinfra and of packages."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            module = f"pyinfra.connectors.{node.module}" if node.level == 1 else node.module or ""
            found |= {(module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
    return found


@pytest.mark.parametrize("name", ["session", "pipe"])
def test_nothing_is_imported_that_pyinfra_3_10_lacks(name: str) -> None:
    of_pyinfra = {pair for pair in imports(CONNECTORS / f"{name}.py") if pair[0].startswith("pyinfra")}
    assert len(of_pyinfra) > 3
    own = {(module, found) for module, found in of_pyinfra if module == "pyinfra.connectors.session" and name == "pipe"}
    assert {(module, found) for module, found in of_pyinfra - own if found not in NAMES.get(module, set())} == set()
