"""Standard error as people read it: styled and line by line on a terminal, in few large writes anywhere else."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import IO, TYPE_CHECKING, Any

import click
import gevent

if TYPE_CHECKING:
    from .live import LiveLine

# Lines wait this long for others before they are written to a pipe or a file, and never more than this many
_SECONDS_TO_GATHER = 0.2
_LINES_TO_GATHER = 2000


class Terminal:
    """Where the command line writes for people.

    ``styled`` says whether text may have colours, ``interactive`` whether somebody is looking at a terminal. ``output``
    is standard output as it was: that of programs.
    """

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.output = sys.stdout
        self.interactive = self.stream.isatty() and os.environ.get("TERM") != "dumb"
        self.styled = self.interactive and not os.environ.get("NO_COLOR")
        self.live: LiveLine | None = None
        self._waiting: list[str] = []
        self._reader_is_gone = False
        self._flusher: gevent.Greenlet | None = None

    def style(self, text: str, *args: Any, **kwargs: Any) -> str:
        """``text`` in colours, if this is a place for them; the arguments are those of :func:`click.style`."""
        return click.style(text, *args, **kwargs) if self.styled else text

    def stage(self, text: str) -> None:
        """Write the title of a stage: ``--> text``."""
        self.line(f"{self.style('-->', fg='blue')} {text}")

    def line(self, text: str = "") -> None:
        """Write one line, or several with newlines between them."""
        self.write(f"{text}\n")

    def write(self, text: str) -> None:
        """Write text as it is."""
        if self.interactive:
            if self.live is not None and self.live.shown:
                self.live.write_above(text)
            else:
                self._send(text)
            return
        self._waiting.append(text)
        if len(self._waiting) >= _LINES_TO_GATHER:
            self.flush()
        elif self._flusher is None:
            self._flusher = gevent.spawn_later(_SECONDS_TO_GATHER, self._flush_gathered)

    def paused(self) -> AbstractContextManager[None]:
        """A context within which somebody can be asked something: all lines are there, and the live line is away."""
        self.flush()
        return nullcontext() if self.live is None else self.live.paused()

    def _flush_gathered(self) -> None:
        self._flusher = None
        self.flush()

    def flush(self) -> None:
        """Have everything written so far arrive."""
        text = "".join(self._waiting)
        self._waiting.clear()
        if text:
            self._send(text)

    def _send(self, text: str) -> None:
        """Write now. A reader that has gone away is no reason to leave hosts half done: the run goes on unseen."""
        if self._reader_is_gone:
            return
        try:
            self.stream.write(text)
            self.stream.flush()
        except OSError:
            self._reader_is_gone = True

    def close(self) -> None:
        """Write what is left, and no more on its own."""
        if self._flusher is not None:
            self._flusher.kill(block=False)
            self._flusher = None
        self.flush()

    def echo(self, message: Any = None, nl: bool = True, **_ignored: Any) -> None:
        """For :func:`pyinfra.api.output.set_echo`: one line of a command's input or output."""
        if isinstance(message, bytes):
            message = message.decode(errors="replace")
        text = "" if message is None else str(message)
        if not self.styled and "\x1b" in text:
            text = click.unstyle(text)
        self.write(f"{text}\n" if nl else text)


_current: Terminal | None = None


def current_terminal() -> Terminal:
    """The terminal of the run that is under way, else one for standard error as it is now."""
    return Terminal() if _current is None else _current


def set_current_terminal(terminal: Terminal | None) -> None:
    """Have :func:`current_terminal` give this one."""
    global _current
    _current = terminal
