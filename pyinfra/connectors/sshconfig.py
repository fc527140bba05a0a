"""``~/.ssh/config``, as OpenSSH reads it: what it says about one host.

Files are parsed once per process. Nothing here needs an SSH library, so that the command line can ask whether a name
is a host of the configuration without loading one.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from .sshconfiglines import Line, SSHConfigError, parse_file
from .sshoptions import ALGORITHMS, ALIASES, LACKING, is_known

DEFAULT_CONFIG_FILE = "~/.ssh/config"
# Of these every value counts, of all others the first
_LISTS = {"identityfile", "certificatefile"}
_YES = {"yes", "true"}
_NO = {"no", "false"}
# Ways to log in, in the order in which they are tried, and the settings that switch them off
AUTHENTICATIONS = {
    "publickey": "pubkeyauthentication",
    "password": "passwordauthentication",
    "keyboard-interactive": "kbdinteractiveauthentication",
}
_HIGHEST_PORT = 65535
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(slots=True)
class HostSettings:
    """What the configuration says about a host; ``None`` and empty: nothing."""

    name: str
    host_name: str
    user: str | None = None
    port: int | None = None
    identity_files: tuple[str, ...] = ()
    certificate_files: tuple[str, ...] = ()
    identities_only: bool = False
    # A socket's path, "none", or None for the environment's
    identity_agent: str | None = None
    connect_timeout: float | None = None
    connection_attempts: int | None = None
    # Hops in the order of travel, each [user@]host[:port]
    proxy_jump: tuple[str, ...] = ()
    proxy_command: str | None = None
    bind_address: str | None = None
    known_hosts_files: tuple[str, ...] | None = None
    global_known_hosts_files: tuple[str, ...] | None = None
    host_key_alias: str | None = None
    hash_known_hosts: bool = False
    strict_host_key_checking: str | None = None
    # Whether, or the path of the agent's socket
    forward_agent: bool | str = False
    # Ways to log in, those first that are tried first
    authentications: tuple[str, ...] = tuple(AUTHENTICATIONS)
    # Files of keys that no server may have
    revoked_host_keys: tuple[str, ...] = ()
    # The fewest bits that RSA keys may have
    required_rsa_size: int = 0
    # Lists of algorithms, by their kind
    algorithms: tuple[tuple[str, str], ...] = ()
    compression: bool = False
    # Seconds, and how many times in a row no answer may come
    server_alive_interval: float | None = None
    server_alive_count_max: int | None = None
    # What the file asks for and this SSH client cannot do
    warnings: list[str] = field(default_factory=list)


class SSHConfig:
    """A parsed configuration file.

    Args:
        path: the file; absent ones say nothing about any host

    Raises:
        SSHConfigError: a line cannot be understood
        OSError: the file cannot be read
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.expanduser(path)
        self.is_there = os.path.exists(self.path)
        self._lines = tuple(parse_file(self.path)) if self.is_there else ()

    def lookup(self, name: str, user: str | None = None, port: int | None = None) -> HostSettings:
        """The settings of the host called ``name``; ``user`` and ``port`` stand above those of the file."""
        found = _Search(name, user, port)
        found.walk(self._lines)
        return found.settings()

    def names_host(self, name: str) -> bool:
        """Whether a ``Host`` line means ``name`` in particular, not just all hosts."""
        return any(
            line.keyword == "host"
            and _matches(name, line.arguments)
            and any(pattern != "*" and _fits(name, pattern) for pattern in line.arguments)
            for line in _all_lines(self._lines)
        )

    def host_names(self) -> list[str]:
        """The names on ``Host`` lines that mean one host each, in the order of the file."""
        names: dict[str, None] = {}
        for line in _all_lines(self._lines):
            if line.keyword == "host":
                plain = (name for name in line.arguments if not name.startswith("!") and not set(name) & set("*?"))
                names.update((name, None) for name in plain if _matches(name, line.arguments))
        return list(names)


_parsed: dict[tuple[str, int, int], SSHConfig] = {}


def load_ssh_config(path: str | None = None) -> SSHConfig:
    """The configuration in ``path`` (default ``~/.ssh/config``), parsed again only when the file has changed."""
    full_path = os.path.expanduser(path or DEFAULT_CONFIG_FILE)
    try:
        status = os.stat(full_path)
    except OSError:
        return SSHConfig(full_path)
    key = (full_path, status.st_mtime_ns, status.st_size)
    if key not in _parsed:
        _parsed[key] = SSHConfig(full_path)
    return _parsed[key]


def _all_lines(lines: Iterable[Line]) -> Iterator[Line]:
    for line in lines:
        yield line
        yield from _all_lines(line.included)


def _matches(value: str, patterns: Iterable[str]) -> bool:
    """Whether a value fits one of the patterns, and none of those that begin with ``!``."""
    fits = False
    for pattern in patterns:
        if pattern.startswith("!"):
            if _fits(value, pattern[1:]):
                return False
        elif _fits(value, pattern):
            fits = True
    return fits


def _fits(value: str, pattern: str) -> bool:
    # Brackets are no wildcards here: [::1] is an address
    return fnmatchcase(value, pattern.replace("[", "[[]"))


def _matches_in_any_case(value: str, patterns: Iterable[str]) -> bool:
    return _matches(value.lower(), [pattern.lower() for pattern in patterns])


class _Search:
    """One walk through the lines, which collects what applies to a host."""

    def __init__(self, name: str, user: str | None, port: int | None) -> None:
        self.name = name
        self.given_user = user
        self.given_port = port
        self.values: dict[str, list[str]] = {}
        self.places: dict[str, str] = {}
        self.applies = True
        self.warnings: list[str] = []

    def walk(self, lines: Iterable[Line]) -> None:
        for line in lines:
            if line.keyword == "host":
                self.applies = _matches(self.name, line.arguments)
            elif line.keyword == "match":
                self.applies = self._match(line)
            elif not self.applies:
                continue
            elif line.keyword == "include":
                self.walk(line.included)
                self.applies = True
            else:
                self._take(line)

    def _take(self, line: Line) -> None:
        keyword = ALIASES.get(line.keyword, line.keyword)
        if keyword in _LISTS:
            self.values.setdefault(keyword, []).append(line.arguments[0])
        elif keyword not in self.values:
            self.values[keyword] = list(line.arguments)
            self.places[keyword] = line.place
            if not is_known(keyword) and not self._is_ignored(keyword):
                self.warnings.append(f"{line.place}: unknown setting: {line.keyword}")

    def _is_ignored(self, keyword: str) -> bool:
        return _matches_in_any_case(keyword, (self.first("ignoreunknown") or "").split(","))

    def first(self, keyword: str) -> str | None:
        values = self.values.get(keyword)
        return values[0] if values else None

    @property
    def host_name(self) -> str:
        given = self.first("hostname")
        return self.name if given is None else given.replace("%%", "\0").replace("%h", self.name).replace("\0", "%")

    @property
    def user(self) -> str:
        return self.given_user or self.first("user") or getpass.getuser()

    def _match(self, line: Line) -> bool:
        words = list(line.arguments)
        while words:
            criterion = words.pop(0)
            negated = criterion.startswith("!")
            criterion, equals, value = criterion.lstrip("!").partition("=")
            criterion = criterion.lower()
            if criterion in {"all", "final", "canonical"}:
                # There is one pass over the file: what waits for a second one is decided as at its end
                holds = criterion != "canonical"
            else:
                if not equals and not words:
                    raise SSHConfigError(f"{line.place}: Match {criterion} needs a value")
                value = value if equals else words.pop(0)
                outcome = self._criterion(criterion, value, line)
                if outcome is None:
                    return False
                holds = outcome
            if holds == negated:
                return False
        return True

    def _criterion(self, criterion: str, value: str, line: Line) -> bool | None:
        """Whether a value meets the criterion; ``None`` where that cannot be told."""
        patterns = value.split(",")
        if criterion == "host":
            return _matches_in_any_case(self.host_name, patterns)
        if criterion == "originalhost":
            return _matches_in_any_case(self.name, patterns)
        if criterion == "user":
            return _matches(self.user, patterns)
        if criterion == "localuser":
            return _matches(getpass.getuser(), patterns)
        if criterion in {"exec", "localnetwork", "tagged", "version", "sessiontype", "command"}:
            self.warnings.append(f"{line.place}: `Match {criterion}` is not evaluated, its block is passed over")
            return None
        raise SSHConfigError(f"{line.place}: unknown criterion: Match {criterion}")

    def is_on(self, keyword: str, default: bool) -> bool:
        value = self.first(keyword)
        if value is None:
            return default
        # Ways to use a key that differ with agents on other hosts alone
        is_yes = value.lower() in _YES or (keyword == "pubkeyauthentication" and value in {"unbound", "host-bound"})
        if not is_yes and value.lower() not in _NO:
            raise SSHConfigError(f"{self.places[keyword]}: {value!r} is neither yes nor no")
        return is_yes

    def seconds(self, keyword: str) -> float | None:
        value = self.first(keyword)
        if value is None or value.lower() == "none":
            return None
        parts = re.findall(r"(\d+)([smhdw]?)", value.lower())
        if not parts or "".join(number + unit for number, unit in parts) != value.lower():
            raise SSHConfigError(f"{self.places[keyword]}: {value!r} is no time (30, 30s, 2m)")
        return float(sum(int(number) * _UNITS[unit] for number, unit in parts))

    def number(self, keyword: str) -> int | None:
        value = self.first(keyword)
        if value is None:
            return None
        if not value.isdigit():
            raise SSHConfigError(f"{self.places[keyword]}: {value!r} is no number")
        return int(value)

    def expand(self, text: str, *, port: int, home: bool = True) -> str:
        """``text`` with its ``%`` tokens, ``${VARIABLES}`` and (for files) ``~`` replaced."""
        tokens = {
            "%": "%",
            "d": os.path.expanduser("~"),
            "h": self.host_name,
            "i": str(os.getuid()) if hasattr(os, "getuid") else "",
            "k": self.first("hostkeyalias") or self.name,
            "L": socket.gethostname().partition(".")[0],
            "l": socket.gethostname(),
            "n": self.name,
            "p": str(port),
            "r": self.user,
            "u": getpass.getuser(),
        }
        text = re.sub(r"%(.)", lambda match: tokens.get(match[1], match[0]), text)
        if not home:
            return text
        text = re.sub(r"\$\{(\w+)\}", lambda match: os.environ.get(match[1], ""), text)
        return os.path.expanduser(text)

    def paths(self, keyword: str, port: int) -> tuple[str, ...]:
        return tuple(self.expand(value, port=port) for value in self.values.get(keyword, ()))

    def settings(self) -> HostSettings:
        if "refuseconnection" in self.values:
            raise SSHConfigError(f"{self.places['refuseconnection']}: {self.first('refuseconnection')}")
        port = self.number("port")
        if port is not None and not 0 < port <= _HIGHEST_PORT:
            raise SSHConfigError(f"{self.places['port']}: {port} is no port")
        for_tokens = self.given_port or port or 22
        jump = re.split(r"\s#", self.first("proxyjump") or "none")[0].strip()
        command = self.first("proxycommand") or "none"
        if jump.lower() != "none" and command.lower() != "none":
            # Whichever stands first in the file; dicts keep that order
            if list(self.values).index("proxyjump") < list(self.values).index("proxycommand"):
                command = "none"
            else:
                jump = "none"
        self._warn_of_what_is_missing()
        return HostSettings(
            name=self.name,
            host_name=self.host_name,
            user=self.first("user"),
            port=port,
            identity_files=tuple(path for path in self.paths("identityfile", for_tokens) if path.lower() != "none"),
            certificate_files=tuple(
                path for path in self.paths("certificatefile", for_tokens) if path.lower() != "none"
            ),
            identities_only=self.is_on("identitiesonly", False),
            identity_agent=self._agent_path(for_tokens),
            connect_timeout=self.seconds("connecttimeout"),
            connection_attempts=self.number("connectionattempts"),
            proxy_jump=() if jump.lower() == "none" else tuple(hop.strip() for hop in jump.split(",")),
            proxy_command=None if command.lower() == "none" else self.expand(command, port=for_tokens, home=False),
            bind_address=self.first("bindaddress"),
            known_hosts_files=self._files("userknownhostsfile", for_tokens),
            global_known_hosts_files=self._files("globalknownhostsfile", for_tokens),
            host_key_alias=self.first("hostkeyalias"),
            hash_known_hosts=self.is_on("hashknownhosts", False),
            strict_host_key_checking=self.first("stricthostkeychecking"),
            forward_agent=self._forward_agent(for_tokens),
            authentications=self._authentications(),
            revoked_host_keys=self._files("revokedhostkeys", for_tokens) or (),
            required_rsa_size=self.number("requiredrsasize") or 0,
            algorithms=tuple((kind, self.values[name][0]) for name, kind in ALGORITHMS.items() if name in self.values),
            compression=self.is_on("compression", False),
            server_alive_interval=self.seconds("serveraliveinterval"),
            server_alive_count_max=self.number("serveralivecountmax"),
            warnings=self.warnings,
        )

    def _agent_path(self, port: int) -> str | None:
        value = self.first("identityagent")
        if value is None or value == "SSH_AUTH_SOCK":
            return None
        if value.lower() == "none":
            return "none"
        if value.startswith("$") and not value.startswith("${"):
            return os.environ.get(value[1:], "none")
        return self.expand(value, port=port)

    def _authentications(self) -> tuple[str, ...]:
        preferred = self.first("preferredauthentications")
        names = tuple(AUTHENTICATIONS) if preferred is None else preferred.split(",")
        return tuple(name for name in names if name in AUTHENTICATIONS and self.is_on(AUTHENTICATIONS[name], True))

    def _files(self, keyword: str, port: int) -> tuple[str, ...] | None:
        if keyword not in self.values:
            return None
        return tuple(path for path in self.paths(keyword, port) if path.lower() != "none")

    def _forward_agent(self, port: int) -> bool | str:
        value = self.first("forwardagent") or "no"
        if value.lower() in {*_YES, *_NO}:
            return value.lower() in _YES
        if value.startswith("$") and not value.startswith("${"):
            return os.environ.get(value[1:]) or False
        return self.expand(value, port=port)

    def _warn_of_what_is_missing(self) -> None:
        for keyword, (what, asking_for_nothing) in LACKING.items():
            value = self.first(keyword)
            if value is not None and value.lower() not in asking_for_nothing:
                self.warnings.append(f"{self.places[keyword]}: {what}")
