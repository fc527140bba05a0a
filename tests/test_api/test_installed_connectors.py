"""Connectors of packages that are installed, whole, broken or quarrelling, as they are found on the path."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import invalidate_caches
from pathlib import Path

import pytest

from pyinfra.api import Inventory, connectors
from pyinfra.api.connectors import ConnectorRegistry, get_execution_connectors
from pyinfra.api.exceptions import NoConnectorError
from tests.support.distributions import install_distribution

MODULE = """
from pyinfra.connectors.base import BaseConnector

class Lister(BaseConnector):
    @staticmethod
    def make_names_data(name=None):
        yield "@local", {}, {"b", "c", "a"}

class TornLister(BaseConnector):
    @staticmethod
    def make_names_data(name=None):
        yield "@local", {}, []
        yield "@torn/x", {}, []

text = "text"
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Installs distributions into a folder on the path, beside a module of connectors."""
    library = tmp_path / "library"
    library.mkdir()
    (library / "listing_module.py").write_text(MODULE)
    (library / "ending_module.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(str(library))
    made = ConnectorRegistry()
    monkeypatch.setattr(connectors, "_registry", lambda: made)

    def install(name: str, entry_points: str | bytes, version: str = "1.0") -> Path:
        info = install_distribution(library, name, entry_points, version)
        invalidate_caches()
        return info

    return install


def error_of(name: str) -> str:
    with pytest.raises(NoConnectorError) as caught:
        Inventory(([name], {}))
    return str(caught.value)


def test_a_package_brings_a_connector(install: Callable[..., Path]) -> None:
    install("lists-things", "lister = listing_module:Lister")
    (host,) = Inventory((["@lister"], {}))
    # A set has no order of its own
    assert (host.name, host.groups) == ("@local", ["a", "b", "c"])


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("nowhere.at.all:Lister", "ModuleNotFoundError: No module named 'nowhere'"),
        ("listing_module:Nothing", "AttributeError: module 'listing_module' has no attribute 'Nothing'"),
        ("listing_module:text", "listing_module:text is no connector, but 'text'"),
        ("listing_module", "its entry point should be module.path:Class, not 'listing_module'"),
        ("no module: at all!", "its entry point should be module.path:Class, not 'no module: at all!'"),
        ("ending_module:Lister", "SystemExit: 3"),
    ],
)
def test_a_broken_one_costs_nothing_until_it_is_used_and_then_says_whose_it_is_and_why(
    value: str, why: str, install: Callable[..., Path]
) -> None:
    install("torn-package", f"torn = {value}")
    assert [host.name for host in Inventory((["@fake/a"], {}))] == ["@fake/a"]
    assert "torn" not in get_execution_connectors()
    assert error_of("@torn/x") == f"Connector torn of torn-package 1.0 cannot be loaded: {why}"


@pytest.mark.parametrize("entry_points", ["a line that says nothing", b"\xff\xfe = module:Class"])
def test_entry_points_that_cannot_be_read_do_not_hide_those_of_others(
    entry_points: str | bytes, install: Callable[..., Path]
) -> None:
    install("lists-things", "lister = listing_module:Lister")
    info = install("torn-package", entry_points)
    assert [host.name for host in Inventory((["@lister", "@fake/a"], {}))] == ["@local", "@fake/a"]
    message = error_of("@torn")
    where = f"torn-package 1.0 in {info.parent}"
    assert message.startswith(f"Invalid connector: torn; the entry points of {where} cannot be read: ")
    assert list(connectors.get_all_connectors().unreadable) == [where]


@pytest.mark.parametrize("others", ["other = listing_module:Lister", "nothing that can be read"])
def test_metadata_that_cannot_be_read_do_not_matter_until_somebody_has_to_be_told_whose_they_are(
    others: str, install: Callable[..., Path]
) -> None:
    info = install("old-package", "lister = listing_module:Lister\ntorn = nowhere:Torn")
    (info / "METADATA").write_bytes(b"Metadata-Version: 2.1\nName: old-package\nAuthor: \xe9\nVersion: 1.0\n")
    install("other-package", others)
    assert [host.name for host in Inventory((["@lister", "@fake/a"], {}))] == ["@local", "@fake/a"]
    assert error_of("@torn").startswith(f"Connector torn of an unknown distribution ({info}) cannot be loaded: ")


def test_those_without_metadata_are_told_apart(install: Callable[..., Path]) -> None:
    broken = [install(name, "nothing that can be read") for name in ("one-package", "other-package")]
    for info in broken:
        (info / "METADATA").write_bytes(b"\xe9")
    error_of("@torn")
    shown = {f"an unknown distribution ({info}) in {info.parent}" for info in broken}
    assert connectors.get_all_connectors().unreadable.keys() == shown


def test_two_that_claim_one_name_are_an_error_that_names_both(install: Callable[..., Path]) -> None:
    install("one-package", "same = listing_module:Lister")
    install("other-package", "same = elsewhere:Lister", "2.5")
    message = error_of("@same")
    assert "one-package 1.0 (listing_module:Lister)" in message
    assert "other-package 2.5 (elsewhere:Lister)" in message
    assert message.startswith("Connector same is claimed by ")
    assert [host.name for host in Inventory((["@fake/a"], {}))] == ["@fake/a"]


def test_two_that_lead_one_name_to_the_same_class_are_an_error_too(install: Callable[..., Path]) -> None:
    install("one-package", "same = listing_module:Lister")
    install("other-package", "same = listing_module:Lister", "2.5")
    both = "one-package 1.0 (listing_module:Lister) and other-package 2.5 (listing_module:Lister)"
    assert error_of("@same") == f"Connector same is claimed by {both}: uninstall one of them"


@pytest.mark.parametrize("others", ["other = listing_module:Lister", "nothing that can be read"])
def test_one_package_that_is_found_on_the_path_twice_is_one(
    others: str, install: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("lists-things", "lister = listing_module:Lister")
    install("other-package", others)
    install_distribution(tmp_path / "checkout", "Lists.Things", "lister = listing_module:Lister", "1.1")
    monkeypatch.syspath_prepend(str(tmp_path / "checkout"))
    assert [host.name for host in Inventory((["@lister"], {}))] == ["@local"]


def test_a_host_of_a_broken_package_is_an_error_that_names_who_yielded_it(install: Callable[..., Path]) -> None:
    install("lists-things", "lister = listing_module:TornLister")
    install("torn-package", "torn = nowhere:Torn")
    assert error_of("@lister") == (
        "Connector @lister: item 2 of make_names_data names the host @torn/x, and: "
        "Connector torn of torn-package 1.0 cannot be loaded: ModuleNotFoundError: No module named 'nowhere'"
    )


def test_a_package_that_takes_a_built_in_name_is_an_error_too(install: Callable[..., Path]) -> None:
    install("takes-local", "local = listing_module:Lister")
    assert "takes-local 1.0 (listing_module:Lister)" in error_of("@local")
    assert "pyinfra.connectors.local:LocalConnector" in error_of("@local")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("@:Class", "a connector is named @module.path:Class[/name]"),
        ("@listing_module:/x", "a connector is named @module.path:Class[/name]"),
        ("@listing_module:text/x", "it is no connector, but 'text'"),
        ("@nowhere.at.all:Class", "ModuleNotFoundError: No module named 'nowhere'"),
        ("@ending_module:Class", "SystemExit: 3"),
    ],
)
def test_a_class_that_is_none_says_why(name: str, why: str, install: Callable[..., Path]) -> None:
    assert error_of(name) == f"Cannot load connector {name[1:].partition('/')[0]}: {why}"


def test_a_run_loads_the_connectors_that_it_uses_and_no_others(tmp_path: Path) -> None:
    program = """
import sys
from importlib.metadata import entry_points
from pyinfra_cli.main import cli
try:
    cli(["@local", "exec", "--", "true"])
except SystemExit as end:
    assert end.code == 0
modules = {point.value.partition(":")[0] for point in entry_points(group="pyinfra.connectors")}
assert "torn" in modules
print(sorted(modules & sys.modules.keys()))
"""
    install_distribution(tmp_path, "torn-package", "torn = torn:Torn")
    (tmp_path / "torn.py").write_text("raise RuntimeError('loaded')")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "['pyinfra.connectors.local']"
