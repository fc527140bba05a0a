"""The project's own promises: what imports what, how long files are, what the README and the changelog say."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import textwrap
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from pyinfra.version import __version__

ROOT = Path(__file__).parent.parent
PACKAGES = ("pyinfra", "pyinfra_cli")
LONGEST_FILE = 450
# Longer ones, and why
LONG_FILES = {
    "pyinfra/connectors/session.py": "one file, since it is offered upstream as it is, with any one connector over it",
}

# Public names of pyinfra 3.10, by module, that these two may use: so they work unchanged inside it
PORTABLE_FILES = [
    f"pyinfra/connectors/{name}.py"
    for name in (
        "session",
        "pipe",
        "chroot",
        "compose",
        "docker",
        "dockerssh",
        "engines",
        "incus",
        "kubernetes",
        "nspawn",
        "openssh",
        "opensshlogin",
        "opensshsession",
        "rsyncwords",
    )
]
PUBLIC_NAMES = {
    "pyinfra": {"logger", "__version__"},
    "pyinfra.api.arguments": {"CONNECTOR_ARGUMENT_KEYS", "ConnectorArguments"},
    "pyinfra.api.command": {"MaskString", "QuoteString", "StringCommand", "make_formatted_string_command"},
    "pyinfra.api.exceptions": {"ConnectError", "InventoryError", "PyinfraError"},
    "pyinfra.api.host": {"Host", "HostData"},
    "pyinfra.api.output": {"echo", "format_text"},
    "pyinfra.api.state": {"State"},
    "pyinfra.api.util": {"get_file_io", "memoize"},
    "pyinfra.connectors.base": {"BaseConnector", "ConnectorData", "DataMeta", "host_to_connector_data"},
    "pyinfra.connectors.ssh": {"SSHConnector"},
    "pyinfra.connectors.util": {
        "CommandOutput",
        "OutputLine",
        "execute_command_with_sudo_retry",
        "extract_control_arguments",
        "make_unix_command",
        "make_unix_command_for_host",
        "read_output_buffers",
        "run_local_process",
        "write_stdin",
    },
}
PORTABLE_LIBRARIES = {"gevent", "typing_extensions"}
# These travel along with the connector
PORTABLE_MODULES = {
    "pyinfra.connectors.session",
    "pyinfra.connectors.docker",
    "pyinfra.connectors.engines",
    "pyinfra.connectors.opensshlogin",
    "pyinfra.connectors.opensshsession",
    "pyinfra.connectors.rsyncwords",
}


def python_files() -> list[Path]:
    """All Python files of the project but the tests."""
    folders = [ROOT / name for name in (*PACKAGES, "benchmarks", "examples", "scripts")]
    return [ROOT / "setup.py", *sorted(path for folder in folders for path in folder.rglob("*.py"))]


def imports_of(path: Path) -> list[tuple[str, str | None]]:
    """Each import in a file as ``(module, name)``, relative ones resolved.

    What a file can do without is none: an import in the body of ``try`` with an ``except ImportError``.
    """
    package = ".".join(path.relative_to(ROOT).with_suffix("").parts[:-1])
    found: list[tuple[str, str | None]] = []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tried = {
        part
        for node in ast.walk(tree)
        if isinstance(node, ast.Try)
        and any(isinstance(each.type, ast.Name) and each.type.id == "ImportError" for each in node.handlers)
        for statement in node.body
        for part in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if node in tried:
            continue
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*parents, node.module] if node.module else parents)
            found += [(module, alias.name) for alias in node.names]
    return found


@pytest.mark.parametrize("name", PORTABLE_FILES)
def test_the_session_imports_only_what_pyinfra_3_10_has(name: str) -> None:
    strange = []
    for module, member in imports_of(ROOT / name):
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names or top in PORTABLE_LIBRARIES or module in PORTABLE_MODULES:
            continue
        if member not in PUBLIC_NAMES.get(module, set()):
            strange.append(f"{module}: {member}")
    assert strange == []


def test_openssh_asks_people_without_what_pyinfra_3_10_lacks() -> None:
    program = textwrap.dedent("""
        import importlib
        import pyinfra.api.output
        import pyinfra.connectors.opensshlogin as module
        del pyinfra.api.output.paused
        with importlib.reload(module).paused():
            print("asked")
    """)
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("asked\n", "")


def test_no_file_is_longer_than_one_can_hold_in_the_head() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in python_files()}
    assert {name: count for name, count in lengths.items() if count > LONGEST_FILE and name not in LONG_FILES} == {}
    assert [name for name in LONG_FILES if lengths.get(name, 0) <= LONGEST_FILE] == [], "no longer long: take them out"


def test_the_changelog_begins_with_this_version() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == __version__


def test_every_connector_that_is_registered_loads() -> None:
    own = [point for point in entry_points(group="pyinfra.connectors") if point.value.startswith("pyinfra.")]
    assert {"local", "ssh", "fake", "pipe"} <= {point.name for point in own}
    assert all(hasattr(point.load(), "make_names_data") for point in own)


def test_the_readme_has_two_commands_about_files_that_exist() -> None:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from readme_command import readme_commands
    finally:
        sys.path.pop(0)
    commands = readme_commands((ROOT / "README.md").read_text())
    assert list(commands) == ["deploy", "tests"]
    assert all("\n" not in command and "pip install" in command for command in commands.values())
    folder = re.search(r"--chdir (\S+) @local (\S+)", commands["deploy"])
    assert folder is not None
    assert (ROOT / folder[1] / folder[2]).is_file()


def test_links_between_pages_lead_somewhere() -> None:
    generated = re.compile(r"^(operations|facts)/\w+\.md$")
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / link).exists() or generated.match(link), f"{page.name}: {link}"


def run_python(text: str) -> str:
    """What a program prints, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_importing_the_api_patches_nothing_and_prints_nothing() -> None:
    program = """
import socket, subprocess, threading, time
before = socket.socket, subprocess.Popen, threading.Thread, time.sleep
import pyinfra, pyinfra.api
for name in pyinfra.api.__all__:
    getattr(pyinfra.api, name)
import pyinfra.api.connect, pyinfra.api.operations, pyinfra.facts.server, pyinfra.operations.server
from gevent import monkey
assert before == (socket.socket, subprocess.Popen, threading.Thread, time.sleep)
assert not any(map(monkey.is_module_patched, ("socket", "subprocess", "threading", "time")))
"""
    assert run_python(program) == ""


def test_heavy_libraries_stay_out_until_they_are_needed() -> None:
    program = """
import sys
import pyinfra, pyinfra.api
for name in pyinfra.api.__all__:
    getattr(pyinfra.api, name)
import pyinfra.facts.server, pyinfra.operations.server, pyinfra.connectors.local
print(sorted({"paramiko", "cryptography", "jinja2", "typeguard", "rich", "yaml"} & sys.modules.keys()))
"""
    assert run_python(program).strip() == "[]"


@pytest.mark.parametrize(("ci", "outcome"), [("true", "1 failed, 1 passed, 1 error"), ("", "1 passed, 2 skipped")])
def test_in_ci_a_test_or_module_that_is_skipped_fails(ci: str, outcome: str, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_module.py").write_text("import pytest\npytest.skip('no such thing', allow_module_level=True)\n")
    (tmp_path / "test_one.py").write_text(
        "import pytest\ndef test_skipped(): pytest.skip('no such program')\ndef test_run(): pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--continue-on-collection-errors", "-ra"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CI": ci, "PYTEST_ADDOPTS": "", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in done.stdout.splitlines()[-1]
    assert "no such program" in done.stdout
    assert ("install what is missing in .ci/run" in done.stdout) is bool(ci)
