"""Global arguments: their defaults, where they come from, and how they are checked."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest

from pyinfra.api import Config, HiddenValue, MaskString, StringCommand
from pyinfra.api.arguments import (
    CONNECTOR_ARGUMENT_KEYS,
    all_argument_meta,
    all_global_arguments,
    argument_groups,
    pop_global_arguments,
)
from pyinfra.api.exceptions import ArgumentTypeError

from ..support.engine import Engine, commands

DEFAULTS: dict[str, Any] = {
    "_sudo": False,
    "_sudo_user": None,
    "_use_sudo_login": False,
    "_sudo_password": None,
    "_preserve_sudo_env": False,
    "_su_user": None,
    "_use_su_login": False,
    "_preserve_su_env": False,
    "_su_shell": False,
    "_su_password": None,
    "_doas": False,
    "_doas_user": None,
    "_dzdo": False,
    "_dzdo_user": None,
    "_shell_executable": "sh",
    "_chdir": None,
    "_env": {},
    "_success_exit_codes": [0],
    "_timeout": None,
    "_get_pty": False,
    "_stdin": None,
    "_temp_dir": None,
    "name": None,
    "_ignore_errors": False,
    "_continue_on_error": False,
    "_if": [],
    "_parallel": 0,
    "_run_once": False,
    "_serial": False,
    "_retries": 0,
    "_retry_delay": 5,
    "_retry_until": None,
}
NOT_FOR_CONNECTORS = {
    "name",
    "_ignore_errors",
    "_continue_on_error",
    "_if",
    "_parallel",
    "_run_once",
    "_serial",
}
FROM_CONFIG = {
    "_sudo": ("SUDO", True),
    "_sudo_user": ("SUDO_USER", "u"),
    "_use_sudo_login": ("USE_SUDO_LOGIN", True),
    "_sudo_password": ("SUDO_PASSWORD", "p"),
    "_preserve_sudo_env": ("PRESERVE_SUDO_ENV", True),
    "_su_user": ("SU_USER", "u"),
    "_use_su_login": ("USE_SU_LOGIN", True),
    "_preserve_su_env": ("PRESERVE_SU_ENV", True),
    "_su_shell": ("SU_SHELL", "bash"),
    "_su_password": ("SU_PASSWORD", "p"),
    "_doas": ("DOAS", True),
    "_doas_user": ("DOAS_USER", "u"),
    "_dzdo": ("DZDO", True),
    "_dzdo_user": ("DZDO_USER", "u"),
    "_shell_executable": ("SHELL", "bash"),
    "_temp_dir": ("TEMP_DIR", "/t"),
    "_ignore_errors": ("IGNORE_ERRORS", True),
    "_parallel": ("PARALLEL", 3),
    "_retries": ("RETRY", 2),
    "_retry_delay": ("RETRY_DELAY", 1),
}


def resolved(engine: Engine, **given: Any) -> dict[str, Any]:
    """All global arguments of a call that gives these."""
    arguments, _ = pop_global_arguments(engine.state, engine.host(), given)
    return dict(arguments)


def test_every_argument_has_its_default() -> None:
    assert {name: meta.default(Config()) for name, meta in all_argument_meta.items()} == DEFAULTS
    assert resolved(Engine()) == DEFAULTS


def test_every_argument_has_a_description_a_type_and_a_group() -> None:
    assert [name for name, _ in all_global_arguments()] == list(all_argument_meta)
    assert sorted(name for group in argument_groups.values() for name in group) == sorted(DEFAULTS)
    assert all(meta.description.endswith(".") for meta in all_argument_meta.values())
    types = dict(all_global_arguments())
    assert (types["_sudo"], types["_chdir"], types["name"]) == (bool, str, str)


@pytest.mark.parametrize(("name", "setting"), FROM_CONFIG.items(), ids=str)
def test_defaults_come_from_the_configuration(name: str, setting: tuple[str, Any]) -> None:
    key, value = setting
    assert resolved(Engine(**{key: value}))[name] == value


def test_a_connector_gets_every_connector_argument_and_no_other() -> None:
    engine = Engine()
    engine.add(commands, "x")
    engine.run()
    arguments = engine.arguments("x")
    assert arguments == {key: DEFAULTS[key] for key in CONNECTOR_ARGUMENT_KEYS}
    assert set(CONNECTOR_ARGUMENT_KEYS) == DEFAULTS.keys() - NOT_FOR_CONNECTORS


def test_a_value_comes_from_the_call_the_deploy_the_data_or_the_configuration_in_this_order() -> None:
    engine = Engine(SUDO_USER="config", data={"one": {"_sudo_user": "data"}})
    other = Engine(SUDO_USER="config")
    with engine.host().arguments(_sudo_user="with"):
        assert resolved(engine, _sudo_user="call")["_sudo_user"] == "call"
        assert resolved(engine)["_sudo_user"] == "with"
    assert resolved(engine)["_sudo_user"] == "data"
    assert resolved(other)["_sudo_user"] == "config"


def test_false_and_empty_values_win_over_lower_levels_too() -> None:
    engine = Engine(SUDO=True, data={"one": {"_ignore_errors": False, "_env": {"A": "1"}}}, IGNORE_ERRORS=True)
    values = resolved(engine, _sudo=False, _env={})
    assert (values["_sudo"], values["_ignore_errors"], values["_env"]) == (False, False, {})


def test_data_set_in_a_run_counts_from_there_on() -> None:
    engine = Engine()
    assert resolved(engine)["_sudo"] is False
    engine.host().data._sudo = True
    assert resolved(engine)["_sudo"] is True
    engine.host().data._sudo = False
    assert resolved(engine)["_sudo"] is False


def test_the_data_name_is_no_operations_name() -> None:
    engine = Engine(data={"one": {"name": "data"}})
    assert resolved(engine)["name"] is None


def test_popping_leaves_the_operations_own_arguments_and_names_those_given() -> None:
    engine = Engine()
    kwargs = {"path": "/f", "_sudo": True, "name": "Title", "_unknown": 1}
    arguments, given = pop_global_arguments(engine.state, engine.host(), kwargs)
    assert kwargs == {"path": "/f", "_unknown": 1}
    assert sorted(given) == ["_sudo", "name"]
    assert (arguments["_sudo"], arguments["name"]) == (True, "Title")


# Types


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("_sudo", None, "Invalid argument `_sudo`:: None is not an instance of bool"),
        ("_sudo", "yes", "Invalid argument `_sudo`:: str is not an instance of bool"),
        ("_sudo_user", 7, "Invalid argument `_sudo_user`:: int is not an instance of str"),
        ("_timeout", "9", "Invalid argument `_timeout`:: str is not an instance of int"),
        ("_chdir", ["/"], "Invalid argument `_chdir`:: list is not an instance of str"),
        ("_env", "A=1", "Invalid argument `_env`:: str is not a mapping"),
        ("_env", {"A": None}, "Invalid argument `_env`:: value of key 'A' of dict did not match"),
        ("_success_exit_codes", 1, "Invalid argument `_success_exit_codes`:: int is not an instance of "),
        ("_if", "x", "Invalid argument `_if`:: str did not match any element in the union"),
        ("_retry_until", "x", "Invalid argument `_retry_until`:: str is not callable"),
        ("_stdin", 7, "Invalid argument `_stdin`:: int did not match any element in the union"),
        ("name", 7, "Invalid argument `name`:: int is not an instance of str"),
    ],
)
def test_a_value_of_the_wrong_type_is_an_error_that_says_why(key: str, value: Any, message: str) -> None:
    with pytest.raises(ArgumentTypeError) as caught:
        Engine().add(commands, "x", **{key: value})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("_sudo_user", None),
        ("_timeout", None),
        ("_sudo_password", MaskString("p")),
        ("_env", {"A": 1, "B": 1.5, "C": HiddenValue("x"), "D": "x"}),
        ("_success_exit_codes", (0, 1)),
        ("_success_exit_codes", {0, 1}),
        ("_retry_delay", 0.5),
        ("_stdin", "text"),
        ("_stdin", ["a", "b"]),
        ("_stdin", StringIO("file")),
        ("_stdin", b"bytes"),
        ("_parallel", 0),
        ("_if", []),
        ("_su_shell", False),
    ],
)
def test_a_value_of_the_right_type_or_equal_to_the_default_is_taken(key: str, value: Any) -> None:
    assert resolved(Engine(), **{key: value})[key] == value


@pytest.mark.parametrize("key", ["_timeout", "_retries", "_retry_delay", "_parallel"])
def test_counts_and_seconds_are_not_less_than_none(key: str) -> None:
    message = f"^Invalid argument `{key}`:: -1 is less than 0$"
    with pytest.raises(ArgumentTypeError, match=message):
        Engine().add(commands, "x", **{key: -1})
    with pytest.raises(ArgumentTypeError, match=message):
        resolved(Engine(data={"one": {key: -1}}))


def test_the_default_of_the_configuration_is_taken_whatever_its_type() -> None:
    engine = Engine(SU_SHELL=None)
    assert resolved(engine, _su_shell=None)["_su_shell"] is None
    with pytest.raises(ArgumentTypeError):
        resolved(Engine(), _su_shell=None)


def test_host_data_are_checked_likewise() -> None:
    with pytest.raises(ArgumentTypeError, match="Invalid argument `_sudo`:: str is not an instance of bool"):
        resolved(Engine(data={"one": {"_sudo": "yes"}}))


# The environment


@pytest.mark.parametrize(
    ("inherit", "env", "with_", "call", "expected"),
    [
        ([], {}, None, None, {}),
        (["IN"], {}, None, None, {"IN": "inherited"}),
        (["IN", "NOT_SET"], {"IN": "env", "E": "env"}, None, None, {"IN": "env", "E": "env"}),
        (["IN"], {"E": "env"}, None, {"E": "call"}, {"IN": "inherited", "E": "call"}),
        ([], {"E": "env"}, {"W": "with"}, None, {"E": "env", "W": "with"}),
        ([], {"E": "env"}, {"W": "with"}, {"C": "call"}, {"E": "env", "C": "call"}),
    ],
)
def test_a_commands_environment_is_inherited_names_then_env_then_the_strongest_env_argument(
    inherit: list[str],
    env: dict[str, str],
    with_: dict[str, str] | None,
    call: dict[str, str] | None,
    expected: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IN", "inherited")
    monkeypatch.delenv("NOT_SET", raising=False)
    engine = Engine(INHERIT_ENV=inherit, ENV=env)
    given = {} if call is None else {"_env": call}
    if with_ is None:
        assert resolved(engine, **given)["_env"] == expected
    else:
        with engine.host().arguments(_env=with_):
            assert resolved(engine, **given)["_env"] == expected


def test_the_environment_of_a_yielded_command_is_over_the_configurations_too() -> None:
    engine = Engine(ENV={"E": "env"})
    engine.add(commands, StringCommand("own", _env={"C": "command"}), "plain", _env={"O": "operation"})
    engine.run()
    assert engine.arguments("own")["_env"] == {"E": "env", "C": "command"}
    assert engine.arguments("plain")["_env"] == {"E": "env", "O": "operation"}


# Calls that people make themselves


def test_commands_that_people_run_themselves_get_no_defaults() -> None:
    engine = Engine(SUDO=True, data={"one": {"_chdir": "/d"}})
    engine.host().run_shell_command("text", _timeout=3)
    engine.host().run_shell_command(StringCommand("a", "b"))
    assert engine.connector().calls == [("text", {"_timeout": 3}), ("a b", {})]


def test_temporary_names_are_in_the_folder_of_the_argument_the_configuration_or_the_host() -> None:
    from pyinfra import host
    from pyinfra.api import operation

    @operation()
    def names() -> Any:
        yield host.get_temp_filename("key", hash_filename=False)

    engine = Engine()
    engine.add(names, _temp_dir="/argument")
    engine.run()
    assert engine.calls() == ["/argument/pyinfra-key"]
    configured = Engine(TEMP_DIR="/configured").host()
    assert configured.get_temp_filename("key", hash_filename=False) == "/configured/pyinfra-key"
    assert (configured.get_temp_dir_config(), engine.host().get_temp_dir_config()) == ("/configured", "/tmp")


@pytest.mark.parametrize("name", ["_sudo_password", "_su_password"])
def test_a_password_may_be_hidden_wherever_it_is_given(name: str) -> None:
    secret = HiddenValue("hush")
    engine = Engine(data={"one": {name: secret}})
    engine.add(commands, "x")
    engine.add(commands, "y", **{name: secret})
    engine.run()
    assert [arguments[name] for _, arguments in engine.connector().calls] == [secret, secret]
