"""The lines of ``~/.ssh/config``, taken apart as OpenSSH takes them, with those of the files that it includes."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# As in OpenSSH: files that include each other end here
MOST_NESTED_INCLUDES = 16
# Of these all that stands behind counts, as it is written, with quotation marks that are for somebody else
_WHOLE = {"proxycommand", "proxyjump", "refuseconnection", "knownhostscommand", "localcommand", "remotecommand"}


class SSHConfigError(ValueError):
    """A line of the file cannot be understood; the message names it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One setting, or the start of a block, or the lines of an included file."""

    keyword: str
    arguments: tuple[str, ...]
    place: str
    included: tuple[Line, ...] = ()


def parse_file(path: str, depth: int = 0) -> Iterator[Line]:
    """The lines of a file that set something; ``depth`` tells through how many others it was included.

    Raises:
        SSHConfigError: a line cannot be understood
        OSError: the file cannot be read
    """
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        for number, raw in enumerate(file, 1):
            place = f"{path} line {number}"
            match = re.match(r"\s*(\w+)(?:\s*=\s*|\s+)(.*?)\s*$", raw)
            if match is None:
                if raw.strip() and not raw.lstrip().startswith("#"):
                    raise SSHConfigError(f"{place}: no setting with a value: {raw.strip()!r}")
                continue
            keyword, text = match[1].lower(), match[2]
            arguments = (text,) if keyword in _WHOLE and text else tuple(_words(text, place))
            if not arguments:
                raise SSHConfigError(f"{place}: {match[1]} has no value")
            included: tuple[Line, ...] = ()
            if keyword == "include":
                included = tuple(_parse_includes(arguments, place, depth))
            yield Line(keyword, arguments, place, included)


# A part of a word: what a backslash stands before, a quoted text or anything else
_QUOTED = r"""(?:\\[\\"']|\\(?![\\"'])|[^\\{0}])*"""
_PART = re.compile(
    r"""\\(?P<sign>[\\"' ])|"(?P<double>"""
    + _QUOTED.format('"')
    + r""")"|'(?P<single>"""
    + _QUOTED.format("'")
    + r""")'|(?P<plain>[^\s"'])"""
)


def _words(text: str, place: str) -> Iterator[str]:
    """The words of a line up to a comment: quotation marks of both kinds hold them together, as do backslashes."""
    rest = text.lstrip()
    while rest and not rest.startswith("#"):
        word = ""
        while rest and not rest[0].isspace():
            part = _PART.match(rest)
            if part is None:
                raise SSHConfigError(f"{place}: a quotation mark is missing: {text}")
            quoted = part["double"] if part["double"] is not None else part["single"]
            word += re.sub(r"\\([\\\"'])", r"\1", quoted) if quoted is not None else part["sign"] or part["plain"]
            rest = rest[part.end() :]
        yield word
        rest = rest.lstrip()


def _parse_includes(patterns: Iterable[str], place: str, depth: int) -> Iterator[Line]:
    if depth >= MOST_NESTED_INCLUDES:
        raise SSHConfigError(f"{place}: more than {MOST_NESTED_INCLUDES} files include each other")
    for pattern in patterns:
        # As in OpenSSH: beside the user's own configuration, wherever the including file is
        full_pattern = os.path.join(os.path.expanduser("~/.ssh"), os.path.expanduser(pattern))
        for path in sorted(glob.glob(full_pattern)):
            if not os.path.isdir(path):
                yield from parse_file(path, depth + 1)
