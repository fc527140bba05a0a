"""A host's connection: how it begins and ends, and what goes over it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, cast

from gevent.lock import RLock

from pyinfra.connectors.util import remove_askpass_files

from .command import StringCommand
from .detection import detect_rest
from .exceptions import ConnectError, PyinfraError
from .running import require_turn

if TYPE_CHECKING:
    from pyinfra.connectors.base import BaseConnector
    from pyinfra.connectors.util import CommandOutput

    from .host import Host
    from .state import State

# Those of a connector's methods that may change something
_CHANGING_METHODS = frozenset({"run_shell_command", "put_file", "rsync"})


class Connection:
    """What a :class:`Host` is to its connector.

    Args:
        name: the host's name
        connector_cls: the class of the connector that reaches it
    """

    state: State
    connector_cls: type[BaseConnector]
    connector: BaseConnector

    connected: bool = False
    # Whether the connection broke and the connector has yet to let go of it
    broken: bool = False
    # How the connector said so
    connection_error: ConnectError | None = None
    # Why it was connected in the middle of a run, if it was
    connect_reason: str | None = None

    def __init__(self, name: str, connector_cls: type[BaseConnector]) -> None:
        self.name = name
        self.connector_cls = connector_cls
        # Held while it connects and disconnects, and while a connector does something that takes one call at a time
        self._connecting = RLock()
        self._calling = RLock()

    @property
    def _host(self) -> Host:
        return cast("Host", self)

    def make_connector(self) -> BaseConnector:
        """The host's connector; the first call checks the data that it reads.

        Raises:
            ConnectorDataTypeError: a value has the wrong type
        """
        if not hasattr(self, "connector"):
            self.connector = self.connector_cls(self.state, self._host)
        return self.connector

    def connect(self, reason: str | None = None, show_errors: bool = True, raise_exceptions: bool = False) -> bool:
        """Connect, unless connected.

        Args:
            reason: why, if it is in the middle of a run
            show_errors: whether callback handlers are told of an error
            raise_exceptions: whether an error is raised as well

        Returns whether the host is connected now.
        """
        if self.connected:
            return True
        with self._connecting:
            # Another greenlet may have connected meanwhile
            return self.connected or self._connect(reason, show_errors, raise_exceptions)

    def _connect(self, reason: str | None, show_errors: bool, raise_exceptions: bool) -> bool:
        connector = self.make_connector()
        if self.broken:
            with suppress(Exception):
                self.disconnect()
        self.state.trigger_callbacks("host_before_connect", self)
        try:
            connector.connect()
        except Exception as error:
            failure = self.connect_failed(error, show_errors)
            if raise_exceptions:
                raise failure from failure.__cause__
            return False
        self.connected = True
        self.connect_reason = reason
        self.state.connect_failures.pop(self._host, None)
        self.state.epoch += 1
        self.state.trigger_callbacks("host_connect", self)
        return True

    def connect_failed(self, error: Exception, show_errors: bool = True) -> PyinfraError:
        """Take note that it cannot be connected; returns the error that says so."""
        if isinstance(error, PyinfraError):
            failure = error
        else:
            method = f"{type(self.connector).__name__}.connect"
            failure = ConnectError(f"{method} failed: {type(error).__name__}: {error}")
            failure.__cause__ = error
        self.state.connect_failures[self._host] = failure
        if show_errors:
            self.state.trigger_callbacks("host_connect_error", self, failure)
        return failure

    def disconnect(self) -> None:
        """Disconnect, if connected; :meth:`connect` connects again."""
        with self._connecting:
            if not (self.connected or self.broken):
                return
            if self.connected:
                remove_askpass_files(self._host)
            self.connected = self.broken = False
            self.state.epoch += 1
            try:
                self.connector.disconnect()
            finally:
                self.state.trigger_callbacks("host_disconnect", self)

    def reconnect(self, reason: str | None = None) -> None:
        """Begin the connection anew, with what has changed of the log-in user since: groups, profile.

        A connector whose :meth:`disconnect` does more than that, such as ending a container, has a ``reconnect`` of its
        own.

        Args:
            reason: why, for those who are told of connections

        Raises:
            ConnectError: the host cannot be reached any more
        """
        with self._connecting:
            if self.connected and hasattr(self.connector, "reconnect"):
                self.state.epoch += 1
                self._ask_connector("reconnect")
                return
            self.disconnect()
            self.connect(reason, show_errors=False, raise_exceptions=True)

    def lost(self, error: ConnectError) -> None:
        """Take note that the connection broke: nothing more is sent over it."""
        if self.connected:
            self.connected = False
            self.broken = True
            self.connection_error = error
            self.state.trigger_callbacks("host_connect_lost", self, error)

    # Commands and files

    def run_shell_command(
        self,
        command: str | StringCommand,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Any,
    ) -> tuple[bool, CommandOutput]:
        """Run a command as it is, with no defaults from configuration or data.

        Args:
            command: what to run
            print_output: whether to show the output as it comes
            print_input: whether to show the command
            arguments: connector arguments (``_sudo`` …)

        Returns whether it succeeded, and its output.
        """
        if not isinstance(command, StringCommand):
            command = StringCommand(command)
        result: tuple[bool, CommandOutput] = self._ask_connector(
            "run_shell_command",
            command,
            print_output,
            print_input,
            **arguments,
        )
        return result

    def put_file(self, *args: Any, **kwargs: Any) -> bool:
        """Copy a local file, or a file object, to the host; see :meth:`BaseConnector.put_file`."""
        return bool(self._ask_connector("put_file", *args, **kwargs))

    def get_file(self, *args: Any, **kwargs: Any) -> bool:
        """Copy a file from the host to a local file or file object; see :meth:`BaseConnector.get_file`."""
        return bool(self._ask_connector("get_file", *args, **kwargs))

    def check_can_rsync(self) -> None:
        """Raise an error, unless the host's connector can use rsync."""
        self._ask_connector("check_can_rsync")

    def rsync(self, *args: Any, **kwargs: Any) -> bool:
        """Copy a local folder to the host; see :meth:`BaseConnector.rsync`."""
        return bool(self._ask_connector("rsync", *args, **kwargs))

    def _ask_connector(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call one of the connector's methods; an error that says that the connection broke is kept as well."""
        require_turn()
        detect_rest(self.state, self._host)
        if not self.connected:
            raise ConnectError(f"Host {self.name} is not connected")
        changing = self.state.changing() if method in _CHANGING_METHODS else nullcontext()
        try:
            with changing, self.calling():
                return getattr(self.connector, method)(*args, **kwargs)
        except ConnectError as error:
            self.connection_error = error
            raise

    def calling(self) -> AbstractContextManager[Any]:
        """Around calls of the connector: they are one at a time, unless it takes several commands at once."""
        return nullcontext() if hasattr(self.connector, "run_fact_commands") else self._calling
