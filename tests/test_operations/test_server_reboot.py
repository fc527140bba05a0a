"""Restarts of a machine that is a command line with a switch: what ends its shells and lets no new ones in."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyinfra.api import OperationError
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.operations import server
from tests.support.run import Run, connected_run

# Whoever comes in is written down, unless the machine is off
DOOR = """\
#!/bin/sh
cd "{folder}"
test ! -e off || { echo "the machine is off" >&2; exit 1; }
echo $$ >> shells
PATH="{folder}/bin:$PATH" exec sh "$@"
"""

# The machine's clock, for who asks for that
CAT = """\
#!/bin/sh
test "$1" = /proc/uptime && exec {cat} "{folder}/uptime"
exec {cat} "$@"
"""

REBOOT = """\
#!/bin/sh
cd "{folder}"
echo reboot >> log
setsid ./restart > restart.log 2>&1 &
"""


class Machine:
    """A machine with a door, and a program ``reboot`` that does what the test says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        self.write_program("door", DOOR)
        self.write_program("bin/cat", CAT.replace("{cat}", "/bin/cat"))
        self.write_program("bin/reboot", REBOOT)
        self.set_uptime(5000)

    def write_program(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text.replace("{folder}", str(self.folder)))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def set_uptime(self, seconds: int) -> None:
        (self.folder / "uptime").write_text(f"{seconds}.25 1.00\n")

    def restarts_by(self, script: str) -> None:
        """Say what happens when ``reboot`` is called, in the machine's folder."""
        self.write_program("restart", f'#!/bin/sh\ncd "{self.folder}"\n{script}\n')

    @property
    def log(self) -> list[str]:
        path = self.folder / "log"
        return path.read_text().split() if path.exists() else []


TURN_OFF = "touch off; kill -9 $(cat shells) 2> /dev/null; : > shells"
TURN_ON = "echo 3.00 1.00 > uptime; rm off"
QUICK: dict[str, Any] = {"delay": 0.2, "interval": 0.1, "reboot_timeout": 30}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def run(machine: Machine) -> Iterator[Run]:
    with connected_run("@pipe/machine", {"pipe_command": [str(machine.folder / "door")]}) as run:
        yield run


def test_a_restart_is_waited_for_and_operations_go_on_after_it(run: Run, machine: Machine) -> None:
    machine.restarts_by(f"{TURN_OFF}; sleep 1; {TURN_ON}")
    assert run.op(server.reboot, **QUICK).did_change()
    assert machine.log == ["reboot"]
    assert run.op(server.shell, commands="cat /proc/uptime").stdout == "3.00 1.00"
    assert run.host in run.state.active_hosts


def test_a_machine_that_is_slow_to_go_down_is_not_taken_for_one_that_is_back(run: Run, machine: Machine) -> None:
    machine.restarts_by(f"sleep 2; {TURN_OFF}; sleep 0.5; echo back >> log; {TURN_ON}")
    run.op(server.reboot, **QUICK)
    assert machine.log == ["reboot", "back"]


def test_a_container_restarts_although_its_uptime_goes_on(run: Run, machine: Machine) -> None:
    machine.restarts_by(f"{TURN_OFF}; sleep 1.5; echo 6000.00 1.00 > uptime; rm off")
    run.op(server.reboot, **QUICK)
    assert run.op(server.shell, commands="cat /proc/uptime").stdout == "6000.00 1.00"


def test_a_machine_that_does_not_tell_its_uptime_is_back_when_it_can_be_reached(run: Run, machine: Machine) -> None:
    (machine.folder / "uptime").unlink()
    machine.restarts_by(f"{TURN_OFF}; sleep 1; rm off")
    run.op(server.reboot, **{**QUICK, "delay": 1.5})
    assert run.op(server.shell, commands="echo hello").stdout == "hello"


def test_a_machine_that_does_not_come_back_fails_with_words_that_say_so(run: Run, machine: Machine) -> None:
    machine.restarts_by(TURN_OFF)
    meta = add_op(run.state, server.reboot, delay=1.5, interval=0.1, reboot_timeout=1)[run.host]
    with pytest.raises(PyinfraError, match="No hosts remaining"):
        run_ops(run.state)
    assert meta.did_error()
    (failure,) = run.state.failures
    assert isinstance(failure.error, OperationError)
    assert "did not come back within 1 seconds" in str(failure.error)


def test_a_machine_that_does_not_restart_fails_and_says_its_uptime(run: Run, machine: Machine) -> None:
    machine.restarts_by("true")
    add_op(run.state, server.reboot, delay=0.1, interval=0.1, reboot_timeout=0.5)
    with pytest.raises(PyinfraError):
        run_ops(run.state)
    (failure,) = run.state.failures
    assert "it has not gone down yet, its uptime is 5000 seconds" in str(failure.error)


def test_a_connection_that_breaks_during_the_command_is_no_failure(run: Run, machine: Machine) -> None:
    # The command itself goes down with the machine
    machine.write_program("bin/sleep", "#!/bin/sh\nexit 0\n")
    machine.write_program("bin/sh", f'#!/bin/sh\ncd "{machine.folder}"\nexec /bin/sh "$@"\n')
    machine.restarts_by(f"PATH=/usr/bin:/bin; {TURN_OFF}; sleep 1; {TURN_ON}")
    run.op(server.reboot, **QUICK)
    assert machine.log == ["reboot"]
