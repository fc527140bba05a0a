"""Where operations stand: their positions in the deploy code, and one order for all hosts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from unittest.mock import ANY

import pytest

from pyinfra.api import HiddenValue, operation
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.order import merge_orders

from ..support.deploys import Deploys, order
from ..support.engine import Engine

# Positions in deploy code, as on the command line


def test_one_place_in_the_code_is_one_operation_on_all_hosts(deploys: Deploys) -> None:
    engine = Engine("a b")
    deploys.run(engine, "commands(host.name, name=f'On {host.name}')")
    assert order(engine) == ["On a/On b"]
    engine.run()
    assert (engine.calls("a"), engine.calls("b")) == (["a"], ["b"])


def test_operations_that_only_some_hosts_have_stand_where_they_are_written(deploys: Deploys) -> None:
    engine = Engine("a b c")
    deploys.run(
        engine,
        """
        commands("1", name="1")
        if host.name == "b":
            commands("2", name="2")
        commands("3", name="3")
        if host.name != "b":
            commands("4", name="4")
        commands("5", name="5")
        """,
    )
    assert order(engine) == list("12345")
    engine.run()
    assert [engine.calls(name) for name in "abc"] == [list("1345"), list("1235"), list("1345")]


def test_calls_through_functions_stand_where_the_outermost_call_is(deploys: Deploys) -> None:
    engine = Engine("a b")
    deploys.run(
        engine,
        """
        def step(name):
            commands(name, name=name)

        def steps(*names):
            for name in names:
                step(name)

        if host.name == "a":
            step("1")
        steps("2")
        step("3")
        """,
    )
    assert order(engine) == list("123")


def test_files_come_one_after_the_other(deploys: Deploys) -> None:
    engine = Engine("a b")
    deploys.run(engine, "\n\n\n\nif host.name == 'a': commands('1', name='1')")
    deploys.run(engine, "commands('2', name='2')")
    assert order(engine) == ["1", "2"]


def test_the_same_place_again_is_a_further_operation(deploys: Deploys) -> None:
    engine = Engine("a b")
    deploys.run(engine, "for name in 'xyz': commands(name, name=name)")
    assert order(engine) == ["x", "y", "z"]
    assert len(engine.state.op_meta) == 3


def test_two_calls_in_one_line_are_two_operations(deploys: Deploys) -> None:
    engine = Engine("a b")
    deploys.run(engine, "commands('1', name='1'); commands('2', name='2')")
    assert order(engine) == ["1", "2"]


def test_a_plain_loop_over_items_that_differ_can_have_no_order_and_the_error_names_host_loop(deploys: Deploys) -> None:
    engine = Engine("a b", data={"a": {"items": ["x"]}, "b": {"items": ["x", "y"]}})
    deploys.run(
        engine,
        """
        for item in host.data.items:
            commands(item, name="First")
            commands(item, name="Second")
        """,
    )
    # Not contradictory: a is through when b begins again
    assert order(engine) == ["First", "Second", "First", "Second"]

    contradictory = Engine("a b", data={"a": {"names": "xy"}, "b": {"names": "yx"}})
    deploys.run(
        contradictory,
        """
        def x(): commands("x", name="Do x")
        def y(): commands("y", name="Do y")
        for name in host.data.names: (x if name == "x" else y)()
        """,
    )
    # The call in the loop is on one line: x and y of the same round are on different lines inside
    assert len(contradictory.state.op_meta) == 2
    with pytest.raises(PyinfraError, match=r"contradict each other[\s\S]*Do x \(line [\s\S]*host\.loop") as caught:
        order(contradictory)
    assert "Do y" in str(caught.value)
    with pytest.raises(PyinfraError, match="contradict"):
        contradictory.run()


def test_host_loop_makes_each_rounds_operations_their_own(deploys: Deploys) -> None:
    engine = Engine("a b", data={"a": {"names": "xy"}, "b": {"names": "yx"}})
    deploys.run(
        engine,
        """
        def x(): commands("x", name="x")
        def y(): commands("y", name="y")
        for name in host.loop(host.data.names): (x if name == "x" else y)()
        """,
    )
    assert len(engine.state.op_meta) == 4
    engine.run()
    assert (engine.calls("a"), engine.calls("b")) == (["x", "y"], ["y", "x"])


def test_loops_nest_and_positions_go_back_after_them(deploys: Deploys) -> None:
    engine = Engine("a b", data={"a": {"count": 1}, "b": {"count": 2}})
    deploys.run(
        engine,
        """
        for outer in host.loop(range(2)):
            for inner in host.loop(range(host.data.count)):
                commands("x", name=f"{outer}{inner}")
            commands("x", name=f"{outer} end")
        commands("x", name="last")
        """,
    )
    assert order(engine) == ["00", "01", "0 end", "10", "11", "1 end", "last"]
    assert all(host.loop_position == [] for host in engine.inventory)


def test_a_loop_that_is_left_early_leaves_no_position_behind(deploys: Deploys) -> None:
    engine = Engine("a b")
    deploys.run(
        engine,
        """
        for number in host.loop(range(5)):
            if host.name == "a" and number == 1:
                break
            commands("x", name=f"{number}")
        try:
            for _ in host.loop([1]):
                raise ValueError
        except ValueError:
            pass
        commands("x", name="last")
        """,
    )
    assert order(engine) == ["0", "1", "2", "3", "4", "last"]


def test_the_frames_of_pyinfra_are_no_part_of_a_position(deploys: Deploys) -> None:
    engine = Engine()
    deploys.run(
        engine,
        """
        from pyinfra.api import deploy
        @deploy("Group")
        def group():
            commands("x")
        group()
        """,
    )
    (op_meta,) = engine.state.op_meta.values()
    # The file's number, the line of these tests that runs it, the lines of the deploy's and the operation's calls
    assert op_meta.op_order == (0, ANY, 7, 6)


def test_an_included_files_operations_stand_where_it_is_included(deploys: Deploys) -> None:
    engine = Engine("a b")
    deploys.write("tasks/inner.py", "\n\n\n\n\n\n\n\ncommands('2', name='2')")
    deploys.run(
        engine,
        """
        commands("1", name="1")
        if host.name == "a":
            local.include("tasks/inner.py")
        commands("3", name="3")
        """,
    )
    assert order(engine) == ["1", "tasks/inner.py | 2", "3"]


def test_operations_of_one_file_included_twice_are_told_apart(deploys: Deploys) -> None:
    engine = Engine("a b")
    deploys.write("inner.py", "commands(host.data.what, name=host.data.what)")
    deploys.run(
        engine,
        """
        local.include("inner.py", data={"what": "1"})
        local.include("inner.py", data={"what": "2"})
        """,
    )
    assert order(engine) == ["inner.py | 1", "inner.py | 2"]
    engine.run()
    assert engine.calls("b") == ["1", "2"]


# Merging


def merged(*chains: str) -> str:
    """One order for hosts whose operations are letters, each at the alphabet's position."""
    letters = sorted(set("".join(chains)))
    positions = {letter: (0, ord(letter)) for letter in letters}
    return "".join(merge_orders([tuple(chain) for chain in chains], positions, {x: x for x in letters}))


@pytest.mark.parametrize(
    ("chains", "expected"),
    [
        ([], ""),
        (["", "abc"], "abc"),
        (["ac", "bc"], "abc"),
        (["ab", "cd"], "abcd"),
        (["cab"], "cab"),
        (["ca", "b"], "bca"),
        (["da", "ab", "c"], "cdab"),
        (["abd", "acd", "ad"], "abcd"),
    ],
)
def test_hosts_orders_are_kept_and_position_decides_where_they_leave_a_choice(chains: list[str], expected: str) -> None:
    assert merged(*chains) == expected


def test_a_merged_order_keeps_that_of_every_host() -> None:
    chance = random.Random(1)
    for _ in range(50):
        whole = list(range(20))
        chance.shuffle(whole)
        chains = [tuple(str(n) for n in whole if chance.random() < 0.4) for _ in range(8)]
        positions = {str(n): (0, n) for n in whole}
        result = merge_orders(chains, positions, {str(n): str(n) for n in whole})
        place = {op_hash: number for number, op_hash in enumerate(result)}
        assert sorted(result) == sorted({op_hash for chain in chains for op_hash in chain})
        assert all(place[before] < place[after] for chain in chains for before, after in pairwise(chain))


def test_orders_that_contradict_each_other_are_an_error_with_the_operations_in_question() -> None:
    with pytest.raises(PyinfraError, match=r"contradict each other") as caught:
        merged("abz", "bay", "cz")
    assert "   - a (line 97)\n   - b (line 98)\n" in str(caught.value)
    assert " c " not in str(caught.value)


def test_the_order_is_worked_out_again_only_when_operations_were_added() -> None:
    from ..support.engine import commands

    engine = Engine("a b")
    first = engine.add(commands, "x")
    assert engine.state.get_op_order() == [first._hash]
    second = engine.add(commands, "y")
    assert engine.state.get_op_order() == [first._hash, second._hash]
    engine.state.get_op_order().clear()
    assert len(engine.state.get_op_order()) == 2


# Calls in API mode, for one host after the other


class Secret(HiddenValue):
    """A secret that costs something to fetch."""

    fetched = 0

    def unmask(self) -> str:
        Secret.fetched += 1
        return "hush"


class Ambiguous:
    """A value like those of numpy: what its comparison comes to is neither true nor false."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> Any:
        raise ValueError("the truth value of an array is ambiguous")


@operation()
def takes(*_values: Any) -> Iterator[str]:
    """Take whatever it is given."""
    yield "x"


def operations_of_calls(*values: Any) -> int:
    """How many operations there are when each host's own call gives one of these values."""
    engine = Engine(" ".join(f"host{number}" for number in range(len(values))))
    for host, value in zip(engine.inventory, values, strict=True):
        engine.add(takes, value, host=host)
    return len(engine.state.op_meta)


@pytest.mark.parametrize(
    "values", [("x", "x"), ([1, {"a": {2}}], [1, {"a": {2}}]), ({"a": 1, "b": 2}, {"b": 2, "a": 1})]
)
def test_equal_calls_for_one_host_after_the_other_are_one_operation(values: tuple[Any, ...]) -> None:
    assert operations_of_calls(*values) == 1


@pytest.mark.parametrize("values", [("x", "y"), ([1], (1,)), ({"a": 1}, {"a": 2})])
def test_other_calls_are_others(values: tuple[Any, ...]) -> None:
    assert operations_of_calls(*values) == 2


def test_no_value_is_compared_that_cannot_be_and_no_secret_is_fetched() -> None:
    ambiguous, secret = Ambiguous(), Secret()
    assert operations_of_calls(ambiguous, ambiguous, Ambiguous()) == 2
    assert operations_of_calls(secret, secret, Secret()) == 2
    assert Secret.fetched == 0


def test_telling_calls_apart_takes_no_longer_for_more_hosts() -> None:
    compared: list[int] = []

    class Counted(str):
        def __eq__(self, other: object) -> bool:
            compared.append(1)
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    operations_of_calls(*(Counted(number) for number in range(100)))
    assert len(compared) < 100


def test_orders_in_api_mode_that_contradict_each_other_are_told_without_lines() -> None:
    with pytest.raises(PyinfraError) as caught:
        merge_orders([("a", "b"), ("b", "a")], {"a": (0,), "b": (1,)}, {"a": "Do a", "b": "Do b"})
    assert "   - Do a\n   - Do b\n" in str(caught.value)
