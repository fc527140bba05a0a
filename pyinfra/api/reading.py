"""Reading a fact: its command with its arguments, and what its output comes to."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pyinfra.context import ctx_host

from .arguments import all_argument_meta
from .callform import binding_error
from .command import QuoteString, StringCommand
from .exceptions import (
    ConnectError,
    FactError,
    FactPreconditionError,
    FactProcessError,
    FactTypeError,
    PyinfraError,
    is_transport_error,
)
from .hiddenvalue import holds_secret
from .util import get_kwargs_str

if TYPE_CHECKING:
    from pyinfra.connectors.util import CommandOutput

    from .facts import FactBase
    from .host import Host
    from .state import State

MISSING_PROGRAM = "##PYINFRA_NOCMD##"
# What sudo and su say of a user that an earlier operation may be about to create
_NO_SUCH_USER = re.compile(
    r"(?:sudo|sudo-rs|su|doas|dzdo): .*(?:unknown user|user .* does not exist|user .* not found|no such user)"
    r"|^no passwd entry for user ",
    re.I,
)


class Bound(dict[str, Any]):
    """A fact's arguments by name, defaults included; ``given`` are those that somebody gave."""

    __slots__ = ("given",)

    given: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The arguments as output shows them: those that were given."""
        return get_kwargs_str(dict(self.given))

    @property
    def has_secrets(self) -> bool:
        """Whether there are secrets among the arguments, so that the output may have them too."""
        return holds_secret(self)


class Form:
    """How a fact's command is called, worked out once per class."""

    __slots__ = ("defaults", "name", "names_of_program", "signature")

    def __init__(self, cls: type[FactBase[Any]]) -> None:
        self.name = cls.name
        if not hasattr(cls, "command"):
            raise FactError(f"Fact {cls.name} has no `command`: it is a base class of facts, or yet to be written")
        self.signature = inspect.Signature()
        if callable(cls.command):
            self.signature = inspect.signature(cls.command)
            if not isinstance(inspect.getattr_static(cls, "command"), (staticmethod, classmethod)):
                own = list(self.signature.parameters.values())[1:]
                self.signature = self.signature.replace(parameters=own)
        parameters = self.signature.parameters.values()
        # Parameters and defaults, if all of them can be given by name
        self.defaults: dict[str, Any] | None = None
        if all(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in parameters):
            self.defaults = {parameter.name: parameter.default for parameter in parameters}
        taken = inspect.signature(cls.requires_command).parameters.values()
        # The arguments that requires_command takes, if that may be fewer than all
        self.names_of_program: frozenset[str] | None = None
        if self.defaults is not None and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken):
            self.names_of_program = frozenset(parameter.name for parameter in taken)

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Bound:
        """The fact's arguments."""
        if self.defaults is not None and not args and kwargs.keys() <= self.defaults.keys():
            bound = Bound({**self.defaults, **kwargs})
            if not any(value is inspect.Parameter.empty for value in bound.values()):
                bound.given = kwargs
                return bound
        try:
            arguments = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            why = binding_error(error, self.signature, kwargs, all_argument_meta)
            raise FactTypeError(f"Fact {self.name}: {why}") from None
        given = dict(arguments.arguments)
        arguments.apply_defaults()
        bound = Bound(arguments.arguments)
        bound.given = given
        return bound

    def call(self, function: Callable[..., Any], bound: dict[str, Any]) -> Any:
        """Call one of the fact's methods that take the fact's arguments."""
        if self.defaults is not None:
            return function(**bound)
        values = inspect.BoundArguments(self.signature, bound)
        return function(*values.args, **values.kwargs)

    def program(self, fact: FactBase[Any], bound: dict[str, Any]) -> str | None:
        """The program that a fact needs; ``requires_command`` need not take all of the fact's arguments."""
        if self.names_of_program is not None:
            bound = {name: value for name, value in bound.items() if name in self.names_of_program}
            return fact.requires_command(**bound)
        found: str | None = self.call(fact.requires_command, bound)
        return found


_forms: dict[type[FactBase[Any]], Form] = {}


def form_of(cls: type[FactBase[Any]]) -> Form:
    """How the command of a class of facts is called."""
    form = _forms.get(cls)
    if form is None:
        form = _forms[cls] = Form(cls)
    return form


class Reading:
    """One reading of a fact from one host."""

    __slots__ = ("arguments", "bound", "errored", "fact", "host", "ignore_errors", "state")

    def __init__(
        self,
        state: State,
        host: Host,
        fact: FactBase[Any],
        bound: Bound,
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

    def program(self) -> str | None:
        """The program that the host must have."""
        return form_of(type(self.fact)).program(self.fact, self.bound)

    def command(self) -> StringCommand:
        """The command to run, which says so where the program that the fact needs is missing."""
        fact = self.fact
        # Facts that build on others read them from `host`, which may be another one where this was asked for
        with ctx_host.use(self.host):
            command = form_of(type(fact)).call(fact.command, self.bound) if callable(fact.command) else fact.command
        if not isinstance(command, StringCommand):
            command = StringCommand(command)
        if command.connector_arguments:
            self.arguments = {**self.arguments, **command.connector_arguments}
        program = self.program()
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
        unclear: FactProcessError | None = None
        try:
            value, is_real = self.understand(lines)
        except Exception as process_error:
            # What is wrong with a secret says what it is
            what = (
                type(process_error).__name__ if self.is_secret else f"{type(process_error).__name__}: {process_error}"
            )
            unclear = FactProcessError(f"Fact {self.label()}: cannot understand the output: {what}")
            unclear.__cause__ = None if self.is_secret else process_error
        if unclear is not None:
            return self.failed(output, unclear), False
        if not is_real and self.state.is_executing:
            message = f"Fact {self.fact.name} needs `{self.program()}`, which the host lacks: its default stands for it"
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
        print_output = state.print_fact_output and not self.is_secret
        try:
            if in_batch is not None:
                pairs = in_batch([(command, self.arguments)], print_output, state.print_fact_input)
                ok, output = pairs[0]
            else:
                with host.calling():
                    ok, output = host.connector.run_shell_command(
                        command,
                        print_output=print_output,
                        print_input=state.print_fact_input,
                        **self.arguments,
                    )
        except ConnectError as error:
            host.lost(error)
            raise
        except Exception as error:
            return False, None, error
        return ok, output, None

    @property
    def is_secret(self) -> bool:
        """Whether the standard output may hold secrets."""
        return self.fact.has_secret_output or self.bound.has_secrets or self.host.op_has_secrets

    def label(self) -> str:
        """The fact as people write it: ``files.File (path=x)``."""
        args_text = self.bound.text
        return f"{self.fact.name} ({args_text})" if args_text else self.fact.name

    def failed(self, output: CommandOutput | None, error: Exception | None) -> Any:
        """Tell of a failure; then the default, if errors are ignored, or the error."""
        self.errored = True
        args_text = self.bound.text
        if output is not None and self.is_secret:
            errors = [line for line in output.combined_lines if line.buffer_name == "stderr"]
            output = replace(output, combined_lines=errors)
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
