"""The names that deploys, connector packages and API users import; each is loaded when it is first used."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .command import (
        FileDownloadCommand,
        FileUploadCommand,
        FunctionCommand,
        MaskString,
        QuoteString,
        RsyncCommand,
        StringCommand,
    )
    from .config import Config
    from .deploy import deploy
    from .exceptions import (
        DeployError,
        FactError,
        FactNotCollected,
        FactPreconditionError,
        FactProcessError,
        FactTypeError,
        FactValueError,
        InventoryError,
        MissingCommandError,
        OperationError,
        OperationTypeError,
        OperationValueError,
    )
    from .facts import FactBase, ShortFactBase
    from .hiddenvalue import HiddenValue
    from .host import Host
    from .inventory import Inventory
    from .operation import operation
    from .state import BaseStateCallback, State

_HOMES = {
    "command": (
        "FileDownloadCommand",
        "FileUploadCommand",
        "FunctionCommand",
        "MaskString",
        "QuoteString",
        "RsyncCommand",
        "StringCommand",
    ),
    "config": ("Config",),
    "exceptions": (
        "DeployError",
        "FactError",
        "FactNotCollected",
        "FactPreconditionError",
        "FactProcessError",
        "FactTypeError",
        "FactValueError",
        "InventoryError",
        "MissingCommandError",
        "OperationError",
        "OperationTypeError",
        "OperationValueError",
    ),
    "facts": ("FactBase", "ShortFactBase"),
    "hiddenvalue": ("HiddenValue",),
    "host": ("Host",),
    "inventory": ("Inventory",),
    "state": ("BaseStateCallback", "State"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
# These modules hold a decorator of their own name, and the decorator is what the package shows
_NAMESAKES = ("deploy", "operation")

__all__ = [*_HOME_OF, *_NAMESAKES]  # noqa: PLE0604 (filled from the table above)


def __getattr__(name: str) -> Any:
    if name in _NAMESAKES:
        import_module(f".{name}", __name__)
        return globals()[name]
    if name not in _HOME_OF:
        raise AttributeError(f"module 'pyinfra.api' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


class _Package(ModuleType):
    """This package: where the import system would put a namesake module, it puts the module's decorator."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _NAMESAKES and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
