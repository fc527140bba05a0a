"""What every connector that is built in makes of names: hosts as the contract has them, or errors that say where."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyinfra.api.connectors import expand_name, get_all_connectors
from pyinfra.api.exceptions import InventoryError
from pyinfra.connectors.base import BaseConnector
from pyinfra_cli.connector_list import kind_of

NAMES = [name for name, cls in get_all_connectors().items() if cls.__module__.startswith("pyinfra.")]
# What an error may name instead
PROGRAMS = {"compose": "docker"}
# None of them a folder: @ansible runs the programs in one
AWKWARD = ["", " ", "x", "a/b/c", "x:y", "a,b", "ünïcødé ☃", "with blank", "-x", "[x"]


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which no program is found but a shell, and an empty home."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def connector_class(name: str) -> type[BaseConnector]:
    return get_all_connectors()[name]


def hosts_or_error(entry: str) -> tuple[list[tuple[str, dict[str, Any], list[str], type[BaseConnector]]], str]:
    """What a name stands for, or what is wrong with it."""
    try:
        return list(expand_name(entry)), ""
    except InventoryError as error:
        return [], str(error)


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_hosts_or_an_error_that_names_the_connector(name: str) -> None:
    own = connector_class(name)
    for entry in [f"@{name}", *(f"@{name}/{rest}" for rest in AWKWARD)]:
        hosts, error = hosts_or_error(entry)
        assert not error or any(word in error.lower() for word in (name, PROGRAMS.get(name, name))), f"{entry}: {error}"
        assert "make_names_data(" not in error, f"{entry} is an error that nobody foresaw: {error}"
        for host, data, groups, reached_by in hosts:
            assert reached_by.handles_execution
            assert groups[:1] == ([] if name == "ssh" else [f"@{name}"]), f"{entry}: {groups}"
            if own.handles_execution:
                assert reached_by is own
                described = {*own.data_meta, *connector_class("ssh").data_meta}
                assert set(data) <= described, f"{entry}: data that no connector describes"
                assert list(expand_name(host)) == [(host, data, groups, own)], f"{entry}: {host} is not itself again"


@pytest.mark.parametrize("name", NAMES)
def test_every_connector_says_what_it_is(name: str) -> None:
    connector_cls = connector_class(name)
    assert (vars(connector_cls)["__doc__"] or "").strip()
    assert all(meta.description for meta in connector_cls.data_meta.values())
    owner = next(cls for cls in connector_cls.__mro__ if "make_names_data" in vars(cls))
    assert isinstance(vars(owner)["make_names_data"], (staticmethod, classmethod))


def test_kinds_are_told_apart_by_what_connectors_do() -> None:
    kinds = {name: kind_of(connector_class(name)) for name in NAMES}
    one_host = ("chroot", "dockerssh", "local", "nspawn", "pipe", "podmanssh", "ssh")
    assert {kinds[name] for name in one_host} == {"execution"}
    assert {kinds[name] for name in ("compose", "docker", "fake", "podman")} == {"both"}


class OverSSH(connector_class("ssh")):  # type: ignore[misc]
    """Names hosts as SSH does, with a group more."""

    @staticmethod
    def make_names_data(name: str) -> Iterator[tuple[str, dict[str, object], list[str]]]:
        for host, data, groups in connector_class("ssh").make_names_data(name):
            yield host, data, [*groups, "over"]


class OverFake(connector_class("fake")):  # type: ignore[misc]
    """Names hosts as another does."""

    @staticmethod
    def make_names_data(name: str) -> Iterator[tuple[str, dict[str, object], list[str]]]:
        yield from connector_class("fake").make_names_data(name)


class Returns(connector_class("local")):  # type: ignore[misc]
    """Returns a list instead of yielding."""

    @staticmethod
    def make_names_data(name: str) -> list[tuple[str, dict[str, object], list[str]]]:  # type: ignore[override]
        return [(name, {}, [])]


@pytest.mark.parametrize(("cls", "kind"), [(OverSSH, "execution"), (OverFake, "both"), (Returns, "execution")])
def test_what_a_base_class_yields_counts(cls: type[BaseConnector], kind: str) -> None:
    assert kind_of(cls) == kind


def yields_on_one_path_or_another(name: str) -> Iterator[Any]:
    if name is None:
        yield "@t/default", {}, []
        return
    yield f"@t/{name}", {}, []


def yields_two_without_a_loop(name: str) -> Iterator[Any]:
    yield "@t/a", {}, []
    yield "@t/b", {}, []


def returns_two(name: str) -> list[Any]:
    return [("@t/a", {}, []), ("@t/b", {}, [])]


@pytest.mark.parametrize(
    ("makes", "kind"),
    [(yields_on_one_path_or_another, "execution"), (yields_two_without_a_loop, "both"), (returns_two, "both")],
)
def test_a_connector_lists_that_yields_several_times_in_a_row(makes: Any, kind: str) -> None:
    made = type("Made", (BaseConnector,), {"handles_execution": True, "make_names_data": staticmethod(makes)})
    assert kind_of(made) == kind
