"""Inventories: hosts, groups and data, and what connectors make of names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pyinfra.api import Host, Inventory, InventoryError, MaskString, State
from pyinfra.api.exceptions import NoConnectorError, NoGroupError, NoHostError, PyinfraError
from pyinfra.connectors.base import BaseConnector
from pyinfra.connectors.fake import FakeConnector

HERE = "@tests.test_api.test_inventory"


class Lister(BaseConnector):
    """Names hosts and reaches none: yields what a test put into ``items``."""

    items: Any = []
    asked: list[Any] = []

    @staticmethod
    def make_names_data(name: str) -> Iterator[Any]:
        Lister.asked.append(name)
        yield from Lister.items


class Runner(Lister):
    """Names hosts and reaches them."""

    handles_execution = True

    @staticmethod
    def make_names_data(name: str) -> Iterator[Any]:
        yield from Lister.items


class Broken(BaseConnector):
    """Cannot name any host."""

    error: BaseException = KeyError("x")

    @staticmethod
    def make_names_data(name: str) -> Iterator[Any]:
        yield "first", {}, []
        raise Broken.error


NOT_A_CONNECTOR = "text"


@pytest.fixture(autouse=True)
def nothing_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lister, "items", [])
    monkeypatch.setattr(Lister, "asked", [])


def listed(*items: Any, entry: Any = f"{HERE}:Lister/x", cls: str = "Lister") -> Inventory:
    """An inventory of one entry, for which a connector yields these items."""
    Lister.items = items
    return Inventory(([entry.replace("Lister", cls) if isinstance(entry, str) else entry], {}))


def names(hosts: Any) -> list[str]:
    return [host.name for host in hosts]


# Hosts and groups


def test_hosts_are_walked_in_the_order_of_the_inventory() -> None:
    inventory = Inventory((["b", "a", "c", "b"], {}))
    assert names(inventory) == list(inventory.hosts) == ["b", "a", "c"]
    assert (len(inventory), "a" in inventory, "x" in inventory, bool(Inventory.empty())) == (3, True, False, True)
    assert names(Inventory.empty()) == []


@pytest.mark.parametrize("value", [(["a", "b"], {}), ["a", "b"], ("a", "b"), (("a", "b"), {}), iter(["a", "b"])])
def test_names_come_with_data_or_without(value: Any) -> None:
    assert names(Inventory(value)) == ["a", "b"]


@pytest.mark.parametrize(
    "value",
    ["ab", ("ab", {}), 7, [7], [""], [None], [("a", 7)], [("a",)], [("a", {}, [])], [["a", "b"]], [b"a"], None],
)
def test_anything_else_is_an_error_that_shows_it(value: Any) -> None:
    with pytest.raises(InventoryError, match="got "):
        Inventory(value)
    with pytest.raises(InventoryError, match="got "):
        Inventory((["a"], {}), group=value)


def test_groups_have_hosts_in_order_and_hosts_groups_in_order() -> None:
    inventory = Inventory((["a", "b", "c"], {}), web=(["c", "a"], {}), db=["b", "c"])
    assert {group: names(hosts) for group, hosts in inventory.groups.items()} == {"web": ["a", "c"], "db": ["b", "c"]}
    assert [host.groups for host in inventory] == [["web"], ["db"], ["web", "db"]]
    assert names(inventory.get_group("web")) == ["a", "c"]


def test_names_that_are_only_in_groups_are_no_hosts() -> None:
    inventory = Inventory((["a"], {}), web=["a", "b"], empty=["b"])
    assert names(inventory) == ["a"]
    assert (names(inventory.get_group("web")), inventory.get_group("empty")) == (["a"], [])


def test_all_is_a_level_of_data_and_no_group() -> None:
    inventory = Inventory((["a"], {"x": 1}))
    assert inventory.get_host("a").data.x == 1
    assert inventory.get_host("a").groups == []
    with pytest.raises(NoGroupError):
        inventory.get_group("all")


def test_a_host_or_group_that_is_not_there_is_an_error_or_the_default() -> None:
    inventory = Inventory((["a"], {}))
    with pytest.raises(NoHostError) as caught:
        inventory.get_host("x")
    assert str(caught.value) == "No such host: x"
    with pytest.raises(NoGroupError) as caught_group:
        inventory.get_group("x")
    assert str(caught_group.value) == "No such group: x"
    assert inventory.get_host("x", default=None) is None
    assert inventory.get_group("x", default=[]) == []


def test_a_host_without_a_connector_is_reached_by_ssh() -> None:
    host = Inventory((["a"], {})).get_host("a")
    assert host.connector_cls.__name__ == "SSHConnector"
    assert Host("x", Inventory((["x"], {})), []).connector_cls is host.connector_cls


# Data


def test_each_level_of_data_can_be_asked_for() -> None:
    inventory = Inventory(
        ([("a", {"own": 1}), "b"], {"all": 2}),
        override_data={"over": 3},
        web=(["a"], {"group": 4}),
        db=["b"],
    )
    assert (inventory.data, inventory.get_data()) == ({"all": 2}, {"all": 2})
    assert inventory.get_override_data() == {"over": 3}
    assert inventory.host_data == {"a": {"own": 1}, "b": {}}
    assert (inventory.get_host_data("a"), inventory.get_group_data("web")) == ({"own": 1}, {"group": 4})
    assert (inventory.group_data, inventory.get_group_data("x")) == ({"web": {"group": 4}, "db": {}}, {})
    host = inventory.get_host("a")
    assert (host.host_data, host.group_data) == ({"own": 1}, {"group": 4})
    assert host.data.dict() == {"own": 1, "all": 2, "over": 3, "group": 4}


def test_host_data_of_later_groups_win_and_those_of_all_last() -> None:
    inventory = Inventory(
        ([("a", {"x": "all"}), "b"], {}),
        one=[("a", {"x": 1, "y": 1, "z": 1}), ("b", {"x": 1})],
        two=[("a", {"x": 2, "y": 2}), ("b", {"x": 2})],
    )
    assert inventory.get_host_data("a") == {"x": "all", "y": 2, "z": 1}
    assert inventory.get_host_data("b") == {"x": 2}


def test_data_of_the_last_of_a_hosts_groups_win() -> None:
    inventory = Inventory((["a"], {}), one=(["a"], {"x": 1, "y": 1}), two=(["a"], {"x": 2}))
    assert inventory.get_host("a").data.dict() == {"x": 2, "y": 1}
    assert inventory.get_groups_data(["two", "one"]) == {"x": 1, "y": 1}


# Connectors


def test_a_connector_is_asked_once_for_each_entry() -> None:
    Lister.items = [("a", {}, [])]
    Inventory(([f"{HERE}:Lister/x/y", f"{HERE}:Lister", (f"{HERE}:Lister/x/y", {}), f"{HERE}:Lister/"], {}))
    assert Lister.asked == ["x/y", None, ""]


def test_hosts_groups_and_data_come_from_the_connector() -> None:
    inventory = listed(("a", {"x": 1}, ["web", "db"]), ("b", {"x": 2}, ("db",)), ("c", {}, iter(["web"])))
    assert names(inventory) == ["a", "b", "c"]
    assert [host.groups for host in inventory] == [["web", "db"], ["db"], ["web"]]
    assert names(inventory.get_group("db")) == ["a", "b"]
    assert inventory.get_host("b").data.x == 2


def test_two_yields_of_one_name_merge() -> None:
    inventory = listed(("a", {"x": 1, "y": 1}, ["g1", "g2", "g1"]), ("a", {"x": 2}, ["g2", "g3"]))
    host = inventory.get_host("a")
    assert (len(inventory), host.data.dict(), host.groups) == (1, {"x": 2, "y": 1}, ["g1", "g2", "g3"])
    assert names(inventory.get_group("g2")) == ["a"]


def test_data_of_the_entry_override_what_the_connector_yields() -> None:
    inventory = listed(("a", {"x": 1, "y": 1}, []), ("b", {"x": 2}, []), entry=(f"{HERE}:Lister/x", {"x": "entry"}))
    assert [host.data.dict() for host in inventory] == [{"x": "entry", "y": 1}, {"x": "entry"}]


def test_an_entry_in_a_group_stands_for_all_its_hosts() -> None:
    Lister.items = [("a", {}, ["own"]), ("b", {}, [])]
    entry = f"{HERE}:Lister/x"
    inventory = Inventory(([entry, "c"], {}), web=([(entry, {"x": 1}), "c"], {}), db=["b"])
    assert names(inventory.get_group("web")) == ["a", "b", "c"]
    assert names(inventory.get_group("db")) == ["b"]
    assert inventory.get_host("a").groups == ["web", "own"]
    assert inventory.get_host("b").data.x == 1


def test_groups_that_only_connectors_make_can_have_data() -> None:
    Lister.items = [("a", {}, ["made"])]
    inventory = Inventory(([f"{HERE}:Lister"], {}), made=([], {"x": 1}))
    assert inventory.get_host("a").data.x == 1
    assert names(inventory.get_group("made")) == ["a"]


def test_a_plain_name_of_a_connector_that_only_lists_is_an_ssh_host() -> None:
    inventory = listed(("a", {}, []), (f"{HERE}:Lister/a", {}, []), ("@terraform/x", {}, []), ("@unknown/x", {}, []))
    assert {host.connector_cls.__name__ for host in inventory} == {"SSHConnector"}


def test_a_name_that_a_connector_which_executes_would_have_is_that_connectors() -> None:
    for cls in ("Lister", "Runner"):
        inventory = listed(("@fake/a", {}, []), ("@fake/b,c", {}, []), cls=cls)
        # It is no entry of an inventory, which would be two hosts
        assert names(inventory) == ["@fake/a", "@fake/b,c"]
        assert {host.connector_cls for host in inventory} == {FakeConnector}


def test_every_other_name_of_a_connector_which_executes_is_its_own() -> None:
    inventory = listed(("a", {}, []), (f"{HERE}:Runner/b", {}, []), ("@unknown/x", {}, []), cls="Runner")
    assert {host.connector_cls.__name__ for host in inventory} == {"Runner"}


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ("a", "must be a tuple (name, data, groups)"),
        (("a", {}), "must be a tuple (name, data, groups)"),
        (("a", {}, [], 1), "must be a tuple (name, data, groups)"),
        (["a", {}, []], "must be a tuple (name, data, groups)"),
        (None, "must be a tuple (name, data, groups)"),
        (("", {}, []), "must begin with a host name, a text that is not empty"),
        ((7, {}, []), "must begin with a host name, a text that is not empty"),
        (("a", None, []), "must have a mapping of data in the middle"),
        (("a", [], []), "must have a mapping of data in the middle"),
        (("a", {}, "web"), "must end with a list of group names"),
        (("a", {}, None), "must end with a list of group names"),
        (("a", {}, [["web"]]), "must end with a list of group names, all of them texts that are not empty"),
        (("a", {}, ["web", ""]), "must end with a list of group names, all of them texts that are not empty"),
    ],
)
def test_a_yield_of_another_form_is_an_error_with_connector_position_and_value(item: Any, why: str) -> None:
    with pytest.raises(InventoryError) as caught:
        listed(("first", {}, []), item)
    expected = f"Connector {HERE}:Lister: item 2 of make_names_data {why}, got {item!r}"
    assert str(caught.value) == expected


def test_the_error_about_such_a_yield_shows_no_secrets() -> None:
    data = {"ssh_password": "tr0ub4dor", "api_token": "tr0ub4dor", "keys": [MaskString("tr0ub4dor")], "port": 22}
    with pytest.raises(InventoryError) as caught:
        listed(("h", data, "web"))
    shown = "('h', {'ssh_password': '***', 'api_token': '***', 'keys': ['***'], 'port': 22}, 'web')"
    assert str(caught.value).endswith(f"must end with a list of group names, got {shown}")


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            KeyError("x"),
            InventoryError,
            f"Connector {HERE}:Broken: make_names_data('y') failed: KeyError: 'x'",
        ),
        # What argument parsers and some libraries raise in place of an error
        (SystemExit(3), InventoryError, f"Connector {HERE}:Broken: make_names_data('y') failed: SystemExit: 3"),
        (PyinfraError("no such file"), PyinfraError, "no such file"),
        (InventoryError("wrong type"), InventoryError, "wrong type"),
    ],
)
def test_an_error_of_a_connector_names_it_and_the_method_unless_it_is_pyinfras(
    error: BaseException,
    kind: Any,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Broken, "error", error)
    with pytest.raises(kind) as caught:
        Inventory(([f"{HERE}:Broken/y"], {}))
    assert str(caught.value) == message


class Nameless(BaseConnector):
    """One whose author has forgotten the method."""


class Silent(BaseConnector):
    """One whose method has forgotten to yield."""

    @staticmethod
    def make_names_data(name: str) -> Any:
        pass


@pytest.mark.parametrize(
    ("cls", "why"),
    [
        (
            "Nameless",
            "Nameless has no make_names_data, a static method that yields (name, data, groups) for each host",
        ),
        (
            "Silent",
            "make_names_data('y') gave NoneType, but should be what yields (name, data, groups) for each host",
        ),
    ],
)
def test_a_connector_that_names_nothing_is_an_error_that_says_what_it_lacks(cls: str, why: str) -> None:
    with pytest.raises(InventoryError) as caught:
        Inventory(([f"{HERE}:{cls}/y"], {}))
    assert str(caught.value) == f"Connector {HERE}:{cls}: {why}"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("@nosuch/x", "Invalid connector: nosuch"),
        ("@nowhere.at.all:Connector/x", "Cannot load connector nowhere.at.all:Connector: ModuleNotFoundError: "),
        (f"{HERE}:Nothing/x", f"Cannot load connector {HERE[1:]}:Nothing: AttributeError: "),
        (f"{HERE}:NOT_A_CONNECTOR", f"Cannot load connector {HERE[1:]}:NOT_A_CONNECTOR: it is no connector, but 'te"),
    ],
)
def test_a_connector_that_is_not_there_is_an_error(name: str, message: str) -> None:
    with pytest.raises(NoConnectorError) as caught:
        Inventory(([name], {}))
    assert str(caught.value).startswith(message)


# In a run


def test_before_connecting_all_hosts_are_active() -> None:
    inventory = Inventory((["@fake/a,b"], {}))
    State(inventory)
    assert names(inventory.get_active_hosts()) == ["@fake/a", "@fake/b"]
    assert (inventory.len_active_hosts(), inventory.len_activated_hosts()) == (2, 0)
    inventory.state.activate_host(inventory.get_host("@fake/b"))
    assert names(inventory.get_active_hosts()) == names(inventory.iter_activated_hosts()) == ["@fake/b"]
    assert (inventory.len_active_hosts(), inventory.len_activated_hosts()) == (1, 1)


def test_before_connecting_only_hosts_within_the_limit_are_active() -> None:
    inventory = Inventory((["@fake/a,b"], {}))
    State(inventory, initial_limit=[inventory.get_host("@fake/b")])
    assert names(inventory.get_active_hosts()) == ["@fake/b"]


def test_prefixes_pad_to_the_longest_name() -> None:
    short, long = Inventory((["a", "longest"], {}))
    assert (short.print_prefix, long.print_prefix) == ("[a]       ", "[longest] ")


@pytest.mark.parametrize("item", [("a", {"ssh_password": "hunter2"}, "web"), {"_sudo_password": "hunter2"}])
def test_an_item_that_is_none_is_shown_without_its_secrets(item: Any) -> None:
    with pytest.raises(InventoryError, match=r"items are names or \(name, data\) tuples, got .*\*\*\*") as raised:
        Inventory(([item], {}))
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("hosts", [{"a": {"x": 1, "password": "hush"}}, ({"a": {"x": 1, "password": "hush"}}, {})])
def test_a_mapping_is_no_list_of_hosts(hosts: Any) -> None:
    for make in (lambda: Inventory(hosts), lambda: Inventory((["a"], {}), group=hosts)):
        with pytest.raises(InventoryError, match="A group is a list of hosts") as caught:
            make()
        assert "hush" not in str(caught.value)
