"""What a run tells its callback handlers, and how it ends early."""

from __future__ import annotations

import time
from typing import Any

import gevent
import pytest

from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.facts import get_facts
from pyinfra.api.state import BaseStateCallback, StateStage
from pyinfra.operations import python

from ..support.engine import Engine, Failed, Number, commands


def test_events_come_in_order_with_the_state_first() -> None:
    class Handler(BaseStateCallback):
        @staticmethod
        def operation_start(state: Any, op_hash: str) -> None:
            seen.append(("start", state))

        @staticmethod
        def operation_host_error(
            state: Any, host: Any, op_hash: str, retry_count: int = 0, max_retries: int = 0
        ) -> None:
            seen.append(("error", host.name, retry_count, max_retries))

        @staticmethod
        def operation_host_success(state: Any, host: Any, op_hash: str, retry_count: int = 0) -> None:
            seen.append(("success", host.name, retry_count))

        @staticmethod
        def operation_end(state: Any, op_hash: str) -> None:
            seen.append(("end", state))

    seen: list[Any] = []
    engine = Engine("a", script={"bad": Failed()})
    engine.state.add_callback_handler(Handler)
    engine.add(commands, "good")
    engine.add(commands, "bad", _ignore_errors=True)
    engine.run()
    state = engine.state
    assert seen == [
        ("start", state),
        ("success", "a", 0),
        ("end", state),
        ("start", state),
        ("error", "a", 0, 0),
        ("end", state),
    ]


def test_handlers_that_lack_methods_are_passed_over() -> None:
    class Handler:
        def operation_end(self, state: Any, op_hash: str) -> None:
            seen.append(op_hash)

    seen: list[str] = []
    engine = Engine()
    engine.state.add_callback_handler(Handler())
    meta = engine.add(commands, "x")
    engine.run()
    assert seen == [meta._hash]


def test_all_events_of_one_operation() -> None:
    engine = Engine()
    events = engine.record()
    engine.add(commands, "x", "y")
    engine.run()
    assert [event[0] for event in events] == [
        "operation_host_ready",
        "operation_start",
        "operation_host_start",
        "operation_host_command",
        "operation_host_command",
        "operation_host_success",
        "operation_end",
    ]


def test_stages_are_told_and_go_forward_only() -> None:
    engine = Engine()
    events = engine.record("stage_start")
    engine.state.set_stage(StateStage.Prepare)
    engine.state.set_stage(StateStage.Execute)
    with pytest.raises(PyinfraError, match="Cannot go back from stage Execute to Connect"):
        engine.state.set_stage(StateStage.Connect)
    assert [event[1] for event in events] == [StateStage.Prepare, StateStage.Execute]


def test_warnings_are_counted_by_stage() -> None:
    state = Engine().state
    state.increment_warning_counter()
    state.increment_warning_counter()
    assert state.get_warning_counter() == 2
    state.set_stage(StateStage.Execute)
    assert state.get_warning_counter() == 0


# Ending early


def test_after_an_interruption_no_operation_begins_and_those_that_run_stop_after_their_command() -> None:
    engine = Engine("a b")
    engine.connector("a").script["x"] = lambda host: engine.state.interrupt()
    engine.add(commands, "x", "y", _serial=True)
    engine.add(commands, "z")
    engine.run()
    assert (engine.calls("a"), engine.calls("b")) == (["x"], [])
    assert [failure.error_text for failure in engine.state.failures] == ["Interrupted"]


def test_ctrl_c_in_an_operation_of_a_run_that_is_to_stop_fails_it_and_lets_the_other_hosts_end_theirs() -> None:
    def interrupt(host: Any) -> None:
        engine.state.interrupt()
        raise KeyboardInterrupt

    engine = Engine("a b", data={"a": {"script": {"x": interrupt}}})
    engine.connector("b").script["x"] = lambda host: gevent.sleep(0.05)
    engine.add(commands, "x")
    engine.add(commands, "y")
    engine.run()
    assert (engine.results("a"), engine.results("b")) == ({"ops": 1, "error_ops": 1}, {"ops": 1, "success_ops": 1})
    assert [failure.error_text for failure in engine.state.failures] == ["Interrupted"]
    assert engine.calls("b") == ["x"]


def test_keyboard_interrupt_leaves_any_other_run_and_the_operation_that_it_ended_has_failed() -> None:
    def interrupt(host: Any) -> None:
        raise KeyboardInterrupt

    engine = Engine("a b", data={"a": {"script": {"x": interrupt}}})
    events = engine.record("operation_start", "operation_end")
    engine.add(commands, "x")
    hub = gevent.get_hub()
    hub.exception_stream = None
    try:
        with pytest.raises(KeyboardInterrupt):
            engine.run()
    finally:
        del hub.exception_stream
    assert engine.results("a") == {"ops": 1, "error_ops": 1}
    assert [event[0] for event in events] == ["operation_start", "operation_end"]


def test_what_runs_can_be_ended_where_the_connector_knows_how() -> None:
    engine = Engine("a b")
    killed: list[str] = []
    engine.connector("a").kill_running = lambda: killed.append("a")  # type: ignore[attr-defined]
    engine.state.kill_running()
    gevent.sleep(0)
    assert killed == ["a"]


def test_who_ends_what_runs_can_wait_for_that_and_errors_in_it_are_warnings(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine("a b c")
    killed: list[str] = []

    def kill_slowly() -> None:
        gevent.sleep(0.05)
        killed.append("a")

    def fail() -> None:
        raise ValueError("no")

    engine.connector("a").kill_running = kill_slowly  # type: ignore[attr-defined]
    engine.connector("b").kill_running = fail  # type: ignore[attr-defined]
    engine.connector("c").kill_running = lambda: gevent.sleep(60)  # type: ignore[attr-defined]
    began_at = time.monotonic()
    engine.state.kill_running()
    engine.state.kill_running(0.2)
    assert time.monotonic() - began_at < 10
    assert killed == ["a", "a"]
    assert [record.getMessage() for record in caplog.records] == ["[b] Could not kill what runs there: no"] * 2


@pytest.mark.parametrize("arguments", [{}, {"_parallel": 1}], ids=["all at once", "one by one"])
@pytest.mark.parametrize("nested", [True, False])
def test_whoever_works_on_hosts_can_be_ended(arguments: dict[str, Any], nested: bool) -> None:
    began: list[bool] = []
    went_on: list[bool] = []

    def wait(_host: Any = None) -> str:
        began.append(True)
        gevent.sleep(0.1)
        went_on.append(True)
        return "1"

    engine = Engine("a b", script={"count": wait})
    engine.add(python.call, (lambda: get_facts(engine.state, Number)) if nested else wait, **arguments)
    run = gevent.spawn(engine.run)
    while not began:
        gevent.sleep(0)
    run.kill()
    engine.state.kill_greenlets(5)
    gevent.sleep(0.2)
    assert went_on == []
