"""The names that deploys, connector packages and API users import, and the parameters that they pass."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import pyinfra
import pyinfra.api

# A module, then its names; of classes their methods, properties and attributes. Parameters with a default end in `=`;
# `annotated` attributes exist on objects only
LISTED = Path(__file__).with_name("public_names.txt").read_text(encoding="utf-8")


def entries() -> list[tuple[str, str]]:
    """All listed names with their modules."""
    found = []
    module = ""
    for line in LISTED.splitlines():
        if line.startswith(" "):
            found.append((module, line.strip()))
        else:
            module = line
    return found


def shown_parameters(function: Any) -> list[str]:
    """A function's parameters as the list has them."""
    prefixes = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [
        f"{prefixes.get(parameter.kind, '')}{parameter.name}{'=' if parameter.default is not parameter.empty else ''}"
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name != "self"
    ]


def annotations_of(cls: Any) -> set[str]:
    return {name for base in cls.__mro__ for name in getattr(base, "__annotations__", {})}


@pytest.mark.parametrize(("module", "entry"), entries())
def test_each_public_name_is_there_with_its_parameters(module: str, entry: str) -> None:
    path, _, rest = entry.partition("(")
    annotated = path.endswith(" annotated")
    owner: Any = import_module(module)
    *outer, name = path.removesuffix(" annotated").split(".")
    for part in outer:
        owner = getattr(owner, part)
    if annotated:
        assert name in annotations_of(owner) or hasattr(owner, name) or name in getattr(owner, "__slots__", ())
        return
    value = getattr(owner, name)
    if not rest:
        return
    listed = dict.fromkeys(parameter for parameter in rest.removesuffix(")").split(", ") if parameter)
    shown = {parameter.removesuffix("="): parameter for parameter in shown_parameters(value)}
    names = [parameter.removesuffix("=") for parameter in listed]
    assert [name for name in shown if name in names] == names
    # What may be left out may still be, and whatever else there is may be left out
    assert all(shown[name].endswith("=") for name in names if f"{name}=" in listed)
    assert all(parameter.endswith("=") for name, parameter in shown.items() if name not in names)


@pytest.mark.parametrize("module", [pyinfra, pyinfra.api])
def test_what_a_package_exports_is_what_is_listed(module: Any) -> None:
    assert sorted(module.__all__) == sorted(name for owner, name in entries() if owner == module.__name__)


@pytest.mark.parametrize("module", [pyinfra, pyinfra.api])
def test_a_name_that_is_not_there_is_an_attribute_error(module: Any) -> None:
    with pytest.raises(AttributeError, match=f"module '{module.__name__}' has no attribute 'nothing'"):
        _ = module.nothing


def test_a_decorator_is_the_packages_and_its_module_can_be_imported_from() -> None:
    from pyinfra.api import deploy, operation
    from pyinfra.api.deploy import add_deploy
    from pyinfra.api.deploy import deploy as from_module
    from pyinfra.api.operation import add_op
    from pyinfra.api.operation import operation as from_its_module

    assert deploy is from_module
    assert operation is from_its_module
    assert callable(add_op)
    assert callable(add_deploy)


# Imports, each in a process of its own


def in_process(code: str) -> str:
    """What a program prints on both streams."""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


HEAVY = ("paramiko", "jinja2", "typeguard", "rich", "click", "yaml", "cryptography")


@pytest.mark.parametrize(
    "imported",
    [
        "import pyinfra",
        "import pyinfra.api",
        "from pyinfra import host, state, inventory, config, logger",
        "from pyinfra.api import *",
        "import pyinfra.api.connect, pyinfra.api.operations, pyinfra.api.facts, pyinfra.api.inventory",
        "import pyinfra.connectors.fake, pyinfra.connectors.util",
    ],
)
def test_importing_patches_nothing_prints_nothing_and_loads_nothing_heavy(imported: str) -> None:
    code = (
        f"import sys; {imported}\n"
        "from gevent import monkey\n"
        "assert not monkey.saved, monkey.saved\n"
        f"loaded = [name for name in {HEAVY} if name in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    assert in_process(code) == ""


def test_importing_the_api_alone_loads_none_of_the_engine() -> None:
    code = "import sys, pyinfra.api; print([name for name in sys.modules if name.startswith('pyinfra.')])"
    assert in_process(code).strip() == "['pyinfra.version', 'pyinfra.api']"


API_RUN = """
{first}
import sys
from pyinfra.api import BaseStateCallback, Config, FactBase, Inventory, State, operation
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.facts import get_facts
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.operations import python, server
from pyinfra import host
from gevent import monkey

class Hello(FactBase):
    def command(self): return "echo hello"

@operation()
def greet():
    yield f"echo {{host.get_fact(Hello)}} {{host.name}}"

class Events(BaseStateCallback):
    @staticmethod
    def operation_host_success(state, host, op_hash, retry_count=0): seen.append(host.name)

seen = []
assert bool(monkey.saved) is {patched}
data = {{"fake_delay": 0.01, "fake_delay_jitter": 0, "fake_responses": {{"echo hello": "hello"}}}}
state = State(Inventory(({hosts}, data)), Config(PARALLEL=2))
state.add_callback_handler(Events)
connect_all(state)
metas = add_op(state, greet)
calls = add_op(state, python.call, lambda: greet())
run_ops(state)
facts = get_facts(state, Hello)
disconnect_all(state)
assert all(meta.did_change() for meta in [*metas.values(), *calls.values()])
assert set(facts.values()) == {{"hello"}}, facts
assert len(seen) == 3 * len(metas)
assert bool(monkey.saved) is {patched}
print("done", len(metas))
"""


@pytest.mark.parametrize("hosts", [["@fake/a,b,c"], ["@local"], ["@local", "@fake/a"]])
@pytest.mark.parametrize("patched", [True, False], ids=["patched", "not patched"])
def test_api_mode_works_with_the_standard_library_patched_and_without(patched: bool, hosts: list[str]) -> None:
    first = "from gevent import monkey; monkey.patch_all()" if patched else ""
    code = API_RUN.format(first=first, patched=patched, hosts=hosts)
    expected = 3 if len(hosts) == 1 and "fake" in hosts[0] else len(hosts)
    assert in_process(code) == f"done {expected}\n"
