"""One large file, over SSH and on this machine, beside ``scp``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ..copies import GIBIBYTE, copying, more_memory, write_random
from ..process import Command, Sample
from ..ssh_hosts import scp, ssh_hosts
from ..work import DEPLOYS, Measure, Work, times


def _put(over_ssh: Callable[[str], Command], source: Path, target: Path) -> Callable[[str], Sample]:
    def run(pyinfra: str) -> Sample:
        command = over_ssh(pyinfra)
        data = ["--data", f"bench_source={source}", "--data", f"bench_target={target}"]
        return copying(replace(command, argv=[command.argv[0], *data, *command.argv[1:]]), source, target)

    return run


@contextmanager
def _prepare(pyinfra: str) -> Iterator[list[Measure]]:
    with ssh_hosts(1) as hosts:
        large = write_random(hosts.server.folder / "large", GIBIBYTE)
        small = write_random(hosts.server.folder / "small", 1000)
        target = hosts.user.home / "copy"

        def over_ssh(path: str) -> Command:
            return hosts.deploy(path, "-y", deploy="put.py")

        def here(path: str) -> Command:
            return Command([path, "-y", "@local", str(DEPLOYS / "put.py")], folder=hosts.server.folder)

        yield [
            Measure("scp", lambda _: copying(scp(hosts, large, target), large, target), False, False),
            Measure("over SSH", _put(over_ssh, large, target)),
            Measure("over SSH, 1 kB", _put(over_ssh, small, target)),
            Measure("on @local", _put(here, large, target)),
            Measure("on @local, 1 kB", _put(here, small, target)),
        ]


WORKS = [
    Work(
        name="put",
        title="files.put of 1 GiB of random bytes, whole process",
        prepare=_prepare,
        targets=(
            times("over SSH", "scp", "over SSH against scp", 1.3),
            times("on @local", "scp", "on @local against scp", 1.3),
            more_memory("over SSH"),
            more_memory("on @local"),
        ),
    )
]
