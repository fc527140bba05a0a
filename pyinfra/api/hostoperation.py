"""An operation on one host, from its conditions to its results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gevent

from pyinfra import logger
from pyinfra.connectors.util import CommandOutput

from .command import (
    FileDownloadCommand,
    FileUploadCommand,
    FunctionCommand,
    PyinfraCommand,
    RsyncCommand,
    StringCommand,
)
from .exceptions import ConnectError, NestedOperationError, OperationTypeError, PyinfraError, is_transport_error
from .failures import HostFailure, as_exception
from .generators import commands_of
from .readahead import read_ahead
from .reading import FactReadError
from .running import Running

if TYPE_CHECKING:
    from .arguments import Arguments
    from .host import Host
    from .state import State, StateOperationHostData


# Which of a connector's methods a command goes through
_CONNECTOR_METHODS: dict[type | None, str] = {
    StringCommand: "run_shell_command",
    FileUploadCommand: "put_file",
    FileDownloadCommand: "get_file",
    RsyncCommand: "rsync",
}


@dataclass(slots=True)
class _Attempt:
    """One try of an operation on a host."""

    succeeded: bool = True
    # All commands that ran, and how many of them went well
    commands: list[Any] = field(default_factory=list)
    succeeded_count: int = 0
    outputs: list[CommandOutput] = field(default_factory=list)
    # The first command that failed, and the error that ended it all
    failures: list[HostFailure] = field(default_factory=list)

    def combined_output(self) -> CommandOutput:
        """The output of all commands in one."""
        if len(self.outputs) == 1:
            return self.outputs[0]
        return CommandOutput([line for output in self.outputs for line in output.combined_lines])


class HostOperation:
    """An operation that is to run on a host."""

    __slots__ = ("arguments", "host", "is_nested", "op_data", "op_hash", "state")

    def __init__(self, state: State, host: Host, op_hash: str) -> None:
        self.state = state
        self.host = host
        self.op_hash = op_hash
        self.op_data: StateOperationHostData = state.ops[host][op_hash]
        self.arguments: Arguments = self.op_data.global_arguments
        self.is_nested = self.op_data.parent_op_hash is not None

    def run(self) -> bool:
        """Run it, with retries; returns whether the host goes on."""
        host, state = self.host, self.state
        state.trigger_callbacks("operation_host_start", host, self.op_hash)
        before = host.executing_op_hash, host.nested_executing_op_hash, host.current_deploy_data
        host.executing_op_hash = self.op_hash
        # For conditions and callbacks; the generator finds its own
        host.current_deploy_data = self.op_data.deploy_data
        if self.is_nested:
            host.nested_executing_op_hash = self.op_hash
        try:
            return self._run_conditionally()
        except KeyboardInterrupt:
            if not self.op_data.operation_meta.is_complete():
                failure = self._failure(error=PyinfraError("Interrupted"))
                self._finish(_Attempt(succeeded=False, failures=[failure]), 0)
            # Where the run is to stop, it does after what the other hosts have under way
            if self.is_nested or not self.state.interrupted:
                raise
            return False
        except gevent.Timeout as timeout:
            goes_on = False
            if not self.op_data.operation_meta.is_complete():
                failure = self._failure(error=as_exception(timeout))
                goes_on = self._finish(_Attempt(succeeded=False, failures=[failure]), 0)
            if self.is_nested:
                raise
            return goes_on
        finally:
            host.executing_op_hash, host.nested_executing_op_hash, host.current_deploy_data = before

    @property
    def _own_errors(self) -> tuple[type[BaseException], ...]:
        """The errors that fail it. A time-out in a nested operation is for the callback, or for what limits that."""
        return (Exception,) if self.is_nested else (Exception, gevent.Timeout)

    def _run_conditionally(self) -> bool:
        if self.arguments["_if"]:
            try:
                if not all(condition() for condition in self.arguments["_if"]):
                    self._finish(_Attempt(), 0)
                    return True
            except self._own_errors as raised:
                error = as_exception(raised)
                self.state.trigger_callbacks("operation_host_exception", self.host, self.op_hash, error)
                attempt = _Attempt(succeeded=False, failures=[self._failure(error=error)])
                return self._finish(attempt, 0)

        if not self.is_nested:
            read_ahead(self.state, self.host, self.op_hash)
        retries = self.arguments["_retries"] or 0
        tries = 0
        attempt = self._attempt()
        while tries < retries and not self.state.interrupted and not self.host.broken and self._wants_retry(attempt):
            self.state.trigger_callbacks("operation_host_retry", self.host, self.op_hash, tries + 1, retries)
            if self.state.wait_for_interruption(self.arguments["_retry_delay"] or 0):
                break
            # What made the last try fail may be gone: all facts are read again
            with self.state.changing():
                next_attempt = self._attempt()
            if self.state.interrupted and not next_attempt.succeeded and not next_attempt.commands:
                # It has not begun, and would say nothing of what went wrong
                break
            attempt = next_attempt
            tries += 1
        return self._finish(attempt, tries)

    def _wants_retry(self, attempt: _Attempt) -> bool:
        """Whether a try that ended like this is to be followed by another."""
        if not attempt.succeeded:
            return True
        retry_until = self.arguments["_retry_until"]
        if retry_until is None:
            return False
        output = attempt.combined_output()
        try:
            done = retry_until(
                {
                    "stdout_lines": output.stdout_lines,
                    "stderr_lines": output.stderr_lines,
                    "commands": [str(command) for command in attempt.commands],
                    "executed_commands": len(attempt.commands),
                    "host": self.host.name,
                    "operation": ", ".join(sorted(self.state.op_meta[self.op_hash].names)),
                },
            )
            return not done
        except Exception as error:
            self.host.log(f"_retry_until failed, not trying again: {type(error).__name__}: {error}", logger.warning)
            return False

    # One try

    def _attempt(self) -> _Attempt:
        """Run the operation's generator once, and its commands as they come."""
        attempt = _Attempt()
        try:
            for item in commands_of(Running(self.host, self.op_hash, self.op_data)):
                if self.state.interrupted:
                    attempt.succeeded = False
                    attempt.failures.append(self._failure(error=PyinfraError("Interrupted")))
                    break
                if not self._run_command(self._as_command(item), attempt):
                    attempt.succeeded = False
                    if not self.arguments["_continue_on_error"] or self.host.broken:
                        break
        except self._own_errors as raised:
            error = as_exception(raised)
            self.state.trigger_callbacks("operation_host_exception", self.host, self.op_hash, error)
            attempt.succeeded = False
            output = error.output if isinstance(error, FactReadError) else None
            attempt.failures.append(self._failure(error=error, output=output))
        return attempt

    def _as_command(self, item: Any) -> PyinfraCommand:
        """What an operation yielded, as a command."""
        if isinstance(item, PyinfraCommand):
            return item
        if isinstance(item, str):
            return StringCommand(item.strip())
        names = ", ".join(sorted(self.state.op_meta[self.op_hash].names))
        raise OperationTypeError(
            f"Operation {names} yielded {item!r}: operations yield text and commands, those of another operation by "
            "`yield from other._inner(…)`",
        )

    def _run_command(self, command: PyinfraCommand, attempt: _Attempt) -> bool:
        """Run one command and take note of how it went."""
        error: Exception | None = None
        result: Any = False
        attempt.commands.append(command)
        try:
            with self.state.changing():
                result = self._execute(command)
        except ConnectError as lost:
            error = lost
            # A callback's may be about another host
            if not isinstance(command, FunctionCommand) or lost is self.host.connection_error:
                self.host.lost(lost)
        except self._own_errors as raised:
            error = as_exception(raised)
        success, output = result if isinstance(result, tuple) else (bool(result), None)
        if output is not None:
            attempt.outputs.append(output)
        if success:
            attempt.succeeded_count += 1
        elif not attempt.failures:
            attempt.failures.append(self._failure(command, output, error))
        if self.state.callback_handlers:
            self.state.trigger_callbacks(
                "operation_host_command",
                self.host,
                self.op_hash,
                command,
                success,
                output,
                error,
            )
        return bool(success)

    def _execute(self, command: PyinfraCommand) -> Any:
        host = self.host
        if not host.connected:
            raise ConnectError(f"Host {host.name} is not connected")
        if not isinstance(command, FunctionCommand):
            return command.execute(self.state, host, self.arguments.connector)
        before = host.in_callback_op, host.run_nested
        host.in_callback_op = True
        host.run_nested = self._run_nested
        try:
            return command.execute(self.state, host, self.arguments.connector)
        finally:
            host.in_callback_op, host.run_nested = before

    def _run_nested(self, op_hash: str) -> None:
        """Run an operation that this one's callback called."""
        if not run_host_op(self.state, self.host, op_hash):
            names = ", ".join(sorted(self.state.op_meta[op_hash].names))
            raise NestedOperationError(f"Nested operation failed: {names}")

    def _failure(
        self,
        command: PyinfraCommand | None = None,
        output: CommandOutput | None = None,
        error: Exception | None = None,
    ) -> HostFailure:
        is_unexpected = error is not None and not self._is_expected(command, error)
        method = _CONNECTOR_METHODS.get(type(command)) if is_unexpected else None
        return HostFailure(
            host=self.host,
            op_hash=self.op_hash,
            command=None if command is None else str(command),
            is_unexpected=is_unexpected,
            raised_by=f"{type(self.host.connector).__name__}.{method}" if method else None,
            exit_code=getattr(output, "exit_code", None),
            stderr_lines=() if output is None else tuple(output.stderr_lines),
            error=error,
        )

    @staticmethod
    def _is_expected(command: PyinfraCommand | None, error: Exception) -> bool:
        """Whether an error is a way to say that something failed: pyinfra's own, a transport's, a callback's."""
        if isinstance(error, FactReadError):
            return not error.is_unexpected
        return isinstance(error, PyinfraError) or isinstance(command, FunctionCommand) or is_transport_error(error)

    # The end

    def _finish(self, attempt: _Attempt, tries: int) -> bool:
        """Take note of the outcome and tell of it; returns whether the host goes on."""
        state, host, op_hash = self.state, self.host, self.op_hash
        retries = self.arguments["_retries"] or 0
        if attempt.succeeded and host.broken:
            # A callback kept to itself that the connection broke
            attempt.succeeded = False
            attempt.failures.append(self._failure(error=host.connection_error))
        self.op_data.operation_meta.set_complete(
            attempt.succeeded,
            attempt.commands,
            attempt.combined_output() if attempt.outputs else None,
            tries,
            retries,
        )
        results = state.results[host]
        results.ops += 1
        if attempt.succeeded:
            results.success_ops += 1
            if attempt.commands:
                state.trigger_callbacks("operation_host_success", host, op_hash, tries)
            else:
                state.trigger_callbacks("operation_host_skipped", host, op_hash)
            return True

        ignored = self.op_data.error_ignored = bool(self.arguments["_ignore_errors"]) and host.connected
        if ignored:
            results.ignored_error_ops += 1
            if self.arguments["_continue_on_error"] and attempt.succeeded_count:
                results.partial_ops += 1
        else:
            results.error_ops += 1
            state.failures.extend(attempt.failures)
        state.trigger_callbacks("operation_host_error", host, op_hash, tries, retries)
        return ignored


def run_host_op(state: State, host: Host, op_hash: str) -> bool:
    """Run one operation on one host; returns whether the host goes on (it succeeded, or the error is ignored)."""
    return HostOperation(state, host, op_hash).run()
