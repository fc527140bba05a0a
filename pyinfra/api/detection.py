"""Change detection: which operations would change something, found out while the deploy code runs.

Each operation's generator is run as far as its first command. While a deploy file runs, one that misses a fact waits
for the end of the file, so that the facts of all those are read together (see readahead.py); what asks for a result, or
may change the host, makes it known before. Mistakes in a call come out at once where no fact is needed to see them, and
else with the line of the call.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from .exceptions import OperationError
from .generators import would_change
from .order import user_frame
from .readahead import can_read_together, read_facts_of
from .running import PendingFact

if TYPE_CHECKING:
    from .host import Host
    from .reading import Reading
    from .state import State, StateOperationHostData


class DeployLine(NamedTuple):
    """Where deploy code has got to when it calls an operation: the frame goes on."""

    frame: FrameType | None
    instruction: int = 0
    number: int = 0

    @classmethod
    def of_caller(cls) -> DeployLine:
        """The innermost line of the user's code that is running now."""
        frame = user_frame(sys._getframe(1))
        return cls(None) if frame is None else cls(frame, frame.f_lasti, frame.f_lineno)

    def before(self, rest: TracebackType | None) -> TracebackType | None:
        """A traceback that begins with this line."""
        return rest if self.frame is None else TracebackType(rest, self.frame, self.instruction, self.number)


# The host whose deploy code a greenlet is running, and its operations that wait, with where they were called
_undetected: ContextVar[tuple[Host, dict[str, DeployLine]] | None] = ContextVar("_undetected", default=None)


@contextmanager
def detecting_together(state: State, host: Host) -> Iterator[None]:
    """Around deploy code: the host's operations may share the round trips of their change detection."""
    if _waiting_of(host) is not None:
        yield
        return
    before = _undetected.get()
    _undetected.set((host, {}))
    try:
        yield
        detect_rest(state, host)
    finally:
        _undetected.set(before)


def _waiting_of(host: Host) -> dict[str, DeployLine] | None:
    """A host's operations that are waiting, if this greenlet is running its deploy code."""
    undetected = _undetected.get()
    return undetected[1] if undetected is not None and undetected[0] is host else None


def detect_changes(state: State, host: Host, op_hash: str, op_data: StateOperationHostData) -> None:
    """Find out whether an operation that is being recorded would change something, now or at the end of the file."""
    waiting = _waiting_of(host)
    pending_facts: dict[Any, Reading] | None = None
    if waiting is not None and op_data.runs_ahead and not (state.print_noop_info or state.print_fact_info):
        pending_facts = {} if can_read_together(state, host) else None
    try:
        change = would_change(host, op_hash, op_data, pending_facts)
    except PendingFact:
        assert waiting is not None
        waiting[op_hash] = DeployLine.of_caller()
        return
    except OperationError:
        if not waiting:
            raise
        # Whether earlier ones change something decides what this means
        detect_rest(state, host)
        change = would_change(host, op_hash, op_data)
    _conclude(state, host, op_data, change)


def detect_rest(state: State, host: Host) -> None:
    """Find out about the operations of a host that are waiting for it, if this greenlet is running its deploy code."""
    found = _waiting_of(host)
    if not found:
        return
    waiting = found.copy()
    found.clear()
    read_facts_of(state, host, waiting)
    for op_hash, line in waiting.items():
        op_data = state.ops[host][op_hash]
        try:
            change = would_change(host, op_hash, op_data)
        except Exception as error:
            raise error.with_traceback(line.before(error.__traceback__)) from error.__cause__
        _conclude(state, host, op_data, change)


def _conclude(state: State, host: Host, op_data: StateOperationHostData, change: bool) -> None:
    """Take note of what was found out."""
    op_data.operation_meta.found_out(change)
    counts = state.meta[host]
    if change:
        counts.ops_change += 1
    else:
        counts.ops_no_change += 1
