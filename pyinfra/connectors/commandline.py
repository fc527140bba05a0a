"""The command line that runs a command as connector arguments say: shell, folder, environment, other users."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pyinfra.api.command import MaskString, QuotePath, QuoteString, StringCommand

if TYPE_CHECKING:
    from pyinfra.api.arguments import ConnectorArguments


def extract_control_arguments(arguments: ConnectorArguments) -> ConnectorArguments:
    """Take out of ``arguments`` what is no part of the command line: codes, time-out, terminal and standard input."""
    controls: dict[str, Any] = {}
    for key in ("_success_exit_codes", "_timeout", "_get_pty", "_stdin"):
        if key in arguments:
            controls[key] = arguments.pop(key)
    return controls  # type: ignore[return-value]


def _in_shell(shell: str | None, command: Any) -> list[Any]:
    """The words that run ``command`` in ``shell``, which may have options; without one, the command itself."""
    if not shell:
        return [command]
    return [*map(QuoteString, shlex.split(shell)), "-c", QuoteString(command)]


def _with_surroundings(command: Any, env: Mapping[str, Any] | None, chdir: str | None) -> StringCommand:
    """``command`` in its folder and with its environment."""
    bits: list[Any] = []
    if chdir:
        bits += ["cd", QuotePath(chdir), "&&"]
    if env:
        variables = [QuoteString(StringCommand(f"{name}=", value, _separator="")) for name, value in env.items()]
        bits += ["export", *variables, "&&"]
    return StringCommand(*bits, command) if bits or not isinstance(command, StringCommand) else command


def su_words(user: str, login: bool, keep_env: bool, shell: str | None, command: StringCommand) -> list[Any]:
    """The words that run ``command`` with su."""
    bits: list[Any] = ["su"]
    if login:
        bits.append("-l")
    if keep_env:
        bits.append("-m")
    if shell:
        bits += ["-s", StringCommand("$(command -v ", QuoteString(shell), ")", _separator="")]
    return [*bits, QuoteString(user), "-c", QuoteString(command)]


def sudo_words(user: str | None, login: bool, keep_env: bool, mode: Iterable[str]) -> list[Any]:
    """The words of sudo in front of a command; ``mode`` says how it gets a password."""
    bits: list[Any] = ["sudo", "-H", *mode]
    if login:
        bits.append("-i")
    if keep_env:
        bits.append("-E")
    return [*bits, "-u", QuoteString(user)] if user else bits


class _LoginProof(QuoteString):
    """A command line as a word that ``sudo -i`` and any log-in shell hand on as it is, special characters in octal."""

    def quote(self, text: str) -> str:
        """``text`` as the argument of ``sh -c``."""
        data = text.encode("utf-8", "surrogateescape")
        octal = re.sub(rb"[^ -~]|[$\\'\"`%!]", lambda found: b"\\0%03o" % found[0][0], data)
        # No variable may be needed to get at it
        return shlex.quote(f"eval \"`printf %b '{octal.decode()}'`\"")


def in_login(command: StringCommand) -> StringCommand:
    """A command line as words for ``sudo -i``.

    sudo puts a backslash before each character but letters, digits, ``_``, ``-`` and ``$``, for the log-in shell to
    take off again: that shell expands variables, and newlines vanish.
    """
    text = command.get_raw_value()
    if text.isascii() and "$" not in text and "\n" not in text:
        return command
    return StringCommand("sh", "-c", _LoginProof(command))


def for_log_in_shell(command: StringCommand) -> StringCommand:
    """The command line of a program as one that csh and fish read as ``sh`` does.

    csh minds a newline and ``!`` in any quotes, fish takes backslashes for its own in single ones.
    """
    if not re.search(r"[\n!\\]", command.get_raw_value()):
        return command
    return StringCommand("sh", "-c", _LoginProof(StringCommand("exec", command)))


def doas_words(doas: bool, doas_user: str | None, dzdo: bool, dzdo_user: str | None) -> list[Any]:
    """The words of doas and dzdo in front of a command."""
    bits: list[Any] = []
    if doas:
        bits += ["doas", "-n", *(["-u", QuoteString(doas_user)] if doas_user else [])]
    if dzdo:
        bits += ["dzdo", "-H", "-n", *(["-u", QuoteString(dzdo_user)] if dzdo_user else [])]
    return bits


def make_unix_command(
    command: StringCommand | str,
    _env: Mapping[str, Any] | None = None,
    _chdir: str | None = None,
    _shell_executable: str | None = "sh",
    # su
    _su_user: str | None = None,
    _use_su_login: bool = False,
    _su_shell: str | None = None,
    _preserve_su_env: bool = False,
    _su_password: str = "",
    _su_askpass_path: str | None = None,
    # sudo
    _sudo: bool = False,
    _sudo_user: str | None = None,
    _use_sudo_login: bool = False,
    _sudo_password: str = "",
    _sudo_askpass_path: str | None = None,
    _preserve_sudo_env: bool = False,
    # doas
    _doas: bool = False,
    _doas_user: str | None = None,
    # dzdo
    _dzdo: bool = False,
    _dzdo_user: str | None = None,
    # The engine's own, taken and left alone
    _retries: int = 0,
    _retry_delay: float = 0,
    _retry_until: Callable[[dict[str, Any]], bool] | None = None,
    _temp_dir: str | None = None,
) -> StringCommand:
    """The command line that runs ``command`` with these connector arguments.

    A password given together with the path of an askpass program stands in the line, masked for people;
    :func:`make_unix_command_for_host` gives one without.
    """
    bits = doas_words(_doas, _doas_user, _dzdo, _dzdo_user)
    if _sudo:
        mode = ["-n"]
        if _sudo_password and _sudo_askpass_path:
            bits += ["env", StringCommand("SUDO_ASKPASS=", QuoteString(_sudo_askpass_path), _separator="")]
            bits.append(StringCommand("PYINFRA_SUDO_PASSWORD=", _secret(_sudo_password), _separator=""))
            mode = ["-A", "-k"]
        bits += sudo_words(_sudo_user, _use_sudo_login, _preserve_sudo_env, mode)
    inner = StringCommand(*_in_shell(_shell_executable, _with_surroundings(command, _env, _chdir)))
    if not _su_user:
        return StringCommand(*bits, inner) if bits else inner
    if _su_password and _su_askpass_path:
        bits += ["env", StringCommand("PYINFRA_SU_PASSWORD=", _secret(_su_password), _separator="")]
        bits += [QuoteString(_su_askpass_path), "|"]
    return StringCommand(*bits, *su_words(_su_user, _use_su_login, _preserve_su_env, _su_shell, inner))


def _secret(password: str) -> QuoteString:
    """A password as a word of a command line that is masked for people."""
    return QuoteString(MaskString(password) if isinstance(password, str) else password)
