"""What was read of a host, for as long as nothing can have changed it.

A value is good only within the run's *epoch* in which its reading began: the epoch moves at the start and at the end
of everything that may change anything anywhere (:meth:`State.changing`), so a value read meanwhile is never kept.
"""

from __future__ import annotations

import copy
import time
from datetime import date, datetime
from typing import Any

from .command import StringCommand

_MISSING = object()
_ATOMIC = frozenset({str, int, float, bool, bytes, type(None), datetime, date})


def freeze(value: Any) -> Any:
    """A hashable stand-in that is equal for equal values of the same type only.

    Raises:
        TypeError: the value has none (a file, a generator …)
    """
    kind = type(value)
    if kind is str or value is None:
        return value
    if kind in (list, tuple):
        return (kind, *map(freeze, value))
    if isinstance(value, dict):
        return (kind, *[(freeze(key), freeze(item)) for key, item in value.items()])
    if isinstance(value, (set, frozenset)):
        return (kind, frozenset(map(freeze, value)))
    if isinstance(value, StringCommand):
        # Commands are equal where they look the same, but their secrets may differ
        return (kind, value.get_raw_value())
    hash(value)
    return (kind, value)


def own_copy(value: Any) -> Any:
    """A copy that its owner may change without the original noticing."""
    kind = type(value)
    if kind in _ATOMIC:
        return value
    if kind is dict and all(type(item) in _ATOMIC for item in value.values()):
        return dict(value)
    if kind is list and all(type(item) in _ATOMIC for item in value):
        return list(value)
    return copy.deepcopy(value)


class FactCache:
    """One host's facts of the current epoch."""

    __slots__ = ("_epoch", "_values")

    def __init__(self) -> None:
        self._epoch = -1
        self._values: dict[Any, tuple[float, Any]] = {}

    def get(self, epoch: int, seconds: float, key: Any) -> tuple[bool, Any]:
        """Whether there is a value of this epoch that is at most so many seconds old, and a copy of it."""
        if epoch != self._epoch:
            return False, None
        read_at, value = self._values.get(key, (0.0, _MISSING))
        if value is _MISSING or time.monotonic() - read_at > seconds:
            return False, None
        return True, own_copy(value)

    def put(self, epoch: int, key: Any, read_at: float, value: Any) -> None:
        """Keep a value whose reading began in this epoch, at this :func:`time.monotonic`."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._values = {}
        self._values[key] = (read_at, value)
