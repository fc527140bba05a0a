"""Where an SSH connection goes and how it logs in: host data and ``~/.ssh/config`` brought together."""

from __future__ import annotations

import getpass
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pyinfra.api.exceptions import ConnectError

from .sshconfig import AUTHENTICATIONS, HostSettings, SSHConfig, load_ssh_config
from .sshconfiglines import SSHConfigError

HOST_KEY_MODES = ("ask", "yes", "no", "off", "accept-new")
# As OpenSSH's ServerAliveInterval and ServerAliveCountMax; it has the first one off
ALIVE_SECONDS = 15.0
ALIVE_COUNT = 3
DEFAULT_PORT = 22

_TAKEN_KWARGS = {
    *("hostname", "port", "username", "password", "pkey", "key_filename", "passphrase", "allow_agent", "look_for_keys"),
    *("timeout", "banner_timeout", "auth_timeout", "channel_timeout", "compress", "disabled_algorithms", "sock"),
}
_KERBEROS_KWARGS = {"gss_auth", "gss_kex", "gss_deleg_creds", "gss_host", "gss_trust_dns"}


@dataclass(frozen=True)
class Target:
    """One SSH server, and how to log in to it. Equal targets can share a connection."""

    host: str
    port: int
    user: str
    # Seconds for the TCP connection
    timeout: float
    password: str | None = field(default=None, repr=False)
    # Key files that were named for this host: they must exist
    key_files: tuple[str, ...] = ()
    key_password: str | None = field(default=None, repr=False)
    # Those of the configuration, which may be missing
    identity_files: tuple[str, ...] = ()
    certificate_files: tuple[str, ...] = ()
    identities_only: bool = False
    allow_agent: bool = True
    look_for_keys: bool = True
    # A path, "none", or None for the environment's
    agent: str | None = None
    forward_agent: bool | str = False
    host_key_mode: str = "accept-new"
    host_key_name: str | None = None
    known_hosts: tuple[str, ...] | None = None
    global_known_hosts: tuple[str, ...] | None = None
    hash_known_hosts: bool = False
    # Ways to log in, those first that are tried first
    authentications: tuple[str, ...] = tuple(AUTHENTICATIONS)
    revoked_host_keys: tuple[str, ...] = ()
    required_rsa_size: int = 0
    # Lists of ssh_config, by the kind of the algorithms
    algorithms: tuple[tuple[str, str], ...] = ()
    alive_seconds: float = ALIVE_SECONDS
    alive_count: int = ALIVE_COUNT
    bind_address: str | None = None
    compression: bool = False
    proxy_command: str | None = None
    # The server through which this one is reached
    jump: Target | None = None
    # Of ssh_paramiko_connect_kwargs, with nothing to compare them by
    banner_timeout: float | None = field(default=None, compare=False)
    auth_timeout: float | None = field(default=None, compare=False)
    channel_timeout: float | None = field(default=None, compare=False)
    disabled_algorithms: Any = field(default=None, compare=False)
    pkey: Any = field(default=None, compare=False, repr=False)
    sock: Any = field(default=None, compare=False, repr=False)
    # How often to try again where nobody answers
    attempts: int = 1

    def __str__(self) -> str:
        return f"{self.user}@{self.host}" + (f":{self.port}" if self.port != DEFAULT_PORT else "")


def default_hostname(name: str) -> str:
    """Where a host is if no data say so: at its name, without the ``@connector/`` of the inventory that lists it."""
    return name.partition("/")[2] or name if name.startswith("@") else name


def resolve_target(name: str, data: Mapping[str, Any], default_timeout: float) -> tuple[Target, list[str]]:
    """The target that host data and the configuration file make together, and warnings about what cannot be done.

    Args:
        name: the host as the inventory has it
        data: of the connector; values that are ``None`` leave it to the configuration
        default_timeout: seconds for connecting, where the configuration says nothing

    Raises:
        ConnectError: a value or a line of the file is wrong
    """
    given = data.get("ssh_hostname") or default_hostname(name)
    kwargs = dict(data.get("ssh_paramiko_connect_kwargs") or {})
    _check_kwargs(given, kwargs)
    try:
        config = _config(data.get("ssh_config_file"))
        settings = config.lookup(given, data.get("ssh_user"), data.get("ssh_port"))
        warnings = list(settings.warnings)
        jump = _jump(settings.proxy_jump, config, data, default_timeout, (given,), warnings)
        target = replace(_target(settings, config, data, default_timeout, kwargs), jump=jump)
    except (SSHConfigError, OSError) as error:
        raise ConnectError(f"SSH configuration: {error}") from error
    return target, [f"{warning}; {_advice(given)}" for warning in dict.fromkeys(warnings)]


def _config(path: str | None) -> SSHConfig:
    config = load_ssh_config(path)
    if path and not config.is_there:
        raise ConnectError(f"No such SSH configuration file: {path} (ssh_config_file)")
    return config


def _advice(host: str) -> str:
    return f"use @openssh/{host}, which runs the ssh program itself"


def _check_kwargs(host: str, kwargs: Mapping[str, Any]) -> None:
    for key, value in kwargs.items():
        if key in _KERBEROS_KWARGS:
            if value:
                raise ConnectError(f"ssh_paramiko_connect_kwargs: no log-in by Kerberos ({key}); {_advice(host)}")
        elif key not in _TAKEN_KWARGS:
            raise ConnectError(
                f"ssh_paramiko_connect_kwargs: unknown or unsupported key {key!r}; known are "
                f"{', '.join(sorted(_TAKEN_KWARGS))}"
            )


def host_key_mode(value: str, origin: str) -> str:
    """A host key mode, checked; the words of ``ssh_config`` for the same are taken too."""
    mode = {"true": "yes", "false": "no"}.get(value.lower(), value.lower())
    if mode not in HOST_KEY_MODES:
        raise ConnectError(f"{origin}: {value!r} is none of {', '.join(HOST_KEY_MODES)}")
    return mode


def _target(
    settings: HostSettings,
    config: SSHConfig,
    data: Mapping[str, Any],
    default_timeout: float,
    kwargs: Mapping[str, Any],
) -> Target:
    mode = data.get("ssh_strict_host_key_checking")
    if settings.strict_host_key_checking and mode is None:
        mode = host_key_mode(settings.strict_host_key_checking, f"StrictHostKeyChecking in {config.path}")
    known_hosts = data.get("ssh_known_hosts_file")
    key_files = kwargs.get("key_filename") or data.get("ssh_key") or ()
    alive = settings.server_alive_interval
    forward: bool | str = bool(data.get("ssh_forward_agent")) or settings.forward_agent
    return Target(
        host=kwargs.get("hostname") or settings.host_name,
        port=int(kwargs.get("port") or data.get("ssh_port") or settings.port or DEFAULT_PORT),
        user=kwargs.get("username") or data.get("ssh_user") or settings.user or getpass.getuser(),
        timeout=float(kwargs.get("timeout") or settings.connect_timeout or default_timeout),
        attempts=settings.connection_attempts or 1,
        password=kwargs.get("password") or _text(data.get("ssh_password")),
        key_files=(key_files,) if isinstance(key_files, str) else tuple(key_files),
        key_password=kwargs.get("passphrase") or _text(data.get("ssh_key_password")),
        identity_files=settings.identity_files,
        certificate_files=settings.certificate_files,
        identities_only=settings.identities_only,
        allow_agent=bool(kwargs.get("allow_agent", data.get("ssh_allow_agent", True))),
        look_for_keys=bool(kwargs.get("look_for_keys", data.get("ssh_look_for_keys", True))),
        agent=settings.identity_agent,
        forward_agent=forward,
        host_key_mode=host_key_mode(mode or "accept-new", "ssh_strict_host_key_checking"),
        host_key_name=settings.host_key_alias,
        known_hosts=(known_hosts,) if known_hosts else settings.known_hosts_files,
        global_known_hosts=settings.global_known_hosts_files,
        hash_known_hosts=settings.hash_known_hosts,
        authentications=settings.authentications,
        revoked_host_keys=settings.revoked_host_keys,
        required_rsa_size=settings.required_rsa_size,
        algorithms=settings.algorithms,
        alive_seconds=ALIVE_SECONDS if alive is None else alive,
        alive_count=ALIVE_COUNT if settings.server_alive_count_max is None else settings.server_alive_count_max,
        bind_address=settings.bind_address,
        compression=bool(kwargs.get("compress", settings.compression)),
        proxy_command=settings.proxy_command,
        banner_timeout=kwargs.get("banner_timeout"),
        auth_timeout=kwargs.get("auth_timeout"),
        channel_timeout=kwargs.get("channel_timeout"),
        disabled_algorithms=kwargs.get("disabled_algorithms"),
        pkey=kwargs.get("pkey"),
        sock=kwargs.get("sock"),
    )


def _text(secret: Any) -> str | None:
    """A password in clear, of any of the types that hold one."""
    if secret is None:
        return None
    return str(secret.unmask() if hasattr(secret, "unmask") else secret)


_HOP = re.compile(r"(?:ssh://)?(?:(?P<user>.+)@)?(?P<host>\[[^\]]+\]|[^:@]+)(?::(?P<port>\d+))?/?")


def _jump(
    hops: tuple[str, ...],
    config: SSHConfig,
    data: Mapping[str, Any],
    default_timeout: float,
    passed: tuple[str, ...],
    warnings: list[str],
) -> Target | None:
    """The last of the servers to jump through, which holds the ones before it; each is looked up in the file.

    What cannot be done of what the file says about them is added to ``warnings``.
    """
    before: Target | None = None
    for number, hop in enumerate(hops):
        match = _HOP.fullmatch(hop)
        if match is None:
            raise ConnectError(f"ProxyJump: {hop!r} is no [user@]host[:port]")
        host = match["host"].strip("[]")
        port = int(match["port"]) if match["port"] else None
        settings = config.lookup(host, match["user"], port)
        warnings += settings.warnings
        # What belongs to the host behind it, like its password, is not shown to a jump host; its key may well fit both
        own = {
            "ssh_user": match["user"],
            "ssh_port": port,
            "ssh_key": None if settings.identity_files else data.get("ssh_key"),
            **{key: data.get(key) for key in _FOR_ALL_HOPS if key in data},
        }
        target = replace(_target(settings, config, own, default_timeout, {}), forward_agent=False)
        # `Host *` with a ProxyJump means its jump host as well, which cannot be reached through itself
        if number == 0 and host not in passed:
            before = _jump(settings.proxy_jump, config, data, default_timeout, (*passed, host), warnings)
        before = replace(target, jump=before, proxy_command=None if before else target.proxy_command)
    return before


_FOR_ALL_HOPS = (
    *("ssh_key_password", "ssh_allow_agent", "ssh_look_for_keys"),
    *("ssh_known_hosts_file", "ssh_strict_host_key_checking"),
)
