"""The tests of the package that ``--new-connector`` writes, by kind: see new_connector_files.py."""

from __future__ import annotations

_ENTRY_POINT_TEST = """

def test_the_entry_point_leads_to_the_connector() -> None:
    (point,) = entry_points(group="pyinfra.connectors", name="%NAME%")
    assert point.load() is %CLASS%Connector
"""

_EXAMPLE_FIXTURE = """

@pytest.fixture(scope="module", autouse=True)
def _example() -> Iterator[None]:
    \"""Have the example listed, whatever is listed where the tests run.\"""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(FILE_VARIABLE, raising=False)
        yield
"""

_GATHERING_TESTS = """

@pytest.mark.parametrize("text", ["no JSON", "{}", '["web-1"]', '[{"groups": []}]', '[{"name": "a", "groups": "web"}]'])
def test_a_file_of_another_form_is_an_error_that_names_it(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "list.json"
    file.write_text(text)
    monkeypatch.setenv(FILE_VARIABLE, str(file))
    with pytest.raises(InventoryError, match=r"list\\.json"):
        list(%CLASS%Connector.make_names_data())


def test_a_file_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FILE_VARIABLE, "/nowhere/list.json")
    with pytest.raises(InventoryError, match=r"cannot read /nowhere/list\\.json"):
        list(%CLASS%Connector.make_names_data())
"""

_LIST_FILE = """\
    file = tmp_path / "list.json"
    file.write_text('[{"name": "a", "groups": ["web"], "data": {"port": 80}}, {"name": "b"}]')
    monkeypatch.setenv(FILE_VARIABLE, str(file))
"""

_INVENTORY_TESTS = f'''\
"""``@%NAME%``: the hosts that it lists, and that it keeps what the contract asks of an inventory."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from pyinfra.api.exceptions import InventoryError
from pyinfra.testing.inventory_contract import InventoryContract

from %MODULE%.connector import FILE_VARIABLE, %CLASS%Connector


{_EXAMPLE_FIXTURE.lstrip()}{_ENTRY_POINT_TEST}

def test_hosts_have_names_data_and_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
{_LIST_FILE}\
    first = ("a", {{"port": 80}}, ["@%NAME%", "web"])
    assert list(%CLASS%Connector.make_names_data()) == [first, ("b", {{}}, ["@%NAME%"])]
    assert list(%CLASS%Connector.make_names_data("a")) == [first]
    with pytest.raises(InventoryError, match="@%NAME% has no 'c', it has: a, b"):
        list(%CLASS%Connector.make_names_data("c"))
{_GATHERING_TESTS}

class TestContract(InventoryContract):
    inventory = "@%NAME%"
    errors = ("@%NAME%/no-such-host",)
'''

_EXECUTION_TESTS = f'''\
"""``@%NAME%``: the host that a name stands for, and the connector contract."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest
from pyinfra.api.exceptions import InventoryError
from pyinfra.testing.contract import ConnectorContract
from pyinfra.testing.inventory_contract import InventoryContract

from %MODULE%.connector import %CLASS%Connector


{_ENTRY_POINT_TEST.lstrip()}

def test_a_name_is_one_host() -> None:
    (default,) = %CLASS%Connector.make_names_data()
    assert default == ("@%NAME%", {{"%KEY%_target": "here"}}, ["@%NAME%"])
    (named,) = %CLASS%Connector.make_names_data("a/b")
    assert named == ("@%NAME%/a/b", {{"%KEY%_target": "a/b"}}, ["@%NAME%"])


def test_nothing_after_the_slash_is_an_error() -> None:
    with pytest.raises(InventoryError, match="@%NAME%/ lacks"):
        list(%CLASS%Connector.make_names_data(""))


class TestNames(InventoryContract):
    inventory = "@%NAME%"
    errors = ("@%NAME%/",)


class TestContract(ConnectorContract):
    inventory = "@%NAME%/one"
'''

_BOTH_TESTS = f'''\
"""``@%NAME%``: the targets that it lists, and the connector contract."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from pyinfra.api.exceptions import InventoryError
from pyinfra.testing.contract import ConnectorContract
from pyinfra.testing.inventory_contract import InventoryContract

from %MODULE%.connector import FILE_VARIABLE, %CLASS%Connector


{_EXAMPLE_FIXTURE.lstrip()}{_ENTRY_POINT_TEST}

def test_targets_have_names_data_and_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
{_LIST_FILE}\
    first = ("@%NAME%/a", {{"%KEY%_target": "a", "port": 80}}, ["@%NAME%", "web"])
    second = ("@%NAME%/b", {{"%KEY%_target": "b"}}, ["@%NAME%"])
    assert list(%CLASS%Connector.make_names_data()) == [first, second]
    assert list(%CLASS%Connector.make_names_data("a")) == [first]
    with pytest.raises(InventoryError, match="@%NAME% has no 'c', it has: a, b"):
        list(%CLASS%Connector.make_names_data("c"))
{_GATHERING_TESTS}

class TestNames(InventoryContract):
    inventory = "@%NAME%"
    errors = ("@%NAME%/no-such-target",)


class TestContract(ConnectorContract):
    inventory = "@%NAME%/one"
'''

TESTS = {"inventory": _INVENTORY_TESTS, "execution": _EXECUTION_TESTS, "both": _BOTH_TESTS}
