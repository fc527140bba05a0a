"""One SSH host that is 50 ms away."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.delayproxy import DelayProxy

from ..ssh_hosts import ssh_hosts
from ..work import Measure, Work, measure, seconds_of

ROUND_TRIP_SECONDS = 0.05


@contextmanager
def _prepare(pyinfra: str) -> Iterator[list[Measure]]:
    with ssh_hosts(1) as hosts:
        proxy = DelayProxy((hosts.names[0], hosts.port), delay=ROUND_TRIP_SECONDS / 2)
        try:
            far = dataclasses.replace(hosts, names=["127.0.0.1"], port=proxy.port)
            far.write()
            far.settle(pyinfra)
            yield [
                measure("at once (-y)", lambda path: far.deploy(path, "-y")),
                measure("with detection and prompt", lambda path: far.deploy(path, answer="\n")),
            ]
        finally:
            proxy.close()


WORKS = [
    Work(
        name="far",
        title="one SSH host, 50 ms there and back, ten operations that change nothing, whole process",
        prepare=_prepare,
        targets=(
            seconds_of("at once (-y)", "-y", 1.5),
            seconds_of("with detection and prompt", "with detection and prompt", 1.5),
        ),
    )
]
