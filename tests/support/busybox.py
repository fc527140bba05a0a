"""The programs of BusyBox in place of GNU's, as on Alpine and OpenWrt."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def busybox_path(folder: Path) -> str:
    """A ``PATH`` whose only programs are BusyBox's, linked into ``folder``; skips the test where there is none."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed")
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    for name in {*listed.stdout.split(), "busybox"}:
        (folder / name).symlink_to(busybox)
    return str(folder)
