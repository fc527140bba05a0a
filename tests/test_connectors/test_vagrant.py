"""@vagrant: the machines that run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyinfra.api import Inventory, InventoryError
from pyinfra.connectors import inventorytools
from pyinfra.connectors.util import CommandOutput, OutputLine
from pyinfra.connectors.vagrant import VagrantInventoryConnector

STATUS = """\
1700000000,web,metadata,provider,virtualbox
1700000000,db,metadata,provider,virtualbox
1700000000,web,provider-name,virtualbox
1700000000,web,state,running
1700000000,web,state-human-short,running
1700000000,web,state-human-long,The VM is running%!(VAGRANT_COMMA) stop it with halt
1700000000,db,state,running
1700000000,old,state,poweroff
1700000000,,ui,info,Current machine states:\\n\\nweb running
"""

WEB = """\
Host web
  HostName 127.0.0.1
  User vagrant
  Port 2222
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking no
  IdentityFile "/home/me/my vms/private_key"
  IdentityFile /home/me/other_key
  LogLevel FATAL
"""

DB = "Host db\n  HostName 192.168.1.2\n  IdentityFile /k\n"

Hosts = list[tuple[str, dict[str, Any], list[str]]]


@pytest.fixture
def commands() -> list[str]:
    """The commands that were run."""
    return []


@pytest.fixture
def hosts(commands: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Hosts]:
    """What the connector yields when Vagrant answers this."""
    monkeypatch.chdir(tmp_path)

    def hosts(name: str | None = None, status: str = STATUS, settings: Any = None, **configs: str) -> Hosts:
        answers = {"vagrant status --machine-readable": status}
        answers |= {f"vagrant ssh-config {vm}": text for vm, text in {"web": WEB, "db": DB, **configs}.items()}

        def run(command: str) -> tuple[int, CommandOutput]:
            commands.append(command)
            text = answers[command]
            failed = text.startswith("!")
            stream = "stderr" if failed else "stdout"
            return int(failed), CommandOutput([OutputLine(stream, line) for line in text.splitlines()])

        monkeypatch.setattr(inventorytools, "run_local_process", run)
        if settings is not None:
            text = settings if isinstance(settings, str) else json.dumps(settings)
            (tmp_path / "@vagrant.json").write_text(text)
        return list(VagrantInventoryConnector.make_names_data(name))

    return hosts


WEB_DATA = {
    "ssh_hostname": "127.0.0.1",
    "ssh_user": "vagrant",
    "ssh_port": 2222,
    "ssh_key": "/home/me/my vms/private_key",
}
DB_DATA = {"ssh_hostname": "192.168.1.2", "ssh_key": "/k"}


def test_all_machines_that_run_are_hosts(hosts: Callable[..., Hosts], commands: list[str]) -> None:
    assert hosts() == [("@vagrant/web", WEB_DATA, ["@vagrant"]), ("@vagrant/db", DB_DATA, ["@vagrant"])]
    assert commands[0] == "vagrant status --machine-readable"
    assert sorted(commands[1:]) == ["vagrant ssh-config db", "vagrant ssh-config web"]


def test_a_name_is_that_machine_alone(hosts: Callable[..., Hosts], commands: list[str]) -> None:
    assert hosts("db") == [("@vagrant/db", DB_DATA, ["@vagrant"])]
    assert commands == ["vagrant status --machine-readable", "vagrant ssh-config db"]


def test_machines_are_reached_by_ssh(hosts: Callable[..., Hosts]) -> None:
    hosts()
    inventory = Inventory((["@vagrant/web"], {}))
    assert [(host.name, host.connector_cls.__name__) for host in inventory] == [("@vagrant/web", "SSHConnector")]


def test_a_file_gives_groups_and_data_which_win_over_vagrants(hosts: Callable[..., Hosts]) -> None:
    settings = {"groups": {"web": ["front", "all_web"], "gone": ["x"]}, "data": {"web": {"ssh_user": "root", "x": 1}}}
    assert hosts(settings=settings) == [
        ("@vagrant/web", {**WEB_DATA, "ssh_user": "root", "x": 1}, ["front", "all_web", "@vagrant"]),
        ("@vagrant/db", DB_DATA, ["@vagrant"]),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "x"}, "No Vagrant machine is called `x`, there are: web, db, old; run pyinfra in the folder of the "),
        ({"name": "old"}, "Vagrant machine old is not running (poweroff): run `vagrant up old`"),
        ({"status": "1,a,state,aborted\n"}, "No Vagrant machine is running (a is aborted): run `vagrant up`"),
        ({"status": ""}, "No Vagrant machine is running (there is none): run `vagrant up`"),
        (
            {"status": "! A Vagrant environment is required"},
            "`vagrant status --machine-readable` ended with exit code 1: run pyinfra in the folder of the Vag",
        ),
        (
            {"web": "! no provider"},
            "`vagrant ssh-config web` ended with exit code 1: see whether `vagrant ssh web` works\n! ",
        ),
        (
            {"db": "Host db\n"},
            "`vagrant ssh-config db` names no HostName: run pyinfra in the folder of the Vagrantfile",
        ),
        ({"db": "HostName a\nPort x\n"}, "`vagrant ssh-config db` gives 'x' as port, no number"),
        ({"db": 'HostName "a\n'}, '`vagrant ssh-config db` gives "a, which is no value: No closing quotation'),
        (
            {"settings": "{"},
            "@vagrant.json is no valid JSON (Expecting property name enclosed in double quotes: line 1",
        ),
        ({"settings": []}, "@vagrant.json has no mapping by machine in `groups`: it should look like "),
        ({"settings": {"data": []}}, "@vagrant.json has no mapping by machine in `data`: it should look like "),
        (
            {"settings": {"groups": {"web": "front"}}},
            "@vagrant.json: `groups` of `web` should be a list of group names, got 'front'",
        ),
        (
            {"settings": {"groups": {"web": ["front", 3]}}},
            "@vagrant.json: `groups` of `web` should be a list of group names, got ['front', 3]",
        ),
        (
            {"settings": {"groups": {"db": [""]}}},
            "@vagrant.json: `groups` of `db` should be a list of group names, got ['']",
        ),
        (
            {"settings": {"data": {"web": [{"ssh_password": "hunter2"}]}}},
            "@vagrant.json: `data` of `web` should be a mapping, got [{'ssh_password': '***'}]",
        ),
        ({"settings": {"data": {"web": 1}}}, "@vagrant.json: `data` of `web` should be a mapping, got 1"),
    ],
)
def test_what_is_wrong_is_an_error_that_says_what_to_do(
    arguments: dict[str, Any], message: str, hosts: Callable[..., Hosts]
) -> None:
    with pytest.raises(InventoryError) as caught:
        hosts(**arguments)
    assert str(caught.value).startswith(message)


def test_without_vagrant_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InventoryError, match="`vagrant` is not installed on this machine, or not in PATH"):
        list(VagrantInventoryConnector.make_names_data())
