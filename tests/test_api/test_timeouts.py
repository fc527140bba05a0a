"""Time-outs of gevent's, which are no Exceptions: they fail the host that they come from, and end who set them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.facts import get_facts
from pyinfra.operations import python, server

from ..support.engine import Engine, Number, commands
from ..support.run import connected_run


def time_out(_host: Any = None) -> bool:
    """Give up, as code does that has set a time-out and handles it nowhere."""
    with gevent.Timeout(0.001):
        gevent.sleep(30)
    return True


def test_a_time_out_in_connect_is_that_hosts_own() -> None:
    engine = Engine("a b", data={"a": {"connect_script": time_out}}, connect=False)
    events = engine.record("host_connect_error")
    connect_all(engine.state)
    assert engine.state.failed_hosts == {engine.host("a")}
    (failure,) = engine.state.connect_failures.values()
    assert str(failure) == "ScriptedConnector.connect failed: TimeoutError: Timed out: 0.001 seconds"
    assert events == [("host_connect_error", engine.host("a"), failure)]


def test_a_time_out_in_disconnect_only_warns(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine("a b", data={"a": {"disconnect_script": time_out}})
    disconnect_all(engine.state)
    assert not any(host.connected for host in engine.inventory)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "[a] Could not disconnect: 0.001 seconds",
    ]


@operation()
def times_out() -> Iterator[str]:
    time_out()
    yield "never"


@operation()
def reads_a_number() -> Iterator[str]:
    from pyinfra import host

    host.get_fact(Number)
    yield "never"


@pytest.mark.parametrize(
    ("called", "arguments"),
    [
        (times_out, {}),
        (reads_a_number, {}),
        (commands, {"_if": time_out}),
        (lambda: commands("x"), {}),
        (python.call, {"function": time_out}),
    ],
    ids=["generator", "fact", "condition", "command", "callback"],
)
def test_a_time_out_in_an_operation_fails_its_host(called: Any, arguments: dict[str, Any]) -> None:
    engine = Engine("a b", check=False, script={"count": time_out, "x": time_out})
    meta = engine.add(called, **arguments, host=engine.host("a"))
    engine.add(commands, "later")
    engine.run()
    (failure,) = engine.state.failures
    assert failure.error_text == "Timed out: 0.001 seconds"
    assert not failure.is_unexpected
    assert meta.did_error()
    assert engine.calls("b") == ["later"]


def test_get_facts_fails_a_host_whose_fact_takes_too_long() -> None:
    engine = Engine("a b", data={"a": {"script": {"count": time_out}}}, script={"count": "3"})
    assert get_facts(engine.state, Number) == {engine.host("a"): -1, engine.host("b"): 3}
    assert engine.state.failed_hosts == {engine.host("a")}


# Who set a time-out gets it


def test_the_time_out_of_a_callback_ends_it_whatever_its_nested_operations_ignore() -> None:
    went_on: list[bool] = []

    def callback() -> None:
        for _ in range(3):
            server.shell("sleep 2", _ignore_errors=True)
        went_on.append(True)

    with connected_run() as run:
        began_at = time.monotonic()
        with pytest.raises(AssertionError, match="Function timed out after 1s"):
            run.op(python.call, callback, _timeout=1)
        assert time.monotonic() - began_at < 1.9
    assert went_on == []


def test_the_time_out_of_a_callback_says_so_and_not_what_it_waited_for() -> None:
    engine = Engine("a b", script={"count": lambda host: gevent.sleep(30)})
    slow = FunctionCommand(lambda host: host.get_fact(Number), (), {}, _timeout=0.01)  # type: ignore[typeddict-item]
    engine.add(commands, slow, host=engine.host("a"))
    engine.run()
    (failure,) = engine.state.failures
    assert failure.error_text == "Function timed out after 0.01s"


def test_a_callback_may_give_its_nested_operations_a_limit_of_its_own() -> None:
    seen: list[str] = []

    def callback() -> None:
        with gevent.Timeout(0.01, False):
            commands("wait", _ignore_errors=True)
            seen.append("never")
        seen.append("after")

    engine = Engine(script={"wait": lambda host: gevent.sleep(30)})
    engine.add(python.call, callback)
    engine.run()
    assert seen == ["after"]
    assert engine.results() == {"ops": 2, "success_ops": 1, "ignored_error_ops": 1}


def test_of_two_callbacks_each_has_its_own_time_out() -> None:
    def inner() -> None:
        gevent.sleep(30)

    def outer() -> None:
        meta = commands(FunctionCommand(inner, (), {}, _timeout=0.01), _ignore_errors=True)  # type: ignore[typeddict-item]
        seen.append(meta.did_error())

    seen: list[bool] = []
    engine = Engine()
    engine.add(python.call, outer, _timeout=30)
    engine.run()
    assert seen == [True]
