"""A Python environment of a reader's own: it has what this one has, and what is installed goes into it alone."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path


def make_environment(folder: Path) -> dict[str, str]:
    """Make an environment in ``folder``; returns the variables that commands in it run with.

    ``python``, ``pip``, ``pytest`` and ``pyinfra`` are its own. pip asks nobody over the network.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, capture_output=True)
    scripts = folder / "bin"
    library = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    places = [*site.getsitepackages(), sysconfig.get_path("purelib")]
    lines = [f"import site; site.addsitedir({place!r})" for place in dict.fromkeys(places)]
    (library / "of-the-tests.pth").write_text("\n".join(lines) + "\n")
    for name, module in (("pip", "pip"), ("pytest", "pytest"), ("pyinfra", "pyinfra_cli")):
        script = scripts / name
        script.write_text(f'#!/bin/sh\nexec "{scripts}/python" -m {module} "$@"\n')
        script.chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "PYTHON", "PYINFRA_"))}
    return {
        **kept,
        "PATH": f"{scripts}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(folder),
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PIP_CACHE_DIR": str(folder / "pip-cache"),
        "PYTEST_ADDOPTS": "-p no:cacheprovider",
    }


def can_install() -> bool:
    """Whether packages can be installed in such an environment."""
    return all(find_spec(name) is not None for name in ("pip", "setuptools"))
