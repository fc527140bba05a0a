"""``@ssh/HOST``, and plain ``HOST``: one SSH log-in, by paramiko."""

from __future__ import annotations

import errno
import logging
import os
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

import gevent

from pyinfra.api.command import QuoteString, StringCommand
from pyinfra.api.exceptions import ConnectError, InventoryError
from pyinfra.api.output import echo

from .base import DataMeta
from .rsyncwords import config_value, remote_folder, remote_rsync
from .session import BOOT, SessionConnector, SessionData, refuse_without_shell, rsync_path
from .sshlogin import Connection, connect_with_retries
from .sshpipe import ChannelPipe
from .sshtarget import Target, default_hostname, resolve_target
from .util import run_local_process

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pyinfra.api.arguments import ConnectorArguments

logger = logging.getLogger("pyinfra")


class SSHData(SessionData):
    """The host data that say how to connect."""

    ssh_hostname: str
    ssh_port: int
    ssh_user: str
    ssh_password: str
    ssh_key: str
    ssh_key_password: str
    ssh_allow_agent: bool
    ssh_look_for_keys: bool
    ssh_forward_agent: bool
    ssh_config_file: str
    ssh_known_hosts_file: str
    ssh_strict_host_key_checking: str
    ssh_paramiko_connect_kwargs: dict[str, Any]
    ssh_connect_retries: int
    ssh_connect_retry_min_delay: float
    ssh_connect_retry_max_delay: float
    ssh_file_transfer_protocol: str


_SSH_META = {
    "ssh_hostname": DataMeta("Name or address to connect to, or a host of the SSH configuration"),
    "ssh_port": DataMeta("Port to connect to"),
    "ssh_user": DataMeta("User to log in as"),
    "ssh_password": DataMeta("Password to log in with"),
    "ssh_key": DataMeta("Private key file to log in with"),
    "ssh_key_password": DataMeta("Password of that key, if it is encrypted"),
    "ssh_allow_agent": DataMeta("Whether to try the keys of an SSH agent", True),
    "ssh_look_for_keys": DataMeta("Whether to try the keys in ~/.ssh when none is named", True),
    "ssh_forward_agent": DataMeta("Whether commands on the host may use the SSH agent of this machine", False),
    "ssh_config_file": DataMeta("SSH configuration file, instead of ~/.ssh/config"),
    "ssh_known_hosts_file": DataMeta("File of known host keys, instead of ~/.ssh/known_hosts"),
    "ssh_strict_host_key_checking": DataMeta(
        "What to do about unknown host keys: ask, yes (refuse), no or off (accept), accept-new (accept and remember)",
        "accept-new",
    ),
    "ssh_paramiko_connect_kwargs": DataMeta("Arguments of paramiko's SSHClient.connect, which win over all others"),
    "ssh_connect_retries": DataMeta("How often to try again where nobody answers", 0),
    "ssh_connect_retry_min_delay": DataMeta("Least seconds to wait before that", 0.1),
    "ssh_connect_retry_max_delay": DataMeta("Most seconds to wait before that", 0.5),
    "ssh_file_transfer_protocol": DataMeta(
        "sftp or scp: how files are copied to and from a target without a shell (shell_session = False)", "sftp"
    ),
}

# OpenSSH's server ends the connection over a packet of more than 256 KB
_LONGEST_COMMAND = (1 << 18) - (1 << 10)

# How a shell gets the mark that it sets between outputs
_READ_MARK = "IFS= read -r _m; "

# Said once per run, not once per host
_warned: set[str] = set()


class SSHConnector(SessionConnector):
    """Reach a host by SSH: ``@ssh/HOST``, or ``HOST`` alone."""

    data_cls = SSHData
    data_meta = {**SessionConnector.data_meta, **_SSH_META}

    connection: Connection | None = None

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield the one host."""
        if not name:
            raise InventoryError("@ssh needs a host: @ssh/HOST")
        yield f"@ssh/{name}", {"ssh_hostname": name}, []

    def shell_argv(self) -> list[str]:
        """The program that the log-in user's own shell starts."""
        return ["sh"]

    def program_argv(self, text: str) -> list[str]:
        """The text as it is: whoever reads it on a target without a shell has rules of its own."""
        return [text]

    def open_pipe(self, argv: Sequence[str], terminal: bool = False) -> ChannelPipe:
        """A channel on which ``argv`` runs."""
        if self.connection is None:
            raise ConnectError("Not connected")
        command = argv[0] if len(argv) == 1 else shlex.join(argv)
        if len(command.encode("utf-8", "surrogateescape")) > _LONGEST_COMMAND:
            raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
        pipe = self.connection.open_pipe(terminal)
        if argv[-1] == BOOT and _READ_MARK in BOOT:
            # The shell is told its mark in the command that starts it: a round trip less for each
            pipe.start_with_line(
                lambda mark: shlex.join([*argv[:-1], BOOT.replace(_READ_MARK, f"_m={shlex.quote(mark)}; ", 1)])
            )
        else:
            pipe.start(command)
        return pipe

    # Connecting

    def target(self) -> Target:
        """The server, and how to log in to it; :class:`ConnectError` if the data or the configuration are wrong."""
        # The default gives way to the configuration, but what somebody has set does not, even if it is the same
        mode = "ssh_strict_host_key_checking"
        data = {**self.data, mode: self.host.data.get(mode)}
        target, warnings = resolve_target(self.host.name, data, self.state.config.CONNECT_TIMEOUT)
        for warning in warnings:
            problem = warning.partition(";")[0]
            if problem not in _warned:
                _warned.add(problem)
                logger.warning("%s%s", self.host.print_prefix, warning)
        return target

    def connect(self) -> None:
        """Log in and open the first shell, or raise :class:`ConnectError`."""
        if self.data["ssh_file_transfer_protocol"] not in {"sftp", "scp"}:
            raise ConnectError(
                f"ssh_file_transfer_protocol is {self.data['ssh_file_transfer_protocol']!r}, neither sftp nor scp"
            )
        self.log_in()
        try:
            super().connect()
        except BaseException:
            self._close_connection()
            raise

    def log_in(self) -> None:
        """Log in, for :meth:`open_pipe`, and open no shell; or raise :class:`ConnectError`."""
        self.connection = connect_with_retries(
            self.target(),
            self.data["ssh_connect_retries"],
            self.data["ssh_connect_retry_min_delay"],
            self.data["ssh_connect_retry_max_delay"],
        )

    def disconnect(self) -> None:
        """End the shells and log out."""
        try:
            super().disconnect()
        finally:
            self._close_connection()

    def _close_connection(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()

    # Files of targets without a shell

    def put_file(
        self,
        filename_or_io: str | IO[Any],
        remote_filename: str,
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Unpack[ConnectorArguments],
    ) -> bool:
        """Write a local file or file object to the target, as :meth:`SessionConnector.put_file` has it."""
        if self._has_shell:
            return super().put_file(
                filename_or_io, remote_filename, remote_temp_filename, print_output, print_input, **arguments
            )
        self._copy_alone("upload", remote_filename, print_input, arguments, filename_or_io)
        return True

    def get_file(
        self,
        remote_filename: str,
        filename_or_io: str | IO[Any],
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Unpack[ConnectorArguments],
    ) -> bool:
        """Write a file of the target to a local path or file object, as :meth:`SessionConnector.get_file` has it."""
        if self._has_shell:
            return super().get_file(
                remote_filename, filename_or_io, remote_temp_filename, print_output, print_input, **arguments
            )
        self._copy_alone("download", remote_filename, print_input, arguments, filename_or_io)
        return True

    def _copy_alone(
        self, what: str, remote_filename: str, print_input: bool, arguments: Any, filename_or_io: str | IO[Any]
    ) -> None:
        """Copy a file by SFTP or SCP, as the log-in user."""
        from . import sshfiles

        if any(arguments.get(key) for key in ("_sudo", "_su_user", "_doas", "_dzdo")):
            raise OSError(
                f"Cannot {what} {remote_filename} as another user: {self.host.name} has shell_session = False"
            )
        refuse_without_shell(arguments)
        if self.connection is None:
            raise ConnectError("Not connected")
        if print_input:
            echo(f"{self.host.print_prefix}>>> {what} {remote_filename}", err=True)
        copies: dict[str, Callable[..., None]] = sshfiles.UPLOADS if what == "upload" else sshfiles.DOWNLOADS
        seconds = arguments.get("_timeout")
        timeout = gevent.Timeout(seconds)
        try:
            with timeout:
                copies[self.data["ssh_file_transfer_protocol"]](self.connection, filename_or_io, remote_filename)
        except gevent.Timeout as error:
            if error is not timeout:
                raise
            raise TimeoutError(f"The {what} of {remote_filename} timed out after {seconds}s") from None

    # rsync

    def check_can_rsync(self) -> None:
        """Raise :class:`NotImplementedError` where ssh could not log in by itself, or there is no rsync."""
        reasons = (
            ("ssh_password", "password", "a password"),
            ("ssh_key_password", "passphrase", "a key that is encrypted"),
            ("", "pkey", "a key as an object"),
            ("", "sock", "a connection that is there already"),
        )
        for key, name, what in reasons:
            if (key and self.data[key]) or self._kwargs.get(name):
                where = key if key and self.data[key] else f"ssh_paramiko_connect_kwargs: {name}"
                raise NotImplementedError(
                    f"rsync runs the ssh program, which cannot be given {what} ({where}): use a key in an agent"
                )
        if not shutil.which("rsync"):
            raise NotImplementedError("The `rsync` binary is not available on this system.")

    @property
    def _kwargs(self) -> dict[str, Any]:
        """Arguments of paramiko's, which win over the data of the same meaning."""
        return self.data["ssh_paramiko_connect_kwargs"] or {}

    def rsync(
        self,
        src: str,
        dest: str,
        flags: Iterable[str],
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Unpack[ConnectorArguments],
    ) -> bool:
        """Copy the folder ``src`` to the host's ``dest``; returns ``True``, or raises ``OSError``: rsync's words.

        On the host it runs with sudo, doas or dzdo if asked; with su it cannot, which is a ``NotImplementedError``.
        """
        command = StringCommand(
            *("rsync", *flags, "--rsh", f'"{self._ssh_command()}"'),
            *("--rsync-path", self._remote_rsync(arguments)),
            *(QuoteString(rsync_path(src)), QuoteString(f"{self._login_name()}:{remote_folder(dest, arguments)}")),
        )
        if print_input:
            echo(f"{self.host.print_prefix}>>> {command}", err=True)
        code, output = run_local_process(
            command.get_raw_value(),
            timeout=arguments.get("_timeout"),
            print_output=print_output,
            print_prefix=self.host.print_prefix,
        )
        if code != 0:
            raise OSError(output.stderr or f"rsync from {src} to {dest} failed with exit code {code}")
        return True

    def _remote_rsync(self, arguments: Any) -> QuoteString:
        """The program that rsync starts on the host, as a word."""
        line = remote_rsync(self.state, self.host, arguments)
        given = {key for key in _NOT_IN_THE_SHORT_FORM if arguments.get(key)}
        if not arguments.get("_sudo") or given or "SUDO_ASKPASS=" in line.get_raw_value():
            return QuoteString(line)
        user = arguments.get("_sudo_user")
        return QuoteString(StringCommand("sudo", *(["-u", QuoteString(user)] if user else []), "rsync"))

    def _login_name(self) -> str:
        name = self._kwargs.get("hostname") or self.data["ssh_hostname"] or default_hostname(self.host.name)
        user = self._kwargs.get("username") or self.data["ssh_user"]
        name = f"[{name}]" if ":" in name else name
        return f"{user}@{name}" if user else name

    def _ssh_command(self) -> str:
        """The ssh that rsync runs, as text between double quotes."""
        known_hosts = self.data["ssh_known_hosts_file"]
        options: list[tuple[str, str | None]] = [
            ("StrictHostKeyChecking", self.data["ssh_strict_host_key_checking"]),
            ("UserKnownHostsFile", known_hosts and config_value(known_hosts)),
        ]
        words = ["ssh", "-o", "BatchMode=yes"]
        for name, value in options:
            if value:
                words += ["-o", _between_quotes(f"{name}={value}")]
        keys = self._kwargs.get("key_filename") or self.data["ssh_key"] or ()
        config = self.data["ssh_config_file"]
        for flag, value in (
            ("-p", self._kwargs.get("port") or self.data["ssh_port"]),
            *(("-i", key) for key in ((keys,) if isinstance(keys, str) else keys)),
            ("-F", config and os.path.expanduser(config)),
        ):
            if value:
                words += [flag, _between_quotes(str(value))]
        return " ".join(words)


# What the short form of sudo, which is all that most runs need, does not do
_NOT_IN_THE_SHORT_FORM = ("_env", "_use_sudo_login", "_preserve_sudo_env", "_doas", "_dzdo")


def _between_quotes(text: str) -> str:
    """A word for rsync's ``--rsh`` inside a double-quoted word of the shell; rsync has quotation marks in it twice."""
    text = text.replace('"', '""')
    for sign in '\\"$`':
        text = text.replace(sign, f"\\{sign}")
    return f'\\"{text}\\"'
