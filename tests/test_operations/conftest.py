"""What tests of operations share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

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
