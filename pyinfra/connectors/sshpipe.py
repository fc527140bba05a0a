"""An SSH channel as a pipe: what paramiko's threads receive, handed to greenlets that wait for it.

Paramiko reads each connection in a thread. Where gevent has patched the standard library that thread is a greenlet, and
blocking calls let others work; elsewhere it is a real thread, which may not touch gevent's objects and must not be
waited for with locks. Both work here: threads ring bells (:class:`Bell`), and what may block goes through
:func:`call_blocking`.
"""

from __future__ import annotations

import errno
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

import gevent
from gevent.event import Event
from gevent.monkey import is_module_patched

from pyinfra.api.exceptions import ConnectError

if TYPE_CHECKING:
    from paramiko import Channel, Message, Transport

T = TypeVar("T")

# Read at once: enough to be quick, little enough to share memory with many hosts
_BLOCK_SIZE = 1 << 18
# Sent before others get their turn
_TURN_SIZE = 1 << 20
# A write of this size fits into the socket's buffer: it needs no thread of its own
_SMALL = 1 << 14
# The program's last output may come after its exit status; a process in the background may keep the channel open
_LAST_OUTPUT_SECONDS = 0.25


def threads_are_greenlets() -> bool:
    """Whether gevent has patched threads, so that blocking calls let other greenlets work."""
    return bool(is_module_patched("threading"))


def call_blocking(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """The result of a call that may block, while other greenlets work."""
    if threads_are_greenlets():
        return function(*args, **kwargs)

    def work() -> tuple[T | None, BaseException | None]:
        # Errors come as values: the pool would print them, as if nobody waited for them
        try:
            return function(*args, **kwargs), None
        except BaseException as error:
            return None, error

    result, error = gevent.get_hub().threadpool.apply(work)
    if error is not None:
        raise error
    return cast("T", result)


# What is typed is not echoed (RFC 4254, section 8: mode 53 is ECHO, 0 ends the list)
_TERMINAL_MODES = "\x35\0\0\0\0\0"


class PipeIsEmptyError(Exception):
    """Nothing has been received that was not read."""


class Bell:
    """What any thread may ring and greenlets of the thread that made it wait for.

    It has the methods of an event, as paramiko calls them: ringing is :meth:`set`.
    """

    def __init__(self) -> None:
        self._event = Event()
        self._is_rung = False
        self._watcher = gevent.get_hub().loop.async_(ref=False)
        self._watcher.start(self._event.set)
        # Held by those who ring, so that the watcher is not closed under their hands
        self._lock = threading.Lock()

    def set(self) -> None:
        """Ring: whoever waits goes on, and whoever comes before :meth:`reset` does not wait."""
        with self._lock:
            if not self._is_rung and self._watcher is not None:
                self._is_rung = True
                self._watcher.send()

    def is_set(self) -> bool:
        """Whether it was rung since :meth:`reset`."""
        return self._is_rung

    def reset(self) -> None:
        """Listen anew: to be called before looking at what one waits for."""
        self._is_rung = False
        self._event.clear()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it rings; tells whether it did within ``seconds``."""
        watcher = self._watcher
        if watcher is None:
            return True
        # Only while somebody waits does it keep the loop alive
        watcher.ref = True
        try:
            return bool(self._event.wait(seconds))
        finally:
            if self._watcher is not None:
                watcher.ref = False

    def close(self) -> None:
        """Let all that wait go on; ringing does nothing from now on."""
        with self._lock:
            watcher, self._watcher = self._watcher, None
        self._is_rung = True
        self._event.set()
        if watcher is not None:
            watcher.stop()
            watcher.close()


class _Buffer:
    """What a channel has received of one stream, in place of paramiko's buffer: it rings a bell and copies less."""

    def __init__(self, bell: Bell, received: bytes) -> None:
        self._bell = bell
        self._chunks = deque([received] if received else ())
        self._is_closed = False

    def feed(self, data: bytes) -> None:
        """Add data; called by paramiko's thread."""
        self._chunks.append(data)
        self._bell.set()

    def close(self) -> None:
        """There will be no more."""
        self._is_closed = True
        self._bell.set()

    def read(self, nbytes: int, timeout: float | None = None) -> bytes:
        """What is there, at least a chunk and not much more than ``nbytes``; empty at the end."""
        chunks = []
        while self._chunks and nbytes > 0:
            chunks.append(self._chunks.popleft())
            nbytes -= len(chunks[-1])
        if not chunks and not self._is_closed:
            raise PipeIsEmptyError
        return b"".join(chunks) if len(chunks) != 1 else chunks[0]


class _RingingEvent(threading.Event):
    """An event that also rings a bell."""

    def __init__(self, bell: Bell) -> None:
        super().__init__()
        self._bell = bell

    def set(self) -> None:
        super().set()
        self._bell.set()


class _RingingCondition(threading.Condition):
    """A condition that also rings a bell."""

    def __init__(self, lock: Any, bell: Bell) -> None:
        super().__init__(lock)
        self._bell = bell

    def notify_all(self) -> None:
        super().notify_all()
        self._bell.set()


def handle_channel_request(channel: Channel, message: Message) -> None:
    """What paramiko's ``Channel._handle_request`` does, and the end of a program by a signal, which it passes over."""
    import paramiko

    if message.get_text() == "exit-signal":
        message.get_boolean()
        number = getattr(signal, f"SIG{message.get_text()}", signal.SIGKILL)
        channel.exit_status = 128 + int(number)
        channel.status_event.set()
        return
    message.rewind()
    message.get_int()
    paramiko.Channel._handle_request(channel, message)  # type: ignore[attr-defined]


class ChannelPipe:
    """A program at the other end of an open SSH session channel, as a :class:`~.session.Pipe`.

    Args:
        channel: opened, with nothing requested on it yet
        terminal: whether the program gets a terminal
        describe_loss: says why there is no connection any more
        on_close: called once, when the pipe is closed
    """

    def __init__(
        self,
        channel: Channel,
        terminal: bool = False,
        describe_loss: Callable[[], str] = lambda: "Connection lost",
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        transport = channel.get_transport()
        if transport is None:
            raise OSError(errno.ENOTCONN, "the channel has no connection")
        self._channel = channel
        self._transport: Transport = transport
        self._terminal = terminal
        self._describe_loss = describe_loss
        self._on_close = on_close
        self._last_output_until: float | None = None
        self._prefers_errors = False
        self._is_closed = False
        self._make_command: Callable[[str], str] | None = None
        self._output = Bell()
        self._window = Bell()
        channel.settimeout(0.0)
        # paramiko's own events, so that nothing has to be asked again and again
        channel.status_event = _RingingEvent(self._output)
        channel.out_buffer_cv = _RingingCondition(channel.lock, self._window)
        buffers: Any = channel
        buffers.in_buffer = _Buffer(self._output, channel.in_buffer.empty())
        buffers.in_stderr_buffer = _Buffer(self._output, channel.in_stderr_buffer.empty())

    def start(self, command: str) -> None:
        """Ask for the program; whether the other side agrees shows in what :meth:`receive` gives."""
        if self._terminal:
            self._request("pty-req", "xterm", 200, 50, 0, 0, _TERMINAL_MODES)
        self._request("exec", command)

    def start_with_line(self, make_command: Callable[[str], str]) -> None:
        """Ask for the program once its first line of input is sent, with the line in its command.

        OpenSSH takes no input before the program runs: a line of its own would wait for one more round trip.
        """
        self._make_command = make_command

    def _request(self, kind: str, *values: str | int, wants_answer: bool = True) -> None:
        """Send a channel request without waiting for the answer, which would take a round trip."""
        from paramiko import Message
        from paramiko.common import cMSG_CHANNEL_REQUEST

        message = Message()
        message.add_byte(cMSG_CHANNEL_REQUEST)
        message.add_int(self._channel.remote_chanid)
        message.add_string(kind)
        # A refusal closes the channel
        message.add_boolean(wants_answer)
        for value in values:
            if isinstance(value, int):
                message.add_int(value)
            else:
                message.add_string(value.encode("utf-8", "surrogateescape"))
        with suppress(EOFError):  # it is the reader who finds out what has happened
            self._in_thread_if_slow(len(message.asbytes()), self._transport._send_user_message, message)  # type: ignore[attr-defined]

    def _in_thread_if_slow(self, size: int, function: Callable[..., T], *args: Any) -> T:
        """Call what writes ``size`` bytes to the connection; ``OSError`` if that has just gone."""
        try:
            if size <= _SMALL and self._transport.clear_to_send.is_set():
                return function(*args)
            return call_blocking(function, *args)
        except EOFError as error:  # how paramiko says so
            raise BrokenPipeError(errno.EPIPE, "the other side is gone") from error

    def send(self, data: bytes) -> None:
        """Write all of it, as fast as the other side takes it; ``OSError`` if that is gone."""
        make_command, self._make_command = self._make_command, None
        if make_command is not None:
            line, _, data = data.partition(b"\n")
            self.start(make_command(line.decode()))
        rest = memoryview(data)
        while rest:
            if self._is_closed or self._channel.closed or not self._transport.is_active():
                raise BrokenPipeError(errno.EPIPE, "the other side is gone")
            self._window.reset()
            try:
                sent = self._in_thread_if_slow(len(rest), self._send_turn, rest[:_TURN_SIZE])
            except EOFError as error:
                raise BrokenPipeError(errno.EPIPE, "the connection is gone") from error
            rest = rest[sent:]
            if sent == 0:
                self._window.wait()
            elif rest:
                gevent.sleep(0)

    def _send_turn(self, data: memoryview) -> int:
        """Send what the other side is ready to take of it."""
        sent = 0
        # A block at a time: the channel would copy all that is left for each packet
        while sent < len(data):
            try:
                count = self._channel.send(bytes(data[sent : sent + self._channel.out_max_packet_size]))
            except TimeoutError:
                return sent
            if count == 0:
                raise BrokenPipeError(errno.EPIPE, "the other side is gone")
            sent += count
        return sent

    def close_input(self) -> None:
        """Give the program an end of file; in a terminal: type one (^D)."""
        if self._terminal:
            with suppress(OSError):
                self.send(b"\x04")
            return
        self._in_thread_if_slow(0, self._channel.shutdown_write)

    def receive(self, seconds: float | None) -> tuple[int, bytes] | None:
        """The next piece of output: 1 for standard output or 2 for standard error, and data.

        ``None`` when the program has ended, and all that was there has been read. ``TimeoutError`` when nothing came
        within ``seconds``; ``None`` waits for ever.

        Raises:
            ConnectError: the connection is lost; shells that were ready before would not tell
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            self._output.reset()
            # Before the reading: what came until then is read
            has_ended = self._channel.closed or bool(self._channel.eof_received)
            chunk = self._read()
            if chunk is not None:
                if self._last_output_until is not None:
                    self._last_output_until = time.monotonic() + _LAST_OUTPUT_SECONDS
                return chunk
            if self._is_closed or (has_ended and (self._channel.closed or self._status_is_known())):
                if not (self._is_closed or self._status_is_known() or self._transport.is_active()):
                    raise ConnectError(self._describe_loss())
                return None
            now = time.monotonic()
            if self._status_is_known():
                if self._last_output_until is None:
                    self._last_output_until = now + _LAST_OUTPUT_SECONDS
                elif now >= self._last_output_until:
                    return None
            if deadline is not None and now >= deadline:
                raise TimeoutError(f"No output within {seconds}s")
            until = [moment - now for moment in (deadline, self._last_output_until) if moment is not None]
            self._output.wait(max(0.0, min(until)) if until else None)

    def _read(self) -> tuple[int, bytes] | None:
        """What is there of either stream, in turns."""
        self._prefers_errors = not self._prefers_errors
        for is_error in (self._prefers_errors, not self._prefers_errors):
            receive = self._channel.recv_stderr if is_error else self._channel.recv
            try:
                data = receive(_BLOCK_SIZE)
            except PipeIsEmptyError:
                continue
            except EOFError as error:  # the other side was to hear that there is room for more
                raise ConnectError(self._describe_loss()) from error
            if data:
                return (2 if is_error else 1), data
        return None

    def _status_is_known(self) -> bool:
        return self._channel.exit_status != -1

    def exit_status(self) -> int | None:
        """The program's exit status, 128+n for signal n; ``None`` while it runs, and if nobody said how it ended."""
        return self._channel.exit_status if self._status_is_known() else None

    def drain(self) -> None:
        """Read and drop output until nobody holds the streams any more."""
        while True:
            self._output.reset()
            has_ended = self._channel.closed or bool(self._channel.eof_received)
            if self._read() is not None:
                continue
            if has_ended or self._is_closed:
                return
            self._output.wait()

    def close(self) -> None:
        """Let go of the channel at once; the server is asked to kill a program that still runs, and its group.

        Servers of OpenSSH 7.9 and newer can. Where one allows a single session, nothing else ends a program.
        """
        was_closed, self._is_closed = self._is_closed, True
        with suppress(Exception):
            if not (was_closed or self._status_is_known() or self._make_command):
                self._request("signal", "KILL", wants_answer=False)
            # Closing sends two small packets, if there is still a connection
            self._in_thread_if_slow(0, self._channel.close)
        self._output.close()
        self._window.close()
        if not was_closed:
            self._on_close()
