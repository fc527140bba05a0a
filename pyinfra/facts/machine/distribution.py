"""Which Linux a machine runs, by its release files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from itertools import zip_longest

from typing_extensions import TypedDict, override

from pyinfra.api import FactBase, ShortFactBase


class LinuxDistributionDict(TypedDict):
    """``name`` for people, version numbers where there are any, and the os-release file as it is."""

    name: str | None
    major: int | None
    minor: int | None
    release_meta: dict


# Where the short names that deploys compare with differ from what the system calls itself
_NAMES_BY_ID = {
    "alpine": "Alpine",
    "centos": "CentOS",
    "debian": "Debian",
    "fedora": "Fedora",
    "gentoo": "Gentoo",
    "opensuse": "openSUSE",
    "opensuse-leap": "openSUSE",
    "opensuse-tumbleweed": "openSUSE",
    "rhel": "RedHat",
    "ubuntu": "Ubuntu",
}

# Written before the file of this name: a path of its own line
_RELEASE_PATH = re.compile(r"/etc/\S+-release$")
# "CentOS release 6.9 (Final)", "Red Hat Enterprise Linux Server release 6.10 (Santiago)"
_RELEASE_LINE = re.compile(r"(?P<name>\S.*?)(?: Linux)?(?: Stream)? release \(?(?P<version>\d+(?:\.\d+)*)?")
_VERSION = re.compile(r"(\d+)(?:\.(\d+))?")


def parse_assignments(lines: Iterable[str]) -> dict[str, str]:
    """``KEY=value`` lines as a dict, values without their quotes; other lines are passed over."""
    values = {}
    for line in lines:
        key, equals, text = line.strip().partition("=")
        if not equals or key.startswith("#"):
            continue
        try:
            values[key] = "".join(shlex.split(text)) if text[:1] in ("'", '"') else text
        except ValueError:  # a quote without its end
            values[key] = text.strip("'\"")
    return values


def split_release_files(lines: Iterable[str]) -> dict[str, list[str]]:
    """The lines of each release file by its path."""
    files: dict[str, list[str]] = {}
    path = None
    lines = list(lines)
    for line, following in zip_longest(lines, lines[1:]):
        if path is None:
            if _RELEASE_PATH.match(line):
                path = line
                files[path] = []
        elif line.endswith("---") and (following is None or _RELEASE_PATH.match(following)):
            # A file without a newline at its end has its last line before the dashes
            rest = line.removesuffix("---")
            files[path] += [rest] if rest else []
            path = None
        else:
            files[path].append(line)
    return files


def _get_release_meta(lines: Iterable[str]) -> dict[str, str]:
    """The os-release file, with the version's code name under ``CODENAME`` wherever it stands."""
    meta = parse_assignments(lines)
    in_version = re.search(r"\((.+)\)", meta.get("VERSION", ""))
    for key in ("VERSION_CODENAME", "UBUNTU_CODENAME"):
        if key in meta:
            meta["CODENAME"] = meta[key]
            return meta
    if in_version:
        meta["CODENAME"] = in_version.group(1)
    return meta


def parse_distribution(lines: Iterable[str]) -> LinuxDistributionDict:
    """The distribution by the contents of ``/etc/*-release``, each between its path and ``---``."""
    files = split_release_files(lines)
    meta = _get_release_meta(files.pop("/etc/os-release", []))
    first_lines = (content[0] for content in files.values() if content)
    release = next(filter(None, map(_RELEASE_LINE.match, first_lines)), None)

    name = _NAMES_BY_ID.get(meta.get("ID", ""), meta.get("NAME"))
    version = meta.get("VERSION_ID")
    if release:
        name = name or release["name"]
        version = version or release["version"]
    numbers = _VERSION.match(version or "")
    major, minor = numbers.groups() if numbers else (None, None)
    return {
        "name": name,
        "major": int(major) if major else None,
        "minor": int(minor) if minor else None,
        "release_meta": meta,
    }


class LinuxDistribution(FactBase["LinuxDistributionDict"]):
    """The Linux distribution: short ``name``, ``major`` and ``minor`` version, and os-release as ``release_meta``."""

    __module__ = "pyinfra.facts.server"

    @override
    def command(self) -> str:
        return (
            "cd /etc/ && for file in $(ls -pdL *-release | grep -v /); "
            'do echo "/etc/${file}"; cat "/etc/${file}"; echo ---; done'
        )

    @staticmethod
    @override
    def default() -> LinuxDistributionDict:
        return {"name": None, "major": None, "minor": None, "release_meta": {}}

    @override
    def process(self, output: list[str]) -> LinuxDistributionDict:
        return parse_distribution(output)


class LinuxName(ShortFactBase["str | None"]):
    """The short name of the Linux distribution: ``Debian``, ``Ubuntu``, ``RedHat``, ``Alpine`` …"""

    __module__ = "pyinfra.facts.server"
    fact = LinuxDistribution

    @override
    def process_data(self, data: LinuxDistributionDict) -> str | None:
        return data["name"]


class LsbRelease(FactBase["dict[str, str]"]):
    """The distribution as ``lsb_release`` tells it: ``id``, ``description``, ``release``, ``codename``."""

    __module__ = "pyinfra.facts.server"

    @override
    def requires_command(self) -> str:
        return "lsb_release"

    @override
    def command(self) -> str:
        return "lsb_release -ca"

    @override
    def process(self, output: list[str]) -> dict[str, str]:
        pairs = (line.split(":", 1) for line in output if ":" in line)
        items = {key.strip().lower(): value.strip() for key, value in pairs}
        return {"id" if key == "distributor id" else key: value for key, value in items.items()}


class OsRelease(FactBase["dict[str, str]"]):
    """The os-release file, with keys in lower case: ``id``, ``name``, ``version_id`` …"""

    __module__ = "pyinfra.facts.server"

    @override
    def command(self) -> str:
        return "cat /etc/os-release 2>/dev/null || cat /usr/lib/os-release 2>/dev/null || true"

    @override
    def process(self, output: list[str]) -> dict[str, str]:
        return {key.lower(): value for key, value in parse_assignments(output).items()}


class MacosVersion(FactBase[str]):
    """The version of macOS."""

    __module__ = "pyinfra.facts.server"

    @override
    def requires_command(self) -> str:
        return "sw_vers"

    @override
    def command(self) -> str:
        return "sw_vers -productVersion"
