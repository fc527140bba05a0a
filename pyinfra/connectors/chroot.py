"""``@chroot/DIR``: a folder that holds a root file system."""

from __future__ import annotations

import math
import os
import shlex
import shutil
from collections.abc import Iterator
from typing import Any

from pyinfra import logger
from pyinfra.api.exceptions import ConnectError, InventoryError

from .base import DataMeta
from .session import SessionConnector, SessionData
from .util import run_local_process

# What a shell finds in a tree: nothing of this machine's, such as a TMPDIR that is no folder there
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "LANG": "C.UTF-8",
    "TERM": "xterm",
}

# What chroot says, and what that means; the first that fits counts
_ADVICE = (
    ("Operation not permitted", "only root may change the root directory: run pyinfra as root, for example with sudo"),
    ("cannot change root directory", "chroot_directory, or what follows @chroot/, has to be a folder of this machine"),
    ("Exec format error", "its programs are for another kind of machine: install qemu-user-static to run them here"),
    (
        "No such file or directory",
        "it lacks the program ls, or what ls needs: a root file system has to be complete, as debootstrap makes it",
    ),
)


class ChrootData(SessionData):
    """The host data that ``@chroot`` reads."""

    chroot_directory: str


class ChrootConnector(SessionConnector):
    """Run in a folder of this machine that holds a root file system: ``@chroot/DIR``. Needs root.

    A relative path means one from ``/``: ``@chroot/srv/tree`` is ``/srv/tree``, and so is ``@chroot//srv/tree``.
    Nothing is mounted there: who needs ``/proc`` or ``/dev`` mounts them before, or uses ``@nspawn``. Of this machine's
    environment nothing is handed on.

    For example ``pyinfra @chroot/srv/tree server.shell "apt-get install --yes curl"``, in a tree that
    ``debootstrap stable /srv/tree`` made.
    """

    data_cls = ChrootData
    data_meta = {
        **SessionConnector.data_meta,
        "chroot_directory": DataMeta("Folder that holds the root file system; the name after @chroot/ by default"),
    }

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield the host of that folder."""
        if not name or not name.strip("/"):
            raise InventoryError("@chroot needs a folder with a root file system in it: @chroot/DIR")
        logger.warning("The @chroot connector is in beta!")
        yield f"@chroot/{name}", {"chroot_directory": f"/{name.lstrip('/')}"}, ["@chroot"]

    @property
    def directory(self) -> str:
        """The folder, from ``/``."""
        given = self.data["chroot_directory"] or self.host.name.partition("/")[2]
        return f"/{given.lstrip('/')}"

    def _argv(self, program: str) -> list[str]:
        variables = [f"{name}={value}" for name, value in _ENVIRONMENT.items()]
        return ["env", "-i", *variables, shutil.which("chroot") or "chroot", self.directory, program]

    def shell_argv(self) -> list[str]:
        """``chroot`` with a shell, in an environment of its own."""
        return self._argv("sh")

    def connect(self) -> None:
        """See that programs run there and open the first shell, or raise :class:`ConnectError`."""
        if shutil.which("chroot") is None:
            where = "it is part of coreutils, and may be in /usr/sbin"
            raise ConnectError(f"The program chroot is not in PATH on this machine: {where}")
        seconds = math.ceil(self.state.config.CONNECT_TIMEOUT)
        try:
            code, output = run_local_process(shlex.join(self._argv("ls")), timeout=seconds)
        except TimeoutError as error:
            why = f"what is mounted there may be gone: `findmnt --target {shlex.quote(self.directory)}` shows it"
            raise ConnectError(f"{self.directory} did not answer within {seconds} seconds: {why}") from error
        if code != 0:
            said = output.stderr or f"chroot {self.directory} ls ended with exit code {code}"
            advice = next((f"; {advice}" for words, advice in _ADVICE if words in said), "")
            raise ConnectError(f"Cannot run programs in {self.directory}: {said}{advice}")
        super().connect()

    def explain_silence(self, why: str, said: str) -> str:
        """Why there is no shell: the folder may be gone, or have none."""
        if not os.path.isdir(self.directory):
            return f"{self.directory} is gone, or no folder any more: make the root file system again"
        if "sh" in said and "No such file or directory" in said:
            return f"There is no shell (sh) in {self.directory}: install one, such as dash or busybox ({said})"
        return super().explain_silence(why, said)
