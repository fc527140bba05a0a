"""What a run costs before it does anything."""

from __future__ import annotations

from ..process import Command
from ..work import Work, measure, seconds_of, without_preparation

WORKS = [
    Work(
        name="start",
        title="whole process: the version; one command on this machine",
        prepare=lambda _: without_preparation(
            [
                measure("version", lambda path: Command([path, "--version"]), checks_totals=False),
                measure("one command", lambda path: Command([path, "-y", "@local", "server.shell", "echo hello"])),
            ]
        ),
        targets=(
            seconds_of("version", "pyinfra --version", 0.20),
            seconds_of("one command", "one server.shell on @local", 0.60),
        ),
    )
]
