"""Groups, and the commands of each system that make, change and remove users."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pyinfra import host
from pyinfra.api import HiddenValue, OperationError, QuoteString, StringCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.facts.server import Groups, LinuxName, Os, Which

from ..util.commands import succeeded
from . import of_server


@operation()
@of_server
def group(
    group: str,
    present: bool = True,
    system: bool = False,
    gid: int | str | None = None,
) -> Generator[Any, None, None]:
    """Have a group, or not.

    Args:
        group: its name
        present: whether it should be there
        system: whether it is one of the system's, which have low ids; not on the BSDs
        gid: the id that a new group gets

    .. code:: python

        server.group(name="Have a group for the app", group="app", gid=1500)
    """
    exists = group in host.get_fact(Groups)
    if exists is present:
        host.noop(f"group {group} {'exists' if present else 'does not exist'}")
        return
    yield _tools().add_group(group, system, gid) if present else _tools().remove_group(group)


@dataclass(frozen=True)
class Account:
    """What is wanted of a user; ``None`` where it doesn't matter."""

    user: str
    home: str | None = None
    shell: str | None = None
    group: str | None = None
    groups: tuple[str, ...] = ()
    append: bool = False
    comment: str | None = None
    password: str | HiddenValue | None = None

    def get_changes(self, existing: Mapping[str, Any]) -> Account | None:
        """What of it differs from the user as it is, ``None`` if nothing does."""

        def differs(key: str) -> bool:
            wanted = getattr(self, key)
            if isinstance(wanted, HiddenValue):
                wanted = wanted.unmask()
            return wanted is not None and wanted != (existing.get(key) or "")

        primary = self.group or existing.get("group")
        current_groups = set(existing.get("groups") or ())
        wanted_groups = set(self.groups) - {primary}
        lacks_groups = not wanted_groups <= current_groups if self.append else wanted_groups != current_groups
        changes = Account(
            user=self.user,
            home=self.home if differs("home") else None,
            shell=self.shell if differs("shell") else None,
            group=self.group if differs("group") else None,
            groups=self.groups if self.groups and lacks_groups else (),
            append=self.append,
            comment=self.comment if differs("comment") else None,
            password=self.password if differs("password") else None,
        )
        return changes if changes != Account(user=self.user, append=self.append) else None

    def get_options(self, groups_option: str = "-G") -> list[Any]:
        """The options that useradd, usermod and FreeBSD's pw have in common.

        Args:
            groups_option: that for the other groups, of which systems have one to add and one to set
        """
        pairs = {"-d": self.home, "-s": self.shell, "-g": self.group}
        bits: list[Any] = []
        for option, value in pairs.items():
            if value is not None:
                bits += [option, QuoteString(value)]
        if self.groups:
            bits += [groups_option, _comma_list(self.groups)]
        return bits


def _comma_list(words: Iterable[str]) -> StringCommand:
    return StringCommand(*map(QuoteString, words), _separator=",")


def _text_option(option: str, value: Any) -> list[Any]:
    return [] if value is None else [option, QuoteString(value)]


def _number_option(option: str, value: Any) -> list[Any]:
    return [] if value is None or value == "" else [option, str(int(value))]


class _GroupsCommand(StringCommand):
    """A command that changes a user's groups: if that is the log-in user, the connection is made anew.

    A process keeps the groups that it started with, and the shells of a connection are children of its first.
    """

    def __init__(self, user: str, command: StringCommand) -> None:
        super().__init__(command)
        self.user = user

    def execute(self, state: State, host: Host, connector_arguments: Any) -> Any:
        """Run it, and connect again where it matters."""
        result = super().execute(state, host, connector_arguments)
        if succeeded(result):
            known, output = host.run_shell_command("id -un")
            if known and output.stdout_lines == [self.user]:
                host.reconnect(reason=f"for the new groups of {self.user}")
        return result


def _require_program(program: str) -> None:
    """Raise an error where the host lacks a program."""
    if host.get_fact(Which, command=program):
        return
    if host.get_fact(LinuxName) == "Alpine":
        raise OperationError(f"{program} is not installed: it is in the package shadow")
    raise OperationError(f"{program} is not installed")


@dataclass(frozen=True)
class Creation:
    """How a user is made, besides what is wanted of it later too."""

    system: bool = False
    uid: int | None = None
    unique: bool = True
    create_home: bool = False


class ShadowTools:
    """useradd, groupadd and their like, of Linux."""

    def add_group(self, group: str, system: bool, gid: int | str | None) -> StringCommand:
        """The command that makes a group."""
        front = ["groupadd", *(["-r"] if system else [])]
        return StringCommand(*front, QuoteString(group), *_number_option("--gid", gid))

    def remove_group(self, group: str) -> StringCommand:
        """The command that removes a group."""
        return StringCommand("groupdel", QuoteString(group))

    def add(self, account: Account, creation: Creation) -> StringCommand:
        """The command that makes a user."""
        _require_program("useradd")
        bits = ["useradd", *account.get_options(), *self.creation_options(creation)]
        bits += _text_option("-c", account.comment)
        if not creation.unique:
            bits.append("-o")
        bits += self.home_options(creation)
        return StringCommand(*bits, *_text_option("-p", account.password), QuoteString(account.user))

    def creation_options(self, creation: Creation) -> list[Any]:
        """The options for the id of a new user, and for which range it is from."""
        return [*(["-r"] if creation.system else []), *_number_option("--uid", creation.uid)]

    def home_options(self, creation: Creation) -> list[str]:
        """The options that say whether a home folder is made."""
        return ["-m" if creation.create_home else "-M"]

    def groups_option(self, append: bool) -> str:
        """The option of usermod for groups that are added, or that are to be all there are."""
        return "-a -G" if append else "-G"

    def change(self, changes: Account) -> StringCommand:
        """The command that changes a user."""
        _require_program("usermod")
        options = changes.get_options(self.groups_option(changes.append))
        bits = ["usermod", *options, *_text_option("-c", changes.comment)]
        return StringCommand(*bits, *_text_option("-p", changes.password), QuoteString(changes.user))

    def remove(self, user: str) -> StringCommand:
        """The command that removes a user, and leaves the home folder."""
        _require_program("userdel")
        return StringCommand("userdel", QuoteString(user))


class BsdTools(ShadowTools):
    """The same of NetBSD: they know no long options, no low ids for the system's, and take names last."""

    def add_group(self, group: str, system: bool, gid: int | str | None) -> StringCommand:
        """The command that makes a group."""
        return StringCommand("groupadd", *_number_option("-g", gid), QuoteString(group))

    def creation_options(self, creation: Creation) -> list[Any]:
        """The option for the id of a new user."""
        return _number_option("-u", creation.uid)

    def home_options(self, creation: Creation) -> list[str]:
        """The option that has a home folder made."""
        return ["-m"] if creation.create_home else []

    def groups_option(self, append: bool) -> str:
        """The option of usermod for groups that are added: it has none for those that are to be all there are."""
        return "-G"


class OpenBsdTools(BsdTools):
    """The same of OpenBSD."""

    def groups_option(self, append: bool) -> str:
        """The option of usermod for groups that are added, or that are to be all there are."""
        return "-G" if append else "-S"


class Pw:
    """FreeBSD's ``pw``."""

    def add_group(self, group: str, system: bool, gid: int | str | None) -> StringCommand:
        """The command that makes a group."""
        return StringCommand("pw", "groupadd", "-n", QuoteString(group), *_number_option("-g", gid))

    def remove_group(self, group: str) -> StringCommand:
        """The command that removes a group."""
        return StringCommand("pw", "groupdel", "-n", QuoteString(group))

    def call(self, command: str, account: Account, options: Iterable[Any]) -> StringCommand:
        """``pw`` with a password, if there is one, as its standard input."""
        front: list[Any] = []
        if account.password is not None:
            front = ["echo", QuoteString(account.password), "|"]
            options = ["-H", "0", *options]
        return StringCommand(*front, "pw", command, "-n", QuoteString(account.user), *options)

    def add(self, account: Account, creation: Creation) -> StringCommand:
        """The command that makes a user."""
        options = [*account.get_options(), *_number_option("-u", creation.uid), *_text_option("-c", account.comment)]
        if not creation.unique:
            options.append("-o")
        if creation.create_home:
            options.append("-m")
        return self.call("useradd", account, options)

    def change(self, changes: Account) -> StringCommand:
        """The command that changes a user."""
        options = changes.get_options("-a -G" if changes.append else "-G")
        return self.call("usermod", changes, [*options, *_text_option("-c", changes.comment)])

    def remove(self, user: str) -> StringCommand:
        """The command that removes a user, and leaves the home folder."""
        return StringCommand("pw", "userdel", "-n", QuoteString(user))


def _tools() -> ShadowTools | Pw:
    """The tools of the host's system."""
    system = host.get_fact(Os)
    if system == "FreeBSD":
        return Pw()
    if system == "Linux":
        return ShadowTools()
    return OpenBsdTools() if system == "OpenBSD" else BsdTools()


def get_account_command(
    account: Account,
    creation: Creation,
    existing: Mapping[str, Any] | None,
) -> StringCommand | None:
    """The command that makes a user, or makes it what is wanted; ``None`` if it is that."""
    tools = _tools()
    if existing is None:
        return tools.add(account, creation)
    changes = account.get_changes(existing)
    if changes is None:
        return None
    command = tools.change(changes)
    return _GroupsCommand(account.user, command) if changes.group or changes.groups else command


def remove_account(user: str) -> StringCommand:
    """The command that removes a user."""
    return _tools().remove(user)
