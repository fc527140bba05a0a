"""Ways to an SSH server: TCP, and programs that stand for it."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import suppress

import gevent
from gevent import socket as gevent_socket
from gevent.socket import wait_read

from pyinfra.api.exceptions import ConnectError
from pyinfra.api.output import echo

from .localprocess import process_class

# How long a ProxyCommand may take to end
_END_SECONDS = 1
_BLOCK_SIZE = 1 << 14


class NobodyAnswersError(ConnectError):
    """The server could not be reached: another attempt may do better."""


def open_socket(host: str, port: int, timeout: float, bind_address: str | None) -> socket.socket:
    """A TCP connection, made while other greenlets work; a plain socket that paramiko's thread can use.

    Raises:
        ConnectError: no host can be called so
        OSError: there is no way to it
    """
    try:
        # gevent's resolver would print what is wrong, and all that led there
        host.encode("idna")
    except UnicodeError as error:
        raise ConnectError(f"Could not connect ({host!r} can be no host's name: {_innermost(error)})") from error
    source = (bind_address, 0) if bind_address else None
    waiting = gevent_socket.create_connection((host, port), timeout, source)
    family = waiting.family
    connected = socket.socket(family, socket.SOCK_STREAM, fileno=waiting.detach())
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return connected


def _innermost(error: BaseException) -> BaseException:
    """What an error of encoding is about, without the name of the codec in front."""
    return error if error.__cause__ is None else _innermost(error.__cause__)


class ProxyCommand:
    """A program that stands for the way to a server, until :meth:`end`.

    What it says on standard error, which may be where to log in first, is shown as it comes.

    Args:
        command: for the shell
        name: of the server, for what is shown
    """

    def __init__(self, command: str, name: str) -> None:
        self._name = name
        self._last_line = b""
        self.socket, theirs = socket.socketpair()
        self._errors, their_errors = os.pipe()
        try:
            self._process = process_class()(
                ["sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=their_errors,
                start_new_session=True,
            )
        except BaseException:
            self.socket.close()
            os.close(self._errors)
            raise
        finally:
            theirs.close()
            os.close(their_errors)
        os.set_blocking(self._errors, False)
        self._reader = gevent.spawn(self._read_errors)

    def _read_errors(self) -> None:
        """Read to the end, as a program that nobody listens to would wait in the end."""
        begun = b""
        while True:
            wait_read(self._errors)
            with suppress(BlockingIOError):
                data = os.read(self._errors, _BLOCK_SIZE)
                *lines, begun = (begun + data).split(b"\n")
                begun = begun[-_BLOCK_SIZE:]
                for line in [*lines, *([] if data else [begun])]:
                    if line.strip():
                        self._last_line = line.strip()
                        echo(f"ProxyCommand of {self._name}: {self._words()}", err=True)
                if not data:
                    return

    def _words(self) -> str:
        return self._last_line.decode("utf-8", "replace")

    def describe_end(self, seconds: float = 0) -> str:
        """How it has ended, and its last words; waits ``seconds`` for that. Empty if it is still there and silent."""
        with gevent.Timeout(seconds, False):
            while self._process.poll() is None:
                gevent.sleep(0.005)
            # What it has left behind may hold its standard error open
            self._reader.join()
        code = self._process.poll()
        if code is None:
            return f"ProxyCommand says: {self._words()}" if self._last_line else ""
        how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        return f"ProxyCommand ended with {how}" + (f": {self._words()}" if self._last_line else "")

    def end(self) -> None:
        """End it and what it started: it is asked to, and killed if it takes its time."""
        # What it says of being ended is of no interest
        self._reader.kill()
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(OSError):
                os.killpg(self._process.pid, number)
            deadline = time.monotonic() + _END_SECONDS
            while self._process.poll() is None and time.monotonic() < deadline:
                gevent.sleep(0.005)
        os.close(self._errors)


def describe_error(error: BaseException | None) -> str:
    """An error in a few words."""
    if error is None:
        return ""
    if isinstance(error, EOFError):
        return "the other side closed the connection"
    text = str(error) or type(error).__name__
    # paramiko glues these together
    return text.replace("protocol banner", "protocol banner: ").removesuffix(": ")
