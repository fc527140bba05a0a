"""What belongs to the operation whose generator runs, and only to the greenlet that runs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from pyinfra import host, inventory
from pyinfra.api import FactBase, operation
from pyinfra.operations import python

from ..support.deploys import Deploys
from ..support.engine import Cat, Engine
from .test_readahead import Batches, own

_ASK_ALL = """\
from tests.test_api.test_running import ask_all
ask_all()
"""


@own
def ask_all() -> Iterator[str]:
    """Write down what a file says on every host, as a template does that goes through the inventory."""
    yield f"write {' '.join(each.get_fact(Cat, path='/f') for each in inventory)}"


def slowly(text: str) -> Any:
    """An answer that other greenlets run before."""

    def answer(_host: Any) -> str:
        gevent.sleep(0.01)
        return text

    return answer


def names_as_answers(names: str) -> Engine:
    data = {name: {"script": {"cat /f": slowly(name), "env": slowly(name)}} for name in names}
    return Engine(" ".join(names), data=data)


@pytest.mark.parametrize("check", [True, False])
def test_operations_ask_other_hosts_while_those_run_ahead(deploys: Deploys, check: bool) -> None:
    engine = names_as_answers("abc")
    engine.state.check_for_changes = check
    for name in "abc":
        Batches(engine, name)
    deploys.run(engine, _ASK_ALL)
    engine.run()
    assert [engine.calls(name) for name in "abc"] == [["write a b c"]] * 3


class Environment(FactBase[str]):
    """What a program prints."""

    def command(self) -> str:
        return "env"


@operation()
def asks_slowly() -> Iterator[str]:
    host.get_fact(Environment)
    yield "x"


def test_what_asks_another_host_does_so_without_the_arguments_of_the_operation_there() -> None:
    engine = names_as_answers("ab")
    engine.state.check_for_changes = False
    a, b = engine.inventory
    seen: list[Any] = []

    def callback() -> None:
        while "env" not in engine.calls("b"):
            gevent.sleep(0)
        seen.extend([b.in_op, b.current_op_hash, b.current_op_global_arguments, b.current_op_deploy_data])
        b.get_fact(Cat, path="/f")

    engine.add(asks_slowly, _env={"X": "b"}, _sudo=True, host=b)
    engine.add(python.call, callback, host=a)
    engine.run(no_wait=True)
    assert seen == [False, None, None, None]
    assert (engine.arguments("env", "b")["_env"], engine.arguments("env", "b")["_sudo"]) == ({"X": "b"}, True)
    assert (engine.arguments("cat /f", "b")["_env"], engine.arguments("cat /f", "b")["_sudo"]) == ({}, False)


def test_an_operations_generator_finds_what_belongs_to_it() -> None:
    seen: list[Any] = []

    @operation()
    def looks() -> Iterator[str]:
        arguments = host.current_op_global_arguments
        assert arguments is not None
        seen.append((host.in_op, host.current_op_hash, arguments["_chdir"]))
        yield "x"

    engine = Engine(check=False)
    meta = engine.add(looks, _chdir="/d")
    engine.run()
    assert seen == [(True, meta._hash, "/d")]
    assert (engine.host().in_op, engine.host().current_op_hash) == (False, None)


def test_a_generator_that_runs_ahead_may_ask_whether_another_operation_will_change_something(deploys: Deploys) -> None:
    engine = Engine(script={"cat /a": "x"})
    batches = Batches(engine)
    deploys.run(
        engine,
        """\
        from tests.test_api.test_readahead import line, own

        @own
        def follows(other):
            if other.will_change:
                yield "restart"

        follows(line("/a"))
        follows(line("/b"))
        """,
    )
    assert batches.seen[0] == ["cat /a"]
    engine.run()
    assert engine.calls() == ["write /b", "restart"]
