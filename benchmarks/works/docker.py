"""A container of this machine that runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.dockerd import docker_engine, missing_for_docker

from ..copies import GIBIBYTE, copying, more_memory, write_random
from ..process import Command, RunFailedError, Sample, run_measured
from ..work import DEPLOYS, Measure, Work, measure, seconds_of


@contextmanager
def _prepare(pyinfra: str) -> Iterator[list[Measure]]:
    missing = missing_for_docker()
    if missing:
        raise RunFailedError(f"the works with Docker lack {', '.join(missing)}: on Debian, apt-get install docker.io")
    with docker_engine() as engine:
        shared = engine.folder / "shared"
        shared.mkdir()
        name = engine.start_container("--volume", f"{shared}:/shared")

        def command(path: str, deploy: str, *options: str) -> Command:
            argv = [path, "-y", *options, f"@docker/{name}", str(DEPLOYS / deploy)]
            return Command(argv, environment={"DOCKER_HOST": engine.address}, folder=engine.folder)

        def put(source: Path) -> Callable[[str], Sample]:
            data = ["--data", f"bench_source={source}", "--data", "bench_target=/shared/copy"]
            return lambda path: copying(command(path, "put.py", *data), source, shared / "copy")

        run_measured(command(pyinfra, "ten_operations.py"))
        yield [
            measure("ten operations", lambda path: command(path, "ten_operations.py")),
            Measure("1 GiB", put(write_random(engine.folder / "large", GIBIBYTE))),
            Measure("1 GiB, 1 kB", put(write_random(engine.folder / "small", 1000))),
        ]


WORKS = [
    Work(
        name="docker",
        title="one running container: ten operations that change nothing, files.put of 1 GiB, whole process",
        prepare=_prepare,
        targets=(seconds_of("ten operations", "-y", 0.7), more_memory("1 GiB")),
    )
]
