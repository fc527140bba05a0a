"""Facts: what a command's output means, and what stands for it where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pyinfra.api import (
    FactBase,
    FactError,
    FactPreconditionError,
    FactProcessError,
    FactTypeError,
    QuoteString,
    ShortFactBase,
    StringCommand,
    operation,
)
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.facts import get_facts

from ..support.engine import Cat, Engine, Failed, Number, commands, executing


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


class Shell(FactBase[str]):
    """A fact with a shell of its own."""

    shell_executable = "ksh"

    def command(self) -> str:
        return "shell"


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
        (("a",), {"_sudoo": 1}, "got an unexpected keyword argument '_sudoo' .*: did you mean `_sudo`?"),
        ((), {"foo": 1}, "missing a required argument: 'path' .*unknown argument `foo`: it takes path"),
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
    with pytest.raises(FactProcessError, match=r"Fact engine.Number: cannot understand the output: ValueError: ") as e:
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


class Unwritten(FactBase[str]):
    """A fact without a command."""


class OfClass(FactBase[str]):
    """A fact whose command is a method of its class."""

    @classmethod
    def command(cls, path: str) -> str:
        return f"cat {cls.__name__} {path}"


class NeedsLess(FactBase[str]):
    """A fact that needs a program that one of its arguments names."""

    def command(self, program: str, words: str = "--help") -> str:
        return f"{program} {words}"

    def requires_command(self, program: str) -> str:  # type: ignore[override]
        return program


@pytest.mark.parametrize("wrong", [5, str, None, Unwritten()])
def test_what_is_no_fact_is_told(wrong: Any) -> None:
    engine = Engine()
    with pytest.raises(FactTypeError, match="A fact is a class such as"):
        engine.host().get_fact(wrong)
    with pytest.raises(FactTypeError, match="A fact is a class such as"):
        get_facts(engine.state, wrong)


def test_a_fact_without_a_command_is_told() -> None:
    with pytest.raises(FactError, match="Unwritten has no `command`"):
        Engine().host().get_fact(Unwritten)


def test_a_command_may_be_a_class_method() -> None:
    engine = Engine(script={"cat OfClass /f": "x"})
    assert engine.host().get_fact(OfClass, "/f") == engine.host().get_fact(OfClass, path="/f") == "x"


def test_what_names_the_program_need_not_take_all_arguments() -> None:
    command = "if command -v prog >/dev/null 2>&1; then ( prog --help ); else echo '##PYINFRA_NOCMD##'; fi"
    assert Engine(script={command: "x"}).host().get_fact(NeedsLess, "prog") == "x"
