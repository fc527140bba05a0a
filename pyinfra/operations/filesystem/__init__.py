"""The operations of :mod:`pyinfra.operations.files`, by idea; they are named after their home there."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeAlias, TypeVar

Commands: TypeAlias = Generator[Any, None, None]

F = TypeVar("F", bound=Callable)


def of_files(function: F) -> F:
    """``function`` as one of :mod:`pyinfra.operations.files`, where people import it from."""
    function.__module__ = "pyinfra.operations.files"
    return function
