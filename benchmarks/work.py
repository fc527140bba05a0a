"""What a work is: things to measure side by side, and what the medians must reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from .process import Command, Sample, run_measured

DEPLOYS = Path(__file__).with_name("deploys")
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that a work measures in each round.

    Args:
        label: its name in the table
        run: runs it once, given the path of a ``pyinfra`` executable
        is_pyinfra: whether it is about pyinfra, so that another pyinfra can be put beside it
        checks_totals: whether its output ends with a run's totals, which have to be the same for both
    """

    label: str
    run: Callable[[str], Sample]
    is_pyinfra: bool = True
    checks_totals: bool = True


@dataclass(frozen=True, slots=True)
class Median:
    """The medians of one measure's runs: seconds, bytes."""

    seconds: float
    memory: float

    @classmethod
    def of(cls, samples: list[Sample]) -> Median:
        """The medians of these runs."""
        return cls(median(sample.seconds for sample in samples), median(sample.memory for sample in samples))


@dataclass(frozen=True, slots=True)
class Target:
    """A number that must be reached: computed from the medians of the measures, at most ``limit``."""

    text: str
    value: Callable[[Mapping[str, Median]], float]
    limit: float
    unit: str


@dataclass(frozen=True, slots=True)
class Work:
    """A work: what it needs while it runs (``prepare`` gives its measures), and its targets."""

    name: str
    title: str
    prepare: Callable[[str], AbstractContextManager[list[Measure]]]
    targets: tuple[Target, ...]


def seconds_of(label: str, text: str, limit: float) -> Target:
    """A target for the time of one measure."""
    return Target(text, lambda medians: medians[label].seconds, limit, "s")


def megabytes_of(label: str, text: str, limit: float) -> Target:
    """A target for the memory of one measure."""
    return Target(text, lambda medians: medians[label].memory / MEGABYTE, limit, "MB")


def times(label: str, other: str, text: str, limit: float) -> Target:
    """A target for how many times as long one measure takes as another."""
    return Target(text, lambda medians: medians[label].seconds / medians[other].seconds, limit, "×")


def measure(label: str, command: Callable[[str], Command], *, checks_totals: bool = True) -> Measure:
    """A measure of a command line of pyinfra."""
    return Measure(label, lambda pyinfra: run_measured(command(pyinfra)), checks_totals=checks_totals)


def beside(label: str, command: Command) -> Measure:
    """A measure of another program, to compare with."""
    return Measure(label, lambda _: run_measured(command), is_pyinfra=False, checks_totals=False)


@contextmanager
def without_preparation(measures: list[Measure]) -> Iterator[list[Measure]]:
    """The measures of a work that needs nothing prepared."""
    yield measures
