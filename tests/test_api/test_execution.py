"""How operations run: together, host by host, once, on some at a time, and on conditions."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from pyinfra.api import OperationValueError
from pyinfra.api.exceptions import ArgumentTypeError
from pyinfra.api.operation import add_op

from ..support.engine import Engine, Failed, commands


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
