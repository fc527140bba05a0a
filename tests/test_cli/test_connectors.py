"""``--connectors`` and ``--new-connector``: what is installed, and a package that works as it is written."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pyinfra.version import __version__
from tests.support.commandline import Ended, Folder
from tests.support.distributions import install_distribution
from tests.support.environment import can_install, make_environment

KINDS = ["inventory", "execution", "both"]
CONTRACT_SECONDS = 300

MODULE = """
print("imported, and says so")

class Found:
    '''Finds things: ``@finds``.

    More of it.
    '''

    handles_execution = False

    @staticmethod
    def make_names_data(name=None):
        yield "@local", {}, []
"""


@pytest.fixture
def library(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path of runs, with packages of all sorts."""
    library = folder.path / "library"
    install_distribution(library, "finds-things", "finds = finding_module:Found", "0.3")
    install_distribution(library, "torn-package", "torn = nowhere:Torn")
    install_distribution(library, "one-package", "same = one:One")
    install_distribution(library, "other-package", "same = other:Other", "2.0")
    install_distribution(library, "garbled-package", "nothing that can be read")
    (library / "finding_module.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", str(library))
    return library


# What is installed


def test_people_see_a_table_of_what_is_installed_and_what_is_broken(folder: Folder, library: Path) -> None:
    ended = folder.run("--connectors")
    assert (ended.exit_code, ended.out) == (0, "")
    rows = {line.split()[0]: line for line in ended.lines if line.startswith("    @")}
    assert rows["@local"].split()[1:3] == ["execution", "pyinfra"]
    assert rows["@local"].endswith("Run on this machine: `@local`.")
    assert rows["@docker"].split()[1] == "both"
    assert rows["@finds"].split(maxsplit=4)[1:] == ["inventory", "finds-things", "0.3", "Finds things: `@finds`."]
    why = "    @torn (nowhere:Torn): Connector torn of torn-package 1.0 cannot be loaded: ModuleNotFoundError"
    assert any(line.startswith(why) for line in ended.lines)
    assert (
        sum("Connector same is claimed by one-package 1.0 (one:One) and other-pac" in line for line in ended.lines) == 2
    )
    cannot = f"    The entry points cannot be read of garbled-package 1.0 in {library}: "
    assert any(line.startswith(cannot) for line in ended.lines)


@pytest.mark.parametrize("words", [("--connectors", "--json"), ("--json", "--connectors")])
def test_programs_get_the_same_as_json(words: tuple[str, ...], folder: Folder, library: Path) -> None:
    found = folder.run(*words).json
    by_name = {connector["name"]: connector for connector in found["connectors"]}
    assert by_name["finds"] == {
        "name": "finds",
        "kind": "inventory",
        "target": "finding_module:Found",
        "distribution": "finds-things",
        "version": "0.3",
        "description": "Finds things: `@finds`.",
        "error": None,
    }
    assert (by_name["torn"]["kind"], by_name["torn"]["distribution"]) == (None, "torn-package")
    assert "No module named 'nowhere'" in by_name["torn"]["error"]
    assert [connector["distribution"] for connector in found["connectors"] if connector["name"] == "same"] == [
        "one-package",
        "other-package",
    ]
    assert [broken["distribution"] for broken in found["unreadable"]] == [f"garbled-package 1.0 in {library}"]


# A new package


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("@mine", "without the @, please"),
        ("pyinfra-mine", "pyinfra- is put before it for the package"),
        ("Mine", "begins with a letter and has small letters"),
        ("my--cloud", "single - or _ between them"),
        ("3d", "begins with a letter"),
        ("../mine", "begins with a letter"),
        ("größe", "small letters"),
        ("", "begins with a letter"),
        ("m" * 41, "at most 40 together"),
    ],
)
def test_a_name_that_cannot_be_one_is_told_why(name: str, why: str, folder: Folder) -> None:
    before = sorted(os.listdir(folder.path))
    ended = folder.run("--new-connector", name)
    assert ended.exit_code == 2
    assert f"Invalid value for --new-connector: {name!r}" in ended.err
    assert why in ended.err
    assert sorted(os.listdir(folder.path)) == before


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("--new-connector", "ssh"), 1, "There is a connector @ssh already, of pyinfra: choose another name"),
        (("--new-connector", "cli"), 1, "There is a module pyinfra_cli already"),
        (("--new-connector", "mine", "--kind", "strange"), 2, "'strange' is none of inventory, execution, both"),
        (("--new-connector", "mine", "--chdir", "nowhere"), 1, "Cannot make nowhere/pyinfra-mine: No such file"),
        (("--kind", "both", "@local", "exec", "--", "true"), 2, "--kind is for --new-connector NAME, which is missing"),
        (("--new-connector",), 2, "requires an argument"),
    ],
)
def test_what_cannot_be_written_says_why(words: tuple[str, ...], code: int, why: str, folder: Folder) -> None:
    ended = folder.run(*words)
    assert (ended.exit_code, ended.out) == (code, "")
    assert why in ended.err
    assert not list(folder.path.glob("*pyinfra-*"))


@pytest.mark.parametrize("content", [{}, {"README.md": "mine"}])
def test_nothing_is_overwritten(content: dict[str, str], folder: Folder) -> None:
    there = folder.path / "pyinfra-mine"
    there.mkdir()
    for name, text in content.items():
        (there / name).write_text(text)
    ended = folder.run("--new-connector", "mine")
    assert ended.exit_code == 1
    assert "pyinfra-mine is there already, and nothing is overwritten" in ended.err
    assert {path.name: path.read_text() for path in there.iterdir()} == content


def test_all_is_written_or_nothing(folder: Folder) -> None:
    ended = folder.python(
        """
        import pathlib
        import click
        from pyinfra_cli import new_connector

        write_text = pathlib.Path.write_text

        def full(path, *args, **kwargs):
            if path.name == "connector.py":
                raise OSError(28, "No space left on device")
            return write_text(path, *args, **kwargs)

        pathlib.Path.write_text = full
        try:
            new_connector.write_package("mine", "both")
        except click.ClickException as error:
            print(error.message)
        """
    )
    assert ended.out == "Cannot write pyinfra-mine: No space left on device\n"
    assert not list(folder.path.glob("*pyinfra-*"))
    assert folder.run("--new-connector", "mine", "--kind", "both").exit_code == 0
    assert sorted(os.listdir(folder.path / "pyinfra-mine")) == ["README.md", "pyinfra_mine", "pyproject.toml", "tests"]


def test_what_is_written_can_be_read_by_those_who_can_read_the_rest(folder: Folder) -> None:
    assert folder.run("--new-connector", "mine").exit_code == 0
    (folder.path / "other").mkdir()
    assert (folder.path / "pyinfra-mine").stat().st_mode == (folder.path / "other").stat().st_mode


@dataclass
class Reader:
    """Somebody with an environment of their own, in a folder."""

    path: Path
    environment: dict[str, str]

    def start(self, line: str) -> subprocess.Popen[str]:
        """Run a line of shell."""
        return subprocess.Popen(
            ["sh", "-c", line],
            cwd=self.path,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, line: str) -> Ended:
        """Run a line of shell to its end, and well."""
        process = self.start(line)
        out, err = process.communicate(timeout=CONTRACT_SECONDS)
        assert process.returncode == 0, f"{line}: {out}{err}"
        return Ended(process.returncode, out, err)


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """Somebody who starts from nothing."""
    if not can_install():
        pytest.skip("needs pip and setuptools, to install packages")
    return Reader(tmp_path, make_environment(tmp_path / "environment"))


def test_a_new_package_of_each_kind_installs_works_and_passes_its_tests(reader: Reader) -> None:
    # Only what the package asks for is there
    assert reader.start("python -c 'import pytest'").wait() != 0
    for kind in KINDS:
        ended = reader.run(f"pyinfra --new-connector my-{kind} --kind {kind}")
        told = [line.strip() for line in ended.lines]
        install, use, test = told[told.index("--> It works as it is:") + 1 :][:3]
        assert install == f"pip install -e './pyinfra-my-{kind}[test]'"
        assert test == f"python -m pytest ./pyinfra-my-{kind}"
        reader.run(f"{install} -q")
        assert "--> Loading inventory..." in reader.run(use).err

    # As people would
    assert "found_by" in reader.run("pyinfra @my-inventory/@local debug-inventory").err
    (reader.path / "hosts.json").write_text('[{"name": "@local", "groups": ["web"]}, {"name": "@fake/x"}]')
    listed = reader.run("MY_INVENTORY_FILE=hosts.json pyinfra @my-inventory exec -- 'echo on $(echo target)'")
    assert "[@local]  on target" in listed.lines
    assert "    [@fake/x] Success" in listed.lines
    run = """exec -- 'echo "reached $MY_{}_TARGET"'"""
    assert "[@my-execution] reached here" in reader.run(f"pyinfra @my-execution {run.format('EXECUTION')}").lines
    both = reader.run(f"pyinfra @my-both {run.format('BOTH')}").lines
    assert {"[@my-both/one] reached one", "[@my-both/two] reached two"} <= set(both)
    kinds = {line.split()[0]: line.split()[1] for line in reader.run("pyinfra --connectors").lines if "@my-" in line}
    assert kinds == {f"@my-{kind}": kind for kind in KINDS}

    # Each waits more than it works. Its author has something to list meanwhile
    lists = "MY_INVENTORY_FILE=hosts.json MY_BOTH_FILE=hosts.json"
    tests = [reader.start(f"{lists} python -m pytest -q pyinfra-my-{kind}") for kind in KINDS]
    ends = [(process.communicate(timeout=CONTRACT_SECONDS), process.returncode) for process in tests]
    for (out, err), code in ends:
        assert code == 0, out + err
    assert "passed" in ends[0][0][0]


def test_a_new_package_needs_no_installation_where_its_metadata_is_on_the_path(folder: Folder) -> None:
    assert folder.run("--new-connector", "mine").exit_code == 0
    library = folder.path / "pyinfra-mine"
    install_distribution(library, "pyinfra-mine", "mine = pyinfra_mine.connector:MineConnector")
    ended = folder.run("@mine/a b", "exec", "--", "echo", "$MINE_TARGET", PYTHONPATH=str(library))
    assert "[@mine/a b] a b" in ended.lines
    direct = folder.run("@pyinfra_mine.connector:MineConnector/x", "exec", "--", "true", PYTHONPATH=str(library))
    assert "    [@mine/x] Success" in direct.lines


def test_a_new_package_says_which_pyinfra_it_needs_and_where_that_comes_from(folder: Folder) -> None:
    for kind in KINDS:
        assert folder.run("--new-connector", kind, "--kind", kind).exit_code == 0
        package = folder.path / f"pyinfra-{kind}"
        (needed,) = re.findall(r'^dependencies = \["(.*)"\]$', (package / "pyproject.toml").read_text(), re.MULTILINE)
        requirement = Requirement(needed)
        assert requirement.name == "pyinfra"
        # 3.10 has no session, and nobody knows what 4 will have
        versions = ("3.10", __version__, "4.0")
        assert [requirement.specifier.contains(version) for version in versions] == [False, True, False]
        # No index has it: whoever does what the README says from top to bottom has to have it before
        before, _, _ = (package / "README.md").read_text().partition("pip install -e .")
        assert "`pip install path/to/checkout`" in before
        assert "pypi.org" not in before


def test_what_is_written_is_good_python(folder: Folder) -> None:
    for kind in KINDS:
        assert folder.run("--new-connector", kind, "--kind", kind).exit_code == 0
        package = folder.path / f"pyinfra-{kind}"
        for file in package.rglob("*.py"):
            text = file.read_text()
            compile(text, str(file), "exec")
            assert "%" not in text
            assert text.endswith("\n")
            assert max(map(len, text.splitlines())) <= 120, file
        ruff = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "120", "--check", "."]
        done = subprocess.run(ruff, cwd=package, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or "No module named ruff" in done.stderr, f"{shlex.join(ruff)}: {done.stdout}"
