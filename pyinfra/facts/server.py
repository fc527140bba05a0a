"""Facts about a machine itself: its system, users, processes, mounts, ports and settings."""

from __future__ import annotations

from datetime import datetime

from typing_extensions import override

from pyinfra.api import FactBase, QuoteString, StringCommand
from pyinfra.api.command import QuotePath


class User(FactBase[str]):
    """The name of the user that commands run as."""

    @override
    def command(self) -> str:
        return "id -un"


class Home(FactBase["str | None"]):
    """The home folder of ``user``, or of the user that commands run as; ``None`` if there is no such user."""

    @override
    def command(self, user: str = "") -> StringCommand:
        return StringCommand("echo", QuotePath(f"~{user}"))

    @override
    def process(self, output: list[str]) -> str | None:
        # A shell leaves a tilde that it can't expand as it is
        home = "\n".join(output)
        return None if home.startswith("~") else home


class Path(FactBase[str]):
    """The ``PATH`` that commands run with."""

    @override
    def command(self) -> str:
        return 'echo "$PATH"'


class TmpDir(FactBase[str]):
    """The first of ``$TMPDIR``, ``$TMP`` and ``$TEMP`` that is a writable folder; empty if none is."""

    @override
    def command(self) -> str:
        variables = ("TMPDIR", "TMP", "TEMP")
        tests = "\nel".join(
            f'if [ -n "${name}" ] && [ -d "${name}" ] && [ -w "${name}" ]; then\n    echo "${name}";'
            for name in variables
        )
        return f'{tests}\nelse\n    echo "";\nfi'


class Hostname(FactBase[str]):
    """The machine's name, as ``uname -n`` has it."""

    @override
    def command(self) -> str:
        return "uname -n"


class Command(FactBase[str]):
    """The output of any shell command; not remembered, each time it is asked for the command runs."""

    cacheable = False

    @override
    def command(self, command: str) -> str:
        return command


class Which(FactBase[str]):
    """The path of a program that the shell would run; empty or ``None`` if there is none."""

    @override
    def command(self, command: str) -> StringCommand:
        return StringCommand("command -v", QuoteString(command), "|| true")


class Date(FactBase[datetime]):
    """The machine's date and time, with its offset from UTC."""

    cacheable = False

    @staticmethod
    @override
    def default() -> datetime:
        return datetime.now()

    @override
    def command(self) -> str:
        return "date +'%Y-%m-%dT%H:%M:%S%z'"

    @override
    def process(self, output: list[str]) -> datetime:
        return datetime.strptime(output[0], "%Y-%m-%dT%H:%M:%S%z")
