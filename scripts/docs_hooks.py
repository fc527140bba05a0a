"""What mkdocs cannot know by itself: pages for each module of operations and facts, tables from the code.

A page's line ``{{ NAME }}`` stands for what the function of that name below returns.
"""

from __future__ import annotations

import inspect
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import pyinfra.facts
import pyinfra.operations
from pyinfra.api.arguments import ARGUMENT_TYPES, all_argument_meta, argument_groups
from pyinfra.api.config import Config

sys.path.insert(0, str(Path(__file__).parent))

from docs_markdown import markdown_of

SECTIONS = {"operations": pyinfra.operations, "facts": pyinfra.facts}
FIGURES = Path(__file__).parent.parent / "benchmarks" / "figures.json"
# In a process of its own: loading the command line prepares the process for gevent
READ_COMMAND_LINE = """
import click, json
from pyinfra_cli.main import cli
context = click.Context(cli, info_name="pyinfra", max_content_width=100, terminal_width=100)
print(json.dumps(cli.get_help(context)))
"""


def _docstring(value: object) -> str:
    """A docstring in Markdown."""
    return markdown_of(inspect.getdoc(value) or "")


def _modules(package: ModuleType) -> list[str]:
    """The public modules of a package: those that are no packages themselves."""
    return sorted(info.name for info in pkgutil.iter_modules(package.__path__) if not info.ispkg)


def _public_names(module: ModuleType, section: str) -> list[str]:
    """The facts or operations that a module offers, sorted."""
    if section == "operations":
        return sorted(name for name, value in vars(module).items() if hasattr(value, "_inner") and name[0] != "_")
    return sorted(
        name
        for name, value in vars(module).items()
        if inspect.isclass(value) and (hasattr(value, "process") or hasattr(value, "process_data")) and _is_fact(value)
    )


def _is_fact(value: type) -> bool:
    """Whether a class is a fact of pyinfra's, not one of the base classes."""
    return value.__module__.startswith("pyinfra.facts") and not getattr(value, "abstract", False)


def _module_page(section: str, name: str) -> str:
    """The page of one module: what it is about, then each name with its docstring."""
    module = import_module(f"pyinfra.{section}.{name}")
    lines = [f"# {name}", "", _docstring(module), ""]
    for member in _public_names(module, section):
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
        pages = [{name: f"{section}/{name}.md"} for name in _modules(package)]
        if config.nav is not None:
            config.nav.append({section.capitalize(): pages})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Make the modules' pages."""
    for section, package in SECTIONS.items():
        for name in _modules(package):
            files.append(File.generated(config, f"{section}/{name}.md", content=_module_page(section, name)))
    return files


def module_links(section: str) -> str:
    """A table of a section's modules, linked, with the names in each."""
    rows = ["| module | what it has |", "| --- | --- |"]
    for name in _modules(SECTIONS[section]):
        names = ", ".join(f"`{each}`" for each in _public_names(import_module(f"pyinfra.{section}.{name}"), section))
        rows.append(f"| [{name}]({section}/{name}.md) | {names} |")
    return "\n".join(rows)


def _type_text(type_: Any) -> str:
    """A type as people write it."""
    text = type_.__name__ if isinstance(type_, type) else str(type_)
    return re.sub(r"\b(?:typing|collections\.abc|pyinfra\.api\.hiddenvalue)\.", "", text).replace("|", "\\|")


def _default_text(name: str) -> str:
    """A default, or the key of the configuration that it is."""
    key = name.strip("_").upper()
    key = {"SHELL_EXECUTABLE": "SHELL", "RETRIES": "RETRY"}.get(key, key)
    config = Config()
    if hasattr(config, key):
        return f"`config.{key}`"
    return f"`{all_argument_meta[name].default(config)!r}`"


def global_arguments() -> str:
    """The tables of global arguments, by group."""
    lines = []
    for title, names in argument_groups.items():
        lines += [f"## {title}", "", "| argument | type | default | meaning |", "| --- | --- | --- | --- |"]
        for name in names:
            meaning = all_argument_meta[name].description
            lines.append(f"| `{name}` | `{_type_text(ARGUMENT_TYPES[name])}` | {_default_text(name)} | {meaning} |")
        lines.append("")
    return "\n".join(lines)


def config_keys() -> str:
    """The configuration's keys and defaults."""
    config = Config()
    rows = ["| key | default |", "| --- | --- |"]
    rows += [f"| `{key}` | `{getattr(config, key)!r}` |" for key in dir(config) if key.isupper()]
    return "\n".join(rows)


def command_line() -> str:
    """The command line's own help."""
    done = subprocess.run([sys.executable, "-c", READ_COMMAND_LINE], capture_output=True, text=True, check=True)
    return f"```text\n{json.loads(done.stdout)}\n```"


def connector_data() -> str:
    """The built-in connectors: what each is, and the host data it reads."""
    from pyinfra.api.connectors import get_all_connectors

    lines = []
    for name, connector in sorted(get_all_connectors().items()):
        if not connector.__module__.startswith("pyinfra."):
            continue
        lines += [f"## @{name}", "", _docstring(connector), ""]
        if connector.data_meta:
            lines += ["| data | default | meaning |", "| --- | --- | --- |"]
            lines += [
                f"| `{key}` | `{meta.default!r}` | {meta.description} |" for key, meta in connector.data_meta.items()
            ]
            lines.append("")
    return "\n".join(lines)


def contract_rules() -> str:
    """The rules of the connector contract, by section, as the checks have them."""
    from pyinfra.testing.contract import RULES

    sections: dict[str, list[str]] = {}
    for rule in RULES.values():
        sections.setdefault(rule.section, []).append(f"- {rule.sentence}")
    return "\n\n".join(f"### {title}\n\n" + "\n".join(rules) for title, rules in sections.items())


def _figure(measure: dict[str, Any]) -> str:
    """One row of figures."""
    seconds = sorted(run["seconds"] for run in measure["runs"])
    digits = 4 if measure["median_seconds"] < 0.1 else 2
    spread = f"{seconds[0]:.{digits}f} – {seconds[-1]:.{digits}f}"
    memory = measure["median_bytes"] / 1_000_000
    return f"| {measure['label']} | {measure['median_seconds']:.{digits}f} s | {spread} s | {memory:.0f} MB |"


def figures() -> str:
    """What the benchmarks last measured, from the file that they wrote."""
    measured = json.loads(FIGURES.read_text(encoding="utf-8"))
    machine = measured["machine"]
    lines = [
        f"Measured on {machine['when'][:10]} on a machine with {machine['cores']} cores ({machine['processor']}), "
        f"Python {machine['python']}, {len(measured['works'][0]['measures'][0]['runs'])} runs each.",
        "",
    ]
    for work in measured["works"]:
        lines += [f"### {work['name']}: {work['title']}", ""]
        lines += ["| | median | least – most | memory |", "| --- | --- | --- | --- |"]
        lines += [_figure(measure) for measure in work["measures"] if measure["executable"] != "other"]
        lines.append("")
        for target in work["targets"]:
            lines.append(
                f"- {target['text']}: {target['value']:.3g} {target['unit']} "
                f"({'at most' if target['reached'] else 'should be at most'} {target['limit']:g} {target['unit']})"
            )
        lines.append("")
    return "\n".join(lines)


PARTS: dict[str, Callable[[], str]] = {
    "operations": lambda: module_links("operations"),
    "facts": lambda: module_links("facts"),
    "global_arguments": global_arguments,
    "config_keys": config_keys,
    "command_line": command_line,
    "connector_data": connector_data,
    "contract_rules": contract_rules,
    "figures": figures,
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the parts made from the code in their places; a part that nothing makes is an error."""
    return re.sub(r"^\{\{ (\w+) \}\}$", lambda found: PARTS[found[1]](), markdown, flags=re.MULTILINE)
