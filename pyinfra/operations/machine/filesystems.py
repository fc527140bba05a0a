"""Mounting file systems."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from typing import Any

from pyinfra import host
from pyinfra.api import OperationTypeError, QuoteString, StringCommand, operation
from pyinfra.api.command import QuotePath
from pyinfra.api.hiddenvalue import mask_like, reveal
from pyinfra.facts.server import Kernel, Mounts

from . import of_server

# The kernel shows these by leaving out their opposites
_OPPOSITES = {
    "async": "sync",
    "atime": "noatime",
    "dev": "nodev",
    "diratime": "nodiratime",
    "exec": "noexec",
    "suid": "nosuid",
}
# These are for mount and for who reads fstab, no one can see later that they were given
_UNSEEN = ("auto", "bind", "defaults", "loop", "noauto", "nofail", "nouser", "rbind", "user", "users", "_netdev")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SIZE = re.compile(r"(\d+)([kmg]?)", re.IGNORECASE)


def _normal_option(option: str) -> str:
    """An option with its number as the plainest spelling: ``size=1m`` is ``size=1048576``, ``mode=0755`` is 755."""
    key, equals, value = option.partition("=")
    size = _SIZE.fullmatch(value)
    if not size:
        return option
    return f"{key}{equals}{int(size[1]) * _UNITS[size[2].lower()]}"


def _has_option(current: set[str], option: str) -> bool:
    """Whether a mounted file system has an option, as far as can be seen."""
    if option in _UNSEEN or option.startswith(("x-", "X-", "comment=")):
        return True
    if option in _OPPOSITES:
        return _OPPOSITES[option] not in current
    return _normal_option(option) in current


def _find_mount(mounts: Mapping[str, Any], path: str, device: str | None) -> str | None:
    """Where the file system is mounted: at its path, or as a block device, anywhere."""
    for point in (path, path.rstrip("/")):
        if point in mounts:
            return point
    if device is not None and device.startswith("/dev/"):
        for point in mounts:
            if mounts[point].get("device") == device:
                return point
    return None


def _option_list(options: list[str]) -> QuoteString:
    return QuoteString(mask_like(",".join(options), *options))


def _remount(point: str, options: list[str]) -> StringCommand:
    if host.get_fact(Kernel) == "Linux":
        return StringCommand("mount", "-o", _option_list(["remount", *options]), QuotePath(point))
    return StringCommand("mount", "-u", "-o", _option_list(options), QuotePath(point))


@operation()
@of_server
def mount(
    path: str,
    mounted: bool = True,
    options: list[str] | None = None,
    device: str | None = None,
    fs_type: str | None = None,
) -> Generator[Any, None, None]:
    """Have a file system mounted, or not; ``/etc/fstab`` stays as it is.

    Args:
        path: where
        mounted: whether it should be
        options: with what options; a mounted file system that lacks one is mounted again
        device: what to mount, by default what ``/etc/fstab`` says
        fs_type: its type

    .. code:: python

        server.mount(name="Mount the data", path="/data", device="/dev/sdb1", options=["noatime"])
    """
    if isinstance(options, str):
        raise OperationTypeError(f"`options` must be a list, not text: {options!r}")
    mounts = host.get_fact(Mounts)
    point = _find_mount(mounts, path, device)
    wanted = reveal(options) or []

    if not mounted:
        if point is None:
            host.noop(f"filesystem {path} is not mounted")
        else:
            yield StringCommand("umount", QuotePath(point))
        return
    if point is None:
        bits: list[Any] = ["mount"]
        if fs_type:
            bits += ["-t", QuoteString(fs_type)]
        if wanted:
            bits += ["-o", _option_list(wanted)]
        if device:
            bits.append(QuoteString(device))
        yield StringCommand(*bits, QuotePath(path))
        return
    current = {_normal_option(option) for option in mounts[point].get("options", [])} if wanted else set()
    if all(_has_option(current, option) for option in wanted):
        host.noop(f"filesystem {path} is mounted")
    else:
        yield _remount(point, wanted)
