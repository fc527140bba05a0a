"""The command line over a real SSH server: what breaks, and what Ctrl-C ends on the other side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commandline import Folder
from tests.support.delayproxy import DelayProxy
from tests.support.sshd import SSHServer, User, can_run_sshd, free_port, make_key, start_sshd
from tests.support.terminals import Terminal

pytestmark = pytest.mark.skipif(not can_run_sshd(), reason="needs root and OpenSSH's server")


@pytest.fixture(scope="module")
def sshd() -> Iterator[SSHServer]:
    """A server of this module's own: one test cuts its connections."""
    server = start_sshd(("127.0.0.1", "127.0.0.2"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def user(sshd: SSHServer) -> User:
    """An ordinary user of that server."""
    return sshd.add_user()


@pytest.fixture
def words(sshd: SSHServer, user: User, folder: Folder) -> tuple[str, ...]:
    """The options to log in with."""
    known_hosts = folder.write("known_hosts", "")
    return (
        *("--ssh-user", user.name, "--ssh-port", str(sshd.port), "--ssh-key", str(user.key)),
        *("--data", f"ssh_known_hosts_file={known_hosts}"),
    )


def processes_of(user: User, command: str) -> list[str]:
    """The process ids of a user's processes with these words."""
    found = subprocess.run(["pgrep", "-u", user.name, "-f", command], capture_output=True, text=True, check=False)
    return found.stdout.split()


def wait_until_gone(user: User, command: str) -> None:
    """Wait for the end of those, which must come."""
    deadline = time.monotonic() + 20
    while processes_of(user, command):
        assert time.monotonic() < deadline, f"{command} still runs"
        time.sleep(0.05)


def test_a_command_runs_on_several_hosts(folder: Folder, words: tuple[str, ...], user: User) -> None:
    ended = folder.run(*words, "127.0.0.1,127.0.0.2", "exec", "--", "id -un")
    assert ended.exit_code == 0, ended.err
    assert {f"[127.0.0.{n}] {user.name}" for n in (1, 2)} <= set(ended.lines)


def test_hosts_that_cannot_be_reached_are_told_apart(folder: Folder, words: tuple[str, ...], sshd: SSHServer) -> None:
    ports = {"127.0.0.1": sshd.port, "127.0.0.2": free_port("127.0.0.2")}
    folder.write("hosts.py", f"all = {[(name, {'ssh_port': port}) for name, port in ports.items()]}")
    without_port = (*words[:2], *words[4:])
    ended = folder.run(*without_port, "-y", "hosts.py", "server.shell", "echo hi")
    assert ended.exit_code == 1
    assert ended.after("Starting operation: server.shell (echo hi)") == ["    [127.0.0.1] Success"]
    (unreached,) = ended.after("Hosts that could not be reached:")
    assert unreached.startswith("    [127.0.0.2] Could not connect (")


def test_a_refused_key_is_an_error_with_the_host(folder: Folder, words: tuple[str, ...], tmp_path: Path) -> None:
    key = make_key(tmp_path / "other_key")
    ended = folder.run(*words[:4], "--ssh-key", str(key), *words[6:], "127.0.0.1", "exec", "--", "true")
    assert ended.exit_code == 1
    told = next(line for line in ended.lines if line.startswith("    [127.0.0.1] "))
    assert "uthentic" in told
    assert ended.lines[-1] == "--> pyinfra error: No hosts remaining!"


def test_a_connection_that_is_cut_fails_its_host_and_shows_results(
    folder: Folder,
    words: tuple[str, ...],
    sshd: SSHServer,
    user: User,
) -> None:
    proxy = DelayProxy((sshd.addresses[0], sshd.port))
    through_proxy = ("--ssh-port", str(proxy.port))
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pyinfra_cli",
            *words,
            *through_proxy,
            "127.0.0.1",
            "exec",
            "--",
            "echo began; sleep 31",
        ],
        cwd=folder.path,
        env=folder.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line.rstrip())
        if line.startswith("[127.0.0.1] began"):
            proxy.cut()
    assert process.wait() == 1
    assert any(line.startswith("    [127.0.0.1] Connection lost: ") for line in seen), "\n".join(seen)
    assert "--> Failed hosts:" in seen
    assert seen[-1] == "--> pyinfra error: No hosts remaining!"
    for pid in processes_of(user, "sleep 31"):
        os.kill(int(pid), signal.SIGKILL)
    proxy.close()


def test_ctrl_c_ends_a_command_of_exec_on_the_host(
    folder: Folder,
    words: tuple[str, ...],
    user: User,
    terminals: list[Terminal],
) -> None:
    terminals.append(terminal := Terminal(folder, *words, "127.0.0.1", "exec", "--", "echo began; tail -f /dev/null"))
    terminal.wait_for("] began")
    assert processes_of(user, "tail -f /dev/null")
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    wait_until_gone(user, "tail -f /dev/null")


def asked_for_a_keys_password(folder: Folder, words: tuple[str, ...], hosts: str) -> Terminal:
    """A terminal in which the password of the file ``key`` is to be typed."""
    key = make_key(folder.path / "key", passphrase="it's secret")
    terminal = Terminal(folder, *words[:4], "--ssh-key", str(key), *words[6:], hosts, "exec", "--", "true")
    terminal.wait_for("Enter password for private key")
    terminal.wait_until_nothing_is_echoed()
    return terminal


def test_ctrl_c_where_the_password_of_a_key_is_asked_for_ends_the_run(
    folder: Folder,
    words: tuple[str, ...],
    terminals: list[Terminal],
) -> None:
    terminals.append(terminal := asked_for_a_keys_password(folder, words, "127.0.0.1,127.0.0.2"))
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert terminal.echoes_at_the_end
    assert terminal.seen.count("Enter password") == 1
    assert "    Interrupted" in terminal.lines


def test_the_end_of_input_where_the_password_of_a_key_is_asked_for_is_told_in_words(
    folder: Folder,
    words: tuple[str, ...],
    terminals: list[Terminal],
) -> None:
    terminals.append(terminal := asked_for_a_keys_password(folder, words, "127.0.0.1"))
    terminal.process.sendeof()
    assert terminal.end() == 1
    assert f"Private key file ({folder.path / 'key'}) is encrypted, set ssh_key_password" in terminal.seen


@pytest.mark.parametrize("scheme", ["@ssh", "@openssh"])
def test_ctrl_c_where_a_host_key_is_asked_about_ends_the_run(
    folder: Folder,
    words: tuple[str, ...],
    terminals: list[Terminal],
    scheme: str,
) -> None:
    known_hosts = folder.path / "known_hosts"
    asked = ("--data", "ssh_strict_host_key_checking=ask", "--data", "openssh_config_file=/dev/null")
    names = f"{scheme}/127.0.0.1,{scheme}/127.0.0.2"
    terminals.append(terminal := Terminal(folder, *words, *asked, names, "exec", "--", "true"))
    terminal.wait_for("No key is known for" if scheme == "@ssh" else "continue connecting (yes/no")
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert "    Interrupted" in terminal.lines
    assert "Traceback" not in terminal.seen
    assert known_hosts.read_text() == ""


def test_ctrl_c_where_ssh_asks_for_a_password_ends_the_run(
    folder: Folder,
    words: tuple[str, ...],
    terminals: list[Terminal],
) -> None:
    words = (*words[:4], "--ssh-key", "/dev/null", *words[6:], "--data", "openssh_config_file=/dev/null")
    names = "@openssh/127.0.0.1,@openssh/127.0.0.2"
    terminals.append(terminal := Terminal(folder, *words, names, "exec", "--", "true"))
    terminal.wait_for("'s password:")
    terminal.wait_until_nothing_is_echoed()
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert terminal.echoes_at_the_end
    assert terminal.seen.count("'s password:") == 1
    assert "    Interrupted" in terminal.lines


@pytest.mark.parametrize("presses", [1, 2])
@pytest.mark.parametrize("words_of_run", [("fact", "slow.Slow"), ("read.py",), ("changes.py",), ("warm.py",)])
def test_ctrl_c_ends_the_commands_of_facts_on_the_hosts(
    folder: Folder,
    words: tuple[str, ...],
    user: User,
    terminals: list[Terminal],
    words_of_run: tuple[str, ...],
    presses: int,
) -> None:
    folder.write(
        "slow.py",
        """
        from pyinfra import host
        from pyinfra.api import FactBase, operation

        class Slow(FactBase):
            command = "sleep 33"

        @operation()
        def change():
            host.get_fact(Slow)
            yield "true"
        """,
    )
    folder.write("read.py", "import slow\nfrom pyinfra import host\nhost.get_fact(slow.Slow)")
    folder.write("changes.py", "import slow\nslow.change()")
    # What kills has a shell ready
    warm = "host.run_shell_command('sleep 0.3')\nhost.get_fact(slow.Slow)"
    folder.write("warm.py", f"import slow\nfrom pyinfra import host\n{warm}")
    terminals.append(terminal := Terminal(folder, *words, "127.0.0.1,127.0.0.2", *words_of_run))
    deadline = time.monotonic() + 20
    while len(processes_of(user, "sleep 33")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    began_at = time.monotonic()
    for _ in range(presses):
        terminal.press_ctrl_c()
        time.sleep(0.1)
    assert terminal.end() == 130
    assert time.monotonic() - began_at < 3
    wait_until_gone(user, "sleep 33")
    assert "Traceback" not in terminal.seen


def test_the_second_ctrl_c_ends_what_runs_on_the_hosts(
    folder: Folder,
    words: tuple[str, ...],
    user: User,
    terminals: list[Terminal],
) -> None:
    terminals.append(
        terminal := Terminal(
            folder, *words, "-vvv", "-y", "127.0.0.1,127.0.0.2", "server.shell", "echo began; sleep 32",
        ),
    )  # fmt: skip
    terminal.wait_for("] began")
    terminal.press_ctrl_c()
    terminal.wait_for("press Ctrl-C again")
    assert processes_of(user, "sleep 32")
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert "--> Results:" in terminal.lines
    wait_until_gone(user, "sleep 32")
