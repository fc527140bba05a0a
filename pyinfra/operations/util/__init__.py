"""What operations share, and conditions for ``_if``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyinfra.api.operation import OperationMeta


def any_changed(*args: OperationMeta) -> Callable[[], bool]:
    """A condition for ``_if``: at least one of these operations changed the host."""
    return lambda: any(operation.did_change() for operation in args)


def all_changed(*args: OperationMeta) -> Callable[[], bool]:
    """A condition for ``_if``: all of these operations changed the host."""
    return lambda: all(operation.did_change() for operation in args)
