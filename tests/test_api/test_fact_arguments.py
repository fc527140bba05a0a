"""The global arguments that facts are read with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyinfra import host
from pyinfra.api import FactBase, MaskString, StringCommand, operation
from pyinfra.api.exceptions import ArgumentTypeError

from ..support.engine import Cat, Engine, reads


class Shell(FactBase[str]):
    """A fact with a shell of its own."""

    shell_executable = "ksh"

    def command(self) -> str:
        return "shell"


def test_in_an_operation_facts_are_read_with_its_arguments_unless_given() -> None:
    @operation()
    def reads_twice() -> Iterator[str]:
        host.get_fact(Cat, "/a")
        host.get_fact(Cat, "/b", _sudo=False, _chdir="/given")
        yield "done"

    engine = Engine(check=False)
    engine.add(reads_twice, _sudo=True, _chdir="/op", _env={"A": "1"})
    engine.run()
    a, b = engine.arguments("cat /a"), engine.arguments("cat /b")
    assert (a["_sudo"], a["_chdir"], a["_env"]) == (True, "/op", {"A": "1"})
    assert (b["_sudo"], b["_chdir"], b["_env"]) == (False, "/given", {"A": "1"})


def test_what_is_about_the_operations_own_commands_does_not_reach_its_facts() -> None:
    engine = Engine(check=False, script={"cat /f": "x"})
    engine.add(
        reads,
        Cat,
        path="/f",
        _stdin="text",
        _success_exit_codes=[0, 3],
        _retries=2,
        _retry_delay=0,
        _retry_until=lambda output: True,
    )
    engine.run()
    about_commands = {"_stdin", "_success_exit_codes", "_retries", "_retry_delay", "_retry_until"}
    assert not about_commands & engine.arguments("cat /f").keys()
    assert about_commands <= engine.arguments("say x").keys()


def test_given_for_a_fact_they_do_reach_it() -> None:
    engine = Engine()
    engine.host().get_fact(Cat, "/f", _stdin="text", _success_exit_codes=[0, 1])
    arguments = engine.arguments("cat /f")
    assert (arguments["_stdin"], arguments["_success_exit_codes"]) == ("text", [0, 1])


def test_outside_operations_facts_take_defaults_of_deploys_data_and_configuration() -> None:
    engine = Engine(SUDO=True, data={"one": {"_sudo_user": "data"}})
    with engine.host().arguments(_chdir="/with"):
        engine.host().get_fact(Cat, "/f")
    arguments = engine.arguments("cat /f")
    assert (arguments["_sudo"], arguments["_sudo_user"], arguments["_chdir"]) == (True, "data", "/with")


def test_a_facts_own_shell_wins_unless_one_is_given() -> None:
    engine = Engine(SHELL="bash")
    engine.host().get_fact(Shell)
    engine.host().get_fact(Shell, _shell_executable="zsh")
    engine.host().get_fact(Cat, "/f")
    assert [arguments["_shell_executable"] for _, arguments in engine.connector().calls] == ["ksh", "zsh", "bash"]


def test_an_operation_may_be_about_others_than_its_facts() -> None:
    @operation(_set_in_op=False)
    def apart() -> Iterator[str]:
        host.get_fact(Cat, "/f")
        yield "x"

    engine = Engine(check=False)
    engine.add(apart, _sudo=True)
    engine.run()
    assert (engine.arguments("cat /f")["_sudo"], engine.arguments("x")["_sudo"]) == (False, True)


def test_arguments_of_the_wrong_type_are_refused_for_facts_too() -> None:
    with pytest.raises(ArgumentTypeError, match="Invalid argument `_sudo`"):
        Engine().host().get_fact(Cat, "/f", _sudo=None)


def test_secrets_in_a_facts_command_are_sent_in_clear() -> None:
    class Secret(FactBase[str]):
        def command(self, password: str) -> StringCommand:
            return StringCommand("login", MaskString(password))

    engine = Engine()
    engine.host().get_fact(Secret, "hunter2")
    assert engine.calls() == ["login hunter2"]
