"""Ways to an SSH server: TCP, and programs that stand for it."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import suppress
from typing import Any

import gevent
from gevent import socket as gevent_socket

from pyinfra.api.exceptions import ConnectError

from .localprocess import process_class

# How long a ProxyCommand may take to end
_END_SECONDS = 1


class NobodyAnswersError(ConnectError):
    """The server could not be reached: another attempt may do better."""


def open_socket(host: str, port: int, timeout: float, bind_address: str | None) -> socket.socket:
    """A TCP connection, made while other greenlets work; a plain socket that paramiko's thread can use."""
    source = (bind_address, 0) if bind_address else None
    waiting = gevent_socket.create_connection((host, port), timeout, source)
    family = waiting.family
    connected = socket.socket(family, socket.SOCK_STREAM, fileno=waiting.detach())
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return connected


def start_proxy_command(command: str) -> tuple[socket.socket, Any]:
    """A socket to the standard input and output of a ``ProxyCommand``, and its process."""
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = process_class()(
                ["sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
    return ours, process


def end_proxy_command(process: Any) -> None:
    """End a ``ProxyCommand`` and what it started: it is asked to, and killed if it takes its time."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(OSError):
            os.killpg(process.pid, number)
        deadline = time.monotonic() + _END_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            gevent.sleep(0.005)


def describe_error(error: BaseException | None) -> str:
    """An error in a few words."""
    if error is None:
        return ""
    if isinstance(error, EOFError):
        return "the other side closed the connection"
    text = str(error) or type(error).__name__
    # paramiko glues these together
    return text.replace("protocol banner", "protocol banner: ").removesuffix(": ")
