"""Names and lines that shells, programs and parsers like to get wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.run import Run

AWKWARD_NAMES = (
    "with blanks",
    " blank first and last ",
    "it's",
    'say "hi"',
    "both ' and \"",
    "new\nline",
    "tab\tand \x1b escape",
    "-rf",
    "--help",
    "ünïcødé ☃",
    "$HOME `id` $(id)",
    "a=b",
    "*",
    "back\\slash\\n",
    "semi; colon & more | less > none",
    "~",
    "~root",
    "# comment",
    "arrow -> arrow",
)

AWKWARD_LINES = (
    "plain",
    'it\'s "quoted"',
    "$HOME `id` $(id) ~ *",
    "back\\slash \\n \\t \\\\ end\\",
    "a/b/c & d && e",
    "regex . * [x] ^ $ + ? (y) {2} | \\(z\\)",
    "  blanks around  ",
    "-n",
    "-e x",
    "--",
    "# comment",
    "ünïcødé ☃",
    "tab\there",
    "%s %d",
    "!history",
)


def settles(run: Run, operation: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Run an operation twice: the first time it must change something, the second time nothing."""
    assert run.op(operation, *args, **kwargs).did_change()
    assert not run.op(operation, *args, **kwargs).did_change()


def nothing_to_do(run: Run, operation: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Run an operation, which must change nothing."""
    assert not run.op(operation, *args, **kwargs).did_change()
