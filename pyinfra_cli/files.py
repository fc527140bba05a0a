"""The user's Python files: executed, with errors that say where."""

from __future__ import annotations

import ast
import os
import symtable
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
    namespace: dict[str, Any] = {"__name__": _module_name(filename), "__file__": path, "__builtins__": __builtins__}
    try:
        with open(path, "rb") as file:
            source = file.read()
        # The position of an error is shown in this name of the file
        exec(compile(source, filename, "exec"), namespace)
    except PyinfraError as error:
        raise WrappedError(error) from error
    except Exception as error:
        raise UnexpectedExternalError(error, filename) from error
    return namespace


def _module_name(filename: str) -> str:
    return os.path.splitext(os.path.basename(filename))[0]


def own_names(filename: str, namespace: dict[str, Any]) -> list[str]:
    """The names that a file gives values to, those that it only imports left out; ``__all__`` decides where present."""
    if "__all__" in namespace:
        return [name for name in namespace["__all__"] if name in namespace]
    with open(filename, "rb") as file:
        source = file.read()
    symbols = symtable.symtable(source.decode(), filename, "exec").get_symbols()
    assigned = {symbol.get_name() for symbol in symbols if symbol.is_assigned()}
    imported = {symbol.get_name() for symbol in symbols if symbol.is_imported()} - assigned
    # What `from x import *` brings is in no symbol table
    if any(
        isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(ast.parse(source, filename))
    ):
        return [name for name in namespace if name in assigned]
    return [name for name in namespace if name not in imported]
