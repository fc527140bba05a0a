"""A folder of a project, with a few operations and facts that need nothing but a host that answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commandline import Folder
from tests.support.terminals import Terminal

OPERATIONS = """
    from pyinfra import host
    from pyinfra.api import FactBase, operation


    class Word(FactBase):
        cacheable = True

        def command(self, word="one"):
            return f"say {word}"

        def process(self, output):
            return output


    class Broken(FactBase):
        def command(self):
            return "break; exit 4"

        def process(self, output):
            return output

        @staticmethod
        def default():
            return "none at all"


    @operation()
    def say(text, times=1):
        for _ in range(times):
            yield f"echo {text}"


    @operation()
    def nothing(why="all is well"):
        host.noop(why)
        return
        yield


    @operation()
    def fail(text="oops"):
        yield f"echo {text} >&2; exit 3"


    @operation()
    def read(word):
        host.get_fact(Word, word=word)
        return
        yield
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with a module ``things`` of operations and facts."""
    made = Folder(tmp_path)
    made.write("things.py", OPERATIONS)
    return made


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    """Terminals that are closed at the end."""
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.process.close(force=True)
