"""The docstrings on the site, for mkdocstrings."""

from __future__ import annotations

from typing import Any

import griffe

# docs_hooks.py, which mkdocs loads before, has put this folder on the path
from docs_docstrings import markdown_of


class MarkdownDocstrings(griffe.Extension):
    """Has mkdocstrings read all docstrings as Markdown."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite an object's docstring once it is loaded."""
        if obj.docstring is not None:
            obj.docstring.value = markdown_of(obj.docstring.value)
