"""A root file system with nothing in it but BusyBox, as a container of a few megabytes would have it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "urandom": (1, 9), "tty": (5, 0)}
_FILES = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    "group": "root:x:0:\nnogroup:x:65534:\n",
    "shells": "/bin/sh\n",
}


def make_busybox_root(folder: Path) -> Path:
    """The root file system, in ``folder``, with nothing mounted there. Needs root."""
    busybox = shutil.which("busybox")
    assert busybox is not None, "busybox-static is not installed"
    root = folder / "root"
    for name in ("bin", "etc", "dev", "proc", "root", "sys", "tmp", "usr", "var"):
        (root / name).mkdir(parents=True)
    root.chmod(0o755)
    (root / "tmp").chmod(0o1777)
    shutil.copy(busybox, root / "bin" / "busybox")
    programs = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for program in {*programs} - {"busybox"}:
        (root / "bin" / program).symlink_to("busybox")
    for name, text in _FILES.items():
        (root / "etc" / name).write_text(text)
    for name, numbers in _DEVICES.items():
        os.mknod(root / "dev" / name, stat.S_IFCHR | 0o666, os.makedev(*numbers))
        (root / "dev" / name).chmod(0o666)
    return root


@contextmanager
def busybox_root(folder: Path) -> Iterator[Path]:
    """The same with a ``/proc``, which is unmounted at the end."""
    root = make_busybox_root(folder)
    subprocess.run(["mount", "-t", "proc", "proc", str(root / "proc")], check=True)
    try:
        yield root
    finally:
        subprocess.run(["umount", "--lazy", str(root / "proc")], check=True)
