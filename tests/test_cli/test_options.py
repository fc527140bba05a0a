"""Options, their help, and what reading them costs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pyinfra import __version__
from pyinfra_cli.main import cli
from tests.support.commandline import Folder
from tests.support.distributions import install_distribution

HEAVY = ("gevent", "paramiko", "rich", "jinja2", "typeguard", "pyinfra.api")


def test_version_is_told_on_standard_output(folder: Folder) -> None:
    ended = folder.run("--version")
    assert (ended.exit_code, ended.out.strip()) == (0, f"pyinfra: v{__version__}")


def test_version_loads_none_of_the_heavy_libraries() -> None:
    # Coverage that is measured in processes of their own brings gevent
    without_coverage = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "pyinfra_cli", "--version"],
        env=without_coverage,
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "pyinfra_cli.main" in imported
    assert imported.isdisjoint(HEAVY)


def test_help_shows_every_option_under_a_title(folder: Folder) -> None:
    text = folder.run("--help").out
    for parameter in cli.params:
        for name in parameter.opts if parameter.param_type_name == "option" else ():
            assert name in text
    for title in ("What is run, and where", "Privileges and shell", "SSH", "Strategy", "Output"):
        assert f"{title}:\n" in text


def test_support_shows_versions_and_connectors_on_standard_error(folder: Folder) -> None:
    ended = folder.run("--support")
    assert (ended.exit_code, ended.out) == (0, "")
    assert f"pyinfra: v{__version__}" in ended.err
    assert "gevent: " in ended.err
    assert "local (pyinfra.connectors.local)" in ended.err


def test_support_shows_what_pyinfra_needs_and_which_packages_cannot_be_read(folder: Folder) -> None:
    install_distribution(folder.path, "torn-package", b"\xff\xfe = module:Class")
    ended = folder.run("--support")
    assert ended.exit_code == 0
    assert "    typing-extensions: " in ended.err
    assert "    pytest: " not in ended.err
    assert "local (pyinfra.connectors.local)" in ended.err
    assert f"    Unreadable: entry points of torn-package 1.0 in {folder.path}: UnicodeDecodeError: " in ended.err


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("@fake",),
        ("@fake", "things.say", "--nothing-like-it"),
        ("@fake", "things.say", "a", "--parallel", "many"),
        ("@fake", "things.say", "a", "--parallel", "-1"),
        ("@fake", "things.say", "a", "--retry", "-1"),
        ("@fake", "things.say", "a", "--retry-delay", "-1"),
        ("@fake", "things.say", "a", "--fail-percent", "-5"),
        ("@fake", "things.say", "a", "--fail-percent", "200"),
        ("@fake", "things.say", "a", "--ssh-port", "99999"),
        ("@fake", "things.say", "a", "--port", "0"),
        ("@fake", "things.say", "a", "--data", "no-value"),
        ("@fake", "exec"),
        ("@fake", "fact"),
        ("@fake", "debug-inventory", "more"),
    ],
)
def test_a_wrong_command_line_exits_2_and_shows_the_usage(folder: Folder, words: tuple[str, ...]) -> None:
    ended = folder.run(*words)
    assert ended.exit_code == 2
    assert "Usage: pyinfra [OPTIONS] INVENTORY OPERATIONS..." in ended.err
    assert ended.out == ""


def test_a_missing_inventory_is_named(folder: Folder) -> None:
    assert folder.run().lines[-1] == "Error: Missing argument 'INVENTORY'."


def test_yes_can_come_from_the_environment(folder: Folder) -> None:
    ended = folder.run("@fake", "things.say", "a", PYINFRA_YES="1")
    assert ended.exit_code == 0
    assert "--> Skipping change detection" in ended.lines


def test_options_may_stand_before_the_dashes_of_exec(folder: Folder) -> None:
    ended = folder.run("@fake", "exec", "-v", "--sudo", "--", "echo", "a=b", "-x")
    assert ended.exit_code == 0
    assert "--> Starting operation: server.shell (echo a=b -x)" in ended.lines


def test_chdir_comes_first_and_is_put_right_where_a_path_repeats_it(folder: Folder) -> None:
    folder.write("sub/hosts.py", "all = ['@fake/a']")
    folder.write("sub/deploy.py", "import beside; beside.things.say('x')")
    folder.write("sub/beside.py", "import sys; sys.path.append('..'); import things")
    plain = folder.run("--chdir", "sub", "hosts.py", "deploy.py", "-y")
    assert plain.exit_code == 0
    repeated = folder.run("--chdir", "sub", "hosts.py", "sub/deploy.py", "-y")
    assert repeated.exit_code == 0
    assert "    Paths are relative to the folder of --chdir: using deploy.py for sub/deploy.py" in repeated.lines
    assert "    Loading: deploy.py" in repeated.lines


def test_a_host_that_is_called_like_the_folder_of_chdir_is_a_host(folder: Folder) -> None:
    folder.write("localhost/..hosts.py", "all = ['@fake/a']")
    ended = folder.run("--chdir", "localhost", "localhost", "debug-inventory", "--json")
    assert [host["name"] for host in ended.json] == ["localhost"]
    repeated = folder.run("--chdir", "localhost", "localhost/..hosts.py", "debug-inventory", "--json")
    assert [host["name"] for host in repeated.json] == ["@fake/a"]


def test_a_folder_for_chdir_that_is_not_there_is_an_error(folder: Folder) -> None:
    ended = folder.run("--chdir", "nowhere", "@fake", "exec", "--", "true")
    assert ended.exit_code == 1
    assert ended.lines == ["--> pyinfra error: Cannot change to folder nowhere: No such file or directory"]


def test_debug_shows_what_is_logged_for_debugging(folder: Folder) -> None:
    folder.write("hosts.py", "_mine = 1\nall = ['@fake']")
    line = '    Ignoring variable "_mine" in inventory file since it starts with a leading underscore'
    assert line not in folder.run("hosts.py", "debug-inventory").lines
    assert line in folder.run("hosts.py", "debug-inventory", "--debug").lines


def test_debug_all_shows_messages_of_other_libraries_once_each(folder: Folder) -> None:
    folder.write(
        "deploy.py",
        "import logging; logging.getLogger('other').debug('mine'); logging.getLogger('pyinfra').debug('own')",
    )
    ended = folder.run("@fake", "deploy.py", "-y", "--debug-all")
    assert ended.lines.count("    other: mine") == 1
    assert ended.lines.count("    own") == 1
