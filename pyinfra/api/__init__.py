"""The names that deploys, connector packages and API users import; each is loaded when it is first used."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

# As themselves, so that type checkers take them for names of this package
if TYPE_CHECKING:
    from .command import FileDownloadCommand as FileDownloadCommand
    from .command import FileUploadCommand as FileUploadCommand
    from .command import FunctionCommand as FunctionCommand
    from .command import MaskString as MaskString
    from .command import QuoteString as QuoteString
    from .command import RsyncCommand as RsyncCommand
    from .command import StringCommand as StringCommand
    from .config import Config as Config
    from .deploy import deploy as deploy
    from .exceptions import DeployError as DeployError
    from .exceptions import FactError as FactError
    from .exceptions import FactNotCollected as FactNotCollected
    from .exceptions import FactPreconditionError as FactPreconditionError
    from .exceptions import FactProcessError as FactProcessError
    from .exceptions import FactTypeError as FactTypeError
    from .exceptions import FactValueError as FactValueError
    from .exceptions import InventoryError as InventoryError
    from .exceptions import MissingCommandError as MissingCommandError
    from .exceptions import OperationError as OperationError
    from .exceptions import OperationTypeError as OperationTypeError
    from .exceptions import OperationValueError as OperationValueError
    from .facts import FactBase as FactBase
    from .facts import ShortFactBase as ShortFactBase
    from .hiddenvalue import HiddenValue as HiddenValue
    from .host import Host as Host
    from .inventory import Inventory as Inventory
    from .operation import operation as operation
    from .state import BaseStateCallback as BaseStateCallback
    from .state import State as State

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
