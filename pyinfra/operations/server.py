"""Operations on a machine itself: commands, scripts, users, mounts, names, settings, reboots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from . import files
from .util.files import chmod


@operation(is_idempotent=False)
def shell(commands: str | list[str]) -> Iterator[str | StringCommand]:
    """Run shell commands, one after the other.

    Args:
        commands: a command or a list of them, each in a shell of its own

    .. code:: python

        server.shell(name="Reload the rules", commands=["nft flush ruleset", "nft -f /etc/nftables.conf"])
    """
    yield from [commands] if isinstance(commands, (str, StringCommand)) else commands


def _run_uploaded(path: str, args: Sequence[Any]) -> Iterator[StringCommand]:
    """Make a file on the host executable and run it."""
    words = [args] if isinstance(args, str) else args
    yield chmod(path, "+x")
    yield StringCommand(QuoteString(path), *(QuoteString(str(word)) for word in words))


@operation(is_idempotent=False)
def script(src: str, args: Sequence[Any] = ()) -> Iterator[Any]:
    """Upload a script and run it.

    Args:
        src: the local file
        args: arguments for the script; each reaches it as one word, as it is

    .. code:: python

        server.script(name="Set up the node", src="scripts/setup.sh", args=("--role", "db"))
    """
    path = host.get_temp_filename(src)
    yield from files.put._inner(src=src, dest=path)
    yield from _run_uploaded(path, args)


@operation(is_idempotent=False)
def script_template(src: str, args: Sequence[Any] = (), **data: Any) -> Iterator[Any]:
    """Render a Jinja2 template, upload the result and run it as a script.

    Args:
        src: the local template
        args: arguments for the script; each reaches it as one word, as it is
        data: values for the template, besides ``host``, ``state`` and ``inventory``

    .. code:: python

        server.script_template(name="Join", src="templates/join.sh.j2", token=host.data.token)
    """
    path = host.get_temp_filename(src)
    yield from files.template._inner(src=src, dest=path, **data)
    yield from _run_uploaded(path, args)
