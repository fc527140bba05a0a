"""How far a long piece of work is, for the command line's live line."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, contextmanager
from typing import Any

# What the command line shows: called with the items and a message, gives a function to call with each item that is done
Spinner = Callable[[list[Any], str], AbstractContextManager[Callable[[Any], None]]]

_spinner: Spinner | None = None


def set_spinner(spinner: Spinner | None) -> None:
    """Have :func:`progress_spinner` shown by ``spinner``; ``None`` shows nothing."""
    global _spinner
    _spinner = spinner


@contextmanager
def progress_spinner(
    items: Iterable[Any],
    prefix_message: str | None = None,
) -> Generator[Callable[[Any], None], None, None]:
    """Within a ``with`` block, show how many of ``items`` are done; its value is to be called with each that is.

    Args:
        items: what is worked on, such as hosts
        prefix_message: shown before the count

    Nothing is shown outside the command line, nor where it has no terminal.
    """
    if _spinner is None:
        yield _ignore
        return
    with _spinner(list(items), prefix_message or "") as done:
        yield done


def _ignore(_item: Any) -> None:
    """Nobody is watching."""
