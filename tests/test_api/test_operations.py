"""Operations: recorded where they are called, run one after the other on all hosts."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest

import pyinfra
from pyinfra.api import (
    FileDownloadCommand,
    FileUploadCommand,
    FunctionCommand,
    MaskString,
    OperationError,
    OperationTypeError,
    OperationValueError,
    RsyncCommand,
    StringCommand,
    operation,
)
from pyinfra.api.deploy import add_deploy, deploy
from pyinfra.api.exceptions import ArgumentTypeError, PyinfraError
from pyinfra.api.operation import OperationMeta, add_op
from pyinfra.operations import python

from ..support.engine import Engine, Failed, commands, write_unless_there


def test_an_operations_commands_run_in_order_on_every_host() -> None:
    engine = Engine("a b")
    engine.add(commands, "first", StringCommand("second", "part"), "  third ")
    engine.run()
    assert engine.calls("a") == engine.calls("b") == ["first", "second part", "third"]


def test_each_kind_of_command_goes_through_the_connectors_method_for_it() -> None:
    engine = Engine()
    engine.add(
        commands,
        FileUploadCommand(StringIO("x"), "/up"),
        FileDownloadCommand("/down", StringIO()),
        RsyncCommand("src", "dest", ["-a"]),
        FunctionCommand(lambda: None, (), {}),
        "text",
        _chdir="/d",
    )
    engine.run()
    assert engine.calls() == ["put /up", "get /down", "rsync src dest", "text"]
    assert {arguments["_chdir"] for _, arguments in engine.connector().calls} == {"/d"}


def test_keywords_of_a_yielded_command_override_the_operations() -> None:
    engine = Engine()
    engine.add(commands, StringCommand("mine", _sudo=False, _timeout=3), "theirs", _sudo=True, _chdir="/d")
    engine.run()
    mine, theirs = engine.arguments("mine"), engine.arguments("theirs")
    assert (mine["_sudo"], mine["_timeout"], mine["_chdir"]) == (False, 3, "/d")
    assert (theirs["_sudo"], theirs["_timeout"], theirs["_chdir"]) == (True, None, "/d")


def test_a_masked_text_that_is_yielded_stays_masked_in_events() -> None:
    engine = Engine()
    events = engine.record("operation_host_command")
    engine.add(commands, MaskString("secret"))
    engine.run()
    assert engine.calls() == ["secret"]
    assert str(events[0][3]) == "***"


@pytest.mark.parametrize("item", [None, 7, ["ls"], commands._inner("x")])
def test_yielding_anything_else_is_an_error_that_says_how_to_use_other_operations(item: Any) -> None:
    engine = Engine()
    engine.add(commands, "first", item, name="Odd")
    with pytest.raises(PyinfraError, match="No hosts remaining!"):
        engine.run()
    (failure,) = engine.state.failures
    assert isinstance(failure.error, OperationTypeError)
    assert str(failure.error).startswith("Operation Odd yielded ")
    assert "yield from" in str(failure.error)


# Calls


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "missing a required argument: 'path'"),
        (("a",), {}, "missing a required argument: 'text'"),
        (("a", "b", "c"), {}, "too many positional arguments"),
        (("a", "b"), {"mode": 1}, "got an unexpected keyword argument 'mode'"),
        (("a", "b"), {"_sudoo": True}, "got an unexpected keyword argument '_sudoo' .*: did you mean `_sudo`?"),
        (("a",), {"txt": "b"}, "missing a required argument: 'text' .*`txt`: did you mean `text`?"),
    ],
)
def test_arguments_are_bound_when_the_operation_is_called(
    check: bool,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(OperationTypeError, match=f"^Invalid arguments for engine.write_unless_there: {message}"):
        Engine(check=check).add(write_unless_there, *args, **kwargs)


def test_a_type_error_inside_the_generator_is_its_own() -> None:
    @operation()
    def broken() -> Iterator[str]:
        yield "a" + 1  # type: ignore[operator]

    with pytest.raises(TypeError, match="can only concatenate"):
        Engine().add(broken)


def test_a_function_that_yields_and_returns_nothing_is_no_operation() -> None:
    @operation()
    def silent() -> Any:
        return None

    with pytest.raises(OperationTypeError, match=r"silent returned NoneType: operations are functions that yield"):
        Engine().add(silent)


def test_a_plain_function_that_returns_commands_is_an_operation_too() -> None:
    @operation()
    def plain(count: int) -> Any:
        return [f"echo {number}" for number in range(count)]

    engine = Engine()
    meta = engine.add(plain, count=2)
    engine.run()
    assert meta.did_change()
    assert engine.calls() == ["echo 0", "echo 1"]
    with pytest.raises(TypeError, match="missing a required argument: 'count'"):
        engine.add(plain)


def test_a_bare_decorator_says_how_to_write_it() -> None:
    with pytest.raises(PyinfraError, match=r"The `operation` decorator must be called, ie `@operation\(\)`"):
        operation(lambda: iter(()))  # type: ignore[arg-type]


def test_an_operation_keeps_what_it_is_made_of() -> None:
    @operation(is_idempotent=False, idempotent_notice="always", is_deprecated=True, deprecated_for="other.op")
    def old(first: str) -> Iterator[str]:
        """What it does."""
        yield first

    assert list(old._inner("x")) == ["x"]
    assert (old.is_idempotent, old.idempotent_notice) == (False, "always")
    assert (old.is_deprecated, old.deprecated_for) == (True, "other.op")
    assert (old.__name__, old.__doc__) == ("old", "What it does.")  # type: ignore[attr-defined]


def test_a_deprecated_operation_warns_and_runs(caplog: pytest.LogCaptureFixture) -> None:
    @operation(is_deprecated=True, deprecated_for="other.op")
    def old() -> Iterator[str]:
        yield "x"

    engine = Engine()
    engine.add(old)
    engine.run()
    assert "old operation is deprecated, use other.op" in caplog.text
    assert engine.calls() == ["x"]


def test_an_operation_called_inside_another_is_an_error_that_names_inner() -> None:
    @operation()
    def outer() -> Iterator[Any]:
        commands("x")
        yield "never"

    with pytest.raises(PyinfraError, match=r"called inside another one: use engine.commands._inner\(…\)"):
        Engine().add(outer)


def test_inner_is_the_plain_function_for_use_in_another_operation() -> None:
    @operation()
    def outer() -> Iterator[Any]:
        yield "before"
        yield from commands._inner("x")

    engine = Engine()
    engine.add(outer)
    engine.run()
    assert engine.calls() == ["before", "x"]
    assert engine.results() == {"ops": 1, "success_ops": 1}


def test_an_operation_called_outside_a_run_says_so() -> None:
    with pytest.raises(PyinfraError, match="called outside a deploy"):
        commands("x")


# add_op


def test_add_op_returns_what_is_known_by_host() -> None:
    engine = Engine("a b")
    metas = add_op(engine.state, commands, "x")
    assert list(metas) == [engine.host("a"), engine.host("b")]
    assert all(isinstance(meta, OperationMeta) for meta in metas.values())


def test_add_op_takes_one_host_or_several() -> None:
    engine = Engine("a b c")
    add_op(engine.state, commands, "one", host=engine.host("b"))
    add_op(engine.state, commands, "two", host=[engine.host("a"), engine.host("b")])
    engine.run()
    assert (engine.calls("a"), engine.calls("b"), engine.calls("c")) == (["two"], ["one", "two"], [])


@pytest.mark.parametrize("host", ["one", ["one"], [None]])
def test_add_op_takes_no_names_for_hosts(host: Any) -> None:
    with pytest.raises(PyinfraError, match=r"`host` takes hosts of the run, as inventory.get_host"):
        Engine().add(commands, "x", host=host)


def test_add_op_leaves_out_hosts_that_failed() -> None:
    engine = Engine("a b", data={"a": {"script": {"x": Failed()}}})
    engine.add(commands, "x")
    engine.run()
    assert list(add_op(engine.state, commands, "y")) == [engine.host("b")]


def test_add_op_is_for_api_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    monkeypatch.setattr(pyinfra, "is_cli", True)
    with pytest.raises(PyinfraError, match="`add_op` is for API mode"):
        add_op(engine.state, commands, "x")


def test_an_error_in_add_op_is_raised_and_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ArgumentTypeError):
        Engine("a b").add(commands, "x", _sudo=None)
    assert capfd.readouterr() == ("", "")


def test_in_api_mode_the_position_is_the_count_of_operations_on_the_host() -> None:
    engine = Engine("a b")
    a, b = engine.host("a"), engine.host("b")
    for text in ("x", "y"):
        metas = {**add_op(engine.state, commands, text, host=a), **add_op(engine.state, commands, text, host=b)}
        assert metas[a]._hash == metas[b]._hash
    assert [engine.state.op_meta[op_hash].op_order for op_hash in engine.state.ops[a]] == [(0,), (1,)]


def test_what_one_call_adds_is_one_operation_however_many_the_hosts_have_had() -> None:
    engine = Engine("a b c")
    engine.add(commands, "only a", host=engine.host("a"))
    engine.add(commands, "only b", host=engine.host("b"))
    engine.add(commands, "more for b", host=engine.host("b"))
    metas = add_op(engine.state, commands, "all")
    assert len({meta._hash for meta in metas.values()}) == 1
    assert [engine.state.op_meta[op_hash].args for op_hash in engine.state.get_op_order()] == [
        ["only a"],
        ["only b"],
        ["more for b"],
        ["all"],
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [((commands, "on a", "x"), (commands, "on b", "x")), ((commands, "on a", "x"), (commands, "on a", "y"))],
    ids=["by arguments", "by name"],
)
def test_calls_for_different_hosts_that_differ_are_operations_of_their_own(first: Any, second: Any) -> None:
    engine = Engine("a b")
    for host, (func, text, name) in zip("ab", (first, second), strict=True):
        engine.add(func, text, name=name, host=engine.host(host), _run_once=True)
    engine.run()
    assert (engine.calls("a"), engine.calls("b")) == ([first[1]], [second[1]])


def test_an_operation_for_all_hosts_meets_them_as_its_own_call_says() -> None:
    engine = Engine("a b", script={"bad": Failed()})
    engine.add(commands, "bad", host=engine.host("b"))
    engine.add(commands, "last", _run_once=True)
    engine.run()
    assert (engine.calls("a"), engine.calls("b")) == (["last"], ["bad"])


def test_what_one_call_of_a_deploy_adds_is_one_operation_by_operation() -> None:
    @deploy()
    def group() -> None:
        from pyinfra import host

        commands(f"first on {host.name}")
        if host.name == "a":
            commands("on a", _run_once=True)
        else:
            commands("on b", _run_once=True)

    engine = Engine("a b")
    engine.add(commands, "before", host=engine.host("a"))
    add_deploy(engine.state, group)
    engine.run()
    assert (engine.calls("a"), engine.calls("b")) == (["before", "first on a", "on a"], ["first on b", "on b"])
    assert len(engine.state.get_op_order()) == 4


def test_operations_added_after_a_run_run_in_the_next_one() -> None:
    engine = Engine()
    engine.add(commands, "x")
    engine.run()
    engine.add(commands, "y")
    engine.run()
    engine.run()
    assert engine.calls() == ["x", "y"]
    assert engine.results() == {"ops": 2, "success_ops": 2}


# Names


@pytest.mark.parametrize(
    ("args", "kwargs", "names", "texts"),
    [
        (("x",), {"name": "Do it"}, {"Do it"}, []),
        (("x", "y"), {}, {"engine.commands"}, ["x", "y"]),
        ((len,), {"_if": lambda: False}, {"engine.commands"}, ["len"]),
        ((StringIO("text"),), {"_if": lambda: False}, {"engine.commands"}, None),
    ],
)
def test_an_operation_without_a_name_is_called_by_its_module_function_and_arguments(
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    names: set[str],
    texts: list[str] | None,
) -> None:
    engine = Engine(check=False)
    meta = engine.add(commands, *args, **kwargs)
    assert meta._hash is not None
    op_meta = engine.state.get_op_meta(meta._hash)
    if texts is None:
        texts = ["StringIO(hash=372ea08cab33e71c02c651dbc83a474d32c676ea)"]
    assert (op_meta.names, op_meta.args) == (names, texts)


def test_keyword_arguments_are_shown_with_their_names() -> None:
    engine = Engine()
    meta = engine.add(write_unless_there, "/f", text="x")
    assert engine.state.op_meta[str(meta._hash)].args == ["/f", "text=x"]


# Errors inside operations


@pytest.mark.parametrize("error", [OperationError("no"), OperationValueError("no"), ValueError("no")])
def test_an_error_while_preparing_is_raised_as_it_is(error: Exception) -> None:
    @operation()
    def picky() -> Iterator[str]:
        raise error
        yield

    with pytest.raises(type(error), match="no"):
        Engine().add(picky)


def test_python_call_passes_arguments_and_ignores_what_comes_back() -> None:
    seen: list[Any] = []

    def callback(first: str, second: str = "", *, state: Any, host: Any) -> int:
        seen.append((first, second, state, host))
        return 0

    engine = Engine()
    meta = engine.add(python.call, callback, "a", second="b")
    engine.run()
    assert seen == [("a", "b", engine.state, engine.host())]
    assert meta.did_change()
