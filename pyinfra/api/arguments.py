"""Global arguments: what every operation takes beside its own parameters.

A value comes from the call, else from the enclosing ``@deploy`` call or ``host.arguments(…)``, else from host data,
else from the configuration. What host data and configuration say is worked out once and kept until either changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Union, cast, get_type_hints

from typing_extensions import TypedDict

from .config import Config
from .exceptions import ArgumentTypeError
from .hiddenvalue import HiddenValue
from .util import raise_if_bad_type

if TYPE_CHECKING:
    from .host import Host
    from .state import State

T = TypeVar("T")

EnvValue = Union[str, int, float, HiddenValue]


class ArgumentMeta(Generic[T]):
    """What is known of one global argument.

    Args:
        description: one line for the documentation
        default: gives the default from the configuration
        handler: turns the value given into the value used
    """

    description: str
    default: Callable[[Config], T]
    handler: Callable[[Config, T], T] | None

    def __init__(
        self,
        description: str,
        default: Callable[[Config], T],
        handler: Callable[[Config, T], T] | None = None,
    ) -> None:
        self.description = description
        self.default = default
        self.handler = handler


class ConnectorArguments(TypedDict, total=False):
    """The global arguments that connectors get, with every command."""

    _sudo: bool
    _sudo_user: str
    _use_sudo_login: bool
    _sudo_password: Union[str, HiddenValue]
    _preserve_sudo_env: bool
    _su_user: str
    _use_su_login: bool
    _preserve_su_env: bool
    _su_shell: str
    _su_password: Union[str, HiddenValue]
    _doas: bool
    _doas_user: str
    _dzdo: bool
    _dzdo_user: str
    _shell_executable: str
    _chdir: str
    _env: Mapping[str, EnvValue]
    _success_exit_codes: Iterable[int]
    _timeout: int
    _get_pty: bool
    _stdin: Union[str, list[str], Iterable[str]]
    _retries: int
    _retry_delay: Union[int, float]
    _retry_until: Callable[[dict[str, Any]], bool]
    _temp_dir: str


class MetaArguments(TypedDict, total=False):
    """The global arguments about the operation itself."""

    name: str
    _ignore_errors: bool
    _continue_on_error: bool
    _if: Union[list[Callable[[], bool]], Callable[[], bool], None]


class ExecutionArguments(TypedDict, total=False):
    """The global arguments about how an operation meets its hosts; they must agree between hosts."""

    _parallel: int
    _run_once: bool
    _serial: bool


class AllArguments(ConnectorArguments, MetaArguments, ExecutionArguments, total=False):
    """All global arguments."""


class Environment(dict[str, EnvValue]):
    """A command's environment variables: those of the configuration, which stay, and those of an ``_env`` over them."""

    __slots__ = ("base",)

    def __init__(self, base: Mapping[str, EnvValue], own: Mapping[str, EnvValue]) -> None:
        super().__init__({**base, **own})
        self.base = base


def _environment(config: Config, value: Mapping[str, EnvValue]) -> Mapping[str, EnvValue]:
    """The variables of the configuration under those of the argument."""
    base = config.command_environment()
    return Environment(base, value) if base else value


_GROUPS: dict[str, dict[str, ArgumentMeta[Any]]] = {
    "Privilege & user escalation": {
        "_sudo": ArgumentMeta("Run with sudo.", lambda config: config.SUDO),
        "_sudo_user": ArgumentMeta("The user that sudo runs as; root without.", lambda config: config.SUDO_USER),
        "_use_sudo_login": ArgumentMeta("Run in a log-in shell of that user.", lambda config: config.USE_SUDO_LOGIN),
        "_sudo_password": ArgumentMeta("The password for sudo.", lambda config: config.SUDO_PASSWORD),
        "_preserve_sudo_env": ArgumentMeta("Keep the environment with sudo.", lambda config: config.PRESERVE_SUDO_ENV),
        "_su_user": ArgumentMeta("Run with su, as this user.", lambda config: config.SU_USER),
        "_use_su_login": ArgumentMeta("Run in a log-in shell of that user.", lambda config: config.USE_SU_LOGIN),
        "_preserve_su_env": ArgumentMeta("Keep the environment with su.", lambda config: config.PRESERVE_SU_ENV),
        "_su_shell": ArgumentMeta("The shell that su starts, instead of the user's.", lambda config: config.SU_SHELL),
        "_su_password": ArgumentMeta("The password for su.", lambda config: config.SU_PASSWORD),
        "_doas": ArgumentMeta("Run with doas.", lambda config: config.DOAS),
        "_doas_user": ArgumentMeta("The user that doas runs as; root without.", lambda config: config.DOAS_USER),
        "_dzdo": ArgumentMeta("Run with dzdo.", lambda config: config.DZDO),
        "_dzdo_user": ArgumentMeta("The user that dzdo runs as; root without.", lambda config: config.DZDO_USER),
    },
    "Shell control & features": {
        "_shell_executable": ArgumentMeta(
            "The shell that runs commands; ``None``: none of ours.",
            lambda config: config.SHELL,
        ),
        "_chdir": ArgumentMeta("The folder to run in.", lambda config: None),
        "_env": ArgumentMeta("Environment variables.", lambda config: {}, handler=_environment),
        "_success_exit_codes": ArgumentMeta("Exit codes that mean success.", lambda config: [0]),
        "_timeout": ArgumentMeta("Seconds that each command may take.", lambda config: None),
        "_get_pty": ArgumentMeta("Run in a terminal.", lambda config: False),
        "_stdin": ArgumentMeta("Text, lines or a file for the command's standard input.", lambda config: None),
        "_temp_dir": ArgumentMeta("The folder for temporary files on the host.", lambda config: config.TEMP_DIR),
    },
    "Operation meta & callbacks": {
        "name": ArgumentMeta("What the operation is called in output.", lambda config: None),
        "_ignore_errors": ArgumentMeta("Go on with this host after an error.", lambda config: config.IGNORE_ERRORS),
        "_continue_on_error": ArgumentMeta(
            "Run the operation's other commands after one of them failed.",
            lambda config: False,
        ),
        "_if": ArgumentMeta(
            "A function, or a list of them, that must all return true for the operation to run.",
            lambda config: [],
        ),
    },
    "Execution strategy": {
        "_parallel": ArgumentMeta("How many hosts to work on at once; 0: all.", lambda config: config.PARALLEL),
        "_run_once": ArgumentMeta("Run on the first host only.", lambda config: False),
        "_serial": ArgumentMeta("Run host by host.", lambda config: False),
    },
    "Retry behavior": {
        "_retries": ArgumentMeta("How often to try again after a failure.", lambda config: config.RETRY),
        "_retry_delay": ArgumentMeta("Seconds between tries.", lambda config: config.RETRY_DELAY),
        "_retry_until": ArgumentMeta(
            "A function of the output so far; try again until it returns true.",
            lambda config: None,
        ),
    },
}

all_argument_meta: dict[str, ArgumentMeta[Any]] = {
    name: meta for group in _GROUPS.values() for name, meta in group.items()
}
argument_groups: dict[str, list[str]] = {title: list(group) for title, group in _GROUPS.items()}
_HANDLERS = [(name, meta.handler) for name, meta in all_argument_meta.items() if meta.handler is not None]
ARGUMENT_TYPES: dict[str, Any] = get_type_hints(AllArguments)
CONNECTOR_ARGUMENT_KEYS: tuple[str, ...] = tuple(ConnectorArguments.__annotations__)
# Counts and seconds, which cannot be less than none
_COUNTS = frozenset({"_timeout", "_parallel", "_retries", "_retry_delay"})
EXECUTION_ARGUMENT_KEYS: tuple[str, ...] = tuple(ExecutionArguments.__annotations__)


def all_global_arguments() -> list[tuple[str, type]]:
    """Every global argument's name and type."""
    return [(name, ARGUMENT_TYPES[name]) for name in all_argument_meta]


def _checked(config: Config, key: str, value: Any) -> Any:
    """The value to use for one that somebody gave, or an :class:`ArgumentTypeError`."""
    meta = all_argument_meta[key]
    default = meta.default(config)
    if value is not default and value != default:
        raise_if_bad_type(value, ARGUMENT_TYPES[key], ArgumentTypeError, f"Invalid argument `{key}`")
        if key in _COUNTS and value < 0:
            raise ArgumentTypeError(f"Invalid argument `{key}`:: {value} is less than 0")
    return value


def _conditions(value: Any) -> list[Callable[[], bool]]:
    """An ``_if`` in any of its forms as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


class Arguments(dict[str, Any]):
    """All global arguments of one call, with what connectors get of them, worked out once.

    Most operations of a deploy share one of these, so it is never changed.
    """

    __slots__ = ("_connector", "fact_key", "of_facts")

    _connector: ConnectorArguments
    # Those that a fact is read with, and what stands for them (see facts.py)
    of_facts: dict[str, Any]
    fact_key: Any

    @property
    def connector(self) -> ConnectorArguments:
        """Those that a connector gets with a command."""
        try:
            return self._connector
        except AttributeError:
            self._connector = cast(ConnectorArguments, {key: self[key] for key in CONNECTOR_ARGUMENT_KEYS})
            return self._connector


def _finished(config: Config, values: dict[str, Any], given: Mapping[str, Any]) -> Arguments:
    """The values that calls use, which the arguments' handlers make of those that were given."""
    for key, handler in _HANDLERS:
        if key in given:
            values[key] = handler(config, values[key])
    return Arguments(values)


def default_arguments(config: Config, host_data: Mapping[str, Any]) -> Arguments:
    """All global arguments as configuration and host data have them, checked."""
    values = {key: meta.default(config) for key, meta in all_argument_meta.items()}
    for key in values.keys() & host_data.keys() - {"name"}:
        values[key] = _checked(config, key, host_data[key])
    values["_if"] = _conditions(values["_if"])
    return _finished(config, values, values)


def pop_name(given: dict[str, Any]) -> str | None:
    """Take the name out of the global arguments of a call."""
    name = given.pop("name", None)
    if name is not None:
        raise_if_bad_type(name, str, ArgumentTypeError, "Invalid argument `name`")
    return cast("str | None", name)


def resolve_arguments(config: Config, enclosing: Arguments, given: Mapping[str, Any]) -> Arguments:
    """The global arguments of one call.

    Args:
        config: the host's configuration
        enclosing: those of the enclosing ``@deploy`` call or ``host.arguments(…)``, else the defaults
        given: those in the call, which replace the others; only conditions in ``_if`` add up
    """
    values = dict(enclosing)
    for key, value in given.items():
        if key == "_if":
            values[key] = [*values[key], *_conditions(_checked(config, key, value))]
        else:
            values[key] = _checked(config, key, value)
    values["name"] = given.get("name")
    return _finished(config, values, given)


def pop_global_arguments(state: State, host: Host, kwargs: dict[str, Any]) -> tuple[AllArguments, list[str]]:
    """Take the global arguments out of a call's keywords.

    Returns all global arguments for the call on ``host``, with defaults, and the names of those that the call gave.
    """
    given = {key: kwargs.pop(key) for key in [key for key in kwargs if key in all_argument_meta]}
    return cast(AllArguments, host.resolve_arguments(given)), list(given)
