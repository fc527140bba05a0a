"""Running the recorded operations: one after the other, each on all its hosts together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from pyinfra.context import ctx_state

from .connect import outcomes
from .hostoperation import run_host_op as run_host_op

if TYPE_CHECKING:
    from gevent.pool import Pool

    from .host import Host
    from .state import State


def _runs_on(state: State, host: Host, op_hash: str) -> bool:
    """Whether an operation has yet to run on a host that is still in the run."""
    op_data = state.ops[host].get(op_hash)
    return op_data is not None and host in state.active_hosts and not op_data.operation_meta.is_complete()


def _run_on_hosts(
    state: State,
    hosts: Iterable[Host],
    function: Callable[[Host], bool],
    pool: Pool | None = None,
) -> list[Host]:
    """Call a function in each host's context; returns the hosts on which it said no, in order."""
    failed = []
    for host, goes_on, error in outcomes(state, hosts, function, pool):
        if error is not None:
            raise error
        if not goes_on:
            failed.append(host)
    return failed


def _leave_to(state: State, host: Host, op_hash: str) -> None:
    """Have all hosts but one take an operation for done."""
    for other in state.inventory:
        op_data = state.ops[other].get(op_hash)
        if other is not host and op_data is not None and not op_data.operation_meta.is_complete():
            op_data.operation_meta.set_complete(True, [], None)
            op_data.left_to_another = True


def _run_op(state: State, op_hash: str) -> None:
    """Run one operation on all its hosts, as its global arguments say."""
    op_meta = state.op_meta[op_hash]
    if op_meta.parent_op_hash is not None:
        return
    hosts = [host for host in state.inventory if _runs_on(state, host, op_hash)]
    if not hosts or state.interrupted:
        return
    arguments = op_meta.global_arguments
    state.trigger_callbacks("operation_start", op_hash)
    if arguments["_run_once"]:
        hosts = hosts[:1]
        _leave_to(state, hosts[0], op_hash)

    def run(host: Host) -> bool:
        return state.interrupted or run_host_op(state, host, op_hash)

    failed: list[Host] = []
    try:
        if arguments["_serial"]:
            for host in hosts:
                # Too many may have failed for the next one to begin
                state.fail_hosts(_run_on_hosts(state, [host], run))
        else:
            own_limit = arguments["_parallel"]
            pool = None if own_limit == state.config.PARALLEL else state.make_pool(own_limit)
            failed = _run_on_hosts(state, hosts, run, pool)
    finally:
        state.trigger_callbacks("operation_end", op_hash)
    state.fail_hosts(failed)


def _run_all_on_host(state: State, host: Host, order: Iterable[str]) -> bool:
    """Run all of a host's operations, waiting for no other host; returns whether none failed."""
    for op_hash in order:
        op_meta = state.op_meta[op_hash]
        if op_meta.parent_op_hash is not None or not _runs_on(state, host, op_hash):
            continue
        if state.interrupted:
            return True
        if op_meta.global_arguments["_run_once"]:
            _leave_to(state, host, op_hash)
        state.trigger_callbacks("operation_start", op_hash)
        succeeded = run_host_op(state, host, op_hash)
        state.trigger_callbacks("operation_end", op_hash)
        if not succeeded:
            return False
    return True


def run_ops(state: State, serial: bool = False, no_wait: bool = False) -> None:
    """Run all operations that have not run yet.

    Args:
        state: the run
        serial: host by host, each through all operations
        no_wait: all hosts at once, none waiting for another after an operation

    Raises:
        PyinfraError: no host is left, or too many failed
    """
    order = state.get_op_order()

    def run_all(host: Host) -> bool:
        return _run_all_on_host(state, host, order)

    state.is_executing = True
    try:
        if serial:
            for host in state.inventory.get_active_hosts():
                state.fail_hosts(_run_on_hosts(state, [host], run_all))
        elif no_wait:
            state.fail_hosts(_run_on_hosts(state, state.inventory.get_active_hosts(), run_all))
        else:
            with ctx_state.use(state):
                for op_hash in order:
                    _run_op(state, op_hash)
    finally:
        state.is_executing = False
