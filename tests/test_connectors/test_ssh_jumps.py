"""Ways to an SSH server that lead through others."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import gevent
import pytest

from pyinfra.api.exceptions import ConnectError
from pyinfra.connectors import sshlogin, sshreach
from pyinfra.connectors.session import _has_foreign_handler
from pyinfra.connectors.sshreach import ProxyCommand
from tests.support.sshd import SSHServer, User, start_sshd
from tests.support.sshhosts import run, ssh_connector, ssh_data


@pytest.fixture
def write_config(ssh_home: Path, sshd: SSHServer, ssh_user: User) -> Path:
    """A configuration with two jump hosts, one and two, both the test server by its other addresses."""
    path = ssh_home / ".ssh" / "config"
    shared = f"Port {sshd.port}\n User {ssh_user.name}\n IdentityFile {ssh_user.key}\n"
    path.write_text(f"Host one\n HostName 127.0.0.2\n {shared}Host two\n HostName 127.0.0.3\n {shared}")
    return path


def add(path: Path, text: str) -> None:
    path.write_text(f"{path.read_text()}{text}")


def test_one_jump_host_leads_to_the_target(sshd: SSHServer, ssh_user: User, write_config: Path) -> None:
    add(write_config, "Host 127.0.0.1\n ProxyJump one\n")
    connector = ssh_connector(ssh_data(sshd, ssh_user))
    connector.connect()
    assert run(connector, 'echo "${SSH_CONNECTION%% *}"') == (True, "127.0.0.1", "")
    assert connector.connection is not None
    assert connector.connection.target.jump is not None
    assert connector.connection.target.jump.host == "127.0.0.2"
    connector.disconnect()
    assert sshlogin._shared == {}


def test_two_jump_hosts_are_passed_in_their_order(sshd: SSHServer, ssh_user: User, write_config: Path) -> None:
    add(write_config, "Host 127.0.0.1\n ProxyJump one,two\n")
    connector = ssh_connector(ssh_data(sshd, ssh_user))
    connector.connect()
    assert run(connector, "echo hi") == (True, "hi", "")
    assert connector.connection is not None
    second = connector.connection.target.jump
    assert second is not None
    assert second.jump is not None
    assert (second.jump.host, second.host) == ("127.0.0.2", "127.0.0.3")
    connector.disconnect()


def test_a_jump_host_for_all_hosts_is_not_reached_through_itself(
    sshd: SSHServer, ssh_user: User, write_config: Path
) -> None:
    add(write_config, "Host *\n ProxyJump one\n")
    connector = ssh_connector(ssh_data(sshd, ssh_user))
    connector.connect()
    assert run(connector, "echo hi") == (True, "hi", "")
    connector.disconnect()


def test_jump_none_goes_straight(sshd: SSHServer, ssh_user: User, write_config: Path) -> None:
    add(write_config, "Host 127.0.0.1\n ProxyJump none\nHost *\n ProxyJump nowhere.invalid\n")
    connector = ssh_connector(ssh_data(sshd, ssh_user))
    connector.connect()
    connector.disconnect()


def test_hosts_behind_one_jump_host_share_its_log_in(ssh_home: Path) -> None:
    server = start_sshd(("127.0.0.1", "127.0.0.2"))
    try:
        user = server.add_user()
        (ssh_home / ".ssh" / "config").write_text(
            f"Host one\n HostName 127.0.0.2\n Port {server.port}\n User {user.name}\n IdentityFile {user.key}\n"
            "Host 127.0.0.1\n ProxyJump one\n"
        )
        connectors = [ssh_connector(ssh_data(server, user)) for _ in range(5)]
        gevent.joinall([gevent.spawn(connector.connect) for connector in connectors], raise_error=True)
        assert server.log.count("Accepted publickey") == 6
        connectors[0].disconnect()
        assert run(connectors[1], "echo hi") == (True, "hi", "")
        for connector in connectors[1:]:
            connector.disconnect()
        assert sshlogin._shared == {}
    finally:
        server.close()


def test_a_jump_host_that_refuses_is_named(sshd: SSHServer, ssh_user: User, write_config: Path) -> None:
    add(write_config, "Host 127.0.0.1\n ProxyJump nobody@two\n")
    with pytest.raises(ConnectError, match=r"Jump host nobody@127\.0\.0\.3:\d+: Authentication error"):
        ssh_connector(ssh_data(sshd, ssh_user)).connect()
    assert sshlogin._shared == {}


def test_a_target_that_the_jump_host_cannot_reach_is_told(sshd: SSHServer, ssh_user: User, write_config: Path) -> None:
    add(write_config, "Host 127.0.0.1\n ProxyJump one\n")
    with pytest.raises(ConnectError, match=r"Could not connect \(.*127\.0\.0\.1 port 1 through it"):
        ssh_connector(ssh_data(sshd, ssh_user, ssh_port=1)).connect()
    assert sshlogin._shared == {}


def test_a_jump_that_is_none_of_a_host_is_told(sshd: SSHServer, ssh_user: User, write_config: Path) -> None:
    add(write_config, "Host 127.0.0.1\n ProxyJump one:two:three\n")
    with pytest.raises(ConnectError, match="ProxyJump: 'one:two:three' is no"):
        ssh_connector(ssh_data(sshd, ssh_user)).connect()


def test_a_proxy_command_is_a_way(sshd: SSHServer, ssh_user: User, write_config: Path) -> None:
    ssh = shutil.which("ssh")
    options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    add(write_config, f"Host 127.0.0.1\n ProxyCommand {ssh} {options} -F {write_config} -W %h:%p one\n")
    connector = ssh_connector(ssh_data(sshd, ssh_user))
    connector.connect()
    assert connector.connection is not None
    proxy = connector.connection._proxy
    assert proxy is not None
    assert run(connector, "wc -c", _stdin=b"x" * 1000000) == (True, "1000001", "")
    connector.disconnect()
    assert proxy.describe_end().startswith("ProxyCommand ended with ")


def test_a_proxy_command_does_not_take_the_exit_codes_of_other_processes(
    sshd: SSHServer, ssh_user: User, write_config: Path
) -> None:
    add(write_config, "Host 127.0.0.1\n ProxyCommand busybox nc %h %p\n")
    before = _has_foreign_handler(signal.SIGCHLD)
    connector = ssh_connector(ssh_data(sshd, ssh_user))
    connector.connect()
    connector.disconnect()
    assert _has_foreign_handler(signal.SIGCHLD) == before


def test_a_proxy_command_that_takes_its_time_is_killed() -> None:
    proxy = ProxyCommand("sh -c 'trap : TERM; while :; do sleep 0.1; done'", "h")
    gevent.sleep(0.3)
    proxy.end()
    proxy.socket.close()
    assert proxy.describe_end() == f"ProxyCommand ended with signal {signal.SIGKILL:d}"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("sh -c 'echo first >&2; echo no way >&2; exit 7'", "ProxyCommand ended with exit code 7: no way"),
        ("sh -c 'printf %s half >&2; exit 7'", "ProxyCommand ended with exit code 7: half"),
        ("/nonexistent/nc %h %p", "ProxyCommand ended with exit code 127: .*/nonexistent/nc.*not found"),
        ("sh -c 'kill -9 $$'", "ProxyCommand ended with signal 9"),
        ("true", "ProxyCommand ended with exit code 0"),
        ("sh -c 'echo please wait >&2; exec >&- <&- 2>&-; sleep 60'", "ProxyCommand says: please wait"),
    ],
)
def test_a_proxy_command_that_fails_tells_why(
    sshd: SSHServer, ssh_user: User, write_config: Path, command: str, why: str
) -> None:
    add(write_config, f"Host 127.0.0.1\n ProxyCommand {command}\n")
    with pytest.raises(ConnectError, match=rf"^Could not connect \(127.0.0.1 port {sshd.port}: .*; {why}\)$"):
        ssh_connector(ssh_data(sshd, ssh_user)).connect()


def test_a_connection_that_its_proxy_command_has_ended_tells_why(
    sshd: SSHServer, ssh_user: User, write_config: Path, tmp_path: Path
) -> None:
    proxy = "busybox nc %h %p <&3 & read _ < fifo; kill $!; echo no more time >&2; exit 4"
    os.mkfifo(tmp_path / "fifo")
    add(write_config, f"Host 127.0.0.1\n ProxyCommand sh -c 'cd {tmp_path}; exec 3<&0; {proxy}'\n")
    connector = ssh_connector(ssh_data(sshd, ssh_user))
    connector.connect()
    gevent.spawn_later(0.3, (tmp_path / "fifo").write_text, "\n")
    with pytest.raises(ConnectError, match=r"lost .*; ProxyCommand ended with exit code 4: no more time"):
        run(connector, "sleep 60")
    connector.disconnect()


def test_what_a_proxy_command_says_is_shown_and_does_not_hold_it_up(
    sshd: SSHServer, ssh_user: User, write_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(sshreach, "echo", lambda text, **_: shown.append(text))
    chat = "yes 'log in at https://login.example.com' | head -n 10000 >&2"
    add(write_config, f'Host 127.0.0.1\n ProxyCommand sh -c "{chat}; exec busybox nc %h %p"\n')
    connector = ssh_connector(ssh_data(sshd, ssh_user))
    connector.connect()
    assert run(connector, "echo here")[1] == "here"
    connector.disconnect()
    name = f"{ssh_user.name}@127.0.0.1:{sshd.port}"
    assert shown == [f"ProxyCommand of {name}: log in at https://login.example.com"] * 10000
