"""What one command costs in a session, beyond what it takes itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ..process import Command, Sample, run_measured
from ..ssh_hosts import ssh_hosts
from ..work import Measure, Work, seconds_of

ONE_COMMAND = Path(__file__).parents[1] / "one_command.py"


def _one_command(*arguments: str) -> Callable[[str], Sample]:
    def run(pyinfra: str) -> Sample:
        python = str(Path(pyinfra).with_name("python"))
        sample = run_measured(Command([python, str(ONE_COMMAND), *arguments]))
        return replace(sample, seconds=float(sample.output.split()[-1]))

    return run


@contextmanager
def _prepare(_: str) -> Iterator[list[Measure]]:
    with ssh_hosts(1) as hosts:
        over_ssh = [hosts.names[0], str(hosts.port), hosts.user.name, str(hosts.user.key)]
        yield [
            Measure("on @local", _one_command("@local"), checks_totals=False),
            Measure("over SSH", _one_command(*over_ssh), checks_totals=False),
        ]


WORKS = [
    Work(
        name="session",
        title="one command in an open session, beyond what it takes itself",
        prepare=_prepare,
        targets=(seconds_of("on @local", "on @local", 0.004), seconds_of("over SSH", "over SSH", 0.004)),
    )
]
