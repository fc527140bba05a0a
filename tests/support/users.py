"""Ordinary users of this machine with rights to become others, for tests of connectors."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("sudo", "su", "useradd", "chpasswd", "setpriv", "visudo")


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
def ordinary_user(sudo_rule: str = "") -> Iterator[OrdinaryUser]:
    """A user that exists until the block ends; ``sudo_rule`` is what follows ``NAME ALL=`` in sudoers."""
    user = OrdinaryUser(f"pit{secrets.token_hex(4)}", f"{secrets.token_hex(6)}'\" $x\\")
    sudoers = Path(f"/etc/sudoers.d/{user.name}")
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", user.name], check=True, capture_output=True)
    try:
        subprocess.run(["chpasswd"], input=f"{user.name}:{user.password}\n".encode(), check=True, capture_output=True)
        if sudo_rule:
            sudoers.touch(mode=0o440)
            sudoers.write_text(f"{user.name} ALL={sudo_rule}\n")
        yield user
    finally:
        sudoers.unlink(missing_ok=True)
        subprocess.run(["userdel", "--force", "--remove", user.name], check=False, capture_output=True)
        subprocess.run(["groupdel", user.name], check=False, capture_output=True)
