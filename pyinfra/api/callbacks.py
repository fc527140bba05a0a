"""What a run tells those who listen: its stages, and the events of hosts and operations."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyinfra.connectors.util import CommandOutput

    from .command import PyinfraCommand
    from .host import Host
    from .state import State


class StateStage(IntEnum):
    """The stages of a run, in order."""

    Setup = 1
    Connect = 2
    Prepare = 3
    Execute = 4
    Disconnect = 5


class BaseStateCallback:
    """What a run tells those who listen; override what you need and pass it to :meth:`State.add_callback_handler`."""

    @staticmethod
    def stage_start(state: State, stage: StateStage) -> None:
        """A stage begins."""

    @staticmethod
    def host_before_connect(state: State, host: Host) -> None:
        """A host is about to be connected."""

    @staticmethod
    def host_connect(state: State, host: Host) -> None:
        """A host is connected."""

    @staticmethod
    def host_connect_error(state: State, host: Host, error: Exception) -> None:
        """A host could not be connected."""

    @staticmethod
    def host_connect_lost(state: State, host: Host, error: Exception) -> None:
        """The connection to a host broke while it was in use."""

    @staticmethod
    def host_disconnect(state: State, host: Host) -> None:
        """A host is disconnected."""

    @staticmethod
    def host_warning(state: State, host: Host, message: str) -> None:
        """Something about a host that people should know."""

    @staticmethod
    def host_failed(state: State, host: Host) -> None:
        """A host failed and runs no more operations."""

    @staticmethod
    def host_fact_loaded(state: State, host: Host, fact_name: str, args_text: str, cached: bool) -> None:
        """A fact was read from a host, or taken from the run's cache."""

    @staticmethod
    def host_fact_value(state: State, host: Host, fact_name: str, args_text: str, value: Any) -> None:
        """What a fact that was loaded is."""

    @staticmethod
    def host_fact_error(
        state: State,
        host: Host,
        fact_name: str,
        args_text: str,
        output: CommandOutput | None,
        error: Exception | None,
    ) -> None:
        """A fact could not be read."""

    @staticmethod
    def operation_host_ready(state: State, host: Host, op_hash: str) -> None:
        """An operation was recorded for a host."""

    @staticmethod
    def operation_start(state: State, op_hash: str) -> None:
        """An operation begins, on all its hosts."""

    @staticmethod
    def operation_host_start(state: State, host: Host, op_hash: str) -> None:
        """An operation begins on a host."""

    @staticmethod
    def operation_host_noop(state: State, host: Host, op_hash: str | None, description: str) -> None:
        """An operation says why it has nothing to do on a host."""

    @staticmethod
    def operation_host_command(
        state: State,
        host: Host,
        op_hash: str,
        command: PyinfraCommand,
        success: bool,
        output: CommandOutput | None,
        error: Exception | None,
    ) -> None:
        """One of an operation's commands has ended on a host."""

    @staticmethod
    def operation_host_exception(state: State, host: Host, op_hash: str, error: Exception) -> None:
        """An operation's own code, or one of its conditions, raised an error on a host."""

    @staticmethod
    def operation_host_skipped(state: State, host: Host, op_hash: str) -> None:
        """An operation ended on a host without having had anything to do."""

    @staticmethod
    def operation_host_success(state: State, host: Host, op_hash: str, retry_count: int = 0) -> None:
        """An operation changed a host."""

    @staticmethod
    def operation_host_error(
        state: State,
        host: Host,
        op_hash: str,
        retry_count: int = 0,
        max_retries: int = 0,
    ) -> None:
        """An operation failed on a host, be the error ignored or not."""

    @staticmethod
    def operation_host_retry(state: State, host: Host, op_hash: str, retry_num: int, max_retries: int) -> None:
        """An operation is about to be tried again on a host."""

    @staticmethod
    def operation_end(state: State, op_hash: str) -> None:
        """An operation has ended on all its hosts."""
