"""What is to be done, and what was done, counted operation by operation: for tables and for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyinfra.api.host import Host
    from pyinfra.api.state import State, StateOperationHostData, StateOperationMeta


def operation_title(op_meta: StateOperationMeta) -> str:
    """An operation as tables name it: its names, and its arguments if it has no name of its own."""
    names = ", ".join(sorted(op_meta.names))
    return f"{names} ({', '.join(op_meta.args)})" if op_meta.args else names


@dataclass(slots=True)
class PlannedOperation:
    """An operation, and the hosts that it would change: for sure, or if its conditions hold."""

    op_hash: str
    op_meta: StateOperationMeta
    changed: list[str] = field(default_factory=list)
    conditionally_changed: list[str] = field(default_factory=list)


@dataclass(slots=True)
class DoneOperation:
    """An operation, and what became of it on its hosts, by name; those that it never reached are counted only."""

    op_hash: str
    op_meta: StateOperationMeta
    hosts: int = 0
    success: list[str] = field(default_factory=list)
    error: list[str] = field(default_factory=list)
    no_change: list[str] = field(default_factory=list)
    # Of those with an error, the hosts that went on all the same
    ignored: list[str] = field(default_factory=list)
    # How often it was tried again, by host
    retries: dict[str, int] = field(default_factory=dict)


def _on_hosts(state: State, op_hash: str) -> Iterator[tuple[Host, StateOperationHostData]]:
    """The hosts of an operation; of one that runs once, the host that it ran on or would."""
    runs_once = state.op_meta[op_hash].global_arguments["_run_once"]
    for host in state.inventory:
        op_data = state.ops[host].get(op_hash)
        if op_data is None or op_data.left_to_another:
            continue
        yield host, op_data
        if runs_once:
            return


def planned_operations(state: State) -> list[PlannedOperation]:
    """The operations in the order in which they run; without hosts where changes were not looked for."""
    plan = []
    for op_hash in state.get_op_order():
        planned = PlannedOperation(op_hash, state.op_meta[op_hash])
        plan.append(planned)
        if not state.check_for_changes:
            continue
        for host, op_data in _on_hosts(state, op_hash):
            if op_data.operation_meta.will_change:
                conditional = bool(op_data.global_arguments.get("_if"))
                (planned.conditionally_changed if conditional else planned.changed).append(host.name)
    return plan


def done_operations(state: State) -> Iterator[DoneOperation]:
    """What became of the operations, one after the other, in their order."""
    for op_hash in state.get_op_order():
        done = DoneOperation(op_hash, state.op_meta[op_hash])
        for host, op_data in _on_hosts(state, op_hash):
            done.hosts += 1
            meta = op_data.operation_meta
            if not meta.is_complete():
                continue
            if meta.was_retried:
                done.retries[host.name] = meta.retry_attempts
            if not meta.did_succeed():
                done.error.append(host.name)
                if op_data.error_ignored:
                    done.ignored.append(host.name)
            elif meta.did_change():
                done.success.append(host.name)
            else:
                done.no_change.append(host.name)
        yield done


def names_in_order(state: State, hosts: Iterable[Host]) -> list[str]:
    """The names of some hosts, in the inventory's order."""
    chosen = set(hosts)
    return [host.name for host in state.inventory if host in chosen]
