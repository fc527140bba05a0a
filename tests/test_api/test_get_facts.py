"""``get_facts``: a fact of all hosts at once."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from pyinfra.api import FactError, FactTypeError
from pyinfra.api.exceptions import ArgumentTypeError, ConnectError, PyinfraError
from pyinfra.api.facts import ShortFactBase, default_of, get_fact, get_facts
from pyinfra.operations import python

from ..support.engine import Cat, Engine, Failed, Number, executing


def test_get_facts_reads_all_active_hosts() -> None:
    engine = Engine("a b", data={name: {"script": {"cat /f": name}} for name in "ab"})
    assert get_facts(engine.state, Cat, ("/f",)) == {engine.host("a"): "a", engine.host("b"): "b"}
    assert get_facts(engine.state, Cat, kwargs={"path": "/f"}) == {engine.host("a"): "a", engine.host("b"): "b"}
    assert get_facts(engine.state, "server.Home", ensure_hosts=[engine.host("b")]) == {engine.host("b"): None}


@pytest.mark.parametrize("answer", [Failed("no"), "many", KeyError("mistake"), ConnectError("dead")])
def test_a_host_whose_fact_cannot_be_read_has_the_default_and_fails(
    answer: Any,
    capfd: pytest.CaptureFixture[str],
) -> None:
    engine = Engine("a b", data={"a": {"script": {"count": answer}}}, script={"count": "3"})
    assert get_facts(engine.state, Number) == {engine.host("a"): -1, engine.host("b"): 3}
    assert engine.state.failed_hosts == {engine.host("a")}
    assert capfd.readouterr() == ("", "")


class Half(ShortFactBase[float]):
    fact = Number

    def process_data(self, data: int) -> float:
        return data / 2


class Quarter(ShortFactBase[float]):
    fact = Half  # type: ignore[assignment]

    def process_data(self, data: float) -> float:
        return data / 2


def test_the_default_of_a_short_fact_is_made_of_that_of_the_fact_it_is_short_for() -> None:
    engine = Engine("a", script={"count": Failed()})
    assert get_facts(engine.state, Half, apply_failed_hosts=False) == {engine.host("a"): -0.5}
    assert get_facts(engine.state, Quarter, apply_failed_hosts=False) == {engine.host("a"): -0.25}
    assert default_of(Quarter) == engine.host("a").get_fact(Quarter, _ignore_errors=True) == -0.25


def test_get_facts_need_not_fail_hosts() -> None:
    engine = Engine("a", script={"count": Failed()})
    assert get_facts(engine.state, Number, apply_failed_hosts=False) == {engine.host("a"): -1}
    assert engine.state.failed_hosts == set()


def test_get_facts_ends_the_run_when_no_host_is_left() -> None:
    with pytest.raises(PyinfraError, match="No hosts remaining!"):
        get_facts(Engine(script={"count": Failed()}).state, Number)
    with pytest.raises(FactError, match=r"ScriptedConnector.run_shell_command failed: KeyError: 'mistake'"):
        get_facts(Engine(script={"count": KeyError("mistake")}).state, Number)


def test_paramikos_errors_are_failures_of_transport() -> None:
    paramiko = pytest.importorskip("paramiko")
    engine = Engine(script={"count": paramiko.SSHException("no channel")})
    assert engine.host().get_fact(Number, _ignore_errors=True) == -1
    with pytest.raises(FactError, match=r"^Could not load fact engine.Number: no channel$"):
        engine.host().get_fact(Number)


def test_an_unexpected_error_of_a_connector_fails_the_host_of_the_operation_that_asked() -> None:
    engine = Engine("a b", data={"a": {"script": {"count": KeyError("x")}}}, script={"count": "3"})
    executing(engine, Number)
    (failure,) = engine.state.failures
    assert (failure.host.name, failure.is_unexpected) == ("a", True)
    assert failure.error_text.endswith("ScriptedConnector.run_shell_command failed: KeyError: 'x'")
    both = Engine("a b", script={"count": KeyError("x")})
    with pytest.raises(FactError, match="KeyError: 'x'"):
        executing(both, Number)


def test_wrong_arguments_are_the_callers_mistake_and_no_hosts() -> None:
    engine = Engine()
    with pytest.raises(FactTypeError):
        get_facts(engine.state, Cat)
    with pytest.raises(ArgumentTypeError):
        get_facts(engine.state, Cat, ("/f",), {"_sudo": None})
    assert engine.state.failed_hosts == set()


def test_get_facts_in_a_callback_does_not_wait_for_itself() -> None:
    seen: list[Any] = []
    engine = Engine("a b c", script={"count": "3"}, PARALLEL=1)
    engine.add(python.call, lambda state: seen.append(get_facts(state, Number)))
    engine.run()
    assert [list(values.values()) for values in seen] == [[3, 3, 3]] * 3


def test_get_facts_in_a_greenlet_that_a_callback_waits_for_does_not_wait_for_the_callback() -> None:
    seen: list[Any] = []

    def callback(state: Any) -> None:
        gevent.spawn(lambda: seen.append(get_facts(state, Number))).join()

    engine = Engine("a b", script={"count": "3"}, PARALLEL=1)
    engine.add(python.call, callback)
    with gevent.Timeout(5):
        engine.run()
    assert [list(values.values()) for values in seen] == [[3, 3]] * 2


def test_get_fact_takes_arguments_as_tuple_and_dict() -> None:
    engine = Engine(script={"cat /f": "x"})
    assert get_fact(engine.state, engine.host(), Cat, ("/f",), {"_chdir": "/d"}) == "x"
    assert engine.arguments("cat /f")["_chdir"] == "/d"
