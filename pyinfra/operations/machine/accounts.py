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
    name = QuoteString(group)
    is_freebsd = host.get_fact(Os) == "FreeBSD"
    if not present:
        yield StringCommand("pw", "groupdel", "-n", name) if is_freebsd else StringCommand("groupdel", name)
        return
    if is_freebsd:
        yield StringCommand("pw", "groupadd", "-n", name, *(["-g", QuoteString(str(gid))] if gid else []))
        return
    is_linux = host.get_fact(Os) == "Linux"
    bits: list[Any] = ["groupadd", *(["-r"] if system and is_linux else [])]
    # OpenBSD and NetBSD know no long options, and take the name last
    if is_linux:
        yield StringCommand(*bits, name, *(["--gid", QuoteString(str(gid))] if gid else []))
    else:
        yield StringCommand(*bits, *(["-g", QuoteString(str(gid))] if gid else []), name)


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

    def get_options(self) -> list[Any]:
        """The options that useradd, usermod and FreeBSD's pw have in common."""
        pairs = {"-d": self.home, "-s": self.shell, "-g": self.group}
        bits: list[Any] = []
        for option, value in pairs.items():
            if value is not None:
                bits += [option, QuoteString(value)]
        if self.groups:
            bits += [*(["-a"] if self.append else []), "-G", _comma_list(self.groups)]
        return bits


def _comma_list(words: Iterable[str]) -> StringCommand:
    return StringCommand(*map(QuoteString, words), _separator=",")


def _text_option(option: str, value: Any) -> list[Any]:
    return [] if value is None else [option, QuoteString(value)]


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
    """useradd, usermod and userdel, of Linux, OpenBSD and NetBSD."""

    def add(self, account: Account, creation: Creation) -> StringCommand:
        """The command that makes a user."""
        is_linux = host.get_fact(Os) == "Linux"
        _require_program("useradd")
        bits = ["useradd", *account.get_options()]
        if creation.system and is_linux:
            bits.append("-r")
        if creation.uid is not None:
            bits += ["--uid" if is_linux else "-u", str(int(creation.uid))]
        bits += _text_option("-c", account.comment)
        if not creation.unique:
            bits.append("-o")
        if creation.create_home:
            bits.append("-m")
        elif is_linux:
            bits.append("-M")
        return StringCommand(*bits, *_text_option("-p", account.password), QuoteString(account.user))

    def change(self, changes: Account) -> StringCommand:
        """The command that changes a user."""
        _require_program("usermod")
        bits = ["usermod", *changes.get_options(), *_text_option("-c", changes.comment)]
        return StringCommand(*bits, *_text_option("-p", changes.password), QuoteString(changes.user))

    def remove(self, user: str) -> StringCommand:
        """The command that removes a user, and leaves the home folder."""
        _require_program("userdel")
        return StringCommand("userdel", QuoteString(user))


class Pw:
    """FreeBSD's ``pw``."""

    def call(self, command: str, account: Account, options: Iterable[Any]) -> StringCommand:
        """``pw`` with a password, if there is one, as its standard input."""
        front: list[Any] = []
        if account.password is not None:
            front = ["echo", QuoteString(account.password), "|"]
            options = ["-H", "0", *options]
        return StringCommand(*front, "pw", command, "-n", QuoteString(account.user), *options)

    def add(self, account: Account, creation: Creation) -> StringCommand:
        """The command that makes a user."""
        options = account.get_options()
        if creation.uid is not None:
            options += ["-u", str(int(creation.uid))]
        options += _text_option("-c", account.comment)
        if not creation.unique:
            options.append("-o")
        if creation.create_home:
            options.append("-m")
        return self.call("useradd", account, options)

    def change(self, changes: Account) -> StringCommand:
        """The command that changes a user."""
        return self.call("usermod", changes, [*changes.get_options(), *_text_option("-c", changes.comment)])

    def remove(self, user: str) -> StringCommand:
        """The command that removes a user, and leaves the home folder."""
        return StringCommand("pw", "userdel", "-n", QuoteString(user))


def get_account_command(
    account: Account,
    creation: Creation,
    existing: Mapping[str, Any] | None,
) -> StringCommand | None:
    """The command that makes a user, or makes it what is wanted; ``None`` if it is that."""
    tools = Pw() if host.get_fact(Os) == "FreeBSD" else ShadowTools()
    if existing is None:
        return tools.add(account, creation)
    changes = account.get_changes(existing)
    if changes is None:
        return None
    command = tools.change(changes)
    return _GroupsCommand(account.user, command) if changes.group or changes.groups else command


def remove_account(user: str) -> StringCommand:
    """The command that removes a user."""
    return (Pw() if host.get_fact(Os) == "FreeBSD" else ShadowTools()).remove(user)
