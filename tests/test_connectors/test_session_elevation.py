"""Commands and files as another user than the one that the session belongs to."""

from __future__ import annotations

import getpass
import io
import os
import pwd
import re
import shutil
import signal
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from pyinfra.api import Host, QuoteString, StringCommand
from pyinfra.api.exceptions import PyinfraError
from pyinfra.connectors.util import remove_askpass_files

from ..support.hosts import connected_host
from ..support.users import OrdinaryUser, missing_programs, ordinary_user
from .test_session_shells import ask, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or bool(missing_programs()), reason="needs root, sudo and su")


@pytest.fixture(scope="module")
def free() -> Iterator[OrdinaryUser]:
    """One who needs no password for sudo."""
    with ordinary_user("(ALL) NOPASSWD: ALL") as user:
        yield user


@pytest.fixture(scope="module")
def asked() -> Iterator[OrdinaryUser]:
    """One whom sudo asks for a password."""
    with ordinary_user("(ALL) ALL") as user:
        yield user


@pytest.fixture(scope="module")
def other() -> Iterator[OrdinaryUser]:
    """One without rights."""
    with ordinary_user() as user:
        yield user


WAYS: dict[str, Callable[..., tuple[OrdinaryUser | None, dict[str, Any], str]]] = {
    "root": lambda free, asked, other: (None, {}, "root"),
    "sudo": lambda free, asked, other: (free, {"_sudo": True}, "root"),
    "sudo to a user": lambda free, asked, other: (free, {"_sudo": True, "_sudo_user": other.name}, other.name),
    "sudo with a log-in": lambda free, asked, other: (free, {"_sudo": True, "_use_sudo_login": True}, "root"),
    "sudo with a password": lambda free, asked, other: (
        asked,
        {"_sudo": True, "_sudo_password": asked.password},
        "root",
    ),
    "sudo to a user with a password": lambda free, asked, other: (
        asked,
        {"_sudo": True, "_sudo_user": other.name, "_sudo_password": asked.password},
        other.name,
    ),
    "a password that sudo does not ask for": lambda free, asked, other: (
        free,
        {"_sudo": True, "_sudo_password": "wrong"},
        "root",
    ),
    "su": lambda free, asked, other: (None, {"_su_user": other.name}, other.name),
    "su with a log-in": lambda free, asked, other: (None, {"_su_user": other.name, "_use_su_login": True}, other.name),
    "su with a password": lambda free, asked, other: (
        free,
        {"_su_user": other.name, "_su_password": other.password},
        other.name,
    ),
    "a password that su does not ask for": lambda free, asked, other: (
        None,
        {"_su_user": other.name, "_su_password": "wrong"},
        other.name,
    ),
    "sudo and su": lambda free, asked, other: (free, {"_sudo": True, "_su_user": other.name}, other.name),
    "sudo to a user and su with a password": lambda free, asked, other: (
        free,
        {"_sudo": True, "_sudo_user": asked.name, "_su_user": other.name, "_su_password": other.password},
        other.name,
    ),
    "sudo and su with both passwords": lambda free, asked, other: (
        asked,
        {
            "_sudo": True,
            "_sudo_user": free.name,
            "_sudo_password": asked.password,
            "_su_user": other.name,
            "_su_password": other.password,
        },
        other.name,
    ),
}


class Elevated:
    """A connected host, the arguments that lead to another user there, and that user's name."""

    def __init__(self, host: Host, arguments: dict[str, Any], name: str) -> None:
        self.host = host
        self.arguments = arguments
        self.name = name
        self.home = Path(pwd.getpwnam(name).pw_dir)


@pytest.fixture(scope="module", params=WAYS)
def elevated(
    request: pytest.FixtureRequest, free: OrdinaryUser, asked: OrdinaryUser, other: OrdinaryUser
) -> Iterator[Elevated]:
    user, arguments, name = WAYS[request.param](free, asked, other)
    with connected_host("@pipe/user", pipe_command=user.shell if user else ["sh"]) as host:
        yield Elevated(host, arguments, name)


def test_a_command_runs_as_the_user_and_gets_its_input(elevated: Elevated) -> None:
    lines = [f"{number} größe" for number in range(5000)]
    success, output = run(elevated.host, "id -un; cat; echo err >&2", _stdin=lines, **elevated.arguments)
    assert success
    assert output.stdout_lines == [elevated.name, *lines]
    assert output.stderr_lines == ["err"]
    assert run(elevated.host, "cat; exit 7", _success_exit_codes=[7], **elevated.arguments)[1].stdout_lines == []


def test_a_fact_is_read_as_the_user(elevated: Elevated) -> None:
    (first, second) = ask(elevated.host, "id -un; cat", "exit 3", **elevated.arguments)
    assert first[1].stdout_lines == [elevated.name]
    assert not second[0]


def test_text_and_surroundings_arrive_as_they_are(elevated: Elevated) -> None:
    text = """a'b"c`d$e\\f!g\n  größe"""
    arguments = {**elevated.arguments, "_env": {"TEXT": text}, "_chdir": "/usr"}
    for _, output in (
        run(elevated.host, 'pwd; echo; printf "%s" "$TEXT"', **arguments),
        *ask(elevated.host, 'pwd; echo; printf "%s" "$TEXT"', **arguments),
    ):
        assert output.stdout == f"/usr\n\n{text}"


@pytest.mark.parametrize(
    ("way", "shell"),
    [
        *[
            (way, shell)
            for way in ("su", "sudo and su", "sudo with a log-in and su")
            for shell in ("csh", "tcsh", "fish")
        ],
        ("su with a password", "fish"),
        # csh closes the descriptors by which the command gets its input
        ("su with a password and sh", "csh"),
    ],
)
def test_any_log_in_shell_of_the_user_hands_commands_on(free: OrdinaryUser, way: str, shell: str) -> None:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    text = "it's \"$HOME\" `x` \\n \\\\ !1 'a\n\n  größe\\"
    with (
        ordinary_user(shell=path) as user,
        connected_host("@pipe/user", pipe_command=["sh"] if way == "su" else free.shell) as host,
    ):
        arguments: dict[str, Any] = {"_su_user": user.name}
        if "password" in way:
            arguments["_su_password"] = user.password
        if "and sh" in way:
            arguments["_su_shell"] = "sh"
        if "sudo" in way:
            arguments |= {"_sudo": True, "_use_sudo_login": "log-in" in way}
        command = StringCommand("printf '%s\\n'", QuoteString(text), '"$TEXT"; cat; exit 3')
        success, output = run(host, command, _env={"TEXT": text}, _stdin="x", _success_exit_codes=[3], **arguments)
        assert (success, output.stdout) == (True, f"{text}\n{text}\nx")
        file = f"{pwd.getpwnam(user.name).pw_dir}/file"
        host.connector.put_file(io.BytesIO(b"content"), file, **arguments)
        assert Path(file).read_bytes() == b"content"
        with pytest.raises(TimeoutError, match=r"^Command timed out after 1s$"):
            run(host, "sleep 60", _timeout=1, **arguments)


def test_a_time_out_ends_what_the_user_runs(elevated: Elevated) -> None:
    seconds = f"7{os.getpid() % 10000:04}.5"
    with pytest.raises(TimeoutError, match="timed out after 1s"):
        run(elevated.host, f"sleep {seconds} & sleep {seconds}; true", _timeout=1, **elevated.arguments)
    assert run(elevated.host, "id -un", **elevated.arguments)[1].stdout == elevated.name
    assert left_running(seconds) == []


# Only su stops with what it runs
@pytest.mark.parametrize("elevated", [way for way in WAYS if re.search(r"\bsu\b", way)], indirect=True)
def test_a_time_out_ends_what_has_been_stopped_and_who_waits_for_it(elevated: Elevated) -> None:
    seconds = f"8{os.getpid() % 10000:04}.5"
    with pytest.raises(TimeoutError, match="timed out after 1s"):
        run(elevated.host, f"kill -s STOP 0; sleep {seconds}", _timeout=1, **elevated.arguments)
    assert left_running(seconds) == []


def test_what_a_time_out_cannot_end_is_told(free: OrdinaryUser) -> None:
    seconds = f"9{os.getpid() % 10000:04}.5"
    # Who may have root's processes started by sudo may not end them, when sudo has gone
    command = f"sudo -n sh -c 'trap \"\" TERM; sleep {seconds}; true'"
    told = pytest.raises(TimeoutError, match=r"may still run: these processes could not be ended: \d+")
    with connected_host("@pipe/user", pipe_command=free.shell) as host, told as error:
        run(host, command, _timeout=1)
    for pid in str(error.value).rpartition(":")[2].split():
        os.kill(int(pid), signal.SIGKILL)
    assert left_running(seconds) == []


def left_running(text: str) -> list[str]:
    """What does not end within some seconds of :func:`running`."""
    deadline = time.monotonic() + 10
    while running(text) and time.monotonic() < deadline:
        gevent.sleep(0.05)
    return running(text)


def running(text: str) -> list[str]:
    """The command lines of processes that have a text in their arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            except OSError:
                continue
            if any(text in word for word in words):
                found.append(" ".join(words))
    return found


def test_files_are_written_and_read_as_the_user(elevated: Elevated) -> None:
    path = elevated.home / "it's mine"
    content = bytes(range(256)) * 1000
    try:
        elevated.host.connector.put_file(io.BytesIO(content), str(path), **elevated.arguments)
        assert path.read_bytes() == content
        assert path.stat().st_uid == pwd.getpwnam(elevated.name).pw_uid
        path.chmod(0o600)
        elevated.host.connector.put_file(io.BytesIO(content + b"more"), str(path), **elevated.arguments)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        target = io.BytesIO()
        elevated.host.connector.get_file(str(path), target, **elevated.arguments)
        assert target.getvalue() == content + b"more"
    finally:
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("elevated", ["sudo to a user", "su", "su with a password", "sudo and su"], indirect=True)
def test_what_the_user_may_not_do_is_an_error(elevated: Elevated) -> None:
    for path in ("/root/file", "/root/folder/file"):
        with pytest.raises(OSError, match=r"[Pp]ermission denied") as error:
            elevated.host.connector.put_file(io.BytesIO(b"x"), path, **elevated.arguments)
        assert len(str(error.value).splitlines()) == 1
    with pytest.raises(OSError, match=r"[Pp]ermission denied|cannot create"):
        elevated.host.connector.put_file(io.BytesIO(b"x"), "/etc/file", **elevated.arguments)
    with pytest.raises(OSError, match=r"[Pp]ermission denied"):
        elevated.host.connector.get_file("/etc/shadow", io.BytesIO(), **elevated.arguments)
    assert not Path("/etc/file").exists()


def test_passwords_are_in_nobodys_arguments_and_their_files_go(
    asked: OrdinaryUser, other: OrdinaryUser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o1777)
    for folder in list(tmp_path.parents)[:-2]:
        folder.chmod(folder.stat().st_mode | 0o011)
    shown: list[str] = []
    monkeypatch.setattr("pyinfra.connectors.session.echo", lambda text, **_: shown.append(text))
    seen: set[bytes] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    try:
                        seen.add((entry / "cmdline").read_bytes())
                    except OSError:
                        continue

    arguments = {
        "_sudo": True,
        "_sudo_user": "root",
        "_sudo_password": asked.password,
        "_su_user": other.name,
        "_su_password": other.password,
        "_temp_dir": str(tmp_path),
    }
    with connected_host("@pipe/user", pipe_command=asked.shell) as host:
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            for _ in range(5):
                assert host.connector.run_shell_command("id -un; sleep 0.1", True, True, **arguments)[0]
        finally:
            stop.set()
            watcher.join()
        (files) = [path for path in tmp_path.iterdir() if path.name.startswith("pyinfra-sudo-askpass-")]
        assert len(files) == 2
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o700}
        assert {path.owner() for path in files} == {asked.name, "root"}
    assert list(tmp_path.iterdir()) == []
    for password in (asked.password, other.password):
        part = password[:12]
        assert not any(part.encode() in arguments for arguments in seen)
        assert not any(part in text for text in shown)
    assert any(other.name in text for text in shown)


@pytest.fixture
def folders() -> Iterator[Path]:
    """Two folders for everybody. Not in pytest's folder, which nobody else may enter."""
    with tempfile.TemporaryDirectory() as name:
        for folder in (Path(name), Path(name, "configured"), Path(name, "given")):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o1777)
        yield Path(name)


@pytest.mark.parametrize("name", ["configured", "given"])
def test_of_two_passwords_no_file_is_left_once_they_are_removed(
    asked: OrdinaryUser, other: OrdinaryUser, folders: Path, name: str
) -> None:
    arguments = {
        "_sudo": True,
        "_sudo_password": asked.password,
        "_su_user": other.name,
        "_su_password": other.password,
        "_temp_dir": str(folders / "given") if name == "given" else None,
    }
    with connected_host("@pipe/user", {"TEMP_DIR": str(folders / "configured")}, pipe_command=asked.shell) as host:
        assert run(host, "id -un", **arguments)[1].stdout == other.name
        assert len(list((folders / name).iterdir())) == 2
        remove_askpass_files(host)
        assert sorted(path.name for path in folders.rglob("*")) == ["configured", "given"]


def test_a_wrong_password_is_a_failure_that_says_so(asked: OrdinaryUser, other: OrdinaryUser) -> None:
    with connected_host("@pipe/user", pipe_command=asked.shell) as host:
        success, output = run(host, "true", _sudo=True, _sudo_password="wrong")
        assert not success
        assert "password" in output.stderr
        success, output = run(host, "true", _su_user=other.name, _su_password="wrong", _stdin="x")
        assert not success
        assert "Authentication failure" in output.stderr


# A sudo that gives away whether something is still typed when the command ends: the real one may wait for more then
SUDO_THAT_MINDS = """#!/usr/bin/env python3
import select, subprocess, sys
command = sys.argv[sys.argv.index("sh"):]
code = subprocess.call(command)
sys.exit(99 if select.select([0], [], [], 0.2)[0] else code % 256)
"""


@pytest.mark.parametrize(
    ("command", "typed", "code", "lines"),
    [
        ("exit 42", None, 42, []),
        ("printf no-newline", None, 0, ["no-newline"]),
        ("echo; echo", None, 0, ["", ""]),
        ("kill -9 $$", None, 137, []),
        ("true", "nobody reads this\n" * 1000, 0, []),
        ('read -r line; echo "[$line]"', "one\ntwo\nthree", 0, ["[one]"]),
        ("cat; exit 3", "all\nof it\n", 3, ["all", "of it"]),
        ("stty raw -echo", "neither this", 0, []),
        ("stty echo; exit 5", None, 5, []),
    ],
)
def test_in_sudos_terminal_nothing_is_typed_when_the_command_ends(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    typed: str | None,
    code: int,
    lines: list[str],
) -> None:
    (tmp_path / "sudo").write_text(SUDO_THAT_MINDS)
    (tmp_path / "sudo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with connected_host() as host:
        arguments: Any = {"_sudo": True, "_get_pty": True, "_stdin": typed, "_timeout": 30}
        success, output = host.run_shell_command(command, _success_exit_codes=[code], **arguments)
    assert success, output.exit_code
    assert output.stdout_lines == lines


def test_the_password_that_sudo_asks_for_is_asked_for_once(
    asked: OrdinaryUser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = []

    def answer(prompt: str) -> str:
        prompts.append(prompt)
        return asked.password

    monkeypatch.setattr(getpass, "getpass", answer)
    with connected_host("@pipe/user", pipe_command=asked.shell) as host:
        target = io.BytesIO()
        host.connector.get_file("/etc/shadow", target, _sudo=True)
        assert target.getvalue() == Path("/etc/shadow").read_bytes()
        assert ask(host, "id -un", _sudo=True)[0][1].stdout == "root"
        assert run(host, "id -un; cat", _sudo=True, _stdin=iter(["a", "b"]))[1].stdout_lines == ["root", "a", "b"]
    assert prompts == [f"{host.print_prefix}sudo password: "]


@pytest.mark.parametrize("kind", ["command", "fact", "upload"])
def test_what_is_asked_for_in_the_middle_goes_on_with_its_input(
    asked: OrdinaryUser, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(getpass, "getpass", lambda prompt: asked.password)
    with connected_host("@pipe/user", pipe_command=asked.shell) as host:
        if kind == "command":
            assert run(host, "cat", _sudo=True, _stdin=iter(["a", "b"]))[1].stdout_lines == ["a", "b"]
        elif kind == "fact":
            answers = ask(host, "id -un", "echo x", "exit 3", _sudo=True)
            assert [(success, output.stdout) for success, output in answers] == [
                (True, "root"),
                (True, "x"),
                (False, ""),
            ]
        else:
            path = Path("/root/.pyinfra-test-upload")
            try:
                host.connector.put_file(io.BytesIO(b"content"), str(path), _sudo=True)
                assert path.read_bytes() == b"content"
            finally:
                path.unlink(missing_ok=True)


def test_without_anybody_to_ask_sudos_own_error_is_what_comes_back(
    asked: OrdinaryUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", nobody)
    with connected_host("@pipe/user", pipe_command=asked.shell) as host:
        success, output = run(host, "true", _sudo=True)
        assert not success
        assert output.stderr_lines == ["sudo: a password is required"]


@pytest.mark.parametrize(
    ("mktemp", "why"),
    [("exit 1", r".*nonexistent.*; _temp_dir or TEMP_DIR names another folder"), ("kill -9 0", ".* exit code 137")],
)
def test_a_password_that_no_file_can_be_made_for_is_an_error_with_the_host_and_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mktemp: str, why: str
) -> None:
    (tmp_path / "mktemp").write_text(f"#!/bin/sh\n{mktemp}\n")
    (tmp_path / "mktemp").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("TMPDIR", raising=False)
    with connected_host() as host, pytest.raises(PyinfraError) as raised:
        run(host, "true", _sudo=True, _sudo_password="x", _temp_dir="/nonexistent")
    begin = re.escape(f"Cannot make a file for the password of sudo or su in /nonexistent on {host.name}: ")
    assert re.fullmatch(begin + why, str(raised.value))
