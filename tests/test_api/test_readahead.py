"""Reading ahead: the facts of a host's next operations in as few round trips as possible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pyinfra import host, local
from pyinfra.api import FactBase, operation
from pyinfra.api.exceptions import ConnectError, FactError, PyinfraError
from pyinfra.operations import python

from ..support.engine import Cat, Engine, Failed, commands


def own(function: Callable[..., Any]) -> Any:
    """An operation as one of pyinfra's own, which does nothing before its first command but read."""
    function.__module__ = "pyinfra.operations.tests"
    return operation()(function)


@own
def line(*paths: str, text: str = "x") -> Iterator[str]:
    """Write a text to files, unless that is what they say."""
    for path in paths:
        if host.get_fact(Cat, path=path) != text:
            yield f"write {path}"
        else:
            host.noop(f"{path} says {text}")


@own
def follow(path: str) -> Iterator[str]:
    """Read the file whose name is in a file."""
    name = host.get_fact(Cat, path=path)
    if name and host.get_fact(Cat, path=name) != "x":
        yield f"write {name}"


class Batches:
    """The round trips of a host whose connector takes several facts at once."""

    def __init__(self, engine: Engine, name: str = "one") -> None:
        self.seen: list[list[str]] = []
        self.error: Exception | None = None
        self.connector = engine.connector(name)
        self.connector.run_fact_commands = self.run  # type: ignore[attr-defined]

    def run(self, commands: Any, print_output: bool, print_input: bool) -> list[Any]:
        self.seen.append([command.get_raw_value() for command, _ in commands])
        if self.error is not None:
            raise self.error
        return [self.connector.answer(self.connector.next_answer(command.get_raw_value())) for command, _ in commands]


def same(*paths: str) -> dict[str, str]:
    """A script in which these files say what they should."""
    return {f"cat {path}": "x" for path in paths}


def test_a_connector_that_takes_facts_in_batches_gets_them_so() -> None:
    engine = Engine(script=same("/f"))
    batches = Batches(engine)
    assert engine.host().get_fact(Cat, "/f") == "x"
    assert batches.seen == [["cat /f"]]


def test_facts_of_the_next_operations_are_read_in_one_round_trip() -> None:
    engine = Engine(check=False, script=same("/a", "/b", "/c"))
    batches = Batches(engine)
    metas = [engine.add(line, path) for path in ("/a", "/b", "/c")]
    engine.run()
    assert batches.seen == [["cat /a", "cat /b", "cat /c"]]
    assert not any(meta.did_change() for meta in metas)
    assert engine.calls() == []


def test_facts_that_depend_on_others_take_a_round_trip_more() -> None:
    engine = Engine(check=False, script={"cat /n": "/m", **same("/a", "/m")})
    batches = Batches(engine)
    engine.add(line, "/a")
    engine.add(follow, "/n")
    engine.add(line, "/a", "/m")
    engine.run()
    assert batches.seen == [["cat /a", "cat /n"], ["cat /m"]]


def test_each_host_reads_ahead_for_itself() -> None:
    engine = Engine("a b", check=False, script=same("/a", "/b"))
    batches = {name: Batches(engine, name) for name in "ab"}
    engine.add(line, "/a")
    engine.add(line, "/b", host=engine.host("a"))
    engine.run()
    assert (batches["a"].seen, batches["b"].seen) == ([["cat /a", "cat /b"]], [["cat /a"]])


def test_what_was_read_ahead_is_dead_once_something_changes() -> None:
    engine = Engine(check=False, script={"cat /a": "old", "cat /b": ["x", "old"]})
    batches = Batches(engine)
    first, second = engine.add(line, "/a"), engine.add(line, "/b")
    engine.run()
    assert batches.seen[0] == ["cat /a", "cat /b"]
    assert [batch for batch in batches.seen[1:] if batch == ["cat /b"]]
    assert first.did_change()
    assert second.did_change()
    assert engine.calls() == ["write /a", "write /b"]


def test_after_a_change_few_are_looked_at_and_more_as_nothing_changes() -> None:
    paths = [f"/{number}" for number in range(20)]
    engine = Engine(check=False, script={**same(*paths), "cat /0": "old"})
    batches = Batches(engine)
    for path in paths:
        engine.add(line, path)
    engine.run()
    sizes = [len(batch) for batch in batches.seen]
    # Sixteen, the first of which changed something; then one, two, four …
    assert sizes == [16, 1, 2, 4, 8, 4]
    assert engine.calls() == ["write /0"]


def test_noops_are_told_once() -> None:
    engine = Engine(check=False, script=same("/a", "/b"))
    Batches(engine)
    events = engine.record("operation_host_noop")
    engine.add(line, "/a")
    engine.add(line, "/b")
    engine.run()
    assert [event[3] for event in events] == ["/a says x", "/b says x"]


@pytest.mark.parametrize(
    "arguments",
    [{"_if": lambda: True}],
)
def test_operations_with_conditions_are_not_run_ahead(arguments: dict[str, Any]) -> None:
    engine = Engine(check=False, script=same("/a", "/b", "/c"))
    batches = Batches(engine)
    engine.add(line, "/a")
    engine.add(line, "/b", **arguments)
    engine.add(line, "/c")
    engine.run()
    assert batches.seen == [["cat /a", "cat /c"], ["cat /b"]]


def test_operations_of_others_are_not_run_ahead() -> None:
    runs: list[str] = []

    @operation()
    def foreign() -> Iterator[str]:
        runs.append(host.name)
        host.get_fact(Cat, path="/f")
        yield from ()

    engine = Engine(check=False, script=same("/a"))
    batches = Batches(engine)
    engine.add(line, "/a")
    engine.add(foreign)
    engine.run()
    assert runs == ["one"]
    assert batches.seen == [["cat /a"], ["cat /f"]]


def test_facts_with_other_arguments_are_read_apart() -> None:
    engine = Engine(check=False, script=same("/a"))
    batches = Batches(engine)
    engine.add(line, "/a")
    engine.add(line, "/a", _sudo=True)
    engine.run()
    assert batches.seen == [["cat /a", "cat /a"]]


def test_a_fact_that_fails_is_left_to_its_operation() -> None:
    engine = Engine(check=False, script={"cat /b": Failed("no"), **same("/a")})
    batches = Batches(engine)
    events = engine.record("host_fact_error")
    ignored = engine.add(line, "/a", _ignore_errors=True)
    failing = engine.add(line, "/b", "/a")
    with pytest.raises(PyinfraError, match="No hosts remaining!"):
        engine.run()
    assert batches.seen == [["cat /a", "cat /b"], ["cat /b"]]
    assert len(events) == 1
    assert ignored.did_succeed()
    assert failing.did_error()
    assert isinstance(engine.state.failures[0].error, FactError)


def test_an_error_of_transport_while_reading_ahead_is_left_to_the_operations() -> None:
    engine = Engine(check=False)
    batches = Batches(engine)
    batches.error = TimeoutError("slow")
    engine.add(line, "/a", _ignore_errors=True)
    engine.add(line, "/b", _ignore_errors=True)
    engine.run()
    assert engine.calls() == ["write /a", "write /b"]


def test_a_connection_lost_while_reading_ahead_fails_the_host() -> None:
    engine = Engine("one two", check=False)
    batches = Batches(engine)
    batches.error = ConnectError("dead")
    engine.add(line, "/a", _ignore_errors=True)
    engine.add(line, "/b", _ignore_errors=True)
    engine.run()
    assert engine.state.failed_hosts == {engine.host("one")}
    assert engine.results("one") == {"ops": 1, "error_ops": 1}
    assert len(batches.seen) == 1


def test_defaults_that_stand_for_something_missing_are_not_kept() -> None:
    class Picky(FactBase[str]):
        cacheable = True

        def command(self) -> str:
            return "pick"

        def check_preconditions(self, state: Any, host: Any) -> str | None:
            return "not here"

    class Needs(FactBase[str]):
        cacheable = True

        def command(self) -> str:
            return "ask"

        def requires_command(self) -> str:
            return "prog"

    @own
    def reads(cls: Any) -> Iterator[str]:
        host.get_fact(cls)
        yield from ()

    needs = "if command -v prog >/dev/null 2>&1; then ( ask ); else echo '##PYINFRA_NOCMD##'; fi"
    engine = Engine(check=False, script={needs: "##PYINFRA_NOCMD##", **same("/a")})
    batches = Batches(engine)
    warnings = engine.record("host_warning")
    engine.add(line, "/a")
    engine.add(reads, Needs)
    engine.add(reads, Picky, _ignore_errors=True)
    engine.run()
    asked = [command for batch in batches.seen for command in batch]
    assert "pick" not in asked
    assert asked.count(needs) == 2
    assert len(warnings) == 1


@pytest.mark.parametrize("setting", [{"FACT_CACHE_SECONDS": 0}, {"DIFF": True}])
def test_nothing_is_read_ahead_where_it_would_be_of_no_use_or_be_seen(setting: dict[str, Any]) -> None:
    engine = Engine(check=False, script=same("/a", "/b"), **setting)
    batches = Batches(engine)
    engine.add(line, "/a")
    engine.add(line, "/b")
    engine.run()
    assert batches.seen == [["cat /a"], ["cat /b"]]


def test_after_change_detection_there_is_nothing_to_read_ahead() -> None:
    engine = Engine(script=same("/a", "/b"))
    batches = Batches(engine)
    engine.add(line, "/a")
    engine.add(line, "/b")
    assert batches.seen == [["cat /a"], ["cat /b"]]
    engine.run()
    assert len(batches.seen) == 2


def test_nested_operations_leave_the_order_as_it_is_worked_out() -> None:
    engine = Engine("a b", check=False, script=same("/a", "/b"))
    for name in "ab":
        Batches(engine, name)
    engine.add(python.call, lambda: commands("x"))
    engine.add(line, "/a")
    engine.add(line, "/b")
    before = engine.state.get_op_order()
    ordered = engine.state._order
    engine.run()
    assert engine.state._order is ordered
    after = engine.state.get_op_order()
    assert [op_hash for op_hash in after if op_hash in before] == before
    assert len(after) == 4


@own
def act(*files: str) -> Iterator[str]:
    """Do something on the host before the first command, as the template of an operation may."""
    yield f"write {[act_on(host, path) for act_on in (ask, put, fetch) for path in files]}"


def ask(host: Any, path: str) -> bool:
    succeeded, _ = host.run_shell_command(f"look at {path}")
    return bool(succeeded)


def put(host: Any, path: str) -> bool:
    return bool(host.put_file("/dev/null", path))


def fetch(host: Any, path: str) -> bool:
    return bool(host.get_file(path, "/dev/null"))


def test_nothing_is_done_on_a_host_before_its_turn() -> None:
    engine = Engine(check=False, script={"cat /a": "old", **same("/c")})
    batches = Batches(engine)
    engine.add(line, "/a")
    engine.add(act, "/b")
    engine.add(line, "/c")
    engine.run()
    assert engine.calls()[:4] == ["write /a", "look at /b", "put /b", "get /b"]
    assert batches.seen[0] == ["cat /a", "cat /c"]


def test_nothing_is_done_on_this_machine_before_its_turn(tmp_path: Path) -> None:
    log = tmp_path / "log"

    @own
    def act_here() -> Iterator[str]:
        local.shell(f"echo here >> {log}")
        yield "write /b"

    def write(_host: Any) -> str:
        with log.open("a") as file:
            file.write("host\n")
        return ""

    engine = Engine(check=False, script={"write /a": write})
    Batches(engine)
    engine.add(line, "/a")
    engine.add(act_here)
    engine.run()
    assert log.read_text() == "host\nhere\n"
