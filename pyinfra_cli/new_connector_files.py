"""The files of the package that ``--new-connector`` writes, by kind.

``NAME`` (after the ``@``), ``MODULE``, ``CLASS``, ``KEY`` (the name in Python names) and ``VARIABLE`` (the name in
environment variables) between percent signs are filled in.
"""

from __future__ import annotations

from .new_connector_tests import TESTS

KINDS = ("inventory", "execution", "both")


def package_files(name: str, module: str, kind: str) -> dict[str, str]:
    """The texts of all files of a package, by path."""
    key = name.replace("-", "_")
    words = {
        "NAME": name,
        "MODULE": module,
        "CLASS": "".join(part.capitalize() for part in key.split("_")),
        "KEY": key,
        "VARIABLE": key.upper(),
    }
    files = {
        "pyproject.toml": _PYPROJECT,
        "README.md": _README[kind] + _README_END,
        f"{module}/__init__.py": '"""A connector for pyinfra: ``@%NAME%``."""\n',
        f"{module}/connector.py": _CONNECTOR[kind],
        "tests/test_connector.py": TESTS[kind],
    }
    for word, value in words.items():
        files = {path: text.replace(f"%{word}%", value) for path, text in files.items()}
    return files


_PYPROJECT = """\
[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"

[project]
name = "pyinfra-%NAME%"
version = "0.1.0"
description = "A connector for pyinfra: @%NAME%"
readme = "README.md"
requires-python = ">=3.10"
# The implementation that has pyinfra.connectors.session and pyinfra.testing: README.md says where it comes from
dependencies = ["pyinfra>=3.11,<4"]

[project.optional-dependencies]
test = ["pytest>=8"]

# What stands after the @, and the class that it is
[project.entry-points."pyinfra.connectors"]
%NAME% = "%MODULE%.connector:%CLASS%Connector"

[tool.setuptools.packages.find]
include = ["%MODULE%*"]
"""

# Inventory: hosts that other connectors reach

_GATHERING = '''\
# make_names_data is static and knows no host: what it has to know comes from outside, as this variable does
FILE_VARIABLE = "%VARIABLE%_FILE"


def is_item(item: Any) -> bool:
    """Whether this is a name with its groups and data, as an element of the list should be."""
    return (
        isinstance(item, dict)
        and isinstance(item.get("name"), str)
        and isinstance(item.get("groups", []), list)
        and isinstance(item.get("data", {}), dict)
    )


def gather() -> list[dict[str, Any]]:
    """All that there is: each has a ``name``, and ``groups`` and ``data`` if it has any.

    This reads the JSON file that the environment variable names. Ask your API, your database or your cloud instead.
    """
    path = os.environ.get(FILE_VARIABLE)
    if not path:
        return EXAMPLE
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InventoryError(f"@%NAME% cannot read {path}, which {FILE_VARIABLE} names: {error}") from error
    if not isinstance(found, list) or not all(map(is_item, found)):
        raise InventoryError(f'@%NAME%: {path} has to be a list like [{{"name": "web-1", "groups": ["web"]}}]')
    return found


def chosen(name: str | None) -> list[dict[str, Any]]:
    """The one of that name, or all of them for ``None``."""
    found = gather()
    if name is None:
        return found
    wanted = [item for item in found if item["name"] == name]
    if not wanted:
        known = ", ".join(item["name"] for item in found) or "nothing"
        raise InventoryError(f"@%NAME% has no {name!r}, it has: {known}")
    return wanted
'''

_INVENTORY = f'''\
"""``@%NAME%``: hosts that are listed elsewhere, and reached by other connectors."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyinfra.api.exceptions import InventoryError
from pyinfra.connectors.base import BaseConnector

# What there is where nothing else is said: this machine
EXAMPLE: list[dict[str, Any]] = [{{"name": "@local", "groups": ["here"], "data": {{"found_by": "%NAME%"}}}}]

{_GATHERING}

class %CLASS%Connector(BaseConnector):
    """List hosts: ``@%NAME%`` for all, ``@%NAME%/HOST`` for one."""

    handles_execution = False

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield a name, data and groups for each host.

        ``name`` is ``None`` for ``@%NAME%``, for ``@%NAME%/HOST`` what follows the first slash. A plain
        name is an SSH host (data: ``ssh_hostname``, ``ssh_user`` …), ``@docker/web`` one of that connector.
        """
        for host in chosen(name):
            yield host["name"], host.get("data", {{}}), ["@%NAME%", *host.get("groups", [])]
'''

# Execution: a way to a shell

_DATA = '''\
class %CLASS%Data(SessionData):
    """The host data that ``@%NAME%`` reads: a value of another type is an error before anything connects."""

    %KEY%_target: str

'''

_DATA_ATTRIBUTES = """\
    data_cls = %CLASS%Data
    data_meta = {
        **SessionConnector.data_meta,
        "%KEY%_target": DataMeta("What to open a shell on; what follows @%NAME%/ by default"),
    }
"""

_SHELL_ARGV = '''\
    def shell_argv(self) -> list[str]:
        """The program that ends in a shell on the target: commands, files, sudo and time-outs all go through it.

        This one is a shell of this machine that knows its target's name. Others are
        ``["docker", "exec", "-i", target, "sh"]`` or ``["chroot", target, "sh"]``.
        """
        target = self.data["%KEY%_target"]
        return ["env", f"%VARIABLE%_TARGET={target}", "sh"]
'''

_EXECUTION = f'''\
"""``@%NAME%``: a way to run commands and copy files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyinfra.api.exceptions import InventoryError
from pyinfra.connectors.base import DataMeta
from pyinfra.connectors.session import SessionConnector, SessionData

# The target of @%NAME% alone
DEFAULT_TARGET = "here"


{_DATA}
class %CLASS%Connector(SessionConnector):
    """Run on a target: ``@%NAME%/TARGET``, or ``@%NAME%`` for the default one."""

{_DATA_ATTRIBUTES}
    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield the one host: ``name`` is what follows the first slash, ``None`` without one."""
        if name is None:
            yield "@%NAME%", {{"%KEY%_target": DEFAULT_TARGET}}, ["@%NAME%"]
            return
        if not name.strip():
            raise InventoryError("@%NAME%/ lacks what comes after the slash: a target, as in @%NAME%/one")
        yield f"@%NAME%/{{name}}", {{"%KEY%_target": name}}, ["@%NAME%"]

{_SHELL_ARGV}'''

# Both: a name that stands for many targets, each of them reached by this connector

_BOTH = f'''\
"""``@%NAME%``: lists targets, and runs commands and copies files on them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyinfra.api.exceptions import InventoryError
from pyinfra.connectors.base import DataMeta
from pyinfra.connectors.session import SessionConnector, SessionData

# What there is where nothing else is said
EXAMPLE: list[dict[str, Any]] = [{{"name": "one", "groups": ["odd"]}}, {{"name": "two"}}]

{_GATHERING}

{_DATA}
class %CLASS%Connector(SessionConnector):
    """Run on targets: ``@%NAME%`` for all, ``@%NAME%/TARGET`` for one."""

{_DATA_ATTRIBUTES}
    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield a name, data and groups for each target.

        ``name`` is ``None`` for ``@%NAME%``, for ``@%NAME%/TARGET`` what follows the first slash.
        """
        for target in chosen(name):
            data = {{"%KEY%_target": target["name"], **target.get("data", {{}})}}
            yield f"@%NAME%/{{target['name']}}", data, ["@%NAME%", *target.get("groups", [])]

{_SHELL_ARGV}'''

_CONNECTOR = {"inventory": _INVENTORY, "execution": _EXECUTION, "both": _BOTH}

# README

_README_NEEDS = """
It needs the implementation of pyinfra, 3.11 or later, that wrote it: `pyinfra.connectors.session` and `pyinfra.testing`
are parts of that. No package index has it, so it is installed first, from its checkout: `pip install path/to/checkout`.
"""

_README_LISTING = """
What it lists is in the JSON file that the environment variable `%VARIABLE%_FILE` names:

```json
[{"name": "web-1", "groups": ["web"], "data": {"port": 80}}]
```

Without it there is an example. `gather()` in `%MODULE%/connector.py` is the place to ask an API, a database or a
cloud instead.
"""

_README = {
    "inventory": f"""\
# pyinfra-%NAME%

A connector for pyinfra that lists hosts.
{_README_NEEDS}
```sh
pip install -e .
pyinfra @%NAME% debug-inventory        # all hosts
pyinfra @%NAME%/@local fact server.Home   # one of them
```
{_README_LISTING}""",
    "execution": f"""\
# pyinfra-%NAME%

A connector for pyinfra that runs commands and copies files.
{_README_NEEDS}
```sh
pip install -e .
pyinfra @%NAME%/one exec -- 'echo "$%VARIABLE%_TARGET"'
```

`shell_argv()` in `%MODULE%/connector.py` says which program ends in a shell on the target; everything else follows from
that.
""",
    "both": f"""\
# pyinfra-%NAME%

A connector for pyinfra that lists targets, runs commands and copies files on them.
{_README_NEEDS}
```sh
pip install -e .
pyinfra @%NAME% exec -- 'echo "$%VARIABLE%_TARGET"'       # on all targets
pyinfra @%NAME%/one exec -- 'echo "$%VARIABLE%_TARGET"'   # on one of them
```
{_README_LISTING}
`shell_argv()` there says which program ends in a shell on a target.
""",
}

_README_END = """
## Tests

```sh
pip install -e '.[test]'
python -m pytest
```

The classes `Test…` hold it to pyinfra's connector contract.

## Publish

Put a licence beside this file and your name into `pyproject.toml`. Then, with `build` and `twine` installed:
`python -m build` and `twine upload dist/*`. Whoever installs it has to have the pyinfra that it needs already.
"""
