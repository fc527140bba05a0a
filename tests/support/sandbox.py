"""A machine within this one, for tests that change users, names and mounts: its own mounts, host name, /etc and /home.

Needs root and ``unshare``; :func:`can_make_sandbox` says whether that works here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

# What is not to be found inside: they would talk to the services of the machine outside
HIDDEN_PROGRAMS = ("hostnamectl", "timedatectl")


def can_make_sandbox() -> bool:
    """Whether this process may have mounts and a host name of its own."""
    if os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("nsenter") is None:
        return False
    trial = ["unshare", "--mount", "--uts", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


@dataclass
class Sandbox:
    """The machine inside, which lives as long as its first process."""

    pid: int

    @property
    def shell(self) -> list[str]:
        """The command line of a shell in it."""
        spaces = f"/proc/{self.pid}/ns"
        return ["nsenter", f"--mount={spaces}/mnt", f"--uts={spaces}/uts", "sh"]

    def run(self, command: str) -> str:
        """Run a shell command in it, and return its output."""
        done = subprocess.run([*self.shell, "-c", command], capture_output=True, text=True, check=True)
        return done.stdout


def _copy(source: str, target: str) -> None:
    # Others may be changing users meanwhile, which leaves files for a moment only
    with suppress(FileNotFoundError):
        shutil.copy2(source, target)


@contextmanager
def sandbox(folder: Path) -> Iterator[Sandbox]:
    """A machine that is gone with the block; ``folder`` holds its copy of /etc."""
    etc = folder / "etc"
    shutil.copytree("/etc", etc, symlinks=True, copy_function=_copy)
    empty = folder / "empty"
    empty.touch()
    steps = [f"mount --bind '{etc}' /etc", "mount -t tmpfs none /home"]
    programs = filter(None, map(shutil.which, HIDDEN_PROGRAMS))
    steps += [f"mount --bind '{empty}' '{os.path.realpath(program)}'" for program in programs]
    steps += ["hostname before", "echo ready", "read line"]
    command = ["unshare", "--mount", "--uts", "sh", "-c", " && ".join(steps)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n", "the sandbox could not be set up"
        yield Sandbox(process.pid)
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()
