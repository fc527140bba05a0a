"""What goes wrong on hosts: which of them go on, what is counted, told and raised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from pyinfra.api import FileUploadCommand, FunctionCommand, OperationError, operation
from pyinfra.api.connect import disconnect_all
from pyinfra.api.exceptions import PyinfraError
from pyinfra.operations import python

from ..support.engine import Engine, Failed, commands


@operation()
def refuse(error: Exception) -> Iterator[str]:
    """Raise an error when it runs, after it was prepared."""
    from pyinfra import state

    if state.is_executing:
        raise error
    yield "never"


# Operations that fail


@pytest.mark.parametrize(
    ("arguments", "ran", "results", "is_left"),
    [
        ({}, ["bad"], {"ops": 1, "error_ops": 1}, False),
        ({"_ignore_errors": True}, ["bad"], {"ops": 1, "ignored_error_ops": 1}, True),
        ({"_continue_on_error": True}, ["bad", "good"], {"ops": 1, "error_ops": 1}, False),
        (
            {"_ignore_errors": True, "_continue_on_error": True},
            ["bad", "good"],
            {"ops": 1, "ignored_error_ops": 1, "partial_ops": 1},
            True,
        ),
    ],
    ids=["plain", "ignored", "continued", "both"],
)
def test_a_failed_command_ends_the_operation_and_the_host_unless_told_otherwise(
    arguments: dict[str, Any],
    ran: list[str],
    results: dict[str, int],
    is_left: bool,
) -> None:
    engine = Engine("one other", data={"one": {"script": {"bad": Failed("no")}}})
    one = engine.host()
    meta = engine.add(commands, "bad", "good", **arguments)
    engine.run()
    assert engine.calls() == ran
    assert engine.results() == results
    assert meta.did_error()
    assert (one in engine.state.active_hosts, one in engine.state.failed_hosts) == (is_left, not is_left)
    assert engine.results("other") == {"ops": 1, "success_ops": 1}


def test_a_host_that_failed_runs_no_more_and_others_go_on() -> None:
    engine = Engine("a b", data={"a": {"script": {"bad": Failed()}}})
    engine.add(commands, "bad")
    later = engine.add(commands, "later")
    engine.run()
    assert (engine.calls("a"), engine.calls("b")) == (["bad"], ["bad", "later"])
    assert not later.is_complete()
    assert [host.name for host in engine.inventory.get_active_hosts()] == ["b"]
    assert [host.name for host in engine.inventory.iter_activated_hosts()] == ["a", "b"]


@pytest.mark.parametrize("error", [TimeoutError("too slow"), OSError(28, "No space left"), Failed("no")])
def test_connectors_fail_a_command_by_false_or_by_an_error_of_transport(error: Any) -> None:
    engine = Engine("a b", data={"a": {"script": {"x": error}}})
    engine.add(commands, "x")
    engine.run()
    (failure,) = engine.state.failures
    assert (failure.host.name, failure.command, failure.is_unexpected) == ("a", "x", False)
    assert engine.results("a") == {"ops": 1, "error_ops": 1}


def test_paramikos_errors_are_of_transport_too() -> None:
    paramiko = pytest.importorskip("paramiko")
    engine = Engine("a", data={"a": {"script": {"x": paramiko.SSHException("no channel")}}})
    engine.add(commands, "x")
    with pytest.raises(PyinfraError, match="No hosts remaining!"):
        engine.run()


@pytest.mark.parametrize("how", [{}, {"serial": True}, {"no_wait": True}], ids=["together", "serial", "no wait"])
def test_a_run_ends_when_no_host_is_left(how: dict[str, Any]) -> None:
    engine = Engine("a b", script={"x": Failed("oops")})
    engine.add(commands, "x")
    engine.add(commands, "y")
    with pytest.raises(PyinfraError, match=r"^No hosts remaining!$"):
        engine.run(**how)
    assert (engine.calls("a"), engine.calls("b")) == (["x"], ["x"])
    assert [failure.stderr_lines for failure in engine.state.failures] == [("oops",), ("oops",)]


@pytest.mark.parametrize(
    ("limit", "failing", "message"),
    [
        (None, "a", None),
        (33, "a", "Over 33% of hosts failed (33%)"),
        (34, "a", None),
        (0, "a", "Over 0% of hosts failed (33%)"),
        (50, "a b", "Over 50% of hosts failed (67%)"),
        (67, "a b", None),
        (100, "a b c", "No hosts remaining!"),
    ],
)
def test_a_run_ends_when_strictly_more_than_fail_percent_failed(
    limit: int | None,
    failing: str,
    message: str | None,
) -> None:
    data = {name: {"script": {"x": Failed()}} for name in failing.split()}
    engine = Engine("a b c", data=data, FAIL_PERCENT=limit)
    engine.add(commands, "x")
    if message is None:
        engine.run()
        return
    with pytest.raises(PyinfraError) as caught:
        engine.run()
    assert str(caught.value) == message


def test_an_operation_that_goes_host_by_host_ends_where_too_many_failed() -> None:
    engine = Engine("a b c", data={"b": {"script": {"x": Failed()}}}, FAIL_PERCENT=0)
    events = engine.record("operation_end", "host_failed")
    meta = engine.add(commands, "x", _serial=True)
    with pytest.raises(PyinfraError, match="Over 0% of hosts failed"):
        engine.run()
    assert [engine.calls(name) for name in "abc"] == [["x"], ["x"], []]
    assert events == [("host_failed", engine.host("b")), ("operation_end", meta._hash)]


def test_whoever_runs_pyinfra_can_be_asked_whether_to_go_on() -> None:
    engine = Engine("a b", data={"a": {"script": {"x": Failed()}}})
    asked: list[Any] = []
    engine.state.should_raise_failed_hosts = lambda state: asked.append(state) is None
    engine.add(commands, "x")
    with pytest.raises(PyinfraError, match="Stopped because hosts failed"):
        engine.run()
    assert asked == [engine.state]


def test_a_failure_knows_its_operation_command_and_what_the_host_said() -> None:
    engine = Engine("a b", data={"b": {"script": {"bad": Failed("one", "two")}}})
    meta = engine.add(commands, "good", "bad", "never")
    engine.run()
    (failure,) = engine.state.failures
    assert (failure.host, failure.op_hash) == (engine.host("b"), meta._hash)
    assert (failure.command, failure.stderr_lines, failure.error_text) == ("bad", ("one", "two"), "")


def test_an_error_after_a_failed_command_hides_neither() -> None:
    @operation()
    def broken() -> Iterator[str]:
        yield "bad"
        yield "good"
        raise KeyError("lost")

    engine = Engine("a b", check=False, data={"a": {"script": {"bad": Failed("no")}}})
    engine.add(broken, host=engine.host("a"), _continue_on_error=True)
    engine.run()
    assert engine.calls("a") == ["bad", "good"]
    command, error = engine.state.failures
    assert (command.command, command.stderr_lines, command.error) == ("bad", ("no",), None)
    assert (error.command, error.error_text, error.is_unexpected) == (None, "KeyError: 'lost'", True)


# Errors that nobody expects


def test_an_unexpected_error_of_a_connector_fails_that_host_and_names_the_method() -> None:
    engine = Engine("a b", data={"a": {"script": {"x": KeyError("gone"), "put /f": KeyError("file")}}})
    engine.add(commands, FileUploadCommand("/dev/null", "/f"), _ignore_errors=True)
    engine.add(commands, "x")
    engine.run()
    assert engine.results("a") == {"ops": 2, "error_ops": 1, "ignored_error_ops": 1}
    (failure,) = engine.state.failures
    assert failure.is_unexpected
    assert failure.error_text == "ScriptedConnector.run_shell_command failed: KeyError: 'gone'"


@pytest.mark.parametrize("func", [commands, refuse])
def test_the_run_ends_with_the_unexpected_error_itself_when_no_host_is_left(func: Any) -> None:
    error = RuntimeError("a mistake")
    engine = Engine("a b", script={"x": error})
    engine.add(func, "x" if func is commands else error)
    with pytest.raises(RuntimeError) as caught:
        engine.run()
    assert caught.value is error


def test_an_operations_own_error_fails_its_host() -> None:
    engine = Engine("a b")
    engine.add(refuse, OperationError("not here"), host=engine.host("a"))
    engine.add(refuse, OperationError("not here"), host=engine.host("b"), _ignore_errors=True)
    engine.run()
    assert engine.results("a") == {"ops": 1, "error_ops": 1}
    assert engine.results("b") == {"ops": 1, "ignored_error_ops": 1}
    (failure,) = engine.state.failures
    assert (failure.error_text, failure.is_unexpected, failure.command) == ("not here", False, None)


def test_nothing_is_printed_when_things_go_wrong(capfd: pytest.CaptureFixture[str]) -> None:
    engine = Engine("a b", data={"a": {"script": {"x": RuntimeError("mistake")}, "disconnect_script": OSError("no")}})
    engine.add(commands, "x")
    engine.run()
    disconnect_all(engine.state)
    out, err = capfd.readouterr()
    assert out == ""
    assert "Traceback" not in err


# Callbacks


@pytest.mark.parametrize("result", [False, RuntimeError("no"), ZeroDivisionError()])
def test_a_callback_fails_its_host_by_false_or_by_an_exception(result: Any) -> None:
    def callback() -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    engine = Engine("a b")
    engine.add(python.call, callback, host=engine.host("a"))
    engine.add(commands, "y")
    engine.run()
    assert engine.results("a") == {"ops": 1, "error_ops": 1}
    assert engine.calls("a") == []


@pytest.mark.parametrize("result", [None, 0, "", [], True])
def test_whatever_else_a_callback_returns_is_ignored(result: Any) -> None:
    engine = Engine()
    engine.add(python.call, lambda: result)
    engine.run()
    assert engine.results() == {"ops": 1, "success_ops": 1}


def test_a_time_out_covers_callbacks() -> None:
    engine = Engine("a b")
    slow = FunctionCommand(gevent.sleep, (30,), {}, _timeout=0.01)  # type: ignore[typeddict-item]
    engine.add(commands, slow, host=engine.host("a"))
    engine.run()
    (failure,) = engine.state.failures
    assert isinstance(failure.error, TimeoutError)
    assert failure.error_text == "Function timed out after 0.01s"


def test_a_time_out_of_the_callbacks_own_is_an_error_like_others() -> None:
    def callback() -> None:
        with gevent.Timeout(0.01):
            gevent.sleep(30)

    engine = Engine("a b")
    engine.add(python.call, callback, host=engine.host("a"))
    engine.run()
    (failure,) = engine.state.failures
    assert isinstance(failure.error, TimeoutError)


def test_a_callback_without_a_signature_or_hash_can_be_called() -> None:
    class Callback:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, host: Any) -> None:
            seen.append(host)

    seen: list[Any] = []
    engine = Engine()
    engine.add(commands, FunctionCommand(Callback(), (), {}), FunctionCommand(seen.append, ("x",), {}))
    engine.run()
    assert seen == [engine.host(), "x"]
