"""Operations that stand by idea in packages, and are named after the module that people import them from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable)


def named_after(module: str) -> Callable[[F], F]:
    """A decorator that has a function be one of a module's, their public home."""

    def named(function: F) -> F:
        function.__module__ = module
        return function

    return named
