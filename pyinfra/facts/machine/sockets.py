"""Listening sockets, as ``ss``, ``netstat``, ``sockstat`` and ``lsof`` list them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from pyinfra import host
from pyinfra.api import FactBase, FactValueError

from .basics import Kernel, Which

# users:(("sshd",pid=365,fd=6),("systemd",pid=1,fd=133))
_SS_PROCESS = re.compile(r'users:\(\("(?P<name>[^"]*)",pid=(?P<pid>\d+)')
# 2316/sshd, of which netstat cuts titles such as "sshd: [listener] …" where the column ends
_NETSTAT_PROCESS = re.compile(r"\s(?P<pid>\d+)/(?P<name>[^\s:]+)")
# A blank and others in the name of a process, by lsof
_LSOF_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


@dataclass(frozen=True)
class Listener:
    """A socket that waits for others, and the process that has it open, where that may be seen."""

    protocol: str
    address: str
    process: str | None
    pid: int | None

    @property
    def ip(self) -> str:
        """The address without its port, interface and brackets."""
        ip = self.address.rpartition(":")[0]
        return ip.partition("%")[0].strip("[]")

    @property
    def port(self) -> str:
        """The number of the port, or ``*``."""
        return self.address.rpartition(":")[2]


def _parse_sockstat_line(words: list[str]) -> Listener | None:
    # USER COMMAND PID FD PROTO LOCAL FOREIGN
    if len(words) < 6 or not words[2].isdigit():
        return None
    return Listener(words[4], words[5], words[1], int(words[2]))


def _parse_lsof_line(words: list[str]) -> Listener | None:
    # COMMAND PID USER FD TYPE DEVICE SIZE/OFF NODE NAME; sockets that wait for one other end have both in their name
    if "->" in words[8]:
        return None
    name = _LSOF_ESCAPE.sub(lambda found: chr(int(found[1], 16)), words[0])
    return Listener(words[7].lower(), words[8], name, int(words[1]))


def _parse_line(line: str) -> Listener | None:
    words = line.split()
    if len(words) > 8 and words[4].startswith("IPv") and words[7] in ("TCP", "UDP"):
        return _parse_lsof_line(words)
    is_netstat = bool(words) and words[0].startswith(("tcp", "udp")) and len(words) > 3 and words[1].isdigit()
    is_ss = "LISTEN" in words[:2] or "UNCONN" in words[:2]
    if not (is_netstat or is_ss):
        return _parse_sockstat_line(words)
    # With one protocol asked for, ss leaves out its column
    column = 4 if is_ss and words[0] not in ("LISTEN", "UNCONN") else 3
    if len(words) <= column:
        return None
    match = (_SS_PROCESS if is_ss else _NETSTAT_PROCESS).search(line)
    protocol = words[0] if column == 4 or is_netstat else ""
    return Listener(protocol, words[column], match["name"] if match else None, int(match["pid"]) if match else None)


def get_lsof_command(*sockets: str) -> str:
    """The command that lists sockets on macOS, whose netstat names no processes.

    Args:
        sockets: the options for each kind; together, those of one would leave out all of the other
    """
    return f"{{ {' '.join(f'lsof +c 0 -nP {options};' for options in sockets)} }} 2>/dev/null || true"


def parse_listeners(lines: Iterable[str]) -> Iterator[Listener]:
    """What listens, by the output of any of the programs; headings and other lines are passed over."""
    return filter(None, map(_parse_line, lines))


def parse_ports(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Listening ports with their number, address, protocol and process."""
    return [
        {"port": int(found.port), "ip": found.ip, "protocol": found.protocol, "process": found.process}
        for found in parse_listeners(lines)
        if found.port.isdigit()
    ]


def parse_port_owner(lines: Iterable[str]) -> tuple[str, int] | tuple[None, None]:
    """The name and process id of the first process that listens."""
    for found in parse_listeners(lines):
        if found.process is not None and found.pid is not None:
            return found.process, found.pid
    return None, None


class Port(FactBase["tuple[str, int] | tuple[None, None]"]):
    """The name and process id of what listens on a port; two ``None`` if nothing does, or it may not be seen.

    Args:
        port: the number
        protocol: ``tcp`` or ``udp``
    """

    __module__ = "pyinfra.facts.server"

    @override
    def command(self, port: int, protocol: str = "tcp") -> str:
        if protocol not in ("tcp", "udp"):
            raise FactValueError(f"Invalid protocol for a port: {protocol!r}, must be tcp or udp")
        number = int(port)
        if host.get_fact(Kernel) == "FreeBSD":
            return f"sockstat -l -p {number} -P {protocol}"
        if host.get_fact(Kernel) == "Darwin":
            return get_lsof_command(f"-iTCP:{number} -sTCP:LISTEN" if protocol == "tcp" else f"-iUDP:{number}")
        letter = protocol[0]
        if host.get_fact(Which, command="ss"):
            return f"ss -lp{letter}n | grep ':{number} ' || true"
        return f"netstat -{letter}lnp 2>/dev/null | awk '$4 ~ /:{number}$/'"

    @override
    def process(self, output: list[str]) -> tuple[str, int] | tuple[None, None]:
        return parse_port_owner(output)


class Ports(FactBase["list[dict[str, Any]]"]):
    """What listens on the machine's ports.

    .. code:: python

        [{"port": 22, "ip": "0.0.0.0", "protocol": "tcp", "process": "sshd"}]
    """

    __module__ = "pyinfra.facts.server"
    default = list

    @override
    def command(self) -> str:
        if host.get_fact(Kernel) == "FreeBSD":
            return "sockstat -l"
        if host.get_fact(Kernel) == "Darwin":
            return get_lsof_command("-iTCP -sTCP:LISTEN", "-iUDP")
        if host.get_fact(Which, command="ss"):
            return "ss -lpuntn || true"
        return "netstat -tulnp 2>/dev/null || true"

    @override
    def process(self, output: list[str]) -> list[dict[str, Any]]:
        return parse_ports(output)
