"""Questions to whoever runs the command, asked while the hosts' connections stay alive."""

from __future__ import annotations

import os
import select
import sys

from .exceptions import CliError
from .terminal import Terminal


class NoAnswer(Exception):
    """Standard input ended before there was an answer."""


def _read_byte_by_byte(descriptor: int) -> str:
    """One line of a descriptor, and no byte more: the next question's answer may be there already."""
    line = bytearray()
    while True:
        # Waits for input as gevent has it, so that keepalives go on
        select.select([descriptor], [], [])
        byte = os.read(descriptor, 1)
        if not byte and not line:
            raise NoAnswer
        if byte in (b"", b"\n"):
            return line.decode(errors="replace").rstrip("\r")
        line += byte


def _read_line() -> str:
    try:
        descriptor = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        text = sys.stdin.readline() if sys.stdin is not None else ""
        if not text:
            raise NoAnswer from None
        return text.rstrip("\r\n")
    return _read_byte_by_byte(descriptor)


def ask(terminal: Terminal, question: str) -> str:
    """The line that somebody answers to ``question``.

    Raises:
        NoAnswer: standard input has ended
    """
    with terminal.paused():
        terminal.write(f"    {question} ")
        terminal.flush()
        return _answer(terminal)


def _answer(terminal: Terminal) -> str:
    try:
        return _read_line()
    finally:
        # Where nobody's Enter has ended the line
        if not (terminal.interactive and sys.stdin is not None and sys.stdin.isatty()):
            terminal.line()


def ask_secret(terminal: Terminal, question: str) -> str:
    """A line that is not shown while it is typed.

    Raises:
        CliError: standard input has ended
    """
    from getpass import getpass

    with terminal.paused():
        terminal.flush()
        try:
            return getpass(f"    {question} ")
        except EOFError:
            terminal.line()
            raise CliError(f"Standard input ended before somebody answered: {question}") from None
