"""What ``--support`` shows."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata

from packaging.requirements import Requirement

from pyinfra.api.connectors import get_all_connectors
from pyinfra.version import __version__


def _libraries() -> list[str]:
    """The distributions that pyinfra needs, none where it runs without being installed."""
    try:
        needed = [Requirement(text) for text in metadata.requires("pyinfra") or []]
    except metadata.PackageNotFoundError:
        return []
    return [each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]


def _version_of(distribution: str) -> str:
    """The installed version, or that there is none."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"
    except Exception as error:
        return f"cannot be read ({type(error).__name__}: {error})"


def support_text() -> str:
    """What a bug report should contain: versions of pyinfra, its libraries, Python and the system."""
    registry = get_all_connectors()
    connectors = [
        f"{point.name} ({point.value.partition(':')[0]})" for name in registry for point in registry.entry_points[name]
    ]
    rows = [
        ("pyinfra", f"v{__version__}"),
        ("Executable", sys.argv[0]),
        ("Python", f"{platform.python_version()} ({platform.python_implementation()}, {sys.executable})"),
        ("System", f"{platform.system()} {platform.release()} {platform.machine()}"),
        ("Locale", f"{sys.getfilesystemencoding()}, LANG={os.environ.get('LANG', '')}"),
        *((library, _version_of(library)) for library in _libraries()),
        ("Connectors", ", ".join(connectors)),
        *(("Unreadable", f"entry points of {who}: {why}") for who, why in registry.unreadable.items()),
    ]
    lines = [f"    {name}: {value}" for name, value in rows]
    head = "Please put this into your report, with the command you ran and its output under --debug -vvv:"
    return "\n".join([head, "", *lines, ""])
