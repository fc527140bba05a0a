"""Connecting to hosts, disconnecting from them, and doing something on all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from pyinfra import logger
from pyinfra.context import ctx_host, ctx_state

if TYPE_CHECKING:
    from .host import Host
    from .state import State

T = TypeVar("T")


def on_hosts(
    state: State,
    hosts: Host | Iterable[Host] | None,
    function: Callable[[], T],
) -> dict[Host, T]:
    """Call a function for each host, in its context, on all of them at once.

    Args:
        state: the run
        hosts: one host, several, or ``None`` for all active ones
        function: what to call; the first error, in inventory order, is raised when all are done

    Returns what it returned, by host.
    """
    if hosts is None:
        chosen = state.inventory.get_active_hosts()
    else:
        chosen = list(hosts) if isinstance(hosts, Iterable) else [hosts]

    def call(host: Host) -> T:
        ctx_host.set(host)
        return function()

    with ctx_state.use(state):
        greenlets = [(host, state.pool.spawn(call, host)) for host in chosen]
        for _, greenlet in greenlets:
            greenlet.join()
    return {host: greenlet.get() for host, greenlet in greenlets}


def connect_all(state: State) -> None:
    """Connect to all hosts of the run, all at once; those that cannot be reached fail.

    Raises:
        ConnectorDataTypeError: host data that a connector reads has the wrong type, found before anything connects
        PyinfraError: no host is left, or too many failed
    """
    hosts = [host for host in state.inventory if state.is_host_in_limit(host)]
    for host in hosts:
        host.make_connector()

    def connect(host: Host) -> bool:
        ctx_host.set(host)
        return host.connect()

    with ctx_state.use(state):
        greenlets = [(host, state.pool.spawn(connect, host)) for host in hosts]
        for _, greenlet in greenlets:
            greenlet.join()
    failed = []
    for host, greenlet in greenlets:
        if greenlet.get():
            state.activate_host(host)
        else:
            failed.append(host)
    state.fail_hosts(failed, activated_count=len(hosts))


def disconnect_all(state: State) -> None:
    """Disconnect from all hosts that are connected; errors are logged and nothing more."""

    def disconnect(host: Host) -> None:
        try:
            host.disconnect()
        except Exception as error:
            logger.warning("[%s] Could not disconnect: %s", host.name, error)

    greenlets = [state.pool.spawn(disconnect, host) for host in state.inventory if host.connected or host.broken]
    for greenlet in greenlets:
        greenlet.join()
