"""The examples on the page about connectors: the tests of each connector run its own, as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "connectors.md"
# The longest hold a connector to the whole contract, or install packages
SECONDS = 300


def examples() -> dict[str, list[str]]:
    """The command lines of the page by the connector that they name; plain names are hosts of SSH."""
    found: dict[str, list[str]] = {}
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for line in re.findall(r"^\$ (.*)$", block, re.MULTILINE):
            named = re.search(r"@(\w+)", line)
            connector = "pipe" if "machines.py" in line else named[1] if named else "ssh"
            found.setdefault(connector, []).append(line)
    return found


def run_lines(text: str, folder: Path, environment: dict[str, str]) -> str:
    """Run lines of shell as somebody who answers yes to everything; they must end well. Returns what they printed."""
    done = subprocess.run(
        ["sh", "-euc", text],
        cwd=folder,
        env={**environment, "PYINFRA_YES": "true"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{text}\nended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def run_examples(connector: str, folder: Path, replaced: tuple[str, str] = ("", ""), **environment: str) -> str:
    """Run the examples of a connector, which must all end well; returns what they printed.

    Args:
        connector: its name
        folder: the working directory
        replaced: text of the command lines, and what is put in its place
        environment: variables
    """
    printed = []
    for line in examples()[connector]:
        path = f"{Path(sys.executable).parent}:{environment.get('PATH', os.environ['PATH'])}"
        text = line.replace(*replaced) if replaced[0] else line
        printed.append(run_lines(text, folder, {**os.environ, **environment, "PATH": path}))
    return "\n".join(printed)


def stand_in(folder: Path, name: str, script: str) -> None:
    """A program that this machine need not have, as a shell script."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
