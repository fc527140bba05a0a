"""One large file, over SSH and on this machine, beside ``scp``."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ..process import Command, RunFailedError, Sample, run_measured
from ..ssh_hosts import scp, ssh_hosts
from ..work import DEPLOYS, MEGABYTE, Measure, Target, Work, times

GIBIBYTE = 1 << 30
BLOCK = 1 << 22


def _write_random(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        for _ in range(size // BLOCK):
            file.write(os.urandom(BLOCK))
        file.write(os.urandom(size % BLOCK))
    return path


def _copying(command: Command, source: Path, target: Path) -> Sample:
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


def _put(over_ssh: Callable[[str], Command], source: Path, target: Path) -> Callable[[str], Sample]:
    def run(pyinfra: str) -> Sample:
        command = over_ssh(pyinfra)
        data = ["--data", f"bench_source={source}", "--data", f"bench_target={target}"]
        return _copying(replace(command, argv=[command.argv[0], *data, *command.argv[1:]]), source, target)

    return run


@contextmanager
def _prepare(pyinfra: str) -> Iterator[list[Measure]]:
    with ssh_hosts(1) as hosts:
        large = _write_random(hosts.server.folder / "large", GIBIBYTE)
        small = _write_random(hosts.server.folder / "small", 1000)
        target = hosts.user.home / "copy"

        def over_ssh(path: str) -> Command:
            return hosts.deploy(path, "-y", deploy="put.py")

        def here(path: str) -> Command:
            return Command([path, "-y", "@local", str(DEPLOYS / "put.py")], folder=hosts.server.folder)

        yield [
            Measure("scp", lambda _: _copying(scp(hosts, large, target), large, target), False, False),
            Measure("over SSH", _put(over_ssh, large, target)),
            Measure("over SSH, 1 kB", _put(over_ssh, small, target)),
            Measure("on @local", _put(here, large, target)),
            Measure("on @local, 1 kB", _put(here, small, target)),
        ]


def _more_memory(label: str) -> Target:
    return Target(
        f"{label}: memory beyond that for 1 kB",
        lambda medians: (medians[label].memory - medians[f"{label}, 1 kB"].memory) / MEGABYTE,
        40,
        "MB",
    )


WORKS = [
    Work(
        name="put",
        title="files.put of 1 GiB of random bytes, whole process",
        prepare=_prepare,
        targets=(
            times("over SSH", "scp", "over SSH against scp", 1.3),
            times("on @local", "scp", "on @local against scp", 1.3),
            _more_memory("over SSH"),
            _more_memory("on @local"),
        ),
    )
]
