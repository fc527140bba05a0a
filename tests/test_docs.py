"""The documentation's code: what can run, runs, page by page, as it stands there."""

from __future__ import annotations

import json
import os
import pkgutil
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from pyinfra import facts, operations
from tests.support.environment import can_install, make_environment
from tests.support.page import SECONDS, examples, run_lines

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
# The folder that the pages write to, which each test has for itself
FOLDER = "/tmp/pyinfra-docs"


@dataclass(frozen=True)
class Block:
    """A block of code on a page: ``title`` is the file that it is."""

    language: str
    title: str | None
    text: str


def blocks_of(page: Path) -> list[Block]:
    """The page's blocks in their order."""
    return [Block(*found) for found in BLOCK.findall(page.read_text(encoding="utf-8"))]


def environment_for(page: Path, folder: Path) -> dict[str, str]:
    """The variables that a page's commands run with; what is installed on it goes into ``folder``."""
    if "pip install" not in page.read_text():
        return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    if not can_install():
        pytest.skip("needs pip and setuptools, to install packages")
    return make_environment(folder)


@pytest.mark.parametrize("page", [page for page in PAGES if "```" in page.read_text()], ids=lambda page: page.stem)
def test_the_code_on_a_page_runs_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    folder = tmp_path / "reader"
    environment = environment_for(page, tmp_path / "environment")
    for block in blocks_of(page):
        text = block.text.replace(FOLDER, str(tmp_path / "written"))
        if block.language == "python":
            compile(text, block.title or page.name, "exec")
        if block.title:
            path = folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        if block.language == "sh":
            folder.mkdir(exist_ok=True)
            run_lines(text, folder, environment)


def test_every_block_says_what_it_is() -> None:
    known = {"python", "sh", "console", "text", "ini", "json", "shell", "terraform", "toml", "yaml"}
    for page in PAGES:
        assert page.read_text().count("\n```") == 2 * len(blocks_of(page)), f"{page.name}: a block has no language"
        assert {block.language for block in blocks_of(page)} <= known, page.name


def test_options_of_pyinfra_on_the_pages_exist() -> None:
    known = set(
        subprocess.run([sys.executable, "-m", "pyinfra_cli", "--help"], capture_output=True, text=True, check=True)
        .stdout.replace(",", " ")
        .split()
    )
    for page in [*PAGES, ROOT / "README.md"]:
        for block in re.findall(r"^```(?:sh|console)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
            for line in block.splitlines():
                unquoted = re.sub("'[^']*'", "''", line)
                words = unquoted.partition("#")[0].partition(" exec -- ")[0].split()
                is_pyinfra = "pyinfra" in [word.rpartition("/")[2] for word in words[:2]]
                options = {word.partition("=")[0] for word in words if word.startswith("-")} if is_pyinfra else set()
                assert options <= known, f"{page.name}: {line}"


def test_the_pages_have_the_tables_that_the_code_makes() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "docs_tables.py", "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_no_page_waits_for_a_site_to_fill_it() -> None:
    for page in [*PAGES, ROOT / "README.md"]:
        assert not re.findall(r"^\{\{ \w+ \}\}$", page.read_text(), re.MULTILINE), page.name
        for name in re.findall(r"^<!-- end of (\w+) -->$", page.read_text(), re.MULTILINE):
            table = re.search(rf"^<!-- {name}: .* -->\n(.*)^<!-- end", page.read_text(), re.MULTILINE | re.DOTALL)
            assert table is not None, f"{page.name}: {name} has an end and no beginning"
            assert len(table[1].split()) > 50, f"{page.name}: {name} is empty"


def test_the_page_says_which_rules_its_connector_without_a_session_breaks(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become other users")
    page = ROOT / "docs" / "writing-connectors.md"
    _, _, section = page.read_text().partition("\n### Without the session\n")
    told = re.findall(r"^- `(\w+)`: ", section.partition("\n## ")[0], re.MULTILINE)
    (block,) = [block for block in blocks_of(page) if block.title == "logging_connector.py"]
    (tmp_path / "logging_connector.py").write_text(block.text)
    done = subprocess.run(
        [sys.executable, "-m", "pyinfra_cli", "--json", "@logging_connector:LoggingConnector/log", "check-connector"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    (outcomes,) = json.loads(done.stdout).values()
    by_verdict: dict[str, list[str]] = {"broken": [], "held": []}
    for outcome in outcomes:
        by_verdict.setdefault(outcome["verdict"], []).append(outcome["rule"])
    assert sorted(by_verdict["broken"]) == sorted(told)
    assert len(by_verdict["held"]) > 60


def test_each_connector_has_an_example_on_its_page_that_a_test_runs() -> None:
    connectors = {entry_point.name for entry_point in entry_points(group="pyinfra.connectors") if is_own(entry_point)}
    assert examples().keys() == connectors
    tests = [path.read_text() for path in (ROOT / "tests" / "test_connectors").glob("test_*.py")]
    for connector in connectors:
        assert any("run_examples(" in text and f'"{connector}"' in text for text in tests), connector


def is_own(entry_point: EntryPoint) -> bool:
    """Whether a connector is one that comes with pyinfra."""
    return entry_point.value.startswith("pyinfra.connectors.")


def test_operations_and_facts_in_commands_on_the_pages_exist() -> None:
    kinds = [
        (import_module(f"{section.__name__}.{module.name}"), module.name)
        for section in (operations, facts)
        for module in pkgutil.iter_modules(section.__path__)
    ]
    known = {f"{name}.{member}" for module, name in kinds for member in vars(module)}
    for page in [*PAGES, ROOT / "README.md"]:
        commands = [line for block in blocks_of(page) for line in block.text.splitlines()]
        commands += [" ".join(code.split()) for code in re.findall(r"`+([^`]+)`+", page.read_text())]
        for command in commands:
            if re.match(r"(\$ )?(\S*/)?pyinfra ", command):
                words = re.findall(r"(?<= )[a-z]+\.[A-Za-z]\w*(?= |$)", command.partition(" exec -- ")[0])
                named = {word for word in words if not word.endswith((".py", ".ini", ".json"))}
                assert named <= known, f"{page.name}: {command}"
