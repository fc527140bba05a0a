"""SSH hosts for the benchmarks: one sshd on this machine under many loopback addresses, with one ordinary user."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.sshd import SSHServer, User, can_run_sshd, start_sshd

from .process import Command, RunFailedError, run_measured
from .work import DEPLOYS

FLOOR = Path(__file__).with_name("floor.py")


@dataclass(frozen=True, slots=True)
class SSHHosts:
    """Hosts that pyinfra can log in to, as an inventory file."""

    server: SSHServer
    user: User
    names: list[str]
    port: int

    @property
    def inventory(self) -> Path:
        """The inventory file."""
        return self.server.folder / "inventory.py"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that keep this machine's own SSH settings, agent and keys out of the figures."""
        return {"HOME": str(self.server.folder / "home"), "SSH_AUTH_SOCK": ""}

    def write(self) -> None:
        """Write the inventory, and the known hosts that it names."""
        known_hosts = self.server.folder / "known_hosts"
        key = " ".join(self.server.known_hosts_line().split()[1:])
        known_hosts.write_text("".join(f"[{name}]:{self.port} {key}\n" for name in self.names))
        data = {
            "ssh_port": self.port,
            "ssh_user": self.user.name,
            "ssh_key": str(self.user.key),
            "ssh_known_hosts_file": str(known_hosts),
            "bench_folder": str(self.user.home / "bench"),
        }
        self.inventory.write_text(f"hosts = ({self.names!r}, {data!r})\n")
        Path(self.environment["HOME"]).mkdir(exist_ok=True)

    def deploy(self, pyinfra: str, *options: str, deploy: str = "ten_operations.py", answer: str = "") -> Command:
        """The command line that runs a deploy on all of these hosts."""
        argv = [pyinfra, *options, str(self.inventory), str(DEPLOYS / deploy)]
        return Command(argv, answer=answer, environment=self.environment, folder=self.server.folder)

    def settle(self, pyinfra: str) -> None:
        """Run the ten operations once, so that later runs change nothing."""
        run_measured(self.deploy(pyinfra, "-y"))

    def floor(self, pyinfra: str) -> Command:
        """As many log-ins, and the commands that pyinfra runs there in one open shell each, without pyinfra."""
        first = self.names[0]
        output = run_measured(self.deploy(pyinfra, "-y", "-vvv", "--limit", first)).output
        commands = re.findall(rf"^\[{re.escape(first)}\] +>>> (.+)$", output, re.MULTILINE)
        if not commands:
            raise RunFailedError(f"no commands in pyinfra's output with -vvv:\n{output[-2000:]}")
        listed = self.server.folder / "commands"
        listed.write_text("".join(f"{command}\n" for command in commands))
        argv = [sys.executable, str(FLOOR), str(listed), str(self.port), self.user.name, str(self.user.key)]
        return Command([*argv, *self.names], environment=self.environment)


@contextmanager
def ssh_hosts(count: int) -> Iterator[SSHHosts]:
    """``count`` hosts at ``127.1.x.y``, gone afterwards."""
    if not can_run_sshd():
        raise RunFailedError(
            "the works over SSH need root, sshd and useradd: on Debian, apt-get install openssh-server"
        )
    names = [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(count)]
    # sshd has room for sixteen addresses; whoever comes from elsewhere than this machine is refused
    server = start_sshd(("0.0.0.0",), AllowUsers="*@127.*", PasswordAuthentication="no", LogLevel="ERROR")
    try:
        hosts = SSHHosts(server, server.add_user(), names, server.port)
        hosts.write()
        yield hosts
    finally:
        server.close()


def scp(hosts: SSHHosts, source: Path, target: Path) -> Command:
    """The command line of ``scp`` that copies ``source`` to ``target`` on the first host."""
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    where = f"{hosts.user.name}@{hosts.names[0]}:{shlex.quote(str(target))}"
    return Command(
        ["scp", "-q", "-F", "none", "-P", str(hosts.port), "-i", str(hosts.user.key), *options, str(source), where],
        environment=hosts.environment,
    )
