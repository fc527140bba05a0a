"""Connectors by name: built in, of other packages, or named by their class."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from pyinfra.api import connectors
from pyinfra.api.connectors import (
    ConnectorRegistry,
    get_all_connectors,
    get_execution_connector,
    get_execution_connectors,
    split_connector_name,
)
from pyinfra.api.exceptions import NoConnectorError
from pyinfra.connectors.fake import FakeConnector

FAKE = "pyinfra.connectors.fake:FakeConnector"
LISTER = "tests.test_api.test_inventory:Lister"


class Distribution:
    """What a package index would say of a package."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.metadata = {"Name": name}
        self.version = "1.2"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> ConnectorRegistry:
    """A registry of these entry points instead of those that are installed."""
    points = [
        ("fake", FAKE, "pyinfra"),
        ("fake", FAKE, "PyInfra"),
        ("lister", LISTER, "lists"),
        ("twice", LISTER, "lists"),
        ("twice", LISTER, "both"),
        ("torn", "a:B", "one"),
        ("torn", "c:D", "two"),
        ("gone", "nowhere.at.all:Connector", "old"),
    ]

    def entry_points(group: str) -> list[EntryPoint]:
        assert group == "pyinfra.connectors"
        reads.append(group)
        found = []
        for name, value, distribution in points:
            point = EntryPoint(name, value, group)
            vars(point)["dist"] = Distribution(distribution)
            found.append(point)
        return found

    reads: list[str] = []
    monkeypatch.setattr(connectors, "entry_points", entry_points)
    made = ConnectorRegistry()
    monkeypatch.setattr(connectors, "_registry", lambda: made)
    made.reads = reads  # type: ignore[attr-defined]
    return made


def test_entry_points_are_read_once_and_classes_loaded_when_asked_for(registry: Any) -> None:
    assert list(registry) == ["fake", "gone", "lister", "torn", "twice"]
    assert registry["fake"] is registry["fake"] is FakeConnector
    assert (len(registry), "fake" in registry, "nosuch" in registry) == (5, True, False)
    assert len(registry.reads) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nosuch", "Invalid connector: nosuch"),
        ("torn", "Connector torn is claimed by one 1.2 (a:B) and two 1.2 (c:D): uninstall one of them"),
        ("twice", f"Connector twice is claimed by both 1.2 ({LISTER}) and lists 1.2 ({LISTER}): uninstall one of them"),
        ("gone", "Connector gone of old 1.2 cannot be loaded: ModuleNotFoundError: No module named 'nowhere'"),
    ],
)
def test_a_connector_that_cannot_be_had_says_why(registry: ConnectorRegistry, name: str, message: str) -> None:
    with pytest.raises(NoConnectorError) as caught:
        registry[name]
    assert str(caught.value) == message
    with pytest.raises(NoConnectorError):
        get_execution_connector(name)


def test_an_unknown_name_gives_the_default(registry: ConnectorRegistry) -> None:
    assert (registry.get("nosuch"), registry.get("nosuch", 7), registry.get("fake")) == (None, 7, FakeConnector)


def test_those_that_execute_are_told_apart(registry: ConnectorRegistry) -> None:
    assert get_execution_connectors() == {"fake": FakeConnector}
    assert get_execution_connector("fake") is FakeConnector
    with pytest.raises(NoConnectorError, match="Connector lister lists hosts but cannot run commands on them"):
        get_execution_connector("lister")


def test_a_connector_can_be_named_by_its_class(registry: ConnectorRegistry) -> None:
    assert FAKE in registry
    assert registry[FAKE] is FakeConnector
    assert get_execution_connector(FAKE) is FakeConnector


def test_the_built_in_connectors_are_registered() -> None:
    assert {"fake", "local", "pipe", "ssh"} <= set(get_all_connectors())
    assert get_all_connectors()["fake"] is FakeConnector


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("@conn", ("conn", None)),
        ("@conn/", ("conn", "")),
        ("@conn/a/b", ("conn", "a/b")),
        ("@pack.mod:Class/x", ("pack.mod:Class", "x")),
    ],
)
def test_a_name_is_all_after_the_first_slash(name: str, parts: tuple[str, str | None]) -> None:
    assert split_connector_name(name) == parts
