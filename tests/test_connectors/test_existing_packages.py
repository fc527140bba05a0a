"""Connectors as packages have them that know nothing of sessions: what they call still does what they need."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import gevent
import gevent.subprocess

from pyinfra.api import Config, Inventory, State
from pyinfra.api.command import QuoteString, StringCommand
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.output import echo
from pyinfra.api.util import get_file_io
from pyinfra.connectors.base import BaseConnector, ConnectorData, DataMeta
from pyinfra.connectors.ssh import SSHConnector, SSHData
from pyinfra.connectors.util import (
    CommandOutput,
    execute_command_with_sudo_retry,
    extract_control_arguments,
    make_unix_command_for_host,
    read_output_buffers,
    run_local_process,
    write_stdin,
)
from pyinfra.facts.server import Command, Home
from pyinfra.testing.contract import RULES, check, opened
from tests.support.run import connected_run
from tests.support.sshd import SSHServer, User
from tests.support.sshhosts import ssh_data

HERE = "@tests.test_connectors.test_existing_packages"


class JailData(ConnectorData):
    """What the first two read."""

    jail_program: str


class _CopiesWithCommands(BaseConnector):
    """Copies files with ``cat``, through the connector's own way to run commands."""

    handles_execution = True
    data_cls = JailData
    data_meta = {"jail_program": DataMeta("What runs a shell's command line", "sh")}

    def put_file(
        self,
        filename_or_io: str | IO[Any],
        remote_filename: str,
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Any,
    ) -> bool:
        with get_file_io(filename_or_io) as source:
            data = source.read()
        data = data.encode() if isinstance(data, str) else data
        # A newline would be added to what lacks one
        count = StringCommand("head", "-c", str(len(data)), ">", QuoteString(remote_filename))
        success, output = self.run_shell_command(count, print_output, print_input, **{**arguments, "_stdin": data})
        if not success:
            raise OSError(output.stderr)
        return True

    def get_file(
        self,
        remote_filename: str,
        filename_or_io: str | IO[Any],
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Any,
    ) -> bool:
        read = StringCommand("base64", "--", QuoteString(remote_filename))
        success, output = self.run_shell_command(read, print_output, print_input, **arguments)
        if not success:
            raise OSError(output.stderr)
        with get_file_io(filename_or_io, "wb") as target:
            target.write(base64.b64decode(output.stdout))
        return True


class LocalProcessConnector(_CopiesWithCommands):
    """The first sort: a command line for the host, run by ``run_local_process``."""

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        yield f"@jail/{name}", {}, ["@jail"]

    def connect(self) -> None:
        code, output = run_local_process(f"{self.data['jail_program']} -c true")
        if code != 0:
            raise ConnectError(f"No shell: {output.stderr}")

    def run_shell_command(
        self, command: StringCommand, print_output: bool = False, print_input: bool = False, **arguments: Any
    ) -> tuple[bool, CommandOutput]:
        if arguments.pop("_get_pty", False):
            raise NotImplementedError("_get_pty: there are no terminals in here")
        controls: Any = extract_control_arguments(arguments)  # type: ignore[arg-type]

        def execute() -> tuple[int, CommandOutput]:
            line = make_unix_command_for_host(self.state, self.host, command, **arguments)
            through = StringCommand(self.data["jail_program"], "-c", QuoteString(line))
            if print_input:
                echo(f"{self.host.print_prefix}>>> {through}", err=True)
            return run_local_process(
                through.get_raw_value(),
                stdin=controls.get("_stdin"),
                timeout=controls.get("_timeout"),
                print_output=print_output,
                print_prefix=self.host.print_prefix,
            )

        code, output = execute_command_with_sudo_retry(self.host, arguments, execute)  # type: ignore[arg-type]
        return code in (controls.get("_success_exit_codes") or [0]), output


class OwnProcessConnector(_CopiesWithCommands):
    """The second sort: drives a process of its own, and has its outputs read."""

    @staticmethod
    def make_names_data(_: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        yield "@own", {"jail_program": "sh"}, ["@own"]

    def run_shell_command(
        self, command: StringCommand, print_output: bool = False, print_input: bool = False, **arguments: Any
    ) -> tuple[bool, CommandOutput]:
        controls: Any = extract_control_arguments(arguments)  # type: ignore[arg-type]
        if controls.get("_get_pty"):
            raise NotImplementedError("_get_pty: there are no terminals in here")

        def execute() -> tuple[int, CommandOutput]:
            line = make_unix_command_for_host(self.state, self.host, command, **arguments)
            if print_input:
                echo(f"{self.host.print_prefix}>>> {line}", err=True)
            process = gevent.subprocess.Popen(
                ["sh", "-c", line.get_raw_value()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            writer = gevent.spawn(write_stdin, controls.get("_stdin"), process.stdin)
            try:
                output = read_output_buffers(
                    process.stdout,
                    process.stderr,
                    timeout=controls.get("_timeout"),
                    print_output=print_output,
                    print_prefix=self.host.print_prefix,
                )
            except TimeoutError:
                os.killpg(process.pid, signal.SIGKILL)
                raise
            finally:
                writer.kill()
            code = process.wait()
            return code if code >= 0 else 128 - code, output

        code, output = execute_command_with_sudo_retry(self.host, arguments, execute)  # type: ignore[arg-type]
        return code in (controls.get("_success_exit_codes") or [0]), output


class CloudData(SSHData):
    """What the third reads: all of SSH, and one thing more."""

    cloud_region: str


class CloudConnector(SSHConnector):
    """The third sort: SSH, with other names, something to do before, and commands that run in surroundings."""

    data_cls = CloudData
    data_meta = {**SSHConnector.data_meta, "cloud_region": DataMeta("Where the machine is")}
    started: list[str] = []

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        for _, data, groups in SSHConnector.make_names_data(name):
            yield f"@cloud/{name}", {**data, "cloud_region": "north"}, [*groups, "@cloud"]

    def connect(self) -> None:
        self.started.append(self.host.name)
        super().connect()

    def run_shell_command(  # type: ignore[override]
        self, command: StringCommand, print_output: bool = False, print_input: bool = False, **arguments: Any
    ) -> tuple[bool, CommandOutput]:
        controls: Any = extract_control_arguments(arguments)  # type: ignore[arg-type]
        line = make_unix_command_for_host(self.state, self.host, command, **arguments)
        region = StringCommand("CLOUD_REGION=", QuoteString(self.data["cloud_region"]), _separator="")
        inside = StringCommand("export", region, ";", line)
        return super().run_shell_command(inside, print_output, print_input, **controls)


def outcomes(inventory: str, beyond: dict[str, str], **data: Any) -> dict[str, list[str]]:
    """The names of the contract's rules by what became of them, but for those that are beyond a connector."""
    assert set(beyond) <= set(RULES)
    state = State(Inventory(([(f"{HERE}:{inventory}", data)], {})), Config())
    connect_all(state)
    found: dict[str, list[str]] = {"held": [], "broken": [], "not applicable": []}
    try:
        with opened(next(iter(state.inventory))) as target:
            for outcome in check(target, [rule for rule in RULES.values() if rule.name not in beyond]):
                found[outcome.verdict].append(f"{outcome.rule.name} {outcome.seen}".strip())
    finally:
        disconnect_all(state)
    return found


# What the first two do not do, each with why: a session does
BEYOND = {
    "temporary_files_are_private": "they write where the file is, without a temporary one",
    "broken_transfers_leave_nothing": "for the same reason",
    "time_outs_reach_other_users_processes": "sudo and su may begin a process group of their own, which nobody kills",
}
LEAST_HELD = 60


def test_a_connector_that_runs_local_processes_goes_as_far_as_it_can() -> None:
    # Each word of a process's arguments has a limit, and quotes in quotes in quotes are long
    found = outcomes("LocalProcessConnector/x", {**BEYOND, "long_commands": "it is one word of a process's arguments"})
    assert found["broken"] == []
    assert len(found["held"]) > LEAST_HELD


def check_own_process_connector() -> None:
    """Hold the second sort to the contract."""
    waits = "it reads to the end of what is still held open by a process in the background"
    rules = ("background_processes_do_not_delay", "background_processes_do_not_spoil", "background_processes_may_flood")
    background = dict.fromkeys(rules, waits)
    found = outcomes("OwnProcessConnector", {**BEYOND, **background})
    assert found["broken"] == []
    assert len(found["held"]) > LEAST_HELD


def test_a_connector_that_reads_a_processes_output_itself_goes_as_far_as_it_can() -> None:
    # In a process of its own: with gevent's subprocess, gevent takes the exit status of every child from then on
    code = f"from {HERE[1:]} import check_own_process_connector as check; check()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_connector_over_ssh_keeps_the_contract_and_has_its_way_with_commands_facts_and_names(
    sshd: SSHServer, ssh_user: User, ssh_home: Path
) -> None:
    data = ssh_data(sshd, ssh_user)
    del data["ssh_hostname"]
    found = outcomes(f"CloudConnector/{sshd.addresses[0]}", {}, **data)
    assert found["broken"] == []
    assert len(found["held"]) > LEAST_HELD
    assert f"@cloud/{sshd.addresses[0]}" in CloudConnector.started

    with connected_run(f"{HERE}:CloudConnector/{sshd.addresses[0]}", data) as run:
        assert (run.host.name, run.host.groups) == (f"@cloud/{sshd.addresses[0]}", ["@cloud"])
        assert run.host.run_shell_command(StringCommand("echo $CLOUD_REGION"))[1].stdout == "north"
        assert run.fact(Command, "echo $CLOUD_REGION") == "north"
        assert [run.fact(Command, "echo $CLOUD_REGION", _env={"A": "b"}), run.fact(Home)] == [
            "north",
            str(ssh_user.home),
        ]
