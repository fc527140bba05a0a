"""Operations: recorded where they are called, run one after the other on all hosts."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import gevent
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


# What is known of an operation


def test_results_before_execution_are_a_runtime_error() -> None:
    meta = Engine().add(commands, "x")
    for read in (
        meta.did_change,
        meta.did_not_change,
        meta.did_succeed,
        meta.did_error,
        lambda: meta.stdout,
        lambda: meta.stdout_lines,
        lambda: meta.stderr,
        lambda: meta.stderr_lines,
    ):
        with pytest.raises(RuntimeError, match="has not run yet"):
            read()
    assert meta.did_succeed(_raise_if_not_complete=False) is False
    assert (meta.executed, meta.is_complete(), meta.changed) == (False, False, True)


@pytest.mark.parametrize(
    ("items", "arguments", "expected"),
    [
        (["ok"], {}, {"executed": True, "did_change": True, "did_succeed": True}),
        ([], {}, {"executed": False, "did_change": False, "did_succeed": True}),
        (["ok", "bad"], {"_ignore_errors": True}, {"executed": True, "did_change": False, "did_succeed": False}),
        (["ok"], {"_if": lambda: False}, {"executed": False, "did_change": False, "did_succeed": True}),
    ],
    ids=["changed", "nothing to do", "failed", "condition"],
)
def test_changed_is_success_with_a_command_and_executed_is_any_command(
    items: list[str],
    arguments: dict[str, Any],
    expected: dict[str, bool],
) -> None:
    engine = Engine(script={"bad": Failed("no")})
    meta = engine.add(commands, *items, **arguments)
    engine.run()
    seen = {"executed": meta.executed, "did_change": meta.did_change(), "did_succeed": meta.did_succeed()}
    assert seen == expected
    assert meta.is_complete()
    assert meta.changed is meta.did_change() is not meta.did_not_change()
    assert meta.did_error() is not meta.did_succeed()


def test_output_is_that_of_all_commands_by_stream() -> None:
    engine = Engine(script={"a": "one\ntwo", "b": Failed("three"), "c": "four"})
    meta = engine.add(commands, "a", "b", "c", _ignore_errors=True, _continue_on_error=True)
    engine.run()
    assert (meta.stdout_lines, meta.stderr_lines) == (["one", "two", "four"], ["three"])
    assert (meta.stdout, meta.stderr) == ("one\ntwo\nfour", "three")


def test_an_operation_without_output_has_empty_text() -> None:
    engine = Engine()
    meta = engine.add(commands)
    engine.run()
    assert (meta.stdout, meta.stderr, meta.stdout_lines, meta.stderr_lines) == ("", "", [], [])


@pytest.mark.parametrize(("check", "change"), [(True, True), (False, None)])
def test_its_repr_says_whether_it_ran_and_may_change_something(check: bool, change: bool | None) -> None:
    engine = Engine(check=check)
    meta = engine.add(commands, "x")
    assert repr(meta) == f"OperationMeta(executed=False, maybeChange={change}, hash={meta._hash})"
    engine.run()
    assert repr(meta).startswith("OperationMeta(executed=True, success=True, hash=")


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(("content", "expected"), [("new", False), ("old", True)])
def test_will_change_is_known_from_preparing_or_found_out_when_asked(check: bool, content: str, expected: bool) -> None:
    engine = Engine(script={"cat /f": content}, check=check)
    meta = engine.add(write_unless_there, "/f", "new")
    assert engine.calls() == (["cat /f"] if check else [])
    assert meta.will_change is expected
    assert engine.calls() == ["cat /f"]


@pytest.mark.parametrize("check", [True, False])
def test_will_change_after_the_run_says_what_was_true_before_it(check: bool) -> None:
    engine = Engine(script={"cat /f": ["old", "new"] if not check else ["old", "old", "new"]}, check=check)
    meta = engine.add(write_unless_there, "/f", "new")
    engine.run()
    assert meta.did_change()
    assert meta.will_change is True


def test_change_detection_counts_and_runs_nothing() -> None:
    engine = Engine(script={"cat /f": "same"})
    engine.add(write_unless_there, "/f", "same")
    engine.add(write_unless_there, "/f", "other")
    meta = engine.state.meta[engine.host()]
    assert (meta.ops, meta.ops_change, meta.ops_no_change, len(meta.op_hashes)) == (2, 1, 1, 2)
    assert engine.calls() == ["cat /f"]


def test_the_generator_runs_again_to_execute() -> None:
    engine = Engine(script={"cat /f": ["old", "new"]})
    meta = engine.add(write_unless_there, "/f", "new")
    assert meta.will_change
    engine.host().run_shell_command("something")
    engine.run()
    assert not meta.did_change()
    assert engine.calls() == ["cat /f", "something", "cat /f"]


# Calls


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "missing a required argument: 'path'"),
        (("a",), {}, "missing a required argument: 'text'"),
        (("a", "b", "c"), {}, "too many positional arguments"),
        (("a", "b"), {"mode": 1}, "got an unexpected keyword argument 'mode'"),
        (("a", "b"), {"_sudoo": True}, "got an unexpected keyword argument '_sudoo'"),
    ],
)
def test_arguments_are_bound_when_the_operation_is_called(
    check: bool,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(TypeError, match=message):
        Engine(check=check).add(write_unless_there, *args, **kwargs)


def test_a_type_error_inside_the_generator_is_its_own() -> None:
    @operation()
    def broken() -> Iterator[str]:
        yield "a" + 1  # type: ignore[operator]

    with pytest.raises(TypeError, match="can only concatenate"):
        Engine().add(broken)


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
    first = add_op(engine.state, commands, "x")
    add_op(engine.state, commands, "only a", host=engine.host("a"))
    third = add_op(engine.state, commands, "y")
    a, b = engine.host("a"), engine.host("b")
    assert first[a]._hash == first[b]._hash
    assert third[a]._hash != third[b]._hash
    assert [engine.state.op_meta[op_hash].op_order for op_hash in engine.state.ops[a]] == [(0,), (1,), (2,)]


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


# How an operation meets its hosts


def test_all_hosts_finish_an_operation_before_the_next_begins() -> None:
    engine = Engine("a b c")
    events = engine.record("operation_start", "operation_end", "operation_host_command")
    engine.add(commands, "x", "y")
    engine.add(commands, "z")
    engine.run()
    kinds = [event[0] if len(event) == 2 else str(event[3]) for event in events]
    assert kinds[0] == "operation_start"
    assert sorted(kinds[1:7]) == ["x"] * 3 + ["y"] * 3
    assert kinds[7:9] == ["operation_end", "operation_start"]
    assert kinds[9:] == ["z", "z", "z", "operation_end"]


@pytest.mark.parametrize("how", [{}, {"serial": True}, {"no_wait": True}], ids=["together", "serial", "no wait"])
def test_run_once_runs_on_the_first_host_that_gets_there(how: dict[str, Any]) -> None:
    engine = Engine("a b c")
    metas = add_op(engine.state, commands, "x", _run_once=True)
    engine.add(commands, "y")
    engine.run(**how)
    ran = [name for name in "abc" if "x" in engine.calls(name)]
    assert ran == ["a"]
    assert [engine.calls(name)[-1] for name in "abc"] == ["y"] * 3
    assert all(meta.did_succeed() for meta in metas.values())
    assert [meta.did_change() for meta in metas.values()] == [True, False, False]


def test_run_once_passes_over_hosts_that_have_failed() -> None:
    engine = Engine("a b", data={"a": {"script": {"x": Failed()}}})
    engine.add(commands, "x")
    engine.add(commands, "y", _run_once=True)
    engine.run()
    assert (engine.calls("a"), engine.calls("b")) == (["x"], ["x", "y"])


def test_serial_runs_an_operation_host_by_host() -> None:
    engine = Engine("a b c")
    events = engine.record("operation_host_command")
    engine.add(commands, "x", "y", _serial=True)
    engine.run()
    assert [(event[1].name, str(event[3])) for event in events] == [
        (host, command) for host in "abc" for command in "xy"
    ]


@pytest.mark.parametrize(
    ("parallel", "config", "most"),
    [(2, {}, 2), (None, {"PARALLEL": 3}, 3), (2, {"PARALLEL": 3}, 2), (0, {"PARALLEL": 2}, 5), (None, {}, 5)],
)
def test_parallel_limits_how_many_hosts_are_worked_on_at_once(
    parallel: int | None,
    config: dict[str, Any],
    most: int,
) -> None:
    running: list[int] = []
    seen: list[int] = []

    def work(host: Any) -> str:
        running.append(1)
        for _ in range(5):
            gevent.sleep(0)
        seen.append(len(running))
        running.pop()
        return ""

    engine = Engine("a b c d e", script={"x": work}, **config)
    engine.add(commands, "x", **({} if parallel is None else {"_parallel": parallel}))
    engine.run()
    assert max(seen) == most
    assert len(seen) == 5


@pytest.mark.parametrize("key", ["_run_once", "_serial", "_parallel"])
def test_hosts_must_agree_on_how_an_operation_meets_them(key: str) -> None:
    engine = Engine("a b")
    engine.add(commands, "x", host=engine.host("a"), **{key: 1 if key == "_parallel" else True})
    with pytest.raises(OperationValueError, match=f"^Cannot have different values for `{key}`.$"):
        engine.add(commands, "x", host=engine.host("b"))


@pytest.mark.parametrize("how", ["serial", "no_wait"])
def test_run_ops_can_take_each_host_through_all_operations(how: str) -> None:
    engine = Engine("a b")
    events = engine.record("operation_host_command")
    for name in "xyz":
        engine.add(commands, name)
    engine.run(**{how: True})
    order = [(event[1].name, str(event[3])) for event in events]
    if how == "serial":
        assert order == [(host, command) for host in "ab" for command in "xyz"]
    assert [command for host, command in order if host == "b"] == ["x", "y", "z"]


def test_a_slow_host_does_not_hold_up_others_without_waiting() -> None:
    done = gevent.event.Event()
    engine = Engine("a b", data={"a": {"script": {"x": lambda host: done.wait(10) and ""}}})
    engine.connector("b").script["z"] = lambda host: done.set()
    for name in "xyz":
        engine.add(commands, name)
    engine.run(no_wait=True)
    assert engine.calls("a") == engine.calls("b") == ["x", "y", "z"]


# Conditions


@pytest.mark.parametrize(
    ("condition", "runs"),
    [
        (None, True),
        ([], True),
        (lambda: True, True),
        (lambda: False, False),
        ([lambda: True, lambda: True], True),
        ([lambda: True, lambda: False], False),
        (lambda: 0, False),
        (lambda: "yes", True),
    ],
)
def test_a_condition_is_none_a_function_or_a_list(condition: Any, runs: bool) -> None:
    engine = Engine()
    engine.add(commands, "x", _if=condition)
    engine.run()
    assert engine.calls() == (["x"] if runs else [])
    assert engine.results() == {"ops": 1, "success_ops": 1}


@pytest.mark.parametrize("condition", [True, "yes", [True], lambda required: True])
def test_any_other_condition_is_a_type_error(condition: Any) -> None:
    with pytest.raises(ArgumentTypeError, match=r"^Invalid argument `_if`::"):
        Engine().add(commands, "x", _if=condition)


def test_conditions_are_evaluated_when_the_operation_runs() -> None:
    engine = Engine()
    first = engine.add(commands, "x")
    engine.add(commands, "changed", _if=first.did_change)
    engine.add(commands, "not changed", _if=first.did_not_change)
    engine.run()
    assert engine.calls() == ["x", "changed"]


def test_a_condition_that_is_false_is_no_change() -> None:
    engine = Engine()
    events = engine.record()
    engine.add(commands, "x", _if=lambda: False)
    engine.run()
    assert [event[0] for event in events][-4:] == [
        "operation_start",
        "operation_host_start",
        "operation_host_skipped",
        "operation_end",
    ]


@pytest.mark.parametrize("ignored", [False, True])
def test_a_condition_that_raises_fails_the_operation(ignored: bool) -> None:
    def broken() -> bool:
        raise ValueError("no idea")

    engine = Engine("a b")
    engine.add(commands, "x", _if=broken, _ignore_errors=ignored, host=engine.host("a"))
    engine.run()
    assert engine.calls("a") == []
    assert engine.results("a") == {"ops": 1, "ignored_error_ops" if ignored else "error_ops": 1}
    assert (engine.host("a") in engine.state.failed_hosts) is not ignored


def test_conditions_about_other_operations_can_be_combined() -> None:
    from pyinfra.operations.util import all_changed, any_changed

    engine = Engine()
    changed, same = engine.add(commands, "x"), engine.add(commands)
    engine.add(commands, "any", _if=any_changed(changed, same))
    engine.add(commands, "all", _if=all_changed(changed, same))
    engine.add(commands, "both", _if=all_changed(changed, changed))
    engine.run()
    assert engine.calls() == ["x", "any", "both"]


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
