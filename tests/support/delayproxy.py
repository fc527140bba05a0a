"""A TCP proxy for tests: delays each direction, counts round trips, swallows bytes and cuts connections on demand."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

BLOCK = 1 << 16
# Bytes on their way through one direction: more are left in the sender's socket
MOST_UNDER_WAY = 1 << 23


@dataclass
class _Direction:
    """Bytes on their way from one socket to the other."""

    source: socket.socket
    target: socket.socket
    is_answer: bool
    under_way: deque[tuple[float, bytes]] = field(default_factory=deque)
    size: int = 0
    has_ended: bool = False


class DelayProxy:
    """Forwards TCP connections from a loopback port to ``target``, ``delay`` seconds later in each direction.

    Runs in a thread of its own, with the plain standard library: start it in a process that gevent has not patched.
    ``round_trips`` counts how often, after bytes from the server had arrived, the client sent again: what it sends in
    several pieces counts once, as another trip would take twice the delay.
    """

    def __init__(self, target: tuple[str, int], delay: float = 0.0) -> None:
        self.target = target
        self.delay = delay
        self.swallows = False
        self.connections = 0
        self.round_trips = 0
        self.bytes_to_server = 0
        self.bytes_to_client = 0
        self.cut_after_bytes_to_server: int | None = None
        self.cut_after_bytes_to_client: int | None = None
        self._client_speaks = True
        self._last_trip = 0.0
        self._selector = selectors.DefaultSelector()
        self._directions: dict[socket.socket, _Direction] = {}
        self._peers: dict[socket.socket, socket.socket] = {}
        self._is_closing = False
        self._should_cut = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """Where clients connect to."""
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    @property
    def port(self) -> int:
        return self.address[1]

    def cut(self) -> None:
        """Reset every connection that is open now."""
        self._should_cut = True
        self._wake()

    def close(self) -> None:
        """End all connections and the proxy."""
        self._is_closing = True
        self._wake()
        self._thread.join()

    def _wake(self) -> None:
        with suppress(OSError):
            self._wake_writer.send(b"x")

    def _serve(self) -> None:
        while not self._is_closing:
            for key, _ in self._selector.select(self._seconds_to_next()):
                found = key.fileobj
                if found is self._wake_reader:
                    self._wake_reader.recv(100)
                elif found is self._listener:
                    self._accept()
                elif isinstance(found, socket.socket) and found in self._directions:
                    self._read(self._directions[found])
            if self._should_cut:
                self._should_cut = False
                self._end_all()
            self._deliver()
        self._end_all()
        for each in (self._listener, self._wake_reader, self._wake_writer):
            each.close()
        self._selector.close()

    def _seconds_to_next(self) -> float | None:
        due = [direction.under_way[0][0] for direction in self._directions.values() if direction.under_way]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(self.target)
        except OSError:
            client.close()
            return
        self.connections += 1
        self._client_speaks = True
        for source, target, is_answer in ((client, server, False), (server, client, True)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._directions[source] = _Direction(source, target, is_answer)
            self._peers[source] = target
            self._selector.register(source, selectors.EVENT_READ)

    def _read(self, direction: _Direction) -> None:
        if direction.size > MOST_UNDER_WAY:
            self._deliver()
            time.sleep(0.001)
            return
        try:
            data = direction.source.recv(BLOCK)
        except OSError:
            self._end(direction.source)
            return
        if not data:
            self._selector.unregister(direction.source)
            direction.has_ended = True
            direction.under_way.append((time.monotonic() + self.delay, b""))
            return
        if not direction.is_answer and not self._client_speaks:
            self._client_speaks = True
            now = time.monotonic()
            if now - self._last_trip >= self.delay:
                self._last_trip = now
                self.round_trips += 1
        if self.swallows:
            return
        direction.size += len(data)
        direction.under_way.append((time.monotonic() + self.delay, data))

    def _deliver(self) -> None:
        now = time.monotonic()
        for direction in list(self._directions.values()):
            while direction.under_way and direction.under_way[0][0] <= now:
                _, data = direction.under_way.popleft()
                direction.size -= len(data)
                if direction.source not in self._directions or not self._pass_on(direction, data):
                    break

    def _pass_on(self, direction: _Direction, data: bytes) -> bool:
        try:
            if not data:
                direction.target.shutdown(socket.SHUT_WR)
                return True
            direction.target.sendall(data)
        except OSError:
            self._end(direction.source)
            return False
        if direction.is_answer:
            self._client_speaks = False
            self.bytes_to_client += len(data)
            limit, count = self.cut_after_bytes_to_client, self.bytes_to_client
        else:
            self.bytes_to_server += len(data)
            limit, count = self.cut_after_bytes_to_server, self.bytes_to_server
        if limit is not None and count >= limit:
            self._end(direction.source)
            return False
        return True

    def _end(self, source: socket.socket) -> None:
        for each in (source, self._peers.get(source)):
            if each is None or each not in self._directions:
                continue
            if not self._directions[each].has_ended:
                self._selector.unregister(each)
            del self._directions[each]
            self._peers.pop(each, None)
            with suppress(OSError):
                # Linger 0: a reset, as from a machine that has lost the connection
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            each.close()

    def _end_all(self) -> None:
        for source in list(self._directions):
            self._end(source)
