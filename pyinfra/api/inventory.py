"""The hosts of a run, their groups and their data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .connectors import expand_name, get_execution_connector
from .exceptions import InventoryError, NoGroupError, NoHostError
from .host import Host
from .masking import masked

if TYPE_CHECKING:
    from pyinfra.connectors.base import BaseConnector

    from .state import State


def host_entry(item: Any) -> tuple[str, dict[str, Any]] | None:
    """A name, or a ``(name, data)``, as both; ``None`` for anything else."""
    name, data = item if isinstance(item, (tuple, list)) and len(item) == 2 else (item, {})
    return (name, dict(data)) if isinstance(name, str) and name and isinstance(data, Mapping) else None


def _entry(item: Any) -> tuple[str, dict[str, Any]]:
    entry = host_entry(item)
    if entry is None:
        raise InventoryError(f"An inventory's items are names or (name, data) tuples, got {masked(item)!r}")
    return entry


def _group(value: Any) -> tuple[list[tuple[str, dict[str, Any]]], dict[str, Any]]:
    """A list of hosts, or a ``(hosts, data)``, as both."""
    data: dict[str, Any] = {}
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], Mapping):
        value, data = value[0], dict(value[1])
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise InventoryError(f"A group is a list of hosts or a (hosts, data) tuple, got {masked(value)!r}")
    return [_entry(item) for item in value], data


class Inventory:
    """Hosts, groups and data.

    Args:
        names_data: ``(names, data)``: all hosts (each a name or ``(name, data)``; ``@connector/…`` names expand), and
            the data of the level ``all``
        override_data: data that wins over everything
        groups: ``name=(names, data)`` or ``name=names``; names that are not among all hosts are no hosts
    """

    state: State
    groups: dict[str, list[Host]]

    def __init__(
        self,
        names_data: tuple[Iterable[Any], Mapping[str, Any]] | Iterable[Any],
        override_data: Mapping[str, Any] | None = None,
        **groups: Any,
    ) -> None:
        # Output is padded to this many characters
        self.longest_name = 0
        names, self.data = _group(names_data)
        self.override_data: dict[str, Any] = dict(override_data or {})
        self.hosts: dict[str, Host] = {}
        self.groups = {}
        self.host_data: dict[str, dict[str, Any]] = {}
        self.group_data: dict[str, dict[str, Any]] = {}
        self.make_hosts_and_groups(names, {name: _group(value) for name, value in groups.items()})

    @staticmethod
    def empty() -> Inventory:
        """An inventory of no hosts."""
        return Inventory(([], {}))

    def make_hosts_and_groups(
        self,
        names: Iterable[tuple[str, dict[str, Any]]],
        groups: Mapping[str, tuple[list[tuple[str, dict[str, Any]]], dict[str, Any]]],
    ) -> None:
        """Fill the inventory from ``(name, data)`` entries and from groups of such, each with its own data."""
        connector_data: dict[str, dict[str, Any]] = {}
        connector_groups: dict[str, list[str]] = {}
        connectors: dict[str, type[BaseConnector]] = {}
        # An entry of the inventory, and the hosts that it stands for
        hosts_of: dict[str, list[str]] = {}

        for name, _ in names:
            if name in hosts_of:
                continue
            hosts_of[name] = []
            for host_name, data, group_names, connector_cls in self._expand(name):
                if host_name not in hosts_of[name]:
                    hosts_of[name].append(host_name)
                connectors.setdefault(host_name, connector_cls)
                connector_data.setdefault(host_name, {}).update(data)
                known = connector_groups.setdefault(host_name, [])
                known.extend(group for group in dict.fromkeys(group_names) if group not in known)

        groups_of: dict[str, list[str]] = {host_name: [] for host_name in connectors}
        own_data: dict[str, dict[str, Any]] = {host_name: {} for host_name in connectors}

        def host_names(entry: str) -> list[str]:
            return hosts_of.get(entry, [entry] if entry in connectors else [])

        for group, (entries, data) in groups.items():
            self.group_data[group] = data
            self.groups.setdefault(group, [])
            for entry, entry_data in entries:
                for host_name in host_names(entry):
                    own_data[host_name].update(entry_data)
                    if group not in groups_of[host_name]:
                        groups_of[host_name].append(group)
        for entry, entry_data in names:
            for host_name in host_names(entry):
                own_data[host_name].update(entry_data)

        for host_name, connector_cls in connectors.items():
            own_groups = groups_of[host_name]
            own_groups.extend(group for group in connector_groups[host_name] if group not in own_groups)
            self.host_data[host_name] = {**connector_data[host_name], **own_data[host_name]}
            host = Host(host_name, inventory=self, groups=own_groups, connector_cls=connector_cls)
            self.hosts[host_name] = host
            for group in own_groups:
                self.groups.setdefault(group, []).append(host)

        self.longest_name = max(map(len, self.hosts), default=0)

    @staticmethod
    def _expand(name: str) -> Iterator[tuple[str, dict[str, Any], list[str], type[BaseConnector]]]:
        if name.startswith("@"):
            yield from expand_name(name)
        else:
            yield name, {}, [], get_execution_connector("ssh")

    def __iter__(self) -> Iterator[Host]:
        return iter(self.hosts.values())

    def __len__(self) -> int:
        return len(self.hosts)

    def __contains__(self, name: object) -> bool:
        return name in self.hosts

    def __bool__(self) -> bool:
        return True

    def get_active_hosts(self) -> list[Host]:
        """The hosts that are connected and have not failed; before connecting, all within the limit."""
        if not self.state.activated_hosts:
            return [host for host in self if self.state.is_host_in_limit(host)]
        return [host for host in self if host in self.state.active_hosts]

    def len_active_hosts(self) -> int:
        """How many hosts :meth:`get_active_hosts` gives."""
        return len(self.get_active_hosts())

    def iter_activated_hosts(self) -> Iterator[Host]:
        """The hosts that were connected in this run, those that failed since among them."""
        return (host for host in self if host in self.state.activated_hosts)

    def len_activated_hosts(self) -> int:
        """How many hosts :meth:`iter_activated_hosts` gives."""
        return len(self.state.activated_hosts)

    def get_host(self, name: str, default: Any = NoHostError) -> Host:
        """The host of that name.

        Raises:
            NoHostError: there is none and no default is given
        """
        if name in self.hosts:
            return self.hosts[name]
        if default is NoHostError:
            raise NoHostError(f"No such host: {name}")
        return default  # type: ignore[no-any-return]

    def get_group(self, name: str, default: Any = NoGroupError) -> list[Host]:
        """The hosts of a group.

        Raises:
            NoGroupError: there is none and no default is given
        """
        if name in self.groups:
            return self.groups[name]
        if default is NoGroupError:
            raise NoGroupError(f"No such group: {name}")
        return default  # type: ignore[no-any-return]

    def get_data(self) -> dict[str, Any]:
        """The data of the level ``all``."""
        return self.data

    def get_override_data(self) -> dict[str, Any]:
        """The data that wins over everything."""
        return self.override_data

    def get_host_data(self, hostname: str) -> dict[str, Any]:
        """A host's own data."""
        return self.host_data[hostname]

    def get_group_data(self, group: str) -> dict[str, Any]:
        """A group's data, empty for one that has none."""
        return self.group_data.get(group, {})

    def get_groups_data(self, groups: Iterable[str]) -> dict[str, Any]:
        """The data of several groups; where they disagree, the last has its way."""
        data: dict[str, Any] = {}
        for group in groups:
            data.update(self.get_group_data(group))
        return data
