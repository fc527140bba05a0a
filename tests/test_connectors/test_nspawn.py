"""``@nspawn``: folders and machines, what can be wrong with them, and the contract in a tree of BusyBox."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

import gevent
import pytest

from pyinfra.api import Host
from pyinfra.api.exceptions import ConnectError, InventoryError
from pyinfra.connectors import nspawn
from pyinfra.connectors.nspawn import NspawnConnector
from pyinfra.connectors.util import CommandOutput, OutputLine
from pyinfra.testing.contract import ConnectorContract

from ..support.busyboxroot import make_busybox_root
from ..support.commandline import Folder
from ..support.hosts import connected_host, made_connector, why_not
from ..support.rootfs import require_root_and
from .test_chroot import WITHOUT_TOOLS
from .test_session_shells import run


def test_a_name_with_a_slash_is_a_folder_and_another_one_a_machine() -> None:
    for name, data in (
        ("srv/tree", {"nspawn_directory": "/srv/tree"}),
        ("/tree", {"nspawn_directory": "/tree"}),
        ("web", {"nspawn_machine": "web"}),
    ):
        assert list(NspawnConnector.make_names_data(name)) == [(f"@nspawn/{name}", data, ["@nspawn"])]
    for empty in (None, "", "/"):
        with pytest.raises(InventoryError, match="@nspawn needs a folder or a machine"):
            list(NspawnConnector.make_names_data(empty))


@pytest.mark.parametrize("program", ["nsenter", "systemd-nspawn"])
def test_a_program_that_is_missing_is_told(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == program else f"/bin/{name}")
    assert f"The program {program} is not in PATH on this machine: install " in why_not("@nspawn/srv/tree")


@pytest.mark.parametrize(
    ("code", "stdout", "stderr", "advice"),
    [
        (1, "", "Could not get path to machine: No machine 'we b' known", "@nspawn//NAME"),
        (1, "", "Failed to connect to bus: Host is down", "name the folder instead"),
        (0, "", "Failed to connect to bus: Host is down", "name the folder instead"),
        (0, "0", "", "machinectl show ended with exit code 0"),
    ],
)
def test_a_machine_that_does_not_run_is_told(
    code: int, stdout: str, stderr: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[str] = []

    def answer(command: str) -> tuple[int, CommandOutput]:
        commands.append(command)
        lines = [OutputLine(name, text) for name, text in (("stdout", stdout), ("stderr", stderr)) if text]
        return code, CommandOutput(lines)

    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(nspawn, "run_local_process", answer)
    message = why_not("@nspawn/we b")
    assert message.startswith("No machine we b to run in: ")
    assert advice in message
    assert commands == ["/bin/machinectl show --property=Leader --value -- 'we b'"]


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("Need to be root.", "run pyinfra as root"),
        ("Directory /x doesn't look like it has an OS tree (/usr/ directory is missing). Refusing.", "debootstrap"),
        ("Directory tree /x is currently busy.", "another systemd-nspawn runs there"),
        ("execv(/bin/sh) failed: No such file or directory", "no shell"),
        ("Failed to resolve path: No such file or directory", "nspawn_directory"),
    ],
)
def test_what_systemd_nspawn_says_comes_with_advice(
    said: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "systemd-nspawn"
    fake.write_text(f'#!/bin/sh\ncat >&2 <<"E"\n{said}\nE\nexit 1\n')
    fake.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(fake) if name == "systemd-nspawn" else f"/bin/{name}")
    message = why_not("@nspawn/srv/tree")
    assert message.startswith(f"systemd-nspawn cannot run /srv/tree: {said}; ")
    assert advice in message.partition(said)[2]


def test_a_container_that_does_not_begin_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "systemd-nspawn"
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    fake.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(fake) if name == "systemd-nspawn" else f"/bin/{name}")
    assert why_not("@nspawn/srv/tree", {"CONNECT_TIMEOUT": 1}).endswith("nothing within 1 seconds")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_root_and("systemd-nspawn", "nsenter", "busybox")
    return make_busybox_root(tmp_path_factory.mktemp("tree"))


def test_a_container_has_its_own_processes_and_none_of_our_environment(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "1")
    (tmp_path / "file").write_text("bound")
    with connected_host(f"@nspawn{tree}", nspawn_arguments=[f"--bind={tmp_path}:/mnt"]) as host:
        assert run(host, "echo ${OURS-none} $container $HOME")[1].stdout == "none systemd-nspawn /root"
        assert run(host, "cat /mnt/file")[1].stdout == "bound"
        assert int(run(host, "ls -d /proc/[0-9]* | wc -l")[1].stdout) < 20
        pid = run(host, "sleep 60 > /dev/null 2>&1 & echo $!")[1].stdout
        host.reconnect()
        assert run(host, f"kill -0 {pid}")[0], "what runs in the container is not ended by a new session"
        keeper = host.connector._keeper.pid
    assert not os.path.exists(f"/proc/{keeper}/root"), "the container ends with the connection"


def test_the_command_line_changes_a_tree(tree: Path, tmp_path: Path) -> None:
    ended = Folder(tmp_path).run("-y", f"@nspawn{tree}", "files.line", "/etc/motd", "line=welcome")
    assert ended.exit_code == 0, ended.err
    assert (tree / "etc" / "motd").read_text() == "welcome\n"


def test_a_tree_that_is_in_use_is_told_with_the_way_to_its_machine(tree: Path) -> None:
    with connected_host(f"@nspawn{tree}") as host:
        assert "@nspawn/MACHINE" in why_not(f"@nspawn{tree}")
        assert run(host, "echo still here")[1].stdout == "still here"


def test_what_is_no_tree_is_told(tmp_path: Path) -> None:
    require_root_and("systemd-nspawn", "nsenter")
    assert "nspawn_directory" in why_not(f"@nspawn{tmp_path}/missing")
    (tmp_path / "empty").mkdir()
    assert "debootstrap" in why_not(f"@nspawn{tmp_path}/empty")


def test_a_tree_without_a_shell_is_told(tmp_path: Path) -> None:
    require_root_and("systemd-nspawn", "nsenter", "busybox")
    root = make_busybox_root(tmp_path)
    (root / "bin" / "sh").unlink()
    assert "there is no shell (/bin/sh)" in why_not(f"@nspawn{root}")


def test_a_container_that_ends_in_the_middle_is_told(tree: Path) -> None:
    with connected_host(f"@nspawn{tree}") as host:
        os.kill(host.connector._leader, signal.SIGKILL)
        with pytest.raises(ConnectError, match=rf"The container of {tree} has ended"):
            run(host, "sleep 30")


@pytest.fixture
def machine(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A container that runs, and a ``machinectl`` that knows it: there need not be a systemd to ask."""
    words = ["--quiet", "--register=no", "--keep-unit", "--console=pipe", "--as-pid2"]
    argv = ["systemd-nspawn", "-D", str(tree), *words, "/bin/sh", "-c", "echo ready; read -r line"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            fake = tmp_path / "machinectl"
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            fake.write_text(f'#!/bin/sh\n[ "$*" = "show --property=Leader --value -- web" ] && echo {children[0]}\n')
            fake.chmod(0o755)
            monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
            with connected_host("@nspawn/web") as host:
                yield host
            assert process.poll() is None, "a machine goes on running"
        finally:
            process.communicate("\n")


def test_a_machine_that_runs_is_entered_and_left_running(machine: Host, tree: Path) -> None:
    assert run(machine, "echo made > /root/file; tr '\\0' ' ' < /proc/2/cmdline")[1].stdout.startswith(
        "/bin/sh -c echo"
    )
    assert (tree / "root" / "file").read_text() == "made\n"


def test_another_process_with_the_number_of_the_first_one_is_not_entered(machine: Host) -> None:
    machine.connector._leader = os.getpid()
    with pytest.raises(ConnectError, match="The container of web has ended"):
        machine.connector.shell_argv()


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_container_whose_start_is_interrupted_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "systemd-nspawn"
    fake.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    fake.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(fake) if name == "systemd-nspawn" else f"/bin/{name}")
    connector = made_connector("@nspawn/srv/tree")
    connecting = gevent.spawn(connector.connect)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        gevent.sleep(0.01)
    monkeypatch.setattr(nspawn, "_END_SECONDS", 0.1)
    connecting.kill()
    assert connector._keeper is None
    with gevent.Timeout(10):
        while _is_alive(int((tmp_path / "pid").read_text())):
            gevent.sleep(0.01)


def test_a_shell_that_the_machine_lacks_is_told() -> None:
    connector = made_connector("@nspawn/web")
    connector._leader = os.getpid()
    connector._leader_began = nspawn._began(os.getpid())
    said = "nsenter: failed to execute sh: No such file or directory"
    assert connector.explain_silence("exit status 127", said).startswith("There is no shell (sh) in it: install one")
    assert "shell_session = False" in connector.explain_silence("exit status 1", "words")


class TestContract(ConnectorContract):
    """In a tree of BusyBox."""

    may_not_apply = WITHOUT_TOOLS
    _tree: ClassVar[ExitStack]

    @classmethod
    def setup_class(cls) -> None:
        require_root_and("systemd-nspawn", "nsenter", "busybox")
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pyinfra-tree-")))
            folder.chmod(0o755)
            cls.inventory = f"@nspawn{make_busybox_root(folder)}"
            super().setup_class()
            cls._tree = stack.pop_all()

    @classmethod
    def teardown_class(cls) -> None:
        with cls._tree:
            super().teardown_class()
