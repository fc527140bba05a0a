"""What connectors share: a command's output, the command line for its arguments, and passwords for sudo and su."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

import gevent
from gevent.fileobject import FileObject
from gevent.socket import wait_read

from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS
from pyinfra.api.command import MaskString, QuotePath, QuoteString, StringCommand
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.output import echo, format_text, paused

if TYPE_CHECKING:
    from pyinfra.api.arguments import ConnectorArguments
    from pyinfra.api.host import Host
    from pyinfra.api.state import State

_BLOCK_SIZE = 1 << 16


@dataclass(slots=True)
class OutputLine:
    """One line of output, without its newline; ``buffer_name`` is ``stdout`` or ``stderr``."""

    buffer_name: str
    line: str


@dataclass(slots=True)
class CommandOutput:
    """All output of a command, in the order in which it came, and its exit code where the connector knows that."""

    combined_lines: list[OutputLine]
    exit_code: int | None = field(default=None, compare=False)

    def _lines_of(self, buffer_name: str) -> list[str]:
        return [line.line for line in self.combined_lines if line.buffer_name == buffer_name]

    def __str__(self) -> str:
        return self.output

    @property
    def output_lines(self) -> list[str]:
        """All lines, of standard output and standard error."""
        return [line.line for line in self.combined_lines]

    @property
    def output(self) -> str:
        """All output as one text."""
        return "\n".join(self.output_lines)

    @property
    def stdout_lines(self) -> list[str]:
        """The lines of standard output."""
        return self._lines_of("stdout")

    @property
    def stdout(self) -> str:
        """Standard output as one text."""
        return "\n".join(self.stdout_lines)

    @property
    def stderr_lines(self) -> list[str]:
        """The lines of standard error."""
        return self._lines_of("stderr")

    @property
    def stderr(self) -> str:
        """Standard error as one text."""
        return "\n".join(self.stderr_lines)


# Processes of this machine


def _input_blocks(stdin: Any) -> Iterator[bytes]:
    """What a ``_stdin`` stands for, in blocks: each item ended by a newline if it lacks one."""
    if hasattr(stdin, "read"):
        last = b"\n"
        while block := stdin.read(_BLOCK_SIZE):
            last = block if isinstance(block, bytes) else block.encode("utf-8", "surrogateescape")
            yield last
        if not last.endswith(b"\n"):
            yield b"\n"
        return
    block = bytearray()
    for item in [stdin] if isinstance(stdin, (str, bytes)) else stdin:
        data = item if isinstance(item, bytes) else str(item).encode("utf-8", "surrogateescape")
        block += data if data.endswith(b"\n") else data + b"\n"
        if len(block) >= _BLOCK_SIZE:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def write_stdin(stdin: Any, buffer: Any) -> None:
    """Write a ``_stdin`` to a binary file object, and close that.

    Args:
        stdin: text, bytes, a list of them or a file object; each item (of a file, the whole) gets a newline at its end
            if it lacks one. ``None`` writes nothing
        buffer: has ``write`` and ``close``. If its reader goes away first, the rest is dropped: a program need not
            read its input
    """
    with suppress(BrokenPipeError, ConnectionResetError):
        if stdin is not None:
            for block in _input_blocks(stdin):
                buffer.write(block)
        buffer.close()


def read_output_buffers(
    stdout_buffer: Iterable[Any],
    stderr_buffer: Iterable[Any],
    timeout: int | None,
    print_output: bool,
    print_prefix: str,
) -> CommandOutput:
    """Read a command's two outputs to their ends, together.

    Args:
        stdout_buffer: gives lines, as text or as bytes
        stderr_buffer: likewise
        timeout: seconds that this may take
        print_output: whether to echo each line as it comes, after ``print_prefix``

    Raises:
        TimeoutError: it took longer
    """
    lines: list[OutputLine] = []

    def read(name: str, buffer: Iterable[Any]) -> None:
        for data in buffer:
            line = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
            line = line.rstrip("\r\n") if line.endswith(("\n", "\r")) else line
            lines.append(OutputLine(name, line))
            if print_output:
                echo(f"{print_prefix}{line if name == 'stdout' else format_text(line, 'red')}", err=True)

    readers = [gevent.spawn(read, "stdout", stdout_buffer), gevent.spawn(read, "stderr", stderr_buffer)]
    try:
        with gevent.Timeout(timeout, TimeoutError(f"Command timed out after {timeout}s")):
            gevent.joinall(readers, raise_error=True)
    finally:
        gevent.killall(readers)
    return CommandOutput(lines)


def _lines_until_over(fd: int, is_over: Callable[[], bool]) -> Iterator[bytes]:
    """The lines that come out of a pipe, to its end or to where its process is over.

    What a process leaves in the background may hold the pipe for as long as it likes.
    """
    os.set_blocking(fd, False)
    begun: list[bytes] = []
    left: int | None = None
    while left is None or left > 0:
        if left is None and is_over():
            left = _count_waiting(fd)
            continue
        try:
            data = os.read(fd, _BLOCK_SIZE if left is None else min(left, _BLOCK_SIZE))
        except BlockingIOError:
            with suppress(TimeoutError):
                wait_read(fd, timeout=0.02, timeout_exc=TimeoutError())
            continue
        if not data:
            break
        if left is not None:
            left -= len(data)
        first, *lines = data.split(b"\n")
        begun.append(first)
        if lines:
            yield b"".join([*begun, b"\n"])
            yield from (line + b"\n" for line in lines[:-1])
            begun = [lines[-1]]
    if any(begun):
        yield b"".join(begun)


def _count_waiting(fd: int) -> int:
    """How many bytes are in a pipe."""
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)


def _let_end(fd: int) -> None:
    """Close a pipe at its end, which may be long in coming: who still writes to it is not to be killed by that."""
    try:
        is_at_end = not os.read(fd, _BLOCK_SIZE)
    except BlockingIOError:
        is_at_end = False
    if is_at_end:
        os.close(fd)
        return

    def read_to_end() -> None:
        with suppress(OSError):
            wait_read(fd)
            while os.read(fd, _BLOCK_SIZE):
                wait_read(fd)
        os.close(fd)

    gevent.spawn(read_to_end)


def run_local_process(
    command: str,
    stdin: Any = None,
    timeout: int | None = None,
    print_output: bool = False,
    print_prefix: str = "",
) -> tuple[int, CommandOutput]:
    """Run a shell command on this machine.

    Args:
        command: for ``sh -c``
        stdin: as ``_stdin``
        timeout: seconds after which it is killed, with all that it started
        print_output: whether to echo its output, after ``print_prefix``

    Returns its exit code (128+n for signal n) and its output, which ends with it: a process that it leaves in the
    background is not waited for.

    Raises:
        TimeoutError: it took longer
    """
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    in_read, in_write = os.pipe()
    try:
        process = subprocess.Popen(
            ["sh", "-c", command], stdin=in_read, stdout=out_write, stderr=err_write, start_new_session=True
        )
    except BaseException:
        for fd in (out_read, err_read, in_write):
            os.close(fd)
        raise
    finally:
        for fd in (in_read, out_write, err_write):
            os.close(fd)
    ours = FileObject(in_write, "wb")
    writer = gevent.spawn(write_stdin, stdin, ours)
    outputs = [_lines_until_over(fd, lambda: process.poll() is not None) for fd in (out_read, err_read)]
    try:
        with gevent.Timeout(timeout, TimeoutError(f"Command timed out after {timeout}s")):
            output = read_output_buffers(outputs[0], outputs[1], None, print_output, print_prefix)
            # Waiting for it would stop all other greenlets, unless gevent has patched the standard library
            while (code := process.poll()) is None:
                gevent.sleep(0.005)
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    finally:
        writer.kill()
        ours.close()
        for fd in (out_read, err_read):
            _let_end(fd)
    return code if code >= 0 else 128 - code, output


# The command line


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


def _su_words(user: str, login: bool, keep_env: bool, shell: str | None, command: StringCommand) -> list[Any]:
    """The words that run ``command`` with su."""
    bits: list[Any] = ["su"]
    if login:
        bits.append("-l")
    if keep_env:
        bits.append("-m")
    if shell:
        bits += ["-s", StringCommand("$(command -v ", QuoteString(shell), ")", _separator="")]
    return [*bits, QuoteString(user), "-c", QuoteString(command)]


def _sudo_words(user: str | None, login: bool, keep_env: bool, mode: Iterable[str]) -> list[Any]:
    """The words of sudo in front of a command; ``mode`` says how it gets a password."""
    bits: list[Any] = ["sudo", "-H", *mode]
    if login:
        bits.append("-i")
    if keep_env:
        bits.append("-E")
    return [*bits, "-u", QuoteString(user)] if user else bits


class _LoginProof(QuoteString):
    """A command line as a word that ``sudo -i`` hands on as it is, its special characters in octal."""

    def quote(self, text: str) -> str:
        """``text`` as the argument of ``sh -c``."""
        data = text.encode("utf-8", "surrogateescape")
        octal = re.sub(rb"[^ -~]|[$\\'\"`%!]", lambda found: b"\\0%03o" % found[0][0], data)
        # No variable may be needed to get at it
        return shlex.quote(f"eval \"`printf %b '{octal.decode()}'`\"")


def _in_login(command: StringCommand) -> StringCommand:
    """A command line as words for ``sudo -i``.

    sudo puts a backslash before each character but letters, digits, ``_``, ``-`` and ``$``, for the log-in shell to
    take off again: that shell expands variables, and newlines vanish.
    """
    text = command.get_raw_value()
    if text.isascii() and "$" not in text and "\n" not in text:
        return command
    return StringCommand("sh", "-c", _LoginProof(command))


def _doas_words(doas: bool, doas_user: str | None, dzdo: bool, dzdo_user: str | None) -> list[Any]:
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
    bits = _doas_words(_doas, _doas_user, _dzdo, _dzdo_user)
    if _sudo:
        mode = ["-n"]
        if _sudo_password and _sudo_askpass_path:
            bits += ["env", StringCommand("SUDO_ASKPASS=", QuoteString(_sudo_askpass_path), _separator="")]
            bits.append(StringCommand("PYINFRA_SUDO_PASSWORD=", _secret(_sudo_password), _separator=""))
            mode = ["-A", "-k"]
        bits += _sudo_words(_sudo_user, _use_sudo_login, _preserve_sudo_env, mode)
    inner = StringCommand(*_in_shell(_shell_executable, _with_surroundings(command, _env, _chdir)))
    if not _su_user:
        return StringCommand(*bits, inner) if bits else inner
    if _su_password and _su_askpass_path:
        bits += ["env", StringCommand("PYINFRA_SU_PASSWORD=", _secret(_su_password), _separator="")]
        bits += [QuoteString(_su_askpass_path), "|"]
    return StringCommand(*bits, *_su_words(_su_user, _use_su_login, _preserve_su_env, _su_shell, inner))


def _secret(password: str) -> QuoteString:
    """A password as a word of a command line that is masked for people."""
    return QuoteString(MaskString(password) if isinstance(password, str) else password)


# Passwords. A file on the host holds one and prints it when it is run: no process has it in its arguments.

_FRONT_KEYS = {
    "_sudo_password": ("_doas", "_doas_user", "_dzdo", "_dzdo_user"),
    "_su_password": (
        *("_doas", "_doas_user", "_dzdo", "_dzdo_user"),
        *("_sudo", "_sudo_user", "_use_sudo_login", "_preserve_sudo_env", "_sudo_password"),
    ),
}
_ASKPASS_FILES = "askpass_files"
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
    front = {key: arguments[key] for key in _FRONT_KEYS[which] if arguments.get(key)}
    password = _password_text(arguments[which])
    files: dict[tuple[Any, ...], tuple[str, dict[str, Any]]] = host.connector_data.setdefault(_ASKPASS_FILES, {})
    key = (folder, password, tuple(front.items()))
    if key not in files:
        path = _make_askpass_file(host, folder, front)
        files[key] = (path, front)
        # It prints what follows its second line. sed is no shell builtin, but has the path alone in its arguments
        script = f'#!/bin/sh\nexec sed 1,2d "$0"\n{password}\n'
        if not host.put_file(BytesIO(script.encode("utf-8", "surrogateescape")), path, **front):
            raise PyinfraError(f"[{host.name}] Cannot write {path}, which is to tell a password to sudo or su")
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
        raise PyinfraError(
            f"[{host.name}] Cannot make a file for the password of sudo or su in {folder}: {output.stderr}; "
            "_temp_dir or TEMP_DIR names another folder"
        )
    return output.stdout_lines[-1]


def remove_askpass_files(host: Host) -> None:
    """Remove from ``host``, which is still connected, the files that hold passwords; what goes wrong is ignored."""
    for path, front in host.connector_data.pop(_ASKPASS_FILES, {}).values():
        with suppress(Exception):
            command = StringCommand("rm", "-f", QuoteString(path))
            host.connector.run_shell_command(command, print_output=False, print_input=False, **front)


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
    sudo_password = arguments.get("_sudo") and arguments.get("_sudo_password")
    su_password = arguments.get("_su_user") and arguments.get("_su_password")
    login = arguments.get("_sudo") and arguments.get("_use_sudo_login")
    if not sudo_password and not su_password and not login:
        return make_unix_command(command, **arguments)

    front = _doas_words(*(arguments.get(key) for key in _FRONT_KEYS["_sudo_password"]))  # type: ignore[arg-type]
    if arguments.get("_sudo"):
        mode = ["-n"]
        if sudo_password:
            path = _askpass_file(state, host, "_sudo_password", arguments)
            front += ["env", StringCommand("SUDO_ASKPASS=", QuoteString(path), _separator="")]
            mode = ["-A", "-k"]
        keep_env = arguments.get("_preserve_sudo_env", False)
        front += _sudo_words(arguments.get("_sudo_user"), bool(login), keep_env, mode)
    if not su_password:
        inner = make_unix_command(command, **_only(arguments, _INNER_KEYS))
        return StringCommand(*front, _in_login(inner) if login else inner)

    # su reads the password where the command would read its input, and writes its prompt where the command writes
    # errors: the command's own wait on 3 and 5. These are given to su itself, and not opened around it, as ksh and mksh
    # keep such descriptors from the programs that they run
    path = _askpass_file(state, host, "_su_password", arguments)
    inner = StringCommand("exec <&3 2>&5 3<&- 5>&-;", make_unix_command(command, **_only(arguments, _SURROUNDING_KEYS)))
    switch = _su_words(
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
    return StringCommand(*front, _in_login(in_shell) if login else in_shell)


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
