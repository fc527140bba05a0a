"""@terraform: the hosts that an output lists."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyinfra.api import Config, Inventory, InventoryError, State
from pyinfra.connectors import inventorytools, ssh
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.terraform import TerraformInventoryConnector
from pyinfra.connectors.util import CommandOutput, OutputLine
from tests.support.sshd import SSHServer, User
from tests.support.sshhosts import run, ssh_data

Hosts = list[tuple[str, dict[str, Any], list[str]]]


@pytest.fixture
def commands() -> list[str]:
    """The commands that were run."""
    return []


@pytest.fixture
def hosts(commands: list[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Hosts]:
    """What the connector yields when ``terraform output`` prints this."""

    def hosts(printed: Any, name: str | None = None, stderr: str = "", code: int = 0) -> Hosts:
        text = printed if isinstance(printed, str) else json.dumps(printed, indent=2)
        lines = [OutputLine("stdout", line) for line in text.splitlines()]
        lines += [OutputLine("stderr", line) for line in stderr.splitlines()]

        def run(command: str) -> tuple[int, CommandOutput]:
            commands.append(command)
            return code, CommandOutput(lines)

        monkeypatch.setattr(inventorytools, "run_local_process", run)
        return list(TerraformInventoryConnector.make_names_data(name))

    return hosts


def output(value: Any) -> dict[str, Any]:
    return {"pyinfra_inventory": {"sensitive": False, "type": "any", "value": value}}


def test_a_list_is_hosts_by_address_or_by_name(hosts: Callable[..., Hosts], commands: list[str]) -> None:
    items = ["10.0.0.1", {"ssh_hostname": "10.0.0.2", "ssh_user": "root"}, {"name": "db", "size": 3}]
    assert hosts(output(items), stderr="Warning: something") == [
        ("@terraform/10.0.0.1", {"ssh_hostname": "10.0.0.1"}, ["@terraform", "all"]),
        ("@terraform/10.0.0.2", {"ssh_hostname": "10.0.0.2", "ssh_user": "root"}, ["@terraform", "all"]),
        ("@terraform/db", {"name": "db", "size": 3}, ["@terraform", "all"]),
    ]
    assert commands == ["terraform output -json"]


def test_a_map_is_groups_of_hosts(hosts: Callable[..., Hosts]) -> None:
    assert hosts(output({"web": ["a", "b"], "db": ["b"], "empty": []})) == [
        ("@terraform/a", {"ssh_hostname": "a"}, ["@terraform", "web"]),
        ("@terraform/b", {"ssh_hostname": "b"}, ["@terraform", "web"]),
        ("@terraform/b", {"ssh_hostname": "b"}, ["@terraform", "db"]),
    ]


def test_hosts_of_several_groups_are_one_host_of_an_inventory_reached_by_ssh(hosts: Callable[..., Hosts]) -> None:
    hosts(output({"web": ["b"], "db": [{"name": "b", "ssh_port": 22}]}))
    (host,) = Inventory((["@terraform"], {}))
    assert (host.name, host.groups, host.connector_cls.__name__) == (
        "@terraform/b",
        ["@terraform", "web", "db"],
        "SSHConnector",
    )
    assert host.data.dict() == {"ssh_hostname": "b", "name": "b", "ssh_port": 22}


def test_a_host_that_has_a_name_alone_is_reached_by_it(
    hosts: Callable[..., Hosts], sshd: SSHServer, ssh_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ssh_data(sshd, ssh_user)
    hosts(output([{"name": data.pop("ssh_hostname"), **data}]))
    inventory = Inventory((["@terraform"], {}))
    (host,) = inventory
    connector = SSHConnector(State(inventory, Config()), host)
    connector.connect()
    assert run(connector, "whoami") == (True, ssh_user.name, "")
    lines: list[str] = []
    monkeypatch.setattr(ssh, "run_local_process", lambda line, **_: (lines.append(line), (0, CommandOutput([])))[1])
    connector.rsync("src", "dest", [])
    assert lines[0].endswith(f"{ssh_user.name}@{sshd.addresses[0]}:dest")
    connector.disconnect()


def test_a_path_of_keys_leads_to_another_output(hosts: Callable[..., Hosts]) -> None:
    printed = {"servers": {"value": {"eu.west": {"web": ["a"]}, "flat": ["b"]}}}
    assert hosts(printed, "servers.value.eu.west")[0][0] == "@terraform/a"
    assert hosts(printed, "servers.value.eu.west.web")[0][2] == ["@terraform", "all"]
    assert hosts(printed, "servers.value.flat")[0][0] == "@terraform/b"


def test_a_warning_says_that_it_is_in_beta(hosts: Callable[..., Hosts], caplog: pytest.LogCaptureFixture) -> None:
    hosts(output(["a"]))
    assert [record.getMessage() for record in caplog.records] == ["The @terraform connector is in beta!"]


@pytest.mark.parametrize(
    ("printed", "name", "message"),
    [
        ({"a": {"b": 1}}, "k", "No Terraform output with key: `k`, valid keys:\n   - a\n   - a.b"),
        ({"a": 1}, None, "No Terraform output with key: `pyinfra_inventory.value`, valid keys:\n   - a"),
        (output("x"), None, "Invalid Terraform output type, should be `list`, got `str`"),
        (output({"web": None}), None, "Invalid Terraform output type, should be `list`, got `NoneType`"),
        (output([None]), None, "Invalid Terraform list item, should be `dict` or `str` got `NoneType`"),
        (output([{"x": 1}]), None, "Invalid Terraform list item, missing `name` or `ssh_hostname` keys"),
    ],
)
def test_outputs_of_another_form_are_errors(
    printed: Any, name: str | None, message: str, hosts: Callable[..., Hosts]
) -> None:
    with pytest.raises(InventoryError) as caught:
        hosts(printed, name)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            {"printed": "", "stderr": "sh: 1: terraform: not found", "code": 127},
            "`terraform` is not installed on this machine, or not in PATH: sh: 1: terraform: not found",
        ),
        (
            {"printed": "", "stderr": "Error: Backend initialization required", "code": 1},
            "`terraform output -json` ended with exit code 1: run pyinfra in the folder of the Terraform "
            "configuration, after `terraform init` and `terraform apply`\nError: Backend initialization required",
        ),
        (
            {"printed": "no json"},
            "What `terraform output -json` prints is no valid JSON (Expecting value: line 1 column 1 (char 0)): run ",
        ),
        (
            {"printed": {}},
            "No Terraform output with key: `pyinfra_inventory.value`, valid keys:\n   - (there are no outputs: run ",
        ),
    ],
)
def test_a_tool_that_is_missing_or_fails_is_an_error_that_says_what_to_do(
    answer: dict[str, Any], message: str, hosts: Callable[..., Hosts]
) -> None:
    with pytest.raises(InventoryError) as caught:
        hosts(**answer)
    assert str(caught.value).startswith(message)


def test_the_program_in_path_is_run_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "terraform"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\n[ "$*" = "output -json" ] && cat outputs.json\n')
    for name in ("sh", "cat"):
        (program.parent / name).symlink_to(f"/bin/{name}")
    program.chmod(0o755)
    (tmp_path / "outputs.json").write_text(json.dumps(output(["a"])))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(program.parent))
    assert [name for name, _, _ in TerraformInventoryConnector.make_names_data()] == ["@terraform/a"]
    program.unlink()
    with pytest.raises(InventoryError, match="`terraform` is not installed on this machine, or not in PATH"):
        list(TerraformInventoryConnector.make_names_data())
