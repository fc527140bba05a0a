"""Facts: what is, read from a host by a command and understood by Python."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .arguments import CONNECTOR_ARGUMENT_KEYS, Arguments, all_argument_meta, resolve_arguments
from .command import StringCommand
from .connect import outcomes
from .exceptions import (
    ArgumentTypeError,
    ConnectError,
    FactError,
    FactTypeError,
    FactValueError,
)
from .factcache import freeze, own_copy
from .failures import HostFailure, as_exception
from .hiddenvalue import MASK
from .reading import Bound, Reading, form_of
from .running import PendingFact, Running, running_on

if TYPE_CHECKING:
    from .host import Host
    from .state import State

T = TypeVar("T")

# An operation's standard input, exit codes and retries are about its own commands, not about the facts that it reads
_OPERATION_ONLY = frozenset({"_stdin", "_success_exit_codes", "_retries", "_retry_delay", "_retry_until"})
FACT_ARGUMENT_KEYS = tuple(key for key in CONNECTOR_ARGUMENT_KEYS if key not in _OPERATION_ONLY)


def _name_of(cls: type) -> str:
    return f"{cls.__module__.rsplit('.', 1)[-1]}.{cls.__name__}"


class FactBase(Generic[T]):
    """The base class of facts.

    A subclass has a method ``command(…)``, whose parameters are the fact's, and :meth:`process`. One object serves one
    reading: ``command`` may keep what ``process`` needs.
    """

    name: str
    command: Callable[..., str | StringCommand]

    # Classes without a command of their own
    abstract: bool = True
    # The program that runs the command, instead of the one configured
    shell_executable: str | None = None
    # Whether the output holds secrets, so that it is printed nowhere
    has_secret_output: bool = False
    # Whether a value may serve several operations while nothing changes: so for pyinfra's own facts, unless they say
    # otherwise, and for those of other packages that say so
    cacheable: bool = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.name = _name_of(cls)
        if "cacheable" not in cls.__dict__:
            parents = [base for base in cls.__bases__ if base is not FactBase and issubclass(base, FactBase)]
            own = cls.__module__.startswith("pyinfra.facts.")
            cls.cacheable = own and all(parent.cacheable for parent in parents)
        if hasattr(cls, "command"):
            cls.abstract = cls.__dict__.get("abstract", False)
        command = cls.__dict__.get("command")
        if callable(command):
            clashes = sorted(all_argument_meta.keys() & inspect.signature(command).parameters.keys())
            if clashes:
                raise TypeError(f"Fact {cls.name}: parameters of command() are global arguments: {', '.join(clashes)}")

    def requires_command(self, *args: Any, **kwargs: Any) -> str | None:
        """The program that the host must have, or the value is :meth:`default`.

        Gets the fact's arguments, as far as it has parameters of their names.
        """
        return None

    def check_preconditions(self, state: State, host: Host) -> str | None:
        """Why the fact cannot be read from this host as it is, or ``None``."""
        return None

    @staticmethod
    def default() -> T:
        """The value where the command printed nothing or could not run."""
        return None  # type: ignore[return-value]

    def process(self, output: list[str]) -> T:
        """The value, from the lines that the command printed; by default the lines joined."""
        return "\n".join(output)  # type: ignore[return-value]

    def process_pipeline(self, args: Iterable[str], output: Iterable[str]) -> dict[str, T]:
        """Values by argument, from a line each."""
        return {arg: self.process([line]) for arg, line in zip(args, output, strict=False)}


class ShortFactBase(Generic[T]):
    """The base class of facts that are a part, or another form, of ``fact``."""

    name: str
    fact: type[FactBase[Any]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.name = _name_of(cls)

    def process_data(self, data: Any) -> T:
        """The value, from that of ``fact``."""
        return data  # type: ignore[no-any-return]


def default_of(cls: type[Any]) -> Any:
    """The value that a fact has where it cannot be read."""
    if issubclass(cls, ShortFactBase):
        return cls().process_data(default_of(cls.fact))
    return cls().default()


def find_fact(name: str) -> type[Any]:
    """The fact class of a name such as ``server.Home`` or ``my_package.facts.Mine``.

    Raises:
        FactError: there is none
    """
    module_name, _, class_name = name.rpartition(".")
    if not module_name:
        raise FactError(f"Invalid fact: `{name}`, should be in the format `module.cls`")
    for candidate in (module_name, f"pyinfra.facts.{module_name}"):
        try:
            return getattr(import_module(candidate), class_name)  # type: ignore[no-any-return]
        except (ModuleNotFoundError, AttributeError):
            continue
    raise FactError(f"No such fact: {name}")


def _fact_class(fact: Any) -> type[Any]:
    """The class of a fact that is given by itself or by its name."""
    if isinstance(fact, str):
        return find_fact(fact)
    if isinstance(fact, type) and issubclass(fact, (FactBase, ShortFactBase)):
        return fact
    raise FactTypeError(f"A fact is a class such as server.Home, or the name of one, not {fact!r}")


def _fact_arguments(host: Host, running: Running | None, given: Mapping[str, Any]) -> tuple[Arguments, bool]:
    """The global arguments to read a fact with: the operation's, if one is asking; and whether they are just those."""
    if running is None or not running.op_data.sets_in_op:
        return host.resolve_arguments(given), not given
    own = running.op_data.global_arguments
    return (resolve_arguments(host.config, own, given), False) if given else (own, True)


def _of_facts(arguments: Arguments) -> dict[str, Any]:
    """The global arguments that a fact is read with, worked out once."""
    try:
        return arguments.of_facts
    except AttributeError:
        arguments.of_facts = {key: arguments[key] for key in FACT_ARGUMENT_KEYS}
        return arguments.of_facts


def _connector_arguments(arguments: Arguments, cls: type[FactBase[Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """What the connector gets with a fact's command."""
    values = _of_facts(arguments).copy()
    values.update((key, arguments[key]) for key in given if key in _OPERATION_ONLY)
    if cls.shell_executable and "_shell_executable" not in given:
        values["_shell_executable"] = cls.shell_executable
    return values


def _cache_key(arguments: Arguments, shared: bool, values: dict[str, Any], bound: dict[str, Any], cls: type) -> Any:
    """What tells one reading of a host from another, or ``None`` where a value cannot be told apart."""
    try:
        if shared:
            try:
                arguments_key = arguments.fact_key
            except AttributeError:
                arguments_key = arguments.fact_key = freeze(_of_facts(arguments))
        else:
            arguments_key = freeze(values)
        return cls, arguments_key, freeze(bound)
    except TypeError:
        return None


def get_fact(
    state: State,
    host: Host,
    cls: Any,
    args: Any | None = None,
    kwargs: Any | None = None,
    ensure_hosts: Any | None = None,
    apply_failed_hosts: bool = True,
) -> Any:
    """The value of a fact on one host.

    Inside an operation's generator, values are shared between operations as long as nothing can have changed them;
    everywhere else the host is asked each time.

    Args:
        state: the run
        host: the host
        cls: the fact's class, or its name
        args: the fact's own arguments by position
        kwargs: the fact's own arguments by name, and global arguments
        ensure_hosts: not used; kept for callers of older versions
        apply_failed_hosts: likewise: a host fails where the error is handled

    Raises:
        FactError: the command failed, its output made no sense, or the host lacks what the fact needs
        ConnectError: the connection broke
    """
    cls = _fact_class(cls)
    if issubclass(cls, ShortFactBase):
        return cls().process_data(get_fact(state, host, cls.fact, args, kwargs))

    given = {key: value for key, value in (kwargs or {}).items() if key in all_argument_meta}
    own = kwargs or {}
    if given:
        own = {key: value for key, value in own.items() if key not in given}
    bound = form_of(cls).bind(tuple(args or ()), own)
    running = running_on(host)
    arguments, shared = _fact_arguments(host, running, given)
    values = _connector_arguments(arguments, cls, given)

    seconds = host.config.FACT_CACHE_SECONDS
    key = None
    if running is not None:
        running.has_asked = True
        if running.op_data.sets_in_op and cls.cacheable and seconds:
            key = _cache_key(arguments, shared, values, bound, cls)
    epoch, began = state.epoch, time.monotonic()
    if key is not None:
        found, value = host.fact_values.get(epoch, seconds, key)
        if found:
            _tell_loaded(state, host, cls, bound, value, cached=True)
            return value
    reading = Reading(state, host, cls(), bound, values, bool(arguments["_ignore_errors"]))
    if running is not None and running.pending_facts is not None:
        if key is not None:
            running.pending_facts.setdefault(key, reading)
        raise PendingFact

    if not host.connected:
        args_text = bound.text
        reason = f"to load fact: {cls.name} ({args_text})" if args_text else f"to load fact: {cls.name}"
        if host.broken:
            raise ConnectError(f"Host {host.name} has lost its connection")
        host.connect(reason=reason, raise_exceptions=True)
        epoch = state.epoch
    value, real = reading.read()
    if not reading.errored:
        _tell_loaded(state, host, cls, bound, value, cached=False)
    if real and key is not None and state.epoch == epoch:
        host.fact_values.put(epoch, key, began, value)
        return own_copy(value)
    return value


def _tell_loaded(
    state: State,
    host: Host,
    cls: type[FactBase[Any]],
    bound: Bound,
    value: Any,
    cached: bool,
) -> None:
    if state.callback_handlers:
        args_text = bound.text
        state.trigger_callbacks("host_fact_loaded", host, cls.name, args_text, cached)
        # What is found by a secret, or in the place for one, is one
        shown_value = MASK if bound.has_secrets or host.op_has_secrets else value
        state.trigger_callbacks("host_fact_value", host, cls.name, args_text, shown_value)


def get_facts(
    state: State,
    cls: Any,
    args: Any | None = None,
    kwargs: Any | None = None,
    ensure_hosts: Any | None = None,
    apply_failed_hosts: bool = True,
) -> dict[Host, Any]:
    """The values of a fact on all active hosts, read from all of them at once.

    A host from which it cannot be read has the fact's default.

    Args:
        state: the run
        cls: the fact's class, or its name
        args: the fact's own arguments by position
        kwargs: the fact's own arguments by name, and global arguments
        ensure_hosts: the hosts to ask instead of all active ones
        apply_failed_hosts: whether a host from which it cannot be read fails

    Raises:
        FactTypeError, FactValueError, ArgumentTypeError: the arguments are wrong
        PyinfraError: no host is left, or too many failed
    """
    cls = _fact_class(cls)
    hosts = state.inventory.get_active_hosts() if ensure_hosts is None else list(ensure_hosts)
    failed = []
    values = {}
    for host, value, error in outcomes(state, hosts, lambda host: get_fact(state, host, cls, args, kwargs)):
        values[host] = value
        if error is None:
            continue
        if isinstance(error, (SystemExit, FactTypeError, FactValueError, ArgumentTypeError)):
            raise error
        values[host] = default_of(cls)
        failed.append(HostFailure.of_preparing(host, as_exception(error)))
    if failed and apply_failed_hosts:
        state.failures.extend(failed)
        state.fail_hosts(failure.host for failure in failed)
    return values
