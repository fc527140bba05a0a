"""The operations of :mod:`pyinfra.operations.server`, by idea; they are named after that module, their public home."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable)


def of_server(function: F) -> F:
    """``function`` as one of :mod:`pyinfra.operations.server`, where people import it from."""
    function.__module__ = "pyinfra.operations.server"
    return function
