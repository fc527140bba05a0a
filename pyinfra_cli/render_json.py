"""What ``--json`` writes to standard output."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

import click

from pyinfra.api.masking import masked

from .exceptions import CliError
from .plan import done_operations, names_in_order, operation_title, planned_operations
from .prints import jsonify

if TYPE_CHECKING:
    from pyinfra.api.host import Host
    from pyinfra.api.state import State, StateOperationMeta

    from .terminal import Terminal

# Of a failed command's standard error
_LAST_LINES = 200


class FactCollector:
    """A callback handler that keeps the facts that are read, secrets masked: ``values[title][host name]``."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, Any]] = {}

    def host_fact_value(
        self,
        state: State,
        host: Host,
        fact_name: str,
        args_text: str,
        value: Any,
    ) -> None:
        """A fact was read."""
        title = f"{fact_name} ({args_text})" if args_text else fact_name
        self.values.setdefault(title, {})[host.name] = masked(value)


def write_json(terminal: Terminal, value: Any) -> None:
    """Write one value, on one line, to standard output, after all that was written for people so far.

    A reader that has gone away gets nothing, and the run goes on.

    Raises:
        CliError: it cannot be written
    """
    terminal.flush()
    try:
        click.echo(jsonify(value), file=terminal.output)
    except OSError as error:
        _let_go_of(terminal.output)
        if not isinstance(error, BrokenPipeError):
            raise CliError(f"Cannot write JSON to standard output: {error.strerror}") from error


def _let_go_of(output: IO[str]) -> None:
    """Have what could not be written go nowhere: at its end Python would try once more, and complain."""
    with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), output.fileno())


def _described(op_hash: str, op_meta: StateOperationMeta) -> dict[str, Any]:
    return {
        "op_hash": op_hash,
        "name": operation_title(op_meta),
        "names": sorted(op_meta.names),
        "args": op_meta.args,
    }


def plan_as_data(state: State) -> list[dict[str, Any]]:
    """The operations, with the hosts that each would change."""
    return [
        {
            **_described(planned.op_hash, planned.op_meta),
            "hosts_with_change": planned.changed,
            "hosts_with_conditional_change": planned.conditionally_changed,
        }
        for planned in planned_operations(state)
    ]


def results_as_data(state: State) -> dict[str, Any]:
    """What became of the operations, the sums of that, and the hosts that failed."""
    operations = []
    totals = {"hosts": 0, "success": 0, "error": 0, "no_change": 0}
    for done in done_operations(state):
        outcome = {"success": done.success, "error": done.error, "no_change": done.no_change}
        more = _if_any(ignored=done.ignored, retries=done.retries)
        operations.append({**_described(done.op_hash, done.op_meta), "hosts": done.hosts, **outcome, **more})
        totals["hosts"] += done.hosts
        for key, names in outcome.items():
            totals[key] += len(names)
    failed = {*state.failed_hosts, *state.connect_failures}
    return {"operations": operations, "totals": totals, "failed_hosts": names_in_order(state, failed)}


def _if_any(**values: Any) -> dict[str, Any]:
    """What is there of things that most runs have none of."""
    return {key: value for key, value in values.items() if value}


def run_as_data(state: State, plan: list[dict[str, Any]], results: dict[str, Any] | None) -> dict[str, Any]:
    """A run: what was planned, what became of it, and in detail the errors and the hosts that could not be reached.

    Args:
        state: the run
        plan: as :func:`plan_as_data` gives it
        results: as :func:`results_as_data` gives them, ``None`` where nothing was to be run
    """
    details = _if_any(failures=_failures_as_data(state), unreachable=_unreachable_as_data(state))
    return {"plan": plan, "results": results, **details}


def _failures_as_data(state: State) -> list[dict[str, Any]]:
    return [
        {
            "host": failure.host.name,
            "op_hash": failure.op_hash,
            # None: it was no operation, but the deploy code that asked for a fact
            "operation": None if failure.op_hash is None else operation_title(state.op_meta[failure.op_hash]),
            "command": failure.command,
            "exit_code": failure.exit_code,
            "stderr": list(failure.stderr_lines[-_LAST_LINES:]),
            "error": failure.error_text or None,
        }
        for failure in state.failures_in_order()
    ]


def _unreachable_as_data(state: State) -> list[dict[str, Any]]:
    return [
        {"host": host.name, "error": str(state.connect_failures[host])}
        for host in state.inventory
        if host in state.connect_failures
    ]


def inventory_as_data(hosts: Iterable[Host]) -> list[dict[str, Any]]:
    """The hosts with their groups and data, secrets masked."""
    return [{"name": host.name, "groups": host.groups, "data": masked(host.data.dict())} for host in hosts]


def operations_as_data(state: State) -> dict[str, Any]:
    """All that was recorded while preparing: by host, by operation, and the order."""
    order = state.get_op_order()
    return {
        "operations": {
            host.name: {
                op_hash: {
                    "global_arguments": masked(op_data.global_arguments),
                    "will_change": op_data.operation_meta.will_change if state.check_for_changes else None,
                }
                for op_hash, op_data in state.ops[host].items()
            }
            for host in state.inventory
        },
        "op_meta": {
            op_hash: {
                "names": sorted(op_meta.names),
                "args": op_meta.args,
                "op_order": list(op_meta.op_order),
                "global_arguments": masked(op_meta.global_arguments),
            }
            for op_hash, op_meta in state.op_meta.items()
        },
        "op_order": [
            {
                "op_hash": op_hash,
                "names": sorted(state.op_meta[op_hash].names),
                "hosts": [host.name for host in state.inventory if op_hash in state.ops[host]],
            }
            for op_hash in order
        ],
    }
