"""What Ansible's connection variables mean in pyinfra: which connector, its data, and global arguments."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pyinfra.api.command import MaskString
from pyinfra.api.exceptions import InventoryError
from pyinfra.api.hiddenvalue import mask_like

from ..base import BaseConnector
from ..chroot import ChrootConnector
from ..docker import DockerConnector, PodmanConnector
from ..incus import IncusConnector, LXDConnector
from ..kubernetes import KubernetesConnector
from ..local import LocalConnector
from ..openssh import OpenSSHConnector
from ..ssh import SSHConnector
from .values import HostVariables, is_template

_METHOD = ("ansible_become_method",)
_CONNECTION = ("ansible_connection",)
_USER = ("ansible_user", "ansible_ssh_user")
_PASSWORD = ("ansible_password", "ansible_ssh_pass", "ansible_ssh_password")
_KEY = ("ansible_private_key_file", "ansible_ssh_private_key_file")
_KEY_PASSWORD = ("ansible_private_key_passphrase", "ansible_ssh_private_key_passphrase")
_CHECKING = ("ansible_host_key_checking", "ansible_ssh_host_key_checking")
_TRANSFER = ("ansible_ssh_transfer_method",)
_TIMEOUT = ("ansible_timeout", "ansible_paramiko_timeout", "ansible_ssh_timeout")
# Without them Ansible would not reach the host
_UNSUPPORTED_BY_SSH = (
    "ansible_private_key",
    "ansible_ssh_private_key",
    "ansible_ssh_pkcs11_provider",
)
_SSH_ARGUMENTS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")


@dataclass(frozen=True, slots=True)
class Place:
    """A connector that reaches what one of Ansible's connection plugins does.

    Args:
        connector: its name
        address: the key of its data that says which container, folder …; the host's name if no variable does
        variables: those that say it
        data: other keys of its data, and the variables for these
        unsupported: variables that it has nothing for
    """

    connector: str
    address: str
    variables: tuple[str, ...]
    data: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unsupported: tuple[str, ...] = ()


def _container_place(program: str) -> Place:
    return Place(
        program,
        "docker_identifier",
        ("ansible_host", f"ansible_{program}_host"),
        {"docker_user": ("ansible_user", f"ansible_{program}_user")},
        (f"ansible_{program}_extra_args", f"ansible_{program}_docker_host"),
    )


def _instance_place(program: str) -> Place:
    names = ("remote", "project")
    data = {f"{program}_{name}": (f"ansible_{program}_{name}",) for name in names}
    return Place(program, f"{program}_instance", ("ansible_host", f"ansible_{program}_host"), data)


_KUBECTL = ("namespace", "container", "context", "kubeconfig")

# By the last part of a plugin's name: community.docker.docker is docker
PLACES: dict[str, Place] = {
    "docker": _container_place("docker"),
    "docker_api": _container_place("docker"),
    "podman": _container_place("podman"),
    "incus": _instance_place("incus"),
    "lxd": _instance_place("lxd"),
    "chroot": Place("chroot", "chroot_directory", ("ansible_host",)),
    "kubectl": Place(
        "kubernetes",
        "kubernetes_pod",
        ("ansible_kubectl_pod",),
        {f"kubernetes_{name}": (f"ansible_kubectl_{name}",) for name in _KUBECTL},
        ("ansible_kubectl_extra_args", "ansible_kubectl_host"),
    ),
}
# Likewise, with the variables that say through which program a host is reached
_PARAMIKO_PROXY = ("ansible_paramiko_proxy_command",)
_SSH: dict[str, tuple[str, ...]] = {
    "ssh": (),
    "smart": (),
    "paramiko": _PARAMIKO_PROXY,
    "paramiko_ssh": _PARAMIKO_PROXY,
    "libssh": (*_PARAMIKO_PROXY, "ansible_libssh_proxy_command"),
}
# Those that hosts are of, by name
_CONNECTORS: dict[str, type[BaseConnector]] = {
    "chroot": ChrootConnector,
    "docker": DockerConnector,
    "incus": IncusConnector,
    "kubernetes": KubernetesConnector,
    "local": LocalConnector,
    "lxd": LXDConnector,
    "openssh": OpenSSHConnector,
    "podman": PodmanConnector,
    "ssh": SSHConnector,
}


class NoSuchConnection(InventoryError):
    """No connector does what a host's ``ansible_connection`` says; the message does not name the host."""


def reach(variables: HostVariables) -> tuple[str, dict[str, Any]]:
    """pyinfra's name of a host of an inventory, and its data: its variables, and what connection variables amount to.

    A variable that is called like data of the host's connector, ``ssh_port`` for example, has nothing to do with
    connections for Ansible: it is left out, with a warning.

    Raises:
        NoSuchConnection: no connector does what ``ansible_connection`` says
        InventoryError: nothing can be made of another variable
    """
    connector, name, translated = _reach(variables)
    data = variables.plain()
    for key in [key for key in data if key in _CONNECTORS[connector].data_meta]:
        value = data.pop(key)
        # Connection variables are often templates that name such a variable
        if key not in translated or not (is_template(value) or str(value) == str(translated[key])):
            variables.warn(
                (key,),
                f"is left out of host data, since @{connector} would connect by it, which Ansible does not: rename it "
                "to read it in deploys; what is for connections belongs into ansible_… variables or group_data",
            )
    return name, {**data, **translated}


def _reach(variables: HostVariables) -> tuple[str, str, dict[str, Any]]:
    """The connector that a host is of, its name, and what its connection variables amount to."""
    host = variables.host
    connection = (variables.text(*_CONNECTION) or "ssh").rpartition(".")[2]
    if connection not in (*_SSH, "local", *PLACES):
        shown = variables.shown(_CONNECTION, connection)
        known = ", ".join(["ssh", "local", *PLACES])
        why = f"is `{shown}`, which no connector here can do (there are: {known})"
        raise NoSuchConnection(variables.about_one(_CONNECTION, why))
    data = _elevation(variables)
    if (shell := variables.text("ansible_shell_executable")) is not None:
        data["_shell_executable"] = shell
    if connection in _SSH:
        connector, ssh_data = _ssh_data(variables, _SSH[connection])
        return connector, host if connector == "ssh" else f"@{connector}/{host}", {**ssh_data, **data}
    if connection == "local":
        return "local", "@local" if host == "localhost" else f"@local/{host}", data
    place = PLACES[connection]
    data[place.address] = variables.text(*place.variables) or host
    for key, names in place.data.items():
        if (value := variables.text(*names)) is not None:
            data[key] = value
    _warn_of_unsupported(variables, place.connector, place.unsupported)
    return place.connector, f"@{place.connector}/{host}", data


def _warn_of_unsupported(variables: HostVariables, connector: str, names: tuple[str, ...]) -> None:
    for name in names:
        if variables.is_set(name):
            variables.warn((name,), f"means nothing to @{connector}: ignored")


# SSH


def _ssh_data(variables: HostVariables, proxy: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """The connector for a host of SSH, and its data. One with another way than the straight one is for ``ssh`` itself.

    Args:
        proxy: the variables that name a program to reach it through
    """
    found: dict[str, Any] = {
        "ssh_hostname": variables.text("ansible_host", "ansible_ssh_host"),
        "ssh_port": variables.number("ansible_port", "ansible_ssh_port"),
        "ssh_user": variables.text(*_USER),
        "ssh_password": variables.text(*_PASSWORD),
        "ssh_key": variables.text(*_KEY),
        "ssh_key_password": variables.text(*_KEY_PASSWORD),
        "ssh_connect_retries": variables.number("ansible_ssh_retries"),
        "ssh_file_transfer_protocol": _transfer_protocol(variables),
    }
    data = {key: value for key, value in found.items() if value is not None}
    options: list[tuple[tuple[str, ...], str, str]] = [
        ((name,), keyword, value) for name in _SSH_ARGUMENTS for keyword, value in _ssh_options(variables, name)
    ]
    if (program := variables.text(*proxy)) is not None:
        options.append((proxy, "proxycommand", program))
    connector = "openssh" if any(keyword in _WAYS for _, keyword, _ in options) else "ssh"
    lines = []
    for names, keyword, value in options:
        if keyword in _OPTIONS:
            key, convert = _OPTIONS[keyword]
            try:
                # Variables of their own win over options
                data.setdefault(key, convert(value))
            except ValueError:
                shown = variables.shown(names, repr(value))
                raise variables.wrong(names, f"should have a number for {keyword}, got {shown}") from None
        elif connector == "openssh" and not keyword.startswith("-"):
            if keyword not in _NEEDLESS_OPTIONS:
                lines.append(mask_like(f"{keyword}={value}", value))
        elif keyword not in (*_NEEDLESS_OPTIONS, *_QUIET_OPTIONS):
            shown = variables.shown(names, keyword)
            variables.warn(names, f"has {shown}, which host data cannot say: put it in ~/.ssh/config")
    if variables.truth(*_CHECKING) is False:
        data["ssh_strict_host_key_checking"] = "no"
    if variables.is_set(*_TIMEOUT):
        why = f"means nothing to @{connector}: ignored; CONNECT_TIMEOUT in config.py says it for all hosts"
        variables.warn(_TIMEOUT, why)
    _warn_of_unsupported(variables, connector, _UNSUPPORTED_BY_SSH)
    if connector == "openssh":
        # It copies files through a shell
        data.pop("ssh_file_transfer_protocol", None)
        data = {"ssh_hostname": variables.host, **data, "openssh_options": lines}
    return connector, data


def _transfer_protocol(variables: HostVariables) -> str | None:
    method = variables.text(*_TRANSFER)
    if method in (None, "sftp", "scp"):
        return method
    # Through a shell, which is how a connection copies files anyway
    if method in ("piped", "smart"):
        return None
    shown = variables.shown(_TRANSFER, method)
    raise variables.wrong(_TRANSFER, f"is `{shown}`, which is none of sftp, scp, piped, smart")


def _as_it_is(value: str) -> str:
    # Where str() would make plain text of a secret
    return value


def _is_yes(value: str) -> bool:
    return value.lower() in ("yes", "true")


# OpenSSH's options that host data can say, in small letters
_OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "stricthostkeychecking": ("ssh_strict_host_key_checking", str.lower),
    "userknownhostsfile": ("ssh_known_hosts_file", _as_it_is),
    "identityfile": ("ssh_key", _as_it_is),
    "forwardagent": ("ssh_forward_agent", _is_yes),
    "user": ("ssh_user", _as_it_is),
    "port": ("ssh_port", int),
    "hostname": ("ssh_hostname", _as_it_is),
    "configfile": ("ssh_config_file", _as_it_is),
}
# Those that say through what a host is reached, even if it is nothing: without them it might be another one
_WAYS = ("proxyjump", "proxycommand")
# Those that a connection does without: pyinfra keeps one open anyway
_NEEDLESS_OPTIONS = ("controlmaster", "controlpersist", "controlpath", "loglevel", "batchmode", "requesttty")
# Those that @ssh does without
_QUIET_OPTIONS = (
    *("serveraliveinterval", "serveralivecountmax", "connecttimeout", "connectionattempts", "preferredauthentications"),
    *("identitiesonly", "pubkeyauthentication", "tcpkeepalive", "compression"),
)
_FLAGS_WITH_VALUE = {"-i": "identityfile", "-l": "user", "-p": "port", "-F": "configfile", "-J": "proxyjump"}
_FLAGS = {"-A": ("forwardagent", "yes"), "-a": ("forwardagent", "no"), "-C": ("compression", "yes")}
_QUIET_FLAGS = ("-q", "-v", "-vv", "-vvv", "-T", "-t", "-tt", "-4", "-6")


def _ssh_options(variables: HostVariables, name: str) -> Iterator[tuple[str, str]]:
    """The options in a variable that holds arguments of ``ssh``: keywords in small letters, and values."""
    text = variables.text(name) or ""
    kind = MaskString if isinstance(text, MaskString) else str
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise variables.wrong((name,), f"cannot be split into words: {error}") from None
    while words:
        word = words.pop(0)
        if word in _FLAGS:
            yield _FLAGS[word]
        elif word[:2] in (*_FLAGS_WITH_VALUE, "-o"):
            if not word[2:] and not words:
                raise variables.wrong((name,), f"ends with {word}, which needs a value")
            value = word[2:] or words.pop(0)
            if word[:2] == "-o":
                keyword, _, value = value.replace("=", " ", 1).strip().partition(" ")
                yield keyword.lower(), kind(value.strip())
            else:
                yield _FLAGS_WITH_VALUE[word[:2]], kind(value)
        elif word.startswith("-") and word not in _QUIET_FLAGS:
            yield word, ""


# Other users


def _become_names(method: str, *words: str) -> tuple[str, ...]:
    """The names of a variable about becoming another user, for any method and for this one."""
    return (*(f"ansible_become_{word}" for word in words), *(f"ansible_{method}_{word}" for word in words))


def _elevation(variables: HostVariables) -> dict[str, Any]:
    """The global arguments for the user that commands run as."""
    method = (variables.text(*_METHOD) or "sudo").rpartition(".")[2]
    become = variables.truth("ansible_become")
    user = variables.text(*_become_names(method, "user"))
    password = variables.text(*_become_names(method, "password", "pass"))
    if method == "sudo":
        sudo = {"_sudo": become, "_sudo_user": user, "_sudo_password": password, **_sudo_flags(variables)}
        return {key: value for key, value in sudo.items() if value is not None}
    if not become:
        return {}
    if method == "su":
        return {"_su_user": user or "root", **({} if password is None else {"_su_password": password})}
    if method in ("doas", "dzdo"):
        if password is not None:
            names = _become_names(method, "password", "pass")
            variables.warn(names, f"is for {method}, which gets no password from pyinfra: ignored")
        return {f"_{method}": True, **({} if user is None else {f"_{method}_user": user})}
    shown = variables.shown(_METHOD, method)
    raise variables.wrong(_METHOD, f"is `{shown}`, which pyinfra cannot do; there are: sudo, su, doas, dzdo")


# Ansible has the first three by default, and pyinfra does without them
_SUDO_FLAGS: dict[str, dict[str, bool]] = {
    **{flag: {} for flag in ("-H", "-S", "-n", "--set-home", "--stdin", "--non-interactive")},
    **{flag: {"_use_sudo_login": True} for flag in ("-i", "--login")},
    **{flag: {"_preserve_sudo_env": True} for flag in ("-E", "--preserve-env")},
}


def _sudo_flags(variables: HostVariables) -> dict[str, bool]:
    names = _become_names("sudo", "flags")
    arguments: dict[str, bool] = {}
    for word in (variables.text(*names) or "").split():
        letters = [f"-{letter}" for letter in word[1:]] if word.startswith("-") and word[1:2] != "-" else [word]
        for flag in letters:
            if flag in _SUDO_FLAGS:
                arguments.update(_SUDO_FLAGS[flag])
            else:
                variables.warn(names, f"has {variables.shown(names, flag)}, which no global argument does: ignored")
    return arguments
