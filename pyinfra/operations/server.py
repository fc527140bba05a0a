"""Operations on a machine itself: commands, scripts, users, mounts, names, settings, restarts."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from io import StringIO
from pathlib import Path
from typing import Any, TypeAlias, Union

from pyinfra import host
from pyinfra.api import OperationError, OperationTypeError, QuoteString, StringCommand, operation
from pyinfra.api.command import QuotePath
from pyinfra.api.hiddenvalue import HiddenValue, reveal
from pyinfra.facts.files import Directory, Link
from pyinfra.facts.server import AuthorizedKeys, Groups, Home, Users

from . import files
from .machine.accounts import Account, Creation, get_account_command, group, remove_account
from .machine.filesystems import mount
from .machine.hostsfile import etc_hosts
from .machine.processes import kill
from .machine.restart import reboot, wait
from .machine.scripts import script, script_template
from .machine.settings import hostname, locale, modprobe, security_limit, sysctl, timezone

__all__ = [
    "etc_hosts",
    "group",
    "hostname",
    "kill",
    "locale",
    "modprobe",
    "mount",
    "reboot",
    "script",
    "script_template",
    "security_limit",
    "shell",
    "sysctl",
    "timezone",
    "user",
    "user_authorized_keys",
    "wait",
]

_PublicKey: TypeAlias = Union[str, "os.PathLike[str]"]


@operation(is_idempotent=False)
def shell(commands: str | list[str]) -> Generator[Any, None, None]:
    """Run shell commands, one after the other.

    Args:
        commands: a command or a list of them, each in a shell of its own

    .. code:: python

        server.shell(name="Reload the rules", commands=["nft flush ruleset", "nft -f /etc/nftables.conf"])
    """
    yield from reveal([commands] if isinstance(commands, (str, StringCommand, HiddenValue)) else commands)


def _read_public_keys(public_keys: _PublicKey | Iterable[_PublicKey]) -> list[str]:
    """Public keys, a line each, of which some may be given by the names of local files."""
    keys: list[str] = []
    for key in [public_keys] if isinstance(public_keys, (str, os.PathLike)) else public_keys:
        path = os.path.expanduser(key)
        if os.path.isfile(path):
            keys += _keys_in_file(path)
        elif isinstance(key, os.PathLike) or (key.endswith(".pub") and len(key.split()) == 1):
            raise OperationError(f"There is no file {os.fspath(key)} to read a public key from")
        else:
            keys.append(key.strip())
    return keys


def _keys_in_file(path: str) -> list[str]:
    """The public keys in a local file, which may have comments too."""
    try:
        text = Path(path).read_text("utf-8")
    except UnicodeDecodeError as error:
        raise OperationError(f"{path} is no file of public keys: it is no text in UTF-8 ({error.reason})") from None
    return [line for line in map(str.strip, text.splitlines()) if line and line[0] != "#"]


def _append_key(path: str, key: str) -> StringCommand:
    """Add a line to a file whose last line may lack its end."""
    # The echo of some shells makes something else of backslashes
    echo = "printf '%s\\n'" if "\\" in key else "echo"
    file = QuotePath(path)
    return StringCommand("( [ $(tail -c1", file, "| wc -l) -eq 0 ] && echo ;", echo, QuoteString(key), ") >>", file)


@operation()
def user_authorized_keys(
    user: str,
    public_keys: str | list[str],
    group: str | None = None,
    delete_keys: bool = False,
    authorized_key_directory: str | None = None,
    authorized_key_filename: str | None = None,
) -> Generator[Any, None, None]:
    """Have public keys that may log in as a user.

    Args:
        user: the user
        public_keys: a key or a list of them, each as text, or as the name of a local file that holds some
        group: the group of file and folder
        delete_keys: whether other keys go
        authorized_key_directory: the folder, by default ``.ssh`` in the user's home
        authorized_key_filename: the name of the file, by default ``authorized_keys``

    .. code:: python

        server.user_authorized_keys(name="Let Alice in", user="deploy", public_keys="keys/alice.pub")
    """
    keys = _read_public_keys(public_keys)
    folder = authorized_key_directory
    if folder is None:
        folder = f"{host.get_fact(Home, user=user)}/.ssh"
    path = f"{folder}/{authorized_key_filename or 'authorized_keys'}"
    owner: dict[str, Any] = {"user": user, "group": group}

    yield from files.directory._inner(path=folder, mode=700, **owner)
    current = host.get_fact(AuthorizedKeys, user=user, path=path)
    if delete_keys and set(current) != set(keys):
        text = "".join(f"{key}\n" for key in keys)
        yield from files.put._inner(src=StringIO(text), dest=path, mode=600, **owner)
        return
    yield from files.file._inner(path=path, mode=600, **owner)
    for key in dict.fromkeys(keys):
        if key not in current:
            yield _append_key(path, key)


@operation()
def user(
    user: str,
    present: bool = True,
    home: str | None = None,
    shell: str | None = None,
    group: str | None = None,
    groups: list[str] | None = None,
    append: bool = False,
    public_keys: str | list[str] | None = None,
    delete_keys: bool = False,
    ensure_home: bool = True,
    create_home: bool = False,
    system: bool = False,
    uid: int | None = None,
    comment: str | None = None,
    unique: bool = True,
    password: str | None = None,
) -> Generator[Any, None, None]:
    """Have a user, or not, and who may log in as that user.

    Args:
        user: the name
        present: whether the user should be there; the home folder of one who goes stays
        home: the home folder, for new users by default ``/home/NAME``
        shell: the log-in shell
        group: the primary group
        groups: the other groups
        append: whether groups that are not named stay; on NetBSD they do in any case
        public_keys: as for :func:`user_authorized_keys`
        delete_keys: likewise
        ensure_home: whether the home folder is made where it is missing
        create_home: whether a new user gets a home folder with the system's usual content
        system: whether a new user is one of the system's; not on the BSDs
        uid: the id of a new user
        comment: the full name or another description
        unique: whether the id of a new user must be its own
        password: the password's hash

    If it changes the groups of the user that pyinfra logs in as, it connects again, so that they count from then on.

    .. code:: python

        server.user(
            name="Have a user for deploys",
            user="deploy",
            groups=["docker"],
            append=True,
            public_keys=["keys/alice.pub", "keys/bob.pub"],
        )
    """
    if isinstance(groups, str):
        raise OperationTypeError(f"`groups` must be a list of names, not text: {groups!r}")
    existing = host.get_fact(Users).get(user)
    if not present:
        if existing is None:
            host.noop(f"user {user} does not exist")
        else:
            yield remove_account(user)
        return

    if home is None:
        home = existing["home"] if existing else f"/home/{user}"
    if existing is None and group is None and user in host.get_fact(Groups):
        # useradd refuses to make a group that is there already
        group = user
    account = Account(user, home, shell, group, tuple(groups or ()), append, comment, password)
    creation = Creation(system=system, uid=uid, unique=unique, create_home=create_home)
    command = get_account_command(account, creation, existing)
    if ensure_home and home and host.get_fact(Directory, path=home) is False and not host.get_fact(Link, path=home):
        # Said before there is a user without a home
        raise OperationError(f"{home} exists and is not a directory")
    if command is None:
        host.noop(f"user {user} exists")
    else:
        yield command

    owner_group = group or (existing or {}).get("group") or user
    if ensure_home and home:
        yield from files.directory._inner(
            path=home, user=user, group=owner_group, _no_check_owner_mode=True, _no_fail_on_link=True
        )
    if public_keys is not None:
        yield from user_authorized_keys._inner(
            user=user,
            public_keys=public_keys,
            group=owner_group,
            delete_keys=delete_keys,
            authorized_key_directory=f"{home}/.ssh",
        )
