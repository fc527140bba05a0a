"""What is known of an operation: whether it may change something, and once it ran, what it did."""

from __future__ import annotations

from typing import Any

import pytest

from ..support.engine import Engine, Failed, commands, write_unless_there


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
