"""The lines around a block of text that pyinfra keeps in a file, and how ``awk`` is told of them."""

from __future__ import annotations

import re

from pyinfra.api.command import QuotePath
from pyinfra.api.hiddenvalue import mask_like

DEFAULT_MARKER = "# {mark} PYINFRA BLOCK"
DEFAULT_BEGIN = "BEGIN"
DEFAULT_END = "END"

# The markers of blocks that have none of their own
DEFAULT_LINES = tuple(DEFAULT_MARKER.replace("{mark}", word) for word in (DEFAULT_BEGIN, DEFAULT_END))

_PATTERN_SYNTAX = re.compile(r"[\\/.\[()*+?{^$|]")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


def block_marker_lines(marker: str | None, begin: str | None, end: str | None) -> tuple[str, str]:
    """The lines before and after a block.

    Args:
        marker: their text, in which ``{mark}`` stands for ``begin`` or ``end``
        begin: ``BEGIN`` by default
        end: ``END`` by default

    Raises:
        ValueError: they would be the same, or more than a line each
    """
    text = marker or DEFAULT_MARKER
    words = begin or DEFAULT_BEGIN, end or DEFAULT_END
    first, last = (mask_like(text.replace("{mark}", word), text, word) for word in words)
    if first == last:
        raise ValueError(f"block markers must differ, both are {first!r}: put {{mark}} into `marker`")
    if "\n" in first or "\n" in last:
        raise ValueError(f"block markers must be single lines, not {first!r} and {last!r}")
    return first, last


def awk_pattern(text: str) -> str:
    """An ``awk`` pattern of the lines that are the marker ``text``, or hold it if it is a default one.

    One may begin like another (``# BEGIN app``, ``# BEGIN app2``), so it has to be all of the line but for blanks.
    """
    pattern = _PATTERN_SYNTAX.sub(lambda found: chr(92) + found[0], text)
    return mask_like(f"/{pattern}/" if text in DEFAULT_LINES else f"/^[ \\t]*{pattern}[ \\t\\r]*$/", text)


def awk_file(path: str) -> QuotePath:
    """A file among the operands of ``awk``, which would take ``name=value`` for an assignment."""
    return QuotePath("./" + path if _ASSIGNMENT.match(path) else path)
