"""Which files an inventory is made of: what each of them is, and the variables that lie beside it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator

from pyinfra.api.exceptions import InventoryError

from ..inventorytools import parse_json
from ..util import run_local_process
from .documents import Document, parse_document, read_text
from .ini import read_ini
from .model import ALL, AnsibleInventory, Variables
from .tree import is_program_output, read_program_output, read_tree

_TREE_ENDINGS = (".yml", ".yaml", ".json", ".toml")
# Names in a folder of inventories that are none
_NO_INVENTORY = ("~", ".bak", ".cfg", ".md", ".orig", ".pyc", ".pyo", ".retry", ".rpm", ".rst", ".swp", ".txt")
_VARIABLE_FOLDERS = ("group_vars", "host_vars", "vars_plugins")
# Where a file has no ending, a line of YAML: a document begins, a mapping in braces, or a key
_YAML_LINE = re.compile(r"---|%YAML|\{|[^\s\[#;=]+:(\s|$)|\"[^\"]*\":|'[^']*':")
_NO_PROGRAM = (126, 127)


def load_inventory(path: str) -> AnsibleInventory:
    """The inventory in a file, a folder or a program.

    Raises:
        InventoryError: something in it cannot be understood; the message says where
    """
    inventory = AnsibleInventory()
    _read_path(path, inventory)
    inventory.finish()
    return inventory


def _read_path(path: str, inventory: AnsibleInventory) -> None:
    if not os.path.exists(path):
        raise InventoryError(f"No Ansible inventory: {os.path.abspath(path)} does not exist")
    if not os.path.isdir(path):
        _read_file(path, inventory)
        return
    for name in sorted(os.listdir(path)):
        if not name.startswith(".") and name not in _VARIABLE_FOLDERS and not name.endswith(_NO_INVENTORY):
            _read_path(os.path.join(path, name), inventory)


def _read_file(path: str, inventory: AnsibleInventory) -> None:
    if os.access(path, os.X_OK) and _begins_as_program(path):
        _read_program(path, inventory)
        return
    text = read_text(path)
    ending = os.path.splitext(path)[1]
    if ending in _TREE_ENDINGS or (not ending and _looks_like_yaml(text)):
        document = parse_document(text, path)
        if is_program_output(document):
            read_program_output(document, inventory)
        else:
            read_tree(document, inventory)
        return
    try:
        read_ini(text, path, inventory)
    except InventoryError as error:
        if not text.startswith("#!"):
            raise
        raise InventoryError(f"{error}; if it is a program that prints an inventory: chmod +x {path}") from error


def _begins_as_program(path: str) -> bool:
    """Whether a file is a program: some file systems say of every file that it can be run."""
    try:
        with open(path, "rb") as file:
            start = file.read(4)
    except OSError:
        # Reading all of it will say why
        return False
    return start.startswith((b"#!", b"\x7fELF", b"\xcf\xfa\xed\xfe"))


def _looks_like_yaml(text: str) -> bool:
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("#", ";")))
    return _YAML_LINE.match(next(lines, "")) is not None


# Programs


def _read_program(path: str, inventory: AnsibleInventory) -> None:
    read_program_output(_ask_program(path, "--list"), inventory, lambda host: _ask_program(path, "--host", host))


def _ask_program(path: str, *arguments: str) -> Document:
    command = shlex.join([os.path.abspath(path), *arguments])
    code, output = run_local_process(command)
    if code != 0:
        # Of what it prints for us, anything may be secret
        said = output.stderr.strip()
        hint = ": can its interpreter be found?" if code in _NO_PROGRAM else ""
        why = f"ended with exit code {code}{hint}\n{said}".rstrip()
        raise InventoryError(f"`{command}`, which should print an inventory, {why}")
    source = f"What `{command}` prints"
    # About one host there may be nothing to say
    text = output.stdout.strip() or "{}"
    return Document(source, parse_json(text, source, "it should be an inventory as Ansible's scripts print them"))


# Variables beside it


class VariableFiles:
    """The files in ``group_vars/`` and ``host_vars/`` of an inventory's folder, each read once.

    Args:
        path: the inventory, a folder or a file in one
    """

    def __init__(self, path: str) -> None:
        self._folder = path if os.path.isdir(path) else os.path.dirname(path)
        self._read: dict[tuple[str, str], Variables] = {}

    def of_group(self, name: str) -> Variables:
        """The variables of a group."""
        return self._of("group_vars", name)

    def of_host(self, name: str) -> Variables:
        """The variables of a host."""
        # A chroot is named by its path
        return {} if name.startswith("/") else self._of("host_vars", name)

    def _of(self, folder: str, name: str) -> Variables:
        if (folder, name) not in self._read:
            variables: Variables = {}
            for path in _variable_files(os.path.join(self._folder, folder, name)):
                variables.update(_read_variables(path))
            self._read[folder, name] = variables
        return self._read[folder, name]


_VARIABLE_ENDINGS = ("", ".yml", ".yaml", ".json")


def _variable_files(path: str) -> Iterator[str]:
    """The file of that name, or all in the folder of that name; of several endings only the first counts."""
    for ending in _VARIABLE_ENDINGS:
        found = f"{path}{ending}"
        if os.path.isdir(found):
            yield from _files_below(found)
            return
        if os.path.exists(found):
            yield found
            return


def _files_below(folder: str) -> Iterator[str]:
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        ending = os.path.splitext(name)[1]
        if name.startswith(".") or name.endswith("~") or ending not in _VARIABLE_ENDINGS:
            continue
        if os.path.isfile(path):
            yield path
        elif os.path.isdir(path) and not ending:
            yield from _files_below(path)


def _read_variables(path: str) -> Variables:
    document = parse_document(read_text(path), path)
    return document.variables(document.content)


def host_variables(host: str, inventory: AnsibleInventory, files: VariableFiles) -> Variables:
    """All variables of a host; of several that have one name, the one that Ansible would take."""
    groups = [name for name in inventory.groups_of(host) if name != ALL]
    variables: Variables = {}
    for name in (ALL, *groups):
        variables.update(inventory.groups[name].variables)
    for name in (ALL, *groups):
        variables.update(files.of_group(name))
    variables.update(inventory.hosts[host])
    variables.update(files.of_host(host))
    return variables
