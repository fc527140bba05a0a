"""What is kept of an error that was not ignored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .exceptions import PyinfraError

if TYPE_CHECKING:
    from .host import Host


def as_exception(error: BaseException) -> Exception:
    """An error that fails a host: for one of gevent's time-outs, which are no Exceptions, a ``TimeoutError``."""
    return error if isinstance(error, Exception) else TimeoutError(f"Timed out: {error}")


@dataclass(frozen=True, slots=True)
class HostFailure:
    """An error that was not ignored: where it happened and what the host said."""

    host: Host
    op_hash: str | None
    command: str | None = None
    exit_code: int | None = None
    stderr_lines: tuple[str, ...] = ()
    error: Exception | None = None
    # Whether the error is none that pyinfra, a connector or a callback raises to say that something failed
    is_unexpected: bool = False
    # The connector's method that raised an unexpected error
    raised_by: str | None = None

    @property
    def error_text(self) -> str:
        """The error in words: an unexpected one with its type, and with the connector's method that raised it."""
        if self.error is None:
            return ""
        if not self.is_unexpected or isinstance(self.error, PyinfraError):
            return str(self.error)
        where = f"{self.raised_by} failed: " if self.raised_by else ""
        return f"{where}{type(self.error).__name__}: {self.error}"

    @classmethod
    def of_preparing(cls, host: Host, error: Exception) -> HostFailure:
        """A failure outside the operations, such as of a fact that the deploy code asked for."""
        output = getattr(error, "output", None)
        return cls(
            host,
            None,
            exit_code=getattr(output, "exit_code", None),
            stderr_lines=() if output is None else tuple(output.stderr_lines),
            error=error,
            is_unexpected=getattr(error, "is_unexpected", not isinstance(error, (PyinfraError, TimeoutError))),
        )
