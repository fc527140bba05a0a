"""Retries: the whole operation again, after a failure or until its output is right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from pyinfra.api import operation
from pyinfra.api.exceptions import PyinfraError
from pyinfra.operations import python

from ..support.engine import Cat, Engine, Failed, commands

RETRIES = {"_retry_delay": 0}


@pytest.mark.parametrize(
    ("answers", "retries", "tries", "succeeds"),
    [
        ([""], 3, 1, True),
        ([Failed(), ""], 3, 2, True),
        ([Failed(), Failed(), ""], 2, 3, True),
        ([Failed()], 2, 3, False),
        ([Failed()], 0, 1, False),
        ([TimeoutError("slow"), OSError("no"), ""], 2, 3, True),
    ],
)
def test_a_failed_operation_is_tried_again_as_often_as_allowed(
    answers: list[Any],
    retries: int,
    tries: int,
    succeeds: bool,
) -> None:
    engine = Engine("one other", data={"one": {"script": {"x": answers}}})
    meta = engine.add(commands, "x", _retries=retries, **RETRIES)
    engine.run()
    assert engine.calls() == ["x"] * tries
    assert meta.did_succeed() is succeeds
    assert meta.get_retry_info() == {
        "retry_attempts": tries - 1,
        "max_retries": retries,
        "was_retried": tries > 1,
        "retry_succeeded": succeeds if tries > 1 else None,
    }
    # Whatever the number of tries, it is one operation
    assert engine.results() == {"ops": 1, "success_ops" if succeeds else "error_ops": 1}


def test_a_retry_runs_the_whole_operation_and_its_output_is_the_last_trys() -> None:
    engine = Engine(script={"first": ["a", "b"], "second": [Failed("no"), "yes"]})
    meta = engine.add(commands, "first", "second", _retries=1, **RETRIES)
    engine.run()
    assert engine.calls() == ["first", "second", "first", "second"]
    assert (meta.stdout_lines, meta.stderr_lines) == (["b", "yes"], [])


def test_events_tell_of_each_retry_and_how_many_it_took() -> None:
    engine = Engine(script={"x": [Failed(), Failed(), ""], "y": Failed()})
    events = engine.record("operation_host_retry", "operation_host_success", "operation_host_error")
    engine.add(commands, "x", _retries=3, **RETRIES)
    engine.add(commands, "y", _retries=1, _ignore_errors=True, **RETRIES)
    engine.run()
    assert [(event[0].removeprefix("operation_host_"), *event[3:]) for event in events] == [
        ("retry", 1, 3),
        ("retry", 2, 3),
        ("success", 2),
        ("retry", 1, 1),
        ("error", 1, 1),
    ]


def test_an_error_is_ignored_only_after_the_last_try() -> None:
    engine = Engine(script={"x": Failed()})
    engine.add(commands, "x", _retries=2, _ignore_errors=True, **RETRIES)
    engine.run()
    assert engine.calls() == ["x"] * 3
    assert engine.results() == {"ops": 1, "ignored_error_ops": 1}


def test_an_interruption_ends_the_wait_for_the_next_try_and_leaves_what_failed() -> None:
    engine = Engine("a b", data={"a": {"script": {"x": Failed("broken")}}})
    meta = engine.add(commands, "x", _retries=2, _retry_delay=60)
    gevent.spawn_later(0.02, engine.state.interrupt)
    with gevent.Timeout(10):
        engine.run()
    (failure,) = engine.state.failures
    assert (failure.command, failure.stderr_lines) == ("x", ("broken",))
    assert meta.get_retry_info()["retry_attempts"] == 0


def test_a_try_that_an_interruption_has_kept_from_its_first_command_hides_no_failure() -> None:
    @operation()
    def after_a_fact() -> Iterator[str]:
        from pyinfra import host

        host.get_fact(Cat, "/status")
        yield "x"

    engine = Engine("a b", check=False, data={"a": {"script": {"x": Failed("broken")}}})
    statuses: list[Any] = ["", lambda host: engine.state.interrupt()]
    engine.connector("a").script["cat /status"] = statuses
    meta = engine.add(after_a_fact, _retries=2, **RETRIES)
    engine.run()
    assert engine.calls("a") == ["cat /status", "x", "cat /status"]
    assert [failure.command for failure in engine.state.failures] == ["x"]
    assert meta.get_retry_info()["retry_attempts"] == 0


def test_one_failure_is_kept_for_all_tries_of_an_operation() -> None:
    engine = Engine("a b", data={"a": {"script": {"x": [Failed("first"), Failed("last")]}}})
    engine.add(commands, "x", _retries=1, **RETRIES)
    engine.run()
    assert [failure.stderr_lines for failure in engine.state.failures] == [("last",)]


def test_configuration_says_how_often_where_the_call_does_not() -> None:
    engine = Engine("a b", script={"x": Failed(), "y": Failed()}, RETRY=1, RETRY_DELAY=0)
    engine.add(commands, "x", _ignore_errors=True)
    engine.add(commands, "y", _ignore_errors=True, _retries=2)
    engine.run()
    assert engine.calls("a") == ["x"] * 2 + ["y"] * 3


def test_facts_are_read_again_in_each_try() -> None:
    @operation()
    def wait_for_ready() -> Iterator[str]:
        from pyinfra import host, state

        if host.get_fact(Cat, "/status") != "ready" and state.is_executing:
            raise PyinfraError("not ready")
        yield "go"

    engine = Engine(script={"cat /status": ["starting", "starting", "ready"]}, check=False)
    engine.add(wait_for_ready, _retries=5, **RETRIES)
    engine.run()
    assert engine.calls() == ["cat /status", "cat /status", "cat /status", "go"]


# Until


def test_retry_until_is_asked_after_each_success_while_tries_remain() -> None:
    seen: list[dict[str, Any]] = []

    def until(output: dict[str, Any]) -> bool:
        seen.append(output)
        return False

    engine = Engine(script={"x": "still"})
    meta = engine.add(commands, "x", _retries=2, _retry_until=until, **RETRIES)
    engine.run()
    assert engine.calls() == ["x"] * 3
    assert len(seen) == 2
    assert meta.did_succeed()


def test_retry_until_ends_the_retries_when_it_is_true() -> None:
    engine = Engine(script={"x": ["no", "no", "done", "more"]})
    engine.add(commands, "x", _retries=9, _retry_until=lambda output: "done" in output["stdout_lines"], **RETRIES)
    engine.run()
    assert engine.calls() == ["x"] * 3


def test_retry_until_gets_the_output_and_what_ran_where() -> None:
    seen: list[dict[str, Any]] = []
    engine = Engine(script={"x": "out", "y": Failed("err")})
    engine.add(
        commands,
        "x",
        "z",
        name="Try",
        _retries=1,
        _retry_until=lambda output: seen.append(output) is None,
        **RETRIES,
    )
    engine.run()
    assert seen == [
        {
            "stdout_lines": ["out"],
            "stderr_lines": [],
            "commands": ["x", "z"],
            "executed_commands": 2,
            "host": "one",
            "operation": "Try",
        },
    ]


def test_a_failure_is_retried_without_asking_retry_until() -> None:
    asked: list[Any] = []
    engine = Engine(script={"x": [Failed(), "ok"]})
    engine.add(commands, "x", _retries=5, _retry_until=lambda output: asked.append(output) is None, **RETRIES)
    engine.run()
    assert engine.calls() == ["x", "x"]
    assert [output["stdout_lines"] for output in asked] == [["ok"]]


def test_retry_until_that_raises_is_logged_and_the_operation_has_succeeded(caplog: pytest.LogCaptureFixture) -> None:
    def until(output: dict[str, Any]) -> bool:
        raise KeyError("oops")

    engine = Engine()
    meta = engine.add(commands, "x", _retries=5, _retry_until=until, **RETRIES)
    engine.run()
    assert engine.calls() == ["x"]
    assert meta.did_succeed()
    assert "_retry_until failed, not trying again: KeyError: 'oops'" in caplog.text


def test_without_retries_retry_until_is_not_asked() -> None:
    engine = Engine()
    engine.add(commands, "x", _retry_until=lambda output: 1 / 0 > 1)
    engine.run()
    assert engine.calls() == ["x"]


def test_retry_until_is_asked_of_operations_with_no_command_too() -> None:
    seen: list[int] = []

    def until(output: dict[str, Any]) -> bool:
        seen.append(output["executed_commands"])
        return len(seen) == 2

    engine = Engine()
    engine.add(commands, _retries=5, _retry_until=until, **RETRIES)
    engine.run()
    assert seen == [0, 0]


def test_callbacks_are_retried_with_all_operations_in_them() -> None:
    engine = Engine(script={"x": [Failed(), ""]})
    engine.add(python.call, lambda: commands("x"), _retries=1, **RETRIES)
    engine.run()
    assert engine.calls() == ["x", "x"]
    assert engine.results() == {"ops": 3, "success_ops": 2, "error_ops": 1}
    assert engine.host() not in engine.state.failed_hosts


def test_connectors_get_the_retry_arguments_and_leave_them_to_the_engine() -> None:
    engine = Engine()
    engine.add(commands, "x", _retries=2, _retry_delay=0.5)
    engine.run()
    arguments = engine.arguments("x")
    assert (arguments["_retries"], arguments["_retry_delay"], arguments["_retry_until"]) == (2, 0.5, None)
