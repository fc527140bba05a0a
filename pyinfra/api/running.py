"""Whose generator the greenlet that asks is running: what a host says of its operation is true for that greenlet alone.

While an operation waits for a fact, the greenlets of other hosts run, and they may ask its host for something too.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .host import Host
    from .reading import Reading
    from .state import StateOperationHostData


class PendingFact(BaseException):
    """Ends an operation's generator that runs ahead, at what is not known or not to be done yet (see readahead.py)."""


@dataclass(slots=True)
class Running:
    """An operation's generator while it runs.

    Args:
        host: the host whose operation it is
        op_hash: the operation
        op_data: likewise, as the host runs it
        pending_facts: where the facts that it misses go, if it runs ahead of its turn
        has_asked: whether it has asked its host for a fact
    """

    host: Host
    op_hash: str
    op_data: StateOperationHostData
    pending_facts: dict[Any, Reading] | None = None
    has_asked: bool = False


# The innermost, where the generator of one operation asks about another
_running: ContextVar[Running | None] = ContextVar("_running", default=None)


def running_generator() -> Running | None:
    """The operation's generator that this greenlet is running, on whichever host."""
    return _running.get()


def running_on(host: Host) -> Running | None:
    """The operation's generator that this greenlet is running for a host."""
    running = _running.get()
    # Equal rather than the same: deploy code may give the context's `host`
    return running if running is not None and running.host == host else None


def require_turn() -> None:
    """Raise :class:`PendingFact` in a generator that runs ahead: it may read, and do nothing before its turn."""
    running = _running.get()
    if running is not None and running.pending_facts is not None:
        raise PendingFact


def set_running(running: Running | None) -> Running | None:
    """Have this greenlet run a generator, or none; returns which it ran before."""
    before = _running.get()
    _running.set(running)
    return before
