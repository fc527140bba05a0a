"""Processes, as the ``ps`` of procps, of the BSDs and of busybox lists them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from typing_extensions import TypedDict, override

from pyinfra import host
from pyinfra.api import FactBase, StringCommand

from .basics import Kernel, Which


class ProcessDict(TypedDict):
    """One process; ``command`` is its short name, ``args`` its command line."""

    user: str
    state: str
    cpu_percent: float
    mem_percent: float
    command: str
    args: str


_PROCESS = re.compile(
    r"\s*(?P<pid>\d+)\s+(?P<user>\S+)\s+(?P<state>\S+)\s+(?P<cpu>[\d.,]+)\s+(?P<mem>[\d.,]+)\s(?P<names>.*)"
)
_BUSYBOX_PROCESS = re.compile(r"\s*(?P<pid>\d+)\s+(?P<user>\S+)\s+\S+\s+(?P<state>\S.?.?.?)\s+(?P<args>\S.*)")
# Linux keeps 15 characters of a name, blanks among them
_NAME_WIDTH = 15


_PS_COLUMNS = "pid,user,stat,%cpu,%mem,comm,args"


def get_ps_command(kernel: str, busybox: str | None, pid: int | None) -> str:
    """The command that lists all processes, or one.

    Args:
        kernel: the name of the kernel
        busybox: the path of busybox, if it is there
        pid: the process to list
    """
    number = int(pid) if pid is not None else None
    ps = f"LANG=C ps -eo {_PS_COLUMNS}" if number is None else f"LANG=C ps -p {number} -o {_PS_COLUMNS}"
    if kernel == "Linux" and number is None:
        ps = f"{ps} --no-headers"
    if not busybox:
        return ps
    # Its ps lists all processes, and has no choice of one
    busybox_ps = "LANG=C ps -o pid,user,vsz,stat,args"
    if number is not None:
        busybox_ps = f"{busybox_ps} | awk 'NR == 1 || $1 == {number}'"
    if busybox == "/bin/busybox":
        return busybox_ps
    # Elsewhere it stands beside procps, whose `ps -o` lists the shell's own processes only
    return f"{ps} 2>/dev/null || {busybox_ps}"


def _split_names(text: str, width: int) -> tuple[str, str]:
    """The columns ``comm`` and ``args``: the first is padded to ``width``, a longer name pushes the second on."""
    if text[width : width + 1] == " ":
        return text[:width].strip(), text[width:].strip()
    name, _, args = text.partition(" ")
    return name, args.strip()


def _get_name_width(heading: str) -> int:
    """How wide the column ``comm`` is, by a heading in which it and ``args`` have the same name."""
    columns = [match.start() for match in re.finditer("COMMAND", heading)]
    return columns[1] - columns[0] - 1 if len(columns) == 2 else _NAME_WIDTH


def _parse_busybox(lines: Iterable[str]) -> dict[int, ProcessDict]:
    processes: dict[int, ProcessDict] = {}
    for match in filter(None, map(_BUSYBOX_PROCESS.match, lines)):
        program = match["args"].split()[0].strip("[]")
        processes[int(match["pid"])] = {
            "user": match["user"],
            "state": match["state"].strip(),
            "cpu_percent": 0.0,
            "mem_percent": 0.0,
            # The applet's column of names is cut at 15 characters as well, the command line tells more
            "command": program.rsplit("/", 1)[-1],
            "args": match["args"],
        }
    return processes


def parse_processes(lines: list[str]) -> dict[int, ProcessDict]:
    """Processes by their id. Busybox tells no shares of CPU and memory: they are 0 there."""
    heading = lines[0] if lines else ""
    if "VSZ" in heading.split():
        return _parse_busybox(lines[1:])
    width = _get_name_width(heading)
    processes: dict[int, ProcessDict] = {}
    for match in filter(None, map(_PROCESS.match, lines)):
        command, args = _split_names(match["names"], width)
        processes[int(match["pid"])] = {
            "user": match["user"],
            "state": match["state"],
            # LC_ALL, if it is set, has more say than the LANG of the command
            "cpu_percent": float(match["cpu"].replace(",", ".")),
            "mem_percent": float(match["mem"].replace(",", ".")),
            "command": command,
            "args": args,
        }
    return processes


class Processes(FactBase["dict[int, ProcessDict]"]):
    """Processes by their id.

    Args:
        pid: the process to look at; all by default

    .. code:: python

        {
            1: {
                "user": "root", "state": "Ss", "cpu_percent": 0.0, "mem_percent": 0.1,
                "command": "systemd", "args": "/lib/systemd/systemd --system",
            },
        }
    """

    __module__ = "pyinfra.facts.server"
    cacheable = False
    default = dict

    @override
    def command(self, pid: int | None = None) -> StringCommand:
        busybox = host.get_fact(Which, command="busybox") if host.get_fact(Kernel) == "Linux" else None
        # `ps -p` has status 1 where there is no such process
        return StringCommand(get_ps_command(host.get_fact(Kernel), busybox, pid), _success_exit_codes=[0, 1])

    @override
    def process(self, output: list[str]) -> dict[int, ProcessDict]:
        return parse_processes(output)


class LoadAverage(FactBase["dict[int, float]"]):
    """The average number of processes that ran or waited, over the last 1, 5 and 15 minutes."""

    __module__ = "pyinfra.facts.server"
    cacheable = False
    default = dict

    @override
    def command(self) -> str:
        return "cat /proc/loadavg 2>/dev/null || uptime"

    @override
    def process(self, output: list[str]) -> dict[int, float]:
        # "0.12 0.21 0.22 1/145 71536", or the end of "… load averages: 0.12, 0.21, 0.22"
        text = output[0].rpartition("load average")[2] if output else ""
        numbers = re.findall(r"\d+[.,]\d+", text)[:3]
        return {minutes: float(number.replace(",", ".")) for minutes, number in zip((1, 5, 15), numbers, strict=False)}
