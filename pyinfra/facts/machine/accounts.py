"""Users and their log-ins."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from typing_extensions import TypedDict, override

from pyinfra.api import FactBase, StringCommand
from pyinfra.api.command import QuotePath


class LastRecordDict(TypedDict):
    """One log-in; ``time`` is the rest of the line as it is: start, end and duration, or that it goes on."""

    user: str
    tty: str
    host: str
    time: str


_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) +[A-Z][a-z]{2} +\d{1,2}"
_LOGIN_TIME = re.compile(_DAY + r" \d\d:\d\d:\d\d (?:[+-]\d{4} )?\d{4}")
_LOGIN_RECORD = re.compile(rf"(?P<user>\S*)\s+(?P<where>\S.*?)\s+(?P<time>{_DAY} .*)")
# These stand for the machine, and their terminal is two words: "system boot", "system down"
_PSEUDO_USERS = ("reboot", "shutdown", "runlevel")
_PSEUDO_TERMINAL = re.compile(r"(\(to lvl \S+\)|\S+ \S+)\s*(.*)")
_TERMINAL = re.compile(r"(\S+)\s*(.*)")


# A line for each user: "passwd entry|group|all groups|last log-in|password hash"
_USERS_COMMAND = """
        for i in `cat /etc/passwd | cut -d: -f1`; do
            ENTRY=`grep ^$i: /etc/passwd`;
            LASTLOG=`(((lastlog -u $i || lastlogin $i) 2> /dev/null) | grep ^$i | tr -s ' ')`;
            PASSWORD=`(grep ^$i: /etc/shadow || grep ^$i: /etc/master.passwd) 2> /dev/null | cut -d: -f2`;
            echo "$ENTRY|`id -gn $i`|`id -Gn $i`|$LASTLOG|$PASSWORD";
        done
""".strip()


def _parse_login_time(text: str) -> datetime:
    # 2021-06-05T12:03:23-06:00 where the offset is told, without one where it is not
    for form in ("%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S %Y"):
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    raise ValueError(f"not a time of lastlog: {text}")


@dataclass
class _Turn:
    """What :data:`_USERS_COMMAND` prints of one user.

    Args:
        entries: the lines of the passwd file that begin with something that the name matches as a regular expression:
            of ``a.b`` that of ``axb`` too
        groups: the user's primary group, and all groups
        lastlog: the last log-in
        passwords: the hashes of all those users
    """

    entries: list[list[str]]
    groups: tuple[str, str]
    lastlog: str
    passwords: list[str]

    @property
    def entry(self) -> list[str]:
        """The entry of the user: the name that all the others match."""
        if len(self.entries) == 1:
            return self.entries[0]
        names = [entry[0] for entry in self.entries]
        matching = (entry for entry in self.entries if all(re.fullmatch(_as_pattern(entry[0]), name) for name in names))
        return next(matching, self.entries[-1])


def _as_pattern(name: str) -> str:
    """A user's name as the regular expression that ``grep`` takes it for, in which only dots mean something."""
    return re.escape(name).replace(r"\.", ".")


def _split_turns(lines: Iterable[str]) -> list[_Turn]:
    """What is printed of each user, in the order of the passwd file."""
    turns: list[_Turn] = []
    others: list[list[str]] = []
    is_open = False
    for line in lines:
        parts = line.rsplit("|", 4)
        entry = parts[0].split(":")
        if len(entry) >= 7 and len(parts) == 5:
            turns.append(_Turn([*others, entry], (parts[1], parts[2]), parts[3], [parts[4]]))
            others, is_open = [], True
        elif len(entry) >= 7:
            others.append(entry)
            is_open = False
        elif is_open:
            turns[-1].passwords.append(line)
    return turns


def parse_users(lines: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Users by name, from the lines that :data:`_USERS_COMMAND` prints."""
    turns = _split_turns(lines)
    passwords: dict[str, str] = {}
    # Those whose names match no other tell which of several hashes are not a user's own
    for turn in sorted(turns, key=lambda turn: len(turn.entries)):
        left = list(turn.passwords)
        for name in (entry[0] for entry in turn.entries):
            if passwords.get(name) in left:
                left.remove(passwords[name])
        passwords[turn.entry[0]] = left[0] if left else ""

    users: dict[str, dict[str, Any]] = {}
    for turn in turns:
        name, _, uid, gid, comment, home, shell = turn.entry[:7]
        group, all_groups = turn.groups
        login = _LOGIN_TIME.search(turn.lastlog)
        users[name] = {
            "home": home or None,
            "comment": comment or None,
            "shell": shell or None,
            "group": group,
            "groups": [other for other in all_groups.split() if other != group],
            "uid": int(uid),
            "gid": int(gid),
            "lastlog": login.group() if login else None,
            "login_time": _parse_login_time(login.group()) if login else None,
            "password": passwords[name],
        }
    return users


def parse_logins(lines: Iterable[str]) -> list[LastRecordDict]:
    """The records of ``last`` and ``lastb``, the newest first."""
    records: list[LastRecordDict] = []
    for line in lines:
        match = _LOGIN_RECORD.match(line)
        # The end of the list: "wtmp begins Thu Apr 17 09:00:00 2026"
        if match is None or match["where"] == "begins":
            continue
        form = _PSEUDO_TERMINAL if match["user"] in _PSEUDO_USERS else _TERMINAL
        where = form.match(match["where"])
        tty, host = where.groups() if where else (match["where"], "")
        records.append(
            {"user": match["user"], "tty": tty, "host": host, "time": " ".join(match["time"].split())},
        )
    return records


class Groups(FactBase["list[str]"]):
    """The names of the machine's groups."""

    __module__ = "pyinfra.facts.server"
    default = list

    @override
    def command(self) -> str:
        return "cat /etc/group"

    @override
    def process(self, output: list[str]) -> list[str]:
        return [line.partition(":")[0] for line in output if ":" in line]


class Users(FactBase["dict[str, dict[str, Any]]"]):
    """The machine's users by name.

    .. code:: python

        {
            "bob": {
                "home": "/home/bob", "comment": None, "shell": "/bin/sh", "group": "bob", "groups": ["audio"],
                "uid": 1000, "gid": 1000, "lastlog": "Sat Jun 5 12:03:23 +0000 2021", "login_time": datetime(…),
                "password": "$y$…",  # the hash, empty where it may not be read
            },
        }

    ``groups`` are those besides ``group``. The command's output is not printed, for the hashes in it.
    """

    __module__ = "pyinfra.facts.server"
    default = dict
    has_secret_output = True

    @override
    def command(self) -> str:
        return _USERS_COMMAND

    @override
    def process(self, output: list[str]) -> dict[str, dict[str, Any]]:
        return parse_users(output)


class AuthorizedKeys(FactBase["list[str]"]):
    """The public keys that may log in as ``user``, a line each.

    Args:
        user: the name
        path: the file, by default ``.ssh/authorized_keys`` in the user's home folder
    """

    __module__ = "pyinfra.facts.server"
    default = list

    @override
    def command(self, user: str, path: str | None = None) -> StringCommand:
        file = QuotePath(path if path is not None else f"~{user}/.ssh/authorized_keys")
        return StringCommand("cat", file, "2>/dev/null || true")

    @override
    def process(self, output: list[str]) -> list[str]:
        lines = map(str.strip, output)
        return [line for line in lines if line and not line.startswith("#")]


class Last(FactBase["list[LastRecordDict]"]):
    """The latest log-ins, the newest first."""

    __module__ = "pyinfra.facts.server"
    default = list

    @override
    def requires_command(self) -> str:
        return "last"

    @override
    def command(self) -> str:
        return "last -Fwi 2>/dev/null || last -w 2>/dev/null || last 2>/dev/null || true"

    @override
    def process(self, output: list[str]) -> list[LastRecordDict]:
        return parse_logins(output)


class Lastb(Last):
    """The latest log-ins that failed, the newest first."""

    __module__ = "pyinfra.facts.server"

    @override
    def requires_command(self) -> str:
        return "lastb"

    @override
    def command(self) -> str:
        return "lastb -Fwi 2>/dev/null || lastb 2>/dev/null || true"
