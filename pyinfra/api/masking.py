"""What of host data and arguments is a secret, and how people see it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .hiddenvalue import MASK as MASK
from .hiddenvalue import MaskString

_SECRET_NAME = re.compile(r"(.*[_-])?(pass|secret|token)|.*(password|passwd|passphrase)", re.IGNORECASE | re.DOTALL)


def is_secret_name(name: Any) -> bool:
    """Whether data of this name are a secret: it ends in ``password``, ``passwd`` or ``passphrase``, or its last word,
    after ``_`` or ``-``, is ``pass``, ``secret`` or ``token``."""
    return _SECRET_NAME.fullmatch(str(name)) is not None


def masked(value: Any) -> Any:
    """Data or arguments as people may see them: secrets by type or name are ``***``, at any depth."""
    if isinstance(value, Mapping):
        return {key: MASK if item and is_secret_name(key) else masked(item) for key, item in value.items()}
    for kind in (tuple, list, set, frozenset):
        if isinstance(value, kind):
            return kind(masked(item) for item in value)
    return MASK if isinstance(value, MaskString) else value
