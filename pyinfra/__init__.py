"""pyinfra: Python to shell commands, on many machines at once."""

from __future__ import annotations

from importlib import import_module
from logging import getLogger
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from . import facts, local, operations
    from .api.config import Config
    from .api.host import Host
    from .api.inventory import Inventory
    from .api.state import State

    config: Config
    host: Host
    inventory: Inventory
    state: State

__all__ = [
    "__version__",
    "config",
    "facts",
    "host",
    "inventory",
    "is_cli",
    "local",
    "logger",
    "operations",
    "state",
]

logger = getLogger("pyinfra")

# Set by the command line
is_cli = False

_CONTEXT_NAMES = frozenset({"config", "host", "inventory", "state"})
_MODULE_NAMES = frozenset({"facts", "local", "operations"})


def __getattr__(name: str) -> Any:
    """What deploys import from here, loaded when asked for."""
    if name in _CONTEXT_NAMES:
        value = getattr(import_module("pyinfra.context"), name)
    elif name in _MODULE_NAMES:
        return import_module(f"pyinfra.{name}")
    else:
        raise AttributeError(f"module 'pyinfra' has no attribute {name!r}")
    globals()[name] = value
    return value
