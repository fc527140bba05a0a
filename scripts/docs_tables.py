"""Write the tables of the pages that come from the code: ``python scripts/docs_tables.py``.

A table stands between ``<!-- NAME: … -->`` and ``<!-- end of NAME -->``, where the function of that name below makes
it. With ``--check`` nothing is written: pages whose tables say something else than the code are an error.
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
from types import ModuleType, UnionType
from typing import Any, Union, get_args, get_origin

import pyinfra.facts
import pyinfra.operations
from pyinfra.api.arguments import ARGUMENT_TYPES, all_argument_meta, argument_groups
from pyinfra.api.config import Config

sys.path.insert(0, str(Path(__file__).parent))

from docs_docstrings import markdown_of

ROOT = Path(__file__).parent.parent
REFRESH = "python scripts/docs_tables.py"
SECTIONS = {"operations": pyinfra.operations, "facts": pyinfra.facts}
FIGURES = ROOT / "benchmarks" / "figures.json"
# In a process of its own: loading the command line prepares the process for gevent
READ_COMMAND_LINE = """
import click, json
from pyinfra_cli.main import cli
context = click.Context(cli, info_name="pyinfra", max_content_width=100, terminal_width=100)
print(json.dumps(cli.get_help(context)))
"""


def docstring(value: object) -> str:
    """A docstring in Markdown."""
    return markdown_of(inspect.getdoc(value) or "")


# Operations and facts


def modules(package: ModuleType) -> list[str]:
    """The public modules of a package: those that are no packages themselves."""
    return sorted(info.name for info in pkgutil.iter_modules(package.__path__) if not info.ispkg)


def public_names(module: ModuleType, section: str) -> list[str]:
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


def _first_sentence(value: object) -> str:
    """What a docstring says first, in one line."""
    return " ".join(docstring(value).partition("\n\n")[0].split())


def _parameters(value: Any, section: str) -> str:
    """The names of what an operation or a fact is called with."""
    function = value._inner if section == "operations" else getattr(value, "command", None)
    parameters = inspect.signature(function).parameters if callable(function) else ()
    names = [name for name in parameters if name != "self" and not name.startswith("_")]
    return f"({', '.join(names)})" if names or section == "operations" else ""


def section_list(section: str) -> str:
    """A section's modules, with a line for each name in them."""
    lines = []
    for name in modules(SECTIONS[section]):
        module = import_module(f"pyinfra.{section}.{name}")
        lines += [f"### {name}", "", _first_sentence(module), ""]
        for member in public_names(module, section):
            value = getattr(module, member)
            lines.append(f"- `{name}.{member}{_parameters(value, section)}`: {_first_sentence(value)}")
        lines.append("")
    return "\n".join(lines)


# Arguments, configuration and command line


def _type_text(type_: Any) -> str:
    """A type as people write it, the same in every version of Python."""
    if type_ is type(None):
        return "None"
    if type_ is Ellipsis:
        return "..."
    if isinstance(type_, list):
        return f"[{', '.join(map(_type_text, type_))}]"
    origin = get_origin(type_)
    if origin is None:
        return str(getattr(type_, "__name__", type_))
    name = "Union" if origin in (Union, UnionType) else origin.__name__
    return f"{name}[{', '.join(map(_type_text, get_args(type_)))}]"


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


# Connectors


def connector_data() -> str:
    """The built-in connectors: what each is, and the host data it reads."""
    from pyinfra.api.connectors import get_all_connectors

    lines = []
    for name, connector in sorted(get_all_connectors().items()):
        if not connector.__module__.startswith("pyinfra."):
            continue
        lines += [f"## @{name}", "", docstring(connector).strip(), ""]
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


# Figures


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


# Pages

TABLES: dict[str, Callable[[], str]] = {
    "operations": lambda: section_list("operations"),
    "facts": lambda: section_list("facts"),
    "global_arguments": global_arguments,
    "config_keys": config_keys,
    "command_line": command_line,
    "connector_data": connector_data,
    "contract_rules": contract_rules,
    "figures": figures,
}
TABLE = re.compile(r"^<!-- (\w+): [^\n]* -->\n.*?^<!-- end of \1 -->$", re.MULTILINE | re.DOTALL)


def with_tables(text: str) -> str:
    """A page with its tables as the code has them now."""

    def made(found: re.Match[str]) -> str:
        name = found[1]
        return f"<!-- {name}: written by {REFRESH} -->\n\n{TABLES[name]().strip()}\n\n<!-- end of {name} -->"

    return TABLE.sub(made, text)


def main() -> int:
    """Write all pages, or with ``--check`` tell of those that are out of date; returns the exit code."""
    stale = []
    for page in sorted((ROOT / "docs").glob("*.md")):
        old = page.read_text(encoding="utf-8")
        new = with_tables(old)
        # Libraries break the lines of the help in ways of their own
        if new.split() != old.split():
            stale.append(page.name)
        if "--check" not in sys.argv[1:] and new != old:
            page.write_text(new, encoding="utf-8")
    if stale and "--check" in sys.argv[1:]:
        print(f"Tables that are not as the code has them, in {', '.join(stale)}: refresh them with `{REFRESH}`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
