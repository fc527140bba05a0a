"""How a machine is set up: kernel settings and modules, names, limits, locales, desktops."""

from __future__ import annotations

import re
from typing import Any

from typing_extensions import TypedDict, override

from pyinfra import host
from pyinfra.api import FactBase, QuoteString, ShortFactBase, StringCommand
from pyinfra.api.command import QuotePath
from pyinfra.api.util import try_int

from .basics import Kernel


class SelinuxDict(TypedDict):
    """The state of SELinux, ``None`` where there is none."""

    mode: str | None


_DESKTOPS = {
    "/usr/bin/gnome-session": "GNOME",
    "/usr/bin/lxsession": "LXDE",
    "/usr/bin/mate-session": "MATE",
    "/usr/bin/plasma_session": "KDE",
    "/usr/bin/xfce4-session": "XFCE 4",
}

_REBOOT_REQUIRED_COMMAND = """
# Get OS type
OS_TYPE=$(uname -s)
if [ "$OS_TYPE" = "Linux" ]; then
    # Check if it's Alpine Linux
    if [ -f /etc/alpine-release ]; then
        RUNNING_KERNEL=$(uname -r)
        INSTALLED_KERNEL=$(ls -1 /lib/modules | sort -V | tail -n1)
        if [ "$RUNNING_KERNEL" != "$INSTALLED_KERNEL" ]; then
            echo "reboot_required"
            exit 0
        fi
    else
        # Check standard Linux reboot required files
        if [ -f /var/run/reboot-required ] || [ -f /var/run/reboot-required.pkgs ]; then
            echo "reboot_required"
            exit 0
        fi
    fi
elif [ "$OS_TYPE" = "FreeBSD" ]; then
    RUNNING_VERSION=$(freebsd-version -r)
    INSTALLED_VERSION=$(freebsd-version -k)
    if [ "$RUNNING_VERSION" != "$INSTALLED_VERSION" ]; then
        echo "reboot_required"
        exit 0
    fi
fi
echo "no_reboot_required"
"""


def parse_setting(text: str) -> int | list[int] | str:
    """The value of a kernel setting: integers as such, alone or in a list."""
    numbers = [try_int(word) for word in text.split()]
    if not numbers or not all(isinstance(number, int) for number in numbers):
        return text.strip()
    return numbers[0] if len(numbers) == 1 else numbers


class Sysctl(FactBase["dict[str, Any]"]):
    """Kernel settings by name: integers, lists of integers, else text.

    Args:
        keys: the names to read; all by default
    """

    __module__ = "pyinfra.facts.server"
    default = dict

    @override
    def command(self, keys: list[str] | None = None) -> StringCommand:
        names = [QuoteString(key) for key in keys] if keys else ["-a"]
        return StringCommand("sysctl", *names, "2>/dev/null || true")

    @override
    def process(self, output: list[str]) -> dict[str, Any]:
        # Linux "key = value", FreeBSD and macOS "key: value", OpenBSD "key=value"
        matches = (re.match(r"(\S+?)(?:\s*=\s*|:\s+)(.*)", line) for line in output)
        return {match[1]: parse_setting(match[2]) for match in matches if match}


class KernelModules(FactBase["dict[str, dict[str, Any]]"]):
    """Loaded kernel modules by name.

    .. code:: python

        {"tun": {"size": 61440, "instances": 2, "state": "Live"}}  # Linux
        {"zfs.ko": {"id": "2", "refs": "1", "address": "0xffffffff8214f000", "size": "620c10"}}  # FreeBSD
    """

    __module__ = "pyinfra.facts.server"
    default = dict

    @override
    def command(self) -> str:
        if host.get_fact(Kernel) == "FreeBSD":
            return "kldstat | tail +2"
        return "! test -f /proc/modules || cat /proc/modules"

    @override
    def process(self, output: list[str]) -> dict[str, dict[str, Any]]:
        modules: dict[str, dict[str, Any]] = {}
        for words in map(str.split, output):
            if len(words) == 5 and words[2].startswith("0x"):
                modules[words[4]] = dict(zip(("id", "refs", "address", "size"), words, strict=False))
            elif len(words) >= 5:
                modules[words[0]] = {"size": int(words[1]), "instances": int(words[2]), "state": words[4]}
        return modules


class EtcHosts(FactBase["dict[str, list[str]]"]):
    """The names of each address in a hosts file, in the order of the file.

    Args:
        path: the file
    """

    __module__ = "pyinfra.facts.server"
    default = dict

    @override
    def command(self, path: str = "/etc/hosts") -> StringCommand:
        return StringCommand("cat", QuotePath(path), "2>/dev/null || true")

    @override
    def process(self, output: list[str]) -> dict[str, list[str]]:
        names: dict[str, list[str]] = {}
        for words in (line.partition("#")[0].split() for line in output):
            if len(words) > 1:
                names.setdefault(words[0], []).extend(words[1:])
        return names


class SecurityLimits(FactBase["list[dict[str, str]]"]):
    """The limits in ``/etc/security/limits.conf``, each with ``domain``, ``limit_type``, ``item`` and ``value``."""

    __module__ = "pyinfra.facts.server"
    default = list

    @override
    def command(self) -> str:
        return "! test -e /etc/security/limits.conf || cat /etc/security/limits.conf"

    @override
    def process(self, output: list[str]) -> list[dict[str, str]]:
        entries = (line.partition("#")[0].split() for line in output)
        fields = ("domain", "limit_type", "item", "value")
        return [dict(zip(fields, words, strict=True)) for words in entries if len(words) == len(fields)]


class Locales(FactBase["list[str]"]):
    """The locales that are there, as ``locale -a`` spells them (``en_US.utf8``)."""

    __module__ = "pyinfra.facts.server"
    default = list

    @override
    def requires_command(self) -> str:
        return "locale"

    @override
    def command(self) -> str:
        return "locale -a"

    @override
    def process(self, output: list[str]) -> list[str]:
        return output


class Selinux(FactBase["SelinuxDict"]):
    """Whether SELinux is there: ``mode`` is its status (``enabled`` or ``disabled``), or ``None``."""

    __module__ = "pyinfra.facts.server"

    @override
    def requires_command(self) -> str:
        return "sestatus"

    @override
    def command(self) -> str:
        return "sestatus"

    @staticmethod
    @override
    def default() -> SelinuxDict:
        return {"mode": None}

    @override
    def process(self, output: list[str]) -> SelinuxDict:
        for line in output:
            key, _, value = line.partition(":")
            if key == "SELinux status":
                return {"mode": value.strip()}
        return self.default()


class LinuxGui(FactBase["list[str]"]):
    """The desktops that are installed, such as ``GNOME`` and ``KDE``."""

    __module__ = "pyinfra.facts.server"
    default = list

    @override
    def command(self) -> str:
        return "ls /usr/bin/*session || true"

    @override
    def process(self, output: list[str]) -> list[str]:
        return [_DESKTOPS[path] for path in output if path in _DESKTOPS]


class HasGui(ShortFactBase[bool]):
    """Whether a desktop is installed."""

    __module__ = "pyinfra.facts.server"
    fact = LinuxGui

    @override
    def process_data(self, data: list[str]) -> bool:
        return bool(data)


class RebootRequired(FactBase[bool]):
    """Whether the machine waits for a restart, by Debian's mark or by a newer kernel on Alpine and FreeBSD."""

    __module__ = "pyinfra.facts.server"

    @override
    def command(self) -> str:
        return _REBOOT_REQUIRED_COMMAND

    @override
    def process(self, output: list[str]) -> bool:
        return output == ["reboot_required"]
