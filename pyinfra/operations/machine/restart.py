"""Restarting a machine, and waiting for it."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import gevent

from pyinfra import logger
from pyinfra.api import FunctionCommand, OperationError, StringCommand, operation
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.connectors.util import remove_askpass_files
from pyinfra.context import ctx_host
from pyinfra.facts.server import Uptime

from . import of_server

# For a short command over a connection that may be dead without saying so
_SECONDS_TO_ANSWER = 10
# The end of a command that is late is a command too
_SECONDS_TO_GIVE_UP = 2 * _SECONDS_TO_ANSWER


class _RebootCommand(StringCommand):
    """A command that may well take its connection with it."""

    def execute(self, state: State, host: Host, connector_arguments: Any) -> Any:
        """Run it; a connection that breaks meanwhile is success."""
        try:
            return super().execute(state, host, connector_arguments)
        except ConnectError:
            return True


class _Restart:
    """One restart of one host: what it was like before, and how it comes back."""

    host: Host

    def __init__(self, delay: float, interval: float, reboot_timeout: float) -> None:
        self.delay = delay
        self.interval = interval
        self.reboot_timeout = reboot_timeout
        self.fact = Uptime()
        self.uptime_command: str | StringCommand = ""
        self.uptime_before: int | None = None
        # Whether a connection has died since, or could not be made
        self.was_away = False

    def begin(self, host: Host) -> None:
        """Take note of how long the machine has been up."""
        self.host = host
        with ctx_host.use(host):
            self.uptime_command = self.fact.command()
        self.uptime_before = self.read_uptime()

    def read_uptime(self) -> int | None:
        """The uptime in seconds, ``None`` where it isn't told.

        It is no reading of a fact: while the host is away, that would fail it for good.
        """
        success, output = self.host.run_shell_command(self.uptime_command, _timeout=_SECONDS_TO_ANSWER)
        return self.fact.process(output.stdout_lines) if success else None

    def answers(self) -> bool:
        """Whether the connection is alive."""
        try:
            with gevent.Timeout(_SECONDS_TO_GIVE_UP, TimeoutError("no answer")):
                success, _ = self.host.run_shell_command("true", _timeout=_SECONDS_TO_ANSWER)
        except (ConnectError, TimeoutError):
            return False
        return success

    def disconnect(self) -> None:
        """Let go of the connection, whatever a dead one makes of that."""
        try:
            with gevent.Timeout(_SECONDS_TO_GIVE_UP, TimeoutError("no answer")):
                self.host.disconnect()
        except Exception as error:  # it is gone either way, and was to go
            logger.debug("[%s] disconnecting for its restart: %s", self.host.name, error)

    def wait(self) -> None:
        """Return when the machine has restarted and the host is connected to it.

        Raises:
            OperationError: that took longer than it may
        """
        # The reboot command has its password by now, and the file that told it might outlive the restart
        remove_askpass_files(self.host)
        gevent.sleep(self.delay)
        deadline = time.monotonic() + self.reboot_timeout
        while (why_not := self.look()) is not None:
            if time.monotonic() >= deadline:
                raise OperationError(
                    f"{self.host.name} did not come back within {self.reboot_timeout} seconds: {why_not}"
                )
            gevent.sleep(self.interval)

    def look(self) -> str | None:
        """See whether the host is connected to the machine after its restart; if not, why not.

        A connection that works is kept: when it dies, that tells that the machine goes down.
        """
        try:
            if not self.was_away and not self.answers():
                raise ConnectError("it has gone down")
            self.host.connect(reason="after its restart", show_errors=False, raise_exceptions=True)
            uptime = self.read_uptime()
        except (ConnectError, TimeoutError) as error:
            self.was_away = True
            self.disconnect()
            return str(error)
        if self.is_restarted(uptime):
            return None
        return "it has not gone down yet" + (f", its uptime is {uptime} seconds" if uptime is not None else "")

    def is_restarted(self, uptime: int | None) -> bool:
        """Whether a machine that answers, and has been up for so long, is the one after the restart."""
        if self.uptime_before is None:
            return self.was_away
        if uptime is not None and uptime < self.uptime_before:
            return True
        if not self.was_away:
            return False
        # The uptime of a container is its host's and goes on. But a machine that is going down, too, ends its sessions
        # and may still take new ones for a moment
        gevent.sleep(self.delay)
        return self.answers()


@operation(is_idempotent=False)
@of_server
def reboot(delay: float = 10, interval: float = 1, reboot_timeout: float = 300) -> Generator[Any, None, None]:
    """Restart the machine, wait until it is back, and connect to it again.

    Args:
        delay: seconds before the first attempt to connect
        interval: seconds between attempts
        reboot_timeout: seconds that attempts may go on; then the host fails

    .. code:: python

        server.reboot(name="Restart for the new kernel", delay=60, _if=lambda: host.get_fact(RebootRequired))
    """
    restart = _Restart(delay, interval, reboot_timeout)

    def remove_any_askpass_file(host: Host) -> None:
        remove_askpass_files(host)

    def capture_uptime(host: Host) -> None:
        restart.begin(host)

    def wait_and_reconnect() -> None:
        restart.wait()

    def clean_sudo_info(host: Host) -> None:
        remove_askpass_files(host)

    yield FunctionCommand(remove_any_askpass_file, (), {})
    yield FunctionCommand(capture_uptime, (), {})
    yield _RebootCommand("( sleep 1 && reboot ) </dev/null >/dev/null 2>&1 &")
    yield FunctionCommand(wait_and_reconnect, (), {})
    yield FunctionCommand(clean_sudo_info, (), {})


@operation(is_idempotent=False)
@of_server
def wait(port: int) -> Generator[str, None, None]:
    """Wait until something listens on a TCP port of the machine; needs ``netstat`` there.

    Args:
        port: its number; one that begins with it will do too, as 8080 for 80

    ``_timeout`` limits the wait.

    .. code:: python

        server.wait(name="Wait for the web server", port=80, _timeout=60)
    """
    number = int(port)
    yield f"""while ! (netstat -an | grep LISTEN | grep -e "\\.{number}" -e ":{number}"); do
            echo "waiting for port {number}..."
            sleep 1
        done"""
