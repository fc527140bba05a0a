"""The operations of :mod:`pyinfra.operations.files`, by idea; they are named after their home there."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeAlias

from ..util.homes import named_after

Commands: TypeAlias = Generator[Any, None, None]

of_files = named_after("pyinfra.operations.files")
