"""What connectors over SSH tell ``rsync``: how it is started on the host, and where it writes there."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from pyinfra.api.command import QuoteString, StringCommand

from .util import make_unix_command_for_host

if TYPE_CHECKING:
    from pyinfra.api.host import Host
    from pyinfra.api.state import State

# What of the arguments has a part in how rsync is started, besides its environment
_ELEVATION_KEYS = (
    *("_sudo", "_sudo_user", "_sudo_password", "_use_sudo_login", "_preserve_sudo_env"),
    *("_doas", "_doas_user", "_dzdo", "_dzdo_user", "_temp_dir"),
)


def remote_rsync(state: State, host: Host, arguments: Any) -> StringCommand:
    """The words that start rsync on the host as connector arguments say, and that take its own arguments after them.

    Raises:
        NotImplementedError: it would have to run with su, which takes no arguments after a command, or in a log-in by
            sudo with variables that a shell has to take apart first
    """
    if arguments.get("_su_user"):
        raise NotImplementedError(f"[{host.name}] rsync cannot run with _su_user: use _sudo and _sudo_user, or _doas")
    variables = [
        QuoteString(StringCommand(f"{name}=", value, _separator=""))
        for name, value in (arguments.get("_env") or {}).items()
    ]
    program = StringCommand(*(["env", *variables] if variables else []), "rsync")
    text = program.get_raw_value()
    in_login = arguments.get("_sudo") and arguments.get("_use_sudo_login")
    if in_login and ("$" in text or "\n" in text or not text.isascii()):
        raise NotImplementedError(f"[{host.name}] rsync cannot have such an _env with _use_sudo_login: leave one out")
    given = {key: arguments[key] for key in _ELEVATION_KEYS if arguments.get(key)}
    return make_unix_command_for_host(state, host, program, _shell_executable=None, **given)


def remote_folder(dest: str, arguments: Any) -> str:
    """Where rsync is to write: a relative path is in the folder that the arguments name."""
    folder = arguments.get("_chdir")
    return posixpath.join(folder, dest) if folder and not dest.startswith("~") else dest


def config_value(value: str) -> str:
    """A value as ``ssh_config`` has it, whose words are separated by blanks."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
