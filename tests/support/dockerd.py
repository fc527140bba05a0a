"""A Docker engine for tests: a ``dockerd`` of its own, with an image of BusyBox alone.

Needs root and Debian's ``docker.io``; :func:`missing_for_docker` says what is not there.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.busyboxroot import busybox_root

IMAGE = "pyinfra-test"
_START_SECONDS = 60
_STOP_SECONDS = 30


def missing_for_docker() -> list[str]:
    """What such an engine needs and this machine lacks."""
    missing = [program for program in ("dockerd", "docker", "busybox", "tar") if not shutil.which(program)]
    return missing if os.geteuid() == 0 else [*missing, "root"]


@dataclass(frozen=True)
class DockerEngine:
    """An engine that runs until the block ends, and what it has."""

    folder: Path

    @property
    def address(self) -> str:
        """Where it listens, for ``DOCKER_HOST``."""
        return f"unix://{self.folder}/docker.sock"

    def run(self, *words: str) -> str:
        """What ``docker`` with these arguments prints."""
        done = subprocess.run(
            ["docker", "--host", self.address, *words], capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, f"docker {words}: {done.stderr}"
        return done.stdout.strip()

    def start_container(self, *options: str, name: str = "") -> str:
        """Start a container that does nothing; returns its name."""
        name = name or f"pit-{secrets.token_hex(4)}"
        self.run("run", "-d", "--network", "host", "--name", name, *options, IMAGE, "tail", "-f", "/dev/null")
        return name

    def containers(self) -> dict[str, str]:
        """The states of all containers, by name: ``running``, ``exited`` …"""
        lines = self.run("ps", "--all", "--format", "{{.Names}} {{.State}}").splitlines()
        return {line.split()[0]: line.split()[1] for line in lines}

    def remove_containers(self) -> None:
        """Remove all containers."""
        identifiers = self.run("ps", "--all", "--quiet").split()
        if identifiers:
            self.run("rm", "--force", *identifiers)

    def import_image(self, folder: Path, name: str, *changes: str, path: str = ".") -> str:
        """Make an image of a folder, or of one path in it."""
        tar = subprocess.Popen(
            ["tar", "--one-file-system", "-C", str(folder), "-c", path],
            stdout=subprocess.PIPE,
        )
        options = [word for change in changes for word in ("--change", change)]
        subprocess.run(
            ["docker", "--host", self.address, "import", *options, "-", name],
            stdin=tar.stdout,
            check=True,
            capture_output=True,
        )
        assert tar.wait() == 0
        return name


def engine_in_use() -> DockerEngine:
    """The engine that ``DOCKER_HOST`` names."""
    return DockerEngine(Path(os.environ["DOCKER_HOST"].removeprefix("unix://")).parent)


@contextmanager
def docker_engine() -> Iterator[DockerEngine]:
    """An engine with the image :data:`IMAGE`, gone with the block, and all its containers too."""
    folder = Path(tempfile.mkdtemp(prefix="pyinfra-dockerd-"))
    log = (folder / "log").open("wb")
    # No bridge and no iptables: those are the machine's. vfs: it works on every file system
    process = subprocess.Popen(
        [
            *("dockerd", "--iptables=false", "--bridge=none", "--storage-driver=vfs"),
            *("--host", f"unix://{folder}/docker.sock", "--pidfile", str(folder / "pid")),
            *("--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")),
        ],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    engine = DockerEngine(folder)
    try:
        _wait_until_it_answers(engine, process)
        # For all users of this machine
        folder.chmod(0o755)
        (folder / "docker.sock").chmod(0o666)
        with busybox_root(folder) as root:
            engine.import_image(root, IMAGE, 'CMD ["sh"]')
            engine.import_image(root, f"{IMAGE}-entrypoint", 'ENTRYPOINT ["echo", "no luck"]')
            engine.import_image(root, f"{IMAGE}-empty", path="./etc")
        yield engine
        engine.remove_containers()
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()
        # What it leaves mounted
        for name in ("exec/netns/default", "data"):
            subprocess.run(["umount", "--lazy", str(folder / name)], capture_output=True, check=False)
        shutil.rmtree(folder)


def _wait_until_it_answers(engine: DockerEngine, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while subprocess.run(["docker", "--host", engine.address, "version"], capture_output=True, check=False).returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"dockerd did not start:\n{(engine.folder / 'log').read_text(errors='replace')[-3000:]}")
        time.sleep(0.1)
