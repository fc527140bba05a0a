"""``--connectors``: what is installed to reach and to list hosts, and what of it is broken."""

from __future__ import annotations

import ast
import inspect
import json
import sys
import textwrap
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from pyinfra.api.connectors import ConnectorRegistry, get_all_connectors, name_and_version
from pyinfra.api.exceptions import NoConnectorError

from .prints import print_table
from .terminal import Terminal

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from pyinfra.connectors.base import BaseConnector


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
    distribution, version = name_and_version(entry_point.dist)
    return InstalledConnector(entry_point.name, kind, entry_point.value, distribution, version, description, error)


# Kinds


def kind_of(connector_cls: type[BaseConnector]) -> str:
    """``inventory``, ``execution`` or ``both``.

    No attribute tells whether a connector that executes lists hosts too. Asking it would run the programs that it asks;
    so its code is read: one that yields in a loop, or several times in a row, lists.
    """
    if not connector_cls.handles_execution:
        return "inventory"
    return "both" if _can_yield_many(connector_cls) else "execution"


def _can_yield_many(connector_cls: type[Any]) -> bool:
    """Whether one name can stand for many hosts."""
    owners: list[Any] = [owner for owner in connector_cls.__mro__ if "make_names_data" in vars(owner)]
    for owner in owners:
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(owner.make_names_data)))
        except (OSError, TypeError, SyntaxError):
            return False
        if _yields_many(tree):
            return True
        if not _calls_another(tree):
            return False
    return False


def _calls_another(node: ast.AST) -> bool:
    """Whether a call of ``make_names_data``, another class's, is in there."""
    called = [found.func for found in ast.walk(node) if isinstance(found, ast.Call)]
    return any(isinstance(function, ast.Attribute) and function.attr == "make_names_data" for function in called)


def _is_yield(statement: ast.AST) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Yield)


def _yields_many(tree: ast.AST) -> bool:
    """Whether what is yielded comes out of a loop, in a row, or from elsewhere as a whole."""
    nodes = list(ast.walk(tree))
    yields = [node for node in nodes if isinstance(node, (ast.Yield, ast.YieldFrom))]
    if not yields:
        returned = [node.value for node in nodes if isinstance(node, ast.Return) and node.value is not None]
        return any(not isinstance(value, (ast.List, ast.Tuple)) or len(value.elts) != 1 for value in returned)
    loops = [node for node in nodes if isinstance(node, (ast.For, ast.While))]
    # A loop over what a base class yields is as long as that
    own_loops = [loop for loop in loops if not (isinstance(loop, ast.For) and _calls_another(loop.iter))]
    in_loops = {id(node) for loop in own_loops for node in ast.walk(loop)}
    bodies = [getattr(node, name, []) for node in nodes for name in ("body", "orelse")]
    if any(sum(map(_is_yield, body)) > 1 for body in bodies if isinstance(body, list)):
        return True
    return any(
        id(node) in in_loops or (isinstance(node, ast.YieldFrom) and not _calls_another(node.value)) for node in yields
    )
