"""``host.data``: level over level, read as copies, overridden for the rest of the run."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pyinfra.api import Inventory, State
from pyinfra.api.host import Host, HostData

KEYS = ("override", "host", "group", "all")


def make_host(**levels: dict[str, Any]) -> Host:
    """A host with data on each of these levels."""
    inventory = Inventory(
        ([("@fake/h", levels.get("host", {}))], levels.get("all", {})),
        override_data=levels.get("override"),
        web=(["@fake/h"], levels.get("group", {})),
    )
    State(inventory)
    return inventory.get_host("@fake/h")


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_first_level_that_has_a_key_wins(count: int) -> None:
    host = make_host(**{level: {"key": level} for level in KEYS[-count:]})
    assert host.data.key == host.data.get("key") == host.data.dict()["key"] == KEYS[-count]


def test_a_deploys_defaults_are_the_lowest_level() -> None:
    host = make_host(all={"a": "all"})
    with host.deploy("D", {}, {"a": "default", "b": "default"}):
        assert (host.data.a, host.data.b, "b" in host.data) == ("all", "default", True)
        assert host.data.dict() == {"a": "all", "b": "default"}
    assert "b" not in host.data


def test_values_that_are_none_or_false_count() -> None:
    host = make_host(host={"none": None, "false": False}, all={"none": 1, "false": 1})
    assert (host.data.none, host.data.get("none", 2), host.data.false) == (None, None, False)


def test_a_key_that_nobody_has_is_an_attribute_error_or_the_default() -> None:
    host = make_host()
    with pytest.raises(AttributeError) as caught:
        _ = host.data.missing
    assert str(caught.value) == "Host `@fake/h` has no data `missing`"
    assert (host.data.get("missing"), host.data.get("missing", 7)) == (None, 7)
    assert not hasattr(host.data, "missing")
    assert "missing" not in host.data


def test_setting_overrides_all_levels_for_the_rest_of_the_run() -> None:
    host = make_host(override={"key": "override"})
    host.data.key = "set"
    host.data.new = "too"
    assert (host.data.key, host.data.new, "new" in host.data) == ("set", "too", True)
    assert host.data.dict() == {"key": "set", "new": "too"}
    assert host.data.override_datas == {"key": "set", "new": "too"}
    assert host.inventory.get_override_data() == {"key": "override"}


@pytest.mark.parametrize("value", [["a"], {"a": 1}, {"a"}, bytearray(b"a")])
def test_reading_gives_a_copy(value: Any) -> None:
    host = make_host(host={"key": value})
    before = copy.copy(value)
    host.data.key.clear()
    host.data.get("key").clear()
    assert host.data.key == before


def test_copies_are_shallow() -> None:
    host = make_host(host={"key": [["inner"]]})
    host.data.key[0].append("seen")
    assert host.data.key == [["inner", "seen"]]


def test_what_is_set_is_read_as_a_copy_too() -> None:
    host = make_host()
    host.data.key = ["a"]
    host.data.key.append("lost")
    assert host.data.key == ["a"]


@pytest.mark.parametrize("key", ["revision", "host", "name", "state", "_private", "levels"])
def test_data_may_have_any_name(key: str) -> None:
    host = make_host(host={key: "mine"})
    host.data.other = 1
    assert getattr(host.data, key) == "mine"


def test_data_can_be_copied_and_shown() -> None:
    host = make_host(host={"key": 1})
    copied = copy.copy(host.data)
    assert isinstance(copied, HostData)
    assert (copied.key, str(host.data)) == (1, "{'key': 1}")


def test_data_can_be_made_of_any_levels() -> None:
    data = HostData(make_host(), {"a": 1}, {"a": 2, "b": 2})
    assert (data.a, data.b) == (1, 2)
