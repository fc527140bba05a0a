"""This process as a run's: where it prints, logs and imports from."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from typing import TYPE_CHECKING, Any

import pyinfra
from pyinfra.api.output import set_echo, set_formatter, set_pause
from pyinfra.context import ctx_config
from pyinfra.progress import set_spinner

from .exceptions import CliError
from .log import remove_logging, setup_logging
from .terminal import Terminal, set_current_terminal

if TYPE_CHECKING:
    from .options import Options


@contextmanager
def process_set_up(options: Options, terminal: Terminal) -> Iterator[None]:
    """This process as a run's: where it prints, logs and imports from. The state and the inventory stay afterwards."""
    if options.chdir is not None:
        try:
            os.chdir(options.chdir)
        except OSError as error:
            raise CliError(f"Cannot change to folder {options.chdir}: {error.strerror}") from error
    try:
        here = os.getcwd()
    except FileNotFoundError as error:
        raise CliError("The working directory does not exist any more: change to one, or use --chdir") from error
    sys.path.insert(0, here)
    pyinfra.is_cli = True
    set_current_terminal(terminal)
    set_formatter(terminal.style)
    set_echo(terminal.echo)
    set_pause(terminal.paused)
    level = logging.DEBUG if options.debug or options.debug_all else logging.INFO
    setup_logging(level, logging.DEBUG if options.debug_all else None, terminal)
    try:
        # With --json, standard output is for that alone: what the user's files print is for people
        with redirect_stdout(sys.stderr) if options.json else nullcontext():
            yield
    finally:
        remove_logging()
        set_echo(_silent)
        set_pause(nullcontext)
        set_formatter(_plain)
        set_current_terminal(None)
        set_spinner(None)
        ctx_config.reset()
        pyinfra.is_cli = False
        with suppress(ValueError):
            sys.path.remove(here)


def _silent(*_args: Any, **_kwargs: Any) -> None:
    """Outside a run nothing is echoed."""


def _plain(text: str, *_args: Any, **_kwargs: Any) -> str:
    """Outside a run nothing is styled."""
    return text
