"""The state of one run: its hosts, the operations recorded for them, and what became of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from gevent import Timeout
from gevent.event import Event
from gevent.pool import Group, Pool

from pyinfra import logger
from pyinfra.context import ctx_state

from .callbacks import BaseStateCallback as BaseStateCallback
from .callbacks import StateStage as StateStage
from .config import Config
from .exceptions import PyinfraError
from .order import merge_orders

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .arguments import AllArguments, Arguments
    from .failures import HostFailure
    from .host import Host
    from .inventory import Inventory
    from .operation import OperationMeta


@dataclass(slots=True)
class StateOperationMeta:
    """An operation, on whichever hosts it runs."""

    op_order: tuple[int, ...]
    names: set[str] = field(default_factory=set)
    args: list[str] = field(default_factory=list)
    global_arguments: AllArguments = field(default_factory=dict)  # type: ignore[assignment]
    # The operation whose callback called this one
    parent_op_hash: str | None = None


@dataclass(slots=True, eq=False)
class StateOperationHostData:
    """An operation as one host runs it."""

    command_generator: Callable[[], Iterator[Any]]
    global_arguments: Arguments
    operation_meta: OperationMeta
    parent_op_hash: str | None = None
    # Data defaults of the @deploy functions around the call
    deploy_data: dict[str, Any] | None = None
    # Whether the generator's facts are read with the operation's global arguments by default
    sets_in_op: bool = True
    # Whether the generator may run before its turn, to see which facts it reads
    runs_ahead: bool = False
    # Whether there are secrets among its arguments, so that what it reads of the host may hold them too
    has_secrets: bool = False
    # Whether another host has run it for all of them
    left_to_another: bool = False
    # Whether it failed, and the host went on all the same
    error_ignored: bool = False


@dataclass(slots=True)
class StateHostMeta:
    """What change detection found on one host: counts of operations."""

    ops: int = 0
    ops_change: int = 0
    ops_no_change: int = 0
    op_hashes: set[str] = field(default_factory=set)


@dataclass(slots=True)
class StateHostResults:
    """What became of the operations on one host: counts."""

    ops: int = 0
    success_ops: int = 0
    error_ops: int = 0
    ignored_error_ops: int = 0
    partial_ops: int = 0


class State:
    """One run over an inventory.

    Args:
        inventory: the hosts; without it, call :meth:`init` later
        config: the settings; defaults without it
        check_for_changes: whether operations find out while preparing if they would change anything
        kwargs: passed to :meth:`init`
    """

    inventory: Inventory
    config: Config
    pool: Pool

    initialised: bool = False
    current_stage: StateStage = StateStage.Setup
    stage_warnings: dict[StateStage, int]
    is_executing: bool = False
    check_for_changes: bool = True
    print_noop_info: bool = False
    print_fact_info: bool = False
    print_input: bool = False
    print_fact_input: bool = False
    print_output: bool = False
    print_fact_output: bool = False
    # The folder that deploy files are relative to, and the files that are being loaded
    cwd: str | None = None
    current_deploy_filename: str | None = None
    current_exec_filename: str | None = None
    current_op_file_number: int = 0
    # Asked when hosts failed and others are left: whether to end the run
    should_raise_failed_hosts: Callable[[State], bool] | None = None

    def __init__(
        self,
        inventory: Inventory | None = None,
        config: Config | None = None,
        check_for_changes: bool = True,
        **kwargs: Any,
    ) -> None:
        self.check_for_changes = check_for_changes
        self.stage_warnings = defaultdict(int)
        self.callback_handlers: list[Any] = []
        self.interrupted = False
        self._interruption = Event()
        # Beside the run's own
        self._further_pools: WeakSet[Pool] = WeakSet()
        # The greenlets of kill_running
        self._killers = Group()
        # Moves with everything that may change anything: facts read before are dead (see factcache.py)
        self.epoch = 0
        if inventory is not None:
            self.init(inventory, config, **kwargs)

    def init(self, inventory: Inventory, config: Config | None, initial_limit: Iterable[Host] | None = None) -> None:
        """Begin with these hosts and settings; ``initial_limit`` are the hosts to work on, all by default."""
        self.inventory = inventory
        self.config = Config() if config is None else config
        self.pool = Pool(self.config.PARALLEL or None)
        self.limit_hosts: list[Host] | None = None if initial_limit is None else list(initial_limit)
        self._limit_set = None if self.limit_hosts is None else set(self.limit_hosts)

        self.activated_hosts: set[Host] = set()
        self.active_hosts: set[Host] = set()
        self.failed_hosts: set[Host] = set()
        self.connect_failures: dict[Host, Exception] = {}
        self.failures: list[HostFailure] = []

        self.op_meta: dict[str, StateOperationMeta] = {}
        self.ops: dict[Host, dict[str, StateOperationHostData]] = {}
        self.meta: dict[Host, StateHostMeta] = {}
        self.results: dict[Host, StateHostResults] = {}
        self._order: tuple[int, list[str], dict[str, int]] = (-1, [], {})
        self._recorded = 0
        # The numbers of calls of add_op and add_deploy, by how many operations their hosts had (see number_of_call)
        self._calls: dict[tuple[int, Hashable], int] = {}
        self._call_numbers = count()
        self._has_nested = False

        inventory.state = self
        for host in inventory:
            self.ops[host] = {}
            self.meta[host] = StateHostMeta()
            self.results[host] = StateHostResults()
            host.init(self)
        self.initialised = True
        if not ctx_state.isset():
            ctx_state.set_base(self)

    # Events

    def add_callback_handler(self, handler: Any) -> None:
        """Have a :class:`BaseStateCallback` (a class or an object) told of everything."""
        self.callback_handlers.append(handler)

    def trigger_callbacks(self, method_name: str, *args: Any, **kwargs: Any) -> None:
        """Tell all handlers; one that lacks the method is passed over."""
        for handler in self.callback_handlers:
            method = getattr(handler, method_name, None)
            if method is not None:
                method(self, *args, **kwargs)

    def set_stage(self, stage: StateStage) -> None:
        """Go on to a later stage."""
        if stage < self.current_stage:
            raise PyinfraError(f"Cannot go back from stage {self.current_stage.name} to {stage.name}")
        self.current_stage = stage
        self.trigger_callbacks("stage_start", stage)

    def increment_warning_counter(self) -> None:
        """Count one warning in this stage."""
        self.stage_warnings[self.current_stage] += 1

    def get_warning_counter(self) -> int:
        """How many warnings this stage has had."""
        return self.stage_warnings[self.current_stage]

    def should_check_for_changes(self) -> bool:
        """Whether an operation that is recorded now finds out if it would change anything."""
        return self.check_for_changes

    # Ending early

    def interrupt(self) -> None:
        """Stop after the commands that are under way."""
        self.interrupted = True
        self._interruption.set()

    def wait_for_interruption(self, seconds: float) -> bool:
        """Wait so many seconds, or until the run is to stop; returns whether it is."""
        return bool(self._interruption.wait(seconds))

    def make_pool(self, size: int | None) -> Pool:
        """A pool of so many greenlets that work on hosts, beside the run's own; 0 or ``None``: any number."""
        pool = Pool(size or None)
        self._further_pools.add(pool)
        return pool

    def kill_greenlets(self, wait: float | None = None) -> None:
        """End all greenlets that work on the hosts.

        Args:
            wait: the most seconds to wait for the end of them
        """
        pools = [self.pool, *self._further_pools]
        for pool in pools:
            pool.kill(block=False)
        if wait is not None:
            with Timeout(wait, False):
                for pool in pools:
                    pool.kill()

    def kill_running(self, wait: float | None = None) -> None:
        """End what runs on the hosts now, as far as their connectors can.

        Args:
            wait: the most seconds to wait for the end of it, and of what earlier calls are ending
        """
        for host in self.inventory.iter_activated_hosts():
            kill = getattr(host.connector, "kill_running", None)
            if host.connected and kill is not None:
                self._killers.spawn(self._kill_running_on, host, kill)
        if wait is not None:
            self._killers.join(wait)

    @staticmethod
    def _kill_running_on(host: Host, kill: Callable[[], None]) -> None:
        try:
            kill()
        except Exception as error:
            logger.warning("[%s] Could not kill what runs there: %s", host.name, error)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Around everything that may change anything anywhere: facts that were read before are read again."""
        self.epoch += 1
        try:
            yield
        finally:
            self.epoch += 1

    # Operations

    def record_operation(self, host: Host, op_hash: str, op_data: StateOperationHostData) -> None:
        """Add an operation to a host's, after all it has."""
        self.ops[host][op_hash] = op_data
        meta = self.meta[host]
        meta.ops += 1
        meta.op_hashes.add(op_hash)
        # Those that callbacks call while others run leave the order of these as it is
        if op_data.parent_op_hash is None:
            self._recorded += 1
        else:
            self._has_nested = True

    def number_of_call(self, call: Hashable, hosts: Iterable[Host]) -> int:
        """A number by which the operations that one call adds in API mode are told from those of other calls.

        Equal calls for different hosts are one where the hosts have had equally many operations: the position in API
        mode. Where the hosts of a call differ in that, it is one call all the same.
        """
        counts = {len(self.ops[host]) for host in hosts}
        if len(counts) != 1:
            return next(self._call_numbers)
        key = counts.pop(), call
        if key not in self._calls:
            self._calls[key] = next(self._call_numbers)
        return self._calls[key]

    def get_op_order(self) -> list[str]:
        """The hashes of all operations, in the order in which they run; those that callbacks called after theirs."""
        order = self._ordered()[0]
        return self._with_nested(order) if self._has_nested else list(order)

    def next_operations(self, op_hash: str, count: int) -> list[str]:
        """An operation and those after it, so many in all, without those that callbacks call."""
        order, places = self._ordered()
        start = places[op_hash]
        return order[start : start + count]

    def _ordered(self) -> tuple[list[str], dict[str, int]]:
        """The order of operations, and each one's place in it, worked out anew when some have been recorded."""
        version, order, places = self._order
        if version != self._recorded:
            order = self._merge_order()
            places = {op_hash: place for place, op_hash in enumerate(order)}
            self._order = (self._recorded, order, places)
        return order, places

    def _merge_order(self) -> list[str]:
        chains = {
            tuple(op_hash for op_hash, op_data in self.ops[host].items() if op_data.parent_op_hash is None): None
            for host in self.inventory
        }
        positions = {op_hash: op_meta.op_order for op_hash, op_meta in self.op_meta.items()}
        names = {op_hash: ", ".join(sorted(op_meta.names)) for op_hash, op_meta in self.op_meta.items()}
        return merge_orders(chains, positions, names)

    def _with_nested(self, order: list[str]) -> list[str]:
        """An order with the operations that callbacks called after theirs, as the hosts called them."""
        children: dict[str, dict[str, None]] = defaultdict(dict)
        for host in self.inventory:
            for op_hash, op_data in self.ops[host].items():
                if op_data.parent_op_hash is not None:
                    children[op_data.parent_op_hash][op_hash] = None
        whole: list[str] = []
        waiting = list(reversed(order))
        while waiting:
            op_hash = waiting.pop()
            whole.append(op_hash)
            waiting.extend(reversed(children.get(op_hash, ())))
        return whole

    def get_op_meta(self, op_hash: str) -> StateOperationMeta:
        """An operation, on whichever hosts it runs."""
        return self.op_meta[op_hash]

    def get_meta_for_host(self, host: Host) -> StateHostMeta:
        """What change detection found on a host."""
        return self.meta[host]

    def get_results_for_host(self, host: Host) -> StateHostResults:
        """What became of the operations on a host."""
        return self.results[host]

    def get_op_data_for_host(self, host: Host, op_hash: str) -> StateOperationHostData:
        """An operation as a host runs it."""
        return self.ops[host][op_hash]

    def set_op_data_for_host(self, host: Host, op_hash: str, op_data: StateOperationHostData) -> None:
        """Put an operation among those of a host."""
        self.record_operation(host, op_hash, op_data)

    # Hosts

    def is_host_in_limit(self, host: Host) -> bool:
        """Whether a host is one to work on."""
        return self._limit_set is None or host in self._limit_set

    def activate_host(self, host: Host) -> None:
        """Take a connected host into the run."""
        self.activated_hosts.add(host)
        self.active_hosts.add(host)

    def failures_in_order(self) -> list[HostFailure]:
        """All errors that were not ignored, host by host in the inventory's order, whichever came first."""
        places = {host: place for place, host in enumerate(self.inventory)}
        return sorted(self.failures, key=lambda failure: places[failure.host])

    def fail_hosts(self, hosts_to_fail: Iterable[Host], activated_count: int | None = None) -> None:
        """Take hosts out of the run.

        Args:
            hosts_to_fail: the hosts that failed
            activated_count: of how many hosts; those activated by default

        Raises:
            PyinfraError: no host is left, or more than ``FAIL_PERCENT`` have failed
            Exception: no host is left, and this is the unexpected error that one of them failed with
        """
        failing = set(hosts_to_fail) - self.failed_hosts
        if not failing:
            return
        total = activated_count or len(self.activated_hosts)
        self.failed_hosts |= failing
        self.active_hosts -= failing
        for host in self.inventory:
            if host in failing:
                self.trigger_callbacks("host_failed", host)

        if not self.active_hosts:
            for failure in self.failures_in_order():
                if failure.is_unexpected and failure.error is not None:
                    raise failure.error
            raise PyinfraError("No hosts remaining!")
        limit = self.config.FAIL_PERCENT
        if limit is not None:
            percent = (1 - len(self.active_hosts) / total) * 100
            if percent > limit:
                raise PyinfraError(f"Over {limit}% of hosts failed ({percent:.0f}%)")
        elif self.should_raise_failed_hosts is not None and self.should_raise_failed_hosts(self):
            raise PyinfraError("Stopped because hosts failed")
