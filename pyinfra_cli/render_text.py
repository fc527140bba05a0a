"""The engine's events as lines for people."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pyinfra.api.exceptions import FactProcessError, NestedOperationError
from pyinfra.api.reading import FactReadError

if TYPE_CHECKING:
    from pyinfra.api.command import PyinfraCommand
    from pyinfra.api.host import Host
    from pyinfra.api.state import State
    from pyinfra.connectors.util import CommandOutput

    from .terminal import Terminal

logger = logging.getLogger("pyinfra")

# Of a failed command's output, this many lines are shown below its operation
_LINES_OF_FAILURE = 200
_STRATEGIES = (("_serial", "serial"), ("_run_once", "run once"))


class TextRenderer:
    """Writes what happens to a terminal: a callback handler with the methods of ``BaseStateCallback`` that it needs.

    Args:
        terminal: where to write
        no_wait: whether hosts go through the operations each on its own: then each line names its operation
    """

    def __init__(self, terminal: Terminal, no_wait: bool = False) -> None:
        self.terminal = terminal
        self.no_wait = no_wait
        # How many commands of the operations that are running went well, by host and operation
        self._executed: dict[tuple[Host, str], int] = {}
        # What is said of most hosts, styled once
        self._connected = terminal.style("Connected", fg="green")
        self._success = terminal.style("Success", fg="green")
        self._no_changes = terminal.style("No changes", fg="cyan")

    def _say(self, host: Host, text: str) -> None:
        self.terminal.line(f"    {host.print_prefix}{text}")

    def _of_operation(self, state: State, op_hash: str) -> str:
        """The operation's name, behind a result that stands under no title."""
        return f" ({self._names(state, op_hash)})" if self.no_wait else ""

    @staticmethod
    def _names(state: State, op_hash: str) -> str:
        return ", ".join(sorted(state.op_meta[op_hash].names))

    # Hosts

    def host_connect(self, state: State, host: Host) -> None:
        """A host is connected."""
        self._say(host, f"{self._connected} ({host.connect_reason})" if host.connect_reason else self._connected)

    def host_connect_error(self, state: State, host: Host, error: Exception) -> None:
        """A host could not be connected."""
        self._say(host, self.terminal.style(str(error), fg="red"))
        if error.__cause__ is not None:
            logger.debug("What led to the error above:", exc_info=error)

    def host_connect_lost(self, state: State, host: Host, error: Exception) -> None:
        """The connection to a host broke."""
        self._say(host, self.terminal.style(f"Connection lost: {error}", fg="red"))

    def host_warning(self, state: State, host: Host, message: str) -> None:
        """Something about a host that people should know."""
        state.increment_warning_counter()
        self._say(host, self.terminal.style(message, fg="yellow"))

    # Facts

    def host_fact_loaded(
        self,
        state: State,
        host: Host,
        fact_name: str,
        args_text: str,
        cached: bool,
    ) -> None:
        """A fact was read; shown where facts are asked to be."""
        if not state.print_fact_info:
            return
        how = "Loaded fact" if not cached else "Loaded fact (read before)"
        args = f" ({args_text})" if args_text else ""
        self._say(host, f"{self.terminal.style(how, fg='green')} {fact_name}{args}")

    def host_fact_error(
        self,
        state: State,
        host: Host,
        fact_name: str,
        args_text: str,
        output: CommandOutput | None,
        error: Exception | None,
    ) -> None:
        """A fact could not be read."""
        if not state.print_fact_output:
            self._show_output(host, output)
        args = f" ({args_text})" if args_text else ""
        why = f": {error}" if error is not None else ""
        self._say(host, self.terminal.style(f"Error: could not load fact: {fact_name}{args}{why}", fg="red"))

    def _show_output(self, host: Host, output: CommandOutput | None) -> None:
        """The end of what a failed command printed: its standard error, or what else it said."""
        if output is None:
            return
        lines = output.stderr_lines or output.output_lines
        if len(lines) > _LINES_OF_FAILURE:
            self._say(host, f"… {len(lines) - _LINES_OF_FAILURE} lines before these are not shown")
        for line in lines[-_LINES_OF_FAILURE:]:
            self._say(host, self.terminal.style(line, fg="red"))

    # Operations

    def operation_start(self, state: State, op_hash: str) -> None:
        """An operation begins: its title."""
        if self.no_wait:
            return
        op_meta = state.op_meta[op_hash]
        how = [text for key, text in _STRATEGIES if op_meta.global_arguments.get(key)]
        kind = f"{', '.join(how)} operation" if how else "operation"
        args = f"({', '.join(op_meta.args)})" if op_meta.args else ""
        name = self.terminal.style(self._names(state, op_hash), bold=True)
        self.terminal.stage(f"Starting {kind}: {name} {args}")

    def operation_host_start(self, state: State, host: Host, op_hash: str) -> None:
        """An operation begins on a host: a title for one that a callback calls."""
        op_meta = state.op_meta[op_hash]
        if op_meta.parent_op_hash is not None:
            args = f" ({', '.join(op_meta.args)})" if op_meta.args else ""
            name = self.terminal.style(self._names(state, op_hash), bold=True)
            self._say(host, f"Starting nested operation: {name}{args}")

    def operation_host_noop(
        self,
        state: State,
        host: Host,
        op_hash: str | None,
        description: str,
    ) -> None:
        """An operation says why it has nothing to do; shown where no-ops are asked to be."""
        if state.print_noop_info:
            self._say(host, f"{self.terminal.style('noop:', fg='cyan')} {description}")

    def operation_host_command(
        self,
        state: State,
        host: Host,
        op_hash: str,
        command: PyinfraCommand,
        success: bool,
        output: CommandOutput | None,
        error: Exception | None,
    ) -> None:
        """A command has ended: what it printed if it failed, unless that is on the screen already."""
        if success:
            key = (host, op_hash)
            self._executed[key] = self._executed.get(key, 0) + 1
            return
        if not state.print_output:
            self._show_output(host, output)
        if error is not None and not isinstance(error, NestedOperationError):
            self._say(host, self.terminal.style(self._error_text(state, host, op_hash, error), fg="red"))

    def operation_host_exception(
        self,
        state: State,
        host: Host,
        op_hash: str,
        error: Exception,
    ) -> None:
        """An operation's own code raised an error: what it says, unless the fact that failed has said it."""
        if not isinstance(error, (FactReadError, FactProcessError)):
            self._say(host, self.terminal.style(str(error) or type(error).__name__, fg="red"))

    @staticmethod
    def _error_text(state: State, host: Host, op_hash: str, error: Exception) -> str:
        seconds = state.ops[host][op_hash].global_arguments.get("_timeout")
        if isinstance(error, TimeoutError) and seconds:
            return f"Command timed out after {seconds}s"
        return str(error) or type(error).__name__

    def operation_host_skipped(self, state: State, host: Host, op_hash: str) -> None:
        """An operation had nothing to do."""
        self._say(host, f"{self._no_changes}{self._of_operation(state, op_hash)}")

    def operation_host_success(
        self,
        state: State,
        host: Host,
        op_hash: str,
        retry_count: int = 0,
    ) -> None:
        """An operation changed a host."""
        self._executed.pop((host, op_hash), None)
        tries = f" on retry {retry_count}" if retry_count else ""
        self._say(host, f"{self._success}{tries}{self._of_operation(state, op_hash)}")

    def operation_host_error(
        self,
        state: State,
        host: Host,
        op_hash: str,
        retry_count: int = 0,
        max_retries: int = 0,
    ) -> None:
        """An operation failed on a host."""
        arguments = state.ops[host][op_hash].global_arguments
        ignored = ""
        if arguments.get("_ignore_errors") and host.connected:
            ignored = " (ignored, execution continued)" if arguments.get("_continue_on_error") else " (ignored)"
        count = self._executed.pop((host, op_hash), 0)
        tries = f" (failed after {retry_count}/{max_retries} retries)" if max_retries else ""
        text = f"Error{ignored}: executed {count} commands{tries}"
        self._say(host, f"{self._styled_error(text, bool(ignored))}{self._of_operation(state, op_hash)}")

    def _styled_error(self, text: str, ignored: bool) -> str:
        return self.terminal.style(text, fg="yellow" if ignored else "red")

    def operation_host_retry(
        self,
        state: State,
        host: Host,
        op_hash: str,
        retry_num: int,
        max_retries: int,
    ) -> None:
        """An operation is about to be tried again."""
        self._executed.pop((host, op_hash), None)
        delay: Any = state.ops[host][op_hash].global_arguments.get("_retry_delay", 0)
        text = f"Retrying {self._names(state, op_hash)} (attempt {retry_num}/{max_retries}) after {delay}s..."
        self._say(host, self.terminal.style(text, fg="yellow"))

    def operation_end(self, state: State, op_hash: str) -> None:
        """An operation has ended on all its hosts."""
        if not self.no_wait:
            self.terminal.line()
