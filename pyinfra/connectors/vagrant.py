"""``@vagrant``: the virtual machines that a Vagrantfile runs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gevent.pool import Pool

from pyinfra.api.exceptions import InventoryError
from pyinfra.api.masking import masked

from .base import BaseConnector
from .inventorytools import ask_tool, parse_json

_NAME = "@vagrant"
SETTINGS_FILE = "@vagrant.json"
# Each call of Vagrant takes a second or more, most of it starting Ruby
_CALLS_AT_ONCE = 4
_COMMA = "%!(VAGRANT_COMMA)"
_ADVICE = "run pyinfra in the folder of the Vagrantfile"
_SETTINGS_ADVICE = 'it should look like {"groups": {"VM": ["web"]}, "data": {"VM": {"key": "value"}}}'

_DATA_KEYS = {"hostname": "ssh_hostname", "port": "ssh_port", "user": "ssh_user", "identityfile": "ssh_key"}


@dataclass(frozen=True, slots=True)
class _Settings:
    """What the folder's ``@vagrant.json`` says of machines: groups and data by name."""

    groups: Mapping[str, list[str]] = field(default_factory=dict)
    data: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def _read_settings() -> _Settings:
    try:
        with open(SETTINGS_FILE, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return _Settings()
    except (OSError, UnicodeError) as error:
        raise InventoryError(f"Cannot read {SETTINGS_FILE}: {error}") from error
    settings = parse_json(text, SETTINGS_FILE, _SETTINGS_ADVICE)

    def section(name: str, is_right: Callable[[Any], bool], described: str) -> dict[str, Any]:
        found = settings.get(name, {}) if isinstance(settings, dict) else None
        if not isinstance(found, dict):
            raise InventoryError(f"{SETTINGS_FILE} has no mapping by machine in `{name}`: {_SETTINGS_ADVICE}")
        for machine, value in found.items():
            if not is_right(value):
                shown = repr(masked(value))
                raise InventoryError(f"{SETTINGS_FILE}: `{name}` of `{machine}` should be {described}, got {shown}")
        return found

    return _Settings(
        section("groups", _is_list_of_names, "a list of group names"),
        section("data", lambda value: isinstance(value, dict), "a mapping"),
    )


def _is_list_of_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and name for name in value)


def _machine_states() -> dict[str, str]:
    """Each machine's state, in the order of the Vagrantfile."""
    states = {}
    for line in ask_tool("vagrant", "status", "--machine-readable", advice=_ADVICE).splitlines():
        # Time stamp, machine, kind of line, and what belongs to the kind
        fields = [part.replace(_COMMA, ",") for part in line.split(",")]
        if len(fields) >= 4 and fields[1] and fields[2] == "state":
            states[fields[1]] = fields[3]
    return states


def _machines_to_use(wanted: str | None) -> list[str]:
    states = _machine_states()
    if wanted is not None and wanted not in states:
        known = ", ".join(states) or "none"
        raise InventoryError(f"No Vagrant machine is called `{wanted}`, there are: {known}; {_ADVICE}")
    running = [machine for machine, state in states.items() if state == "running" and wanted in (None, machine)]
    if running:
        return running
    if wanted is not None:
        raise InventoryError(f"Vagrant machine {wanted} is not running ({states[wanted]}): run `vagrant up {wanted}`")
    known = ", ".join(f"{machine} is {state}" for machine, state in states.items()) or "there is none"
    raise InventoryError(f"No Vagrant machine is running ({known}): run `vagrant up`")


def _unquoted(machine: str, value: str) -> str:
    try:
        return shlex.split(value)[0]
    except ValueError as error:
        raise InventoryError(f"`vagrant ssh-config {machine}` gives {value}, which is no value: {error}") from None


def _connection_data(machine: str) -> dict[str, Any]:
    """How SSH reaches a machine, from the configuration that Vagrant writes for OpenSSH."""
    text = ask_tool("vagrant", "ssh-config", machine, advice=f"see whether `vagrant ssh {machine}` works")
    data: dict[str, Any] = {}
    for line in text.splitlines():
        keyword, _, value = line.strip().partition(" ")
        key = _DATA_KEYS.get(keyword.lower())
        # Of several keys the first, as OpenSSH would try them
        if key is not None and key not in data:
            value = value.strip()
            data[key] = _unquoted(machine, value) if value.startswith('"') else value
    if "ssh_hostname" not in data:
        raise InventoryError(f"`vagrant ssh-config {machine}` names no HostName: {_ADVICE}\n{text}".rstrip())
    if "ssh_port" in data:
        if not data["ssh_port"].isdigit():
            raise InventoryError(f"`vagrant ssh-config {machine}` gives {data['ssh_port']!r} as port, no number")
        data["ssh_port"] = int(data["ssh_port"])
    return data


def _connection_data_or_error(machine: str) -> dict[str, Any] | Exception:
    # An error that leaves a greenlet is printed by gevent as well
    try:
        return _connection_data(machine)
    except Exception as error:
        return error


class VagrantInventoryConnector(BaseConnector):
    """List the machines that run of the Vagrantfile in this folder, to be reached by SSH: ``@vagrant[/MACHINE]``.

    Hosts are called ``@vagrant/MACHINE`` and are in the group ``@vagrant``. A file ``@vagrant.json`` beside the
    Vagrantfile puts them in further groups and gives them data, which wins over Vagrant's:

    .. code:: json

        {"groups": {"MACHINE": ["web"]}, "data": {"MACHINE": {"ssh_user": "root"}}}

    For example ``vagrant up && pyinfra @vagrant deploy.py``.
    """

    handles_execution = False

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield the machines that run, or the one of that name."""
        settings = _read_settings()
        machines = _machines_to_use(name)
        for machine, data in zip(machines, Pool(_CALLS_AT_ONCE).imap(_connection_data_or_error, machines), strict=True):
            if isinstance(data, Exception):
                raise data
            groups = [*settings.groups.get(machine, []), _NAME]
            yield f"{_NAME}/{machine}", {**data, **settings.data.get(machine, {})}, groups
