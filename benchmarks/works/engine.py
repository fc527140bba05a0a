"""The engine alone: hosts that answer at once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..process import Command
from ..work import DEPLOYS, Measure, Work, measure, megabytes_of, seconds_of, times


def _command(pyinfra: str, inventory: Path) -> Command:
    return Command(
        [pyinfra, "-y", str(inventory), str(DEPLOYS / "ten_operations.py")],
        environment={"PYINFRA_FAKE_DELAY": "0", "PYINFRA_FAKE_DELAY_JITTER": "0"},
        folder=inventory.parent,
    )


def _measure(count: int, inventory: Path) -> Measure:
    inventory.write_text(f'hosts = [f"@fake/host-{{number:04}}" for number in range({count})]\n')
    return measure(f"{count} hosts", lambda pyinfra: _command(pyinfra, inventory))


@contextmanager
def _prepare(_: str) -> Iterator[list[Measure]]:
    with tempfile.TemporaryDirectory(prefix="pyinfra-bench-") as folder:
        yield [_measure(count, Path(folder) / f"fake_{count}.py") for count in (1000, 3000)]


WORKS = [
    Work(
        name="engine",
        title="ten operations on @fake hosts without delay, -y, whole process",
        prepare=_prepare,
        targets=(
            seconds_of("1000 hosts", "1,000 hosts", 4),
            megabytes_of("1000 hosts", "1,000 hosts", 150),
            times("3000 hosts", "1000 hosts", "3,000 hosts against 1,000", 3.3),
        ),
    )
]
