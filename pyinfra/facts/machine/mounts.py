"""Mounted file systems, as Linux and the BSDs list them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from typing_extensions import TypedDict, override

from pyinfra import host
from pyinfra.api import FactBase

from .basics import Kernel


class MountsDict(TypedDict):
    """One mounted file system."""

    device: str
    type: str
    options: list[str]


# "/dev/sd0a (b486026f5c43e172.a) on / type ffs (rw, local)"; FreeBSD and macOS have the type among the options
_MOUNT_LINE = re.compile(
    r"(?P<device>.+?)(?: \([0-9a-f]+\.[a-z]\))? on (?P<path>.+?)(?: type (?P<type>\S+))? \((?P<options>[^()]*)\)$"
)
# What `mount -v` adds to the options and no one can mount with
_STATISTICS = ("ctime=", "fsid ", "writes: ", "reads: ")


def _unescape(text: str) -> str:
    """The kernel writes blanks, commas and backslashes in names as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)


def parse_mountinfo(lines: Iterable[str]) -> dict[str, MountsDict]:
    """``/proc/self/mountinfo`` (see ``man 5 proc``) by mount point; of mounts on one point the last counts."""
    mounts: dict[str, MountsDict] = {}
    for line in lines:
        of_mount, _, of_filesystem = line.partition(" - ")
        mount_fields, filesystem_fields = of_mount.split(" "), of_filesystem.split(" ")
        if len(mount_fields) < 6 or len(filesystem_fields) < 3:
            continue
        options = mount_fields[5].split(",")
        # Whether the file system can be written here is up to the mount
        seen = {*options, "rw", "ro"}
        options += [option for option in filesystem_fields[2].split(",") if option not in seen]
        mounts[_unescape(mount_fields[4])] = {
            "device": _unescape(filesystem_fields[1]),
            "type": filesystem_fields[0],
            "options": [_unescape(option) for option in options],
        }
    return mounts


def parse_mount_output(lines: Iterable[str]) -> dict[str, MountsDict]:
    """The output of the BSDs' and macOS's ``mount -v`` by mount point."""
    mounts: dict[str, MountsDict] = {}
    for match in filter(None, map(_MOUNT_LINE.match, lines)):
        options = [option for option in match["options"].split(", ") if not option.startswith(_STATISTICS)]
        kind = match["type"] or options.pop(0)
        mounts[match["path"]] = {"device": match["device"], "type": kind, "options": options}
    return mounts


class Mounts(FactBase["dict[str, MountsDict]"]):
    """Mounted file systems by mount point.

    .. code:: python

        {"/": {"device": "/dev/sda1", "type": "ext4", "options": ["rw", "relatime"]}}
    """

    __module__ = "pyinfra.facts.server"
    default = dict

    @override
    def command(self) -> str:
        return "cat /proc/self/mountinfo" if host.get_fact(Kernel) == "Linux" else "mount -v"

    @override
    def process(self, output: list[str]) -> dict[str, MountsDict]:
        if output and " - " in output[0] and output[0][:1].isdigit():
            return parse_mountinfo(output)
        return parse_mount_output(output)
