"""Whom an SSH connection trusts: unknown, known, changed and revoked host keys."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from pyinfra.api.exceptions import ConnectError
from pyinfra.connectors import sshhostkey
from tests.support.sshd import SSHServer, User, make_key
from tests.support.sshhosts import ssh_connector, ssh_data

pytestmark = pytest.mark.usefixtures("ssh_home")


@pytest.fixture
def known_hosts(ssh_home: Path) -> Path:
    return ssh_home / ".ssh" / "known_hosts"


def connect(server: SSHServer, user: User, **changes: Any) -> None:
    connector = ssh_connector(ssh_data(server, user, **changes))
    connector.connect()
    connector.disconnect()


def refusal(server: SSHServer, user: User, **changes: Any) -> str:
    with pytest.raises(ConnectError) as caught:
        connect(server, user, **changes)
    return str(caught.value)


def other_key(tmp_path: Path) -> str:
    return " ".join(make_key(tmp_path / "other").with_suffix(".pub").read_text().split()[:2])


def test_a_new_key_is_remembered_by_default(sshd: SSHServer, ssh_user: User, known_hosts: Path) -> None:
    connect(sshd, ssh_user)
    connect(sshd, ssh_user)
    assert known_hosts.read_text() == sshd.known_hosts_line()


def test_a_missing_file_is_no_noise(
    sshd: SSHServer, ssh_user: User, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    connect(sshd, ssh_user)
    assert [record for record in caplog.records if record.name == "pyinfra"] == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("mode", ["no", "off"])
def test_no_and_off_take_a_new_key_and_remember_nothing(
    sshd: SSHServer, ssh_user: User, known_hosts: Path, mode: str
) -> None:
    connect(sshd, ssh_user, ssh_strict_host_key_checking=mode)
    assert not known_hosts.exists()


def test_yes_refuses_a_new_key_and_takes_a_known_one(sshd: SSHServer, ssh_user: User, known_hosts: Path) -> None:
    words = refusal(sshd, ssh_user, ssh_strict_host_key_checking="yes")
    assert "no key is known for 127.0.0.1" in words
    assert str(known_hosts) in words
    known_hosts.write_text(sshd.known_hosts_line())
    connect(sshd, ssh_user, ssh_strict_host_key_checking="yes")


def test_a_name_that_is_hashed_is_known(sshd: SSHServer, ssh_user: User, known_hosts: Path) -> None:
    known_hosts.write_text(sshd.known_hosts_line())
    subprocess.run(["ssh-keygen", "-H", "-f", str(known_hosts)], check=True, capture_output=True)
    connect(sshd, ssh_user, ssh_strict_host_key_checking="yes")


def test_the_kind_of_key_that_is_known_is_asked_for(sshd: SSHServer, ssh_user: User, known_hosts: Path) -> None:
    kind, key = (sshd.folder / "host_rsa.pub").read_text().split()[:2]
    known_hosts.write_text(f"[127.0.0.1]:{sshd.port} {kind} {key}\n")
    connect(sshd, ssh_user, ssh_strict_host_key_checking="yes")


@pytest.mark.parametrize("mode", ["yes", "no", "off", "ask", "accept-new"])
def test_a_changed_key_is_always_refused(
    sshd: SSHServer, ssh_user: User, known_hosts: Path, tmp_path: Path, mode: str
) -> None:
    known_hosts.write_text(f"# first\n[127.0.0.1]:{sshd.port} {other_key(tmp_path)}\n")
    before = known_hosts.read_text()
    words = refusal(sshd, ssh_user, ssh_strict_host_key_checking=mode)
    assert "has changed" in words
    assert f"{known_hosts} line 2" in words
    assert f"ssh-keygen -f {known_hosts} -R '[127.0.0.1]:{sshd.port}'" in words
    assert known_hosts.read_text() == before


def test_a_key_of_port_22_means_another_port_only_if_it_fits(
    sshd: SSHServer, ssh_user: User, known_hosts: Path, tmp_path: Path
) -> None:
    kind, key = sshd.host_key.with_suffix(".pub").read_text().split()[:2]
    known_hosts.write_text(f"127.0.0.1 {kind} {key}\n")
    connect(sshd, ssh_user, ssh_strict_host_key_checking="yes")
    assert known_hosts.read_text() == f"127.0.0.1 {kind} {key}\n"
    others = f"127.0.0.1 {other_key(tmp_path)}\n"
    known_hosts.write_text(others)
    assert "no key is known" in refusal(sshd, ssh_user, ssh_strict_host_key_checking="yes")
    connect(sshd, ssh_user)
    assert known_hosts.read_text() == f"{others}{sshd.known_hosts_line()}"
    known_hosts.write_text(f"@revoked 127.0.0.1 {kind} {key}\n")
    assert "is revoked" in refusal(sshd, ssh_user, ssh_strict_host_key_checking="no")


def test_a_revoked_key_is_refused_whatever_the_mode(sshd: SSHServer, ssh_user: User, known_hosts: Path) -> None:
    known_hosts.write_text(f"@revoked {sshd.known_hosts_line()}{sshd.known_hosts_line()}")
    assert f"is revoked in {known_hosts} line 1" in refusal(sshd, ssh_user, ssh_strict_host_key_checking="no")


@pytest.fixture
def revoked(ssh_home: Path) -> Path:
    """A file that the configuration names for revoked keys."""
    path = ssh_home / "revoked keys"
    (ssh_home / ".ssh" / "config").write_text('RevokedHostKeys "~/revoked keys"\n')
    return path


@pytest.mark.parametrize("mode", ["yes", "no", "accept-new"])
def test_a_key_that_the_configuration_says_is_revoked_is_refused(
    sshd: SSHServer, ssh_user: User, known_hosts: Path, revoked: Path, tmp_path: Path, mode: str
) -> None:
    known_hosts.write_text(sshd.known_hosts_line())
    revoked.write_text(f"# compromised\n\n{other_key(tmp_path)} a comment\n")
    connect(sshd, ssh_user, ssh_strict_host_key_checking=mode)
    revoked.write_text(f"{other_key(tmp_path / 'home')}\n{sshd.host_key.with_suffix('.pub').read_text()}")
    words = refusal(sshd, ssh_user, ssh_strict_host_key_checking=mode)
    assert f"is revoked in {revoked}" in words


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot read"),
        (b"no key\n", "line 1 holds no public key"),
        (b"\nssh-ed25519 AAAA\n", "line 2 holds no public key"),
        (b"list", "is a key revocation list, which cannot be read here"),
    ],
)
def test_no_server_is_trusted_where_revoked_keys_cannot_be_read(
    sshd: SSHServer, ssh_user: User, revoked: Path, tmp_path: Path, content: bytes | None, words: str
) -> None:
    if content == b"list":
        public = make_key(tmp_path / "other").with_suffix(".pub")
        subprocess.run(["ssh-keygen", "-k", "-q", "-f", str(revoked), str(public)], check=True, capture_output=True)
    elif content is not None:
        revoked.write_bytes(content)
    told = refusal(sshd, ssh_user)
    assert words in told
    assert str(revoked) in told
    assert "@openssh/127.0.0.1" in told


def test_no_file_of_revoked_keys_is_none(sshd: SSHServer, ssh_user: User, ssh_home: Path) -> None:
    (ssh_home / ".ssh" / "config").write_text("RevokedHostKeys none\n")
    connect(sshd, ssh_user)


def test_a_host_key_with_too_few_bits_is_refused(sshd: SSHServer, ssh_user: User, ssh_home: Path) -> None:
    config = ssh_home / ".ssh" / "config"
    config.write_text("RequiredRSASize 2048\nHostKeyAlgorithms rsa-sha2-512\n")
    connect(sshd, ssh_user)
    config.write_text("RequiredRSASize 3072\nHostKeyAlgorithms rsa-sha2-512\n")
    assert "has 2048 bits, fewer than RequiredRSASize (3072)" in refusal(sshd, ssh_user)
    config.write_text("RequiredRSASize 3072\n")
    (ssh_home / ".ssh" / "known_hosts").unlink()
    connect(sshd, ssh_user)


def test_a_certificate_authority_names_openssh(
    sshd: SSHServer, ssh_user: User, known_hosts: Path, tmp_path: Path
) -> None:
    known_hosts.write_text(f"@cert-authority * {other_key(tmp_path)}\n")
    assert "@openssh/127.0.0.1" in refusal(sshd, ssh_user)


def test_ask_asks_once_and_remembers_a_yes(
    sshd: SSHServer, ssh_user: User, known_hosts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sshhostkey._answers.clear()

    class Terminal:
        def __init__(self, *answers: str) -> None:
            self.answers = list(answers)

        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return self.answers.pop(0)

    monkeypatch.setattr(sshhostkey.sys, "stdin", Terminal("yes\n"))
    for _ in range(2):
        connect(sshd, ssh_user, ssh_strict_host_key_checking="ask")
    assert known_hosts.read_text() == sshd.known_hosts_line()
    sshhostkey._answers.clear()
    known_hosts.unlink()
    monkeypatch.setattr(sshhostkey.sys, "stdin", Terminal("\n"))
    assert "was not accepted" in refusal(sshd, ssh_user, ssh_strict_host_key_checking="ask")


def test_ask_without_anybody_says_so(sshd: SSHServer, ssh_user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    sshhostkey._answers.clear()
    monkeypatch.setattr(sshhostkey.sys.stdin, "isatty", lambda: False, raising=False)
    assert "nobody is there to ask" in refusal(sshd, ssh_user, ssh_strict_host_key_checking="ask")


def test_a_file_that_cannot_be_written_is_named(sshd: SSHServer, ssh_user: User, tmp_path: Path) -> None:
    words = refusal(sshd, ssh_user, ssh_known_hosts_file=str(tmp_path))
    assert f"cannot add the key of 127.0.0.1 to {tmp_path}" in words


def test_an_unknown_mode_is_named(sshd: SSHServer, ssh_user: User) -> None:
    assert "'perhaps' is none of ask, yes" in refusal(sshd, ssh_user, ssh_strict_host_key_checking="perhaps")


def test_the_configurations_files_and_mode_count(
    sshd: SSHServer, ssh_user: User, ssh_home: Path, tmp_path: Path
) -> None:
    (ssh_home / ".ssh" / "config").write_text(
        f"UserKnownHostsFile {tmp_path}/one {tmp_path}/two\nStrictHostKeyChecking yes\n"
    )
    assert "no key is known" in refusal(sshd, ssh_user)
    connect(sshd, ssh_user, ssh_strict_host_key_checking="accept-new")
    assert (tmp_path / "one").read_text() == sshd.known_hosts_line()
    (tmp_path / "one").unlink()
    (tmp_path / "two").write_text(sshd.known_hosts_line())
    connect(sshd, ssh_user)
