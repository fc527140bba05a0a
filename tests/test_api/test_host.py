"""Hosts: what deploy code, callbacks and API users do with one."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pyinfra.api.exceptions import ConnectError
from pyinfra.operations import python

from ..support.engine import Cat, Engine, commands


def test_messages_are_logged_under_the_hosts_name(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pyinfra")
    host = Engine("one other").host()
    host.log("hello")
    host.log_styled("styled", fg="red")
    host.log("careful", logging.getLogger("pyinfra").warning)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", "[one]   hello"),
        ("INFO", "[one]   styled"),
        ("WARNING", "[one]   careful"),
    ]


def test_files_and_folders_go_through_the_connector() -> None:
    engine = Engine()
    host = engine.host()
    assert host.put_file("/dev/null", "/up", _sudo=True) is True
    assert host.get_file("/down", "/dev/null") is True
    assert host.rsync("src", "dest", ["-a"]) is True
    assert engine.calls() == ["put /up", "get /down", "rsync src dest"]
    assert engine.arguments("put /up") == {"_sudo": True}


def test_a_connector_that_cannot_rsync_says_so() -> None:
    with pytest.raises(NotImplementedError, match=r"\[one\] ScriptedConnector cannot rsync"):
        Engine().host().check_can_rsync()


def test_nothing_goes_to_a_host_that_is_not_connected() -> None:
    host = Engine(connect=False).host()
    with pytest.raises(ConnectError, match=r"^Host one is not connected$"):
        host.run_shell_command("x")


def test_connecting_and_disconnecting_twice_does_nothing_more() -> None:
    engine = Engine(connect=False)
    events = engine.record("host_connect", "host_disconnect")
    host = engine.host()
    assert [host.connect(), host.connect()] == [True, True]
    host.disconnect()
    host.disconnect()
    assert [event[0] for event in events] == ["host_connect", "host_disconnect"]
    assert host.connect(reason="again")
    assert host.connect_reason == "again"


@pytest.mark.parametrize("knows_how", [True, False])
def test_a_connection_can_be_begun_anew(knows_how: bool) -> None:
    engine = Engine()
    host = engine.host()
    renewed: list[str] = []
    if knows_how:
        engine.connector().reconnect = lambda: renewed.append("x")  # type: ignore[attr-defined]
    before = engine.state.epoch
    host.reconnect()
    assert host.connected
    assert renewed == (["x"] if knows_how else [])
    # What was read before may differ now
    assert engine.state.epoch > before


def test_a_connection_that_cannot_be_begun_anew_is_an_error() -> None:
    engine = Engine()
    engine.host().data.connect_script = ConnectError("gone")
    with pytest.raises(ConnectError, match="gone"):
        engine.host().reconnect()


def test_a_connectors_own_way_to_begin_anew_may_lose_the_host() -> None:
    def gone() -> None:
        raise ConnectError("gone")

    engine = Engine("one other")
    engine.connector().reconnect = gone  # type: ignore[attr-defined]
    engine.add(python.call, lambda host: host.reconnect(), host=engine.host(), _ignore_errors=True)
    engine.run()
    assert engine.state.failed_hosts == {engine.host()}


def test_a_runs_records_can_be_asked_for_by_host() -> None:
    engine = Engine()
    meta = engine.add(commands, "x")
    engine.run()
    state, host = engine.state, engine.host()
    op_hash = str(meta._hash)
    assert state.get_op_data_for_host(host, op_hash).operation_meta is meta
    assert state.get_op_data_for_host(host, op_hash).global_arguments["_sudo"] is False
    assert state.get_meta_for_host(host).op_hashes == {op_hash}
    assert state.get_results_for_host(host).success_ops == 1
    assert state.get_op_meta(op_hash).op_order == (0,)
    state.set_op_data_for_host(host, "other", state.get_op_data_for_host(host, op_hash))
    assert list(state.ops[host]) == [op_hash, "other"]


def test_a_temporary_name_asks_the_host_for_its_folder_when_nothing_says_it() -> None:
    engine = Engine()
    host = engine.host()
    first = host.get_temp_filename("key")
    assert first.startswith("/tmp/pyinfra-")
    assert len(engine.calls()) == 1
    engine.connector().script[engine.calls()[0]] = "/var/tmp"
    assert host.get_temp_filename("key", hash_filename=False) == "/var/tmp/pyinfra-key"


def test_facts_in_deploy_code_are_asked_for_by_class_or_name() -> None:
    engine = Engine(script={"cat /f": "x"})
    assert engine.host().get_fact(Cat, "/f") == engine.host().get_fact("tests.support.engine.Cat", path="/f") == "x"


def test_a_users_module_called_server_is_no_place_of_the_hosts_temporary_folder(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "server.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert Engine().host().get_temp_filename("key").startswith("/tmp/pyinfra-")
