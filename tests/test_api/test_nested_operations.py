"""Operations called in callbacks: they run at once, and take part in order, counts and failures."""

from __future__ import annotations

from typing import Any

import pytest

from pyinfra import host
from pyinfra.api import deploy
from pyinfra.api.deploy import add_deploy
from pyinfra.api.exceptions import NestedOperationError, PyinfraError
from pyinfra.operations import python

from ..support.engine import Cat, Engine, Failed, commands, write_unless_there


def test_an_operation_in_a_callback_runs_at_once_and_its_results_are_there() -> None:
    results: list[Any] = []

    def callback() -> None:
        meta = commands("x")
        results.append((meta.did_change(), meta.stdout))

    engine = Engine(script={"x": "output"})
    engine.add(python.call, callback)
    engine.add(commands, "later")
    engine.run()
    assert results == [(True, "output")]
    assert engine.calls() == ["x", "later"]
    assert engine.results() == {"ops": 3, "success_ops": 3}


def test_nested_operations_stand_after_their_caller_in_the_order() -> None:
    def callback() -> None:
        commands("x", name="Nested one")
        commands("y", name="Nested two")

    engine = Engine("a b")
    engine.add(python.call, callback, name="Call")
    engine.add(commands, "z", name="Last")
    engine.run()
    names = [engine.state.op_meta[op_hash].names for op_hash in engine.state.get_op_order()]
    assert names == [{"Call"}, {"Nested one"}, {"Nested two"}, {"Last"}]
    assert engine.state.meta[engine.host("a")].ops == 4


def test_nested_operations_of_one_place_are_one_operation_on_all_hosts() -> None:
    def callback() -> None:
        if host.name == "b":
            commands("only b", name="Only b")
        commands("x", name="Both")

    engine = Engine("a b")
    engine.add(python.call, callback)
    engine.run()
    both = [op_hash for op_hash, op_meta in engine.state.op_meta.items() if op_meta.names == {"Both"}]
    assert len(both) == 1
    assert all(both[0] in engine.state.ops[each] for each in engine.inventory)


def test_the_same_place_again_is_a_further_nested_operation() -> None:
    def callback() -> None:
        for item in "xyx":
            commands(item)

    engine = Engine()
    engine.add(python.call, callback)
    engine.run()
    assert engine.calls() == ["x", "y", "x"]
    assert engine.results() == {"ops": 4, "success_ops": 4}


def test_callbacks_nest() -> None:
    engine = Engine()
    engine.add(python.call, lambda: python.call(lambda: commands("deep")))
    engine.run()
    assert engine.calls() == ["deep"]
    assert engine.results() == {"ops": 3, "success_ops": 3}
    assert (engine.host().executing_op_hash, engine.host().nested_executing_op_hash) == (None, None)


def test_a_failing_nested_operation_ends_the_callback_and_fails_it_and_the_host() -> None:
    after: list[str] = []

    def callback() -> None:
        commands("bad", name="Inner")
        after.append("never")

    engine = Engine("a b", data={"a": {"script": {"bad": Failed("no")}}})
    engine.add(python.call, callback)
    engine.add(commands, "later")
    engine.run()
    assert engine.results("a") == {"ops": 2, "error_ops": 2}
    assert engine.calls("a") == ["bad"]
    assert after == ["never"]  # on b
    inner, outer = engine.state.failures
    assert inner.stderr_lines == ("no",)
    assert isinstance(outer.error, NestedOperationError)
    assert outer.error_text == "Nested operation failed: Inner"


def test_a_nested_operation_may_ignore_its_errors() -> None:
    engine = Engine(script={"bad": Failed()})
    engine.add(python.call, lambda: commands("bad", _ignore_errors=True))
    engine.run()
    assert engine.results() == {"ops": 2, "success_ops": 1, "ignored_error_ops": 1}


def test_the_call_around_may_ignore_its_errors() -> None:
    engine = Engine(script={"bad": Failed()})
    engine.add(python.call, lambda: commands("bad"), _ignore_errors=True)
    engine.add(commands, "later")
    engine.run()
    assert engine.results() == {"ops": 3, "success_ops": 1, "error_ops": 1, "ignored_error_ops": 1}
    assert engine.calls() == ["bad", "later"]


def test_nested_operations_take_global_arguments_of_their_own() -> None:
    engine = Engine(SUDO=True)
    engine.add(python.call, lambda: commands("x", _chdir="/d", _if=lambda: True), _chdir="/other")
    engine.run()
    arguments = engine.arguments("x")
    assert (arguments["_sudo"], arguments["_chdir"]) == (True, "/d")


def test_nested_operations_read_facts_through_the_cache() -> None:
    def callback() -> None:
        write_unless_there("/f", "same")
        write_unless_there("/f", "same")

    engine = Engine(script={"cat /f": "same"})
    engine.add(python.call, callback)
    engine.run()
    assert engine.calls() == ["cat /f"]


def test_callbacks_see_the_data_defaults_of_their_deploy() -> None:
    seen: list[Any] = []

    @deploy("Group", data_defaults={"port": 80})
    def group() -> None:
        python.call(callback, _if=lambda: seen.append(host.data.port) is None)

    def callback() -> None:
        seen.append(host.data.port)
        commands(f"listen {host.data.port}")

    engine = Engine()
    add_deploy(engine.state, group)
    engine.run()
    assert seen == [80, 80]
    assert engine.calls() == ["listen 80"]
    assert "port" not in engine.host().data


@pytest.mark.parametrize("how", [{"serial": True}, {"no_wait": True}])
def test_nested_operations_run_in_every_kind_of_run(how: dict[str, Any]) -> None:
    engine = Engine("a b")
    engine.add(python.call, lambda: commands("x"))
    engine.add(commands, "y")
    engine.run(**how)
    assert engine.calls("a") == engine.calls("b") == ["x", "y"]


def test_output_of_nested_operations_says_so() -> None:
    seen: list[str] = []
    engine = Engine("one longest")
    one = engine.host()
    engine.connector().script["x"] = lambda host: seen.append(host.print_prefix)
    engine.add(commands, "x")
    engine.add(python.call, lambda: commands("x"), host=one)
    engine.run()
    assert seen == ["[one]     ", "[one]     nested "]


def test_what_a_callback_reads_itself_is_read_afresh() -> None:
    def callback() -> None:
        assert [host.get_fact(Cat, "/f") for _ in range(2)] == ["a", "b"]

    engine = Engine(script={"cat /f": ["a", "b"]})
    engine.add(python.call, callback)
    engine.run()
    assert engine.calls() == ["cat /f", "cat /f"]


def test_an_operation_called_in_a_condition_is_an_error() -> None:
    engine = Engine("a b")
    engine.add(commands, "x", _if=lambda: commands("y").did_change(), host=engine.host("a"))
    engine.run()
    (failure,) = engine.state.failures
    assert isinstance(failure.error, PyinfraError)
    assert "not from its callback" in failure.error_text
