"""What most others need to know first: the user, the shell's surroundings, the kernel, programs, time."""

from __future__ import annotations

from datetime import datetime

from typing_extensions import override

from pyinfra import host
from pyinfra.api import FactBase, QuoteString, StringCommand
from pyinfra.api.command import QuotePath


class User(FactBase[str]):
    """The name of the user that commands run as."""

    __module__ = "pyinfra.facts.server"

    @override
    def command(self) -> str:
        return "id -un"


class Home(FactBase[str]):
    """The home folder of ``user``, or of the user that commands run as; a name with its tilde if it is not known."""

    __module__ = "pyinfra.facts.server"

    @override
    def command(self, user: str = "") -> StringCommand:
        return StringCommand("echo", QuotePath(f"~{user}"))


class Path(FactBase[str]):
    """The ``PATH`` that commands run with."""

    __module__ = "pyinfra.facts.server"

    @override
    def command(self) -> str:
        return 'echo "$PATH"'


class TmpDir(FactBase[str]):
    """The first of ``$TMPDIR``, ``$TMP`` and ``$TEMP`` that is a writable folder; empty if none is."""

    __module__ = "pyinfra.facts.server"

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

    __module__ = "pyinfra.facts.server"

    @override
    def command(self) -> str:
        return "uname -n"


class Kernel(FactBase[str]):
    """The name of the kernel: ``Linux``, ``FreeBSD``, ``Darwin`` …"""

    __module__ = "pyinfra.facts.server"

    @override
    def command(self) -> str:
        return "uname -s"


class KernelVersion(FactBase[str]):
    """The release of the kernel."""

    __module__ = "pyinfra.facts.server"

    @override
    def command(self) -> str:
        return "uname -r"


class Os(FactBase[str]):
    """The name of the operating system, as :class:`Kernel`."""

    __module__ = "pyinfra.facts.server"

    @override
    def command(self) -> str:
        return "uname -s"


class OsVersion(FactBase[str]):
    """The release of the operating system, as :class:`KernelVersion`."""

    __module__ = "pyinfra.facts.server"

    @override
    def command(self) -> str:
        return "uname -r"


class Arch(FactBase[str]):
    """The machine's hardware name: ``x86_64``, ``aarch64`` …"""

    __module__ = "pyinfra.facts.server"

    @override
    def command(self) -> str:
        return "uname -m"


class Command(FactBase[str]):
    """The output of any shell command; not remembered, each time it is asked for the command runs."""

    __module__ = "pyinfra.facts.server"
    cacheable = False

    @override
    def command(self, command: str) -> str:
        return command


class Which(FactBase[str]):
    """The path of a program that the shell would run; empty or ``None`` if there is none."""

    __module__ = "pyinfra.facts.server"

    @override
    def command(self, command: str) -> StringCommand:
        return StringCommand("command -v", QuoteString(command), "|| true")


class Date(FactBase[datetime]):
    """The machine's date and time, with its offset from UTC."""

    __module__ = "pyinfra.facts.server"
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


class Uptime(FactBase["int | None"]):
    """Seconds since the machine was started; ``None`` where it doesn't tell."""

    __module__ = "pyinfra.facts.server"
    cacheable = False

    @override
    def command(self) -> str:
        if host.get_fact(Kernel) == "Linux":
            return "cat /proc/uptime"
        return "date +%s; sysctl -n kern.boottime | awk '{print $4}' | tr -d ','"

    @override
    def process(self, output: list[str]) -> int | None:
        try:
            if len(output) == 1:
                return int(float(output[0].split()[0]))
            now, started = map(int, output)
            return now - started
        except (ValueError, IndexError):
            return None


class Timezone(FactBase["str | None"]):
    """The name of the machine's time zone, such as ``Europe/Amsterdam``; ``None`` where it has none by name."""

    __module__ = "pyinfra.facts.server"

    @override
    def command(self) -> str:
        return "readlink -f /etc/localtime | sed 's|.*/zoneinfo/||'"

    @override
    def process(self, output: list[str]) -> str | None:
        # /etc/localtime may be missing, or a plain copy
        return None if output[0].startswith("/") else output[0]
