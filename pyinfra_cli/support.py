"""What ``--support`` shows."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata

from pyinfra.version import __version__

LIBRARIES = ("click", "gevent", "jinja2", "packaging", "paramiko", "rich", "typeguard")


def _version_of(distribution: str) -> str:
    """The installed version, or that there is none."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def support_text() -> str:
    """What a bug report should contain: versions of pyinfra, its libraries, Python and the system."""
    connectors = sorted(
        f"{point.name} ({point.value.partition(':')[0]})" for point in metadata.entry_points(group="pyinfra.connectors")
    )
    rows = [
        ("pyinfra", f"v{__version__}"),
        ("Executable", sys.argv[0]),
        ("Python", f"{platform.python_version()} ({platform.python_implementation()}, {sys.executable})"),
        ("System", f"{platform.system()} {platform.release()} {platform.machine()}"),
        ("Locale", f"{sys.getfilesystemencoding()}, LANG={os.environ.get('LANG', '')}"),
        *((library, _version_of(library)) for library in LIBRARIES),
        ("Connectors", ", ".join(connectors)),
    ]
    lines = [f"    {name}: {value}" for name, value in rows]
    head = "Please put this into your report, with the command you ran and its output under --debug -vvv:"
    return "\n".join([head, "", *lines, ""])
