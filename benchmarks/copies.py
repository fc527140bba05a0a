"""Copies of large files, for the works that measure them."""

from __future__ import annotations

import filecmp
import os
from pathlib import Path

from .process import Command, RunFailedError, Sample, run_measured
from .work import MEGABYTE, Target

GIBIBYTE = 1 << 30
BLOCK = 1 << 22


def write_random(path: Path, size: int) -> Path:
    """Fill a file with random bytes; returns its path."""
    with path.open("wb") as file:
        for _ in range(size // BLOCK):
            file.write(os.urandom(BLOCK))
        file.write(os.urandom(size % BLOCK))
    return path


def copying(command: Command, source: Path, target: Path) -> Sample:
    """Measure a command that makes a copy; one that is not the same is an error, and it is gone afterwards."""
    try:
        sample = run_measured(command)
        if not filecmp.cmp(source, target, shallow=False):
            raise RunFailedError(f"{target} is not what was sent by: {' '.join(command.argv)}")
    finally:
        target.unlink(missing_ok=True)
    # What was written goes to the disk now, not during the next measurement
    os.sync()
    return sample


def more_memory(label: str) -> Target:
    """A target for the memory that a large file takes beyond what one of 1 kB does, which has a measure of its own."""
    return Target(
        f"{label}: memory beyond that for 1 kB",
        lambda medians: (medians[label].memory - medians[f"{label}, 1 kB"].memory) / MEGABYTE,
        40,
        "MB",
    )
