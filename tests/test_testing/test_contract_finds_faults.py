"""Rules are worth something only if they can be broken: connectors with one fault each, and the rules that tell."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest

from pyinfra.api.command import StringCommand
from pyinfra.api.config import Config
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.inventory import Inventory
from pyinfra.api.output import echo
from pyinfra.api.state import State
from pyinfra.connectors.base import DataMeta
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.session import SessionData
from pyinfra.connectors.util import CommandOutput, OutputLine
from pyinfra.testing.contract import RULES, Outcome, check, opened


class Honest(LocalConnector):
    """No fault."""

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        yield f"honest-{name}", {}, ["honest"]

    def run(self, command: StringCommand, **arguments: Any) -> tuple[bool, CommandOutput]:
        return super().run_shell_command(command, **arguments)

    def run_shell_command(self, command: Any, *args: Any, **arguments: Any) -> Any:
        names = ("print_output", "print_input")
        return self.run(command, **dict(zip(names, args, strict=False)), **arguments)


class ForgetsArguments(Honest):
    """Drops the arguments named in ``forgotten``."""

    forgotten: tuple[str, ...] = ()

    def run(self, command: StringCommand, **arguments: Any) -> Any:
        return super().run(command, **{key: value for key, value in arguments.items() if key not in self.forgotten})


class KnowsOnlySuccess(Honest):
    def run(self, command: StringCommand, **arguments: Any) -> Any:
        codes = arguments.pop("_success_exit_codes", None)
        success, output = super().run(command, **arguments)
        return success or codes not in (None, [0]), output


class MergesOutputs(Honest):
    def run(self, command: StringCommand, **arguments: Any) -> Any:
        success, output = super().run(command, **arguments)
        return success, CommandOutput([OutputLine("stdout", line) for line in output.output_lines])


class DropsEmptyLines(Honest):
    def run(self, command: StringCommand, **arguments: Any) -> Any:
        success, output = super().run(command, **arguments)
        return success, CommandOutput([line for line in output.combined_lines if line.line])


class EchoesAtTheEnd(Honest):
    def run(self, command: StringCommand, **arguments: Any) -> Any:
        shown = arguments.pop("print_output", False)
        success, output = super().run(command, **arguments)
        for line in output.output_lines if shown else []:
            echo(f"{self.host.print_prefix}{line}")
        return success, output


class PrintsSecrets(Honest):
    def run(self, command: StringCommand, **arguments: Any) -> Any:
        if arguments.get("print_input"):
            echo(f"{self.host.print_prefix}>>> {command.get_raw_value()}")
        return super().run(command, **{**arguments, "print_input": False})


class OneShellForAll(Honest):
    """Commands share what they change: here, the environment of this process."""

    def run(self, command: StringCommand, **arguments: Any) -> Any:
        if "export CONTRACT_A" in command.get_raw_value():
            os.environ["CONTRACT_A"] = "1"
        return super().run(command, **arguments)


class LosesItsConnection(Honest):
    def run(self, command: StringCommand, **arguments: Any) -> Any:
        if "kill 0" in command.get_raw_value():
            raise ConnectError("gone")
        return super().run(command, **arguments)


class DropsLongCommands(Honest):
    def run(self, command: StringCommand, **arguments: Any) -> Any:
        if len(command.get_raw_value()) > 100_000:
            return True, CommandOutput([])
        return super().run(command, **arguments)


class SendsTwice(Honest):
    def run(self, command: StringCommand, **arguments: Any) -> Any:
        success, output = super().run(command, **arguments)
        return (success, output) if success else super().run(command, **arguments)


class KillsOnlyTheShell(Honest):
    """Gives up on a command that takes too long, and lets it run."""

    def run(self, command: StringCommand, **arguments: Any) -> Any:
        seconds = arguments.pop("_timeout", None)
        if seconds is None:
            return super().run(command, **arguments)
        super().run(StringCommand("(", command, "\n) > /dev/null 2>&1 &"), **arguments)
        gevent.sleep(seconds)
        raise TimeoutError("too slow")


class WaitsForTheBackground(Honest):
    def run(self, command: StringCommand, **arguments: Any) -> Any:
        if command.get_raw_value().startswith("sleep 20 &"):
            command = StringCommand(command, "; kill $!; wait")
        return super().run(command, **arguments)


class WritesThroughAShell(Honest):
    """Copies files with ``echo`` and unquoted names."""

    def put_file(self, filename_or_io: Any, remote_filename: str, *args: Any, **arguments: Any) -> bool:
        text = filename_or_io.read().decode("utf-8", "replace")
        return super().put_file(io.BytesIO(text.encode()), remote_filename.replace("\n", " "), *args, **arguments)


class OverwritesInPlace(Honest):
    """Writes where the file is, and leaves what there is when the transfer breaks."""

    def put_file(self, filename_or_io: Any, remote_filename: str, *args: Any, **arguments: Any) -> bool:
        with Path(remote_filename).open("wb") as file:
            while block := filename_or_io.read(1000):
                file.write(block)
        return True


class RenamesAlways(Honest):
    def put_file(self, filename_or_io: Any, remote_filename: str, *args: Any, **arguments: Any) -> bool:
        new = Path(f"{remote_filename}.new")
        new.write_bytes(filename_or_io.read())
        new.rename(remote_filename)
        return True


class SaysNothing(Honest):
    def put_file(self, *args: Any, **arguments: Any) -> bool:
        try:
            return super().put_file(*args, **arguments)
        except OSError:
            raise OSError("failed") from None


class LeavesFiles(Honest):
    def put_file(self, filename_or_io: Any, remote_filename: str, *args: Any, **arguments: Any) -> bool:
        done = super().put_file(filename_or_io, remote_filename, *args, **arguments)
        Path(arguments.get("_temp_dir", "/tmp"), ".leftover~").touch()
        return done


class WritesAsItself(Honest):
    def put_file(self, *args: Any, **arguments: Any) -> bool:
        return super().put_file(*args, **{key: arguments[key] for key in arguments if "su" not in key})


class TellsPasswords(Honest):
    def run(self, command: StringCommand, **arguments: Any) -> Any:
        password = arguments.get("_sudo_password", "")
        return super().run(StringCommand("sh -c", f"'{command.get_raw_value()}'", password) if password else command)


class YieldsTextAsGroups(Honest):
    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], Any]]:
        yield f"honest-{name}", {}, "honest"


class HasDataWithoutTypes(Honest):
    data_meta = {**LocalConnector.data_meta, "contract_unknown": DataMeta("Nobody knows its type")}


class SecretData(SessionData):
    contract_token: str


class HasASecret(Honest):
    """No fault: a wrong value of such a name is not told."""

    data_cls = SecretData
    data_meta = {**LocalConnector.data_meta, "contract_token": DataMeta("A secret that is not called a password")}


class DisturbsBatches(Honest):
    def run_fact_commands(self, commands: Any, *args: Any, **kwargs: Any) -> Any:
        return super().run_fact_commands(commands, *args, **kwargs)[::-1]


def forgets(*names: str) -> type[ForgetsArguments]:
    """A connector that ignores some arguments."""
    return type("Forgets", (ForgetsArguments,), {"forgotten": names})


@contextmanager
def one_host(connector_cls: type[Honest]) -> Iterator[State]:
    """A run with one host that a connector class reaches."""
    inventory = Inventory((["@local"], {}))
    next(iter(inventory)).connector_cls = connector_cls
    state = State(inventory, Config())
    connect_all(state)
    try:
        yield state
    finally:
        disconnect_all(state)


def outcome_of(connector_cls: type[Honest], rule: str) -> Outcome:
    """What becomes of one rule."""
    with one_host(connector_cls) as state, opened(next(iter(state.inventory))) as target:
        (outcome,) = check(target, [RULES[rule]])
    return outcome


FAULTS: list[tuple[type[Honest], str]] = [
    (forgets("_chdir"), "chdir"),
    (forgets("_env"), "env"),
    (forgets("_stdin"), "stdin_forms"),
    (forgets("_get_pty"), "get_pty"),
    (forgets("_shell_executable"), "shell_executable"),
    (forgets("_timeout"), "time_out_of_what_writes"),
    (forgets("print_output"), "input_and_output_are_echoed"),
    (forgets("_sudo_user"), "sudo_user"),
    (KnowsOnlySuccess, "exit_codes"),
    (KnowsOnlySuccess, "success_exit_codes"),
    (MergesOutputs, "outputs_are_told_apart"),
    (DropsEmptyLines, "lines_are_whole"),
    (EchoesAtTheEnd, "output_comes_line_by_line"),
    (PrintsSecrets, "secrets_stay_hidden"),
    (OneShellForAll, "variables_end_with_the_command"),
    (LosesItsConnection, "kill_0"),
    (DropsLongCommands, "commands_that_are_too_long_fail"),
    (SendsTwice, "killed_commands_are_not_sent_twice"),
    (SendsTwice, "retries_are_the_engines"),
    (KillsOnlyTheShell, "time_out_ends_the_tree"),
    (WaitsForTheBackground, "background_processes_do_not_delay"),
    (WritesThroughAShell, "any_names"),
    (WritesThroughAShell, "any_bytes"),
    (OverwritesInPlace, "broken_transfers_leave_nothing"),
    (RenamesAlways, "hard_links_stay"),
    (RenamesAlways, "replaced_files_keep_mode_and_owner"),
    (RenamesAlways, "symbolic_links_are_followed"),
    (SaysNothing, "errors_say_what_the_target_said"),
    (LeavesFiles, "temporary_files_are_removed"),
    (WritesAsItself, "files_as_another_user"),
    (TellsPasswords, "passwords_are_in_no_arguments"),
    (YieldsTextAsGroups, "names_data_are_valid"),
    (HasDataWithoutTypes, "connector_data_are_typed"),
    (DisturbsBatches, "batches_give_what_single_commands_give"),
]


@pytest.mark.parametrize(("connector_cls", "rule"), FAULTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_fault_breaks_its_rule_and_no_fault_does_not(
    connector_cls: type[Honest],
    rule: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become other users")
    monkeypatch.setattr("pyinfra.testing.contract._RULE_SECONDS", 9)
    monkeypatch.setenv("CONTRACT_A", "0")
    monkeypatch.delenv("CONTRACT_A")
    broken = outcome_of(connector_cls, rule)
    assert broken.verdict == "broken"
    assert broken.expected
    assert broken.seen
    assert outcome_of(Honest, rule).verdict == "held"


def test_secrets_of_all_names_are_not_to_be_told() -> None:
    assert outcome_of(HasASecret, "connector_data_are_typed").verdict == "held"


def test_a_connector_that_hangs_is_broken_and_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hangs(Honest):
        def run(self, command: StringCommand, **arguments: Any) -> Any:
            if command.get_raw_value() == "echo hello":
                gevent.sleep(60)
            return super().run(command, **arguments)

    monkeypatch.setattr("pyinfra.testing.contract._RULE_SECONDS", 1)
    with one_host(Hangs) as state, opened(next(iter(state.inventory))) as target:
        hanging, other = check(target, [RULES["commands_run"], RULES["quotes"]])
    assert (hanging.verdict, hanging.seen) == ("broken", "nothing within 1 seconds")
    assert other.verdict == "held"
