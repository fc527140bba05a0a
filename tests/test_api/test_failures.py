"""What goes wrong on hosts: which of them go on, what is counted, told and raised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from pyinfra import logger
from pyinfra.api import FileUploadCommand, FunctionCommand, OperationError, operation
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.exceptions import ConnectError, ConnectorDataTypeError, PyinfraError
from pyinfra.api.state import BaseStateCallback, StateStage
from pyinfra.operations import python

from ..support.engine import Cat, Engine, Failed, commands

BROKEN = ConnectError("the line is dead")


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


# Connections


def test_a_host_that_cannot_be_reached_fails_and_the_others_go_on() -> None:
    engine = Engine("a b", data={"a": {"connect_script": ConnectError("no route")}}, connect=False)
    events = engine.record()
    connect_all(engine.state)
    a, b = engine.inventory
    assert (engine.state.failed_hosts, engine.state.active_hosts, engine.state.activated_hosts) == ({a}, {b}, {b})
    assert str(engine.state.connect_failures[a]) == "no route"
    assert [event[0] for event in events if event[1] is a] == [
        "host_before_connect",
        "host_connect_error",
        "host_failed",
    ]
    assert [event[0] for event in events if event[1] is b] == ["host_before_connect", "host_connect"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ConnectError("no route"), "no route"),
        (PyinfraError("odd"), "odd"),
        (KeyError("x"), "ScriptedConnector.connect failed: KeyError: 'x'"),
    ],
)
def test_whatever_connect_raises_is_that_hosts_own(error: Exception, message: str) -> None:
    engine = Engine("a b", data={"a": {"connect_script": error}}, connect=False)
    connect_all(engine.state)
    assert {host.name: str(why) for host, why in engine.state.connect_failures.items()} == {"a": message}
    assert engine.host("b").connected


def test_with_no_host_reached_there_is_no_run() -> None:
    engine = Engine("a b", connect=False, data={name: {"connect_script": ConnectError("no")} for name in "ab"})
    with pytest.raises(PyinfraError, match=r"^No hosts remaining!$"):
        connect_all(engine.state)


def test_hosts_that_cannot_be_reached_count_for_fail_percent() -> None:
    engine = Engine("a b c", connect=False, data={"a": {"connect_script": ConnectError("no")}}, FAIL_PERCENT=1)
    with pytest.raises(PyinfraError) as caught:
        connect_all(engine.state)
    assert str(caught.value) == "Over 1% of hosts failed (33%)"


def test_connector_data_of_the_wrong_type_is_an_error_before_anything_connects() -> None:
    from pyinfra.api import Inventory, State

    state = State(Inventory((["@fake/a", ("@fake/b", {"fake_delay": "slow"})], {})))
    with pytest.raises(ConnectorDataTypeError, match=r"\[@fake/b\].*`fake_delay` = 'slow', expected float"):
        connect_all(state)
    assert not any(host.connected for host in state.inventory)


def test_only_hosts_within_the_limit_connect() -> None:
    from pyinfra.api import Config, Inventory, State

    from ..support.engine import SCRIPTED

    inventory = Inventory(([f"{SCRIPTED}/a,b"], {}))
    state = State(inventory, Config(), initial_limit=[inventory.get_host("b")])
    connect_all(state)
    assert [host.name for host in inventory if host.connected] == ["b"]
    assert [state.is_host_in_limit(host) for host in inventory] == [False, True]


@pytest.mark.parametrize("arguments", [{}, {"_ignore_errors": True}, {"_continue_on_error": True}, {"_retries": 3}])
def test_a_lost_connection_fails_the_host_whatever_the_operation_says(arguments: dict[str, Any]) -> None:
    engine = Engine("a b", data={"a": {"script": {"x": BROKEN}}})
    events = engine.record("host_connect_lost", "host_failed")
    engine.add(commands, "x", "more", _retry_delay=0, **arguments)
    engine.add(commands, "y")
    engine.run()
    a = engine.host("a")
    assert engine.calls("a") == ["x"]
    assert engine.results("a") == {"ops": 1, "error_ops": 1}
    assert events == [("host_connect_lost", a, BROKEN), ("host_failed", a)]
    assert engine.calls("b") == ["x", "more", "y"]


@pytest.mark.parametrize(
    "command",
    [FileUploadCommand("/dev/null", "/f"), "cat /f"],
    ids=["upload", "command"],
)
def test_a_connection_can_be_lost_in_any_command(command: Any) -> None:
    engine = Engine("a b", data={"a": {"script": {"put /f": BROKEN, "cat /f": BROKEN}}})
    engine.add(commands, command, _ignore_errors=True)
    engine.run()
    assert engine.state.failed_hosts == {engine.host("a")}


def test_a_connection_lost_in_an_operations_fact_fails_the_host() -> None:
    @operation()
    def reads() -> Iterator[str]:
        from pyinfra import host

        host.get_fact(Cat, "/f")
        yield "x"

    engine = Engine("a b", check=False, data={"a": {"script": {"cat /f": BROKEN}}})
    engine.add(reads, _ignore_errors=True)
    engine.run()
    assert engine.state.failed_hosts == {engine.host("a")}
    assert (engine.calls("a"), engine.calls("b")) == (["cat /f"], ["cat /f", "x"])


@pytest.mark.parametrize(("act", "swallows"), [("command", False), ("fact", False), ("fact", True)])
def test_a_connection_lost_in_a_callback_fails_the_host(act: str, swallows: bool) -> None:
    def callback(host: Any) -> None:
        try:
            if act == "fact":
                host.get_fact(Cat, "/f")
            else:
                host.run_shell_command("cat /f")
        except ConnectError:
            if not swallows:
                raise

    engine = Engine("a b", data={"a": {"script": {"cat /f": BROKEN}}})
    engine.add(python.call, callback, _ignore_errors=True)
    engine.add(commands, "y")
    engine.run()
    assert engine.state.failed_hosts == {engine.host("a")}
    assert engine.calls("a") == ["cat /f"]


def test_another_hosts_lost_connection_in_a_callback_is_an_ordinary_error() -> None:
    engine = Engine("a b", data={"b": {"script": {"ask": BROKEN}}})
    b = engine.host("b")
    engine.add(python.call, lambda: b.run_shell_command("ask"), host=engine.host("a"), _ignore_errors=True)
    engine.run()
    assert engine.results("a") == {"ops": 1, "ignored_error_ops": 1}
    assert engine.host("a").connected


def test_a_callback_may_disconnect_and_connect_again() -> None:
    def callback(host: Any) -> None:
        with pytest.raises(ConnectError):
            host.run_shell_command("reboot")
        host.disconnect()
        assert host.connect(reason="after the restart")

    engine = Engine(script={"reboot": BROKEN})
    engine.add(python.call, callback)
    engine.add(commands, "later")
    engine.run()
    assert engine.calls() == ["reboot", "later"]
    assert engine.results() == {"ops": 2, "success_ops": 2}


def test_connecting_again_after_a_lost_connection_mends_the_host() -> None:
    def callback(host: Any) -> None:
        with pytest.raises(ConnectError):
            host.get_fact(Cat, "/f")
        assert host.broken
        assert host.connect()
        assert (host.connected, host.broken) == (True, False)

    engine = Engine(script={"cat /f": BROKEN})
    engine.add(python.call, callback)
    engine.add(commands, "later", _ignore_errors=True)
    engine.run()
    assert engine.results() == {"ops": 2, "success_ops": 2}


def test_an_operation_on_a_host_that_was_disconnected_fails_whatever_it_says() -> None:
    engine = Engine("a b")
    engine.add(python.call, lambda host: host.disconnect(), host=engine.host("a"))
    engine.add(commands, "x", _ignore_errors=True)
    engine.run()
    assert engine.state.failed_hosts == {engine.host("a")}
    assert "Host a is not connected" in engine.state.failures[0].error_text


def test_disconnecting_reaches_every_host_and_its_errors_only_warn(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine("a b c", data={"a": {"disconnect_script": OSError("stuck")}, "b": {"script": {"x": BROKEN}}})
    engine.add(commands, "x")
    engine.run()
    events = engine.record("host_disconnect")
    disconnect_all(engine.state)
    assert {event[1].name for event in events} == {"a", "b", "c"}
    assert not any(host.connected or host.broken for host in engine.inventory)
    assert [record.message for record in caplog.records if record.name == logger.name] == [
        "[a] Could not disconnect: stuck",
    ]
    disconnect_all(engine.state)
    assert len(events) == 3


def test_host_connect_tells_or_raises_as_asked() -> None:
    engine = Engine("a", connect=False, data={"a": {"connect_script": ConnectError("no")}})
    events = engine.record("host_connect_error")
    host = engine.host("a")
    assert host.connect(show_errors=False) is False
    assert events == []
    assert host.connect() is False
    assert len(events) == 1
    with pytest.raises(ConnectError, match=r"^no$"):
        host.connect(raise_exceptions=True)


# Events


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


def test_what_runs_can_be_ended_where_the_connector_knows_how() -> None:
    engine = Engine("a b")
    killed: list[str] = []
    engine.connector("a").kill_running = lambda: killed.append("a")  # type: ignore[attr-defined]
    engine.state.kill_running()
    gevent.sleep(0)
    assert killed == ["a"]
