"""Errors as the command line shows them: what went wrong, where, and a traceback only for what nobody expected."""

from __future__ import annotations

import os
import sysconfig
import traceback
from functools import lru_cache
from types import TracebackType
from typing import IO, Any

import click

import pyinfra
from pyinfra.api.exceptions import ArgumentTypeError, ConnectorDataTypeError, OperationError
from pyinfra.version import __version__

from .terminal import Terminal

_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (OperationError, "Operation error"),
    (ArgumentTypeError, "Argument type error"),
    (ConnectorDataTypeError, "Connector data type error"),
)


@lru_cache(maxsize=1)
def _library_folders() -> tuple[str, ...]:
    """Where code lies that is not the user's: pyinfra, Python and what is installed beside it."""
    paths = sysconfig.get_paths()
    folders = [
        *(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        os.path.dirname(os.path.abspath(pyinfra.__file__)),
        os.path.dirname(os.path.abspath(__file__)),
    ]
    return tuple(dict.fromkeys(folder + os.sep for folder in folders))


def is_user_file(filename: str) -> bool:
    """Whether a code's file is one of the user's own."""
    return not filename.startswith("<") and not os.path.abspath(filename).startswith(_library_folders())


def shown_path(filename: str) -> str:
    """A path as people call it: from the working directory, if it is in there."""
    relative = os.path.relpath(filename)
    return filename if relative.startswith(os.pardir) else relative


def user_position(error: BaseException) -> tuple[str, int] | None:
    """The innermost file and line of the user's own code that led to ``error``."""
    position = None
    if isinstance(error, SyntaxError) and error.filename is not None and is_user_file(error.filename):
        return error.filename, error.lineno or 1
    for frame, line in traceback.walk_tb(error.__traceback__):
        if is_user_file(frame.f_code.co_filename):
            position = (frame.f_code.co_filename, line)
    return position


def _echo_error(kind: str, text: str, file: IO[Any] | None) -> None:
    terminal = Terminal(file)
    line = f"{terminal.style('--> ', fg='blue')}{terminal.style(kind, fg='red', bold=True)}{text}"
    click.echo(line, err=file is None, file=file)


class CliError(click.ClickException):
    """A mistake on the command line, or a run that ends with exit code 1; ``message`` says which."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Write it to ``file``, standard error by default."""
        _echo_error("pyinfra error", f": {self.message}", file)


class WrappedError(click.ClickException):
    """An error that pyinfra raised on purpose, in ``exception``."""

    def __init__(self, e: Exception) -> None:
        super().__init__(str(e))
        self.exception = e

    def show(self, file: IO[Any] | None = None) -> None:
        """Write its kind, the file and line of the user's code that led to it, and what it says."""
        kind = next((kind for error_type, kind in _KINDS if isinstance(self.exception, error_type)), "pyinfra error")
        position = user_position(self.exception)
        where = f" in {shown_path(position[0])} line {position[1]}" if position else ""
        _echo_error(kind, f"{where}: {self.message}", file)


class UnexpectedMixin:
    """Errors that are shown with a traceback."""

    exception: Exception

    def traceback_text(self, filename: str | None = None) -> str:
        """The traceback; with ``filename``, from the first call in that file on."""
        if isinstance(self.exception, SyntaxError):
            # It shows its place itself; the calls are those that read the file
            return "".join(traceback.format_exception_only(self.exception)).rstrip()
        start: TracebackType | None = self.exception.__traceback__
        path = None if filename is None else os.path.abspath(filename)
        while path is not None and start is not None and os.path.abspath(start.tb_frame.f_code.co_filename) != path:
            start = start.tb_next
        lines = traceback.format_exception(
            type(self.exception),
            self.exception,
            start if start is not None else self.exception.__traceback__,
        )
        return "".join(lines).rstrip()


class UnexpectedExternalError(click.ClickException, UnexpectedMixin):
    """An error of any kind in one of the user's files."""

    def __init__(self, e: Exception, filename: str) -> None:
        super().__init__(str(e))
        self.exception = e
        self.filename = filename

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the name of the file and the traceback from there on."""
        _echo_error("An exception occurred in", f": {shown_path(self.filename)}", file)
        click.echo(f"\n{self.traceback_text(self.filename)}\n", err=file is None, file=file)


class UnexpectedInternalError(click.ClickException, UnexpectedMixin):
    """An error that pyinfra itself did not expect."""

    def __init__(self, e: Exception) -> None:
        super().__init__(str(e))
        self.exception = e

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the whole traceback, and what to report."""
        _echo_error("An internal exception occurred", ":", file)
        click.echo(f"\n{self.traceback_text()}\n", err=file is None, file=file)
        report = "please report it with the above and what pyinfra --support shows"
        _echo_error(f"This is a bug in pyinfra {__version__}", f": {report}", file)


def unexpected_error(error: Exception) -> UnexpectedExternalError | UnexpectedInternalError:
    """An error of a kind that nobody raises on purpose, to be shown with the user's file that led to it, if one did."""
    position = user_position(error)
    return UnexpectedInternalError(error) if position is None else UnexpectedExternalError(error, position[0])
