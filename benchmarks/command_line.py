"""The command line of the benchmarks: which works to run, how often, and where the figures go."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import datetime, timezone
from pathlib import Path

from .process import Command, RunFailedError, run_measured
from .report import as_json, as_table
from .rounds import Outcome, measure_work
from .works import WORKS


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/run", description="Measure pyinfra's speed and memory.")
    parser.add_argument("--only", metavar="NAME", action="append", choices=sorted(WORKS), help="this work; repeatable")
    parser.add_argument("--runs", metavar="N", type=int, default=5, help="how often to measure each thing (5)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write every run there")
    parser.add_argument("--against", metavar="PATH", help="another pyinfra executable to measure beside this one")
    parser.add_argument("--list", action="store_true", help="name the works and stop")
    return parser.parse_args()


def _version(pyinfra: str) -> str:
    return run_measured(Command([pyinfra, "--version"])).output.strip()


def _machine() -> dict[str, str | int | None]:
    return {
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def main() -> int:
    """Run the works asked for; 1 if one of them could not be measured."""
    arguments = _arguments()
    if arguments.list:
        for work in WORKS.values():
            print(f"{work.name:10} {work.title}")
        return 0
    here = str(Path(sys.executable).with_name("pyinfra"))
    executables = [here, *([arguments.against] if arguments.against else [])]
    try:
        versions = {path: _version(path) for path in executables}
    except (RunFailedError, OSError) as error:
        print(f"cannot run pyinfra: {error}", file=sys.stderr)
        return 1
    outcomes: list[Outcome] = []
    for name in arguments.only or WORKS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        outcomes.append(measure_work(WORKS[name], executables, arguments.runs))
        print(as_table(outcomes[-1:], versions), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(as_json(outcomes, versions, _machine()), indent=2) + "\n")
    failures = [outcome for outcome in outcomes if outcome.failure]
    for outcome in failures:
        print(f"{outcome.work.name}: {outcome.failure}", file=sys.stderr)
    return 1 if failures else 0
