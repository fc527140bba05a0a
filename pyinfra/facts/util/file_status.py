"""What ``stat`` and ``ls`` say of one file, as values."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from functools import lru_cache
from typing import TypedDict

from typing_extensions import NotRequired


class FileDict(TypedDict):
    """A file's status; ``mode``'s decimal digits are the octal ones of ``chmod``, times are in UTC without a zone."""

    mode: int
    size: int | str
    atime: datetime | None
    mtime: datetime | None
    ctime: datetime | None
    user: str
    group: str
    link_target: NotRequired[str]


# The formats of GNU and BSD stat give the same line but for the quotes around names
STAT_COMMANDS = (
    "stat -c 'user=%U group=%G mode=%A atime=%X mtime=%Y ctime=%Z size=%s %N'",
    "stat -f 'user=%Su group=%Sg mode=%Sp atime=%a mtime=%m ctime=%c size=%z %N%SY'",
)

_STAT_LINE = re.compile(
    r"user=(?P<user>.*?) group=(?P<group>.*?) mode=(?P<kind>\S)(?P<permissions>[-rwxsStTl]{9})\S* "
    r"atime=(?P<atime>-?\d*) mtime=(?P<mtime>-?\d*) ctime=(?P<ctime>-?\d*) size=(?P<size>\d*) (?P<names>.*)"
)
# Devices have two numbers in place of a size; a group's name may hold spaces
_LS_LINE = re.compile(
    r"(?P<kind>\S)(?P<permissions>[-rwxsStTl]{9})[-+@.]?\s+\d+\s+(?P<user>\S+)\s+(?P<group>.+?)\s+"
    r"(?P<size>\d+(?:,\s*\d+)?)\s+"
    r"(?:(?P<date>\d{4}-\d\d-\d\d \d\d:\d\d)|(?:(?P<day>\d+) )?(?P<month>[A-Z][a-z]{2})\s+(?:(?P<day2>\d+)\s+)?"
    r"(?:(?P<clock>\d\d?:\d\d)|(?P<year>\d{4})))\s+(?P<names>.*)"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# A name in quotes as GNU stat (shell words, $'' for control characters) and uutils' (double quotes) give it
_QUOTED = r"""(?:'[^']*'|"[^"]*"|\$'(?:\\.|[^'\\])*'|\\.)+"""
_QUOTED_LINK = re.compile(f"{_QUOTED} -> ({_QUOTED})")
_QUOTED_PART = re.compile(r"""'([^']*)'|"([^"]*)"|\$'((?:\\.|[^'\\])*)'|\\(.)""")
_OCTAL_ESCAPES = re.compile(r"(?:\\[0-7]{3})+")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_CONTROL_CHARACTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_ARROW = " -> "


@lru_cache(maxsize=256)
def _mode_digits(permissions: str) -> int:
    """``rw-r--r-T`` as ``1644``."""
    special = "".join("1" if permissions[index] in "sStTl" else "0" for index in (2, 5, 8))
    plain = "".join("0" if letter in "-STl" else "1" for letter in permissions)
    return int(f"{int(special + plain, 2):o}")


def _time(seconds: str) -> datetime | None:
    if not seconds or seconds == "-":
        return None
    try:
        return datetime.fromtimestamp(int(seconds), timezone.utc).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):  # files may be from later years than there are here
        return None


def _listed_time(found: re.Match[str]) -> datetime | None:
    """The time in a line of ``ls``, which leaves out either the year or the time of day."""
    if found["date"]:
        return datetime.strptime(found["date"], "%Y-%m-%d %H:%M")
    day = found["day"] or found["day2"]
    if found["month"] not in _MONTHS or day is None:
        return None
    year = int(found["year"]) if found["year"] else datetime.now(timezone.utc).year
    hour, minute = found["clock"].split(":") if found["clock"] else (0, 0)
    try:
        return datetime(year, _MONTHS.index(found["month"]) + 1, int(day), int(hour), int(minute))
    except ValueError:  # the 29th of February of another year
        return None


def _bytes_of(escapes: re.Match[str]) -> str:
    return bytes(int(digits, 8) for digits in escapes[0].split("\\")[1:]).decode("utf-8", "surrogateescape")


def _unquoted(name: str) -> str:
    """A name without the quotes and escapes that ``stat`` put around it."""
    text = ""
    for single, double, ansi, escaped in _QUOTED_PART.findall(name):
        if ansi:
            ansi = _OCTAL_ESCAPES.sub(_bytes_of, ansi)
            ansi = _ESCAPED.sub(lambda found: _CONTROL_CHARACTERS.get(found[1], found[1]), ansi)
        text += single or double or ansi or escaped
    return text


def _link_target(names: str, size: str) -> str:
    """The target in ``NAME -> TARGET``."""
    if quoted := _QUOTED_LINK.fullmatch(names):
        return _unquoted(quoted[1])
    # A link's size is its target's length: that tells the arrow from one in a name
    for candidate in (names, names[:-1]):
        target = candidate.encode("utf-8", "surrogateescape")[-int(size or 0) :].decode("utf-8", "surrogateescape")
        if target and candidate[: -len(target)].rstrip("'\"\u2018").endswith(_ARROW):
            return target
    target = names.partition(_ARROW)[2]
    return target[1:-1] if target[:1] in ("'", '"', "\u2018") else target


def parse_file_status(output: list[str]) -> tuple[str, FileDict] | None:
    """The letter that ``ls`` has for the kind of file, and the file's status; ``None`` if no line makes sense."""
    for number, line in enumerate(output, start=1):
        found = _STAT_LINE.match(line)
        if found:
            atime, mtime, ctime = _time(found["atime"]), _time(found["mtime"]), _time(found["ctime"])
        else:
            found = _LS_LINE.match(line)
            if not found:
                continue
            atime, mtime, ctime = None, _listed_time(found), None
        kind, size = found["kind"], found["size"]
        status: FileDict = {
            "user": found["user"],
            "group": found["group"],
            "mode": _mode_digits(found["permissions"]),
            "atime": atime,
            "mtime": mtime,
            "ctime": ctime,
            "size": int(size) if size.isdigit() else size,
        }
        if kind == "l":
            # Only GNU's stat escapes newlines in names
            status["link_target"] = _link_target("\n".join([found["names"], *output[number:]]), size)
        return kind, status
    return None
