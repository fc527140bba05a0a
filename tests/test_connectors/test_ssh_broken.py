"""SSH connections that break: in the middle of everything, with a bang or in silence."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest

from pyinfra.api.command import StringCommand
from pyinfra.api.exceptions import ConnectError
from pyinfra.connectors.ssh import SSHConnector
from tests.support.delayproxy import DelayProxy
from tests.support.sshd import SSHServer, User, start_sshd
from tests.support.sshhosts import run, ssh_connector, ssh_data

pytestmark = pytest.mark.usefixtures("ssh_home")
MakeProxy = Callable[..., DelayProxy]


def connected(server: SSHServer, user: User, proxy: DelayProxy, **changes: Any) -> SSHConnector:
    connector = ssh_connector(ssh_data(server, user, ssh_port=proxy.port, **changes))
    connector.connect()
    return connector


def test_a_cut_in_the_middle_of_a_command_is_a_connect_error(
    sshd: SSHServer, ssh_user: User, delay_proxy: MakeProxy
) -> None:
    proxy = delay_proxy()
    connector = connected(sshd, ssh_user, proxy)
    gevent.spawn_later(0.3, proxy.cut)
    with pytest.raises(ConnectError, match=r"Connection to .* lost \(.*\)"):
        run(connector, "sleep 60")
    with pytest.raises(ConnectError):
        run(connector, "echo hi")
    connector.disconnect()


def test_a_cut_while_there_is_more_to_read_is_a_connect_error(
    sshd: SSHServer, ssh_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(message: Any) -> None:
        raise EOFError

    connector = ssh_connector(ssh_data(sshd, ssh_user))
    connector.connect()
    assert connector.connection is not None
    pipe = connector.open_pipe(["head", "-c", "20000000", "/dev/zero"])
    monkeypatch.setattr(connector.connection.transport, "_send_user_message", gone)
    with pytest.raises(ConnectError, match=r"Connection to .* lost"):
        all(iter(lambda: pipe.receive(10), None))
    monkeypatch.undo()
    connector.disconnect()


def test_a_cut_in_the_middle_of_a_fact_is_a_connect_error(
    sshd: SSHServer, ssh_user: User, delay_proxy: MakeProxy
) -> None:
    proxy = delay_proxy()
    connector = connected(sshd, ssh_user, proxy)
    gevent.spawn_later(0.3, proxy.cut)
    with pytest.raises(ConnectError, match="lost"):
        connector.run_fact_commands([(StringCommand("sleep 60"), {})], False, False)
    connector.disconnect()


def test_a_cut_in_the_middle_of_an_upload_leaves_nothing_half_written(
    sshd: SSHServer, ssh_user: User, delay_proxy: MakeProxy
) -> None:
    proxy = delay_proxy()
    connector = connected(sshd, ssh_user, proxy)
    target = ssh_user.home / "uploaded"
    connector.put_file(io.BytesIO(b"old"), str(target))
    proxy.cut_after_bytes_to_server = proxy.bytes_to_server + 3_000_000
    with pytest.raises(ConnectError, match="lost"):
        connector.put_file(io.BytesIO(bytes(20_000_000)), str(target))
    connector.disconnect()
    assert target.read_bytes() == b"old"
    with gevent.Timeout(20):
        while [name for name in os.listdir(ssh_user.home) if name.endswith("~")]:
            gevent.sleep(0.05)


def test_a_server_process_that_is_killed_is_a_connect_error() -> None:
    server = start_sshd()
    try:
        user = server.add_user()
        connector = ssh_connector(ssh_data(server, user))
        connector.connect()

        def kill() -> None:
            for pid in server.session_pids():
                os.kill(pid, signal.SIGKILL)

        gevent.spawn_later(0.3, kill)
        with pytest.raises(ConnectError):
            run(connector, "sleep 60")
        connector.disconnect()
    finally:
        server.close()


def test_silence_is_noticed_and_told(sshd: SSHServer, ssh_user: User, delay_proxy: MakeProxy, ssh_home: Path) -> None:
    (ssh_home / ".ssh" / "config").write_text("ServerAliveInterval 1\nServerAliveCountMax 2\n")
    proxy = delay_proxy()
    connector = connected(sshd, ssh_user, proxy)
    gevent.spawn_later(0.2, setattr, proxy, "swallows", True)
    with pytest.raises(ConnectError, match=r"no answer for 2s"), gevent.Timeout(30):
        run(connector, "sleep 60")
    connector.disconnect()


def test_silence_in_the_middle_of_an_upload_is_noticed(
    sshd: SSHServer, ssh_user: User, delay_proxy: MakeProxy, ssh_home: Path
) -> None:
    (ssh_home / ".ssh" / "config").write_text("ServerAliveInterval 1\nServerAliveCountMax 2\n")
    proxy = delay_proxy()
    connector = connected(sshd, ssh_user, proxy)
    proxy.swallows = True
    with pytest.raises(ConnectError, match=r"no answer for 2s"), gevent.Timeout(30):
        connector.put_file(io.BytesIO(bytes(50_000_000)), "never")
    connector.disconnect()


def test_a_silent_command_is_no_silence(
    sshd: SSHServer, ssh_user: User, delay_proxy: MakeProxy, ssh_home: Path
) -> None:
    (ssh_home / ".ssh" / "config").write_text("ServerAliveInterval 1\nServerAliveCountMax 1\n")
    connector = connected(sshd, ssh_user, delay_proxy())
    assert run(connector, "sleep 4; echo done") == (True, "done", "")
    connector.disconnect()


def test_a_connection_that_was_cut_can_be_made_again(sshd: SSHServer, ssh_user: User, delay_proxy: MakeProxy) -> None:
    proxy = delay_proxy()
    connector = connected(sshd, ssh_user, proxy)
    proxy.cut()
    with pytest.raises(ConnectError):
        run(connector, "sleep 60")
    connector.disconnect()
    connector.connect()
    assert run(connector, "echo hi") == (True, "hi", "")
    connector.disconnect()


def test_a_server_that_allows_one_channel_is_told_or_served() -> None:
    server = start_sshd(MaxSessions="1")
    try:
        user = server.add_user()
        connector = ssh_connector(ssh_data(server, user))
        connector.connect()
        for number in range(3):
            assert run(connector, f"echo {number}") == (True, str(number), "")
        connector.disconnect()
    finally:
        server.close()
