"""``--connectors``: what is installed to reach and to list hosts, and what of it is broken."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from pyinfra.api.connectors import ConnectorRegistry, get_all_connectors
from pyinfra.api.exceptions import NoConnectorError

from .connector_kinds import kind_of
from .prints import print_table
from .terminal import Terminal

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


@dataclass(frozen=True, slots=True)
class InstalledConnector:
    """What is known of a connector that a distribution registers.

    Attributes:
        name: what stands after the ``@``
        kind: ``inventory``, ``execution`` or ``both``; ``None`` for one that is broken
        target: its entry point: ``module:Class``
        distribution: who registers it; ``None`` where nobody knows
        version: of that distribution
        description: the first line of the class's docstring
        error: why it cannot be used, or ``None``
    """

    name: str
    kind: str | None
    target: str
    distribution: str | None
    version: str | None
    description: str
    error: str | None


def show_connectors(as_json: bool) -> None:
    """Write the table of connectors for people, or the same as JSON to standard output."""
    registry = get_all_connectors()
    # What a module prints when it is imported is no part of the JSON
    with redirect_stdout(sys.stderr):
        connectors = list(installed_connectors(registry))
    if as_json:
        data = {
            "connectors": [asdict(connector) for connector in connectors],
            "unreadable": [{"distribution": who, "error": why} for who, why in registry.unreadable.items()],
        }
        click.echo(json.dumps(data, indent=4))
        return
    terminal = Terminal()
    _print_connectors(terminal, connectors)
    for who, why in registry.unreadable.items():
        terminal.line(f"    {terminal.style('The entry points cannot be read', fg='red')} of {who}: {why}")
    terminal.close()


def _print_connectors(terminal: Terminal, connectors: list[InstalledConnector]) -> None:
    rows = [
        (
            f"@{connector.name}",
            connector.kind or "broken",
            " ".join(filter(None, (connector.distribution, connector.version))),
            connector.description,
        )
        for connector in connectors
    ]
    terminal.stage("Connectors:")
    print_table(terminal, ("Connector", "Kind", "Package", "Description"), rows)
    for connector in connectors:
        if connector.error is not None:
            name = terminal.style(f"@{connector.name}", fg="red")
            terminal.line(f"    {name} ({connector.target}): {connector.error}")


def installed_connectors(registry: ConnectorRegistry) -> Iterator[InstalledConnector]:
    """All connectors in the order of their names, each loaded to see whether it can be."""
    for name in registry:
        entry_points = registry.entry_points[name]
        try:
            connector_cls = registry[name]
        except NoConnectorError as error:
            for entry_point in entry_points:
                yield _described(entry_point, None, "", str(error))
            continue
        description = next(iter(inspect.cleandoc(connector_cls.__doc__ or "").splitlines()), "").replace("``", "`")
        yield _described(entry_points[0], kind_of(connector_cls), description, None)


def _described(entry_point: EntryPoint, kind: str | None, description: str, error: str | None) -> InstalledConnector:
    distribution = entry_point.dist
    return InstalledConnector(
        entry_point.name,
        kind,
        entry_point.value,
        None if distribution is None else distribution.name,
        None if distribution is None else distribution.version,
        description,
        error,
    )
