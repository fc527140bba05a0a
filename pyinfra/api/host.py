"""A host: its data, its connection, and what deploy code does with it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, overload

from typing_extensions import Unpack

from pyinfra import logger
from pyinfra.context import ctx_config

from .arguments import Arguments, all_argument_meta, default_arguments, resolve_arguments
from .connection import Connection
from .connectors import get_execution_connector
from .factcache import FactCache
from .facts import get_fact
from .hostdata import DeployDefaults
from .hostdata import HostData as HostData
from .output import format_text
from .readahead import Horizon
from .running import running_on
from .util import sha1_hash

if TYPE_CHECKING:
    from pyinfra.connectors.base import BaseConnector

    from .arguments import AllArguments
    from .config import Config
    from .facts import FactBase, ShortFactBase
    from .inventory import Inventory
    from .state import State

T = TypeVar("T")


class Host(Connection):
    """One host of an inventory.

    Args:
        name: its name in the inventory
        inventory: the inventory it belongs to
        groups: the names of its groups, in order
        connector_cls: the class of the connector that reaches it; SSH by default
    """

    loop_position: list[int]
    connector_data: dict[str, Any]

    # The @deploy functions around the code that is running
    in_deploy: bool = False
    current_deploy_name: str | None = None
    current_deploy_kwargs: Arguments | None = None
    current_deploy_data: dict[str, Any] | None = None

    # The operation whose commands are running, whether that is a callback, and the operation that it has called
    in_callback_op: bool = False
    executing_op_hash: str | None = None
    nested_executing_op_hash: str | None = None
    # Runs an operation that a callback calls; set while one runs
    run_nested: Callable[[str], None] | None = None

    def __init__(
        self,
        name: str,
        inventory: Inventory,
        groups: Iterable[str],
        connector_cls: type[BaseConnector] | None = None,
    ) -> None:
        if connector_cls is None:
            connector_cls = get_execution_connector("ssh")
        super().__init__(name, connector_cls)
        self.inventory = inventory
        self.groups = list(groups)
        self.connector_data = {}
        self.loop_position = []
        # How often each position of the deploy code has called an operation, and the number of the add_op or add_deploy
        # that calls operations now (see order.py)
        self.calls_at: dict[tuple[Any, ...], int] = {}
        self.adding: int | None = None
        self.fact_values = FactCache()
        self.horizon = Horizon()
        # Global arguments by default, and for which settings and data
        self._defaults: tuple[tuple[Any, ...], dict[str, Any] | None, Arguments] | None = None
        self.data = HostData(
            self,
            inventory.get_override_data(),
            inventory.get_host_data(name),
            inventory.get_groups_data(self.groups),
            inventory.get_data(),
            DeployDefaults(self),
        )

    def __repr__(self) -> str:
        return f"Host({self.name})"

    def __str__(self) -> str:
        return self.name

    def init(self, state: State) -> None:
        """Join a run."""
        self.state = state

    # Data

    @property
    def host_data(self) -> dict[str, Any]:
        """The host's own data, without its groups'."""
        return self.inventory.get_host_data(self.name)

    @property
    def group_data(self) -> dict[str, Any]:
        """The data of the host's groups."""
        return self.inventory.get_groups_data(self.groups)

    def get_deploy_data(self) -> dict[str, Any]:
        """The data defaults of the ``@deploy`` functions around the operation or the code that is running."""
        return self.current_op_deploy_data or self.current_deploy_data or {}

    @property
    def config(self) -> Config:
        """The settings in force: a deploy file's own while it loads, else the run's."""
        own: Config | None = ctx_config.get()
        return self.state.config if own is None else own

    # Output

    @property
    def print_prefix(self) -> str:
        """``[name] `` in style, padded to the longest name of the inventory."""
        nested = "nested " if self.nested_executing_op_hash else ""
        return f"{self.style_print_prefix(bold=True)}{nested}"

    def style_print_prefix(self, *args: Any, **kwargs: Any) -> str:
        """``[name] `` in the style that :func:`pyinfra.api.output.format_text` makes of the arguments, padded."""
        padding = " " * (self.inventory.longest_name - len(self.name))
        return f"[{format_text(self.name, *args, **kwargs)}] {padding}"

    def log(self, message: str, log_func: Callable[[str], Any] = logger.info) -> None:
        """Log a message under the host's name."""
        log_func(f"{self.print_prefix}{message}")

    def log_styled(self, message: str, log_func: Callable[[str], Any] = logger.info, **kwargs: Any) -> None:
        """Log a message under the host's name, in the style that :func:`pyinfra.api.output.format_text` gives it."""
        self.log(format_text(message, **kwargs), log_func=log_func)

    def noop(self, description: str) -> None:
        """Say, from an operation, why there is nothing to do."""
        running = running_on(self)
        if running is None or running.pending_facts is None:
            self.state.trigger_callbacks("operation_host_noop", self, self.current_op_hash, description)

    # The operation whose generator the greenlet that asks is running

    @property
    def in_op(self) -> bool:
        """Whether an operation's generator is asking, whose global arguments are those of the facts that it reads."""
        running = running_on(self)
        return running is not None and running.op_data.sets_in_op

    @property
    def current_op_hash(self) -> str | None:
        """The operation whose generator is asking."""
        running = running_on(self)
        return None if running is None else running.op_hash

    @property
    def current_op_global_arguments(self) -> Arguments | None:
        """Its global arguments."""
        running = running_on(self)
        return None if running is None else running.op_data.global_arguments

    @property
    def current_op_deploy_data(self) -> dict[str, Any] | None:
        """The data defaults of the ``@deploy`` functions around its call."""
        running = running_on(self)
        return None if running is None else running.op_data.deploy_data

    @property
    def op_has_secrets(self) -> bool:
        """Whether there are secrets among its arguments."""
        running = running_on(self)
        return running is not None and running.op_data.has_secrets

    # Around operations

    def loop(self, iterable: Iterable[T]) -> Iterator[T]:
        """Iterate in deploy code so that each round's operations are operations of their own, in order on all hosts."""
        self.loop_position.append(0)
        try:
            for index, item in enumerate(iterable):
                self.loop_position[-1] = index
                yield item
        finally:
            self.loop_position.pop()

    def resolve_arguments(self, given: Mapping[str, Any]) -> Arguments:
        """All global arguments of a call that gives these."""
        config = self.config
        enclosing = self.current_deploy_kwargs or self._default_arguments(config)
        if not given:
            return enclosing
        return resolve_arguments(config, enclosing, given)

    def _default_arguments(self, config: Config) -> Arguments:
        # What a deploy file puts into ENV, rather than in its place, is no change of the configuration
        variables = tuple(config.ENV.items()) if config.ENV else None
        deploy_data = self.get_deploy_data()
        # Those that have global arguments are told apart by identity: nobody changes them
        scope = None if deploy_data.keys().isdisjoint(all_argument_meta) else deploy_data
        key = (config.revision, self.data._revision, variables)
        if self._defaults is None or self._defaults[0] != key or self._defaults[1] is not scope:
            level_data = {name: self.data.get(name) for name in all_argument_meta if name in self.data}
            self._defaults = (key, scope, default_arguments(config, level_data))
        return self._defaults[2]

    @contextmanager
    def arguments(self, **arguments: Unpack[AllArguments]) -> Iterator[None]:
        """Give the operations called in the ``with`` block these global arguments, but for those in their own calls."""
        before = self.current_deploy_kwargs
        self.current_deploy_kwargs = self.resolve_arguments(arguments)
        try:
            yield
        finally:
            self.current_deploy_kwargs = before

    def when(self, condition: Callable[[], bool]) -> Any:
        """Run the operations called in the ``with`` block only if ``condition()`` is true when their turn comes."""
        return self.arguments(_if=condition)

    @contextmanager
    def deploy(
        self,
        name: str,
        kwargs: AllArguments | None,
        data: dict[str, Any] | None,
        in_deploy: bool = True,
    ) -> Iterator[None]:
        """Group the operations called in the ``with`` block under a name, with global arguments and data defaults.

        Args:
            name: put before the operations' names, after those of deploys around it
            kwargs: global arguments; all of them are fixed here for the operations inside. ``None`` fixes none
            data: data defaults; they win over those of deploys around it
            in_deploy: whether the code inside counts as a deploy's
        """
        before = (self.in_deploy, self.current_deploy_name, self.current_deploy_kwargs, self.current_deploy_data)
        self.in_deploy = in_deploy
        self.current_deploy_name = f"{self.current_deploy_name} | {name}" if self.current_deploy_name else name
        if kwargs is not None:
            self.current_deploy_kwargs = self.resolve_arguments(kwargs)
        self.current_deploy_data = {**(self.current_deploy_data or {}), **(data or {})}
        try:
            yield
        finally:
            self.in_deploy, self.current_deploy_name, self.current_deploy_kwargs, self.current_deploy_data = before

    # Temporary files

    def get_temp_dir_config(self) -> str:
        """The folder for temporary files on the host, as configured, without asking the host."""
        return self.config.TEMP_DIR or self.config.DEFAULT_TEMP_DIR

    def get_temp_filename(
        self,
        hash_key: str | None = None,
        hash_filename: bool = True,
        *,
        temp_directory: str | None = None,
    ) -> str:
        """A path for a temporary file on the host.

        Args:
            hash_key: what the file is for: the same key gives the same path; without it, the path is new each time
            hash_filename: whether the name is the key's SHA-1, else the key itself
            temp_directory: the folder; by default the configured one, else the host's, else ``/tmp``
        """
        arguments = self.current_op_global_arguments
        folder = (
            temp_directory
            or (arguments and arguments["_temp_dir"])
            or self.config.TEMP_DIR
            or self.get_fact("pyinfra.facts.server.TmpDir")
            or self.config.DEFAULT_TEMP_DIR
        )
        key = hash_key or str(uuid.uuid4())
        return f"{folder}/pyinfra-{sha1_hash(key) if hash_filename else key}"

    # Facts

    @overload
    def get_fact(self, name_or_cls: type[FactBase[T]], *args: Any, **kwargs: Any) -> T: ...

    @overload
    def get_fact(self, name_or_cls: type[ShortFactBase[T]], *args: Any, **kwargs: Any) -> T: ...

    @overload
    def get_fact(self, name_or_cls: str, *args: Any, **kwargs: Any) -> Any: ...

    def get_fact(self, name_or_cls: Any, *args: Any, **kwargs: Any) -> Any:
        """The value of a fact on this host.

        Args:
            name_or_cls: the fact's class, or its name, such as ``server.Home``
            args: the fact's own arguments
            kwargs: likewise, and global arguments (``_sudo`` …), by default those of the operation that asks

        Raises:
            FactError: it could not be read
        """
        return get_fact(self.state, self, name_or_cls, args=args, kwargs=kwargs)
