"""Ordinary users of this machine with rights to become others, for tests of connectors."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("sudo", "su", "useradd", "chpasswd", "setpriv", "visudo")
MARK = "pyinfra test of process"
SUDOERS = Path("/etc/sudoers.d")


def add_account(name: str, *options: str) -> None:
    """Make an account that says which process it is for, so that it can be removed when that was killed."""
    comment = f"{MARK} {os.getpid()}"
    subprocess.run(["useradd", "--comment", comment, *options, name], check=True, capture_output=True)


def remove_account(name: str) -> None:
    """Remove an account, its group, its home and its rights."""
    (SUDOERS / name).unlink(missing_ok=True)
    subprocess.run(["userdel", "--force", "--remove", name], check=False, capture_output=True)
    subprocess.run(["groupdel", name], check=False, capture_output=True)


def remove_orphans() -> None:
    """Remove the accounts of tests that were killed before they could do so themselves."""
    for entry in pwd.getpwall():
        mark, _, process = entry.pw_gecos.rpartition(" ")
        if mark == MARK and not Path("/proc", process).exists():
            remove_account(entry.pw_name)


@dataclass(frozen=True)
class OrdinaryUser:
    """A user with a password."""

    name: str
    password: str

    @property
    def shell(self) -> list[str]:
        """The command line of a shell that this user runs."""
        return ["setpriv", "--reuid", self.name, "--regid", self.name, "--init-groups", "--reset-env", "sh"]


def missing_programs() -> list[str]:
    """What is not installed of that which these users need."""
    return [program for program in PROGRAMS if not shutil.which(program)]


@contextmanager
def ordinary_user(sudo_rule: str = "", shell: str = "/bin/sh") -> Iterator[OrdinaryUser]:
    """A user that exists until the block ends; ``sudo_rule`` is what follows ``NAME ALL=`` in sudoers."""
    user = OrdinaryUser(f"pit{secrets.token_hex(4)}", f"{secrets.token_hex(6)}'\" $x\\")
    add_account(user.name, "--create-home", "--shell", shell)
    try:
        subprocess.run(["chpasswd"], input=f"{user.name}:{user.password}\n".encode(), check=True, capture_output=True)
        if sudo_rule:
            sudoers = SUDOERS / user.name
            sudoers.touch(mode=0o440)
            sudoers.write_text(f"{user.name} ALL={sudo_rule}\n")
        yield user
    finally:
        remove_account(user.name)
