"""Sessions over the connection of ``@openssh``, which the server may refuse: it counts them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import gevent
from gevent.event import Event

from .session import Pipe, ProcessPipe

_ANSWER_SECONDS = 60
# What ssh says with its exit status where a connection fails
_LOST = 255
# How long a server may take to make room for a session after the end of another one
_REFUSED_SECONDS = 5
_REFUSED = b"session request failed"


class Session:
    """A session with a shell that speaks first, as a pipe: one that the server refuses is asked for again.

    A server that counts sessions may refuse one where another has only just ended. Nothing has run then. What is sent
    before the shell has spoken is kept to be sent again: the first two lines, and what follows waits.
    """

    def __init__(self, argv: Sequence[str], terminal: bool, make_room: Callable[[], Any]) -> None:
        self._argv = argv
        self._make_room = make_room
        self._terminal = terminal
        self._process = ProcessPipe(argv, terminal)
        self._heard = Event()
        self._sent: list[bytes] = []
        self._said: list[tuple[int, bytes]] = []
        self._closes_input = self._is_closed = False
        self._give_up = time.monotonic() + _REFUSED_SECONDS

    def send(self, data: bytes) -> None:
        if not self._heard.is_set() and len(self._sent) < 2:
            self._sent.append(data)
            with suppress(OSError):  # whoever listens finds out
                self._process.send(data)
            return
        self._heard.wait()
        self._process.send(data)

    def close_input(self) -> None:
        if self._heard.is_set():
            self._process.close_input()
        else:
            self._closes_input = True

    def receive(self, seconds: float | None) -> tuple[int, bytes] | None:
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self._heard.is_set():
            chunk = self._process.receive(None if deadline is None else max(0, deadline - time.monotonic()))
            if chunk is not None:
                self._said.append(chunk)
            if chunk is None and self._is_refused():
                self._make_room()
                gevent.sleep(_REFUSED_SECONDS / 50)
                self._start_again()
            elif chunk is None or (chunk[0] == 1 and not self._is_refused()):
                self._begin()
        return self._said.pop(0) if self._said else self._process.receive(seconds)

    def _is_refused(self) -> bool:
        said = b"".join(data for _, data in self._said)
        return _REFUSED in said and not self._is_closed and time.monotonic() < self._give_up

    def _start_again(self) -> None:
        if self._is_closed:
            return
        self._process.close()
        self._said.clear()
        self._process = ProcessPipe(self._argv, self._terminal)
        for data in self._sent:
            with suppress(OSError):
                self._process.send(data)

    def _begin(self) -> None:
        """The shell has spoken, or there is none: from now on it is a pipe as any other."""
        self._sent.clear()
        if self._closes_input:
            with suppress(OSError):
                self._process.close_input()
        self._heard.set()

    def exit_status(self) -> int | None:
        status = self._process.exit_status()
        return _LOST if status is None and self._is_closed else status

    def drain(self) -> None:
        self._process.drain()

    def close(self) -> None:
        self._is_closed = True
        self._process.close()
        self._heard.set()


def see_accepted(pipe: Pipe) -> None:
    """Wait for a first sign of a session; ``OSError`` if the server allows no more of them."""
    try:
        chunk = pipe.receive(_ANSWER_SECONDS)
    except TimeoutError as error:
        pipe.close()
        raise OSError(f"ssh opens no session within {_ANSWER_SECONDS} seconds") from error
    if chunk is None or (chunk[0] == 2 and _REFUSED in chunk[1]):
        pipe.close()
        raise OSError("the server allows no more sessions, see MaxSessions in its sshd_config")
