"""``@openssh``: what ssh is given, what it says and asks, one log-in per run, and the contract."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import gevent
import pytest

from pyinfra.api.exceptions import ConnectError, ConnectorDataTypeError, InventoryError
from pyinfra.connectors import openssh, opensshlogin
from pyinfra.connectors.openssh import OpenSSHConnector
from pyinfra.testing.contract import ConnectorContract
from pyinfra.testing.target import listening

from ..support.commandline import Folder
from ..support.delayproxy import DelayProxy
from ..support.hosts import connected_host, made_connector, why_not
from ..support.page import stand_in
from ..support.sshd import SSHServer, User, can_run_sshd, make_key, start_sshd
from .test_session_shells import run


def login(server: SSHServer, user: User, **changes: Any) -> dict[str, Any]:
    """Data that lead to a test server with a user's key and nothing of the machine's own settings."""
    return {
        "ssh_hostname": server.addresses[0],
        "ssh_port": server.port,
        "ssh_user": user.name,
        "ssh_key": str(user.key),
        "ssh_allow_agent": False,
        "ssh_known_hosts_file": str(server.folder / "known_hosts"),
        "openssh_config_file": "/dev/null",
        **changes,
    }


def count_logins(server: SSHServer, user: User) -> int:
    return len(re.findall(rf"Accepted \S+ for {user.name} ", server.log))


# What ssh is given


def test_a_host_is_needed() -> None:
    assert list(OpenSSHConnector.make_names_data("web")) == [
        ("@openssh/web", {"ssh_hostname": "web"}, ["@openssh"]),
    ]
    with pytest.raises(InventoryError, match="@openssh needs a host"):
        list(OpenSSHConnector.make_names_data(None))


def settings(tmp_path: Path, config: str = "", **data: Any) -> dict[str, str]:
    """What ssh makes of the data and a configuration file."""
    connector = made_connector("@openssh/web", openssh_config_file=str(tmp_path / "given"), **data)
    (tmp_path / "given").write_text(config)
    path = connector._write_config(tmp_path)
    argv = ["ssh", "-G", *connector._options(), "-F", str(path), "--", connector.data["ssh_hostname"]]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in reversed(done.stdout.splitlines()))


def test_data_become_options(tmp_path: Path) -> None:
    seen = settings(
        tmp_path,
        ssh_hostname="web.example",
        ssh_port=2222,
        ssh_user="ann",
        ssh_key="/keys/it's a key",
        ssh_known_hosts_file="/known hosts",
        ssh_strict_host_key_checking="yes",
        ssh_connect_retries=4,
        ssh_allow_agent=False,
        ssh_forward_agent=True,
    )
    assert seen["hostname"] == "web.example"
    assert (seen["port"], seen["user"], seen["identityfile"]) == ("2222", "ann", "/keys/it's a key")
    assert (seen["userknownhostsfile"], seen["stricthostkeychecking"]) == ("/known hosts", "true")
    assert (seen["connectionattempts"], seen["identityagent"], seen["forwardagent"]) == ("5", "none", "yes")


def test_options_win_over_data_and_data_over_the_configuration_and_that_over_our_defaults(tmp_path: Path) -> None:
    config = "User ann\nPort 2200\nServerAliveInterval 77\nStrictHostKeyChecking ask\n"
    seen = settings(tmp_path, config)
    assert (seen["user"], seen["port"], seen["serveraliveinterval"]) == ("ann", "2200", "77")
    assert (seen["stricthostkeychecking"], seen["connecttimeout"]) == ("ask", "10")
    assert settings(tmp_path, config, ssh_user="bob")["user"] == "bob"
    assert settings(tmp_path, config, ssh_user="bob", openssh_options=["User=eve"])["user"] == "eve"
    defaults = settings(tmp_path)
    assert (defaults["serveraliveinterval"], defaults["stricthostkeychecking"]) == ("15", "accept-new")


def test_without_a_file_the_users_and_the_systems_count(tmp_path: Path) -> None:
    connector = made_connector("@openssh/web")
    lines = connector._write_config(tmp_path).read_text().splitlines()
    assert lines[:2] == ['Include "~/.ssh/config"', 'Include "/etc/ssh/ssh_config"']


def test_words_of_the_command_line_are_no_options() -> None:
    message = why_not("@openssh/web", openssh_options=["-J", "bastion"])
    assert "such as 'ProxyJump=bastion' in place of '-J bastion'; '-J' is none" in message
    with pytest.raises(ConnectorDataTypeError, match="`openssh_options` = 'ProxyJump=x', expected list"):
        made_connector("@openssh/web", openssh_options="ProxyJump=x")


def test_a_host_that_looks_like_an_option_is_none(tmp_path: Path) -> None:
    message = why_not(f"@openssh/-oProxyCommand=touch {tmp_path}/made")
    assert "hostname contains invalid characters" in message
    assert os.listdir(tmp_path) == []


# What is wrong


def test_a_machine_without_ssh_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "install OpenSSH's client, or use @ssh instead" in why_not("@openssh/web")


def test_a_configuration_that_is_wrong_or_missing_is_told(tmp_path: Path) -> None:
    assert f"Cannot read {tmp_path}/none (openssh_config_file): No such file" in why_not(
        "@openssh/web", openssh_config_file=f"{tmp_path}/none"
    )
    (tmp_path / "config").write_text("Nonsense yes\n")
    message = why_not("@openssh/web", openssh_config_file=f"{tmp_path}/config")
    assert "Bad configuration option: nonsense" in message
    assert message.endswith("mend the configuration of ssh")


def test_a_program_of_the_configuration_that_does_not_end_is_told(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(f'Match exec "echo $$ > {tmp_path}/pid; exec sleep 60"\n')
    with gevent.Timeout(20):
        message = why_not("@openssh/web", {"CONNECT_TIMEOUT": 1}, openssh_config_file=f"{tmp_path}/config")
    assert "within 1 seconds (CONNECT_TIMEOUT): see what `Match exec` runs there, with `ssh -vG web`" in message
    pid = (tmp_path / "pid").read_text().strip()
    with gevent.Timeout(20):
        while subprocess.run(["ps", "-p", pid], capture_output=True, check=False).returncode == 0:
            gevent.sleep(0.05)


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("ssh: Could not resolve hostname web: Name or service not known", "set the host data ssh_hostname"),
        ("ssh: connect to host web port 22: Connection refused", "see that an SSH server runs there"),
        ("ann@web: Permission denied (publickey).", "see the host data ssh_user, ssh_key and ssh_password"),
        ("Host key verification failed.", "log in once with `ssh web`"),
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
            "forget the old key: `ssh-keygen -R web`",
        ),
        ("kex_exchange_identification: read: Connection reset by peer", "`ssh -v web` may tell more"),
    ],
)
def test_what_ssh_says_comes_with_advice(
    said: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "ssh"
    fake.write_text(f'#!/bin/sh\n[ "$1" = -G ] && exit 0\ncat >&2 <<"E"\n{said}\nE\nexit 255\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    message = why_not("@openssh/web")
    assert message.startswith(said)
    assert advice in message


def test_what_a_security_key_waits_for_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "ssh"
    fake.write_text(
        '#!/bin/sh\n[ "$1" = -G ] && exit 0\n'
        'SSH_ASKPASS_PROMPT=none "$SSH_ASKPASS" "Confirm user presence for key" &\n'
        "sleep 1; kill $!; echo the end >&2; exit 255\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with listening() as messages:
        assert why_not("@openssh/web").startswith("the end")
    assert messages == ["[@openssh/web] Confirm user presence for key"]


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("ann@web's password: ", "log-in"),
        ("Password: ", "log-in"),
        ("(ann@web) Password: ", "log-in"),
        ("(ann@web) Password:", "log-in"),
        ("(ann@web) Password for ann@web:", "log-in"),
        ("(ann@web) Mot de passe : ", "log-in"),
        ("(ann@web) 密码\uff1a", "log-in"),
        ("Enter passphrase for key '/home/ann/.ssh/id_ed25519': ", "key's"),
        ("Enter PIN for ED25519-SK key /home/ann/.ssh/id_ed25519_sk: ", None),
        ("Enter PIN for 'token': ", None),
        ("(ann@web) Verification code: ", None),
        ("(ann@web) Password & verification code: ", None),
        ("(ann@web) One-time password (OATH) for `ann': ", None),
        ("(ann@web) Second Factor (optional): ", None),
        ("(ann@web) Passphrase: ", None),
        ("(ann@web) New password: ", None),
        ("(ann@web) Current password: ", None),
        ("Enter ann@web's old password: ", None),
        ("Retype ann@web's new password: ", None),
        ("Allow use of key web?\nThis may be a password: ", None),
        ("Are you sure you want to continue connecting (yes/no/[fingerprint])? ", None),
    ],
)
def test_passwords_are_given_to_who_asks_for_them_and_for_nothing_else(
    prompt: str, answer: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "ssh"
    question = shlex.quote(prompt)
    fake.write_text(
        f'#!/bin/sh\n[ "$1" = -G ] && exit 0\na=$("$SSH_ASKPASS" {question}) || a=none\necho "[$a]" >&2; exit 255\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert f"[{answer or 'none'}]" in why_not("@openssh/web", ssh_password="log-in", ssh_key_password="key's")


def test_the_socket_is_in_a_private_folder_with_a_short_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    folder = opensshlogin.make_folder()
    try:
        assert len(str(folder / "s")) + 17 < 104
        assert folder.stat().st_mode & 0o777 == 0o700
    finally:
        folder.rmdir()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConnectError, match="TMPDIR names another one"):
        opensshlogin.make_folder()


# A real server


@pytest.fixture(scope="module")
def server() -> Iterator[SSHServer]:
    if not can_run_sshd():
        pytest.skip("needs root and OpenSSH's server")
    server = start_sshd(("127.0.0.1", "127.0.0.2"), AllowTcpForwarding="yes", AcceptEnv="LC_TEST OPENSSH_*")
    yield server
    server.close()


@pytest.fixture
def user(server: SSHServer) -> User:
    return server.add_user()


def folders() -> set[str]:
    """The private folders that there are in the folder for temporary files."""
    return {name for name in os.listdir(tempfile.gettempdir()) if re.fullmatch(r"pyinfra-\w{8}", name)}


def test_all_of_a_run_is_one_log_in_and_leaves_nothing(server: SSHServer, user: User, tmp_path: Path) -> None:
    with connected_host("@openssh/web", **login(server, user)) as host:
        folder = host.connector._folder
        for number in range(5):
            assert run(host, "echo", _env={"N": number})[0]
        facts = host.connector.run_fact_commands([("id -un", {}), ("pwd", {})])
        assert [output.stdout for _, output in facts] == [user.name, str(user.home)]
        host.connector.put_file(io.BytesIO(b"x" * 3_000_000), f"{user.home}/file")
        assert (user.home / "file").stat().st_size == 3_000_000
        assert run(host, "test -t 0 && echo terminal", _get_pty=True)[1].stdout == "terminal"
        if shutil.which("rsync"):
            (tmp_path / "a file").write_text("content")
            assert host.connector.rsync(f"{tmp_path}/", f"{user.home}/copy of it", ["-a"])
            assert (user.home / "copy of it" / "a file").read_text() == "content"
            with pytest.raises(OSError, match="No such file or directory"):
                host.connector.rsync(f"{tmp_path}/missing/", f"{user.home}/copy", ["-a"])
        assert count_logins(server, user) == 1
        host.reconnect()
        assert count_logins(server, user) == 2, "who begins anew wants the new groups of the user"
    assert not folder.exists()


def test_the_command_lines_options_for_ssh_count(server: SSHServer, user: User, tmp_path: Path) -> None:
    options = [f"UserKnownHostsFile={tmp_path}/known", "IdentityAgent=none"]
    data = ["--data", f"openssh_options={json.dumps(options)}", "--data", "openssh_config_file=/dev/null"]
    login = ["--ssh-user", user.name, "--ssh-port", str(server.port), "--ssh-key", str(user.key)]
    ended = Folder(tmp_path).run("@openssh/127.0.0.1", *login, *data, "exec", "--", "id", "-un")
    assert (ended.exit_code, user.name in ended.err) == (0, True), ended.err
    assert count_logins(server, user) == 1


def test_a_password_is_told_to_ssh_and_to_nobody_else(server: SSHServer, user: User, tmp_path: Path) -> None:
    # A proxy of the configuration's, which runs while ssh asks, looks at all processes
    seen = tmp_path / "seen"
    spy = tmp_path / "spy"
    spy.write_text(
        f"#!{sys.executable}\n"
        "import glob, os, socket, threading\n"
        f"s = socket.create_connection(('127.0.0.1', {server.port}))\n"
        "def look():\n"
        "    while True:\n"
        "        for path in glob.glob('/proc/[0-9]*/cmdline') + glob.glob('/proc/[0-9]*/environ'):\n"
        "            try:\n"
        f"                if {user.password!r} in open(path, errors='replace').read():\n"
        f"                    open({str(seen)!r}, 'a').write(path)\n"
        "            except OSError: pass\n"
        "threading.Thread(target=look, daemon=True).start()\n"
        "def up():\n"
        "    while data := os.read(0, 65536): s.sendall(data)\n"
        "threading.Thread(target=up, daemon=True).start()\n"
        "while data := s.recv(65536): os.write(1, data)\n"
    )
    spy.chmod(0o755)
    data = login(server, user, ssh_key=None, ssh_password=user.password)
    data["openssh_options"] = [f"ProxyCommand={spy}", "IdentityFile=none"]
    with connected_host("@openssh/web", **data) as host:
        assert run(host, "id -un")[1].stdout == user.name
    assert count_logins(server, user) == 1
    assert not seen.exists()


def test_a_wrong_password_is_tried_once(server: SSHServer, user: User) -> None:
    message = why_not("@openssh/web", **login(server, user, ssh_key="/dev/null", ssh_password="wrong"))
    assert f"{user.name}@127.0.0.1: Permission denied" in message
    assert "see the host data ssh_user, ssh_key and ssh_password" in message
    assert "wrong" not in message
    assert server.log.count(f"Failed password for {user.name}") == 1


def test_without_an_answer_nobody_is_asked_who_is_not_there(
    server: SSHServer, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert "Permission denied" in why_not("@openssh/web", **login(server, user, ssh_key="/dev/null"))
    unknown = login(server, user, ssh_strict_host_key_checking="ask", ssh_known_hosts_file="/dev/null")
    assert "Host key verification failed" in why_not("@openssh/web", **unknown)


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Somebody at the terminal who gives one answer to all questions; returns what was asked."""

    def sit_down(answer: str) -> list[str]:
        asked: list[str] = []
        terminal = io.StringIO()
        monkeypatch.setattr(terminal, "isatty", lambda: True)
        monkeypatch.setattr(terminal, "readline", lambda: f"{answer}\n")
        monkeypatch.setattr(sys, "stdin", terminal)

        def ask(prompt: str) -> str:
            asked.append(prompt)
            return answer

        monkeypatch.setattr("getpass.getpass", ask)
        return asked

    return sit_down


def test_people_at_the_terminal_are_asked_for_what_the_data_lack(
    server: SSHServer, user: User, person: Callable[[str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = person(user.password)
    with connected_host("@openssh/web", **login(server, user, ssh_key="/dev/null")):
        assert asked == [f"[@openssh/web] {user.name}@127.0.0.1's password: "]
    person("yes")
    capsys.readouterr()
    unknown = login(server, user, ssh_strict_host_key_checking="ask", ssh_known_hosts_file="/dev/null")
    with connected_host("@openssh/web", **unknown):
        out, err = capsys.readouterr()
        assert (out, err.count("Are you sure you want to continue connecting (yes/no")) == ("", 1)


def other_ssh(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put another program in the place of ssh, which leaves to that what it does not do itself."""
    stand_in(folder / "bin", "ssh", f'{script}\nPATH="${{PATH#*:}}"; exec ssh "$@"')
    if not os.environ["PATH"].startswith(f"{folder}/"):
        monkeypatch.setenv("PATH", str(folder / "bin"), prepend=":")


def test_an_ssh_that_knows_no_forking_after_the_log_in_is_not_told_about_it(
    server: SSHServer, user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = "command-line: line 0: Bad configuration option: forkafterauthentication"
    other_ssh(tmp_path, monkeypatch, f'case "$*" in *ForkAfter*) echo "{bad}" >&2; exit 255;; esac')
    with connected_host("@openssh/web", **login(server, user)) as host:
        assert run(host, "id -un")[1].stdout == user.name
    assert "Bad configuration option: other" in why_not(
        "@openssh/web", **login(server, user, openssh_options=["Other=x"])
    )


def test_an_ssh_that_neither_logs_in_nor_asks_is_given_up_in_the_end(
    server: SSHServer, user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openssh, "_ANSWER_SECONDS", 1)
    data = login(server, user, openssh_options=["ConnectTimeout=1"])
    other_ssh(tmp_path, monkeypatch, 'case "$*" in *-G*) ;; *) echo "so far" >&2; exec sleep 60;; esac')
    with gevent.Timeout(20):
        assert "ssh has not logged in within 2 seconds: so far; `ssh -v" in why_not("@openssh/web", **data)
    # Somebody may look for a security key for longer
    wait = 'SSH_ASKPASS_PROMPT=none "$SSH_ASKPASS" "touch it" & p=$!; sleep 4; kill $p; echo "no luck" >&2; exit 255'
    other_ssh(tmp_path, monkeypatch, f'case "$*" in *-G*) ;; *) {wait};; esac')
    assert "no luck" in why_not("@openssh/web", **data)


def test_the_password_of_a_key_is_given(server: SSHServer, user: User) -> None:
    key = make_key(server.folder / f"encrypted-{user.name}", passphrase="it's secret")
    user.authorize(key.with_suffix(".pub"))
    data = login(server, user, ssh_key=str(key), ssh_key_password="it's secret")
    with connected_host("@openssh/web", **data) as host:
        assert run(host, "id -un")[1].stdout == user.name


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """An agent with more keys than a server lets anybody try."""
    keys = [make_key(tmp_path / f"key{number}") for number in range(8)]
    said = subprocess.run(["ssh-agent", "-s"], check=True, capture_output=True, text=True).stdout
    variables = dict(re.findall(r"(SSH_\w+)=([^;]+);", said))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    try:
        subprocess.run(["ssh-add", "-q", *map(str, keys)], check=True)
        yield keys
    finally:
        os.kill(int(variables["SSH_AGENT_PID"]), signal.SIGTERM)


def test_a_key_that_is_named_is_tried_and_none_of_the_others_in_the_agent(
    server: SSHServer, user: User, agent: list[Path]
) -> None:
    with connected_host("@openssh/web", **login(server, user, ssh_allow_agent=True)) as host:
        assert run(host, "id -un")[1].stdout == user.name
    assert "Too many authentication failures" in why_not(
        "@openssh/web", **login(server, user, ssh_allow_agent=True, openssh_options=["IdentitiesOnly=no"])
    )


def test_a_public_key_names_the_one_in_the_agent(server: SSHServer, user: User, agent: list[Path]) -> None:
    public = agent[-1].with_suffix(".pub")
    user.authorize(public)
    agent[-1].unlink()
    with connected_host("@openssh/web", **login(server, user, ssh_allow_agent=True, ssh_key=str(public))) as host:
        assert run(host, "id -un")[1].stdout == user.name


def test_a_jump_host_is_not_told_the_password_of_the_host_behind_it(
    server: SSHServer, user: User, tmp_path: Path, person: Callable[[str], list[str]]
) -> None:
    jump_user = server.add_user()
    asked = person(jump_user.password)
    config = tmp_path / "config"
    config.write_text(
        f"Host bastion\nHostName 127.0.0.2\nPort {server.port}\nUser {jump_user.name}\n"
        f"UserKnownHostsFile {tmp_path}/known\nIdentityFile none\nIdentityAgent none\n"
    )
    data = login(server, user, ssh_key=None, ssh_password=user.password, openssh_config_file=str(config))
    data["openssh_options"] = ["ProxyJump=bastion", "IdentityFile=none"]
    with connected_host("@openssh/web", **data) as host:
        assert run(host, "id -un")[1].stdout == user.name
    assert [prompt.partition("'")[0] for prompt in asked] == [f"[@openssh/web] {jump_user.name}@127.0.0.2"]
    assert (count_logins(server, user), count_logins(server, jump_user)) == (1, 1)


def test_variables_that_the_configuration_sends_arrive(
    server: SSHServer, user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_TEST", "sent")
    config = tmp_path / "config"
    config.write_text('SendEnv LC_TEST\nSetEnv OPENSSH_TEST="it\'s set" OPENSSH_MORE="and 100%"\n')
    with connected_host("@openssh/web", **login(server, user, openssh_config_file=str(config))) as host:
        assert run(host, 'echo "$LC_TEST $OPENSSH_TEST $OPENSSH_MORE"')[1].stdout == "sent it's set and 100%"
        if shutil.which("rsync"):
            assert host.connector.rsync(f"{tmp_path}/", f"{user.home}/copy", ["-a"])


def test_what_a_match_runs_is_not_run_for_every_command(server: SSHServer, user: User, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(f'Match exec "echo run >> {tmp_path}/runs"\nUser {user.name}\n')
    data = login(server, user, openssh_config_file=str(config), ssh_user=None)
    with connected_host("@openssh/web", **data) as host:
        runs = (tmp_path / "runs").read_text()
        assert run(host, "id -un")[1].stdout == user.name
        assert (tmp_path / "runs").read_text() == runs


@pytest.mark.parametrize("how", ["cut", "silent"])
def test_a_connection_that_breaks_is_told_and_nobody_logs_in_again(how: str, server: SSHServer, user: User) -> None:
    proxy = DelayProxy((server.addresses[0], server.port))
    data = login(server, user, ssh_port=proxy.port, openssh_options=["ServerAliveInterval=1", "ServerAliveCountMax=1"])
    try:
        with connected_host("@openssh/web", **data) as host:
            breaking = gevent.spawn_later(0.3, proxy.cut if how == "cut" else lambda: setattr(proxy, "swallows", True))
            with gevent.Timeout(30), pytest.raises(ConnectError, match=r"broke.*Connection to 127.0.0.1 lost: "):
                run(host, "sleep 60")
            breaking.get()
        assert count_logins(server, user) == 1
    finally:
        proxy.close()


CONNECT_AND_DIE = """
import json, os, signal, sys
from tests.support.hosts import connected_host
with connected_host("@openssh/web", **json.loads(sys.argv[1])) as host:
    print(host.connector._folder, flush=True)
    os.kill(os.getpid(), int(sys.argv[2]))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_where_pyinfra_is_killed_no_connection_and_no_files_are_left(
    server: SSHServer, user: User, number: signal.Signals
) -> None:
    argv = [sys.executable, "-c", CONNECT_AND_DIE, json.dumps(login(server, user)), str(int(number))]
    died = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False, cwd=Path(__file__).parents[2])
    folder = Path(died.stdout.strip())
    assert count_logins(server, user) == 1
    try:
        with gevent.Timeout(20):
            while subprocess.run(["pgrep", "-f", f"ssh .*{folder}"], capture_output=True, check=False).returncode == 0:
                gevent.sleep(0.1)
            while folder.exists():
                gevent.sleep(0.1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_shell_that_the_host_lacks_is_told_and_can_be_done_without(server: SSHServer, user: User) -> None:
    subprocess.run(["usermod", "--shell", "/bin/cat", user.name], check=True)
    assert "shell_session = False" in why_not("@openssh/web", **login(server, user))
    with connected_host("@openssh/web", **login(server, user, shell_session=False)) as host:
        assert not run(host, "anything")[0]


def test_sessions_that_the_server_refuses_are_told_apart_from_a_lost_connection() -> None:
    connector = made_connector("@openssh/web")
    said = "mux_client_request_session: session request failed: Session open refused by peer"
    assert "see MaxSessions in its sshd_config" in connector.explain_silence("exit status 255", said)


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(("sessions", "rounds"), [("2", 20), ("1", 3)])
def test_a_server_may_allow_few_sessions(sessions: str, rounds: int) -> None:
    limited = start_sshd(MaxSessions=sessions)
    try:
        other = limited.add_user()
        with connected_host("@openssh/web", **login(limited, other)) as host:
            for number in range(rounds):
                assert host.connector.run_fact_commands([(f"echo {number}", {})])[0][1].stdout == str(number)
                assert run(host, "cat", _stdin=f"{number}")[1].stdout == str(number)
                assert run(host, "test -t 0 && echo terminal", _get_pty=True)[1].stdout == "terminal"
        assert count_logins(limited, other) == 1
    finally:
        limited.close()


@pytest.mark.usefixtures("server")
def test_a_command_that_takes_too_long_is_ended_where_the_server_allows_two_sessions() -> None:
    limited = start_sshd(MaxSessions="2")
    seconds = f"6{os.getpid() % 10000:04}.25"
    try:
        other = limited.add_user()
        with connected_host("@openssh/web", **login(limited, other)) as host:
            host.connector.run_fact_commands([("echo fact", {})])
            with pytest.raises(TimeoutError, match=r"^Command timed out after 1s$"):
                run(host, f"sleep {seconds}", _timeout=1)
            assert run(host, f"pgrep -fx 'sleep {seconds}'", _success_exit_codes=[1])[0]
    finally:
        limited.close()


@pytest.mark.usefixtures("server")
def test_background_processes_do_not_use_up_the_servers_sessions() -> None:
    limited = start_sshd(MaxSessions="10")
    try:
        other = limited.add_user()
        with connected_host("@openssh/web", **login(limited, other)) as host:
            for number in range(14):
                assert run(host, f"sleep 30 & echo {number}")[1].stdout == str(number)
            run(host, "kill $(pgrep -u $(id -u) -x sleep)")
        assert count_logins(limited, other) == 1
    finally:
        limited.close()


@pytest.mark.parametrize("name", ["a:b", "-n", "--help"])
def test_rsync_takes_a_folder_for_no_option_and_no_host(
    server: SSHServer, user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if not shutil.which("rsync"):
        pytest.skip("rsync is not installed")
    (tmp_path / name).mkdir()
    (tmp_path / name / "file").write_text("content")
    monkeypatch.chdir(tmp_path)
    with connected_host("@openssh/web", **login(server, user)) as host:
        assert host.connector.rsync(f"{name}/", f"{user.home}/copy", ["-a"])
    assert (user.home / "copy" / "file").read_text() == "content"


def test_rsync_is_told_flags_as_the_shell_has_them_a_folder_and_an_environment(
    server: SSHServer, user: User, tmp_path: Path
) -> None:
    if not shutil.which("rsync"):
        pytest.skip("rsync is not installed")
    (tmp_path / "src").mkdir()
    for name in ("kept", "a.log"):
        (tmp_path / "src" / name).write_text(name)
    (user.home / "www" / "copy").mkdir(parents=True)
    (user.home / "www" / "copy" / "old").touch()
    subprocess.run(["chown", "-R", user.name, str(user.home / "www")], check=True)
    flags = ["-a --delete", "--exclude='*.log'"]
    with connected_host("@openssh/web", **login(server, user)) as host:
        around = {"_chdir": f"{user.home}/www", "_env": {"A": "it's one"}}
        assert host.connector.rsync(f"{tmp_path}/src/", "copy", flags, **around)
    assert [path.name for path in (user.home / "www" / "copy").iterdir()] == ["kept"]


def test_rsync_is_refused_where_it_cannot_work(monkeypatch: pytest.MonkeyPatch) -> None:
    connector = made_connector("@openssh/web")
    with pytest.raises(NotImplementedError, match="_su_user"):
        connector.rsync("a", "b", [], _su_user="ann")
    monkeypatch.setattr(openssh.shutil, "which", lambda name: None)
    with pytest.raises(NotImplementedError, match="The `rsync` binary is not available on this system"):
        connector.check_can_rsync()


class TestContract(ConnectorContract):
    """As an ordinary user of a real server."""

    inventory = "@openssh/127.0.0.1"
    server: ClassVar[SSHServer]

    @classmethod
    def setup_class(cls) -> None:
        if not can_run_sshd():
            pytest.skip("needs root and OpenSSH's server")
        cls.server = start_sshd()
        try:
            cls.data = login(cls.server, cls.server.add_user())
            super().setup_class()
        except BaseException:
            cls.server.close()
            raise

    @classmethod
    def teardown_class(cls) -> None:
        try:
            super().teardown_class()
        finally:
            cls.server.close()
