"""A real LXD for tests: a daemon with a folder of its own, and an image that holds nothing but BusyBox.

Needs root and Debian's packages lxd and lxd-client; :func:`can_run_lxd` says whether they are there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from .busyboxroot import make_busybox_root

PROGRAMS = ("lxd", "lxc", "busybox", "umount", "tar")
_METADATA = """architecture: {machine}
creation_date: 1700000000
properties: {{description: BusyBox, os: busybox, release: "1"}}
"""
# Sleeps until it is told to stop
_INIT = """#!/bin/busybox sh
trap 'exit 0' TERM PWR INT
while :; do sleep 3600 & wait $!; done
"""


def can_run_lxd() -> bool:
    """Whether this process may run a daemon of its own."""
    return os.geteuid() == 0 and all(map(shutil.which, PROGRAMS))


@dataclass
class LXDServer:
    """A daemon, stopped by its process id; ``environment`` leads its client to it."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def environment(self) -> dict[str, str]:
        return {"LXD_DIR": str(self.folder / "lxd"), "LXD_CONF": str(self.folder / "client")}

    def run(self, *words: str) -> str:
        """Run the client, and return what it printed."""
        done = subprocess.run(
            ["lxc", *words],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode != 0:
            raise RuntimeError(f"lxc {' '.join(words)}: {done.stderr}\n{self.log}")
        return done.stdout

    @property
    def log(self) -> str:
        return (self.folder / "lxd.log").read_text()

    def root_of(self, instance: str) -> Path:
        """The root file system of an instance of the default project."""
        return self.folder / "lxd" / "storage-pools" / "pool" / "containers" / instance / "rootfs"

    def add_instance(self, name: str, *, project: str = "default", start: bool = True) -> None:
        """Make an instance of the image. It is a privileged one, which needs no ids of its own."""
        words = ["--project", project, "--storage", "pool", "--config", "security.privileged=true"]
        self.run("init", "busybox", name, *words)
        if start:
            self.run("start", name, "--project", project)

    def close(self) -> None:
        """Stop everything, and leave no mount and no file."""
        environment = {**os.environ, **self.environment}
        subprocess.run(["lxd", "shutdown", "--force"], env=environment, check=False, capture_output=True, timeout=120)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed([mount for mount in mounts if mount.startswith(f"{self.folder}/")]):
            subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def _make_image(folder: Path) -> Path:
    """The image as a tar file."""
    root = make_busybox_root(folder)
    shutil.move(root, folder / "rootfs")
    (folder / "rootfs" / "sbin").mkdir()
    init = folder / "rootfs" / "sbin" / "init"
    init.write_text(_INIT)
    init.chmod(0o755)
    (folder / "metadata.yaml").write_text(_METADATA.format(machine=os.uname().machine))
    image = folder / "image.tar"
    subprocess.run(["tar", "-C", str(folder), "-cf", str(image), "metadata.yaml", "rootfs"], check=True)
    return image


def start_lxd() -> LXDServer:
    """A running daemon with a storage pool and the image ``busybox``."""
    # In /tmp whatever TMPDIR says: its socket's path must not be long
    folder = Path(tempfile.mkdtemp(prefix="pyinfra-lxd-", dir="/tmp"))
    for name in ("lxd", "image", "client"):
        (folder / name).mkdir()
    folder.chmod(0o711)
    environment = {**os.environ, "LXD_DIR": str(folder / "lxd"), "LXD_CONF": str(folder / "client")}
    with (folder / "lxd.log").open("wb") as log:
        process = subprocess.Popen(
            ["lxd", "--group", "root"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    server = LXDServer(folder, process)
    try:
        deadline = time.monotonic() + 60
        ready = ["lxd", "waitready", "--timeout", "5"]
        while subprocess.run(ready, env=environment, check=False, capture_output=True).returncode != 0:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"lxd did not start:\n{server.log}")
        server.run("storage", "create", "pool", "dir")
        server.run("image", "import", str(_make_image(folder / "image")), "--alias", "busybox")
    except BaseException:
        server.close()
        raise
    return server
