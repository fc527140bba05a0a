"""Values from and for the command line: parsing arguments, and what JSON has no word for."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from enum import Enum
from inspect import isclass, isroutine
from io import IOBase
from pathlib import PurePath
from typing import Any

from pyinfra.api.command import MaskString, PyinfraCommand, QuoteString
from pyinfra.api.hiddenvalue import HiddenValue

_WORDS = {"true": True, "false": False}
_INTEGER = re.compile(r"-?[0-9]+")


def _reject(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def parse_value(text: str) -> Any:
    """An argument's value: true or false, an integer, JSON, else the text itself."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return int(text) if _INTEGER.fullmatch(text) else json.loads(text, parse_constant=_reject)
    except ValueError:
        return text


def split_assignment(text: str) -> tuple[str, str] | None:
    """``key=value`` as both, split at the first ``=``; ``None`` where no name stands before it."""
    key, equals, value = text.partition("=")
    return (key, value) if equals and key.isidentifier() else None


def _file_text(file: Any) -> str:
    """What is in a file in memory, or the name of another file object."""
    if hasattr(file, "getvalue"):
        content = file.getvalue()
        return f"In memory file: {content if isinstance(content, str) else content.decode(errors='replace')}"
    return f"File: {getattr(file, 'name', type(file).__name__)}"


def _sorted(items: Iterable[Any]) -> list[Any]:
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=lambda item: (type(item).__name__, str(item)))


def json_encode(obj: Any) -> Any:
    """For ``json.dumps(default=…)``: a value that JSON has no word for, in words that it has.

    Raises:
        TypeError: for an object of a kind that has no such form
    """
    if isinstance(obj, (datetime, date, time)):
        return obj.isoformat()
    if isinstance(obj, (set, frozenset)):
        return _sorted(obj)
    if isinstance(obj, IOBase) or hasattr(obj, "getvalue"):
        return _file_text(obj)
    if isinstance(obj, (PyinfraCommand, HiddenValue, PurePath)):
        return str(obj)
    if isinstance(obj, QuoteString):
        return str(obj.obj)
    if isinstance(obj, bytes):
        return obj.decode(errors="replace")
    if isinstance(obj, Enum):
        return obj.value
    if isroutine(obj) or isclass(obj):
        return f"Function: {obj.__name__}"
    if dataclasses.is_dataclass(obj):
        return {field.name: getattr(obj, field.name) for field in dataclasses.fields(obj)}
    if isinstance(obj, Mapping):
        return dict(obj)
    raise TypeError(f"{type(obj).__name__} cannot be written as JSON: {obj!r}")


def presentable(value: Any) -> Any:
    """``value`` in types that JSON knows, its secrets masked; what has no form of its own is shown by its ``repr``."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, MaskString):
        return "***"
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else _key_text(key): presentable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [presentable(item) for item in value]
    try:
        plain = json_encode(value)
    except TypeError:
        return repr(value)
    return presentable(plain)


def _key_text(key: Any) -> str:
    """A mapping's key as JSON has it."""
    if key is None or isinstance(key, bool):
        return json.dumps(key)
    return str(key)
