"""The benchmarks themselves: they measure whole processes, check totals and take turns."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.process import Command, RunFailedError, run_measured
from benchmarks.report import as_json, as_table
from benchmarks.rounds import measure_work
from benchmarks.work import Measure, Work, beside, measure, times, without_preparation
from benchmarks.works import WORKS

ROOT = Path(__file__).parent.parent
# Takes some 50 MB for a moment
GREEDY = "x = b'x' * 50_000_000; print(len(x))"


def executable(path: Path, totals: str) -> str:
    """A program that reports these totals, and notes in a log beside it that it ran."""
    path.write_text(f"#!/bin/sh\necho {path.name} >> {path.parent}/log\necho '    Grand total   {totals}'\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def work(*measures: Measure) -> Work:
    """A work that needs nothing, with a target that compares its first two measures."""
    target = times(measures[0].label, measures[-1].label, "first against last", 1000)
    return Work("some", "some work", lambda _: without_preparation(list(measures)), (target,))


def test_a_process_is_measured_with_its_own_memory_not_that_of_whoever_started_it() -> None:
    ballast = b"x" * 200_000_000
    small = run_measured(Command([sys.executable, "-S", "-c", "print('x')"]))
    large = run_measured(Command([sys.executable, "-S", "-c", GREEDY]))
    assert len(ballast) > small.memory
    assert 40_000_000 < large.memory - small.memory < 80_000_000
    assert large.output == "50000000\n"
    assert large.seconds > 0
    assert large.processor_seconds > 0


def test_a_process_that_fails_is_an_error_with_what_it_said() -> None:
    with pytest.raises(RunFailedError, match=r"exit code 3 from: sh -c .*\nno luck"):
        run_measured(Command(["sh", "-c", "echo no luck >&2; exit 3"]))


def test_what_is_answered_reaches_the_process() -> None:
    assert run_measured(Command(["cat"], answer="yes\n")).output == "yes\n"


@pytest.mark.parametrize(
    ("line", "totals"),
    [
        ("    Grand total   30      27        -       3           ", ("30", "27", "-", "3")),
        ("    Grand total   1 (a)   1         -       -  ", ("1", "1", "-", "-")),
        ("    Total         1", ()),
    ],
)
def test_totals_are_read_from_a_runs_last_table(line: str, totals: tuple[str, ...]) -> None:
    assert run_measured(Command(["printf", "%s\n", "Grand total", line])).totals == totals


def test_two_executables_take_turns_after_one_round_that_does_not_count(tmp_path: Path) -> None:
    one, two = executable(tmp_path / "one", "3 3 - -"), executable(tmp_path / "two", "3 3 - -")
    outcome = measure_work(
        work(measure("runs", lambda path: Command([path])), beside("beside", Command(["true"]))), [one, two], 3
    )
    assert outcome.failure == ""
    assert (tmp_path / "log").read_text().split() == ["one", "two", "one", "two", "two", "one", "one", "two"]
    assert {path: len(samples) for path, samples in outcome.samples["runs"].items()} == {one: 3, two: 3}
    assert len(outcome.samples["beside"][""]) == 3


def test_executables_whose_totals_differ_are_not_measured(tmp_path: Path) -> None:
    one, two = executable(tmp_path / "one", "3 3 - -"), executable(tmp_path / "two", "3 2 1 -")
    outcome = measure_work(work(measure("runs", lambda path: Command([path]))), [one, two], 3)
    assert "reported the totals ('3', '2', '1', '-'), not ('3', '3', '-', '-')" in outcome.failure
    assert outcome.samples == {}


def test_a_run_without_totals_is_not_taken_for_work_done(tmp_path: Path) -> None:
    outcome = measure_work(work(measure("runs", lambda path: Command([path, "x"]))), ["/bin/echo"], 1)
    assert "reported no totals" in outcome.failure


def test_the_figures_are_shown_and_written_whole(tmp_path: Path) -> None:
    one = executable(tmp_path / "one", "3 3 - -")
    outcome = measure_work(
        work(measure("runs", lambda path: Command([path])), beside("beside", Command(["true"]))), [one], 2
    )
    table = as_table([outcome], {one: "1"})
    assert "some: some work" in table
    assert "reached: first against last" in table
    data = json.loads(json.dumps(as_json([outcome], {one: "1"}, {"cores": 2})))
    (written,) = data["works"]
    assert [len(each["runs"]) for each in written["measures"]] == [2, 2]
    assert written["targets"][0]["reached"] is True


def test_every_work_has_targets_and_a_name_of_its_own() -> None:
    assert {"start", "engine", "ssh", "far", "put", "session"} <= set(WORKS)
    assert all(name == each.name for name, each in WORKS.items())
    assert all(each.targets for each in WORKS.values())


def test_the_command_line_measures_the_pyinfra_beside_its_python(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "run"), "--only", "start", "--runs", "1", "--json", str(figures)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "one server.shell on @local" in done.stdout
    (written,) = json.loads(figures.read_text())["works"]
    assert [each["label"] for each in written["measures"]] == ["version", "one command"]
