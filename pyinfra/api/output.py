"""Where connectors print a command's input and output, and how text is styled.

Nothing here prints on its own: outside the command line :func:`echo` drops what it gets, and
:func:`format_text` returns plain text. The command line puts its own functions in their place.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

_formatter: Callable[..., str] | None = None
_echo: Callable[..., None] | None = None
_pause: Callable[[], AbstractContextManager[None]] | None = None


def format_text(text: str, *args: Any, **kwargs: Any) -> str:
    """``text`` styled for the terminal; the further arguments are those of :func:`click.style`."""
    return text if _formatter is None else _formatter(text, *args, **kwargs)


def echo(message: Any = None, **kwargs: Any) -> None:
    """Show one line of a command's input or output; the keywords are those of :func:`click.echo`."""
    if _echo is not None:
        _echo(message, **kwargs)


def paused() -> AbstractContextManager[None]:
    """A context in which nobody writes to the terminal, for asking something there.

    Ctrl-C within it ends what asks, and the run.
    """
    return nullcontext() if _pause is None else _pause()


def set_formatter(func: Callable[..., str]) -> None:
    """Have :func:`format_text` style text with ``func``."""
    global _formatter
    _formatter = func


def set_echo(func: Callable[..., None]) -> None:
    """Have :func:`echo` show lines with ``func``."""
    global _echo
    _echo = func


def set_pause(func: Callable[[], AbstractContextManager[None]]) -> None:
    """Have :func:`paused` give the contexts that ``func`` makes."""
    global _pause
    _pause = func
