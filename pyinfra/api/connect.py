"""Connecting to hosts, disconnecting from them, and doing something on all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import gevent

from pyinfra import logger
from pyinfra.context import ctx_host, ctx_state

from .exceptions import PyinfraError
from .failures import as_exception

if TYPE_CHECKING:
    from gevent.pool import Pool

    from .host import Host
    from .state import State

T = TypeVar("T")


def outcomes(
    state: State,
    hosts: Iterable[Host],
    function: Callable[[Host], T],
    pool: Pool | None = None,
) -> list[tuple[Host, T, BaseException | None]]:
    """Call a function for each host, in its context, on all of them at once.

    Args:
        state: the run
        hosts: the hosts, in order
        function: what to call; its errors are returned, since those that end a greenlet are printed by gevent
        pool: how many at once; the run's own by default

    Returns each host with what the function returned for it, and the error instead if it raised one.
    """

    def call(host: Host) -> tuple[Any, BaseException | None]:
        ctx_host.set(host)
        try:
            return function(host), None
        except (Exception, SystemExit, gevent.Timeout) as error:
            return None, error

    if pool is None:
        # One that is at work may be full of greenlets that wait for this
        pool = state.make_pool(state.pool.size) if len(state.pool) else state.pool
    with ctx_state.use(state):
        greenlets = [(host, pool.spawn(call, host)) for host in hosts]
        return [(host, *greenlet.get()) for host, greenlet in greenlets]


def on_hosts(
    state: State,
    hosts: Host | Iterable[Host] | None,
    function: Callable[[], T],
    call: Hashable = None,
) -> dict[Host, T]:
    """Call a function for each host, in its context, on all of them at once.

    Args:
        state: the run
        hosts: one host, several, or ``None`` for all active ones
        function: what to call; the first error, in the order of the hosts, is raised when all are done
        call: what the caller was asked to do: the operations that the function adds belong together on all hosts

    Returns what it returned, by host.
    """
    if hosts is None:
        chosen = state.inventory.get_active_hosts()
    else:
        chosen = list(hosts) if isinstance(hosts, Iterable) else [hosts]
        for host in chosen:
            if host not in state.ops:
                raise PyinfraError(f"`host` takes hosts of the run, as inventory.get_host(…) gives them, not {host!r}")

    number = state.number_of_call(call, chosen)

    def add(host: Host) -> T:
        before, host.adding = host.adding, number
        try:
            return function()
        finally:
            host.adding = before

    values = {}
    for host, value, error in outcomes(state, chosen, add):
        if error is not None:
            raise error
        values[host] = value
    return values


def connect_all(state: State) -> None:
    """Connect to all hosts of the run, all at once; those that cannot be reached fail.

    Raises:
        ConnectorDataTypeError: host data that a connector reads has the wrong type, found before anything connects
        PyinfraError: no host is left, or too many failed
    """
    hosts = [host for host in state.inventory if state.is_host_in_limit(host)]
    for host in hosts:
        host.make_connector()

    failed = []
    for host, connected, error in outcomes(state, hosts, lambda host: host.connect()):
        if isinstance(error, gevent.Timeout):
            host.connect_failed(as_exception(error))
        elif error is not None:
            raise error
        if connected:
            state.activate_host(host)
        else:
            failed.append(host)
    state.fail_hosts(failed, activated_count=len(hosts))


def disconnect_all(state: State) -> None:
    """Disconnect from all hosts that are connected; errors are logged and nothing more."""

    def disconnect(host: Host) -> None:
        try:
            host.disconnect()
        except (Exception, gevent.Timeout) as error:
            logger.warning("[%s] Could not disconnect: %s", host.name, error)

    outcomes(state, [host for host in state.inventory if host.connected or host.broken], disconnect)
