"""Inventories in YAML, and in JSON and TOML of the same form; what dynamic inventories print."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pyinfra import logger
from pyinfra.api.exceptions import InventoryError

from .documents import Document
from .hostpattern import expand_hosts
from .model import ALL, UNGROUPED, AnsibleInventory

_KEYS = ("vars", "children", "hosts")
# Of a group, in what a program prints
_META = "_meta"


def is_program_output(document: Document) -> bool:
    """Whether this is what a dynamic inventory, or ``ansible-inventory --list``, has printed."""
    return isinstance(document.content, Mapping) and _META in document.content


def read_tree(document: Document, inventory: AnsibleInventory) -> None:
    """Add groups with their ``hosts``, ``vars`` and ``children``.

    Raises:
        InventoryError: the document is no such thing; the message has the line
    """
    content = document.content
    if not isinstance(content, Mapping) or not content:
        raise InventoryError(f"{document.path}: should be a mapping of groups, such as `all:` with `hosts:` below it")
    if "plugin" in content:
        raise InventoryError(
            f"{document.place('plugin')}: this configures Ansible's inventory plugin {content['plugin']}, which only "
            f"Ansible can run: `ansible-inventory -i {document.path} --list > hosts.json`, then @ansible/hosts.json"
        )
    for name, group in content.items():
        _read_group(document, inventory, (name,), group)


def _name(document: Document, keys: tuple[Any, ...]) -> str:
    if not isinstance(keys[-1], str) or not keys[-1]:
        raise InventoryError(f"{document.place(*keys)}: a name should be text, put {keys[-1]!r} in quotation marks")
    return keys[-1]


def _read_group(document: Document, inventory: AnsibleInventory, keys: tuple[Any, ...], group: Any) -> None:
    name = _name(document, keys)
    if group is not None and not isinstance(group, Mapping):
        shown = repr(document.shown(group, name))
        raise InventoryError(f"{document.place(*keys)}: group `{name}` should be a mapping, got {shown}")
    inventory.add_group(name)
    for section, value in (group or {}).items():
        place = document.place(*keys, section)
        if section not in _KEYS:
            logger.warning("%s: `%s` of group `%s` is none of vars, children and hosts: ignored", place, section, name)
        elif section == "vars":
            inventory.set_group_variables(name, document.variables(value, *keys, section))
        elif section == "children":
            for child, below in _members(document, (*keys, section), value, lists=document.path.endswith(".toml")):
                _read_group(document, inventory, (*keys, section, child), below)
                inventory.add_child(name, child, document.place(*keys, section, child))
        else:
            for pattern, variables in _members(document, (*keys, section), value):
                _read_host(document, inventory, (*keys, section, pattern), variables)


def _members(document: Document, keys: tuple[Any, ...], value: Any, lists: bool = False) -> list[tuple[Any, Any]]:
    """The members of ``hosts`` or ``children``; one alone may be written as text, in TOML several as a list."""
    if value is None:
        return []
    if isinstance(value, str):
        return [(value, None)]
    if isinstance(value, list) and lists:
        return [(each, None) for each in value]
    if not isinstance(value, Mapping):
        shown = document.shown(value)
        example = f"write each as a key, `{shown[0]}:`, without a dash" if isinstance(value, list) and value else ""
        raise InventoryError(
            f"{document.place(*keys)}: `{keys[-1]}` of group `{keys[-2]}` should be a mapping by name, got {shown!r}"
            f"{example and ': '}{example}"
        )
    return list(value.items())


def _read_host(document: Document, inventory: AnsibleInventory, keys: tuple[Any, ...], variables: Any) -> None:
    place = document.place(*keys)
    if variables is not None and not isinstance(variables, Mapping):
        shown = repr(document.shown(variables))
        raise InventoryError(f"{place}: host `{keys[-1]}` should have a mapping of variables, got {shown}")
    names, port = expand_hosts(_name(document, keys), place)
    for name in names:
        # After `hosts` comes the host, before it the group
        inventory.add_host(name, keys[-3], port)
        inventory.set_host_variables(name, document.variables(variables, *keys))


def read_program_output(
    document: Document, inventory: AnsibleInventory, ask_host: Callable[[str], Document] | None = None
) -> None:
    """Add what a dynamic inventory prints.

    Args:
        ask_host: gives the variables of a host, for a program that does not print them all at once
    """
    content = document.content
    if not isinstance(content, Mapping):
        raise InventoryError(f"{document.path}: should be a JSON object of groups, got {document.shown(content)!r}")
    hosts: dict[str, None] = {}
    for name, group in content.items():
        if name == _META:
            continue
        if isinstance(group, list):
            group = {"hosts": group}
        if isinstance(group, Mapping) and not group.keys() & set(_KEYS) and name not in (ALL, UNGROUPED):
            # As in the first form that there was: one host, named like its group
            group = {"hosts": [name], "vars": group}
        hosts.update(dict.fromkeys(_read_printed_group(document, inventory, name, group)))
    variables = _printed_variables(document)
    for host in hosts:
        if variables is not None:
            source, found = document, variables.get(host)
            inventory.set_host_variables(host, source.variables(found, _META, "hostvars", host))
        elif ask_host is not None:
            source = ask_host(host)
            inventory.set_host_variables(host, source.variables(source.content))


def _read_printed_group(document: Document, inventory: AnsibleInventory, name: str, group: Any) -> list[str]:
    """Add one group; returns its hosts."""
    if not isinstance(group, Mapping):
        shown = repr(document.shown(group, name))
        raise InventoryError(f"{document.path}: group `{name}` should be an object or a list, got {shown}")
    inventory.add_group(name)

    def names(section: str) -> list[str]:
        found = group.get(section, [])
        if not isinstance(found, list) or not all(isinstance(each, str) and each for each in found):
            where = f"{document.path}: `{section}` of group `{name}`"
            raise InventoryError(f"{where} should be a list of names, got {document.shown(found)!r}")
        return found

    for host in names("hosts"):
        inventory.add_host(host, name)
    inventory.set_group_variables(name, document.variables(group.get("vars"), name, "vars"))
    for child in names("children"):
        inventory.add_child(name, child, document.path)
    return names("hosts")


def _printed_variables(document: Document) -> Mapping[str, Any] | None:
    meta = document.content.get(_META)
    if meta is None:
        return None
    variables = meta.get("hostvars", {}) if isinstance(meta, Mapping) else meta
    if not isinstance(variables, Mapping):
        shown = repr(document.shown(meta))
        raise InventoryError(f"{document.path}: `_meta` should be an object with `hostvars` by host, got {shown}")
    return variables
