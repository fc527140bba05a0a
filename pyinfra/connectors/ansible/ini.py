"""Inventories in Ansible's INI format."""

from __future__ import annotations

import ast
import re
import shlex
import warnings
from typing import Any

from pyinfra.api.command import MaskString
from pyinfra.api.exceptions import InventoryError
from pyinfra.api.masking import MASK, is_secret_name

from .hostpattern import expand_hosts
from .model import UNGROUPED, AnsibleInventory, UnsafeText, Variable
from .vault import hidden

_SECTION = re.compile(r"\[(?P<group>[^:\]\s]+)(?::(?P<kind>\w+))?\]\s*(?:#.*)?")
_CHILD = re.compile(r"([^:\]\s]+)\s*(?:#.*)?")
_KINDS = ("children", "hosts", "vars")
_WORD = re.compile(r"[\w-]+")


def parse_value(text: str) -> Any:
    """A value as Ansible types it: a Python literal if it is one, else text."""
    try:
        with warnings.catch_warnings():
            # Backslashes that Python does not know
            warnings.simplefilter("ignore")
            value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return UnsafeText(value.decode("utf-8", "replace")) if isinstance(value, bytes) else value


class _Reader:
    """One file, read line by line into an inventory."""

    def __init__(self, path: str, inventory: AnsibleInventory, is_secret: bool) -> None:
        self.path = path
        self.is_secret = is_secret
        self.inventory = inventory
        self.place = path
        self.group = UNGROUPED
        self.kind = "hosts"
        # Groups that are named before they begin, or never: where, and in which section
        self.unknown: dict[str, tuple[str, str]] = {}

    def wrong(self, message: str) -> InventoryError:
        return InventoryError(f"{self.place}: {message}")

    def shown(self, line: str) -> str:
        """A line as errors may show it: what follows the name of a secret can be one."""
        if self.is_secret:
            return MASK
        for word in _WORD.finditer(line):
            if is_secret_name(word[0]):
                return f"{line[: word.end()]} {MASK}"
        return line

    def variable(self, value: str) -> Variable:
        """What is written behind an equals sign on this line."""
        parsed = parse_value(value)
        return Variable(hidden(parsed) if self.is_secret else parsed, self.place)

    def read(self, text: str) -> None:
        for number, raw in enumerate(text.split("\n"), 1):
            self.place = f"{self.path} line {number}"
            line = raw.strip()
            if not line or line[0] in "#;":
                continue
            section = _SECTION.fullmatch(line)
            if section is not None:
                self._begin(section["group"], section["kind"] or "hosts")
            elif line.startswith("[") and (line.endswith("]") or (self.kind == "hosts" and "]" not in line)):
                raise self.wrong(f"{line} is no section: they are [GROUP], [GROUP:children] and [GROUP:vars]")
            elif self.kind == "hosts":
                self._hosts(line)
            elif self.kind == "children":
                self._child(line)
            else:
                self._variable(line)
        for group, (place, section_name) in self.unknown.items():
            raise InventoryError(
                f"{place}: there is no group `{group}`, which [{section_name}] names: add a section [{group}]"
            )

    def _begin(self, group: str, kind: str) -> None:
        if kind not in _KINDS:
            raise self.wrong(f"sections are [GROUP], [GROUP:children] or [GROUP:vars], got [{group}:{kind}]")
        self.group, self.kind = group, kind
        if kind == "vars":
            if group not in self.inventory.groups:
                self.unknown.setdefault(group, (self.place, f"{group}:vars"))
        else:
            self.inventory.add_group(group)
            self.unknown.pop(group, None)

    def _hosts(self, line: str) -> None:
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise self.wrong(f"cannot split this into words ({error}): {self.shown(line)}") from None
        variables: dict[str, Variable] = {}
        for word in words[1:]:
            key, equals, value = word.partition("=")
            if not equals:
                shown = word if self.shown(line) == line else MASK
                raise self.wrong(f"after a host come variables as key=value, got `{shown}`")
            variables[key] = self.variable(value)
        names, port = expand_hosts(words[0], self.place)
        for name in names:
            self.inventory.add_host(name, self.group, port)
            self.inventory.set_host_variables(name, variables)

    def _child(self, line: str) -> None:
        match = _CHILD.fullmatch(line)
        if match is None:
            raise self.wrong(f"[{self.group}:children] has one group name on each line, got `{self.shown(line)}`")
        if match[1] not in self.inventory.groups:
            self.unknown.setdefault(match[1], (self.place, f"{self.group}:children"))
        self.inventory.add_child(self.group, match[1], self.place)

    def _variable(self, line: str) -> None:
        key, equals, value = line.partition("=")
        if not equals:
            raise self.wrong(f"[{self.group}:vars] has lines of the form key=value, got `{self.shown(line)}`")
        self.inventory.set_group_variables(self.group, {key.strip(): self.variable(value.strip())})


def read_ini(text: str, path: str, inventory: AnsibleInventory) -> None:
    """Add what an INI file says to an inventory.

    Args:
        text: the file's content, a :class:`MaskString` if it was encrypted
        path: its name, for errors

    Raises:
        InventoryError: a line cannot be understood; the message has its number
    """
    _Reader(path, inventory, isinstance(text, MaskString)).read(str.__str__(text))
