"""Data of groups, from files named after them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from pyinfra.api.arguments import all_argument_meta

from .exceptions import CliError
from .files import execute_file, own_names

GroupData = dict[str, dict[str, Any]]


def load_group_data(folders: Iterable[str], given: Iterable[str]) -> GroupData:
    """Data by group, ``all`` among them; where files disagree, the later has its way.

    Args:
        folders: where a ``group_data`` folder may be
        given: folders of such files, or single files, that must exist
    """
    data: GroupData = {}
    seen: set[str] = set()
    for folder in folders:
        group_data = os.path.join(folder, "group_data")
        if os.path.isdir(group_data) and os.path.realpath(group_data) not in seen:
            seen.add(os.path.realpath(group_data))
            _add_folder(data, group_data)
    for path in given:
        if os.path.isdir(path):
            _add_folder(data, path)
        elif os.path.isfile(path):
            _add_file(data, path)
        else:
            raise CliError(f"No group data: {path} is neither a folder nor a file")
    return data


def _add_folder(data: GroupData, folder: str) -> None:
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py") and name != "__init__.py":
            _add_file(data, os.path.join(folder, name))


def _add_file(data: GroupData, filename: str) -> None:
    filename = os.path.normpath(filename)
    namespace = execute_file(filename)
    group = os.path.basename(filename)[: -len(".py")] if filename.endswith(".py") else os.path.basename(filename)
    names = own_names(filename, namespace)
    if "__all__" not in namespace:
        # Global arguments are data too, other names with an underscore are the file's own business
        names = [name for name in names if not name.startswith("_") or name in all_argument_meta]
    data.setdefault(group, {}).update({name: namespace[name] for name in names})
