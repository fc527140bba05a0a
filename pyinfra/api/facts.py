"""Facts: what is, read from a host by a command and understood by Python."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pyinfra.context import ctx_host

from .arguments import CONNECTOR_ARGUMENT_KEYS, Arguments, all_argument_meta, resolve_arguments
from .command import QuoteString, StringCommand
from .connect import outcomes
from .exceptions import (
    ArgumentTypeError,
    ConnectError,
    FactError,
    FactPreconditionError,
    FactProcessError,
    FactTypeError,
    FactValueError,
    PyinfraError,
    is_transport_error,
)
from .factcache import freeze, own_copy
from .state import HostFailure
from .util import get_kwargs_str

if TYPE_CHECKING:
    from pyinfra.connectors.util import CommandOutput

    from .host import Host
    from .state import State

T = TypeVar("T")

MISSING_PROGRAM = "##PYINFRA_NOCMD##"
# What sudo and su say of a user that an earlier operation may be about to create
_NO_SUCH_USER = re.compile(
    r"(?:sudo|sudo-rs|su|doas|dzdo): .*(?:unknown user|user .* does not exist|user .* not found|no such user)"
    r"|^no passwd entry for user ",
    re.I,
)
# An operation's standard input, exit codes and retries are about its own commands, not about the facts that it reads
_OPERATION_ONLY = frozenset({"_stdin", "_success_exit_codes", "_retries", "_retry_delay", "_retry_until"})
_FACT_ARGUMENT_KEYS = tuple(key for key in CONNECTOR_ARGUMENT_KEYS if key not in _OPERATION_ONLY)


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
        """The program that the host must have, or the value is :meth:`default`; gets the fact's arguments."""
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


class _Bound(dict[str, Any]):
    """A fact's arguments by name, defaults included; ``given`` are those that somebody gave."""

    __slots__ = ("given",)

    given: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The arguments as output shows them: those that were given."""
        return get_kwargs_str(dict(self.given))


class _Form:
    """How a fact's command is called, worked out once per class."""

    __slots__ = ("defaults", "name", "signature")

    def __init__(self, cls: type[FactBase[Any]]) -> None:
        self.name = cls.name
        self.signature = inspect.Signature()
        if callable(cls.command):
            self.signature = inspect.signature(cls.command)
            if not isinstance(inspect.getattr_static(cls, "command"), staticmethod):
                own = list(self.signature.parameters.values())[1:]
                self.signature = self.signature.replace(parameters=own)
        parameters = self.signature.parameters.values()
        # Parameters and defaults, if all of them can be given by name
        self.defaults: dict[str, Any] | None = None
        if all(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in parameters):
            self.defaults = {parameter.name: parameter.default for parameter in parameters}

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Bound:
        """The fact's arguments."""
        if self.defaults is not None and not args and kwargs.keys() <= self.defaults.keys():
            bound = _Bound({**self.defaults, **kwargs})
            if not any(value is inspect.Parameter.empty for value in bound.values()):
                bound.given = kwargs
                return bound
        try:
            arguments = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise FactTypeError(f"Fact {self.name}: {error}") from None
        given = dict(arguments.arguments)
        arguments.apply_defaults()
        bound = _Bound(arguments.arguments)
        bound.given = given
        return bound

    def call(self, function: Callable[..., Any], bound: dict[str, Any]) -> Any:
        """Call one of the fact's methods that take the fact's arguments."""
        if self.defaults is not None:
            return function(**bound)
        values = inspect.BoundArguments(self.signature, bound)
        return function(*values.args, **values.kwargs)


_forms: dict[type[FactBase[Any]], _Form] = {}


def _form(cls: type[FactBase[Any]]) -> _Form:
    form = _forms.get(cls)
    if form is None:
        form = _forms[cls] = _Form(cls)
    return form


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


class Reading:
    """One reading of a fact from one host."""

    __slots__ = ("arguments", "bound", "errored", "fact", "host", "ignore_errors", "state")

    def __init__(
        self,
        state: State,
        host: Host,
        fact: FactBase[Any],
        bound: _Bound,
        arguments: dict[str, Any],
        ignore_errors: bool,
    ) -> None:
        self.state = state
        self.host = host
        self.fact = fact
        self.bound = bound
        self.arguments = arguments
        self.ignore_errors = ignore_errors
        self.errored = False

    def call(self, function: Callable[..., Any]) -> Any:
        """Call one of the fact's methods that take the fact's arguments."""
        return _form(type(self.fact)).call(function, self.bound)

    def command(self) -> StringCommand:
        """The command to run, which says so where the program that the fact needs is missing."""
        fact = self.fact
        # Facts that build on others read them from `host`, which may be another one where this was asked for
        with ctx_host.use(self.host):
            command = self.call(fact.command) if callable(fact.command) else fact.command
        if not isinstance(command, StringCommand):
            command = StringCommand(command)
        if command.connector_arguments:
            self.arguments = {**self.arguments, **command.connector_arguments}
        program = self.call(fact.requires_command)
        if program:
            command = StringCommand(
                "if command -v",
                QuoteString(program),
                ">/dev/null 2>&1; then (",
                command,
                f"); else echo '{MISSING_PROGRAM}'; fi",
            )
        return command

    def read(self) -> tuple[Any, bool]:
        """The value, and whether it is what the host said rather than a default that stands for something missing."""
        reason = self.fact.check_preconditions(self.state, self.host)
        if reason:
            if self.state.is_executing and not self.ignore_errors:
                raise FactPreconditionError(type(self.fact), reason)
            return self.fact.default(), False

        ok, output, error = self.run(self.command())
        if not ok:
            if output is not None and any(_NO_SUCH_USER.search(line) for line in output.stderr_lines):
                return self.fact.default(), False
            return self.failed(output, error), False
        lines = output.stdout_lines if output is not None else []
        try:
            value, is_real = self.understand(lines)
        except Exception as process_error:
            wrapped = FactProcessError(
                f"Fact {self.label()}: cannot understand the output: {type(process_error).__name__}: {process_error}",
            )
            wrapped.__cause__ = process_error
            return self.failed(output, wrapped), False
        if not is_real and self.state.is_executing:
            program = self.call(self.fact.requires_command)
            message = f"Fact {self.fact.name} needs `{program}`, which the host lacks: its default stands for it"
            self.state.trigger_callbacks("host_warning", self.host, message)
        return value, is_real

    def understand(self, lines: list[str]) -> tuple[Any, bool]:
        """The value in the output of a command that went well, and whether it is real: not a missing program's."""
        if not lines:
            return self.fact.default(), True
        if lines == [MISSING_PROGRAM]:
            return self.fact.default(), False
        return self.fact.process(lines), True

    def run(self, command: StringCommand) -> tuple[bool, CommandOutput | None, Exception | None]:
        """Run the command through the connector's fact shell, if it has one."""
        state, host = self.state, self.host
        in_batch = getattr(host.connector, "run_fact_commands", None)
        try:
            if in_batch is not None:
                pairs = in_batch([(command, self.arguments)], state.print_fact_output, state.print_fact_input)
                ok, output = pairs[0]
            else:
                ok, output = host.connector.run_shell_command(
                    command,
                    print_output=state.print_fact_output,
                    print_input=state.print_fact_input,
                    **self.arguments,
                )
        except ConnectError as error:
            host.lost(error)
            raise
        except Exception as error:
            return False, None, error
        return ok, output, None

    def label(self) -> str:
        """The fact as people write it: ``files.File (path=x)``."""
        args_text = self.bound.text
        return f"{self.fact.name} ({args_text})" if args_text else self.fact.name

    def failed(self, output: CommandOutput | None, error: Exception | None) -> Any:
        """Tell of a failure; then the default, if errors are ignored, or the error."""
        self.errored = True
        args_text = self.bound.text
        self.state.trigger_callbacks("host_fact_error", self.host, self.fact.name, args_text, output, error)
        if self.ignore_errors:
            return self.fact.default()
        if isinstance(error, FactError):
            raise error
        is_unexpected = error is not None and not isinstance(error, PyinfraError) and not is_transport_error(error)
        why = "" if error is None else f": {error}"
        if is_unexpected:
            connector = self.host.connector
            method = "run_fact_commands" if hasattr(connector, "run_fact_commands") else "run_shell_command"
            why = f": {type(connector).__name__}.{method} failed: {type(error).__name__}{why}"
        raise FactReadError(f"Could not load fact {self.label()}{why}", output, is_unexpected) from error


class PendingFact(BaseException):
    """Ends an operation's generator that runs ahead, at a fact that is not known yet (see readahead.py)."""


class FactReadError(FactError):
    """A fact's command failed.

    Args:
        message: what failed, and why
        output: what the command printed
        is_unexpected: whether the connector raised an error that is no way to say that a command failed
    """

    def __init__(self, message: str, output: CommandOutput | None, is_unexpected: bool = False) -> None:
        super().__init__(message)
        self.output = output
        self.is_unexpected = is_unexpected


def _fact_arguments(host: Host, given: Mapping[str, Any]) -> tuple[Arguments, bool]:
    """The global arguments to read a fact with: the operation's, if one is asking; and whether they are just those."""
    if host.in_op and isinstance(host.current_op_global_arguments, Arguments):
        own: Arguments = host.current_op_global_arguments
        if not given:
            return own, True
        return resolve_arguments(host.config, own, given), False
    return host.resolve_arguments(given), not given


def _connector_arguments(arguments: Arguments, cls: type[FactBase[Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """What the connector gets with a fact's command."""
    values = {key: arguments[key] for key in _FACT_ARGUMENT_KEYS}
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
                arguments_key = arguments.fact_key = freeze({key: arguments[key] for key in _FACT_ARGUMENT_KEYS})
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
    if isinstance(cls, str):
        cls = find_fact(cls)
    if issubclass(cls, ShortFactBase):
        return cls().process_data(get_fact(state, host, cls.fact, args, kwargs))

    given = {key: value for key, value in (kwargs or {}).items() if key in all_argument_meta}
    own = kwargs or {}
    if given:
        own = {key: value for key, value in own.items() if key not in given}
    bound = _form(cls).bind(tuple(args or ()), own)
    arguments, shared = _fact_arguments(host, given)
    values = _connector_arguments(arguments, cls, given)

    seconds = host.config.FACT_CACHE_SECONDS
    key = None
    if host.in_op and cls.cacheable and seconds:
        key = _cache_key(arguments, shared, values, bound, cls)
    epoch, began = state.epoch, time.monotonic()
    if key is not None:
        found, value = host.fact_values.get(epoch, seconds, key)
        if found:
            _tell_loaded(state, host, cls, bound, value, cached=True)
            return value
    reading = Reading(state, host, cls(), bound, values, bool(arguments["_ignore_errors"]))
    if host.pending_facts is not None:
        if key is not None:
            host.pending_facts.setdefault(key, reading)
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
    bound: _Bound,
    value: Any,
    cached: bool,
) -> None:
    if state.callback_handlers:
        args_text = bound.text
        state.trigger_callbacks("host_fact_loaded", host, cls.name, args_text, cached)
        state.trigger_callbacks("host_fact_value", host, cls.name, args_text, value)


def get_facts(
    state: State,
    cls: Any,
    args: Any | None = None,
    kwargs: Any | None = None,
    ensure_hosts: Any | None = None,
    apply_failed_hosts: bool = True,
) -> dict[Host, Any]:
    """The values of a fact on all active hosts, read from all of them at once.

    A host from which it cannot be read has the fact's default, and fails if ``apply_failed_hosts``.

    Raises:
        FactTypeError, FactValueError, ArgumentTypeError: the arguments are wrong
        PyinfraError: no host is left, or too many failed
    """
    if isinstance(cls, str):
        cls = find_fact(cls)
    hosts = state.inventory.get_active_hosts() if ensure_hosts is None else list(ensure_hosts)
    failed = []
    values = {}
    for host, value, error in outcomes(state, hosts, lambda host: get_fact(state, host, cls, args, kwargs)):
        values[host] = value
        if error is None:
            continue
        if not isinstance(error, Exception) or isinstance(error, (FactTypeError, FactValueError, ArgumentTypeError)):
            raise error
        values[host] = (cls.fact if issubclass(cls, ShortFactBase) else cls).default()
        failed.append(HostFailure.of_preparing(host, error))
    if failed and apply_failed_hosts:
        state.failures.extend(failed)
        state.fail_hosts(failure.host for failure in failed)
    return values
