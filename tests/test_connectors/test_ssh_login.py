"""Logging in to a real SSH server, with all that can be shown to it."""

from __future__ import annotations

import base64
import os
import pwd
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import paramiko
import pytest

from pyinfra.api.exceptions import ConnectError, InventoryError
from pyinfra.connectors import sshkeys, sshlogin
from pyinfra.connectors.ssh import SSHConnector
from tests.support.sshd import SSHServer, User, free_port, make_key, start_sshd
from tests.support.sshhosts import run, ssh_connector, ssh_data

pytestmark = pytest.mark.usefixtures("ssh_home")


def who_am_i(data: dict[str, Any]) -> str:
    connector = ssh_connector(data)
    connector.connect()
    try:
        return run(connector, "id -un")[1]
    finally:
        connector.disconnect()


def refusal(data: dict[str, Any], **config: Any) -> str:
    connector = ssh_connector(data, **config)
    with pytest.raises(ConnectError) as caught:
        connector.connect()
    assert connector.connection is None
    return str(caught.value)


def start_agent(path: Path) -> subprocess.Popen[bytes]:
    """An agent that takes connections at its socket."""
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    with socket.socket(socket.AF_UNIX) as probe:
        while probe.connect_ex(str(path)):
            assert process.poll() is None
            time.sleep(0.01)
    return process


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An agent that holds no key yet; its socket is in the environment."""
    path = tmp_path / "agent"
    process = start_agent(path)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    yield path
    process.terminate()
    process.wait()


def add_to_agent(key: Path) -> None:
    subprocess.run(["ssh-add", "-q", str(key)], check=True, capture_output=True)


def test_the_name_gives_the_host_and_no_group() -> None:
    assert list(SSHConnector.make_names_data("h")) == [("@ssh/h", {"ssh_hostname": "h"}, [])]
    with pytest.raises(InventoryError, match="@ssh/HOST"):
        list(SSHConnector.make_names_data(None))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_keys_of_all_kinds_log_in(sshd: SSHServer, ssh_user: User, tmp_path: Path, kind: str) -> None:
    key = make_key(tmp_path / kind, kind=kind)
    ssh_user.authorize(key.with_suffix(".pub"))
    assert who_am_i(ssh_data(sshd, ssh_user, ssh_key=str(key))) == ssh_user.name


def test_a_key_in_the_home_folder_is_found(sshd: SSHServer, ssh_user: User, ssh_home: Path) -> None:
    (ssh_home / ".ssh" / "id_ed25519").write_bytes(ssh_user.key.read_bytes())
    assert who_am_i(ssh_data(sshd, ssh_user, ssh_key=None, ssh_look_for_keys=True)) == ssh_user.name


def test_a_password_logs_in(sshd: SSHServer, ssh_user: User) -> None:
    assert who_am_i(ssh_data(sshd, ssh_user, ssh_key=None, ssh_password=ssh_user.password)) == ssh_user.name


def test_a_password_helps_where_the_key_is_refused(sshd: SSHServer, ssh_user: User, tmp_path: Path) -> None:
    key = str(make_key(tmp_path / "stranger"))
    assert who_am_i(ssh_data(sshd, ssh_user, ssh_key=key, ssh_password=ssh_user.password)) == ssh_user.name


def test_key_and_password_where_the_server_wants_both(tmp_path: Path) -> None:
    server = start_sshd(AuthenticationMethods="publickey,password")
    try:
        user = server.add_user()
        assert who_am_i(ssh_data(server, user, ssh_password=user.password)) == user.name
        assert "password" in refusal(ssh_data(server, user))
    finally:
        server.close()


def test_an_agents_key_logs_in(sshd: SSHServer, ssh_user: User, agent: Path) -> None:
    add_to_agent(ssh_user.key)
    assert who_am_i(ssh_data(sshd, ssh_user, ssh_key=None, ssh_allow_agent=True)) == ssh_user.name


def test_an_encrypted_key_that_the_agent_holds_needs_no_passphrase(
    sshd: SSHServer, ssh_user: User, agent: Path, tmp_path: Path
) -> None:
    key = make_key(tmp_path / "key")
    ssh_user.authorize(key.with_suffix(".pub"))
    add_to_agent(key)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", str(key)], check=True, capture_output=True)
    assert who_am_i(ssh_data(sshd, ssh_user, ssh_key=str(key), ssh_allow_agent=True)) == ssh_user.name
    assert "is encrypted" in refusal(ssh_data(sshd, ssh_user, ssh_key=str(key), ssh_allow_agent=False))


def test_a_key_below_the_home_folder_is_found_in_the_agent(
    sshd: SSHServer, ssh_user: User, agent: Path, ssh_home: Path
) -> None:
    key = make_key(ssh_home / ".ssh" / "key")
    ssh_user.authorize(key.with_suffix(".pub"))
    add_to_agent(key)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", str(key)], check=True, capture_output=True)
    assert who_am_i(ssh_data(sshd, ssh_user, ssh_key="~/.ssh/key", ssh_allow_agent=True)) == ssh_user.name


def test_an_agent_that_has_ended_is_asked_again_once_there_is_another(
    sshd: SSHServer, ssh_user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "agent"
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    data = ssh_data(sshd, ssh_user, ssh_key=None, ssh_allow_agent=True)
    for number in range(2):
        process = start_agent(path)
        add_to_agent(ssh_user.key)
        try:
            if number:
                # The one that is known does not answer any more
                assert "the agent does not answer" in refusal(data)
            assert who_am_i(data) == ssh_user.name
        finally:
            process.terminate()
            process.wait()
            path.unlink(missing_ok=True)


class StuckAgent:
    """An agent that tells of its keys, if it has any, and answers nothing else."""

    def __init__(self, path: Path, answer: bytes | None) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.answer = answer
        self.connections: list[socket.socket] = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                self.connections.append(self.listener.accept()[0])
                if self.answer is not None:
                    self.connections[-1].sendall(self.answer)

    def close(self) -> None:
        for each in (self.listener, *self.connections):
            each.close()


@pytest.mark.parametrize("tells", [True, False])
def test_an_agent_that_does_not_answer_keeps_nobody_from_trying_a_key_and_a_password(
    sshd: SSHServer, ssh_user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tells: bool
) -> None:
    # More than one key: the agent is waited for once
    blobs = [base64.b64decode(make_key(tmp_path / n).with_suffix(".pub").read_text().split()[1]) for n in ("a", "b")]
    keys = b"".join(len(b).to_bytes(4, "big") + b + (1).to_bytes(4, "big") + b"k" for b in blobs)
    body = b"\x0c" + len(blobs).to_bytes(4, "big") + keys
    stuck = StuckAgent(tmp_path / "stuck", len(body).to_bytes(4, "big") + body if tells else None)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "stuck"))
    monkeypatch.setattr(sshkeys, "_AGENT_SECONDS", 1)
    data = ssh_data(sshd, ssh_user, ssh_key=None, ssh_allow_agent=True)
    try:
        for _ in range(1 if tells else 3):
            begin = time.monotonic()
            assert who_am_i({**data, "ssh_password": ssh_user.password}) == ssh_user.name
            took = time.monotonic() - begin
        assert took < 2 if tells else took < 1
        if tells:
            assert "key k of the agent: the agent does not answer (timed out)" in refusal(data)
    finally:
        stuck.close()


def test_a_key_that_may_not_be_read_is_told(ssh_user: User, tmp_path: Path) -> None:
    key = make_key(tmp_path / "key")
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents[:2]:
        folder.chmod(folder.stat().st_mode | 0o011)
    key.chmod(0o600)
    os.seteuid(pwd.getpwnam(ssh_user.name).pw_uid)
    try:
        with pytest.raises(ConnectError, match=f"^Cannot read private key file {key}: Permission denied$"):
            sshkeys.load_key(str(key))
    finally:
        os.seteuid(0)


class HangingUp(paramiko.ServerInterface):
    """A server that ends the connection when somebody shows it a password."""

    transport: paramiko.Transport

    def get_allowed_auths(self, username: str) -> str:
        return "password,publickey"

    def check_auth_password(self, username: str, password: str) -> int:
        self.transport.sock.shutdown(socket.SHUT_RDWR)
        return paramiko.common.AUTH_FAILED


@pytest.fixture
def hanging_up(tmp_path: Path) -> Iterator[tuple[int, list[Any]]]:
    """The port of such a server, and the connections that there were."""
    listener = socket.create_server(("127.0.0.1", 0))
    host_key = paramiko.Ed25519Key.from_private_key_file(str(make_key(tmp_path / "host")))
    transports: list[Any] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                transport = paramiko.Transport(listener.accept()[0])
                transport.add_server_key(host_key)
                server = HangingUp()
                server.transport = transport
                transports.append(transport)
                with suppress(Exception):
                    transport.start_server(event=threading.Event(), server=server)

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1], transports
    listener.close()
    for transport in transports:
        transport.close()


def test_a_server_that_hangs_up_has_refused_nothing_and_is_tried_again(
    ssh_user: User, hanging_up: tuple[int, list[Any]]
) -> None:
    port, transports = hanging_up
    data = {"ssh_hostname": "127.0.0.1", "ssh_port": port, "ssh_user": "u", "ssh_password": "secret"}
    data |= {"ssh_allow_agent": False, "ssh_look_for_keys": False}
    words = f"Could not connect (127.0.0.1 port {port}: the server closed the connection during the log-in)"
    assert refusal(data) == words
    before = len(transports)
    assert refusal({**data, "ssh_connect_retries": 2, "ssh_connect_retry_max_delay": 0.1}) == words
    assert len(transports) == before * 4
    # What it has refused is told
    told = refusal({**data, "ssh_key": str(ssh_user.key)})
    assert f"key {ssh_user.key} refused; password: the server closed the connection" in told
    assert "password refused" not in told


@pytest.mark.parametrize("how", ["configuration", "keywords"])
def test_a_connection_can_be_compressed(sshd: SSHServer, ssh_user: User, ssh_home: Path, how: str) -> None:
    data = ssh_data(sshd, ssh_user)
    if how == "configuration":
        (ssh_home / ".ssh" / "config").write_text("Compression yes\n")
    else:
        data["ssh_paramiko_connect_kwargs"] = {"compress": True}
    for credential in ({}, {"ssh_key": None, "ssh_password": ssh_user.password}):
        connector = ssh_connector({**data, **credential})
        connector.connect()
        assert connector.connection is not None
        assert connector.connection.transport is not None
        assert connector.connection.transport.local_compression == "zlib@openssh.com"
        assert run(connector, "id -un")[1] == ssh_user.name
        assert run(connector, "wc -c", _stdin=b"x" * 999_999)[1] == "1000000"
        connector.disconnect()


def test_the_configuration_names_another_agent(
    sshd: SSHServer, ssh_user: User, agent: Path, ssh_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_to_agent(ssh_user.key)
    monkeypatch.delenv("SSH_AUTH_SOCK")
    (ssh_home / ".ssh" / "config").write_text(f"IdentityAgent {agent}\n")
    assert who_am_i(ssh_data(sshd, ssh_user, ssh_key=None, ssh_allow_agent=True)) == ssh_user.name


def test_the_agent_is_forwarded_if_asked(sshd: SSHServer, ssh_user: User, agent: Path) -> None:
    add_to_agent(ssh_user.key)
    for forwards in (True, False):
        connector = ssh_connector(ssh_data(sshd, ssh_user, ssh_forward_agent=forwards))
        connector.connect()
        assert run(connector, "ssh-add -l")[0] == forwards
        connector.disconnect()


def test_an_encrypted_key_logs_in_with_its_password(sshd: SSHServer, ssh_user: User, tmp_path: Path) -> None:
    key = make_key(tmp_path / "key", passphrase="secret")
    ssh_user.authorize(key.with_suffix(".pub"))
    data = ssh_data(sshd, ssh_user, ssh_key=str(key))
    assert who_am_i({**data, "ssh_key_password": "secret"}) == ssh_user.name
    assert refusal(data) == f"Private key file ({key}) is encrypted, set ssh_key_password to use this key"
    assert refusal({**data, "ssh_key_password": "wrong"}) == f"Incorrect password for private key file: {key}"


def test_a_passphrase_is_asked_for_once(
    sshd: SSHServer, ssh_user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyinfra.connectors import sshkeys

    key = make_key(tmp_path / "key", passphrase="secret")
    ssh_user.authorize(key.with_suffix(".pub"))
    prompts: list[str] = []
    monkeypatch.setattr(sshkeys.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: prompts.append(prompt) or "secret")
    for _ in range(2):
        assert who_am_i(ssh_data(sshd, ssh_user, ssh_key=str(key))) == ssh_user.name
    assert len(prompts) == 1
    assert str(key) in prompts[0]


def test_a_certificate_beside_the_key_loads_itself(tmp_path: Path) -> None:
    authority = make_key(tmp_path / "authority")
    server = start_sshd(TrustedUserCAKeys=str(authority.with_suffix(".pub")))
    try:
        user = server.add_user()
        key = make_key(tmp_path / "key")
        assert "Authentication error" in refusal(ssh_data(server, user, ssh_key=str(key)))
        subprocess.run(
            ["ssh-keygen", "-q", "-s", str(authority), "-I", "id", "-n", user.name, str(key.with_suffix(".pub"))],
            check=True,
            capture_output=True,
        )
        os.utime(key)
        assert who_am_i(ssh_data(server, user, ssh_key=str(key))) == user.name
    finally:
        server.close()


def test_files_that_are_no_keys_are_named(sshd: SSHServer, ssh_user: User, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    assert refusal(ssh_data(sshd, ssh_user, ssh_key=str(nothing))) == f"No such private key file: {nothing}"
    nothing.write_text("not a key\n")
    assert refusal(ssh_data(sshd, ssh_user, ssh_key=str(nothing))) == f"Invalid private key file: {nothing}"


def test_a_refused_key_is_named_with_what_the_server_takes(sshd: SSHServer, ssh_user: User, tmp_path: Path) -> None:
    key = make_key(tmp_path / "stranger")
    words = refusal(ssh_data(sshd, ssh_user, ssh_key=str(key)))
    assert words.startswith(f"Authentication error ({ssh_user.name}@127.0.0.1:{sshd.port}: key {key} refused")
    assert "ssh_key" in words


def test_a_wrong_password_is_an_authentication_error_that_does_not_show_it(sshd: SSHServer, ssh_user: User) -> None:
    words = refusal(ssh_data(sshd, ssh_user, ssh_key=None, ssh_password="wr0ng"))
    assert "password refused" in words
    assert "wr0ng" not in words


@pytest.fixture
def sshd_with_questions() -> Iterator[SSHServer]:
    """A server that leaves passwords to PAM, and asks for them by questions as well."""
    if not os.path.exists("/etc/pam.d/sshd"):
        pytest.skip("needs PAM")
    server = start_sshd(UsePAM="yes", KbdInteractiveAuthentication="yes")
    yield server
    server.close()


@pytest.mark.parametrize("first", ["password", "keyboard-interactive"])
def test_a_wrong_password_is_sent_once(sshd_with_questions: SSHServer, ssh_home: Path, first: str) -> None:
    server, user = sshd_with_questions, sshd_with_questions.add_user()
    (ssh_home / ".ssh" / "config").write_text(f"PreferredAuthentications {first},password,keyboard-interactive\n")
    words = refusal(ssh_data(server, user, ssh_key=None, ssh_password="wr0ng"))
    assert "password refused" in words
    assert "password, password" not in words
    by_questions = server.log.count(f"PAM: Authentication failure for {user.name}")
    by_itself = server.log.count(f"Failed password for {user.name}")
    assert (by_itself, by_questions) == ((1, 0) if first == "password" else (0, 1))


def test_a_server_that_asks_for_passwords_by_questions_gets_an_answer(
    sshd_with_questions: SSHServer, ssh_home: Path
) -> None:
    user = sshd_with_questions.add_user()
    (ssh_home / ".ssh" / "config").write_text("PasswordAuthentication no\n")
    data = ssh_data(sshd_with_questions, user, ssh_key=None, ssh_password=user.password)
    assert who_am_i(data) == user.name
    assert f"Accepted keyboard-interactive/pam for {user.name}" in sshd_with_questions.log


def test_the_configuration_chooses_ways_to_log_in(sshd: SSHServer, ssh_user: User, ssh_home: Path) -> None:
    config = ssh_home / ".ssh" / "config"
    config.write_text("PreferredAuthentications password\n")
    words = refusal(ssh_data(sshd, ssh_user))
    assert "no key and no password to try, without publickey, keyboard-interactive" in words
    assert who_am_i(ssh_data(sshd, ssh_user, ssh_password=ssh_user.password)) == ssh_user.name
    assert re.findall(rf"Accepted (\S+) for {ssh_user.name} ", sshd.log)[-1] == "password"
    config.write_text("PasswordAuthentication no\nKbdInteractiveAuthentication no\n")
    assert "no key and no password" in refusal(ssh_data(sshd, ssh_user, ssh_key=None, ssh_password=ssh_user.password))


def test_what_a_server_wants_later_is_shown_again(ssh_home: Path) -> None:
    server = start_sshd(AuthenticationMethods="publickey,password")
    (ssh_home / ".ssh" / "config").write_text("PreferredAuthentications password,publickey\n")
    try:
        user = server.add_user()
        assert who_am_i(ssh_data(server, user, ssh_password=user.password)) == user.name
    finally:
        server.close()


def test_the_configuration_chooses_algorithms(sshd: SSHServer, ssh_user: User, ssh_home: Path, tmp_path: Path) -> None:
    config = ssh_home / ".ssh" / "config"
    config.write_text("Ciphers aes256-ctr,unheard-of\nMACs -*-etm@openssh.com,hmac-sha2-512\n")
    connector = ssh_connector(ssh_data(sshd, ssh_user))
    connector.connect()
    assert connector.connection is not None
    transport = connector.connection.transport
    assert transport is not None
    assert (transport.local_cipher, transport.local_mac) == ("aes256-ctr", "hmac-sha2-256")
    connector.disconnect()
    for setting in ("Ciphers", "MACs", "KexAlgorithms", "HostKeyAlgorithms"):
        config.write_text(f"{setting} unheard-of\n")
        words = refusal(ssh_data(sshd, ssh_user))
        assert "unheard-of" in words
        assert "@openssh/127.0.0.1" in words


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("PubkeyAcceptedAlgorithms ssh-ed25519", "PubkeyAcceptedAlgorithms leaves ssh-rsa out"),
        ("RequiredRSASize 3072", "its 2048 bits are fewer than RequiredRSASize"),
    ],
)
def test_the_configuration_leaves_keys_out(
    sshd: SSHServer, ssh_user: User, ssh_home: Path, tmp_path: Path, text: str, why: str
) -> None:
    key = make_key(tmp_path / "key", kind="rsa", bits=2048)
    ssh_user.authorize(key.with_suffix(".pub"))
    assert who_am_i(ssh_data(sshd, ssh_user, ssh_key=str(key))) == ssh_user.name
    (ssh_home / ".ssh" / "config").write_text(f"{text}\n")
    assert f"key {key}: {why}" in refusal(ssh_data(sshd, ssh_user, ssh_key=str(key)))
    assert who_am_i(ssh_data(sshd, ssh_user)) == ssh_user.name


def test_nothing_to_show_says_so(sshd: SSHServer, ssh_user: User) -> None:
    words = refusal(ssh_data(sshd, ssh_user, ssh_key=None))
    assert "no key and no password to try" in words
    assert "password, publickey" in words


def test_a_closed_port_is_told_with_its_address_and_the_systems_words(sshd: SSHServer, ssh_user: User) -> None:
    port = free_port()
    words = refusal(ssh_data(sshd, ssh_user, ssh_port=port))
    assert words == f"Could not connect (127.0.0.1 port {port}: Connection refused)"


def test_an_unknown_name_is_told(sshd: SSHServer, ssh_user: User) -> None:
    words = refusal(ssh_data(sshd, ssh_user, ssh_hostname="no-such.invalid"))
    assert words.startswith(f"Could not connect (no-such.invalid port {sshd.port}: ")
    assert "Errno" not in words


@pytest.mark.parametrize("name", ["a..b", "x" * 64, ".a"])
def test_a_name_that_no_host_can_have_is_told_and_nothing_else(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    words = refusal({"ssh_hostname": name, "ssh_connect_retries": 100})
    assert words.startswith(f"Could not connect ('{name}' can be no host's name: label ")
    assert capfd.readouterr() == ("", "")


def test_something_else_than_an_ssh_server_is_told(sshd: SSHServer, ssh_user: User) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        data = ssh_data(sshd, ssh_user, ssh_port=listener.getsockname()[1])
        data["ssh_paramiko_connect_kwargs"] = {"banner_timeout": 1}
        assert "banner" in refusal(data)


def test_a_server_that_comes_late_is_reached_by_retries(
    sshd: SSHServer, ssh_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ssh_data(sshd, ssh_user, ssh_port=free_port(), ssh_connect_retries=2)
    delays: list[float] = []

    def sleep(seconds: float) -> None:
        delays.append(seconds)

    monkeypatch.setattr(sshlogin.gevent, "sleep", sleep)
    assert "Connection refused" in refusal(data)
    assert len(delays) == 2
    assert all(0.1 <= delay <= 0.5 for delay in delays)


def test_a_refused_key_is_not_tried_again(
    sshd: SSHServer, ssh_user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(seconds: float) -> None:
        raise AssertionError("tried again")

    monkeypatch.setattr(sshlogin.gevent, "sleep", sleep)
    key = str(make_key(tmp_path / "stranger"))
    assert "refused" in refusal(ssh_data(sshd, ssh_user, ssh_key=key, ssh_connect_retries=5))


def test_a_user_without_a_shell_is_told_what_to_do(sshd: SSHServer) -> None:
    user = sshd.add_user(shell="/usr/sbin/nologin")
    words = refusal(ssh_data(sshd, user))
    assert "This account is currently not available" in words
    assert "shell_session" in words


def test_the_configuration_says_where_and_who(sshd: SSHServer, ssh_user: User, ssh_home: Path) -> None:
    (ssh_home / ".ssh" / "config").write_text(
        f"Host nick\n HostName 127.0.0.1\n Port {sshd.port}\n User {ssh_user.name}\n IdentityFile {ssh_user.key}\n"
    )
    assert who_am_i({"ssh_hostname": "nick", "ssh_allow_agent": False}) == ssh_user.name


def test_another_configuration_file_must_be_there(sshd: SSHServer, ssh_user: User, tmp_path: Path) -> None:
    path = str(tmp_path / "other")
    assert f"No such SSH configuration file: {path}" in refusal(ssh_data(sshd, ssh_user, ssh_config_file=path))
    Path(path).write_text(f"User {ssh_user.name}\n")
    assert who_am_i(ssh_data(sshd, ssh_user, ssh_user=None, ssh_config_file=path)) == ssh_user.name


def test_paramikos_arguments_win(sshd: SSHServer, ssh_user: User) -> None:
    kwargs = {"username": ssh_user.name, "port": sshd.port, "key_filename": str(ssh_user.key), "timeout": 5}
    data = ssh_data(sshd, ssh_user, ssh_user="nobody", ssh_port=1, ssh_key=None, ssh_paramiko_connect_kwargs=kwargs)
    assert who_am_i(data) == ssh_user.name


@pytest.mark.parametrize(
    ("key", "words"), [("gss_auth", "@openssh/"), ("colour", "unknown or unsupported key 'colour'")]
)
def test_arguments_that_cannot_be_honoured_are_refused(sshd: SSHServer, ssh_user: User, key: str, words: str) -> None:
    assert words in refusal(ssh_data(sshd, ssh_user, ssh_paramiko_connect_kwargs={key: True}))


def test_a_host_connects_again_after_it_was_disconnected(sshd: SSHServer, ssh_user: User) -> None:
    connector = ssh_connector(ssh_data(sshd, ssh_user))
    for _ in range(2):
        connector.connect()
        assert run(connector, "echo hi") == (True, "hi", "")
        connector.disconnect()
