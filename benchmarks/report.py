"""The figures as a table for people and as JSON for programs."""

from __future__ import annotations

from typing import Any

from .process import Sample
from .rounds import Outcome
from .work import MEGABYTE, Median


def _row(cells: tuple[str, str, str, str, str]) -> str:
    label, seconds, spread, processor, memory = cells
    return f"    {label:52} {seconds:>9} {spread:>19} {processor:>10} {memory:>9}"


def _sample_row(label: str, samples: list[Sample]) -> str:
    middle = Median.of(samples)
    times = [sample.seconds for sample in samples]
    processor = sorted(sample.processor_seconds for sample in samples)[len(samples) // 2]
    digits = 4 if middle.seconds < 0.1 else 2
    return _row(
        (
            label,
            f"{middle.seconds:.{digits}f} s",
            f"{min(times):.{digits}f} – {max(times):.{digits}f}",
            f"{processor:.2f} s",
            f"{middle.memory / MEGABYTE:.0f} MB",
        )
    )


def as_table(outcomes: list[Outcome], versions: dict[str, str]) -> str:
    """Medians, spread, processor time and memory of each measure, and each target with what was reached."""
    lines = []
    for outcome in outcomes:
        lines.append(f"{outcome.work.name}: {outcome.work.title}")
        lines.append(_row(("", "median", "least – most", "processor", "memory")))
        for label, by_executable in outcome.samples.items():
            for executable, samples in by_executable.items():
                named = label if executable == "" or len(versions) == 1 else f"{label}, {executable}"
                lines.append(_sample_row(named, samples))
        for target in _targets(outcome, versions):
            verdict = "reached" if target["reached"] else "MISSED"
            whose = f", {target['executable']}" if len(versions) > 1 else ""
            lines.append(
                f"    {verdict}: {target['text']}{whose}: {target['value']:.4g} {target['unit']}"
                f" (at most {target['limit']:g} {target['unit']})"
            )
        if outcome.failure:
            lines.append(f"    FAILED: {outcome.failure.splitlines()[0]}")
        lines.append("")
    return "\n".join(lines)


def _targets(outcome: Outcome, versions: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for executable in versions:
        medians = outcome.medians(executable)
        if len(medians) < len(outcome.samples) or outcome.failure:
            continue
        for target in outcome.work.targets:
            value = target.value(medians)
            found.append(
                {
                    "text": target.text,
                    "executable": executable,
                    "value": value,
                    "limit": target.limit,
                    "unit": target.unit,
                    "reached": value <= target.limit,
                }
            )
    return found


def as_json(outcomes: list[Outcome], versions: dict[str, str], machine: dict[str, Any]) -> dict[str, Any]:
    """Every run of every measure, and the targets; executables are called ``this`` and ``other``, paths stay out."""
    names = dict(zip(versions, ("this", "other"), strict=False))
    works = []
    for outcome in outcomes:
        measures = [
            {
                "label": label,
                "executable": names.get(executable),
                "median_seconds": Median.of(samples).seconds,
                "median_bytes": Median.of(samples).memory,
                "runs": [
                    {"seconds": s.seconds, "bytes": s.memory, "processor_seconds": s.processor_seconds} for s in samples
                ],
            }
            for label, by_executable in outcome.samples.items()
            for executable, samples in by_executable.items()
        ]
        targets = [{**target, "executable": names[target["executable"]]} for target in _targets(outcome, versions)]
        works.append(
            {
                "name": outcome.work.name,
                "title": outcome.work.title,
                "failure": outcome.failure or None,
                "measures": measures,
                "targets": targets,
            }
        )
    return {"machine": machine, "versions": {names[path]: text for path, text in versions.items()}, "works": works}
