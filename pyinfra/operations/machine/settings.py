"""Names, kernel settings and modules, locales, limits, the time zone."""

from __future__ import annotations

from collections.abc import Generator
from io import StringIO
from typing import Any

from pyinfra import host
from pyinfra.api import OperationError, OperationValueError, QuoteString, StringCommand, operation
from pyinfra.api.command import QuotePath
from pyinfra.api.hiddenvalue import mask_like, reveal, shown
from pyinfra.facts.files import Directory, FindInFile
from pyinfra.facts.machine.settings import parse_setting
from pyinfra.facts.server import (
    Command,
    Hostname,
    KernelModules,
    Locales,
    Os,
    SecurityLimits,
    Sysctl,
    Timezone,
    Which,
)

from .. import files
from ..util.files import escape_regex, sed_delete
from . import of_server

# Where systems keep the data base of time zones
_ZONES = "/usr/share/zoneinfo"


@operation()
@of_server
def modprobe(module: str | list[str], present: bool = True, force: bool = False) -> Generator[Any, None, None]:
    """Load or unload kernel modules.

    Args:
        module: its name, or a list of names
        present: whether it should be loaded
        force: whether the kernel is to ignore that versions differ or that the module is in use

    .. code:: python

        server.modprobe(name="Load the driver of the camera", module="uvcvideo")
    """
    names = [module] if isinstance(module, str) else list(module)
    loaded = host.get_fact(KernelModules)
    # To the kernel the two dashes are one, and it lists modules with the low one
    to_change = [name for name in names if (name in loaded or name.replace("-", "_") in loaded) is not present]
    if not to_change:
        what = f"module {names[0]} is" if len(names) == 1 else f"modules {'/'.join(names)} are"
        host.noop(f"{what} {'loaded' if present else 'not loaded'}")
        return
    options = [*(["-f"] if force else []), *([] if present else ["-r"]), "-a"]
    yield StringCommand("modprobe", *options, *map(QuoteString, to_change))


def _get_hostname_file() -> str | None:
    """Where the system reads its name when it starts; ``None`` on FreeBSD, which has it among other settings."""
    system = host.get_fact(Os)
    if system == "Linux":
        return "/etc/hostname"
    if system == "FreeBSD":
        return None
    if "BSD" in system:
        return "/etc/myname"
    raise OperationValueError(f"{system} keeps its name in a file that is not known here: name it as hostname_file")


@operation()
@of_server
def hostname(hostname: str, hostname_file: str | None = None) -> Generator[Any, None, None]:
    """Set the machine's name, now and for its next starts.

    Args:
        hostname: the name
        hostname_file: the file that keeps it. By default ``hostnamectl`` sees to that; where that is missing, it is
            ``/etc/hostname`` on Linux, ``/etc/myname`` on OpenBSD and NetBSD, and the settings of ``rc`` on FreeBSD

    .. code:: python

        server.hostname(name="Name the node", hostname="web-1.example.com")
    """
    is_set = host.get_fact(Hostname) == hostname
    if is_set:
        host.noop("hostname is set")
    if hostname_file is None and host.get_fact(Which, command="hostnamectl"):
        if not is_set:
            yield StringCommand("hostnamectl", "set-hostname", QuoteString(hostname))
        return
    if not is_set:
        yield StringCommand("hostname", QuoteString(hostname))
    path = hostname_file or _get_hostname_file()
    if path is not None:
        yield from files.put._inner(src=StringIO(f"{hostname}\n"), dest=path)
    elif not is_set:
        yield StringCommand("sysrc", StringCommand("hostname=", QuoteString(hostname), _separator=""))


def _linked_zone(timezone: str, current: str) -> str | None:
    """The time zone that the name of another leads to, as ``UTC`` may to ``Etc/UTC``.

    It is asked for only if it could be the current one: links in the data base lead to names with a slash.
    """
    if "/" not in current:
        return None
    command = StringCommand("readlink -f", QuoteString(f"{_ZONES}/{timezone}"), "|| true")
    found = str(host.get_fact(Command, command=command.get_raw_value()) or "")
    return found.partition("/zoneinfo/")[2]


@operation()
@of_server
def timezone(timezone: str) -> Generator[Any, None, None]:
    """Set the machine's time zone.

    Args:
        timezone: its name in the zoneinfo data base

    .. code:: python

        server.timezone(name="Set the time zone", timezone="Europe/Amsterdam")
    """
    current = host.get_fact(Timezone)
    if current == timezone or (current is not None and current == _linked_zone(timezone, current)):
        host.noop("timezone is set")
        return
    # timedatectl is a client of systemd's, and of no use where that isn't running
    if host.get_fact(Which, command="timedatectl") and host.get_fact(Directory, path="/run/systemd/system"):
        yield StringCommand("timedatectl", "set-timezone", QuoteString(timezone))
        return
    yield StringCommand("ln", "-sf", QuoteString(f"{_ZONES}/{timezone}"), "/etc/localtime")
    yield StringCommand("echo", QuoteString(timezone), "> /etc/timezone")


@operation()
@of_server
def sysctl(
    key: str,
    value: str | int | list[str | int],
    persist: bool = False,
    persist_file: str = "/etc/sysctl.conf",
) -> Generator[Any, None, None]:
    """Set a kernel setting.

    Args:
        key: its name
        value: a number, text, or a list of them
        persist: whether it should hold after a restart too
        persist_file: the file that the system reads such settings from

    .. code:: python

        server.sysctl(name="Forward packets", key="net.ipv4.ip_forward", value=1, persist=True)
    """
    value = reveal(value)
    text = mask_like(" ".join(map(str, value)), *value) if isinstance(value, (list, tuple)) else str(value)
    if host.get_fact(Sysctl, keys=[key]).get(key) == parse_setting(text):
        host.noop(f"sysctl {key} is set to {shown(text)}")
    else:
        yield StringCommand("sysctl", StringCommand(QuoteString(key), "=", QuoteString(text), _separator=""))
    if persist:
        line = rf"^[[:space:]]*{escape_regex(key)}[[:space:]]*=.*$"
        yield from files.line._inner(path=persist_file, line=line, replace=f"{key} = " + text, ensure_newline=True)


def _normal_locale(locale: str) -> str:
    """A locale's name with its character set as ``locale -a`` spells it: ``en_US.UTF-8`` is ``en_US.utf8`` there."""
    language, dot, rest = locale.partition(".")
    codeset, at, modifier = rest.partition("@")
    normal = "".join(letter for letter in codeset.lower() if letter.isalnum())
    return f"{language}{dot}{normal}{at}{modifier}"


@operation()
@of_server
def locale(locale: str, present: bool = True) -> Generator[Any, None, None]:
    """Have a locale on the machine, or not, by ``/etc/locale.gen`` and ``locale-gen``.

    Args:
        locale: its name as ``/etc/locale.gen`` has it
        present: whether it should be there

    .. code:: python

        server.locale(name="Have French texts", locale="fr_FR.UTF-8")
    """
    current = [_normal_locale(name) for name in host.get_fact(Locales)]
    if (_normal_locale(locale) in current) is present:
        host.noop(f"locale {locale} {'exists' if present else 'does not exist'}")
        return
    path = "/etc/locale.gen"
    lines = host.get_fact(FindInFile, path=path, pattern=rf"^.*{locale}[[:space:]]\+.*$")
    if not lines:
        raise OperationError(f"{path} has no line for the locale {locale}: is its name right?")
    for line in lines:
        entry = line.lstrip("# ")
        wanted = entry if present else f"# {entry}"
        if line != wanted and entry.split()[:1] == [locale]:
            yield from files.line._inner(path=path, line=f"^{line}$", replace=wanted)
    yield "locale-gen"


@operation()
@of_server
def security_limit(domain: str, limit_type: str, item: str, value: int | str) -> Generator[Any, None, None]:
    """Set a limit in ``/etc/security/limits.conf``.

    Args:
        domain: a user, ``@group`` or ``*``
        limit_type: ``soft``, ``hard`` or ``-`` for both
        item: what is limited: ``nofile``, ``memlock`` …
        value: the limit, or ``unlimited``

    .. code:: python

        server.security_limit(name="Many open files", domain="www-data", limit_type="soft", item="nofile", value=65536)
    """
    path = "/etc/security/limits.conf"
    wanted = [domain, limit_type, item, str(value)]
    line = "\t".join(wanted)
    pattern = f"^{escape_regex(line)}$"
    if host.get_fact(FindInFile, path=path, pattern=pattern):
        # Of several lines for one thing the last counts
        limits = (list(limit.values()) for limit in host.get_fact(SecurityLimits))
        if [limit for limit in limits if limit[:3] == wanted[:3]][-1:] == [wanted]:
            host.noop(f"limit {' '.join(wanted)} is set")
            return
        yield sed_delete(path, pattern, "")
    yield StringCommand("echo", QuoteString(line), ">>", QuotePath(path))
