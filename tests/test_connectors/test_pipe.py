"""``@pipe``: names and data, a file system in a folder, and targets without a shell."""

from __future__ import annotations

import io
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from pyinfra.api import Host, StringCommand
from pyinfra.api.exceptions import ConnectError, ConnectorDataTypeError, InventoryError
from pyinfra.connectors.pipe import PipeConnector

from ..support.hosts import connected_host, why_not
from .test_session_shells import ask, exit_code, run


def test_a_name_is_needed() -> None:
    with pytest.raises(InventoryError, match="@pipe needs a name"):
        list(PipeConnector.make_names_data(None))
    assert list(PipeConnector.make_names_data("web")) == [("@pipe/web", {}, ["@pipe"])]


@pytest.mark.parametrize("command", ["env NAME='a b' sh", ["env", "NAME=a b", "sh"]])
def test_the_command_line_is_text_or_words(command: str | list[str]) -> None:
    with connected_host("@pipe/web", pipe_command=command) as host:
        assert run(host, 'echo "$NAME"')[1].stdout == "a b"


def test_the_name_is_the_command_line_where_the_data_have_none() -> None:
    with connected_host("@pipe/env 'NAME=a b' /bin/sh") as host:
        assert run(host, 'echo "$NAME"')[1].stdout == "a b"


def test_what_is_no_command_line_is_told() -> None:
    with pytest.raises(ConnectError, match="pipe_command is no command line"), connected_host("@pipe/sh 'x"):
        pass
    with (
        pytest.raises(ConnectorDataTypeError, match=r"\[@pipe/x\].*`pipe_command` = 5, expected .*str"),
        connected_host("@pipe/x", pipe_command=5),
    ):
        pass


def test_a_program_that_is_not_there_is_told_and_what_to_do() -> None:
    assert why_not("@pipe/nothing-there sh") == (
        "There is no program 'nothing-there' on this machine, or not in PATH: install it, or correct the command line "
        "that begins with it"
    )


@pytest.mark.parametrize("command", ["  ", "\n", "", []])
def test_an_empty_command_line_is_told(command: str | list[str]) -> None:
    assert why_not("@pipe/web", pipe_command=command).startswith("pipe_command is empty: it takes a command line")


@pytest.mark.parametrize("command", ["cat", "true", "false", "sh -c 'echo a restricted shell; exit 3' sh"])
def test_a_program_that_is_no_shell_is_told_with_the_key_for_it(command: str) -> None:
    with (
        pytest.raises(ConnectError, match=r"(?s)No POSIX shell answers.*shell_session = False"),
        connected_host(f"@pipe/{command}", {"CONNECT_TIMEOUT": 1}),
    ):
        pass


@pytest.fixture
def without_shell(tmp_path: Path) -> Iterator[Host]:
    """A target that runs the words that it is given, and knows no shell syntax."""
    with connected_host("@pipe/x", pipe_command=["env", "-u", "HOME", "sh"], shell_session=False) as host:
        yield host


def test_a_target_without_a_shell_runs_commands_one_by_one(without_shell: Host) -> None:
    assert run(without_shell, "echo 'a b' | wc")[1].stdout == "a b | wc"
    assert ask(without_shell, "echo 1", "false", "echo ;")[2][1].stdout == ";"
    assert exit_code(without_shell, "sh -c 'exit 7'") == 7
    assert exit_code(without_shell, "sh -c 'kill -9 $$'") == 137
    assert run(without_shell, "cat", _stdin=["x", "y"])[1].stdout_lines == ["x", "y"]
    assert run(without_shell, "sh -c 'test -t 0 && echo tty'", _get_pty=True)[1].stdout == "tty"
    with pytest.raises(TimeoutError, match="timed out"):
        run(without_shell, "sleep 30", _timeout=1)


def test_a_target_without_a_shell_does_not_wait_for_what_floods_its_output_in_the_background(
    without_shell: Host,
) -> None:
    started = time.monotonic()
    output = run(without_shell, "sh -c 'timeout 10 yes & echo $! >&2'")[1]
    assert time.monotonic() - started < 8
    os.kill(int(output.stderr), signal.SIGTERM)


def test_a_target_without_a_shell_has_files_copied_by_programs(without_shell: Host, tmp_path: Path) -> None:
    path = tmp_path / "it's a file"
    content = bytes(range(256)) * 1000
    without_shell.connector.put_file(io.BytesIO(content), str(path))
    assert path.read_bytes() == content
    target = io.BytesIO()
    without_shell.connector.get_file(str(path), target)
    assert target.getvalue() == content
    with pytest.raises(OSError, match="No such file or directory"):
        without_shell.connector.get_file(str(tmp_path / "missing"), io.BytesIO())
    with pytest.raises(OSError, match="No such file or directory"):
        without_shell.connector.put_file(io.BytesIO(content), str(tmp_path / "missing" / "file"))


def test_a_target_without_a_shell_has_files_with_a_dash(
    without_shell: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    without_shell.connector.put_file(io.BytesIO(b"content"), "-n")
    target = io.BytesIO()
    without_shell.connector.get_file("-n", target)
    assert target.getvalue() == Path("-n").read_bytes() == b"content"


@pytest.mark.parametrize("arguments", [{"_chdir": "/"}, {"_env": {"A": "b"}}])
def test_a_target_without_a_shell_refuses_what_needs_one(without_shell: Host, arguments: dict[str, Any]) -> None:
    (key,) = arguments
    refused = pytest.raises(OSError, match=rf"^{key} needs a shell on the target.*shell_session = False")
    with refused:
        run(without_shell, "pwd", **arguments)
    with refused:
        without_shell.connector.get_file("/etc/passwd", io.BytesIO(), **arguments)


BUSYBOX = "/usr/bin/busybox"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system with nothing but busybox: no /proc, no /dev, no users."""
    if os.geteuid() != 0 or not Path(BUSYBOX).exists() or b"statically linked" not in file_kind(BUSYBOX):
        pytest.skip("needs root and a static busybox")
    root = tmp_path_factory.mktemp("tree")
    for name in ("bin", "tmp", "etc", "dev"):
        (root / name).mkdir()
    shutil.copy(BUSYBOX, root / "bin" / "busybox")
    applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split()
    for applet in applets:
        if applet not in ("busybox", "mktemp"):
            (root / "bin" / applet).symlink_to("busybox")
    os.mknod(root / "dev" / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    return root


def file_kind(path: str) -> bytes:
    """``b"statically linked"`` if a program names no interpreter."""
    return b"" if b"/ld-linux" in Path(path).read_bytes()[:4096] else b"statically linked"


@pytest.fixture(scope="module")
def chroot(tree: Path) -> Iterator[Host]:
    with connected_host("@pipe/tree", pipe_command=["chroot", str(tree), "/bin/sh"]) as host:
        yield host


def test_a_tree_with_nothing_but_busybox_runs_commands(chroot: Host) -> None:
    assert run(chroot, "pwd; cat", _stdin="x")[1].stdout_lines == ["/", "x"]
    assert [output.stdout for _, output in ask(chroot, "echo 1", "ls /etc", "echo 3")] == ["1", "", "3"]
    assert exit_code(chroot, "kill -9 $$", _shell_executable=None) == 137


def test_a_tree_with_nothing_but_busybox_takes_files(chroot: Host, tree: Path) -> None:
    path = tree / "etc" / "it's"
    path.write_text("old")
    path.chmod(0o2751)
    os.chown(path, 12, 34)
    path.chmod(0o2751)
    inode = path.stat().st_ino
    chroot.connector.put_file(io.BytesIO(b"new"), "/etc/it's")
    assert path.read_text() == "new"
    about = path.stat()
    assert about.st_ino != inode
    assert (stat.S_IMODE(about.st_mode), about.st_uid, about.st_gid) == (0o2751, 12, 34)
    target = io.BytesIO()
    chroot.connector.get_file("/etc/it's", target)
    assert target.getvalue() == b"new"
    (tree / "etc" / "link").symlink_to("/etc/it's")
    chroot.connector.put_file(io.BytesIO(b"newer"), "/etc/link")
    assert path.read_text() == "newer"
    assert sorted(os.listdir(tree / "etc")) == ["it's", "link"]
    assert os.listdir(tree / "tmp") == []


def test_a_time_out_in_a_tree_without_proc_ends_the_command(chroot: Host) -> None:
    seconds = f"6{os.getpid() % 10000:04}.5"
    with pytest.raises(TimeoutError):
        run(chroot, f"sleep {seconds} & sleep {seconds}", _timeout=1)
    with gevent.Timeout(10):
        while subprocess.run(["pgrep", "-f", f"sleep {seconds}"], capture_output=True, check=False).returncode == 0:
            gevent.sleep(0.05)
    assert run(chroot, "echo on")[1].stdout == "on"


def test_a_terminal_that_ends_here_is_refused() -> None:
    # The shell behind this pipe has no terminal, whatever its first program is given
    script = "import subprocess, sys; p = subprocess.run(sys.argv[1:], input=sys.stdin.buffer.raw.read(), check=False)"
    with connected_host("@pipe/x", pipe_command=["sh"]) as host:
        assert run(host, "test -t 0 && test -t 1 && echo yes", _get_pty=True)[1].stdout == "yes"
        host.connector.terminal_argv = lambda: [sys.executable, "-c", script, "sh"]
        with pytest.raises(OSError, match="_get_pty"):
            run(host, StringCommand("true"), _get_pty=True)
