"""``@nspawn/DIR`` and ``@nspawn/MACHINE``: root file systems and machines of systemd-nspawn."""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyinfra.api.exceptions import ConnectError, InventoryError

from .base import DataMeta
from .session import ProcessPipe, SessionConnector, SessionData
from .util import run_local_process

if TYPE_CHECKING:
    from pyinfra.api.host import Host
    from pyinfra.api.state import State

# What a shell finds there: nothing of this machine's
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "LANG": "C.UTF-8",
    "TERM": "xterm",
    "container": "systemd-nspawn",
}
# Runs in a tree for as long as we hold its input open
_KEEPER = "echo ready; read -r line"
_END_SECONDS = 10

# What the programs say, and what to do about it; the first that fits counts
_ADVICE = (
    (("Need to be root", "Operation not permitted", "Permission denied"), "run pyinfra as root, for example with sudo"),
    (
        ("is currently busy",),
        "another systemd-nspawn runs there: end it, or name its machine (`machinectl list`): @nspawn/MACHINE",
    ),
    (("execv", "Exec format error"), "there is no shell (/bin/sh) that runs here: install one in the tree"),
    (("No such file or directory", "is not a directory"), "nspawn_directory has to hold a root file system"),
    (
        ("doesn't look like", "does not look like"),
        "nspawn_directory has to hold a whole root file system, as debootstrap makes it",
    ),
    (
        ("No machine", "not known"),
        "`machinectl list` shows those that run, `machinectl start NAME` starts one; a folder has a slash in its name "
        "(@nspawn//NAME is /NAME)",
    ),
    (
        ("Failed to connect to bus", "System has not been booted with systemd"),
        "machines are known to systemd-machined, which does not run here: name the folder instead, @nspawn/DIR",
    ),
)


def _advised(said: str) -> str:
    """What a program said, with advice where there is any."""
    advice = next((f"; {advice}" for phrases, advice in _ADVICE if any(phrase in said for phrase in phrases)), "")
    return f"{said}{advice}"


def _require(program: str, package: str) -> str:
    """The path of a program, or :class:`ConnectError`."""
    path = shutil.which(program)
    if path is None:
        raise ConnectError(f"The program {program} is not in PATH on this machine: install {package}")
    return path


class NspawnData(SessionData):
    """The host data that ``@nspawn`` reads."""

    nspawn_directory: str
    nspawn_machine: str
    nspawn_arguments: list[str]


class NspawnConnector(SessionConnector):
    """Run in a folder that holds a root file system, or in a machine that runs: ``@nspawn/DIR``, ``@nspawn/MACHINE``.

    - A name with a slash in it is a folder, from ``/``: ``@nspawn/srv/tree`` is ``/srv/tree``. ``systemd-nspawn`` runs
      there from beginning to end of the connection, without booting, with its own processes and mounts.
    - A name without one is a machine that ``machinectl list`` shows. It goes on running at the end.

    Each shell enters the namespaces with ``nsenter``. Needs root. For example
    ``pyinfra @nspawn/srv/tree server.shell "apt-get install --yes curl"``, in a tree that
    ``debootstrap stable /srv/tree`` has made.
    """

    data_cls = NspawnData
    data_meta = {
        **SessionConnector.data_meta,
        "nspawn_directory": DataMeta("Folder that holds the root file system"),
        "nspawn_machine": DataMeta("Machine that runs, by the name that machinectl list shows"),
        "nspawn_arguments": DataMeta(
            "Further arguments of systemd-nspawn for a folder, a list of words such as ['--bind=/srv/cache']"
        ),
    }

    def __init__(self, state: State, host: Host) -> None:
        super().__init__(state, host)
        self._keeper: ProcessPipe | None = None
        self._leader = 0
        # When that began: its number may be another process's afterwards
        self._leader_began: int | None = None
        self._nsenter = ""

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield the host of that folder or machine."""
        if not name or not name.strip("/"):
            raise InventoryError("@nspawn needs a folder or a machine that runs: @nspawn/DIR or @nspawn/MACHINE")
        key, value = ("nspawn_directory", f"/{name.lstrip('/')}") if "/" in name else ("nspawn_machine", name)
        yield f"@nspawn/{name}", {key: value}, ["@nspawn"]

    def shell_argv(self) -> list[str]:
        """``nsenter`` with a shell, in an environment of its own; :class:`ConnectError` if the container has ended."""
        if not self._is_there():
            raise ConnectError(self._words_for_end())
        variables = [f"{name}={value}" for name, value in _ENVIRONMENT.items()]
        return ["env", "-i", *variables, self._nsenter, "--target", str(self._leader), "--all", "--", "sh"]

    def connect(self) -> None:
        """Find the machine, or start one in the folder, and open the first shell; or raise :class:`ConnectError`."""
        self._nsenter = _require("nsenter", "util-linux")
        try:
            if not self.data["nspawn_directory"]:
                self._leader = _leader_of(self.data["nspawn_machine"] or self.host.name.partition("/")[2])
                self._leader_began = _began(self._leader)
            elif self._keeper is None or self._keeper.exit_status() is not None:
                self._start(f"/{self.data['nspawn_directory'].lstrip('/')}")
            super().connect()
        except BaseException:
            self._stop()
            raise

    def reconnect(self) -> None:
        """Begin the session anew; what runs in the container goes on."""
        super().disconnect()
        self.connect()

    def disconnect(self) -> None:
        """End the shells; the container of a folder ends, with all that runs in it, a machine goes on."""
        try:
            super().disconnect()
        finally:
            self._stop()

    def explain_silence(self, why: str, said: str) -> str:
        """Why there is no shell: the container may be gone, or have none."""
        if not self._is_there():
            return self._words_for_end()
        if "failed to execute sh" in said:
            return f"There is no shell (sh) in it: install one in the tree, dash or busybox for example ({said})"
        return _advised(super().explain_silence(why, said))

    def _is_there(self) -> bool:
        """Whether the container's first process is still the one that was found."""
        return self._leader_began is not None and _began(self._leader) == self._leader_began

    def _words_for_end(self) -> str:
        what = self.data["nspawn_directory"] or self.data["nspawn_machine"] or self.host.name
        return f"The container of {what} has ended: see in its log why, and start it again"

    # The container of a folder

    def _start(self, directory: str) -> None:
        """Start a container that lasts until :meth:`_stop`, and find its first process."""
        program = _require("systemd-nspawn", "systemd-container")
        # pyinfra may run without systemd: there is nobody to register with, and no unit to make. The first process is
        # nspawn's own, which takes the status of orphans
        # /tmp is the tree's own, so that what lies there outlives a connection that is begun anew
        setting = ["env", "SYSTEMD_NSPAWN_TMPFS_TMP=0", program, "-D", directory]
        options = ["--quiet", "--register=no", "--keep-unit", "--console=pipe", "--as-pid2"]
        argv = [*setting, *options, *(self.data["nspawn_arguments"] or []), "/bin/sh", "-c", _KEEPER]
        keeper = self._keeper = ProcessPipe(argv)
        said = {1: b"", 2: b""}
        deadline = time.monotonic() + self.state.config.CONNECT_TIMEOUT
        try:
            while b"ready\n" not in said[1] and (chunk := keeper.receive(deadline - time.monotonic())) is not None:
                said[chunk[0]] += chunk[1]
            problem = said[2].decode("utf-8", "replace").strip() or f"exit status {keeper.exit_status()}"
        except TimeoutError:
            problem = f"nothing within {self.state.config.CONNECT_TIMEOUT} seconds"
        if b"ready\n" not in said[1]:
            self._stop()
            raise ConnectError(f"systemd-nspawn cannot run {directory}: {_advised(problem)}")
        self._leader = _first_process_below(keeper.pid)
        self._leader_began = _began(self._leader)

    def _stop(self) -> None:
        """End the container of a folder, if there is one."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        keeper.close_input()
        with suppress(TimeoutError):
            while keeper.receive(_END_SECONDS) is not None:
                pass
        keeper.close()


def _began(pid: int) -> int | None:
    """When a process began, in ticks of the system; ``None`` if there is none."""
    try:
        # What stands before it may have blanks and brackets in it
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return None


def _first_process_below(pid: int) -> int:
    """The child of a process that is the first one of a container."""
    outside = os.readlink("/proc/self/ns/pid")
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(OSError):
            if os.readlink(f"/proc/{child}/ns/pid") != outside:
                return int(child)
    raise ConnectError("systemd-nspawn has started, but no container of its own is to be found below its process")


def _leader_of(machine: str) -> int:
    """The first process of a machine, or :class:`ConnectError` if none of that name runs."""
    program = _require("machinectl", "systemd-container")
    code, output = run_local_process(shlex.join([program, "show", "--property=Leader", "--value", "--", machine]))
    leader = output.stdout.strip()
    if not leader.isdigit() or leader == "0":
        said = output.stderr.strip() or f"machinectl show ended with exit code {code}"
        raise ConnectError(f"No machine {machine} to run in: {_advised(said)}")
    return int(leader)
