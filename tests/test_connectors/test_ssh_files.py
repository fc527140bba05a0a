"""Files over SSH to targets without a shell, and rsync."""

from __future__ import annotations

import io
import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest

from pyinfra.api.exceptions import ConnectError
from pyinfra.connectors import ssh
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import CommandOutput, run_local_process
from tests.support.delayproxy import DelayProxy
from tests.support.sshd import SSHServer, User
from tests.support.sshhosts import run, ssh_connector, ssh_data

pytestmark = pytest.mark.usefixtures("ssh_home")


@pytest.fixture(params=["sftp", "scp"])
def without_shell(request: pytest.FixtureRequest, sshd: SSHServer, ssh_user: User) -> Any:
    connector = ssh_connector(ssh_data(sshd, ssh_user, shell_session=False, ssh_file_transfer_protocol=request.param))
    connector.connect()
    yield connector
    connector.disconnect()


@pytest.mark.parametrize("name", ["plain", "with space", 'quote\'s "$x"', "-dash", "\u00e9", "new\nline"])
@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_a_file_goes_there_and_back(
    without_shell: SSHConnector, ssh_user: User, tmp_path: Path, name: str, size: int
) -> None:
    content = os.urandom(size)
    local = tmp_path / "local"
    local.write_bytes(content)
    assert without_shell.put_file(str(local), name)
    assert (ssh_user.home / name).read_bytes() == content
    buffer = io.BytesIO()
    assert without_shell.get_file(name, buffer)
    assert buffer.getvalue() == content


def test_text_goes_there_and_back(without_shell: SSHConnector, ssh_user: User) -> None:
    assert without_shell.put_file(io.StringIO("gr\u00fcn\n"), "text")
    assert (ssh_user.home / "text").read_text() == "gr\u00fcn\n"
    text = io.StringIO()
    assert without_shell.get_file("text", text)
    assert text.getvalue() == "gr\u00fcn\n"


@pytest.mark.parametrize("protocol", ["sftp", "scp"])
def test_a_download_that_breaks_leaves_the_local_file_as_it_was(
    sshd: SSHServer, ssh_user: User, tmp_path: Path, delay_proxy: Callable[..., DelayProxy], protocol: str
) -> None:
    (ssh_user.home / "large").write_bytes(bytes(20_000_000))
    proxy = delay_proxy()
    data = ssh_data(sshd, ssh_user, ssh_port=proxy.port, shell_session=False, ssh_file_transfer_protocol=protocol)
    connector = ssh_connector(data)
    connector.connect()
    proxy.cut_after_bytes_to_client = proxy.bytes_to_client + 2_000_000
    (tmp_path / "folder").mkdir()
    local = tmp_path / "folder" / "local"
    local.write_bytes(b"old")
    with pytest.raises((OSError, ConnectError)):
        connector.get_file("large", str(local))
    connector.disconnect()
    assert local.read_bytes() == b"old"
    assert os.listdir(local.parent) == ["local"]


def test_a_copy_may_take_no_longer_than_it_is_allowed_to(without_shell: SSHConnector, ssh_user: User) -> None:
    fifo = ssh_user.home / "fifo"
    os.mkfifo(fifo)
    fifo.chmod(0o666)
    try:
        # Nobody reads it
        with gevent.Timeout(20), pytest.raises(TimeoutError, match=r"upload of fifo timed out after 0\.5s"):
            without_shell.put_file(io.BytesIO(b"x"), "fifo", _timeout=0.5)
    finally:
        os.close(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK))
        fifo.unlink()
    assert run(without_shell, "echo one") == (True, "one", "")


def test_a_missing_folder_is_an_error_with_the_targets_words(without_shell: SSHConnector) -> None:
    with pytest.raises(OSError, match="No such file"):
        without_shell.put_file(io.BytesIO(b"x"), "/no/such/folder/file")
    with pytest.raises(OSError, match="No such file"):
        without_shell.get_file("/no/such/file", io.BytesIO())


def test_a_denied_folder_is_an_error(without_shell: SSHConnector) -> None:
    with pytest.raises(OSError, match=r"[Pp]ermission denied"):
        without_shell.put_file(io.BytesIO(b"x"), "/root/x")


def test_files_as_another_user_are_refused(without_shell: SSHConnector) -> None:
    with pytest.raises(OSError, match="as another user"):
        without_shell.put_file(io.BytesIO(b"x"), "x", _sudo=True)


def test_one_file_object_can_be_sent_several_times_at_once(without_shell: SSHConnector, ssh_user: User) -> None:
    content = os.urandom(3_000_000)
    source = io.BytesIO(content)
    sending = [gevent.spawn(without_shell.put_file, source, f"shared-{number}") for number in range(3)]
    gevent.joinall(sending, raise_error=True)
    assert [(ssh_user.home / f"shared-{number}").read_bytes() == content for number in range(3)] == [True] * 3


def test_a_folder_to_be_in_is_refused(without_shell: SSHConnector) -> None:
    with pytest.raises(OSError, match="_chdir needs a shell on the target"):
        without_shell.put_file(io.BytesIO(b"x"), "x", _chdir="/tmp")


def test_commands_run_one_by_one_without_a_shell(without_shell: SSHConnector) -> None:
    assert run(without_shell, "echo one") == (True, "one", "")
    assert run(without_shell, "exit 3")[0] is False


def test_another_protocol_is_refused(sshd: SSHServer, ssh_user: User) -> None:
    with pytest.raises(ConnectError, match="neither sftp nor scp"):
        ssh_connector(ssh_data(sshd, ssh_user, ssh_file_transfer_protocol="ftp")).connect()


def test_files_go_through_the_session_where_there_is_a_shell(
    sshd: SSHServer, ssh_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = ssh_connector(ssh_data(sshd, ssh_user, ssh_file_transfer_protocol="scp"))
    connector.connect()
    monkeypatch.setattr(connector, "_copy_alone", None)
    assert connector.put_file(io.BytesIO(b"content"), "through-session")
    assert (ssh_user.home / "through-session").read_bytes() == b"content"
    connector.disconnect()


def rsync_line(monkeypatch: pytest.MonkeyPatch, data: dict[str, Any], **arguments: Any) -> str:
    lines: list[str] = []

    def record(command: str, **_: Any) -> tuple[int, CommandOutput]:
        lines.append(command)
        return 0, CommandOutput([])

    monkeypatch.setattr(ssh, "run_local_process", record)
    assert ssh_connector(data).rsync("src", "dest", ["-ax", "--delete"], **arguments)
    return lines[0]


def test_rsyncs_command_is_the_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    line = rsync_line(monkeypatch, {"ssh_hostname": "h", "ssh_user": "user"}, _sudo=True, _sudo_user="root")
    assert line == (
        'rsync -ax --delete --rsh "ssh -o BatchMode=yes -o \\"StrictHostKeyChecking=accept-new\\"" '
        "--rsync-path 'sudo -u root rsync' src user@h:dest"
    )


def test_no_text_of_the_arguments_is_run_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    user = f"x$(touch {tmp_path}/ran)"
    line = rsync_line(monkeypatch, {"ssh_hostname": "h"}, _sudo=True, _sudo_user=user)
    words = shlex.split(line)
    assert words[words.index("--rsync-path") + 1] == f"sudo -u {shlex.quote(user)} rsync"
    run_local_process(line.replace("rsync -ax", "echo"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"_sudo": True, "_use_sudo_login": True}, "sudo -H -n -i rsync"),
        ({"_sudo": True, "_sudo_user": "a", "_preserve_sudo_env": True}, "sudo -H -n -E -u a rsync"),
        ({"_env": {"A": "b c"}}, "env 'A=b c' rsync"),
        ({"_sudo": True, "_env": {"A": "b"}}, "sudo -H -n env A=b rsync"),
    ],
)
def test_rsync_runs_on_the_host_as_the_arguments_say(
    monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], words: str
) -> None:
    line = shlex.split(rsync_line(monkeypatch, {"ssh_hostname": "h"}, **arguments))
    assert line[line.index("--rsync-path") + 1] == words


@pytest.mark.parametrize(
    ("folder", "dest", "where"),
    [("/srv", "dest", "/srv/dest"), ("~www", "a/", "~www/a/"), ("/srv", "/dest", "/dest"), ("/srv", "~/a", "~/a")],
)
def test_rsync_writes_below_the_folder_that_the_arguments_name(
    monkeypatch: pytest.MonkeyPatch, folder: str, dest: str, where: str
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(ssh, "run_local_process", lambda line, **_: (lines.append(line), (0, CommandOutput([])))[1])
    assert ssh_connector({"ssh_hostname": "::1"}).rsync("src", dest, [], _chdir=folder)
    assert shlex.split(lines[0])[-1] == f"[::1]:{where}"


def test_rsync_logs_in_as_paramiko_is_told_to(monkeypatch: pytest.MonkeyPatch, ssh_home: Path) -> None:
    kwargs = {"port": 2222, "username": "ann", "hostname": "other", "key_filename": ["/a key", "/b"]}
    data = {"ssh_hostname": "h", "ssh_user": "u", "ssh_port": 1, "ssh_key": "/k", "ssh_paramiko_connect_kwargs": kwargs}
    words = shlex.split(rsync_line(monkeypatch, {**data, "ssh_config_file": "~/c", "ssh_known_hosts_file": "/x y"}))
    assert words[-1] == "ann@other:dest"
    assert words[words.index("--rsh") + 1].split(" ", 3)[3] == (
        '-o "StrictHostKeyChecking=accept-new" -o "UserKnownHostsFile=""/x y""" '
        f'-p "2222" -i "/a key" -i "/b" -F "{ssh_home}/c"'
    )
    with pytest.raises(NotImplementedError, match="ssh_paramiko_connect_kwargs: password"):
        ssh_connector({**data, "ssh_paramiko_connect_kwargs": {"password": "x"}}).check_can_rsync()


def test_rsync_copies_a_folder_for_real(sshd: SSHServer, ssh_user: User, tmp_path: Path) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("rsync is not installed")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a file").write_text("content")
    connector = ssh_connector(ssh_data(sshd, ssh_user, ssh_known_hosts_file=str(tmp_path / "known hosts")))
    connector.check_can_rsync()
    assert connector.rsync(f"{tmp_path}/src/", "copied", ["-a"])
    assert (ssh_user.home / "copied" / "a file").read_text() == "content"
    assert sshd.known_hosts_line().split()[2] in (tmp_path / "known hosts").read_text()
    with pytest.raises(OSError, match="No such file"):
        connector.rsync(f"{tmp_path}/absent/", "copied", ["-a"])


@pytest.mark.parametrize("name", ["a:b", "-n", "--help"])
def test_rsync_takes_a_folder_for_no_option_and_no_host(
    sshd: SSHServer, ssh_user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("rsync is not installed")
    (tmp_path / name).mkdir()
    (tmp_path / name / "file").write_text("content")
    monkeypatch.chdir(tmp_path)
    connector = ssh_connector(ssh_data(sshd, ssh_user, ssh_known_hosts_file=str(tmp_path / "known hosts")))
    assert connector.rsync(f"{name}/", f"{ssh_user.home}/copy of {name}", ["-a"])
    assert (ssh_user.home / f"copy of {name}" / "file").read_text() == "content"


def test_rsync_is_refused_where_ssh_would_ask(sshd: SSHServer, ssh_user: User) -> None:
    with pytest.raises(NotImplementedError, match="ssh_password"):
        ssh_connector(ssh_data(sshd, ssh_user, ssh_password="x")).check_can_rsync()


def test_rsync_that_is_not_there_is_told(sshd: SSHServer, ssh_user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh.shutil, "which", lambda name: None)
    with pytest.raises(NotImplementedError, match=r"The `rsync` binary is not available on this system\."):
        ssh_connector(ssh_data(sshd, ssh_user)).check_can_rsync()


def test_rsync_says_that_it_cannot_run_with_su() -> None:
    with pytest.raises(NotImplementedError, match="cannot run with _su_user: use _sudo"):
        ssh_connector({"ssh_hostname": "h"}).rsync("src", "dest", ["-a"], _su_user="www")


def test_rsync_says_that_a_log_in_by_sudo_leaves_its_arguments_no_place() -> None:
    arguments: Any = {"_sudo": True, "_use_sudo_login": True, "_env": {"A": "$HOME"}}
    with pytest.raises(NotImplementedError, match="such an _env with _use_sudo_login"):
        ssh_connector({"ssh_hostname": "h"}).rsync("src", "dest", ["-a"], **arguments)


def test_rsync_runs_with_doas_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    line = rsync_line(monkeypatch, {"ssh_hostname": "h"}, _doas=True, _doas_user="www")
    assert "--rsync-path 'doas -n -u www rsync' src" in line
