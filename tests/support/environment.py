"""A Python environment of a reader's own: it has pyinfra, what that needs, and what is installed into it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
# What packages are built and installed with
INSTALLERS = ("pip", "setuptools")
# What packages may ask for beyond pyinfra: found as an index would have it
OFFERED = ("pytest",)


def make_environment(folder: Path) -> dict[str, str]:
    """Make an environment in ``folder``; returns the variables that commands in it run with.

    ``python``, ``pip`` and ``pyinfra`` are its own. pip asks nobody over the network: what it may install is in a
    folder of wheels, made of what is installed here.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, capture_output=True)
    scripts = folder / "bin"
    library = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    for lent in _with_requirements(["pyinfra", *INSTALLERS]):
        _lend(lent, library)
    for name, module in (("pip", "pip"), ("pyinfra", "pyinfra_cli")):
        script = scripts / name
        script.write_text(f'#!/bin/sh\nexec "{scripts}/python" -m {module} "$@"\n')
        script.chmod(0o755)
    wheels = folder / "wheels"
    wheels.mkdir()
    for offered in _with_requirements(OFFERED):
        _write_wheel(offered, wheels)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "PYTHON", "PYINFRA_"))}
    return {
        **kept,
        "PATH": f"{scripts}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(folder),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PIP_CACHE_DIR": str(folder / "pip-cache"),
        "PYTEST_ADDOPTS": "-p no:cacheprovider",
    }


def can_install() -> bool:
    """Whether such an environment can be made."""
    try:
        needed = _with_requirements(["pyinfra", *INSTALLERS, *OFFERED])
    except PackageNotFoundError:
        return False
    # Systems' own packages need not say which files are theirs
    return all(each.files for each in needed)


def _with_requirements(names: Iterable[str]) -> list[Distribution]:
    """Distributions that are installed, and all that they need, without their extras."""
    found: dict[str, Distribution] = {}
    open_names = list(names)
    while open_names:
        name = canonicalize_name(open_names.pop())
        if name in found:
            continue
        found[name] = _installed(name)
        requirements = map(Requirement, found[name].requires or [])
        open_names += [each.name for each in requirements if each.marker is None or each.marker.evaluate({"extra": ""})]
    return list(found.values())


def _installed(name: str) -> Distribution:
    """A distribution as it was installed; a checkout's own metadata tell of its files as they were once."""
    places = [place for place in sys.path if Path(place).resolve() != ROOT]
    for found in Distribution.discover(name=name, path=places):
        return found
    raise PackageNotFoundError(name)


def _own_files(lent: Distribution) -> list[tuple[str, Path]]:
    """The files of a distribution in its library, by their names there; no programs, nothing that Python makes."""
    files = [(str(file), Path(str(file.locate()))) for file in lent.files or []]
    return [(name, path) for name, path in files if ".." not in name and not name.endswith(".pyc") and path.is_file()]


def _lend(lent: Distribution, library: Path) -> None:
    """Have a distribution in another library, too."""
    for name, path in _own_files(lent):
        target = library / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)


def _write_wheel(offered: Distribution, folder: Path) -> None:
    """Make a wheel of a distribution of Python alone."""
    of_the_installation = ("INSTALLER", "REQUESTED", "direct_url.json")
    name = f"{offered.name.replace('-', '_')}-{offered.version}-py3-none-any.whl"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        for inside, path in _own_files(offered):
            if path.name not in of_the_installation:
                wheel.write(path, inside)
