"""Docstrings as Markdown: they are written as Python's are, in reStructuredText, of which a little is used."""

from __future__ import annotations

import re
import textwrap

CODE = re.compile(r"^( *)\.\. code:: (\w+)\n((?:\n|\1 +[^\n]*(?:\n|$))+)", re.MULTILINE)
ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`~?([^`]+)`")


def _fenced(found: re.Match[str]) -> str:
    """A directive's block as a fenced one, at the directive's own indentation."""
    indentation, language, body = found.groups()
    code = textwrap.indent(textwrap.dedent(body).strip("\n"), indentation)
    return f"{indentation}```{language}\n{code}\n{indentation}```\n\n"


def markdown_of(docstring: str) -> str:
    """The same text with code blocks and references in Markdown."""
    return ROLE.sub(r"`\1`", CODE.sub(_fenced, docstring))
