"""``@chroot``: names, what is wrong with a tree, and the contract in one that holds nothing but BusyBox."""

from __future__ import annotations

import io
import logging
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

import pytest

from pyinfra.api.exceptions import ConnectError, ConnectorDataTypeError, InventoryError
from pyinfra.connectors import chroot
from pyinfra.connectors.chroot import ChrootConnector
from pyinfra.connectors.util import CommandOutput, OutputLine
from pyinfra.testing.contract import ConnectorContract

from ..support.busyboxroot import busybox_root, make_busybox_root
from ..support.commandline import Folder
from ..support.hosts import connected_host, made_connector, why_not
from ..support.rootfs import require_root_and
from .test_session_shells import run

# What a tree of BusyBox, entered as root, has nothing for
WITHOUT_TOOLS = frozenset(
    {
        *("sudo", "sudo_user", "use_sudo_login", "preserve_sudo_env", "su_password", "doas", "dzdo"),
        *("passwords_are_in_no_arguments", "password_files_are_private_and_removed"),
        *("rsync", "replaced_files_keep_attributes", "denied_files_are_errors"),
    }
)


def test_relative_folders_are_meant_from_the_root(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="pyinfra"):
        for name in ("srv/tree", "/srv/tree"):
            assert list(ChrootConnector.make_names_data(name)) == [
                (f"@chroot/{name}", {"chroot_directory": "/srv/tree"}, ["@chroot"])
            ]
    assert caplog.messages == ["The @chroot connector is in beta!"] * 2


@pytest.mark.parametrize("name", [None, "", "/"])
def test_a_folder_is_needed(name: str | None) -> None:
    with pytest.raises(InventoryError, match="@chroot needs a folder"):
        list(ChrootConnector.make_names_data(name))


def test_the_data_may_name_another_folder() -> None:
    argv = made_connector("@chroot/x", chroot_directory="srv/other").shell_argv()
    assert argv[-2:] == ["/srv/other", "sh"]
    assert argv[-3].endswith("chroot")
    with pytest.raises(ConnectorDataTypeError, match="`chroot_directory` = 5, expected str"):
        made_connector("@chroot/x", chroot_directory=5)


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("chroot: cannot change root directory to '/it'\"'\"'s': Operation not permitted", "run pyinfra as root"),
        ("chroot: cannot change root directory to '/x': No such file or directory", "a folder of this machine"),
        ("chroot: failed to run command 'ls': No such file or directory", "it lacks the program ls"),
        ("chroot: failed to run command 'ls': Exec format error", "qemu-user-static"),
        ("something else", "Cannot run programs in /it's: something else"),
    ],
)
def test_connecting_lists_the_tree_and_says_what_is_wrong(
    said: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[str] = []

    def fail(command: str, timeout: int) -> tuple[int, CommandOutput]:
        commands.append(command.partition("/chroot ")[2])
        return 1, CommandOutput([OutputLine("stderr", said)])

    monkeypatch.setattr(chroot, "run_local_process", fail)
    assert advice in why_not("@chroot/it's")
    assert commands == ["'/it'\"'\"'s' ls"]


def test_a_machine_without_chroot_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "chroot is not in PATH on this machine" in why_not("@chroot/srv")


def test_what_is_no_tree_is_told(tmp_path: Path) -> None:
    require_root_and("chroot")
    message = why_not(f"@chroot{tmp_path}/missing")
    assert message.startswith(f"Cannot run programs in {tmp_path}/missing: ")
    assert "chroot: cannot change root directory" in message
    assert "has to be a folder of this machine" in message
    assert "it lacks the program ls" in why_not(f"@chroot{tmp_path}")


def test_the_command_line_changes_a_tree(tmp_path: Path) -> None:
    require_root_and("chroot", "busybox")
    root = make_busybox_root(tmp_path)
    ended = Folder(tmp_path).run("-y", f"@chroot{root}", "files.line", "/etc/motd", "line=welcome")
    assert ended.exit_code == 0, ended.err
    assert "The @chroot connector is in beta!" in ended.err
    assert (root / "etc" / "motd").read_text() == "welcome\n"


def test_a_tree_has_none_of_this_machines_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_root_and("chroot", "busybox")
    root = make_busybox_root(tmp_path)
    (tmp_path / "ours").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "ours"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with connected_host(f"@chroot{root}") as host:
        assert run(host, "echo ${TMPDIR-none} $HOME")[1].stdout == "none /root"
        # A file that cannot be written beside itself is put together in a folder for temporary ones
        (root / "etc" / "one").write_text("old")
        (root / "etc" / "another").hardlink_to(root / "etc" / "one")
        assert host.put_file(io.StringIO("new"), "/etc/one")
    assert (root / "etc" / "another").read_text() == "new"


def test_a_tree_that_does_not_answer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "chroot"
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert why_not("@chroot/srv/my tree", {"CONNECT_TIMEOUT": 1}) == (
        "/srv/my tree did not answer within 1 seconds: what is mounted there may be gone: "
        "`findmnt --target '/srv/my tree'` shows it"
    )


def test_a_tree_without_a_shell_or_that_is_gone_is_told(tmp_path: Path) -> None:
    require_root_and("chroot", "busybox")
    root = make_busybox_root(tmp_path)
    (root / "bin" / "sh").rename(root / "bin" / "hidden")
    assert why_not(f"@chroot{root}").startswith(f"There is no shell (sh) in {root}: install one")
    (root / "bin" / "hidden").rename(root / "bin" / "sh")
    with connected_host(f"@chroot{root}") as host:
        assert run(host, "echo here")[1].stdout == "here"
        shutil.rmtree(root)
        # The shell that was opened before is there still, and then there is none
        run(host, "exit 3", _shell_executable=None)
        with pytest.raises(ConnectError, match=rf"{root} is gone"):
            run(host, "kill -9 $$", _shell_executable=None)


class TestContract(ConnectorContract):
    """In a tree of BusyBox."""

    may_not_apply = WITHOUT_TOOLS
    _tree: ClassVar[ExitStack]

    @classmethod
    def setup_class(cls) -> None:
        require_root_and("chroot", "busybox", "mount")
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pyinfra-tree-")))
            folder.chmod(0o755)
            cls.inventory = f"@chroot{stack.enter_context(busybox_root(folder))}"
            super().setup_class()
            cls._tree = stack.pop_all()

    @classmethod
    def teardown_class(cls) -> None:
        with cls._tree:
            super().teardown_class()
