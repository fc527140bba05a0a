"""Reading ahead: the facts of a host's next operations, in as few round trips as they depend on each other.

An operation's generator is run as far as the first fact that is not known yet; the facts that the next operations miss
are then read together, through the connector's ``run_fact_commands``, and so on until all are known or a command would
come. The values are in the host's fact cache when the operations run, and dead, as everything there, once something
changes: then as many operations as have changed nothing since, doubled, are looked at. Only pyinfra's own operations
are run ahead: those do nothing before their first command but read facts and local files.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .exceptions import ConnectError, PyinfraError
from .generators import would_change
from .reading import Reading
from .running import PendingFact

if TYPE_CHECKING:
    from .host import Host
    from .state import State


# How many operations are looked at first, and at most
FIRST_WINDOW = 16
LARGEST_WINDOW = 64


class Horizon:
    """How far ahead one host's facts have been read."""

    __slots__ = ("covered", "epoch", "window")

    def __init__(self) -> None:
        self.covered: frozenset[str] = frozenset()
        self.epoch = -1
        self.window = FIRST_WINDOW

    def covers(self, epoch: int, op_hash: str) -> bool:
        """Whether an operation's facts have been read, and nothing has changed since."""
        return epoch == self.epoch and op_hash in self.covered

    def next_window(self, epoch: int) -> int:
        """How many operations to look at now."""
        if self.covered and epoch != self.epoch:
            self.window = 1
        size = self.window
        self.window = min(size * 2, LARGEST_WINDOW)
        return size


def read_ahead(state: State, host: Host, op_hash: str) -> None:
    """Read the facts of an operation that is about to run, and of those after it, unless they are known."""
    horizon = host.horizon
    if horizon.covers(state.epoch, op_hash) or not can_read_together(state, host):
        return
    size = horizon.next_window(state.epoch)
    op_hashes = [op_hash]
    if size > 1:
        op_hashes = [other for other in state.next_operations(op_hash, size) if _can_run_ahead(state, host, other)]
        read_facts_of(state, host, op_hashes)
    horizon.covered = frozenset(op_hashes)
    horizon.epoch = state.epoch


def can_read_together(state: State, host: Host) -> bool:
    """Whether facts can be read together, kept, and need not be shown as they are read."""
    return (
        host.connected
        and hasattr(host.connector, "run_fact_commands")
        and bool(state.config.FACT_CACHE_SECONDS)
        and not (state.print_fact_input or state.print_fact_output or state.config.DIFF)
    )


def _can_run_ahead(state: State, host: Host, op_hash: str) -> bool:
    op_data = state.ops[host].get(op_hash)
    return (
        op_data is not None
        and op_data.runs_ahead
        and not op_data.global_arguments["_if"]
        and not op_data.operation_meta.is_complete()
    )


def read_facts_of(state: State, host: Host, op_hashes: Iterable[str]) -> None:
    """Read the facts of operations that have yet to run, round by round."""
    tried: set[Any] = set()
    waiting = list(op_hashes)
    while waiting:
        epoch, began = state.epoch, time.monotonic()
        pending: dict[Any, Reading] = {}
        still_waiting = []
        for op_hash in waiting:
            try:
                would_change(host, op_hash, state.ops[host][op_hash], pending)
            except PendingFact:
                still_waiting.append(op_hash)
            except Exception:  # it comes again when the operation runs, which is where it belongs
                continue
        wanted = {key: reading for key, reading in pending.items() if key not in tried}
        if not wanted:
            return
        tried.update(wanted)
        _read_together(state, host, wanted, epoch, began)
        waiting = still_waiting if state.epoch == epoch else []


def _read_together(state: State, host: Host, readings: dict[Any, Reading], epoch: int, began: float) -> None:
    """Read facts in one round trip, and keep the values; those that fail are left to be read at their time."""
    commands = []
    keys = []
    for key, reading in readings.items():
        with suppress(Exception):
            if reading.fact.check_preconditions(state, host) is None:
                commands.append((reading.command(), reading.arguments))
                keys.append(key)
    try:
        results = host.connector.run_fact_commands(  # type: ignore[attr-defined]
            commands,
            print_output=False,
            print_input=False,
        )
    except ConnectError as error:
        host.lost(error)
        return
    except (OSError, PyinfraError):
        return
    if state.epoch != epoch:
        return
    for key, (ok, output) in zip(keys, results, strict=True):
        if ok:
            with suppress(Exception):
                value, is_real = readings[key].understand(output.stdout_lines)
                if is_real:
                    host.fact_values.put(epoch, key, began, value)
