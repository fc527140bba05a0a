"""What the connector contract asks of ``make_names_data``, as a pytest class that anyone can point at a connector.

::

    from pyinfra.testing.inventory_contract import InventoryContract

    class TestMyConnector(InventoryContract):
        inventory = "@mine"
        errors = ("@mine/no-such-host",)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pyinfra.api.config import Config
from pyinfra.api.connectors import expand_name, get_all_connectors, split_connector_name
from pyinfra.api.exceptions import InventoryError
from pyinfra.api.inventory import Inventory
from pyinfra.api.state import State

from .rules import Broken, expect, expect_true


class InventoryContract:
    """The names, data and groups that a connector yields; nothing is connected.

    Attributes:
        inventory: an inventory name that stands for at least one host, such as ``@mine``
        data: data of all its hosts
        errors: inventory names that are mistakes
    """

    inventory: ClassVar[str]
    data: ClassVar[Mapping[str, Any]] = {}
    errors: ClassVar[Sequence[str]] = ()

    def test_hosts_are_named(self) -> None:
        """There is a host at least, and what is yielded of it has the form that it should have."""
        expect_true(list(expand_name(self.inventory)), "a host at least", "none")

    def test_hosts_are_the_same_each_time(self) -> None:
        """Asked twice, the connector names the same hosts with the same data and groups in the same order."""
        expect(list(expand_name(self.inventory)), list(expand_name(self.inventory)), "hosts at the second time")

    def test_data_are_what_connectors_expect(self) -> None:
        """The data that are for the connector which reaches a host have the types that it declares."""
        inventory = Inventory(([(self.inventory, dict(self.data))], {}))
        state = State(inventory, Config())
        for host in inventory:
            host.connector_cls(state, host)

    def test_a_host_of_its_own_can_be_named_alone(self) -> None:
        """A name of its own that the connector yields stands for that host, with the same data and groups."""
        connector, _ = split_connector_name(self.inventory)
        for host in expand_name(self.inventory):
            if host[0].startswith("@") and split_connector_name(host[0])[0] == connector:
                expect(list(expand_name(host[0])), [host], f"what {host[0]} stands for")

    def test_mistakes_are_errors_that_say_where(self) -> None:
        """A name that is a mistake is an ``InventoryError`` that names the connector."""
        for name in self.errors:
            connector, _ = split_connector_name(name)
            try:
                found = list(expand_name(name))
            except InventoryError as error:
                words = f"@{connector} in the error about {name}"
                expect_true(f"@{connector}" in str(error), words, str(error))
                unexpected = error.__cause__ is not None and "make_names_data(" in str(error)
                expect_true(not unexpected, f"words for people about {name}", str(error))
            else:
                raise Broken(f"InventoryError for {name}", [host[0] for host in found])

    def test_the_connector_is_described(self) -> None:
        """The class says in its docstring what it is, and of each key of its data what that means."""
        connector_cls = get_all_connectors()[split_connector_name(self.inventory)[0]]
        expect_true((vars(connector_cls).get("__doc__") or "").strip(), "a docstring", connector_cls)
        for key, meta in connector_cls.data_meta.items():
            expect_true(meta.description, f"a description of {key}", meta.description)
