"""Whole processes, measured: wall time, processor time, and the memory of the largest of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

MEASURED = Path(__file__).with_name("measured.py")
# What a run reports at its end: hosts, successes, errors, no changes
TOTALS = re.compile(r"^\s*Grand total((?:\s+(?:\d+|-)(?: \([^)]*\))?)+)\s*$", re.MULTILINE)
LONGEST_RUN_SECONDS = 900


class RunFailedError(Exception):
    """A measured command did not do what it should: its output says why."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command line to measure.

    Args:
        argv: the program and its arguments
        answer: what it reads on standard input
        environment: variables on top of this process's
        folder: where it runs
    """

    argv: list[str]
    answer: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: seconds from start to end, bytes of memory at the most, seconds of processor time, and its output."""

    seconds: float
    memory: int
    processor_seconds: float
    output: str

    @property
    def totals(self) -> tuple[str, ...]:
        """The numbers of the line ``Grand total``, empty where there is none."""
        found = TOTALS.findall(self.output)
        return tuple(re.sub(r"\([^)]*\)", "", found[-1]).split()) if found else ()


def run_measured(command: Command) -> Sample:
    """Run a command once; one that fails is a :class:`RunFailedError`."""
    with tempfile.NamedTemporaryFile("r", prefix="pyinfra-bench-") as report:
        done = subprocess.run(
            [sys.executable, "-S", "-E", str(MEASURED), report.name, *command.argv],
            input=command.answer,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "NO_COLOR": "1", "PYINFRA_PROGRESS": "off", **command.environment},
            cwd=command.folder,
            timeout=LONGEST_RUN_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            tail = "\n".join(done.stdout.splitlines()[-25:])
            raise RunFailedError(f"exit code {done.returncode} from: {' '.join(command.argv)}\n{tail}")
        seconds, memory, processor_seconds = report.read().split()
    return Sample(float(seconds), int(memory), float(processor_seconds), done.stdout)
