"""A terminal with somebody at it: prompts, the live line, Ctrl-C."""

from __future__ import annotations

import os
import re

import pytest

from tests.support.commandline import Folder
from tests.support.terminals import STYLES, Terminal


def test_enter_runs_what_was_shown(folder: Folder, terminals: list[Terminal]) -> None:
    terminals.append(terminal := Terminal(folder, "@fake", "things.say", "x"))
    terminal.wait_for("Press enter to execute...")
    terminal.process.sendline("")
    assert terminal.end() == 0
    assert "    [@fake] Success" in terminal.lines
    assert "\x1b[32mSuccess" in terminal.seen


def test_ctrl_d_where_a_password_is_asked_for_is_no_bug(folder: Folder, terminals: list[Terminal]) -> None:
    terminals.append(terminal := Terminal(folder, "--same-sudo-password", "@fake", "exec", "--", "true"))
    terminal.wait_for("sudo password:")
    terminal.wait_until_nothing_is_echoed()
    terminal.process.sendeof()
    assert terminal.end() == 1
    assert "--> pyinfra error: Standard input ended before somebody answered: sudo password:" in terminal.lines


def test_no_color_means_no_styles_and_no_live_line(folder: Folder, terminals: list[Terminal]) -> None:
    terminals.append(
        terminal := Terminal(folder, "-y", "@local", "server.shell", "sleep 1", NO_COLOR="1"),
    )
    assert terminal.end() == 0
    assert "\x1b" not in terminal.seen


ERRORS = [
    ("raise SystemError('unexpected')", "An exception occurred in: deploy.py"),
    (
        "from pyinfra.api import OperationError\nraise OperationError('oops')",
        "Operation error in deploy.py line 2: oops",
    ),
]


@pytest.mark.parametrize("plain", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {}])
@pytest.mark.parametrize(("deploy", "message"), ERRORS)
def test_errors_are_styled_as_all_else_is(
    folder: Folder, terminals: list[Terminal], deploy: str, message: str, plain: dict[str, str]
) -> None:
    folder.write("deploy.py", deploy)
    terminals.append(terminal := Terminal(folder, "-y", "@fake", "deploy.py", **plain))
    assert terminal.end() == 1
    assert f"--> {message}" in terminal.lines
    assert ("\x1b" in terminal.seen) == ("\x1b[1m" in terminal.seen) == (not plain)


@pytest.mark.parametrize("switch", [{}, {"PYINFRA_PROGRESS": "off"}])
def test_slow_work_has_a_live_line_unless_it_is_switched_off(
    folder: Folder,
    terminals: list[Terminal],
    switch: dict[str, str],
) -> None:
    terminals.append(
        terminal := Terminal(folder, "-y", "@local", "server.shell", "name=Wait", "commands=sleep 3", **switch),
    )
    assert terminal.end() == 0
    text = STYLES.sub("", terminal.seen)
    assert ("Wait: 0/1 done, 1 under way, 1s" in text) == (not switch)
    assert bool(re.search(r"\(slowest: @local \ds\)", text)) == (not switch)
    assert "    [@local] Success" in terminal.lines


def test_lines_of_commands_do_not_break_the_live_line(folder: Folder, terminals: list[Terminal]) -> None:
    terminals.append(terminal := Terminal(folder, "@local", "exec", "--", "sleep 1; echo in between; sleep 0.5"))
    assert terminal.end() == 0
    assert "under way" in terminal.seen
    assert any(line.endswith("[@local] in between") for line in terminal.lines)


def test_json_has_no_live_line(folder: Folder, terminals: list[Terminal]) -> None:
    terminals.append(terminal := Terminal(folder, "--json", "-y", "@local", "server.shell", "sleep 1"))
    assert terminal.end() == 0
    assert "under way" not in terminal.seen


SLOW = """
    from pyinfra.operations import server
    server.shell(name="One", commands=["echo began; sleep 2; touch one", "touch never"])
    server.shell(name="Two", commands="touch two")
"""


def test_the_first_ctrl_c_ends_the_run_after_the_command_that_is_under_way(
    folder: Folder,
    terminals: list[Terminal],
) -> None:
    folder.write("deploy.py", SLOW)
    terminals.append(terminal := Terminal(folder, "-y", "-vvv", "@local", "deploy.py"))
    terminal.wait_for("] began")
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert (folder.path / "one").exists()
    assert not (folder.path / "never").exists()
    assert not (folder.path / "two").exists()
    assert "--> Results:" in terminal.lines
    assert "--> Disconnecting from hosts..." in terminal.lines


def test_the_second_ctrl_c_kills_what_runs(folder: Folder, terminals: list[Terminal]) -> None:
    folder.write("deploy.py", SLOW.replace("sleep 2", "sleep 25"))
    terminals.append(terminal := Terminal(folder, "-y", "-vvv", "@local", "deploy.py"))
    terminal.wait_for("] began")
    terminal.press_ctrl_c()
    terminal.wait_for("press Ctrl-C again to kill them")
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert not (folder.path / "one").exists()
    assert "--> Results:" in terminal.lines
    assert "--> Disconnecting from hosts..." in terminal.lines


def test_ctrl_c_ends_a_command_of_exec_at_once(folder: Folder, terminals: list[Terminal]) -> None:
    (folder.path / "log").write_text("a line\n")
    terminals.append(terminal := Terminal(folder, "@local", "exec", "--", "tail -f log"))
    terminal.wait_for("] a line")
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert "--> Disconnecting from hosts..." in terminal.lines


def test_ctrl_c_at_the_prompt_runs_nothing(folder: Folder, terminals: list[Terminal]) -> None:
    terminals.append(terminal := Terminal(folder, "@local", "server.shell", "touch done"))
    terminal.wait_for("Press enter to execute...")
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert not (folder.path / "done").exists()
    assert "    Interrupted" in terminal.lines
    assert "--> Disconnecting from hosts..." in terminal.lines


def test_ctrl_c_where_failures_are_asked_about_ends_the_run_with_its_results(
    folder: Folder,
    terminals: list[Terminal],
) -> None:
    folder.write("hosts.py", "all = [('@fake/a', {'fake_responses': {'exit 3': {'success': False}}}), '@fake/b']")
    folder.write("deploy.py", "import things\nthings.fail()\nthings.say('after')")
    terminals.append(terminal := Terminal(folder, "hosts.py", "deploy.py"))
    terminal.wait_for("Press enter to execute...")
    terminal.process.sendline("")
    terminal.wait_for("Go on with those? [y/N]")
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert "--> Results:" in terminal.lines
    assert "--> Starting operation: things.say (after)" not in terminal.lines


def test_ctrl_c_while_facts_are_read_ends_the_run(folder: Folder, terminals: list[Terminal]) -> None:
    folder.write(
        "deploy.py",
        """
        from pyinfra import host, logger
        from pyinfra.facts.server import Command
        logger.info("now")
        host.get_fact(Command, "sleep 25")
        """,
    )
    terminals.append(terminal := Terminal(folder, "-y", "@local", "deploy.py"))
    terminal.wait_for("    now")
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert "--> Disconnecting from hosts..." in terminal.lines


@pytest.mark.parametrize("words", [("exec", "--", "id"), ("-y", "server.shell", "id"), ("fact", "server.User")])
def test_ctrl_c_where_a_host_asks_for_sudos_password_ends_the_run(
    folder: Folder,
    terminals: list[Terminal],
    words: tuple[str, ...],
) -> None:
    folder.write("hosts.py", "all = [(f'@pipe/{name}', {'pipe_command': 'sh', '_sudo': True}) for name in 'ab']")
    folder.write("bin/sudo", "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n").chmod(0o755)
    path = f"{folder.path / 'bin'}:{os.environ['PATH']}"
    terminals.append(terminal := Terminal(folder, "hosts.py", *words, PATH=path))
    terminal.wait_for("sudo password: ")
    terminal.wait_until_nothing_is_echoed()
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert terminal.echoes_at_the_end
    assert terminal.seen.count("sudo password:") == 1
    assert terminal.lines.count("    Interrupted") == 1
    assert "--> Disconnecting from hosts..." in terminal.lines
    assert "Traceback" not in terminal.seen


def test_passwords_are_asked_for_and_not_shown(folder: Folder, terminals: list[Terminal]) -> None:
    terminals.append(
        terminal := Terminal(folder, "--ssh-password-prompt", "--json", "a.example,b.example", "debug-inventory"),
    )
    terminal.wait_for("SSH password:")
    terminal.process.sendline("hush")
    assert terminal.end() == 0
    assert terminal.seen.count('"ssh_password": "***"') == 2
    assert "hush" not in terminal.seen


def test_a_sudo_password_for_all_hosts_is_asked_for_once_and_shown_nowhere(
    folder: Folder,
    terminals: list[Terminal],
) -> None:
    terminals.append(
        terminal := Terminal(
            folder, "--sudo", "--same-sudo-password", "--json", "--debug-operations", "@fake/a,b", "things.say", "x",
        ),
    )  # fmt: skip
    terminal.wait_for("sudo password:")
    terminal.process.sendline("hush")
    assert terminal.end() == 0
    assert terminal.seen.count('"_sudo_password": "***"') == 3
    assert terminal.seen.count("sudo password:") == 1
    assert "hush" not in terminal.seen
