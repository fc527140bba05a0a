"""known_hosts files."""

from __future__ import annotations

import base64
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pyinfra.connectors.knownhosts import KnownHosts, fingerprint, lookup_name
from tests.support.sshd import make_key


def blob(text: str) -> bytes:
    return text.encode()


def line(names: str, text: str, marker: str = "") -> str:
    return f"{marker}{' ' if marker else ''}{names} ssh-ed25519 {base64.b64encode(blob(text)).decode()} comment\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


def known(path: Path, host: str, port: int = 22) -> list[bytes]:
    return [key.blob for key in KnownHosts([str(path)], []).find(host, port)]


def test_names_are_found_with_port_and_case_apart(path: Path) -> None:
    path.write_text(line("a,10.0.0.1", "one") + line("[a]:2222", "two") + "# nothing\n\nbroken line\nx y !!!\n")
    assert known(path, "A") == [b"one"]
    assert known(path, "10.0.0.1") == [b"one"]
    assert known(path, "a", 2222) == [b"two"]
    assert known(path, "a", 2223) == []
    assert known(path, "b") == []


def test_wildcards_and_negations(path: Path) -> None:
    path.write_text(line("*.example.com,!bad.example.com", "one"))
    assert known(path, "a.example.com") == [b"one"]
    assert known(path, "bad.example.com") == []


def test_markers_are_told(path: Path) -> None:
    path.write_text(line("*", "one", "@revoked") + line("*.org", "two", "@cert-authority"))
    found = KnownHosts([str(path)], []).find("a.org", 22)
    assert [(key.marker, key.line) for key in found] == [("@revoked", 1), ("@cert-authority", 2)]


def test_names_that_ssh_keygen_has_hashed_are_found(path: Path, tmp_path: Path) -> None:
    key = make_key(tmp_path / "key")
    public = key.with_suffix(".pub").read_text()
    path.write_text(f"a {public}[b]:2222 {public}")
    subprocess.run(["ssh-keygen", "-H", "-f", str(path)], check=True, capture_output=True)
    assert " a " not in path.read_text()
    assert len(known(path, "a")) == 1
    assert len(known(path, "b", 2222)) == 1
    assert known(path, "c") == []


def test_ssh_keygen_finds_what_was_added(path: Path, tmp_path: Path) -> None:
    key = make_key(tmp_path / "key")
    kind, text = key.with_suffix(".pub").read_text().split()[:2]
    hosts = KnownHosts([str(path)], [])
    hosts.add("a", 22, kind, base64.b64decode(text))
    hosts.add("b", 2222, kind, base64.b64decode(text), hashed=True)
    assert path.stat().st_mode & 0o777 == 0o600
    for name in ("a", "[b]:2222"):
        shown = subprocess.run(["ssh-keygen", "-F", name, "-f", str(path)], check=True, capture_output=True).stdout
        assert text.encode() in shown
    shown = subprocess.run(["ssh-keygen", "-lf", str(key)], capture_output=True, text=True, check=True).stdout
    assert fingerprint(base64.b64decode(text)) in shown


def test_a_missing_folder_is_made_and_a_missing_newline_added(tmp_path: Path) -> None:
    path = tmp_path / "new" / "known_hosts"
    hosts = KnownHosts([str(path)], [])
    hosts.add("a", 22, "k", b"1")
    path.write_text(path.read_text().rstrip("\n"))
    hosts.add("b", 22, "k", b"2")
    assert len(path.read_text().splitlines()) == 2


def test_many_who_add_at_once_leave_one_whole_line_each(path: Path) -> None:
    hosts = KnownHosts([str(path)], [])
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda number: hosts.add(f"h{number % 50}", 22, "k", b"%d" % (number % 50)), range(100)))
    assert sorted(path.read_text().splitlines()) == sorted(
        f"h{number} k {base64.b64encode(b'%d' % number).decode()}" for number in range(50)
    )


def test_nothing_is_added_to_no_file(tmp_path: Path) -> None:
    assert KnownHosts(["/dev/null"], []).add("a", 22, "k", b"1") is None
    assert KnownHosts([], []).add("a", 22, "k", b"1") is None


def test_a_host_is_named_with_its_port_unless_that_is_22() -> None:
    assert lookup_name("Host", 22) == "host"
    assert lookup_name("host", 2222) == "[host]:2222"
