"""``@ansible/PATH``: the hosts of an Ansible inventory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from pyinfra import logger
from pyinfra.api.exceptions import InventoryError

from ..base import BaseConnector
from .connection import NoSuchConnection, reach
from .model import ALL
from .sources import VariableFiles, host_variables, load_inventory
from .values import HostVariables

_NAME = "@ansible"


class AnsibleInventoryConnector(BaseConnector):
    """List the hosts of an Ansible inventory: ``@ansible/PATH``.

    ``PATH`` is what ``ansible -i`` takes: a file in Ansible's INI, YAML or TOML format, a program that prints an
    inventory, or a folder of these; also a JSON file that ``ansible-inventory --list`` has printed. Variables come
    from there and from ``group_vars`` and ``host_vars`` beside it, and where several places set one, the one counts
    that does for Ansible. An absolute path gives a double slash: ``@ansible//etc/ansible/hosts``.

    Groups are Ansible's, ``all`` and ``ungrouped`` among them, and ``@ansible``. Data are a host's variables, in them
    templates as text; and what the connection variables amount to: ``ssh_hostname``, ``ssh_user`` …, ``_sudo``, or a
    host of another connector, such as ``@local`` or ``@docker/NAME``, where ``ansible_connection`` says so, or
    ``@openssh/NAME`` where arguments for ``ssh`` name a jump host or a proxy. Variables that are only called like data
    by which the host's connector connects are left out, with a warning, and so are hosts that no connector reaches.

    YAML needs PyYAML (``pip install pyinfra[ansible]``), TOML Python 3.11. For example
    ``pyinfra @ansible/hosts.ini debug-inventory``.
    """

    handles_execution = False

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield the hosts of the inventory."""
        if not name:
            raise InventoryError(
                "@ansible needs a path: @ansible/hosts.ini, or @ansible//etc/ansible/hosts from the root"
            )
        path = os.path.expanduser(name)
        inventory = load_inventory(path)
        if not inventory.hosts:
            raise InventoryError(f"The Ansible inventory {path} has no hosts")
        files = VariableFiles(path)
        warned: set[str] = set()
        left_out: dict[str, list[str]] = {}
        for host in inventory.hosts:
            groups = inventory.groups_of(host)
            variables = host_variables(host, inventory, files)
            about = {
                "inventory_hostname": host,
                "inventory_hostname_short": host.partition(".")[0],
                "inventory_dir": os.path.abspath(path if os.path.isdir(path) else os.path.dirname(path)),
                "group_names": sorted(group for group in groups if group != ALL),
            }
            try:
                host_name, data = reach(HostVariables(host, variables, about, warned))
            except NoSuchConnection as error:
                left_out.setdefault(str(error), []).append(host)
                continue
            yield host_name, data, [_NAME, *groups]
        for why, hosts in left_out.items():
            logger.warning("%s: these hosts are left out: %s", why, ", ".join(hosts))
