"""What tests of operations share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.busybox import busybox_path
from tests.support.run import Run, connected_run
from tests.support.sandbox import Sandbox, can_make_sandbox, sandbox


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Sandbox]:
    """A machine within this one that is gone with the test."""
    if not can_make_sandbox():
        pytest.skip("needs root, unshare and nsenter")
    with sandbox(tmp_path) as machine:
        yield machine


@pytest.fixture
def inside(machine: Sandbox) -> Iterator[Run]:
    """A run on that machine."""
    with connected_run("@pipe/machine", {"pipe_command": machine.shell}) as run:
        yield run


@pytest.fixture(scope="module", params=["sh", "bash", "busybox"])
def any_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A host with one of several shells, which see quotes and echo differently, or with BusyBox's programs."""
    settings: dict[str, Any] = {"SHELL": request.param}
    if request.param == "busybox":
        settings = {"SHELL": "busybox sh", "ENV": {"PATH": busybox_path(tmp_path_factory.mktemp("bin"))}}
    with connected_run(FACT_CACHE_SECONDS=0, **settings) as run:
        yield run


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """This machine, of which each fact is read when it is asked for."""
    with connected_run(FACT_CACHE_SECONDS=0) as run:
        yield run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of three lines."""
    path = tmp_path / "a file"
    path.write_text("one\ntwo\nthree\n")
    return path
