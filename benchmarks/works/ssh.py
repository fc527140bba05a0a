"""A hundred hosts over SSH, in a run that changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..ssh_hosts import ssh_hosts
from ..work import Measure, Work, beside, measure, times

HOSTS = 100


@contextmanager
def _prepare(pyinfra: str) -> Iterator[list[Measure]]:
    with ssh_hosts(HOSTS) as hosts:
        hosts.settle(pyinfra)
        yield [
            beside("the floor", hosts.floor(pyinfra)),
            measure("at once (-y)", lambda path: hosts.deploy(path, "-y")),
            measure("with detection and prompt", lambda path: hosts.deploy(path, answer="\n")),
        ]


WORKS = [
    Work(
        name="ssh",
        title=f"{HOSTS} loopback SSH hosts, ten operations that change nothing, whole process",
        prepare=_prepare,
        targets=(
            times("at once (-y)", "the floor", "-y against the floor: log-ins, the commands in a shell", 1.5),
            times("with detection and prompt", "at once (-y)", "with detection and prompt against -y", 1.2),
        ),
    )
]
