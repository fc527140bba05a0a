"""Processes of a machine."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pyinfra.api import QuoteString, StringCommand, operation

from . import of_server


@operation(is_idempotent=False)
@of_server
def kill(pid: int, signal: str = "TERM") -> Generator[Any, None, None]:
    """Send a signal to a process.

    Args:
        pid: its id
        signal: the name of the signal, without ``SIG``, or its number

    .. code:: python

        server.kill(name="Have it read its settings again", pid=1234, signal="HUP")
    """
    yield StringCommand("kill", QuoteString(f"-{signal}"), str(int(pid)))
