"""Running a work: a first round that checks, then rounds that count, the executables taking turns."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from .process import RunFailedError, Sample
from .work import Measure, Median, Work


@dataclass(slots=True)
class Outcome:
    """What was measured of a work: samples by measure and executable, and why it failed, if it did."""

    work: Work
    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    failure: str = ""

    def medians(self, executable: str) -> dict[str, Median]:
        """The medians for one executable; what is measured beside pyinfra is the same for all of them."""
        found = {}
        for label, by_executable in self.samples.items():
            samples = by_executable.get(executable) or by_executable.get("")
            if samples:
                found[label] = Median.of(samples)
        return found


def measure_work(work: Work, executables: list[str], runs: int) -> Outcome:
    """Measure a work ``runs`` times for each executable."""
    outcome = Outcome(work)
    try:
        with work.prepare(executables[0]) as measures:
            totals = _checked_totals(measures, executables)
            for number in range(runs):
                _measure_round(outcome, measures, executables if number % 2 == 0 else executables[::-1], totals)
    except RunFailedError as error:
        outcome.failure = str(error)
    return outcome


def _checked_totals(measures: list[Measure], executables: list[str]) -> dict[str, tuple[str, ...]]:
    """Run all once, uncounted: files get into the page cache, and all executables must report the same totals."""
    totals: dict[str, tuple[str, ...]] = {}
    for measure in measures:
        for executable in executables if measure.is_pyinfra else [""]:
            sample = measure.run(executable)
            if measure.checks_totals:
                _compare(totals.setdefault(measure.label, sample.totals), sample, f"{measure.label} by {executable}")
    return totals


def _compare(expected: tuple[str, ...], sample: Sample, what: str) -> None:
    if not sample.totals:
        tail = "\n".join(sample.output.splitlines()[-25:])
        raise RunFailedError(f"{what}: reported no totals\n{tail}")
    if sample.totals != expected:
        raise RunFailedError(f"{what}: reported the totals {sample.totals}, not {expected}: not the same work")


def _measure_round(
    outcome: Outcome, measures: list[Measure], executables: list[str], totals: dict[str, tuple[str, ...]]
) -> None:
    for measure in measures:
        by_executable = outcome.samples.setdefault(measure.label, {})
        for executable in executables if measure.is_pyinfra else [""]:
            sample = measure.run(executable)
            if measure.checks_totals:
                _compare(totals[measure.label], sample, f"{measure.label} by {executable}")
            by_executable.setdefault(executable, []).append(sample)
            print(f"    {measure.label}: {sample.seconds:.3f} s", file=sys.stderr, flush=True)
