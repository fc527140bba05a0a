"""Tables and data for people to read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyinfra.api.masking import masked

from .plan import done_operations, names_in_order, operation_title, planned_operations
from .terminal import Terminal, current_terminal
from .util import presentable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyinfra.api.failures import HostFailure
    from pyinfra.api.host import Host
    from pyinfra.api.inventory import Inventory
    from pyinfra.api.state import State

# Host names in tables are cut here
_NAMES_WIDTH = 48
_COLUMN_GAP = 3
_LAST_LINES = 10


def jsonify(data: Any, *args: Any, **kwargs: Any) -> str:
    """``data`` as JSON, whatever is in it, its secrets masked; the further arguments are those of ``json.dumps``."""
    return json.dumps(presentable(data), *args, **kwargs)


def print_table(
    terminal: Terminal, head: Sequence[str], rows: Sequence[Sequence[str]], last_is_total: bool = False
) -> None:
    """Write a table: columns as wide as their longest cell, the names of operations and hosts as they are."""
    widths = [max(len(row[column]) for row in (head, *rows)) + _COLUMN_GAP for column in range(len(head))]
    for number, row in enumerate((head, *rows)):
        is_bold = number == 0 or (last_is_total and number == len(rows))
        cells = [
            f"{terminal.style(cell, bold=True) if is_bold else cell}{' ' * (width - len(cell))}"
            for cell, width in zip(row, widths, strict=True)
        ]
        terminal.line(f"    {''.join(cells)}")
    terminal.line()


def _count(number: int) -> str:
    return str(number) if number else "-"


def _count_and_names(names: Sequence[str]) -> str:
    """``2 (a, b)``, cut where it gets long."""
    if not names:
        return "-"
    text = ", ".join(sorted(names))
    if len(text) > _NAMES_WIDTH:
        text = f"{text[: _NAMES_WIDTH - 3]}..."
    return f"{len(names)} ({text})"


def print_meta(state: State) -> None:
    """Write the table of the changes that were detected."""
    rows = [
        (
            operation_title(planned.op_meta),
            _count_and_names(planned.changed),
            _count_and_names(planned.conditionally_changed),
        )
        for planned in planned_operations(state)
    ]
    terminal = current_terminal()
    print_table(terminal, ("Operation", "Change", "Conditional Change"), rows)
    terminal.flush()


def print_results(state: State) -> None:
    """Write the table of what became of the operations."""
    rows = []
    totals = [0, 0, 0, 0]
    for done in done_operations(state):
        counts = [done.hosts, len(done.success), len(done.error), len(done.no_change)]
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
        rows.append((operation_title(done.op_meta), *map(_count, counts)))
    rows.append(("Grand total", *map(_count, totals)))
    terminal = current_terminal()
    print_table(terminal, ("Operation", "Hosts", "Success", "Error", "No Change"), rows, last_is_total=True)
    terminal.flush()


def print_failures(state: State) -> None:
    """Write, for each host that failed, what it was doing and what it said; hosts that were never reached apart."""
    terminal = current_terminal()
    if state.failures:
        terminal.stage("Failed hosts:")
        for failure in state.failures_in_order():
            _print_failure(terminal, state, failure)
        terminal.line()
    if state.connect_failures:
        terminal.stage("Hosts that could not be reached:")
        for name in names_in_order(state, state.connect_failures):
            error = state.connect_failures[state.inventory.hosts[name]]
            terminal.line(f"    [{terminal.style(name, bold=True)}] {terminal.style(str(error), fg='red')}")
        terminal.line()


def _print_failure(terminal: Terminal, state: State, failure: HostFailure) -> None:
    doing = "Reading facts" if failure.op_hash is None else operation_title(state.op_meta[failure.op_hash])
    terminal.line(f"    [{terminal.style(failure.host.name, bold=True)}] {terminal.style(doing, fg='red')}")
    details = []
    if failure.command is not None:
        details.append(f"Command: {failure.command}")
    if failure.exit_code is not None:
        details.append(f"Exit code: {failure.exit_code}")
    if failure.error is not None:
        details.append(f"Error: {failure.error_text}")
    details.extend(failure.stderr_lines[-_LAST_LINES:])
    for detail in details:
        for line in detail.split("\n"):
            terminal.line(f"        {line}")


def print_fact_data(title: str, values: dict[str, Any]) -> None:
    """Write what a fact is on each host."""
    terminal = current_terminal()
    terminal.stage(f"Fact data for: {terminal.style(title, bold=True)}")
    terminal.line(jsonify(values, indent=4))
    terminal.line()


def print_inventory(inventory: Inventory, hosts: Iterable[Host]) -> None:
    """Write each host's groups and data."""
    terminal = current_terminal()
    for host in hosts:
        terminal.line()
        terminal.line(host.print_prefix)
        terminal.stage(f"Groups: {', '.join(host.groups)}")
        terminal.stage("Data:")
        terminal.line(jsonify(masked(host.data.dict()), indent=4))
