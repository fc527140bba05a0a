"""Running an operation's generator, for its commands or to see whether it has any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .exceptions import OperationError
from .running import Running, running_generator, set_running

if TYPE_CHECKING:
    from .host import Host
    from .reading import Reading
    from .state import StateOperationHostData


def commands_of(running: Running) -> Iterator[Any]:
    """What an operation's generator yields, which finds on the host what belongs to the operation while it runs.

    Raises:
        PendingFact: it runs ahead, and misses a fact or would do something before its turn
    """
    around = running_generator()
    if running.pending_facts is None and around is not None and around.host is running.host:
        # A generator that runs ahead asks about another operation
        running.pending_facts = around.pending_facts
    generator: Iterator[Any] | None = None
    while True:
        before = set_running(running)
        try:
            if generator is None:
                generator = running.op_data.command_generator()
            command = next(generator)
        except StopIteration:
            return
        finally:
            set_running(before)
        yield command


def would_change(
    host: Host,
    op_hash: str,
    op_data: StateOperationHostData,
    pending_facts: dict[Any, Reading] | None = None,
) -> bool:
    """Whether an operation has at least one command to run, as far as can be told now.

    One that finds on the host that it cannot do what it was asked to counts where an earlier operation would change
    something: that may be what it needs, such as the folder to put something into, and its turn will tell.

    Args:
        host, op_hash, op_data: the operation
        pending_facts: where the facts that it misses go, to be read together

    Raises:
        PendingFact: a fact went there, or something is not to be done yet
    """
    running = Running(host, op_hash, op_data, pending_facts)
    try:
        return next(commands_of(running), None) is not None
    except OperationError as error:
        # Wrong arguments stay so
        is_of_call = isinstance(error, (TypeError, ValueError)) or not running.has_asked
        if is_of_call or not host.state.meta[host].ops_change:
            raise
        return True
