"""INVENTORY: from a file, names, or a Python attribute to hosts, groups and data."""

from __future__ import annotations

import inspect
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from pyinfra.api.connectors import get_all_connectors
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.inventory import Inventory, host_entry
from pyinfra.api.masking import masked
from pyinfra.connectors.sshconfig import load_ssh_config
from pyinfra.connectors.sshconfiglines import SSHConfigError
from pyinfra.context import ctx_inventory

from .commands import import_if_there
from .exceptions import CliError, WrappedError, unexpected_error, user_position
from .files import execute_file
from .group_data import load_group_data

if TYPE_CHECKING:
    from pyinfra.api.host import Host

logger = logging.getLogger("pyinfra")

# Groups are keyword arguments beside these
_PARAMETERS = inspect.signature(Inventory.__init__).parameters.keys() - {"groups"}


@dataclass(frozen=True, slots=True)
class Listing:
    """What INVENTORY lists, before names expand to hosts.

    ``hosts`` are names or ``(name, data)``, ``groups`` such lists by name, ``data_folders`` the places that may hold a
    ``group_data`` folder.
    """

    hosts: list[Any] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, tuple[list[Any], dict[str, Any]]] = field(default_factory=dict)
    data_folders: tuple[str, ...] = ()


def load_inventory(source: str, override_data: Mapping[str, Any], group_data_paths: Sequence[str]) -> Inventory:
    """The inventory that ``source`` stands for; one without hosts, after a warning, if it stands for nothing.

    Args:
        source: INVENTORY of the command line
        override_data: data that wins over all other
        group_data_paths: folders and files of ``--group-data``
    """
    ctx_inventory.set_base(Inventory.empty())
    listing = _list_source(source, override_data)
    file_data = load_group_data(listing.data_folders, group_data_paths)
    data = {**listing.data, **file_data.pop("all", {})}
    groups = {
        name: (hosts, {**group_data, **file_data.pop(name, {})}) for name, (hosts, group_data) in listing.groups.items()
    }
    # Connectors may put hosts into groups that no file lists
    groups.update({name: ([], group_data) for name, group_data in file_data.items()})
    if taken := _PARAMETERS & groups.keys():
        raise CliError(
            f"No group can be called `{min(taken)}`, by its data in group_data or in the inventory: rename it"
        )
    # Errors of connectors say themselves what is wrong, and with which entry
    try:
        # What a connector prints is for people
        with redirect_stdout(sys.stderr):
            inventory = Inventory((listing.hosts, data), override_data=override_data, **groups)
    except PyinfraError as error:
        raise WrappedError(error) from error
    ctx_inventory.set_base(inventory)
    return inventory


def _list_source(source: str, override_data: Mapping[str, Any]) -> Listing:
    if os.path.isfile(source):
        return _list_file(source)
    here = os.getcwd()
    if "," in source or "@" in source or "ssh_hostname" in override_data:
        return Listing(hosts=split_names(source), data_folders=(here,))
    listing = _list_attribute(source)
    if listing is not None:
        return listing
    if _resolves(source):
        return Listing(hosts=[source], data_folders=(here,))
    logger.warning(
        f"No inventory file or host `{source}`: no such file, and no host of that name "
        f"(a name that resolves nowhere needs --data ssh_hostname=ADDRESS)",
    )
    return Listing()


# Files


def _list_file(filename: str) -> Listing:
    groups: dict[str, tuple[list[Any], dict[str, Any]]] = {}
    for name, value in execute_file(filename).items():
        if name.startswith("_"):
            if not name.startswith("__"):
                logger.debug(
                    f'Ignoring variable "{name}" in inventory file since it starts with a leading underscore',
                )
            continue
        group = _as_group(value)
        if group is None:
            if not (inspect.ismodule(value) or callable(value)):
                logger.debug(f'Ignoring variable "{name}" in inventory file since it is no list of hosts')
            continue
        wrong = [item for item in group[0] if host_entry(item) is None]
        if wrong:
            logger.warning(
                f'Ignoring host group "{name}" in inventory file {filename}: '
                f"hosts are names or (name, data) tuples, got {masked(wrong[0])!r}",
            )
            continue
        groups[name] = group
    if not groups:
        logger.warning(
            f"No host groups in inventory file {filename}: a group is a list of names or (name, data) tuples",
        )
        return Listing()

    listed, data = groups.pop("all", (None, {}))
    if listed is None:
        listed = list(dict.fromkeys(_host_name(item) for group, _ in groups.values() for item in group))
    file_group = os.path.splitext(os.path.basename(filename))[0]
    own_hosts, own_data = groups.pop(file_group, ([], {}))
    # Last, so that its data wins over that of the groups in the file
    groups[file_group] = ([*own_hosts, *dict.fromkeys(map(_host_name, listed))], own_data)
    folder = os.path.dirname(os.path.abspath(filename))
    return Listing(list(listed), data, groups, (os.getcwd(), folder))


def _as_group(value: Any) -> tuple[list[Any], dict[str, Any]] | None:
    """A list of hosts, or a ``(list, data)``, as both; ``None`` for anything else."""
    if isinstance(value, list):
        return value, {}
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], list) and isinstance(value[1], Mapping):
        return value[0], dict(value[1])
    return None


def _are_entries(items: Iterable[Any]) -> bool:
    return all(host_entry(item) is not None for item in items)


def _host_name(item: Any) -> str:
    return item if isinstance(item, str) else item[0]


# Python attributes


def _list_attribute(source: str) -> Listing | None:
    """The hosts of ``module:attribute`` or ``package.module.attribute``; ``None`` where there is no such module."""
    separator = ":" if ":" in source else "."
    module_name, _, attribute = source.rpartition(separator)
    if not attribute.isidentifier() or not all(part.isidentifier() for part in module_name.split(".")):
        return None
    module = import_if_there(module_name)
    if module is None:
        return None
    if not hasattr(module, attribute):
        if separator == ".":
            # It may well be the name of a host
            return None
        raise CliError(f"No such attribute in module {module_name}: {attribute}")
    value = getattr(module, attribute)
    if not callable(value):
        return _list_hosts(source, value)
    return _list_groups(source, _call(source, value))


def _call(source: str, function: Callable[..., Any]) -> Any:
    """What an inventory function returns.

    Raises:
        CliError: it cannot be called as such functions are, or is no code of the user's, and failed
    """
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise CliError(f"Invalid inventory function {source}: should take no arguments: {error}") from error
    except ValueError:  # some builtins have no signature
        pass
    try:
        return function()
    except PyinfraError as error:
        raise WrappedError(error) from error
    except Exception as error:
        if user_position(error) is None:
            raise CliError(f"Invalid inventory function {source}: {type(error).__name__}: {error}") from error
        raise unexpected_error(error) from error


def _list_hosts(source: str, value: Any) -> Listing:
    group = _as_group(value)
    if group is None or not _are_entries(group[0]):
        raise CliError(
            f"Invalid inventory {source}: should be a list of names or (name, data) tuples, "
            f"or a function that returns groups, got {masked(value)!r}",
        )
    return Listing(hosts=list(group[0]), data=group[1])


def _list_groups(source: str, made: Any) -> Listing:
    wanted = "should return a dict of groups: {name: hosts} or {name: (hosts, data)}"
    if not isinstance(made, Mapping):
        raise CliError(f"Invalid inventory function {source}: {wanted}, got {type(made).__name__}")
    groups: dict[str, tuple[list[Any], dict[str, Any]]] = {}
    for name, value in made.items():
        group = _as_group(value)
        if group is None or not isinstance(name, str) or not _are_entries(group[0]):
            raise CliError(f"Invalid inventory function {source}: {wanted}, got {name!r}: {masked(value)!r}")
        groups[name] = group
    listed, data = groups.pop("all", (None, {}))
    if listed is None:
        listed = list(dict.fromkeys(_host_name(item) for group, _ in groups.values() for item in group))
    return Listing(list(listed), data, groups)


# Names


def split_names(source: str) -> list[Any]:
    """The entries of a list with commas; what follows ``@connector/name`` belongs to it if that connector says so."""
    names: list[Any] = []
    for name in filter(None, map(str.strip, source.split(","))):
        if names and not name.startswith("@") and _takes_commas(names[-1]):
            names[-1] = f"{names[-1]},{name}"
        else:
            names.append(name)
    return names


def _takes_commas(entry: str) -> bool:
    connector, slash, _ = entry.removeprefix("@").partition("/")
    if not slash or not entry.startswith("@") or connector not in get_all_connectors():
        return False
    return bool(getattr(get_all_connectors()[connector], "takes_commas", False))


def _resolves(name: str) -> bool:
    """Whether DNS, or the user's SSH configuration, knows a host of that name."""
    with suppress(OSError, UnicodeError):
        # What is no name cannot be looked up: in gevent's thread this would be printed with a traceback
        name.encode("idna")
        socket.getaddrinfo(name, None)
        return True
    try:
        return load_ssh_config().names_host(name)
    except (OSError, SSHConfigError) as error:
        logger.warning(f"Cannot look up {name} in the SSH configuration: {error}")
        return False


# Limits


def limit_hosts(inventory: Inventory, limits: Iterable[str], excludes: Iterable[str]) -> list[Host] | None:
    """The hosts to work on, in the inventory's order; ``None`` for all.

    Args:
        inventory: where to choose from
        limits: group names, host names or globs; none of them chooses all hosts
        excludes: likewise, taken out of what ``limits`` chose
    """
    limits, excludes = list(limits), list(excludes)
    if not limits and not excludes:
        return None
    chosen = _matching(inventory, limits, "--limit") if limits else set(inventory)
    chosen -= _matching(inventory, excludes, "--exclude")
    return [host for host in inventory if host in chosen]


def _matching(inventory: Inventory, patterns: Iterable[str], option: str) -> set[Host]:
    found: set[Host] = set()
    for pattern in patterns:
        if pattern in inventory.groups:
            matches = list(inventory.groups[pattern])
        elif pattern in inventory.hosts:
            matches = [inventory.hosts[pattern]]
        else:
            matches = [host for host in inventory if fnmatchcase(host.name, pattern)]
        if not matches:
            logger.warning(f"No host matches found for {option} pattern: {pattern}")
        found.update(matches)
    return found
