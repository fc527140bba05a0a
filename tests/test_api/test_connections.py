"""Connections: hosts that cannot be reached, and connections that break."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from pyinfra import logger
from pyinfra.api import FileUploadCommand, operation
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.exceptions import ConnectError, ConnectorDataTypeError, PyinfraError
from pyinfra.operations import python

from ..support.engine import Cat, Engine, commands
from .test_readahead import Batches

BROKEN = ConnectError("the line is dead")


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


def asked_by_all(engine: Engine, ask: Callable[[Any], Any]) -> None:
    """Ask something of host db from all others at once."""
    db = engine.host("db")
    others = [host for host in engine.inventory if host is not db]
    engine.add(python.call, lambda: ask(db), host=others)
    engine.run()


def test_a_host_that_several_others_ask_for_a_fact_is_connected_once() -> None:
    engine = Engine("a b c db", script={"cat /f": "x"})
    engine.host("db").disconnect()
    engine.host("db").data.connect_script = lambda host: gevent.sleep(0.01)
    events = engine.record("host_before_connect", "host_connect")
    values: list[str] = []
    asked_by_all(engine, lambda db: values.append(db.get_fact(Cat, "/f")))
    assert values == ["x"] * 3
    assert [event[0] for event in events] == ["host_before_connect", "host_connect"]


@pytest.mark.parametrize("takes_several", [True, False])
@pytest.mark.parametrize("ask", [lambda db: db.run_shell_command("cat /f"), lambda db: db.get_fact(Cat, "/f")])
def test_a_connector_gets_one_call_at_a_time_unless_it_takes_several(ask: Any, takes_several: bool) -> None:
    under_way: list[int] = [0]
    most: list[int] = []

    def answer(_host: Any) -> str:
        under_way[0] += 1
        most.append(under_way[0])
        gevent.sleep(0.01)
        under_way[0] -= 1
        return "x"

    engine = Engine("a b c db", script={"cat /f": answer})
    if takes_several:
        Batches(engine, "db")
    asked_by_all(engine, ask)
    assert len(most) == 3
    assert max(most) == (3 if takes_several else 1)
