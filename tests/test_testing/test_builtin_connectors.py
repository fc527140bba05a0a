"""The connectors that run commands hold the contract, each against the real thing."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from pyinfra.api.config import Config
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.inventory import Inventory
from pyinfra.api.state import State
from pyinfra.testing.contract import RULES, ConnectorContract, Target, check, opened
from tests.support.busyboxroot import busybox_root
from tests.support.sshd import SSHServer, User, can_run_sshd, start_sshd
from tests.support.sshhosts import ssh_data

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for users, mounts and sudo")

RARE = {"doas", "dzdo"}
SUDO = {"sudo", "sudo_user", "use_sudo_login", "preserve_sudo_env"}
SU = {"su_user", "use_su_login", "preserve_su_env"}
PASSWORDS = {"passwords_are_in_no_arguments", "password_files_are_private_and_removed"}
OTHERS = {"files_as_another_user", "elevated_commands_are_commands", "time_outs_reach_other_users_processes"}


class _WithThings(ConnectorContract):
    """A contract against something that has to be set up first."""

    things: ClassVar[ExitStack]

    @classmethod
    def setup_class(cls) -> None:
        with ExitStack() as things:
            cls.set_up(things)
            super().setup_class()
            cls.things = things.pop_all()

    @classmethod
    def set_up(cls, things: ExitStack) -> None:
        """Set up what the contract runs against, and say how to reach it."""
        raise NotImplementedError

    @classmethod
    def teardown_class(cls) -> None:
        with cls.things:
            super().teardown_class()


class TestLocal(ConnectorContract):
    inventory = "@local"
    may_not_apply = RARE | {"su_password", "denied_files_are_errors"}


class _BusyBox(_WithThings):
    inventory = "@pipe/busybox"
    chroot: ClassVar[list[str]] = ["chroot"]

    @classmethod
    def set_up(cls, things: ExitStack) -> None:
        folder = Path(things.enter_context(tempfile.TemporaryDirectory(prefix="pyinfra-busybox-")))
        folder.chmod(0o755)
        root = things.enter_context(busybox_root(folder))
        cls.data = {"pipe_command": [*cls.chroot, str(root), "/bin/sh"]}


class TestPipeToBusyBox(_BusyBox):
    may_not_apply = (
        RARE | SUDO | PASSWORDS | {"rsync", "su_password", "denied_files_are_errors", "replaced_files_keep_attributes"}
    )


class TestPipeToBusyBoxAsOrdinaryUser(_BusyBox):
    chroot = ["chroot", "--userspec=65534:65534"]
    may_not_apply = RARE | SUDO | SU | PASSWORDS | OTHERS | {"rsync", "su_password", "replaced_files_keep_attributes"}


class _OverSSH(_WithThings):
    inventory = "@ssh/127.0.0.1"
    uid: ClassVar[int | None] = None

    @classmethod
    def set_up(cls, things: ExitStack) -> None:
        if not can_run_sshd():
            pytest.skip("needs OpenSSH's server")
        server = start_sshd()
        things.callback(server.close)
        user = server.add_user(uid=cls.uid)
        settings = server.folder / "ssh_config"
        settings.touch()
        known_hosts = str(server.folder / "known_hosts")
        cls.data = ssh_data(server, user, ssh_config_file=str(settings), ssh_known_hosts_file=known_hosts)
        cls.set_up_user(things, server, user)

    @classmethod
    def set_up_user(cls, things: ExitStack, server: SSHServer, user: User) -> None:
        """Give the log-in user rights, if it is to have any."""


def allow_sudo(things: ExitStack, user: User) -> None:
    """Let a user run anything with sudo that knows its password."""
    if shutil.which("sudo") is None:
        pytest.skip("needs sudo")
    rights = Path("/etc/sudoers.d") / user.name
    things.callback(rights.unlink, missing_ok=True)
    rights.touch(mode=0o440)
    rights.write_text(f"{user.name} ALL=(ALL:ALL) ALL\n")


class TestSSHAsOrdinaryUser(_OverSSH):
    may_not_apply = RARE | SUDO | SU | PASSWORDS | OTHERS | {"su_password"}


class TestSSHWithSudoPassword(_OverSSH):
    may_not_apply = RARE | SU | {"su_password"}

    @classmethod
    def set_up_user(cls, things: ExitStack, server: SSHServer, user: User) -> None:
        allow_sudo(things, user)
        cls.data = {**cls.data, "_sudo_password": user.password}


class TestSSHThroughSudo(_OverSSH):
    """Everything with sudo and a password."""

    may_not_apply = RARE | {"su_password", "denied_files_are_errors", "sudo", "use_sudo_login", "preserve_sudo_env"}

    @classmethod
    def set_up_user(cls, things: ExitStack, server: SSHServer, user: User) -> None:
        allow_sudo(things, user)
        cls.arguments = {"_sudo": True, "_sudo_password": user.password}


class TestSSHWithSuPassword(_OverSSH):
    may_not_apply = RARE | SUDO | SU

    @classmethod
    def set_up_user(cls, things: ExitStack, server: SSHServer, user: User) -> None:
        other = server.add_user()
        cls.data = {**cls.data, "_su_user": other.name, "_su_password": other.password}


class TestSSHAsRoot(_OverSSH):
    may_not_apply = RARE | {"su_password", "denied_files_are_errors"}
    # Not root's own log-in: its shell may be slow, and its settings are not ours
    uid = 0


# Shells of other makes behind a pipe: what may differ with them


@contextmanager
def connected(name: str) -> Iterator[Target]:
    """A host of an inventory, connected."""
    state = State(Inventory(([name], {})), Config())
    connect_all(state)
    try:
        with opened(next(iter(state.inventory))) as target:
            yield target
    finally:
        disconnect_all(state)


SHELL_SECTIONS = {"The session", "Facts in batches"}
SHELL_RULES = {
    *{"env", "exit_codes", "exit_codes_of_signals", "long_commands", "many_lines", "quotes"},
    *{"commands_that_are_too_long_fail", "time_out_of_what_floods", "background_processes_may_flood"},
    *{"stdin_forms", "stdin_is_empty_by_default", "commands_do_not_eat_what_follows", "get_pty_keeps_the_rest"},
    *{"lines_are_whole", "any_bytes_come_back", "time_out_ends_the_tree", "background_processes_do_not_spoil"},
    *{"any_names", "any_bytes", "symbolic_links_are_followed", "temporary_files_are_private", "time_outs_of_files"},
}


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh", "mksh", "ksh93", "zsh", "posh", "yash"])
def test_a_pipe_to_any_shell_holds_the_contract(shell: str) -> None:
    if shutil.which(shell.split()[0]) is None:
        pytest.skip(f"{shell} is not installed")
    rules = [rule for rule in RULES.values() if rule.section in SHELL_SECTIONS or rule.name in SHELL_RULES]
    with connected(f"@pipe/{shell}") as target:
        outcomes = list(check(target, rules))
    assert [outcome for outcome in outcomes if outcome.verdict != "held"] == []
