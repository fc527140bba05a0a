"""Host names as inventories write them: with ranges and ports."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator

from pyinfra import logger
from pyinfra.api.exceptions import InventoryError

from .model import Variable

_BRACKETED = re.compile(r"\[(?P<host>.+)\]:(?P<port>\d+)")
_WITH_PORT = re.compile(r"(?P<host>(?:[^:\[\]]|\[[^\]]*\])+):(?P<port>\d+)")
# What can stand between the dots of a name that has a port; \w is more than ASCII
_LABEL = r"(?:\w|\[[^\]]*\])(?:(?:[\w-]|\[[^\]]*\])*(?:\w|\[[^\]]*\]))?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_IPV6 = re.compile(r"[0-9A-Fa-f:.\[\]]*:[0-9A-Fa-f:.\[\]]*")
_RANGES = "ranges look like [01:20], [a:f], [1:9:2]"


def expand_hosts(pattern: str, place: str) -> tuple[list[str], Variable | None]:
    """The names that a host pattern stands for, and the port behind it.

    Args:
        pattern: ``web[01:20].example.com:2222``, ``db[a:f]``, ``[::1]:22``
        place: where it is written, for errors and for the port
    """
    if pattern.endswith(":"):
        raise InventoryError(f"{place}: host `{pattern}` ends with a colon: leave it out, or write a port after it")
    host, number = _split_port(pattern)
    port = None if number is None else Variable(number, place)
    return list(_expand(pattern if host is None else host, place)), port


def _split_port(pattern: str) -> tuple[str | None, int | None]:
    match = _BRACKETED.fullmatch(pattern) or _WITH_PORT.fullmatch(pattern)
    if match is None or not (_NAME.fullmatch(match["host"]) or _IPV6.fullmatch(match["host"])):
        # What is no host name is a name all the same, a path or user@host for example
        return None, None
    return match["host"], int(match["port"])


def _expand(pattern: str, place: str) -> Iterator[str]:
    head, opened, after = pattern.partition("[")
    if not opened:
        yield pattern
        return
    text, closed, tail = after.partition("]")
    if not closed or "]" in head:
        raise InventoryError(f"{place}: host `{pattern}` has a bracket without its counterpart; {_RANGES}")
    members = list(_members(text, pattern, place))
    if not members:
        logger.warning("%s: range [%s] of `%s` is empty: its end is before its beginning", place, text, pattern)
    for member in members:
        for rest in _expand(tail, place):
            yield f"{head}{member}{rest}"


def _members(text: str, pattern: str, place: str) -> Iterable[str]:
    """What a range such as ``01:20``, ``1:9:2`` or ``a:f`` stands for."""

    def wrong(why: str) -> InventoryError:
        return InventoryError(f"{place}: range [{text}] of `{pattern}` {why}; {_RANGES}")

    bounds = text.split(":")
    if len(bounds) not in (2, 3):
        raise wrong("should have a beginning and an end, and a step at most")
    first, last = bounds[0] or "0", bounds[1]
    if not last:
        raise wrong("has no end")
    step_text = bounds[2] if len(bounds) == 3 else "1"
    if not step_text.isdecimal() or int(step_text) == 0:
        raise wrong("should have a number above 0 as its step")
    step = int(step_text)
    letters = string.ascii_letters
    if len(first) == len(last) == 1 and first in letters and last in letters:
        return letters[letters.index(first) : letters.index(last) + 1 : step]
    if not first.isdecimal() or not last.isdecimal():
        raise wrong("should be between two numbers or two letters")
    width = len(first) if first.startswith("0") and len(first) > 1 else 0
    if width and width != len(last):
        raise wrong("should have as many digits at its end as at its beginning, which has leading zeros")
    return [str(number).zfill(width) for number in range(int(first), int(last) + 1, step)]
