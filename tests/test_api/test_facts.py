"""Facts: what a command's output means, and what stands for it where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pyinfra import host
from pyinfra.api import (
    FactBase,
    FactError,
    FactPreconditionError,
    FactProcessError,
    FactTypeError,
    MaskString,
    QuoteString,
    ShortFactBase,
    StringCommand,
    operation,
)
from pyinfra.api.exceptions import ArgumentTypeError, ConnectError, PyinfraError
from pyinfra.api.facts import get_fact, get_facts
from pyinfra.operations import python

from ..support.engine import Cat, Engine, Failed, commands


class Lines(FactBase[list[str]]):
    """Lines of a file, or none."""

    @staticmethod
    def default() -> list[str]:
        return ["default"]

    def command(self, path: str, count: int = 10) -> StringCommand:
        return StringCommand("head", "-n", str(count), QuoteString(path))

    def process(self, output: list[str]) -> list[str]:
        return output


class First(ShortFactBase[str]):
    """The first of them."""

    fact = Lines

    def process_data(self, data: list[str]) -> str:
        return data[0]


class Constant(FactBase[str]):
    """A fact whose command is no method."""

    command = "uname"  # type: ignore[assignment]


class Needs(FactBase[str]):
    """A fact that needs a program, which depends on its arguments."""

    @staticmethod
    def default() -> str:
        return "none"

    def command(self, program: str = "pro gram", fail: bool = False) -> str:
        return "exit 1" if fail else "ask it"

    def requires_command(self, program: str = "pro gram", fail: bool = False) -> str:
        return program


class Picky(FactBase[str]):
    """A fact that cannot be read from every host."""

    @staticmethod
    def default() -> str:
        return "none"

    def check_preconditions(self, state: Any, host: Any) -> str | None:
        return host.data.get("reason")

    def command(self) -> str:
        return "pick"


class Number(FactBase[int]):
    """A fact that understands numbers alone."""

    @staticmethod
    def default() -> int:
        return -1

    def command(self) -> str:
        return "count"

    def process(self, output: list[str]) -> int:
        return int(output[0])


class Shell(FactBase[str]):
    """A fact with a shell of its own."""

    shell_executable = "ksh"

    def command(self) -> str:
        return "shell"


@operation()
def reads(cls: Any, **arguments: Any) -> Iterator[str]:
    """Say what a fact is."""
    yield f"say {host.get_fact(cls, **arguments)}"


def executing(engine: Engine, *args: Any, **kwargs: Any) -> None:
    """Run an operation that reads a fact only while it executes."""
    engine.state.check_for_changes = False
    engine.add(reads, *args, **kwargs)
    engine.run()


# Values


@pytest.mark.parametrize(
    ("args", "kwargs", "command"),
    [
        (("/f",), {}, "head -n 10 /f"),
        (("/f", 2), {}, "head -n 2 /f"),
        (("/a b",), {"count": 3}, "head -n 3 '/a b'"),
        ((), {"path": "/f", "count": 1}, "head -n 1 /f"),
    ],
)
def test_arguments_go_to_the_command_and_output_to_process(args: Any, kwargs: Any, command: str) -> None:
    engine = Engine(script={command: "one\n\ntwo"})
    assert engine.host().get_fact(Lines, *args, **kwargs) == ["one", "", "two"]
    assert engine.calls() == [command]


def test_no_output_gives_the_default_and_no_process() -> None:
    engine = Engine(script={"count": ""})
    assert engine.host().get_fact(Number) == -1


def test_without_process_the_value_is_the_text_and_without_default_none() -> None:
    engine = Engine(script={"cat /a": "one\ntwo"})
    assert engine.host().get_fact(Cat, "/a") == "one\ntwo"
    assert engine.host().get_fact(Cat, "/b") is None


def test_a_short_fact_derives_from_another() -> None:
    engine = Engine(script={"head -n 10 /f": "one\ntwo"})
    assert engine.host().get_fact(First, "/f") == "one"
    assert engine.host().get_fact(First, path="/none") == "default"


def test_a_command_may_be_text_instead_of_a_method() -> None:
    assert Engine(script={"uname": "Linux"}).host().get_fact(Constant) == "Linux"


def test_pipelines_give_values_by_argument() -> None:
    class Short(FactBase[str]):
        def command(self, *names: str) -> str:
            return "x"

    assert Short().process_pipeline(["a", "b"], ["1", "2"]) == {"a": "1", "b": "2"}


def test_facts_with_any_number_of_arguments_get_them_as_they_are() -> None:
    class Many(FactBase[str]):
        def command(self, first: str, *names: str, **flags: str) -> str:
            return f"{first} {' '.join(names)} {flags}"

    engine = Engine()
    engine.host().get_fact(Many, "a", "b", "c", d="e")
    assert engine.calls() == ["a b c {'d': 'e'}"]


def test_facts_are_called_by_their_module_and_class() -> None:
    assert (Lines.name, First.name, Lines.abstract, FactBase.abstract) == (
        "test_facts.Lines",
        "test_facts.First",
        False,
        True,
    )


@pytest.mark.parametrize("parameter", ["_sudo", "name", "_if", "_timeout"])
def test_a_parameter_named_as_a_global_argument_is_a_type_error_at_once(parameter: str) -> None:
    namespace: dict[str, Any] = {}
    exec(f"def command(self, path, {parameter}=None): return 'x'", namespace)
    with pytest.raises(TypeError, match=f"parameters of command.* are global arguments: {parameter}"):
        type("Clash", (FactBase,), {"command": namespace["command"]})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Home", "Invalid fact: `Home`, should be in the format `module.cls`"),
        ("server.NoSuch", "No such fact: server.NoSuch"),
        ("nowhere.Home", "No such fact: nowhere.Home"),
    ],
)
def test_a_name_that_is_no_facts_is_an_error(name: str, message: str) -> None:
    with pytest.raises(FactError) as caught:
        Engine().host().get_fact(name)
    assert str(caught.value) == message


def test_a_fact_can_be_named() -> None:
    engine = Engine()
    assert engine.host().get_fact("tests.support.engine.Cat", "/f") is None
    engine.host().get_fact("server.Home")
    assert len(engine.calls()) == 2


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "missing a required argument: 'path'"),
        (("a", 1, 2), {}, "too many positional arguments"),
        (("a",), {"lines": 1}, "got an unexpected keyword argument 'lines'"),
        (("a",), {"_sudoo": 1}, "got an unexpected keyword argument '_sudoo'"),
    ],
)
def test_arguments_that_do_not_fit_are_a_fact_type_error(args: Any, kwargs: Any, message: str) -> None:
    with pytest.raises(FactTypeError, match=f"Fact test_facts.Lines: {message}"):
        Engine().host().get_fact(Lines, *args, **kwargs)


# Failures


def test_a_failed_command_is_an_error_with_the_facts_name_arguments_and_output() -> None:
    engine = Engine(script={"cat /f": Failed("cat: /f: Permission denied")})
    events = engine.record("host_fact_error")
    with pytest.raises(FactError, match=r"^Could not load fact engine\.Cat \(path=/f\)$") as caught:
        engine.host().get_fact(Cat, "/f")
    assert caught.value.output.stderr_lines == ["cat: /f: Permission denied"]  # type: ignore[attr-defined]
    ((_, told, name, args_text, output, error),) = events
    assert (told, name, args_text, error) == (engine.host(), "engine.Cat", "path=/f", None)
    assert output.stderr_lines == ["cat: /f: Permission denied"]


@pytest.mark.parametrize("answer", [Failed("no"), TimeoutError("slow"), OSError("no")])
def test_ignored_errors_give_the_default(answer: Any) -> None:
    engine = Engine(script={"count": answer})
    assert engine.host().get_fact(Number, _ignore_errors=True) == -1
    with pytest.raises(FactError):
        engine.host().get_fact(Number)


def test_an_operation_that_ignores_errors_gets_defaults() -> None:
    engine = Engine(script={"count": Failed()})
    executing(engine, Number, _ignore_errors=True)
    assert engine.calls() == ["count", "say -1"]
    assert engine.results() == {"ops": 1, "success_ops": 1}


def test_a_failed_fact_fails_its_operation_with_what_the_host_said() -> None:
    engine = Engine("a b", data={"a": {"script": {"count": Failed("no")}}}, script={"count": "3"})
    executing(engine, Number)
    (failure,) = engine.state.failures
    assert (failure.host.name, failure.stderr_lines, failure.command) == ("a", ("no",), None)
    assert engine.results("a") == {"ops": 1, "error_ops": 1}
    assert engine.calls("b") == ["count", "say 3"]


@pytest.mark.parametrize(
    "line",
    [
        "sudo: unknown user: app",
        "sudo: unknown user app",
        "sudo-rs: user 'app' not found",
        "su: user app does not exist or the user entry does not contain all the required fields",
        "su: unknown user app",
        "No passwd entry for user 'app'",
        "doas: unknown user",
    ],
)
def test_a_user_that_does_not_exist_yet_gives_the_default(line: str) -> None:
    engine = Engine(script={"count": Failed("something else", line)})
    events = engine.record("host_fact_error")
    assert engine.host().get_fact(Number, _sudo=True, _sudo_user="app") == -1
    assert events == []


@pytest.mark.parametrize("line", ["sudo: a password is required", "cat: unknown user", "sudo: unknown command"])
def test_whatever_else_sudo_says_is_an_error(line: str) -> None:
    with pytest.raises(FactError):
        Engine(script={"count": Failed(line)}).host().get_fact(Number)


def test_output_that_makes_no_sense_is_a_process_error() -> None:
    engine = Engine(script={"count": "many"})
    with pytest.raises(
        FactProcessError, match=r"Fact test_facts.Number: cannot understand the output: ValueError: "
    ) as e:
        engine.host().get_fact(Number)
    assert isinstance(e.value.__cause__, ValueError)
    assert engine.host().get_fact(Number, _ignore_errors=True) == -1


def test_output_that_makes_no_sense_fails_the_host() -> None:
    engine = Engine("a b", data={"a": {"script": {"count": "many"}}}, script={"count": "3"})
    executing(engine, Number)
    assert engine.state.failed_hosts == {engine.host("a")}
    assert isinstance(engine.state.failures[0].error, FactProcessError)


# What a fact needs


def test_a_needed_program_is_looked_for_around_the_command() -> None:
    engine = Engine()
    engine.host().get_fact(Needs)
    assert engine.calls() == [
        "if command -v 'pro gram' >/dev/null 2>&1; then ( ask it ); else echo '##PYINFRA_NOCMD##'; fi",
    ]


def needs(program: str) -> str:
    return f"if command -v {program} >/dev/null 2>&1; then ( ask it ); else echo '##PYINFRA_NOCMD##'; fi"


def test_without_the_program_the_value_is_the_default_with_a_warning_only_while_executing() -> None:
    engine = Engine(script={needs("psql"): "##PYINFRA_NOCMD##"})
    events = engine.record("host_warning")
    assert engine.host().get_fact(Needs, "psql") == "none"
    assert events == []
    executing(engine, Needs, program="psql")
    assert engine.calls()[-1] == "say none"
    ((_, told, message),) = events
    assert told is engine.host()
    assert "needs `psql`, which the host lacks" in message


@pytest.mark.parametrize("ignored", [True, False])
def test_an_unmet_precondition_gives_the_default_while_preparing_and_an_error_while_executing(ignored: bool) -> None:
    engine = Engine("a b", data={"a": {"reason": "no such system"}}, script={"pick": "picked"})
    assert engine.host("a").get_fact(Picky) == "none"
    executing(engine, Picky, _ignore_errors=ignored)
    assert engine.calls("b") == ["pick", "say picked"]
    if ignored:
        assert engine.calls("a") == ["say none"]
        return
    assert engine.calls("a") == []
    (failure,) = engine.state.failures
    assert isinstance(failure.error, FactPreconditionError)
    assert (failure.error.fact_cls, failure.error.reason) == (Picky, "no such system")
    assert failure.error_text == "Cannot collect fact Picky: no such system"


# Global arguments


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


# Connections


def test_a_host_that_is_not_connected_connects_to_be_asked() -> None:
    engine = Engine(connect=False, script={"cat /f": "x"})
    assert engine.host().get_fact(Cat, "/f") == "x"
    assert engine.host().connect_reason == "to load fact: engine.Cat (path=/f)"


def test_a_host_that_cannot_be_reached_cannot_be_asked() -> None:
    engine = Engine(connect=False, data={"one": {"connect_script": ConnectError("no route")}})
    with pytest.raises(ConnectError, match="no route"):
        engine.host().get_fact(Cat, "/f", _ignore_errors=True)


def test_a_lost_connection_is_an_error_whatever_is_ignored() -> None:
    engine = Engine(script={"cat /f": ConnectError("dead")})
    events = engine.record("host_connect_lost")
    with pytest.raises(ConnectError, match="dead"):
        engine.host().get_fact(Cat, "/f", _ignore_errors=True)
    assert [event[1] for event in events] == [engine.host()]
    with pytest.raises(ConnectError, match="has lost its connection"):
        engine.host().get_fact(Cat, "/f")


def test_another_hosts_facts_can_be_asked_for() -> None:
    engine = Engine("a b", data={"b": {"script": {"cat /f": "of b"}}})
    b = engine.host("b")

    @operation()
    def reads_other() -> Iterator[str]:
        yield f"say {b.get_fact(Cat, '/f')}"

    engine.add(reads_other, host=engine.host("a"))
    engine.run()
    assert engine.calls("a") == ["say of b"]


# get_facts


def test_get_facts_reads_all_active_hosts() -> None:
    engine = Engine("a b", data={name: {"script": {"cat /f": name}} for name in "ab"})
    assert get_facts(engine.state, Cat, ("/f",)) == {engine.host("a"): "a", engine.host("b"): "b"}
    assert get_facts(engine.state, Cat, kwargs={"path": "/f"}) == {engine.host("a"): "a", engine.host("b"): "b"}
    assert get_facts(engine.state, "server.Home", ensure_hosts=[engine.host("b")]) == {engine.host("b"): None}


@pytest.mark.parametrize("answer", [Failed("no"), "many", KeyError("mistake"), ConnectError("dead")])
def test_a_host_whose_fact_cannot_be_read_has_the_default_and_fails(
    answer: Any,
    capfd: pytest.CaptureFixture[str],
) -> None:
    engine = Engine("a b", data={"a": {"script": {"count": answer}}}, script={"count": "3"})
    assert get_facts(engine.state, Number) == {engine.host("a"): -1, engine.host("b"): 3}
    assert engine.state.failed_hosts == {engine.host("a")}
    assert capfd.readouterr() == ("", "")


def test_get_facts_need_not_fail_hosts() -> None:
    engine = Engine("a", script={"count": Failed()})
    assert get_facts(engine.state, Number, apply_failed_hosts=False) == {engine.host("a"): -1}
    assert engine.state.failed_hosts == set()


def test_get_facts_ends_the_run_when_no_host_is_left() -> None:
    with pytest.raises(PyinfraError, match="No hosts remaining!"):
        get_facts(Engine(script={"count": Failed()}).state, Number)
    with pytest.raises(FactError, match=r"ScriptedConnector.run_shell_command failed: KeyError: 'mistake'"):
        get_facts(Engine(script={"count": KeyError("mistake")}).state, Number)


def test_paramikos_errors_are_failures_of_transport() -> None:
    paramiko = pytest.importorskip("paramiko")
    engine = Engine(script={"count": paramiko.SSHException("no channel")})
    assert engine.host().get_fact(Number, _ignore_errors=True) == -1
    with pytest.raises(FactError, match=r"^Could not load fact test_facts.Number: no channel$"):
        engine.host().get_fact(Number)


def test_an_unexpected_error_of_a_connector_fails_the_host_of_the_operation_that_asked() -> None:
    engine = Engine("a b", data={"a": {"script": {"count": KeyError("x")}}}, script={"count": "3"})
    executing(engine, Number)
    (failure,) = engine.state.failures
    assert (failure.host.name, failure.is_unexpected) == ("a", True)
    assert failure.error_text.endswith("ScriptedConnector.run_shell_command failed: KeyError: 'x'")
    both = Engine("a b", script={"count": KeyError("x")})
    with pytest.raises(FactError, match="KeyError: 'x'"):
        executing(both, Number)


def test_wrong_arguments_are_the_callers_mistake_and_no_hosts() -> None:
    engine = Engine()
    with pytest.raises(FactTypeError):
        get_facts(engine.state, Cat)
    with pytest.raises(ArgumentTypeError):
        get_facts(engine.state, Cat, ("/f",), {"_sudo": None})
    assert engine.state.failed_hosts == set()


def test_get_facts_in_a_callback_does_not_wait_for_itself() -> None:
    seen: list[Any] = []
    engine = Engine("a b c", script={"count": "3"}, PARALLEL=1)
    engine.add(python.call, lambda state: seen.append(get_facts(state, Number)))
    engine.run()
    assert [list(values.values()) for values in seen] == [[3, 3, 3]] * 3


def test_get_fact_takes_arguments_as_tuple_and_dict() -> None:
    engine = Engine(script={"head -n 2 /f": "x"})
    assert get_fact(engine.state, engine.host(), Lines, ("/f",), {"count": 2}) == ["x"]


# Events


def test_a_fact_that_was_read_is_told_with_its_arguments() -> None:
    engine = Engine()
    events = engine.record("host_fact_loaded")
    engine.host().get_fact(Lines, "/f")
    assert events == [("host_fact_loaded", engine.host(), "test_facts.Lines", "path=/f", False)]


def test_a_fact_that_failed_is_not_told_as_read() -> None:
    engine = Engine(script={"count": Failed()})
    events = engine.record()
    engine.host().get_fact(Number, _ignore_errors=True)
    assert [event[0] for event in events] == ["host_fact_error"]


def test_noops_are_told_with_their_operation() -> None:
    from ..support.engine import write_unless_there

    engine = Engine(script={"cat /f": "x"})
    events = engine.record("operation_host_noop")
    meta = engine.add(write_unless_there, "/f", "x")
    assert events == [("operation_host_noop", engine.host(), meta._hash, "/f says x")]


def test_commands_may_name_a_temporary_file() -> None:
    engine = Engine()
    one = engine.host()
    name = one.get_temp_filename("key")
    assert name == "/tmp/pyinfra-a62f2225bf70bfaccbc7f1ef2a397836717377de"
    engine.add(commands, name, _temp_dir="/elsewhere")
    assert one.get_temp_filename("key", hash_filename=False, temp_directory="/x") == "/x/pyinfra-key"
    assert one.get_temp_filename() != one.get_temp_filename()
