"""Passwords for sudo and su: in files on the host that their readers alone can read, never in a command line.

Such a file holds a password and prints it when it is run: no process has it in its arguments.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any

from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS
from pyinfra.api.command import QuoteString, StringCommand
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.output import paused

from .commandline import doas_words, for_log_in_shell, in_login, make_unix_command, su_words, sudo_words
from .commandoutput import CommandOutput

if TYPE_CHECKING:
    from pyinfra.api.arguments import ConnectorArguments
    from pyinfra.api.host import Host
    from pyinfra.api.state import State

_FRONT_KEYS = {
    "_sudo_password": ("_doas", "_doas_user", "_dzdo", "_dzdo_user"),
    "_su_password": (
        *("_doas", "_doas_user", "_dzdo", "_dzdo_user"),
        *("_sudo", "_sudo_user", "_use_sudo_login", "_preserve_sudo_env", "_sudo_password"),
    ),
}
_ASKPASS_FILES = "askpass_files"
# A host that does not answer any more can be left all the same
_REMOVE_SECONDS = 10
_PROMPTED_PASSWORD = "prompted_sudo_password"


def _password_text(password: Any) -> str:
    """A password in clear, of any of the types that hold one."""
    return str(password.unmask() if hasattr(password, "unmask") else password)


def _askpass_file(state: State, host: Host, which: str, arguments: Mapping[str, Any]) -> str:
    """The path of a program on ``host`` that prints a password of ``arguments``; made if it is not there yet.

    It belongs to the user that will run it: the log-in user, or the one that what comes before in the command line
    changes to.
    """
    folder = arguments.get("_temp_dir") or host.get_temp_dir_config()
    front = {key: arguments[key] for key in ("_temp_dir", *_FRONT_KEYS[which]) if arguments.get(key)}
    password = _password_text(arguments[which])
    files: dict[tuple[Any, ...], tuple[str, dict[str, Any]]] = host.connector_data.setdefault(_ASKPASS_FILES, {})
    key = (folder, password, tuple(front.items()))
    if key not in files:
        path = _make_askpass_file(host, folder, front)
        files[key] = (path, front)
        # It prints what follows its second line. sed is no shell builtin, but has the path alone in its arguments
        script = f'#!/bin/sh\nexec sed 1,2d "$0"\n{password}\n'
        if not host.put_file(BytesIO(script.encode("utf-8", "surrogateescape")), path, **front):
            raise PyinfraError(f"Cannot write {path} on {host.name}, which is to tell a password to sudo or su")
    return files[key][0]


def _make_askpass_file(host: Host, folder: str, front: Mapping[str, Any]) -> str:
    """Make an empty file that its user alone can read, write and run, in the host's ``$TMPDIR`` or ``folder``."""
    default = re.sub(r'([$`"\\}])', r"\\\1", folder)  # as it stands in double quotes and in a parameter's default
    name = StringCommand('"${TMPDIR:=', default, "}/pyinfra-sudo-askpass-", _separator="")
    make = StringCommand("mktemp ", name, 'XXXXXXXXXXXX"', _separator="")
    # mktemp is not everywhere: a name made here, and a shell that refuses to write what exists, do as well
    own = StringCommand("f=", name, secrets.token_hex(6), '" && ( umask 077; set -C; : > "$f" )', _separator="")
    command = StringCommand("{ f=$(", make, " 2> /dev/null) || {", own, '; }; } && chmod 700 "$f" && echo "$f"')
    success, output = host.run_shell_command(command, print_output=False, print_input=False, **front)
    if not success or not output.stdout_lines:
        why = f"{output.stderr}; _temp_dir or TEMP_DIR names another folder"
        if not output.stderr:  # who was killed says nothing
            why = f"the command for it ended with exit code {output.exit_code}"
        raise PyinfraError(f"Cannot make a file for the password of sudo or su in {folder} on {host.name}: {why}")
    return output.stdout_lines[-1]


def remove_askpass_files(host: Host) -> None:
    """Remove from ``host``, which is still connected, the files that hold passwords; what goes wrong is ignored."""
    files = host.connector_data.get(_ASKPASS_FILES, {})
    # The last one first: it may take the password in an earlier one to remove it
    for key, (path, front) in reversed(list(files.items())):
        with suppress(Exception):
            command = StringCommand("rm", "-f", QuoteString(path))
            controls = {"_timeout": _REMOVE_SECONDS, **front}
            host.connector.run_shell_command(command, print_output=False, print_input=False, **controls)
        files.pop(key, None)


def make_unix_command_for_host(
    state: State,
    host: Host,
    command: StringCommand | str,
    **command_arguments: Any,
) -> StringCommand:
    """The command line that runs ``command`` on ``host`` with these connector arguments, on its own.

    For any ``sh -c``. A password for sudo or su is not in it, but in a file on the host that is made first and that
    :func:`remove_askpass_files` removes; a password that was asked for earlier is used as if it were given.

    Raises:
        PyinfraError: the host refuses that file
    """
    arguments = {key: value for key, value in command_arguments.items() if key in _LINE_KEYS}
    unknown = command_arguments.keys() - arguments.keys()
    if unknown:
        raise TypeError(f"make_unix_command_for_host() got unexpected arguments: {', '.join(sorted(unknown))}")
    if arguments.get("_sudo") and not arguments.get("_sudo_password"):
        arguments["_sudo_password"] = host.connector_data.get(_PROMPTED_PASSWORD)
    if arguments.get("_su_user") and arguments.get("_shell_executable", "sh"):
        # su has it read by the user's log-in shell
        command = for_log_in_shell(make_unix_command(command, **_only(arguments, _SURROUNDING_KEYS)))
        arguments |= dict.fromkeys(_SURROUNDING_KEYS)
    sudo_password = arguments.get("_sudo") and arguments.get("_sudo_password")
    su_password = arguments.get("_su_user") and arguments.get("_su_password")
    login = arguments.get("_sudo") and arguments.get("_use_sudo_login")
    if not sudo_password and not su_password and not login:
        return make_unix_command(command, **arguments)

    front = doas_words(*(arguments.get(key) for key in _FRONT_KEYS["_sudo_password"]))  # type: ignore[arg-type]
    if arguments.get("_sudo"):
        mode = ["-n"]
        if sudo_password:
            path = _askpass_file(state, host, "_sudo_password", arguments)
            front += ["env", StringCommand("SUDO_ASKPASS=", QuoteString(path), _separator="")]
            mode = ["-A", "-k"]
        keep_env = arguments.get("_preserve_sudo_env", False)
        front += sudo_words(arguments.get("_sudo_user"), bool(login), keep_env, mode)
    if not su_password:
        inner = make_unix_command(command, **_only(arguments, _INNER_KEYS))
        return StringCommand(*front, in_login(inner) if login else inner)

    # su reads the password where the command would read its input, and writes its prompt where the command writes
    # errors: the command's own wait on 3 and 5. These are given to su itself, and not opened around it, as ksh and mksh
    # keep such descriptors from the programs that they run
    path = _askpass_file(state, host, "_su_password", arguments)
    inner = StringCommand("exec <&3 2>&5 3<&- 5>&-;", make_unix_command(command, **_only(arguments, _SURROUNDING_KEYS)))
    switch = su_words(
        arguments["_su_user"],
        arguments.get("_use_su_login", False),
        arguments.get("_preserve_su_env", False),
        arguments.get("_su_shell"),
        StringCommand("sh", "-c", QuoteString(inner)),
    )
    piped = StringCommand(
        *("{ e=$(", QuoteString(path), "|", *switch, "3<&4 5>&7 2>&1 >&6 4<&- 6>&- 7>&-); s=$?;"),
        # What su itself said, without its prompt in whatever language
        'case $e in su:*) ;; *) e=${e#*: };; esac; [ -z "$e" ] || echo "$e" >&2; exit $s; } 4<&0 6>&1 7>&2',
    )
    in_shell = StringCommand("sh", "-c", QuoteString(piped))
    return StringCommand(*front, in_login(in_shell) if login else in_shell)


_SURROUNDING_KEYS = ("_env", "_chdir", "_shell_executable")
_INNER_KEYS = (*_SURROUNDING_KEYS, "_su_user", "_use_su_login", "_su_shell", "_preserve_su_env")
_LINE_KEYS = frozenset(CONNECTOR_ARGUMENT_KEYS) - {"_success_exit_codes", "_timeout", "_get_pty", "_stdin"}


def _only(arguments: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Some of the arguments."""
    return {key: arguments[key] for key in keys if key in arguments}


_NEEDS_PASSWORD = ("sudo: a password is required", "sudo-rs: interactive authentication is required")


def execute_command_with_sudo_retry(
    host: Host,
    command_arguments: ConnectorArguments,
    execute_command: Callable[..., tuple[int, CommandOutput]],
) -> tuple[int, CommandOutput]:
    """Run a command, and once more with a password if sudo asks for one.

    Args:
        host: where; the password is remembered there for the commands that follow
        command_arguments: the command's arguments: get the password as their ``_sudo_password``
        execute_command: runs the command as ``command_arguments`` say, and returns its exit code and output
    """
    code, output = execute_command()
    if code == 0 or not any(line.line in _NEEDS_PASSWORD for line in output.combined_lines):
        return code, output
    from getpass import getpass

    # This stops the whole process, so that prompts come one at a time and nothing writes into them; another host's
    # greenlet may have had to wait, but the same host has only one at work
    try:
        with paused():
            password = getpass(f"{host.print_prefix}sudo password: ")
    except EOFError:  # nobody is there to answer
        return code, output
    host.connector_data[_PROMPTED_PASSWORD] = password
    command_arguments["_sudo_password"] = password
    return execute_command()
