"""This process as a run's: where it prints, logs and imports from."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stdout, suppress
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
        with _output_kept(terminal) if options.json else nullcontext():
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


@contextmanager
def _output_kept(terminal: Terminal) -> Iterator[None]:
    """Standard output for ``terminal.output`` alone: what the user's files and their programs print is for people."""
    output, error = terminal.output, terminal.stream
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(sys.stderr))
        # Others, of who calls the command line from a program, are no files that programs inherit
        if (output, error) == (sys.__stdout__, sys.__stderr__):
            kept = os.dup(output.fileno())
            terminal.output = stack.enter_context(os.fdopen(kept, "w", encoding=output.encoding))
            stack.callback(os.dup2, kept, output.fileno())
            os.dup2(error.fileno(), output.fileno())
        yield


def _silent(*_args: Any, **_kwargs: Any) -> None:
    """Outside a run nothing is echoed."""


def _plain(text: str, *_args: Any, **_kwargs: Any) -> str:
    """Outside a run nothing is styled."""
    return text
