"""What mkdocs cannot know by itself: pages for each module of operations and facts, and the links to them."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))

from docs_tables import SECTIONS, docstring, modules, public_names


def _module_page(section: str, name: str) -> str:
    """The page of one module: what it is about, then each name with its docstring."""
    module = import_module(f"pyinfra.{section}.{name}")
    lines = [f"# {name}", "", docstring(module), ""]
    for member in public_names(module, section):
        value = getattr(module, member)
        home = value if section == "facts" else value._inner
        lines += [f"::: {home.__module__}.{member}", "    options:", f"      heading: {name}.{member}"]
        lines += [
            "      show_root_heading: true",
            "      show_root_toc_entry: true",
            "      show_root_full_path: false",
            "      show_bases: false",
            "",
        ]
        if section == "facts":
            lines[-1:] = ['      members: ["command"]', ""]
    return "\n".join(lines)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the modules' pages to the navigation."""
    for section, package in SECTIONS.items():
        pages = [{name: f"{section}/{name}.md"} for name in modules(package)]
        if config.nav is not None:
            config.nav.append({section.capitalize(): pages})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Make the modules' pages."""
    for section, package in SECTIONS.items():
        for name in modules(package):
            files.append(File.generated(config, f"{section}/{name}.md", content=_module_page(section, name)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lead from the headings of the modules in the lists of operations and facts to their pages."""
    section = page.file.src_uri.removesuffix(".md")
    if section not in SECTIONS:
        return markdown
    names = "|".join(map(re.escape, modules(SECTIONS[section])))
    return re.sub(rf"^### ({names})$", rf"### [\1]({section}/\1.md)", markdown, flags=re.MULTILINE)
