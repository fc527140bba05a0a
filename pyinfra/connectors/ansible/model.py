"""Hosts, groups and variables as Ansible puts them together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pyinfra.api.command import MaskString
from pyinfra.api.exceptions import InventoryError
from pyinfra.api.masking import masked

ALL = "all"
UNGROUPED = "ungrouped"
# A variable that is none: among groups of one depth, those with a greater number come later and win
PRIORITY = "ansible_group_priority"


class UnsafeText(str):
    """Text that is never a template, whatever is in it."""

    __slots__ = ()


class UnsafeSecret(UnsafeText, MaskString):
    """Such text out of an encrypted file."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A value, and the place of the inventory that sets it."""

    value: Any
    place: str


Variables = dict[str, Variable]


@dataclass(slots=True)
class Group:
    """A group: what is written about it, dicts standing for sets with an order."""

    name: str
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)
    parents: dict[str, None] = field(default_factory=dict)
    variables: Variables = field(default_factory=dict)
    priority: int = 1


class AnsibleInventory:
    """What one or several files say together; :meth:`finish` when the last one is read."""

    def __init__(self) -> None:
        # Variables of each host that stand beside its name
        self.hosts: dict[str, Variables] = {}
        self.groups: dict[str, Group] = {name: Group(name) for name in (ALL, UNGROUPED)}
        self._depths: dict[str, int] = {}

    # What readers of files say

    def add_group(self, name: str) -> Group:
        """The group of that name, a new one if there was none."""
        return self.groups.setdefault(name, Group(name))

    def add_child(self, parent: str, child: str, place: str) -> None:
        """Put a group into a group, or raise an error if that would be a circle."""
        self.add_group(parent)
        self.add_group(child)
        if parent in self._below(child):
            raise InventoryError(f"{place}: group `{child}` cannot be in group `{parent}`, which is in it or is it")
        self.groups[parent].children[child] = None
        self.groups[child].parents[parent] = None

    def add_host(self, name: str, group: str | None = None, port: Variable | None = None) -> None:
        """Add a host, to a group if one is named; the port behind its name counts only where it is named first."""
        if name not in self.hosts:
            self.hosts[name] = {} if port is None else {"ansible_port": port}
        if group is not None:
            self.add_group(group).hosts[name] = None

    def set_host_variables(self, name: str, variables: Mapping[str, Variable]) -> None:
        """Give a host variables, over those it has."""
        self.hosts[name].update(variables)

    def set_group_variables(self, name: str, variables: Mapping[str, Variable]) -> None:
        """Give a group variables, over those it has."""
        group = self.add_group(name)
        for key, variable in variables.items():
            if key != PRIORITY:
                group.variables[key] = variable
                continue
            try:
                group.priority = int(variable.value)
            except (TypeError, ValueError):
                shown = repr(masked(variable.value))
                raise InventoryError(
                    f"{variable.place}: `{PRIORITY}` of group `{name}` should be a number, got {shown}"
                ) from None

    def finish(self) -> None:
        """Put groups that are in no other into ``all``, and hosts that are in no other into ``ungrouped``."""
        for name, group in self.groups.items():
            if name != ALL and not group.parents:
                self.add_child(ALL, name, ALL)
        grouped = {host for name, group in self.groups.items() if name not in (ALL, UNGROUPED) for host in group.hosts}
        ungrouped = self.groups[UNGROUPED].hosts
        for host in self.hosts:
            if host in grouped:
                ungrouped.pop(host, None)
            else:
                ungrouped[host] = None
        self._depths = {}

    # What comes of it

    def groups_of(self, host: str) -> list[str]:
        """All groups that a host is in, those above its own among them; variables of later ones win."""
        found = {ALL}
        todo = [name for name, group in self.groups.items() if host in group.hosts]
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo.extend(self.groups[name].parents)
        return sorted(found, key=self._rank)

    def _rank(self, name: str) -> tuple[int, int, str]:
        return self._depth(name), self.groups[name].priority, name

    def _depth(self, name: str) -> int:
        """How far below ``all`` a group is, by the longest way."""
        if name not in self._depths:
            parents: Iterable[str] = self.groups[name].parents
            self._depths[name] = max((self._depth(parent) + 1 for parent in parents), default=0)
        return self._depths[name]

    def _below(self, name: str) -> set[str]:
        """A group and all that are in it."""
        found: set[str] = set()
        todo = [name]
        while todo:
            group = todo.pop()
            if group not in found:
                found.add(group)
                todo.extend(self.groups[group].children)
        return found
