"""Operations that end their own connection, over a real SSH server."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from pyinfra.facts.server import Command
from pyinfra.operations import server
from tests.support.run import Run, connected_run
from tests.support.sshd import SSHServer, User, can_run_sshd, start_sshd

pytestmark = pytest.mark.skipif(not can_run_sshd(), reason="needs root and sshd")

QUICK: dict[str, Any] = {"delay": 1.5, "interval": 0.1, "reboot_timeout": 30}


@pytest.fixture
def sshd() -> Iterator[SSHServer]:
    server = start_sshd()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def user(sshd: SSHServer) -> User:
    return sshd.add_user()


@pytest.fixture
def run(sshd: SSHServer, user: User) -> Iterator[Run]:
    data = {
        "ssh_port": sshd.port,
        "ssh_user": user.name,
        "ssh_key": str(user.key),
        "ssh_known_hosts_file": str(sshd.folder / "known_hosts"),
        "ssh_strict_host_key_checking": "accept-new",
    }
    with connected_run("127.0.0.1", data) as run:
        yield run


@pytest.fixture
def sudo_password(user: User) -> Iterator[str]:
    """The user's password, with which sudo lets them do everything."""
    rule = Path(f"/etc/sudoers.d/{user.name}")
    rule.write_text(f"{user.name} ALL=(ALL) ALL\n")
    rule.chmod(0o440)
    yield user.password
    rule.unlink()


def wait_for(path: Path) -> None:
    while not path.exists():
        gevent.sleep(0.05)


def kill_sessions(sshd: SSHServer) -> None:
    """Kill all sessions, or the next one if there are none at the moment."""
    while not sshd.session_pids():
        gevent.sleep(0.01)
    sshd.kill_sessions()


def reboot_that_asks(folder: Path) -> dict[str, str]:
    """An environment in which ``reboot`` leaves word in a folder that someone wants the machine to restart."""
    folder.mkdir()
    folder.chmod(0o777)
    program = folder / "reboot"
    program.write_text(f"#!/bin/sh\nid -un > {folder}/asked.new && mv {folder}/asked.new {folder}/asked\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def restart(run: Run, folder: Path, how: Callable[[], None], **kwargs: Any) -> str:
    """Run ``server.reboot``, with ``how`` as what the machine does; returns which user ``reboot`` ran as."""
    environment = reboot_that_asks(folder)
    asked = folder / "asked"

    def act() -> None:
        wait_for(asked)
        how()

    actor = gevent.spawn(act)
    try:
        run.op(server.reboot, **QUICK, _env=environment, **kwargs)
        actor.get(timeout=30)
    finally:
        actor.kill()
    return asked.read_text().strip()


def test_a_new_group_of_the_log_in_user_counts_from_then_on(run: Run, user: User, sudo_password: str) -> None:
    subprocess.run(["groupadd", f"{user.name}x"], check=True)
    try:
        assert f"{user.name}x" not in run.fact(Command, command="id -Gn").split()
        settings = {"append": True, "ensure_home": False, "_sudo": True, "_sudo_password": sudo_password}
        assert run.op(server.user, user=user.name, groups=[f"{user.name}x"], **settings).did_change()
        assert f"{user.name}x" in run.fact(Command, command="id -Gn").split()
        assert f"{user.name}x" in run.op(server.shell, commands="id -Gn").stdout.split()
        assert run.op(server.user, user=user.name, groups=[f"{user.name}x"], **settings).did_not_change()
    finally:
        subprocess.run(["groupdel", f"{user.name}x"], check=True)


def test_a_server_that_goes_away_and_comes_back_is_a_restart(run: Run, sshd: SSHServer) -> None:
    def go_away() -> None:
        sshd.stop()
        gevent.sleep(2)
        sshd.start()

    restart(run, sshd.folder / "bin", go_away)
    assert run.op(server.shell, commands="echo hello").stdout == "hello"


def test_sessions_that_end_and_can_be_had_again_at_once_are_a_container_s_restart(run: Run, sshd: SSHServer) -> None:
    restart(run, sshd.folder / "bin", lambda: kill_sessions(sshd))
    assert run.op(server.shell, commands="echo hello").stdout == "hello"


def test_sessions_that_end_before_the_machine_goes_down_are_no_restart(run: Run, sshd: SSHServer) -> None:
    events = []

    def go_down_slowly() -> None:
        kill_sessions(sshd)
        gevent.sleep(1.5)
        sshd.stop()
        gevent.sleep(1)
        events.append("back")
        sshd.start()

    restart(run, sshd.folder / "bin", go_down_slowly)
    assert events == ["back"]
    assert run.op(server.shell, commands="echo hello").stdout == "hello"


def test_a_restart_with_a_sudo_password_leaves_none_behind(run: Run, sshd: SSHServer, sudo_password: str) -> None:
    def go_away() -> None:
        sshd.stop()
        gevent.sleep(1)
        sshd.start()

    elevation = {"_sudo": True, "_sudo_password": sudo_password, "_temp_dir": str(sshd.folder / "bin")}
    assert restart(run, sshd.folder / "bin", go_away, **elevation) == "root"
    assert not list((sshd.folder / "bin").glob("*askpass*"))
    assert run.op(server.shell, commands="id -un", **elevation).stdout == "root"
