"""The fact cache: what one operation read serves the next, for as long as nothing can have changed it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from pyinfra import host, local
from pyinfra.api import Config, FactBase, FileUploadCommand, HiddenValue, MaskString, StringCommand, operation
from pyinfra.api.factcache import FactCache, freeze, own_copy
from pyinfra.operations import python

from ..support.engine import Cat, Engine, Failed, commands, write_unless_there


class Table(FactBase[dict[str, Any]]):
    """A value that callers could change."""

    cacheable = True

    def command(self, key: Any = None) -> Any:
        return "table"

    def process(self, output: list[str]) -> dict[str, Any]:
        return {"rows": [{"name": line} for line in output], "empty": []}


class Foreign(FactBase[str]):
    """A fact of another package, which says nothing of caches."""

    def command(self) -> str:
        return "foreign"


@operation()
def look(*facts: tuple[Any, dict[str, Any]], then: Callable[[Any], None] = lambda value: None) -> Iterator[str]:
    """Read facts and change nothing."""
    for cls, arguments in facts:
        then(host.get_fact(cls, **arguments))
    yield from ()


CAT = (Cat, {"path": "/f"})


def reads_of(engine: Engine, text: str = "cat /f", name: str = "one") -> int:
    return engine.calls(name).count(text)


# What serves whom


def test_a_fact_that_many_operations_share_is_read_once() -> None:
    engine = Engine(script={"cat /f": "same"})
    for _ in range(5):
        engine.add(write_unless_there, "/f", "same")
    engine.run()
    assert engine.calls() == ["cat /f"]


def test_change_detections_facts_serve_the_execution() -> None:
    engine = Engine("a b", script={"cat /f": "same"})
    engine.add(write_unless_there, "/f", "same")
    assert (reads_of(engine, name="a"), reads_of(engine, name="b")) == (1, 1)
    engine.run()
    assert (reads_of(engine, name="a"), reads_of(engine, name="b")) == (1, 1)


def test_values_from_the_cache_are_told_as_such() -> None:
    engine = Engine(check=False, script={"cat /f": "same"})
    events = engine.record("host_fact_loaded")
    engine.add(look, CAT, CAT)
    engine.run()
    assert [event[4] for event in events] == [False, True]


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ({"path": "/f"}, {"path": "/f"}, True),
        ({"path": "/f"}, {"path": "/g"}, False),
        ({"path": "/f"}, {"path": "/f", "_sudo": True}, False),
        ({"path": "/f", "_sudo": True}, {"path": "/f", "_sudo": True}, True),
        ({"path": "/f", "_env": {"A": "1"}}, {"path": "/f", "_env": {"A": "2"}}, False),
        ({"path": "/f", "_env": {"A": HiddenValue("1")}}, {"path": "/f", "_env": {"A": HiddenValue("2")}}, False),
        ({"path": "/f", "_env": {"A": HiddenValue("1")}}, {"path": "/f", "_env": {"A": HiddenValue("1")}}, True),
        ({"path": "/f", "_chdir": "/a"}, {"path": "/f", "_chdir": "/b"}, False),
        ({"path": 1}, {"path": True}, False),
        ({"path": "1"}, {"path": 1}, False),
        ({"path": MaskString("a")}, {"path": MaskString("b")}, False),
        ({"path": StringCommand("x", MaskString("a"))}, {"path": StringCommand("x", MaskString("b"))}, False),
        ({"path": StringCommand("x", MaskString("a"))}, {"path": StringCommand("x", MaskString("a"))}, True),
        ({"path": ["a", {"b"}]}, {"path": ["a", {"b"}]}, True),
        ({"path": ["a"]}, {"path": ("a",)}, False),
    ],
)
def test_a_reading_is_told_apart_by_fact_arguments_and_connector_arguments(
    first: dict[str, Any],
    second: dict[str, Any],
    shared: bool,
) -> None:
    engine = Engine(check=False)
    engine.add(look, (Cat, first), (Cat, second))
    engine.run()
    assert len(engine.calls()) == (1 if shared else 2)


def test_operations_with_other_global_arguments_read_for_themselves() -> None:
    engine = Engine(check=False)
    for arguments in ({}, {"_sudo": True}, {"_sudo": True, "_timeout": 5}, {"_sudo": True}, {"name": "Other"}):
        engine.add(look, CAT, **arguments)
    engine.run()
    assert reads_of(engine) == 3


def test_arguments_that_cannot_be_told_apart_are_read_each_time() -> None:
    engine = Engine(check=False)
    unhashable: Any = type("Odd", (), {"__eq__": lambda self, other: True})()
    engine.add(look, (Table, {"key": unhashable}), (Table, {"key": unhashable}))
    engine.run()
    assert reads_of(engine, "table") == 2


def test_hosts_do_not_share() -> None:
    engine = Engine("a b", data={name: {"script": {"cat /f": name}} for name in "ab"})
    seen: list[tuple[str, str]] = []
    engine.add(look, CAT, CAT, then=lambda value: seen.append((host.name, value)))
    assert sorted(seen) == [("a", "a"), ("a", "a"), ("b", "b"), ("b", "b")]


# What changes something


def change_by_command(engine: Engine) -> None:
    engine.add(commands, "change")


def change_by_transfer(engine: Engine) -> None:
    engine.add(commands, FileUploadCommand("/dev/null", "/x"))


def change_by_callback(engine: Engine) -> None:
    engine.add(python.call, lambda: None)


def change_by_failed_command(engine: Engine) -> None:
    engine.connector().script["change"] = Failed()
    engine.add(commands, "change", _ignore_errors=True)


CHANGES = [change_by_command, change_by_transfer, change_by_callback, change_by_failed_command]


@pytest.mark.parametrize("change", CHANGES)
def test_a_value_read_before_something_may_have_changed_is_dead(change: Callable[[Engine], None]) -> None:
    engine = Engine(check=False)
    engine.add(look, CAT)
    change(engine)
    engine.add(look, CAT)
    engine.run()
    assert reads_of(engine) == 2


@pytest.mark.parametrize(
    "act",
    [
        lambda engine: engine.host().run_shell_command("x"),
        lambda engine: engine.host().put_file("/dev/null", "/x"),
        lambda engine: engine.host().rsync("a", "b", []),
        lambda engine: (engine.host().disconnect(), engine.host().connect()),
        lambda engine: local.shell("true"),
    ],
    ids=["run_shell_command", "put_file", "rsync", "reconnect", "local.shell"],
)
def test_what_people_do_themselves_may_have_changed_something(act: Callable[[Engine], Any]) -> None:
    from pyinfra.context import ctx_state

    engine = Engine()
    engine.add(look, CAT)
    with ctx_state.use(engine.state):
        act(engine)
    engine.run()
    assert reads_of(engine) == 2


@pytest.mark.parametrize(
    "act",
    [
        lambda engine: engine.host().get_fact(Cat, "/other"),
        lambda engine: engine.add(commands, "later"),
        lambda engine: engine.host().get_file("/x", "/dev/null"),
    ],
    ids=["a fact", "recording", "download"],
)
def test_reading_changes_nothing(act: Callable[[Engine], Any]) -> None:
    engine = Engine()
    engine.add(look, CAT)
    act(engine)
    engine.run()
    assert reads_of(engine) == 1


def test_one_hosts_change_may_change_all_others() -> None:
    engine = Engine("a b", check=False)
    engine.add(look, CAT)
    engine.add(commands, "change", host=engine.host("a"))
    engine.add(look, CAT, host=engine.host("b"))
    engine.run()
    assert reads_of(engine, name="b") == 2


def test_a_value_whose_reading_began_before_a_change_is_not_kept() -> None:
    engine = Engine(check=False)

    def changes_meanwhile(host: Any) -> str:
        with engine.state.changing():
            pass
        return "old"

    engine.connector().script["cat /f"] = [changes_meanwhile, "new"]
    seen: list[str] = []
    engine.add(look, CAT, CAT, then=seen.append)
    engine.run()
    assert seen == ["old", "new"]


def test_a_value_read_while_a_change_goes_on_is_not_kept_beyond_it() -> None:
    engine = Engine(check=False)
    with engine.state.changing():
        engine.add(look, CAT)
        engine.run()
    engine.add(look, CAT)
    engine.run()
    assert reads_of(engine) == 2


def test_within_an_operation_facts_are_read_again_after_its_own_commands() -> None:
    @operation()
    def write_and_check() -> Iterator[str]:
        before = host.get_fact(Cat, path="/f")
        yield "write"
        yield f"{before} {host.get_fact(Cat, path='/f')}"

    engine = Engine(check=False, script={"cat /f": ["old", "new"]})
    engine.add(write_and_check)
    engine.run()
    assert engine.calls() == ["cat /f", "write", "cat /f", "old new"]


# What is never kept


@pytest.mark.parametrize("how", ["deploy code", "callback", "condition", "retry_until"])
def test_what_people_ask_for_themselves_is_always_read_afresh(how: str) -> None:
    engine = Engine(script={"cat /f": "x"})
    one = engine.host()

    def ask(*args: Any) -> bool:
        return all(one.get_fact(Cat, path="/f") == "x" for _ in range(2))

    engine.add(look, CAT)
    if how == "deploy code":
        ask()
    elif how == "callback":
        engine.add(python.call, ask)
    elif how == "condition":
        engine.add(commands, _if=ask)
    else:
        engine.add(commands, _retries=1, _retry_until=ask)
    engine.run()
    assert reads_of(engine) == 3


@pytest.mark.parametrize(
    "answers",
    [[Failed("no"), "x"], [TimeoutError("slow"), "x"], [Failed("sudo: unknown user app"), "x"]],
    ids=["failed", "timed out", "no such user"],
)
def test_failures_and_defaults_that_stand_for_them_are_not_kept(answers: list[Any]) -> None:
    engine = Engine(check=False, script={"cat /f": answers})
    seen: list[Any] = []
    engine.add(look, CAT, CAT, then=seen.append, _ignore_errors=True)
    engine.run()
    assert seen == [None, "x"]


def test_the_default_for_no_output_is_a_value_like_others() -> None:
    engine = Engine(check=False)
    engine.add(look, CAT, CAT)
    engine.run()
    assert reads_of(engine) == 1


def test_defaults_for_a_missing_program_or_an_unmet_precondition_are_not_kept() -> None:
    class Needs(FactBase[str]):
        cacheable = True

        def command(self) -> str:
            return "ask"

        def requires_command(self) -> str:
            return "prog"

    class Picky(FactBase[str]):
        cacheable = True

        def command(self) -> str:
            return "pick"

        def check_preconditions(self, state: Any, host: Any) -> str | None:
            return reasons.pop() if reasons else None

    reasons = ["not now"]
    needs = "if command -v prog >/dev/null 2>&1; then ( ask ); else echo '##PYINFRA_NOCMD##'; fi"
    engine = Engine(script={needs: ["##PYINFRA_NOCMD##", "x"], "pick": "y"})
    seen: list[Any] = []
    engine.add(look, (Needs, {}), (Needs, {}), (Picky, {}), (Picky, {}), then=seen.append)
    assert seen == [None, "x", None, "y"]


@pytest.mark.parametrize(("cls", "kept"), [(Cat, True), (Foreign, False)])
def test_facts_of_other_packages_take_part_where_their_class_says_so(cls: Any, kept: bool) -> None:
    assert cls.cacheable is kept
    engine = Engine(check=False)
    arguments = {"path": "/f"} if cls is Cat else {}
    engine.add(look, (cls, arguments), (cls, arguments))
    engine.run()
    assert len(engine.calls()) == (1 if kept else 2)


def test_a_class_says_for_itself_whether_its_values_are_kept() -> None:
    class Own(Foreign):
        cacheable = True

    class Derived(Own):
        pass

    class Mixed(Table, Foreign):
        pass

    assert (Own.cacheable, Derived.cacheable, Mixed.cacheable) == (True, False, False)


@pytest.mark.parametrize("name", ["Date", "Uptime", "Command"])
def test_facts_that_are_never_the_same_twice_are_not_kept(name: str) -> None:
    from pyinfra.facts import server

    assert getattr(server, name).cacheable is False
    assert server.Home.cacheable is True


def test_zero_seconds_turn_the_cache_off() -> None:
    engine = Engine(check=False, FACT_CACHE_SECONDS=0)
    engine.add(look, CAT, CAT)
    engine.run()
    assert reads_of(engine) == 2


def test_a_value_is_dead_after_the_seconds_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Config().FACT_CACHE_SECONDS == 60
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    cache = FactCache()
    cache.put(1, "key", 1000.0, "value")
    assert cache.get(1, 60, "key") == (True, "value")
    now[0] = 1060.5
    assert cache.get(1, 60, "key") == (False, None)


def test_a_cache_holds_one_epoch() -> None:
    cache = FactCache()
    cache.put(1, "key", time.monotonic(), "old")
    assert cache.get(2, 60, "key") == (False, None)
    cache.put(2, "other", time.monotonic(), "new")
    assert (cache.get(1, 60, "key"), cache.get(2, 60, "key")) == ((False, None), (False, None))
    assert cache.get(2, 60, "other") == (True, "new")


# Copies


def test_callers_get_a_copy_each() -> None:
    engine = Engine(check=False, script={"table": "a\nb"})
    seen: list[Any] = []

    def spoil(value: dict[str, Any]) -> None:
        seen.append([row["name"] for row in value["rows"]])
        value["rows"][0]["name"] = "spoilt"
        value["rows"].append({"name": "more"})
        value["empty"].append("x")

    engine.add(look, (Table, {}), (Table, {}), (Table, {}), then=spoil)
    engine.run()
    assert seen == [["a", "b"]] * 3
    assert reads_of(engine, "table") == 1


@pytest.mark.parametrize(
    "value",
    [
        "text",
        7,
        None,
        {"a": 1},
        {"a": [1]},
        ["a", "b"],
        [["a"]],
        ("a", ["b"]),
        {"x", "y"},
        datetime(2020, 1, 1),
        {"when": datetime(2020, 1, 1)},
    ],
)
def test_a_copy_is_equal_and_shares_nothing_that_can_change(value: Any) -> None:
    copied = own_copy(value)
    assert copied == value
    assert type(copied) is type(value)
    if isinstance(value, (dict, list, set)):
        assert copied is not value
    if value == {"a": [1]}:
        assert copied["a"] is not value["a"]


def test_what_cannot_be_told_apart_has_no_stand_in() -> None:
    with pytest.raises(TypeError):
        freeze([bytearray()])
