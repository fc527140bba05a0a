"""Ways to an SSH server that lead through others."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import gevent
import pytest

from pyinfra.api.exceptions import ConnectError
from pyinfra.connectors import sshlogin
from pyinfra.connectors.session import _has_foreign_handler
from pyinfra.connectors.sshreach import end_proxy_command, start_proxy_command
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
    process = connector.connection._process
    assert run(connector, "wc -c", _stdin=b"x" * 1000000) == (True, "1000001", "")
    connector.disconnect()
    assert process.returncode is not None


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
    connected, process = start_proxy_command("sh -c 'trap : TERM; while :; do sleep 0.1; done'")
    gevent.sleep(0.3)
    end_proxy_command(process)
    connected.close()
    assert process.returncode == -signal.SIGKILL


def test_a_proxy_command_that_fails_is_told(sshd: SSHServer, ssh_user: User, write_config: Path) -> None:
    add(write_config, "Host 127.0.0.1\n ProxyCommand exit 3\n")
    with pytest.raises(ConnectError, match="Could not connect"):
        ssh_connector(ssh_data(sshd, ssh_user)).connect()
