"""``@terraform``: the hosts that a Terraform output lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pyinfra import logger
from pyinfra.api.exceptions import InventoryError

from .base import BaseConnector
from .inventorytools import ask_tool, parse_json

_NAME = "@terraform"
DEFAULT_OUTPUT = "pyinfra_inventory.value"
# Hosts of a bare list are in this group, those of a map in the group that it says
DEFAULT_GROUP = "all"
_ADVICE = "run pyinfra in the folder of the Terraform configuration, after `terraform init` and `terraform apply`"


def _outputs(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Everything in the outputs that has a key, by the path of keys that leads there."""
    if not isinstance(value, Mapping):
        return
    for key, below in value.items():
        full_path = f"{path}.{key}" if path else str(key)
        yield full_path, below
        yield from _outputs(below, full_path)


def _find_output(name: str, outputs: Any) -> Any:
    found = dict(_outputs(outputs))
    if name in found:
        return found[name]
    keys = list(found) or [f"(there are no outputs: {_ADVICE})"]
    raise InventoryError("\n   - ".join([f"No Terraform output with key: `{name}`, valid keys:", *keys]))


def _checked_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InventoryError(f"Invalid Terraform output type, should be `list`, got `{type(value).__name__}`")
    return value


def _host(item: Any) -> tuple[str, dict[str, Any]]:
    """Name and data of one item of the list."""
    if isinstance(item, str):
        return item, {"ssh_hostname": item}
    if not isinstance(item, dict):
        raise InventoryError(
            f"Invalid Terraform list item, should be `dict` or `str` got `{type(item).__name__}`",
        )
    name = item.get("name") or item.get("ssh_hostname")
    if not name:
        raise InventoryError("Invalid Terraform list item, missing `name` or `ssh_hostname` keys")
    return str(name), item


class TerraformInventoryConnector(BaseConnector):
    """List the hosts in an output of Terraform, which are reached by SSH: ``@terraform[/OUTPUT]``.

    ``OUTPUT`` is a path of keys in what ``terraform output -json`` prints, ``pyinfra_inventory.value`` without. There
    is a list of hosts, or a map of groups, each a list of hosts. A host is an address, or an object with ``name`` or
    ``ssh_hostname``, either of which stands for the other, and any further host data. Hosts are called
    ``@terraform/NAME`` and are in the group ``@terraform`` and in theirs, or in ``all`` where there are no groups.

    .. code:: terraform

        output "pyinfra_inventory" {
          value = {
            web = [for server in hcloud_server.web : { name = server.name, ssh_hostname = server.ipv4_address }]
          }
        }

    Then ``pyinfra @terraform deploy.py``.
    """

    handles_execution = False

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield the hosts of the output."""
        logger.warning("The @terraform connector is in beta!")
        text = ask_tool("terraform", "output", "-json", advice=_ADVICE)
        outputs = parse_json(text, "What `terraform output -json` prints", _ADVICE)
        output = _find_output(DEFAULT_OUTPUT if name is None else name, outputs)
        groups = output if isinstance(output, dict) else {DEFAULT_GROUP: output}
        for group, items in groups.items():
            for item in _checked_list(items):
                host_name, data = _host(item)
                yield f"{_NAME}/{host_name}", data, [_NAME, group]
