"""The context: what deploy code finds as host, state, inventory and config."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import gevent
import pytest

import pyinfra
from pyinfra.api import Config, Host, State
from pyinfra.api.facts import get_fact, get_facts
from pyinfra.context import (
    ContextManager,
    GreenletSlot,
    ProcessSlot,
    config,
    ctx_config,
    ctx_host,
    ctx_inventory,
    ctx_state,
    host,
    inventory,
    state,
)
from pyinfra.operations import python

from ..support.engine import Engine, Number


def test_names_of_the_package_are_those_of_the_context() -> None:
    assert pyinfra.host is host
    assert pyinfra.state is state
    assert pyinfra.inventory is inventory
    assert pyinfra.config is config


def test_a_context_object_stands_for_its_value_in_every_way() -> None:
    engine = Engine("one two")
    with ctx_host.use(engine.host("one")):
        assert repr(host) == "ContextObject(Host):Host(one)"
        assert (str(host), host.name, bool(host)) == ("one", "one", True)
        assert isinstance(host, Host)
        assert host == engine.host("one") != engine.host("two")
        assert host == host._context.context
        assert {host: 1}[engine.host("one")] == 1
        assert "get_fact" in dir(host)
        host.extra = 1  # type: ignore[attr-defined]
        assert engine.host("one").extra == 1  # type: ignore[attr-defined]
        del host.extra  # type: ignore[attr-defined]
        assert not hasattr(engine.host("one"), "extra")


def test_an_inventory_can_be_walked_through_its_context() -> None:
    engine = Engine("one two")
    with ctx_inventory.use(engine.inventory):
        assert [each.name for each in inventory] == ["one", "two"]
        assert (len(inventory), "one" in inventory) == (2, True)


def test_without_a_value_the_context_says_so() -> None:
    assert repr(host) == "ContextObject(Host):None"
    assert not bool(host)
    assert not isinstance(host, Host)
    with pytest.raises(AttributeError, match="there is no `host` here: it is set while pyinfra loads or runs deploy"):
        _ = host.name


def test_values_can_be_used_for_a_while_set_and_reset() -> None:
    for manager in (ContextManager("x", ProcessSlot), ContextManager("x", GreenletSlot)):
        assert (manager.get(), manager.isset()) == (None, False)
        with manager.use("a"):
            with suppress(ValueError), manager.use("b"):
                assert manager.get() == "b"
                raise ValueError
            assert manager.get() == "a"
        assert not manager.isset()
        manager.set("c")
        assert (manager.get(), manager.isset()) == ("c", True)
        manager.set_base("d")
        manager.reset()
        assert manager.get() is None


def test_items_of_a_value_can_be_asked_for() -> None:
    manager = ContextManager("x", ProcessSlot)
    manager.set({"a": 1})
    assert manager.context["a"] == 1


@pytest.mark.parametrize("spawn", ["greenlet", "thread"])
def test_host_and_config_are_of_the_greenlet_and_state_and_inventory_of_the_process(spawn: str) -> None:
    engine = Engine()
    seen: list[Any] = []

    def look() -> None:
        seen.extend(manager.get() for manager in (ctx_host, ctx_config, ctx_state, ctx_inventory))

    values = (engine.host(), Config(), engine.state, engine.inventory)
    with ctx_host.use(values[0]), ctx_config.use(values[1]), ctx_state.use(values[2]), ctx_inventory.use(values[3]):
        if spawn == "greenlet":
            gevent.spawn(look).join()
        else:
            thread = threading.Thread(target=look)
            thread.start()
            thread.join()
    assert seen[0] is None
    assert seen[1] is not values[1]
    assert seen[2:] == [engine.state, engine.inventory]


def test_a_base_is_seen_by_all_that_have_no_value_of_their_own() -> None:
    manager = ContextManager("x", GreenletSlot)
    manager.set_base("base")
    with manager.use("own"):
        assert manager.get() == "own"
        assert gevent.spawn(manager.get).get() == "base"
    assert manager.get() == "base"


def test_greenlets_do_not_see_each_others_values() -> None:
    manager = ContextManager("x", GreenletSlot)

    def work(name: str) -> str:
        manager.set(name)
        gevent.sleep(0)
        return str(manager.get())

    greenlets = [gevent.spawn(work, name) for name in "abc"]
    assert [greenlet.get() for greenlet in greenlets] == ["a", "b", "c"]


def test_inventory_and_config_are_the_runs_where_nobody_set_others() -> None:
    engine = Engine(SUDO_USER="me")
    with ctx_state.use(engine.state):
        assert config.SUDO_USER == "me"
        assert list(inventory) == list(engine.inventory)
        with ctx_config.use(Config(SUDO_USER="other")):
            assert config.SUDO_USER == "other"


def test_callbacks_find_the_whole_context() -> None:
    seen: list[Any] = []
    engine = Engine(SUDO_USER="me")
    engine.add(python.call, lambda: seen.append((host.name, config.SUDO_USER, len(inventory), state.is_executing)))
    engine.run()
    assert seen == [("one", "me", 1, True)]


def test_functions_take_what_deploy_code_imports() -> None:
    seen: list[Any] = []

    def callback() -> None:
        with ctx_host.use(host):
            seen.append((get_facts(state, Number), host.name, get_fact(state, host, Number)))

    engine = Engine(script={"count": "3"})
    engine.add(python.call, callback)
    engine.run()
    assert seen == [({engine.host(): 3}, "one", 3)]


def test_two_runs_in_one_process_keep_apart() -> None:
    from ..support.engine import commands

    first, second = Engine(SUDO_USER="first"), Engine(SUDO_USER="second")
    for engine in (first, second):
        engine.add(commands, "x")
    second.run()
    first.run()
    assert first.arguments("x")["_sudo_user"] == "first"
    assert second.arguments("x")["_sudo_user"] == "second"


def test_a_state_can_be_made_first_and_get_its_hosts_later() -> None:
    late = State()
    assert late.initialised is False
    engine = Engine()
    late.init(engine.inventory, None)
    assert (late.initialised, late.inventory, late.config.SUDO) == (True, engine.inventory, False)
    assert engine.host().state is late
