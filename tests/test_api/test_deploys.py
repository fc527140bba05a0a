"""Deploys: groups of operations with a name, global arguments and data defaults."""

from __future__ import annotations

from typing import Any

import pytest

import pyinfra
from pyinfra import config, host, inventory, state
from pyinfra.api import deploy
from pyinfra.api.deploy import add_deploy
from pyinfra.api.exceptions import PyinfraError

from ..support.deploys import Deploys, order
from ..support.engine import Engine, Failed, commands


@deploy("Inner", data_defaults={"port": 81, "inner": "i"})
def inner(text: str = "inner") -> None:
    commands(f"{text} {host.data.port}", name="Op")


@deploy("Outer", data_defaults={"port": 80, "outer": "o"})
def outer(**arguments: Any) -> None:
    commands(f"before {host.data.port}", name="Op")
    inner(**arguments)
    commands(f"after {host.data.port}")


def test_operations_are_shown_under_the_names_of_all_deploys_around_them() -> None:
    engine = Engine()
    add_deploy(engine.state, outer)
    assert order(engine) == ["Outer | Op", "Outer | Inner | Op", "Outer | engine.commands"]
    assert host_state(engine) == (False, None, None, None)


def host_state(engine: Engine) -> tuple[Any, ...]:
    one = engine.host()
    return one.in_deploy, one.current_deploy_name, one.current_deploy_kwargs, one.current_deploy_data


def test_data_defaults_rank_below_all_other_data_and_inner_ones_above_outer_ones() -> None:
    engine = Engine("a b", data={"b": {"port": 8080}})
    add_deploy(engine.state, outer)
    engine.run()
    assert engine.calls("a") == ["before 80", "inner 81", "after 80"]
    assert engine.calls("b") == ["before 8080", "inner 8080", "after 8080"]
    assert "port" not in engine.host("a").data


def test_generators_see_the_data_defaults_of_their_own_deploy_when_they_run() -> None:
    from pyinfra.api import operation

    @operation()
    def listens() -> Any:
        yield f"listen {host.data.port} {host.data.get('inner')}"

    @deploy("Two", data_defaults={"port": 2})
    def two() -> None:
        listens()

    @deploy("One", data_defaults={"port": 1, "inner": "x"})
    def one() -> None:
        listens()
        two()

    engine = Engine(check=False)
    add_deploy(engine.state, one)
    add_deploy(engine.state, two)
    engine.run()
    assert engine.calls() == ["listen 1 x", "listen 2 x", "listen 2 None"]


def test_a_deploy_without_a_name_takes_the_functions() -> None:
    @deploy()
    def set_up() -> None:
        commands("x", name="Op")

    engine = Engine()
    add_deploy(engine.state, set_up)
    add_deploy(engine.state, set_up, name="Named")
    assert order(engine) == ["set_up | Op", "Named | Op"]


def test_a_bare_decorator_says_how_to_write_it() -> None:
    with pytest.raises(PyinfraError, match=r"^The `deploy` decorator must be called, ie `@deploy\(\)`"):
        deploy(lambda: None)  # type: ignore[arg-type]


def test_a_deploys_function_keeps_its_name_documentation_and_result() -> None:
    @deploy("Title")
    def set_up(number: int) -> int:
        """What it does."""
        return number + 1

    assert (set_up.__name__, set_up.__doc__, set_up._inner(1)) == ("set_up", "What it does.", 2)  # type: ignore[attr-defined]
    with pytest.raises(PyinfraError, match="Deploy Title was called outside a run"):
        set_up(1)


def test_an_error_in_a_deploy_leaves_nothing_of_it_behind() -> None:
    @deploy("Broken")
    def broken() -> None:
        raise ValueError("no")

    engine = Engine()
    with pytest.raises(ValueError, match="no"):
        add_deploy(engine.state, broken, _sudo=True)
    assert host_state(engine) == (False, None, None, None)


# Global arguments


def test_a_deploys_global_arguments_are_those_of_all_operations_in_it() -> None:
    @deploy("Group")
    def group() -> None:
        commands("plain")
        commands("own", _sudo_user="own")
        inner(_sudo=False)

    engine = Engine(SUDO_USER="config")
    add_deploy(engine.state, group, _sudo=True, _sudo_user="deploy", _env={"A": "1"})
    engine.run()
    seen = {text: (arguments["_sudo"], arguments["_sudo_user"]) for text, arguments in engine.connector().calls}
    assert seen == {"plain": (True, "deploy"), "own": (True, "own"), "inner 81": (False, "deploy")}


def test_a_deploys_call_fixes_all_global_arguments() -> None:
    @deploy("Group")
    def group() -> None:
        config.SUDO = True
        host.data._chdir = "/late"
        commands("inside", _timeout=5)

    engine = Engine()
    add_deploy(engine.state, group)
    engine.add(commands, "outside")
    engine.run()
    inside, outside = engine.arguments("inside"), engine.arguments("outside")
    assert (inside["_sudo"], inside["_chdir"]) == (False, None)
    assert (outside["_sudo"], outside["_chdir"]) == (True, "/late")


def test_the_environment_is_fixed_with_them() -> None:
    @deploy("Group")
    def group() -> None:
        config.ENV = {"A": "late", "B": "late"}
        commands("inside", _timeout=5)
        commands("own", _env={"C": "own"})

    engine = Engine(ENV={"A": "early"})
    add_deploy(engine.state, group)
    engine.run()
    assert engine.arguments("inside")["_env"] == {"A": "early"}


@pytest.mark.parametrize(
    ("outermost", "inside", "own", "runs"),
    [
        (True, True, True, True),
        (False, True, True, False),
        (True, False, True, False),
        (True, True, False, False),
        (None, [], None, True),
        (True, None, [], True),
        (False, None, None, False),
    ],
)
def test_conditions_of_nested_deploys_add_up(outermost: Any, inside: Any, own: Any, runs: bool) -> None:
    def condition(value: Any) -> Any:
        return (lambda: value) if isinstance(value, bool) else value

    @deploy("In")
    def in_() -> None:
        commands("x", _if=condition(own))

    @deploy("Out")
    def out() -> None:
        in_(_if=condition(inside))

    engine = Engine()
    add_deploy(engine.state, out, _if=condition(outermost))
    engine.run()
    assert engine.calls() == (["x"] if runs else [])


def test_conditions_in_with_blocks_add_up_too() -> None:
    @deploy("Group")
    def group() -> None:
        with host.when(lambda: True):
            commands("first")
            with host.when(lambda: False):
                commands("second")
            commands("third", _if=lambda: True)
        commands("fourth")

    engine = Engine()
    add_deploy(engine.state, group)
    engine.run()
    assert engine.calls() == ["first", "third", "fourth"]


def test_arguments_in_with_blocks_reach_the_operations_inside_but_for_their_own() -> None:
    @deploy("Group")
    def group() -> None:
        with host.arguments(_sudo=True, _chdir="/with"):
            commands("first")
            commands("second", _chdir="/own")
            inner()
        commands("third")

    engine = Engine()
    add_deploy(engine.state, group, _chdir="/deploy")
    engine.run()
    seen = [(text, arguments["_sudo"], arguments["_chdir"]) for text, arguments in engine.connector().calls]
    assert seen == [
        ("first", True, "/with"),
        ("second", True, "/own"),
        ("inner 81", True, "/with"),
        ("third", False, "/deploy"),
    ]


def test_a_deploys_operations_can_ignore_errors_together() -> None:
    engine = Engine(script={"inner 81": Failed()})
    add_deploy(engine.state, inner, _ignore_errors=True)
    engine.run()
    assert engine.results() == {"ops": 1, "ignored_error_ops": 1}


# add_deploy


def test_add_deploy_takes_one_host_or_several() -> None:
    engine = Engine("a b c")
    add_deploy(engine.state, inner, "one", host=engine.host("b"))
    add_deploy(engine.state, inner, text="two", host=[engine.host("a"), engine.host("b")])
    engine.run()
    assert [engine.calls(name) for name in "abc"] == [["two 81"], ["one 81", "two 81"], []]


def test_add_deploy_is_for_api_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    monkeypatch.setattr(pyinfra, "is_cli", True)
    with pytest.raises(PyinfraError, match="`add_deploy` is for API mode"):
        add_deploy(engine.state, inner)


def test_a_deploys_code_finds_the_run_in_its_context() -> None:
    seen: list[Any] = []

    @deploy("Group")
    def group() -> None:
        seen.append((host.name, state.inventory is inventory.hosts["one"].inventory, config.SUDO_USER, bool(host)))

    engine = Engine(SUDO_USER="me")
    add_deploy(engine.state, group)
    assert seen == [("one", True, "me", True)]


# Deploy files and included ones


def test_config_of_a_deploy_file_is_per_host_and_ends_with_it(deploys: Deploys) -> None:
    engine = Engine("a b")
    deploys.run(
        engine,
        """
        commands("early")
        if host.name == "a":
            config.SUDO = True
        commands("late")
        """,
    )
    deploys.run(engine, "commands('other file')")
    engine.run()
    sudo = {name: [text for text, arguments in engine.connector(name).calls if arguments["_sudo"]] for name in "ab"}
    assert sudo == {"a": ["late"], "b": []}
    assert engine.state.config.SUDO is False


def test_variables_put_into_config_env_count_from_there_on(deploys: Deploys) -> None:
    engine = Engine(ENV={"BASE": "1"})
    deploys.run(
        engine,
        """
        commands("early")
        config.ENV["LATE"] = "2"
        commands("late")
        """,
    )
    engine.run()
    assert engine.arguments("early")["_env"] == {"BASE": "1"}
    assert engine.arguments("late")["_env"] == {"BASE": "1", "LATE": "2"}
    assert engine.state.config.ENV == {"BASE": "1"}


def test_files_whose_settings_take_each_others_place_in_memory_are_told_apart(deploys: Deploys) -> None:
    engine = Engine()
    for number in range(20):
        deploys.run(engine, f"config.SUDO_USER = 'user{number}'\ncommands('{number}')")
    engine.run()
    users = [arguments["_sudo_user"] for _, arguments in engine.connector().calls]
    assert users == [f"user{number}" for number in range(20)]


def test_config_of_an_included_file_holds_in_it_and_ends_with_it(deploys: Deploys) -> None:
    engine = Engine()
    deploys.write("inner.py", "config.SUDO = True\ncommands('inside')")
    deploys.run(
        engine,
        """
        config.SUDO_USER = "outer"
        local.include("inner.py")
        commands("after")
        """,
    )
    engine.run()
    inside, after = engine.arguments("inside"), engine.arguments("after")
    assert (inside["_sudo"], inside["_sudo_user"]) == (True, "outer")
    assert (after["_sudo"], after["_sudo_user"]) == (False, "outer")


def test_included_files_are_named_by_their_path_and_found_beside_the_including_one(deploys: Deploys) -> None:
    engine = Engine()
    deploys.write("tasks/b.py", "commands('x', name='Op')")
    deploys.write("tasks/a.py", "local.include('./b.py')")
    deploys.run(engine, "local.include('tasks/a.py')")
    assert order(engine) == ["tasks/a.py | tasks/b.py | Op"]


def test_an_includes_data_ranks_lowest(deploys: Deploys) -> None:
    engine = Engine("a b", data={"a": {"port": 1}})
    deploys.write("inner.py", "commands(f'port {host.data.port}')")
    deploys.run(engine, "local.include('inner.py', data={'port': 2})")
    engine.run()
    assert (engine.calls("a"), engine.calls("b")) == (["port 1"], ["port 2"])


def test_including_what_is_not_there_says_where_it_was_looked_for(deploys: Deploys) -> None:
    with pytest.raises(PyinfraError, match=r"No file to include: nowhere.py \(looked for /.*nowhere.py\)"):
        deploys.run(Engine(), "local.include('nowhere.py')")


def test_global_arguments_in_an_includes_data_end_with_it(deploys: Deploys) -> None:
    engine = Engine()
    deploys.write("inner.py", "commands('inner')")
    deploys.run(
        engine,
        """\
        local.include("inner.py", data={"_sudo": True, "_env": {"X": "1"}})
        commands("between")
        local.include("inner.py", data={"_chdir": "/d"})
        commands("after")
        """,
    )
    engine.run()
    seen = [(text, given["_sudo"], given["_env"], given["_chdir"]) for text, given in engine.connector().calls]
    assert seen == [
        ("inner", True, {"X": "1"}, None),
        ("between", False, {}, None),
        ("inner", False, {}, "/d"),
        ("after", False, {}, None),
    ]
