"""Operations: generator functions whose calls in deploy code are recorded, to run later on all hosts together."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from typing_extensions import ParamSpec

import pyinfra
from pyinfra import logger
from pyinfra.connectors.util import CommandOutput
from pyinfra.context import ctx_host, ctx_state

from .arguments import EXECUTION_ARGUMENT_KEYS, AllArguments, Arguments, all_argument_meta, pop_name
from .callform import CallForm
from .connect import on_hosts
from .detection import detect_changes, detect_rest
from .exceptions import OperationValueError, PyinfraError
from .generators import would_change
from .hiddenvalue import holds_secret, shown
from .order import described_call, position_of
from .state import StateOperationHostData, StateOperationMeta
from .util import file_text

if TYPE_CHECKING:
    from .host import Host
    from .state import State

P = ParamSpec("P")
P_co = TypeVar("P_co", covariant=True)

_CLI_MODE = "`{0}` is for API mode: in a deploy that the command line runs, call the operation or deploy itself"


class OperationMeta:
    """What is known of one operation on one host: whether it may change something, and once it ran, what it did."""

    __slots__ = (
        "_change_check",
        "_combined_output",
        "_commands",
        "_hash",
        "_max_retries",
        "_maybe_change",
        "_retry_attempts",
        "_success",
    )

    def __init__(self, hash: str | None = None, is_change: bool | None = None) -> None:
        self._hash = hash
        self._maybe_change = is_change
        self._change_check: Callable[[], bool] | None = None
        self._success: bool | None = None
        self._commands: list[Any] | None = None
        self._combined_output: CommandOutput | None = None
        self._retry_attempts = 0
        self._max_retries = 0

    def __repr__(self) -> str:
        if self._commands is None:
            return f"OperationMeta(executed=False, maybeChange={self._maybe_change}, hash={self._hash})"
        return (
            f"OperationMeta(executed={self.executed}, success={self._success}, hash={self._hash}, "
            f"commands={len(self._commands)})"
        )

    def will_be_found_out(self, check: Callable[[], bool]) -> None:
        """Have ``check`` find out whether it would change something, when somebody asks before it has run."""
        self._change_check = check

    def found_out(self, change: bool) -> None:
        """Take note of whether it would change something."""
        self._maybe_change = change

    def set_complete(
        self,
        success: bool,
        commands: list[Any],
        combined_output: CommandOutput | None,
        retry_attempts: int = 0,
        max_retries: int = 0,
    ) -> None:
        """Take note of how the operation went: the commands that ran and their output."""
        self._success = success
        self._commands = commands
        self._combined_output = combined_output
        self._retry_attempts = retry_attempts
        self._max_retries = max_retries

    def is_complete(self) -> bool:
        """Whether the operation has run."""
        return self._commands is not None

    def _require_complete(self) -> list[Any]:
        if self._commands is None:
            raise RuntimeError("The operation has not run yet: its results are there from callbacks on, not before")
        return self._commands

    @property
    def executed(self) -> bool:
        """Whether it ran at least one command, be it one that failed."""
        return bool(self._commands)

    @property
    def will_change(self) -> bool:
        """Whether it would change something, as far as can be told before it runs."""
        if self._maybe_change is None:
            if self._commands is not None:
                # It has run: what it found to do is what it would have changed
                self._maybe_change = self.executed
            elif self._change_check is not None:
                self._maybe_change = self._change_check()
        return bool(self._maybe_change)

    def did_change(self) -> bool:
        """Whether it succeeded and changed something."""
        return bool(self._require_complete()) and bool(self._success)

    def did_not_change(self) -> bool:
        """Whether it changed nothing."""
        return not self.did_change()

    def did_succeed(self, _raise_if_not_complete: bool = True) -> bool:
        """Whether it ran without an error."""
        if _raise_if_not_complete:
            self._require_complete()
        return self._success is True

    def did_error(self) -> bool:
        """Whether it ran into an error."""
        return not self.did_succeed()

    @property
    def changed(self) -> bool:
        """Whether it changed something, or before it runs, whether it would."""
        return self.did_change() if self.is_complete() else self.will_change

    def _output(self) -> CommandOutput:
        self._require_complete()
        if self._combined_output is None:
            return CommandOutput([])
        return self._combined_output

    @property
    def stdout_lines(self) -> list[str]:
        """The lines of its commands' standard output."""
        return self._output().stdout_lines

    @property
    def stderr_lines(self) -> list[str]:
        """The lines of its commands' standard error."""
        return self._output().stderr_lines

    @property
    def stdout(self) -> str:
        """Its commands' standard output."""
        return "\n".join(self.stdout_lines)

    @property
    def stderr(self) -> str:
        """Its commands' standard error."""
        return "\n".join(self.stderr_lines)

    @property
    def retry_attempts(self) -> int:
        """How often it was tried again."""
        return self._retry_attempts

    @property
    def max_retries(self) -> int:
        """How often it could have been tried again."""
        return self._max_retries

    @property
    def was_retried(self) -> bool:
        """Whether it was tried again."""
        return self._retry_attempts > 0

    @property
    def retry_succeeded(self) -> bool | None:
        """Whether a later try succeeded; ``None`` where the first one decided."""
        return self.did_succeed() if self.was_retried else None

    def get_retry_info(self) -> dict[str, Any]:
        """All about retries."""
        return {
            "retry_attempts": self._retry_attempts,
            "max_retries": self._max_retries,
            "was_retried": self.was_retried,
            "retry_succeeded": self.retry_succeeded,
        }


class PyinfraOperation(Protocol[P]):
    """What :func:`operation` makes of a function: calling it records the operation for the current host."""

    _inner: Callable[P, Generator[Any, None, None]]
    is_idempotent: bool
    idempotent_notice: str | None
    is_deprecated: bool
    deprecated_for: str | None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> OperationMeta: ...


def operation(
    is_idempotent: bool = True,
    idempotent_notice: str | None = None,
    is_deprecated: bool = False,
    deprecated_for: str | None = None,
    _set_in_op: bool = True,
) -> Callable[[Callable[P, Generator[Any, None, None]]], PyinfraOperation[P]]:
    """Make an operation of a generator function that yields commands.

    Args:
        is_idempotent: whether a second run changes nothing
        idempotent_notice: for the documentation: what to know about that
        is_deprecated: whether calls warn
        deprecated_for: what to use instead
        _set_in_op: whether facts are read with the operation's own global arguments by default
    """
    if callable(is_idempotent):
        raise PyinfraError("The `operation` decorator must be called, ie `@operation()`")

    def decorate(function: Callable[P, Generator[Any, None, None]]) -> PyinfraOperation[P]:
        call_form = CallForm(function, _set_in_op)

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> OperationMeta:
            if is_deprecated:
                instead = f", use {deprecated_for}" if deprecated_for else ""
                logger.warning("The %s operation is deprecated%s", call_form.name, instead)
            return _record(ctx_state.get(), ctx_host.get(), call_form, args, kwargs)

        made = cast(PyinfraOperation[P], call)
        made._inner = function
        made.is_idempotent = is_idempotent
        made.idempotent_notice = idempotent_notice
        made.is_deprecated = is_deprecated
        made.deprecated_for = deprecated_for
        return made

    return decorate


def _argument_text(value: Any) -> str:
    """An argument as an unnamed operation's name shows it."""
    if callable(value):
        return str(getattr(value, "__name__", value))
    if hasattr(value, "read"):
        return file_text(value)
    return shown(value)


def _argument_texts(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    return [*map(_argument_text, args), *(f"{key}={_argument_text(value)}" for key, value in kwargs.items())]


def _require_same_strategy(op_meta: StateOperationMeta, arguments: Arguments) -> None:
    """Raise an error where an operation's hosts would have it meet them in different ways."""
    known = op_meta.global_arguments
    for key in EXECUTION_ARGUMENT_KEYS:
        if known[key] != arguments[key]:  # type: ignore[literal-required]
            raise OperationValueError(f"Cannot have different values for `{key}`.")


def _meta_for(
    state: State,
    host: Host,
    op_hash: str,
    place: tuple[int, ...],
    arguments: Arguments,
    form: CallForm,
    call: tuple[tuple[Any, ...], dict[str, Any]],
    name: str | None,
) -> None:
    """Make or complete what is known of an operation on all its hosts."""
    op_meta = state.op_meta.get(op_hash)
    if op_meta is None:
        texts = [] if name else _argument_texts(*call)
        shared = cast(AllArguments, {**arguments, "name": name})
        op_meta = StateOperationMeta(place, set(), texts, shared, host.executing_op_hash)
        state.op_meta[op_hash] = op_meta
    else:
        _require_same_strategy(op_meta, arguments)
    full_name = name or form.name
    op_meta.names.add(f"{host.current_deploy_name} | {full_name}" if host.current_deploy_name else full_name)


def _record(
    state: State | None,
    host: Host | None,
    form: CallForm,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> OperationMeta:
    """Record an operation's call for a host; within a callback of a running operation, run it at once."""
    if state is None or host is None:
        raise PyinfraError(
            f"Operation {form.name} was called outside a deploy: pyinfra runs deploy code, or use add_op"
        )
    if host.in_op:
        raise PyinfraError(f"Operation {form.name} was called inside another one: use {form.name}._inner(…) there")

    given = {key: kwargs.pop(key) for key in [key for key in kwargs if key in all_argument_meta]}
    name = pop_name(given)
    arguments = host.resolve_arguments(given)
    form.check(args, kwargs)
    place, op_hash = position_of(state, host, form.name)
    _meta_for(state, host, op_hash, place, arguments, form, (args, kwargs), name)

    operation_meta = OperationMeta(op_hash)
    op_data = StateOperationHostData(
        command_generator=lambda: form.commands(args, kwargs),
        global_arguments=arguments,
        operation_meta=operation_meta,
        parent_op_hash=host.executing_op_hash,
        deploy_data=host.current_deploy_data,
        sets_in_op=form.sets_in_op,
        runs_ahead=form.runs_ahead,
        has_secrets=holds_secret((args, kwargs)),
    )
    if host.executing_op_hash is not None:
        if host.run_nested is None:
            raise PyinfraError(f"Operation {form.name} was called while another runs, but not from its callback")
        state.record_operation(host, op_hash, op_data)
        host.run_nested(op_hash)
        return operation_meta

    operation_meta.will_be_found_out(lambda: _would_change_when_asked(host, op_hash, op_data))
    if state.should_check_for_changes():
        detect_changes(state, host, op_hash, op_data)
    state.record_operation(host, op_hash, op_data)
    if state.callback_handlers:
        state.trigger_callbacks("operation_host_ready", host, op_hash)
    return operation_meta


def _would_change_when_asked(host: Host, op_hash: str, op_data: StateOperationHostData) -> bool:
    """Whether an operation has at least one command to run, wherever that is asked from."""
    with ctx_state.use(host.state), ctx_host.use(host):
        detect_rest(host.state, host)
        known = op_data.operation_meta._maybe_change
        return would_change(host, op_hash, op_data) if known is None else known


def add_op(state: State, op_func: Callable[..., Any], *args: Any, **kwargs: Any) -> dict[Host, OperationMeta]:
    """Record an operation for all active hosts, or for ``host=`` (one or several of them), in API mode.

    Args:
        state: the run
        op_func: the operation
        args, kwargs: its arguments, global ones among them

    Returns what is known of the operation, by host.
    """
    if pyinfra.is_cli:
        raise PyinfraError(_CLI_MODE.format("add_op"))
    hosts = kwargs.pop("host", None)
    return on_hosts(state, hosts, lambda: op_func(*args, **kwargs), described_call(op_func, args, kwargs))
