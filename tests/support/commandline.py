"""The command line, run as people run it: as a process of its own, in a folder of files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS_TO_RUN = 60


@dataclass(frozen=True)
class Ended:
    """How a run ended, and what it wrote."""

    exit_code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What people saw, without the spaces at the ends of lines."""
        return [line.rstrip() for line in self.err.splitlines()]

    @property
    def json(self) -> Any:
        """What programs saw."""
        return json.loads(self.out)

    def after(self, title: str) -> list[str]:
        """The lines from the stage of that title to the next empty line."""
        start = self.lines.index(f"--> {title}") + 1
        stop = next((at for at in range(start, len(self.lines)) if not self.lines[at]), len(self.lines))
        return self.lines[start:stop]


class Folder:
    """A folder in which ``pyinfra`` is run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> Path:
        """Write a file of Python, or of anything."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    @property
    def environment(self) -> dict[str, str]:
        """What runs find in their environment."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYINFRA_", "NO_COLOR"))}
        return {**kept, "PYINFRA_FAKE_DELAY": "0", "PYINFRA_FAKE_DELAY_JITTER": "0"}

    def run(self, *words: str, answers: str = "", **environment: str) -> Ended:
        """Run ``pyinfra`` with these words; ``answers`` is its standard input."""
        ended = subprocess.run(
            [sys.executable, "-m", "pyinfra_cli", *words],
            input=answers,
            capture_output=True,
            text=True,
            cwd=self.path,
            env={**self.environment, **environment},
            timeout=SECONDS_TO_RUN,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def shell(self, line: str) -> Ended:
        """Run a line of ``sh`` in the folder, in which ``pyinfra`` is a command."""
        ended = subprocess.run(
            ["sh", "-c", f'pyinfra() {{ "$python" -m pyinfra_cli "$@"; }}\n{line}'],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.path,
            env={**self.environment, "python": sys.executable},
            timeout=SECONDS_TO_RUN,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def python(self, text: str) -> Ended:
        """Run a program of Python in the folder."""
        ended = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(text)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.path,
            env=self.environment,
            timeout=SECONDS_TO_RUN,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)
