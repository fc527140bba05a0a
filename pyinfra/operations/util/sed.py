"""Scripts for ``sed``, as words for the host's shell."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pyinfra.api import QuoteString
from pyinfra.api.command import InterpolatedString
from pyinfra.api.hiddenvalue import mask_like

_PATTERN_DELIMITERS = re.compile(r"\\.|/|\n", re.DOTALL)
_REPLACEMENT_SYNTAX = re.compile(r"\\.|[/&\n]|\\$", re.DOTALL)
# What the shell expands in double quotes, but for what is in brackets, and what it takes as it is
_EXPANSION = re.compile(r"\\.|\$(?:[A-Za-z_]\w*|[0-9@*#?!$-]|[({])|`", re.DOTALL | re.ASCII)
_BRACKETS = {"(": ")", "{": "}"}
# Stands in scripts for the slashes where a variable's value may have some: no text has it
_UNIT_SEPARATOR = "\x1f"
# Has text be itself in a replacement, all its lines
_ESCAPE = r"""sed -e 's/[\\/&]/\\&/g' -e '$!s/$/\\/'"""


class _SingleQuoted(QuoteString):
    """A script, always in quotes: it may look like a plain word."""

    def quote(self, text: str) -> str:
        inner = text.replace("'", "'\"'\"'")
        return f"'{inner}'"


def pattern_between_slashes(regex: str) -> str:
    """A regular expression as it can stand between the slashes of ``sed`` and ``awk``."""
    escapes = {"/": "\\/", "\n": "\\n"}
    return mask_like(_PATTERN_DELIMITERS.sub(lambda found: escapes.get(found[0], found[0]), regex), regex)


def delete_script(line: str, interpolate_variables: bool) -> QuoteString:
    """The script that deletes the lines that match.

    Args:
        line: a regular expression
        interpolate_variables: whether the host's shell expands variables in it
    """
    if interpolate_variables and _expansions(line):
        return InterpolatedString("\\" + _UNIT_SEPARATOR + line.replace("\n", "\\n") + _UNIT_SEPARATOR + "d")
    script = "/" + pattern_between_slashes(line) + "/d"
    return InterpolatedString(script) if interpolate_variables else _SingleQuoted(script)


def replace_script(
    line: str, replace: str, flags: Iterable[str] | None, interpolate_variables: bool
) -> QuoteString | str:
    """The script that replaces what matches.

    Args:
        line: a regular expression
        replace: the text in its place; ``\\1`` to ``\\9`` are the groups of ``line``
        flags: of ``s``
        interpolate_variables: whether the host's shell expands variables: their values are a part of the regular
            expression in ``line``, and text in ``replace``
    """
    options = "".join(flags or ())
    if not interpolate_variables:
        return _SingleQuoted("s/" + pattern_between_slashes(line) + "/" + _replacement(replace) + f"/{options}")
    slash, pattern = "/", pattern_between_slashes(line)
    if _expansions(line):
        slash, pattern = _UNIT_SEPARATOR, line.replace("\n", "\\n")
    start, end = _in_double_quotes(f"s{slash}{pattern}{slash}"), _in_double_quotes(f"{slash}{options}")
    return mask_like(f'"{start}{_interpolated_replacement(replace)}{end}"', line, replace)


def _replacement(text: str, newline: str = "\\\n") -> str:
    """Text for the right side of ``s``; references such as ``\\1`` stay what they are, ``&`` is itself."""
    escapes = {"/": "\\/", "&": "\\&", "\n": newline, "\\": "\\\\"}
    return mask_like(_REPLACEMENT_SYNTAX.sub(lambda found: escapes.get(found[0], found[0]), text), text)


def _interpolated_replacement(text: str) -> str:
    """The same for within double quotes, with variables to be expanded, whose values are text."""
    made, done = "", 0
    for start, end in [*_expansions(text), (len(text), len(text))]:
        # Within double quotes the shell would take a backslash before a newline for itself
        made += _in_double_quotes(_replacement(text[done:start], newline="\\n"))
        if start < end:
            made += f'$(printf %s "{_in_double_quotes(text[start:end])}" | {_ESCAPE})'
        done = end
    return made


def _in_double_quotes(text: str) -> str:
    return InterpolatedString("").quote(text)[1:-1]


def _expansions(text: str) -> list[tuple[int, int]]:
    """Where in a text in double quotes the shell expands something: starts and ends."""
    places = []
    at = 0
    while found := _EXPANSION.search(text, at):
        at = found.end()
        if found[0][0] == "\\":
            continue
        if found[0] == "`":
            at = _end_of_bracket(text, at, "", "`")
        elif found[0][-1] in _BRACKETS:
            at = _end_of_bracket(text, at, found[0][-1], _BRACKETS[found[0][-1]])
        places.append((found.start(), at))
    return places


def _end_of_bracket(text: str, at: int, opening: str, closing: str) -> int:
    """Where a bracket that was opened before ``at`` is closed, or the text ends."""
    depth = 1
    while depth and at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == closing:
            depth -= 1
        elif text[at] == opening:
            depth += 1
        at += 1
    return min(at, len(text))
