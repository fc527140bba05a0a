"""Sizes as people write them."""

from __future__ import annotations

import re

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:([kmgtp])(i?b)?|b)?\s*", re.IGNORECASE)
_PREFIXES = "kmgtp"


def parse_size(size: str | int) -> int:
    """The bytes in a size such as ``4096``, ``10kB`` (10,000) or ``10KiB`` (10,240; ``10K`` too, as of ``find``).

    Raises:
        ValueError: it is no size
    """
    found = _SIZE.fullmatch(str(size))
    if not found:
        raise ValueError(f"not a size: {size!r} (use bytes, or a number with kB, MB, GB or KiB, MiB, GiB)")
    number, prefix, unit = found.groups()
    if prefix is None:
        return round(float(number))
    base = 1000 if (unit or "").lower() == "b" else 1024
    return round(float(number) * base ** (_PREFIXES.index(prefix.lower()) + 1))
