"""The file in which a machine looks up the addresses of names."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from io import StringIO
from typing import Any

from pyinfra import host
from pyinfra.api import OperationError, OperationValueError, operation
from pyinfra.facts.files import FileContents
from pyinfra.facts.server import EtcHosts

from .. import files
from . import of_server

# What bytes that are no UTF-8 have become in a fact
_UNDECODABLE = "\ufffd"


def _check_words(words: Iterable[str], meaning: str) -> None:
    for word in words:
        if not word or "#" in word or word.split() != [word]:
            raise OperationValueError(f"Invalid {meaning} for a hosts file: {word!r}")


def _without_names(line: str, names: Iterable[str] | None) -> str | None:
    """A line of a hosts file without some of its names, ``None`` if none is left, or ``names`` is."""
    entry, hash_sign, comment = line.partition("#")
    address, *current = entry.split()
    left = [name for name in current if names is not None and name not in names]
    if not left:
        return None
    return " ".join([address, *left]) + (f" {hash_sign}{comment}" if hash_sign else "")


def _with_names(line: str, names: Iterable[str]) -> str:
    """A line of a hosts file with more names."""
    entry, hash_sign, comment = line.partition("#")
    return " ".join([entry.rstrip(), *names]) + (f" {hash_sign}{comment}" if hash_sign else "")


def _change_hosts(lines: list[str], ip: str, names: list[str], present: bool) -> list[str]:
    """The lines of a hosts file with, or without, names for an address; without any names all of them are meant."""
    ours = [index for index, line in enumerate(lines) if line.partition("#")[0].split()[:1] == [ip]]
    if not present:
        changed = {index: _without_names(lines[index], names or None) for index in ours}
        return [line for line in (changed.get(index, line) for index, line in enumerate(lines)) if line is not None]
    if not ours:
        return [*lines, " ".join([ip, *names])]
    first = ours[0]
    return [*lines[:first], _with_names(lines[first], names), *lines[first + 1 :]]


@operation()
@of_server
def etc_hosts(
    ip: str,
    hostnames: str | list[str] | None = None,
    present: bool = True,
    path: str = "/etc/hosts",
) -> Generator[Any, None, None]:
    """Have names for an address in a hosts file, or not.

    Args:
        ip: the address
        hostnames: the names; other names that it has stay. May be left out to remove an address with all its names
        present: whether they should be there
        path: the file

    .. code:: python

        server.etc_hosts(name="Name the database", ip="192.168.1.10", hostnames=["db.internal", "db"])
    """
    names = [hostnames] if isinstance(hostnames, str) else list(hostnames or [])
    _check_words([ip], "address")
    _check_words(names, "name")
    if present and not names:
        raise OperationValueError(f"No hostnames are given for {ip}: there is nothing to add to {path}")

    current = host.get_fact(EtcHosts, path=path).get(ip, [])
    if present:
        names_to_change = [name for name in names if name not in current]
    else:
        names_to_change = [name for name in names or current if name in current]
    if not names_to_change:
        entry = f"{ip} -> {' '.join(names)}" if names else ip
        host.noop(f"{entry} already {'present in' if present else 'absent from'} {path}")
        return
    lines = host.get_fact(FileContents, path=path) or []
    for number, line in enumerate(lines, start=1):
        if _UNDECODABLE in line:
            raise OperationError(f"{path} is no text in UTF-8 and would not be the same afterwards: see line {number}")
    changed = _change_hosts(list(lines), ip, names_to_change if names else [], present)
    yield from files.put._inner(src=StringIO("".join(f"{line}\n" for line in changed)), dest=path)
