"""``@sshconfig``: the hosts of ``~/.ssh/config``."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from pyinfra.api.exceptions import InventoryError

from .base import BaseConnector
from .sshconfig import DEFAULT_CONFIG_FILE, load_ssh_config
from .sshconfiglines import SSHConfigError

_NAME = "@sshconfig"


def _names_in_config() -> list[str]:
    try:
        config = load_ssh_config()
        if not config.is_there:
            raise InventoryError(f"There is no {config.path}: {_NAME} lists the hosts of its `Host` lines")
        return config.host_names()
    except (SSHConfigError, OSError) as error:
        raise InventoryError(f"Cannot read the SSH configuration {DEFAULT_CONFIG_FILE}: {error}") from error


class SSHConfigInventoryConnector(BaseConnector):
    """List the hosts of ``~/.ssh/config`` and what it includes: ``@sshconfig[/PATTERN]``.

    These are the names on ``Host`` lines, without those that have wildcards. ``PATTERN`` is a glob that names must
    match: ``@sshconfig/web-*``. Each is an SSH host of that name, in the group ``@sshconfig``; what the file says of
    it (``HostName``, ``User``, ``ProxyJump`` …) is looked up when it is connected to.

    For example ``pyinfra "@sshconfig/web-*" exec -- uptime``.
    """

    handles_execution = False

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield the hosts, or those that match the pattern."""
        names = _names_in_config()
        pattern = "*" if name is None else name
        matching = [host for host in names if fnmatchcase(host.lower(), pattern.lower())]
        if not matching:
            known = ", ".join(names) or "none"
            raise InventoryError(
                f"No host in {DEFAULT_CONFIG_FILE} matches `{pattern}`; its `Host` lines name: {known}"
            )
        for host in matching:
            yield host, {}, [_NAME]
