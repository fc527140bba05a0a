"""SSH channels as pipes: volumes, ends of programs, log-in shells, and the trips that it takes."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest

from pyinfra.api.command import QuoteString, StringCommand
from pyinfra.connectors import ssh
from pyinfra.connectors.session import BOOT
from pyinfra.connectors.sshlogin import Connection
from pyinfra.connectors.sshpipe import Bell
from pyinfra.connectors.sshtarget import Target
from tests.support.delayproxy import DelayProxy
from tests.support.run import connected_run
from tests.support.sshd import SSHServer, User, start_sshd
from tests.support.sshhosts import run, ssh_connector, ssh_data

pytestmark = pytest.mark.usefixtures("ssh_home")
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mode", ["patched", "unpatched"])
def test_volumes_and_ends_with_and_without_gevents_patches(sshd: SSHServer, ssh_user: User, mode: str) -> None:
    data = json.dumps(ssh_data(sshd, ssh_user))
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.sshrun", data, mode],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stderr == ""
    assert json.loads(done.stdout) == {
        "hello": [False, "hello", "oops"],
        "signal": False,
        "lines": 50000000 - (1 if 50000000 % 41 == 0 else 0),
        "count": [True, "50000000", ""],
        "others_ran": True,
        "deaf": [True, "deaf", ""],
        "terminal": [True, "terminal", ""],
    }


def test_shells_start_in_whatever_words_they_ask_for_their_mark(
    sshd: SSHServer, ssh_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert BOOT.count(ssh._READ_MARK) == 1
    # As if the session's own text had changed
    monkeypatch.setattr(ssh, "_READ_MARK", "read -r other; ")
    connector = ssh_connector(ssh_data(sshd, ssh_user), CONNECT_TIMEOUT=3)
    connector.connect()
    assert run(connector, "echo hi") == (True, "hi", "")
    connector.disconnect()


def open_connection(server: SSHServer, user: User, port: int | None = None) -> Connection:
    return Connection(
        Target("127.0.0.1", port or server.port, user.name, 10, key_files=(str(user.key),), allow_agent=False)
    )


def test_a_log_in_with_its_first_channel_takes_three_round_trips_after_tcps_own(
    sshd: SSHServer, ssh_user: User, delay_proxy: Callable[..., DelayProxy]
) -> None:
    # The delay gathers what is sent together, so that the count is that of a long line
    proxy = delay_proxy(delay=0.02)
    connection = open_connection(sshd, ssh_user, proxy.port)
    connection.open_session()
    # Versions and proposals, key exchange, then log-in and channel together
    assert proxy.round_trips <= 3
    connection.close()


def test_a_connected_shell_takes_one_round_trip_more_and_each_fact_another(
    sshd: SSHServer, ssh_user: User, delay_proxy: Callable[..., DelayProxy]
) -> None:
    proxy = delay_proxy(delay=0.02)
    connector = ssh_connector(ssh_data(sshd, ssh_user, ssh_port=proxy.port))
    connector.connect()
    assert proxy.round_trips <= 4
    for number in range(3):
        before = proxy.round_trips
        facts = [(StringCommand(f"echo {number} {part}"), {}) for part in range(5)]
        results = connector.run_fact_commands(facts, False, False)
        assert [output.stdout for _, output in results] == [f"{number} {part}" for part in range(5)]
        assert proxy.round_trips - before <= 1
    connector.disconnect()


def test_a_programs_end_by_a_signal_is_told(sshd: SSHServer, ssh_user: User) -> None:
    connector = ssh_connector(ssh_data(sshd, ssh_user))
    connector.connect()
    # The log-in shell itself: it cannot say how it ended
    pipe = connector.open_pipe(["kill -TERM $$"])
    assert pipe.receive(10) is None
    assert pipe.exit_status() == 143
    pipe.close()
    connector.disconnect()


def test_a_process_in_the_background_does_not_delay_the_end(sshd: SSHServer, ssh_user: User) -> None:
    connector = ssh_connector(ssh_data(sshd, ssh_user))
    connector.connect()
    pipe = connector.open_pipe(["sh", "-c", "sleep 60 & echo started; exit 4"])
    with gevent.Timeout(20):
        assert pipe.receive(None) == (1, b"started\n")
        assert pipe.receive(None) is None
    assert pipe.exit_status() == 4
    pipe.close()
    connector.disconnect()


def test_a_pipe_that_was_closed_takes_nothing_and_gives_nothing(sshd: SSHServer, ssh_user: User) -> None:
    connector = ssh_connector(ssh_data(sshd, ssh_user))
    connector.connect()
    pipe = connector.open_pipe(["cat"])
    pipe.send(b"x")
    assert pipe.receive(10) == (1, b"x")
    with pytest.raises(TimeoutError):
        pipe.receive(0.05)
    pipe.close()
    assert pipe.receive(None) is None
    with pytest.raises(OSError, match="gone"):
        pipe.send(b"x")
    connector.disconnect()


@pytest.mark.parametrize("shell", ["bash", "zsh", "mksh", "ksh", "tcsh", "csh", "fish"])
def test_any_log_in_shell_serves(sshd: SSHServer, shell: str) -> None:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    connector = ssh_connector(ssh_data(sshd, sshd.add_user(shell=path)))
    connector.connect()
    text = 'it\'s "$HOME" `x` \\n ! * \u00e9'
    assert run(connector, "cat", _stdin=text) == (True, text, "")
    assert run(connector, "exit 7")[0] is False
    quoted = QuoteString(f"{text}\\\\\nsecond")
    assert run(connector, StringCommand("printf %s", quoted), _get_pty=True) == (True, f"{text}\\\\\nsecond", "")
    connector.disconnect()


def test_a_bell_that_another_thread_rings_wakes_the_greenlet() -> None:
    bell = Bell()
    assert not bell.wait(0.01)
    gevent.get_hub().threadpool.spawn(bell.set)
    assert bell.wait(10)
    assert bell.is_set()
    bell.reset()
    assert not bell.wait(0.01)
    bell.close()
    bell.set()
    assert bell.wait()


def test_many_log_ins_at_once_read_the_key_once_and_raise_the_limit_of_open_files(
    sshd: SSHServer, ssh_user: User, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pyinfra.connectors import sshkeys

    key = tmp_path / "key"
    shutil.copy(ssh_user.key, key)
    parsed: list[str] = []
    parse = sshkeys._parse
    monkeypatch.setattr(sshkeys, "_parse", lambda path, phrase: parsed.append(path) or parse(path, phrase))
    connectors = [ssh_connector(ssh_data(sshd, ssh_user, ssh_key=str(key))) for _ in range(20)]
    gevent.joinall([gevent.spawn(connector.connect) for connector in connectors], raise_error=True)
    assert parsed == [str(key)]
    assert all(run(connector, "echo hi") == (True, "hi", "") for connector in connectors)
    for connector in connectors:
        connector.disconnect()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == hard or soft >= 1 << 16


def test_nothing_of_ssh_is_imported_before_a_host_connects() -> None:
    code = "import sys, pyinfra.connectors.ssh; print(sorted({'paramiko', 'cryptography'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_no_files_stay_open(sshd: SSHServer, ssh_user: User) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    connector = ssh_connector(ssh_data(sshd, ssh_user))
    connector.connect()
    connector.disconnect()
    before = count()
    for _ in range(5):
        connector.connect()
        run(connector, "echo hi")
        connector.disconnect()
    with gevent.Timeout(10):
        while count() > before:
            gevent.sleep(0.05)


def test_input_that_nobody_reads_does_not_cost_the_connection(sshd: SSHServer, ssh_user: User, ssh_home: Path) -> None:
    # The command ends while its input is being sent: OpenSSH hangs up on data for a channel that is gone
    with connected_run("@ssh/x", ssh_data(sshd, ssh_user)) as run:
        for _ in range(150):
            assert run.host.run_shell_command(StringCommand("true"), _stdin="a line\n" * 150_000)[0]


@pytest.mark.parametrize("sessions", ["2", "1"])
def test_a_server_may_allow_few_sessions(sshd: SSHServer, sessions: str) -> None:
    limited = start_sshd(MaxSessions=sessions)
    seconds = f"6{os.getpid() % 10000:04}.75"
    try:
        user = limited.add_user()
        connector = ssh_connector(ssh_data(limited, user, ssh_strict_host_key_checking="no"))
        connector.connect()
        for number in range(3):
            assert connector.run_fact_commands([(StringCommand(f"echo {number}"), {})])[0][1].stdout == str(number)
            assert run(connector, "cat", _stdin=f"{number}") == (True, str(number), "")
            assert run(connector, "test -t 0 && echo terminal", _get_pty=True)[1] == "terminal"
        connector.run_fact_commands([(StringCommand("echo fact"), {})])
        with pytest.raises(TimeoutError, match="Command timed out after 1s"):
            run(connector, f"sleep {seconds}; sleep {seconds}", _timeout=1)
        assert run(connector, f"pgrep -fx 'sleep {seconds}'", _success_exit_codes=[1]) == (True, "", "")
        connector.disconnect()
    finally:
        limited.close()


def test_a_command_that_is_too_long_for_a_terminal_fails_alone(sshd: SSHServer, ssh_user: User) -> None:
    connector = ssh_connector(ssh_data(sshd, ssh_user))
    connector.connect()
    # The server hands it on and the log-in shell cannot be started with it, or would end the connection over it
    assert run(connector, f"true {'x' * 200_000}", _get_pty=True) == (False, "/bin/sh: Argument list too long", "")
    with pytest.raises(OSError, match="The command is too long to be an argument"):
        run(connector, f"true {'x' * 300_000}", _get_pty=True)
    assert run(connector, "echo on") == (True, "on", "")
    connector.disconnect()
