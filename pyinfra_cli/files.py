"""The user's Python files: executed, with errors that say where."""

from __future__ import annotations

import ast
import os
import symtable
import sys
from importlib.util import decode_source
from types import ModuleType
from typing import Any

from pyinfra.api.exceptions import PyinfraError

from .exceptions import UnexpectedExternalError, WrappedError


def execute_file(filename: str) -> dict[str, Any]:
    """The names that a Python file has when it has run.

    Raises:
        WrappedError: the file raised an error of pyinfra's
        UnexpectedExternalError: it raised another error, or is no Python
    """
    path = os.path.abspath(filename)
    # Not under its own name alone, which can be that of a module that somebody imports
    module = ModuleType(f"__loaded__.{os.path.splitext(os.path.basename(filename))[0]}")
    module.__file__ = path
    # Dataclasses look up the module of the class that they make
    sys.modules[module.__name__] = module
    try:
        with open(path, "rb") as file:
            source = file.read()
        # The position of an error is shown in this name of the file
        exec(compile(source, filename, "exec"), module.__dict__)
    except PyinfraError as error:
        raise WrappedError(error) from error
    except Exception as error:
        raise UnexpectedExternalError(error, filename) from error
    return module.__dict__


def own_names(filename: str, namespace: dict[str, Any]) -> list[str]:
    """The names that a file gives values to, those that it only imports left out; ``__all__`` decides where present."""
    if "__all__" in namespace:
        return [name for name in namespace["__all__"] if name in namespace]
    with open(filename, "rb") as file:
        source = file.read()
    symbols = symtable.symtable(decode_source(source), filename, "exec").get_symbols()
    assigned = {symbol.get_name() for symbol in symbols if symbol.is_assigned()}
    imported = {symbol.get_name() for symbol in symbols if symbol.is_imported()} - assigned
    # What `from x import *` brings is in no symbol table
    if any(
        isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(ast.parse(source, filename))
    ):
        return [name for name in namespace if name in assigned]
    return [name for name in namespace if name not in imported]
