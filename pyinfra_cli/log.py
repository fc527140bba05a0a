"""Log messages, pyinfra's and the user's own, as lines among the others."""

from __future__ import annotations

import logging

import click

from pyinfra.context import ctx_state

from .terminal import Terminal

_STYLES: dict[int, dict[str, object]] = {
    logging.DEBUG: {"fg": "green"},
    logging.WARNING: {"fg": "yellow"},
    logging.ERROR: {"fg": "red"},
    logging.CRITICAL: {"fg": "red", "bold": True},
}


_LOGGERS = ("pyinfra", "pyinfra_cli")


class TerminalLogging(logging.Handler):
    """Writes messages to a terminal, indented below the stage that they belong to, and counts the warnings."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self.terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message."""
        try:
            text = self.format(record)
            if record.levelno >= logging.WARNING and ctx_state.isset():
                ctx_state.get().increment_warning_counter()
            style = _STYLES.get(record.levelno)
            for line in text.split("\n"):
                shown = self.terminal.style(line, **style) if style and "\x1b" not in line else line
                self.terminal.line(f"    {shown if self.terminal.styled else click.unstyle(shown)}")
        except Exception:
            self.handleError(record)

    def format(self, record: logging.LogRecord) -> str:
        """The message, under its logger's name unless that is pyinfra, with the traceback if it has one."""
        text = super().format(record)
        return text if record.name.partition(".")[0] == "pyinfra" else f"{record.name}: {text}"


def setup_logging(log_level: int, other_log_level: int | None = None, terminal: Terminal | None = None) -> None:
    """Have log messages shown on standard error.

    Args:
        log_level: the lowest level of pyinfra's messages to show
        other_log_level: likewise for all other libraries; they are left as they are without it
        terminal: where to write; standard error by default
    """
    handler = TerminalLogging(Terminal() if terminal is None else terminal)
    remove_logging()
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(log_level)
    if other_log_level is None:
        for name in _LOGGERS:
            logging.getLogger(name).addHandler(handler)
    else:
        # Messages of all loggers end up at the root: one handler there shows each once
        logging.getLogger().addHandler(handler)
        logging.getLogger().setLevel(other_log_level)


def remove_logging() -> None:
    """Undo :func:`setup_logging`, but for the levels."""
    for name in ("", *_LOGGERS):
        logger = logging.getLogger(name)
        for handler in [handler for handler in logger.handlers if isinstance(handler, TerminalLogging)]:
            logger.removeHandler(handler)
