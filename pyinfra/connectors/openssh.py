"""``@openssh/HOST``: the ``ssh`` program of this machine, with all that it can do to log in."""

from __future__ import annotations

import math
import os
import shlex
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyinfra.api.command import QuoteString, StringCommand
from pyinfra.api.exceptions import ConnectError, InventoryError
from pyinfra.api.output import echo

from .base import DataMeta
from .opensshlogin import Master, advised, make_folder
from .opensshsession import Session, see_accepted
from .rsyncwords import config_value, remote_folder, remote_rsync
from .session import PatientPipe, Pipe, ProcessPipe, SessionConnector, SessionData, rsync_path
from .util import CommandOutput, run_local_process

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pyinfra.api.arguments import ConnectorArguments
    from pyinfra.api.host import Host
    from pyinfra.api.state import State

# How many sessions are opened without asking whether the server allows one more: OpenSSH's own limit is 10
_FREE_SESSIONS = 8
# How long a log-in may take: OpenSSH's server gives it as much (LoginGraceTime)
_ANSWER_SECONDS = 120
_NO_FORK = "ForkAfterAuthentication=no"
# What counts where neither the user's configuration nor the data say otherwise
_DEFAULTS = """
Host *
ConnectTimeout {seconds}
ServerAliveInterval 15
ServerAliveCountMax 3
StrictHostKeyChecking accept-new
"""


class OpenSSHData(SessionData):
    """The host data that say how to run ``ssh``."""

    openssh_options: list[str]
    openssh_config_file: str
    ssh_hostname: str
    ssh_port: int
    ssh_user: str
    ssh_password: str
    ssh_key: str
    ssh_key_password: str
    ssh_allow_agent: bool
    ssh_forward_agent: bool
    ssh_config_file: str
    ssh_known_hosts_file: str
    ssh_strict_host_key_checking: str
    ssh_connect_retries: int


class OpenSSHConnector(SessionConnector):
    """Reach a host by this machine's ``ssh`` program: ``@openssh/HOST``, HOST as in ``ssh HOST``.

    Whatever that can do works: security keys, agents, certificates, Kerberos, jump hosts, ``Match exec``. It logs in
    once for a host and run, and all commands share the connection (a private ``ControlMaster``): a security key is
    touched once. The configuration of ``ssh`` counts, and before it the host data. What ssh asks for and the data do
    not answer, such as the PIN of a security key, is asked of whoever sits at the terminal.

    For example ``pyinfra @openssh/web.example.net --data openssh_options='["ProxyJump=bastion"]' exec -- uptime``.
    """

    data_cls = OpenSSHData
    data_meta = {
        **SessionConnector.data_meta,
        "openssh_options": DataMeta("Lines of ssh_config that win over all others, such as ['ProxyJump=bastion']"),
        "openssh_config_file": DataMeta("Configuration file, instead of ~/.ssh/config and the system's"),
        "ssh_hostname": DataMeta("Host to connect to, as in `ssh HOST`"),
        "ssh_port": DataMeta("Port to connect to"),
        "ssh_user": DataMeta("User to log in as"),
        "ssh_password": DataMeta("Password to log in with; told to ssh alone, not to those of jump hosts"),
        "ssh_key": DataMeta(
            "Private key file to log in with, or the public one of a key that an SSH agent holds; the agent's other "
            "keys are not tried then"
        ),
        "ssh_key_password": DataMeta("Password of that key, if it is encrypted"),
        "ssh_allow_agent": DataMeta("Whether to try the keys of an SSH agent", True),
        "ssh_forward_agent": DataMeta("Whether commands on the host may use the SSH agent of this machine", False),
        "ssh_config_file": DataMeta("The same as openssh_config_file"),
        "ssh_known_hosts_file": DataMeta("File of known host keys, instead of ~/.ssh/known_hosts"),
        "ssh_strict_host_key_checking": DataMeta(
            "What to do about unknown host keys: ask, yes (refuse), no or off (accept), accept-new (accept and "
            "remember); the latter where the configuration says nothing either"
        ),
        "ssh_connect_retries": DataMeta("How often to try again, each second, where nobody answers", 0),
    }

    def __init__(self, state: State, host: Host) -> None:
        super().__init__(state, host)
        self._folder: Path | None = None
        self._master: Master | None = None
        self._pipes: list[Pipe] = []
        # Options for each session, which the shared connection does not know
        self._session_options: list[str] = []

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield the one host."""
        if not name:
            raise InventoryError("@openssh needs a host, as `ssh` has it: @openssh/HOST")
        yield f"@openssh/{name}", {"ssh_hostname": name}, ["@openssh"]

    # Sessions

    def shell_argv(self) -> list[str]:
        """The program that the log-in user's own shell starts."""
        return ["sh"]

    def terminal_argv(self) -> list[str]:
        """The same in a terminal there, told not to echo what we type."""
        return ["sh", "-c", 'stty -echo 2> /dev/null; exec "$@"', "sh", "sh"]

    def program_argv(self, text: str) -> list[str]:
        """The text as it is: whoever reads it on a target without a shell has rules of its own."""
        return [text]

    def open_pipe(self, argv: Sequence[str], terminal: bool = False) -> Pipe:
        """A session over the shared connection, in which ``argv`` runs."""
        command = argv[0] if len(argv) == 1 else shlex.join(argv)
        self._pipes = [pipe for pipe in self._pipes if pipe.exit_status() is None]
        is_crowded = len(self._pipes) >= _FREE_SESSIONS and not terminal and self._has_shell
        words = ["-tt" if terminal else "-T", *self._session_options, "--", "host"]
        argv = [*self._shared_ssh(), *words, f"echo; {command}" if is_crowded else command]
        pipe: Pipe
        if is_crowded or not self._has_shell:
            pipe = ProcessPipe(argv, terminal)
        else:
            room = self._connected().make_room()
            pipe = Session(argv, terminal, lambda: next(room, False))
        if is_crowded:
            see_accepted(pipe)
        self._pipes.append(pipe)
        return PatientPipe(pipe) if terminal and self._has_shell else pipe

    def _shared_ssh(self) -> list[str]:
        """``ssh`` over the shared connection, or not at all."""
        if self._folder is None:
            raise ConnectError("Not connected")
        path = str(self._folder / "s").replace("%", "%%")
        return ["ssh", "-F", "none", "-S", path, "-oControlMaster=no", "-oProxyCommand=false", "-oLogLevel=ERROR"]

    # Connecting

    def connect(self) -> None:
        """Log in and open the first shell, or raise :class:`ConnectError`."""
        if shutil.which("ssh") is None:
            raise ConnectError(
                "The program ssh is not in PATH on this machine: install OpenSSH's client, or use @ssh instead"
            )
        if not self.data["ssh_hostname"]:
            raise ConnectError("No host to connect to: set the host data ssh_hostname")
        self._folder = make_folder()
        try:
            options = [*self._options(), "-F", str(self._write_config(self._folder))]
            options, settings = self._read_config(options)
            self._session_options = _session_options(settings)
            answers = {"password": self.data["ssh_password"], "passphrase": self.data["ssh_key_password"]}
            self._master = Master(self._folder, [*options, "--", self.data["ssh_hostname"]], answers, self.host)
            self._master.wait(_login_seconds(settings))
            super().connect()
        except BaseException:
            self._log_out()
            raise

    def disconnect(self) -> None:
        """End the shells and log out."""
        try:
            super().disconnect()
        finally:
            self._log_out()

    def _log_out(self) -> None:
        master, self._master = self._master, None
        if master is not None:
            master.close()
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def explain_silence(self, why: str, said: str) -> str:
        """Why there is no shell: the connection may be lost."""
        if self._master is not None and self._master.has_ended:
            return f"Connection to {self.data['ssh_hostname']} lost: {self._master.words() or 'ssh has ended'}"
        if "session request failed" in said:
            return f"The server allows no more sessions, see MaxSessions in its sshd_config ({said.strip()})"
        return super().explain_silence(why, said)

    # How ssh is to log in

    def _options(self) -> list[str]:
        """Options from the host data, those first that win."""
        lines = self.data["openssh_options"] or []
        for line in lines:
            if line.startswith("-"):
                raise ConnectError(
                    f"openssh_options takes lines of ssh_config, such as 'ProxyJump=bastion' in place of '-J bastion'; "
                    f"{line!r} is none"
                )
        forced = ["ControlPersist=no", "RemoteCommand=none", _NO_FORK]
        if self.data["ssh_password"]:
            forced += ["BatchMode=no", "NumberOfPasswordPrompts=1"]
        named = {
            "Port": self.data["ssh_port"],
            "User": self.data["ssh_user"],
            "IdentityFile": _quoted(self.data["ssh_key"]),
            # Otherwise all keys of an agent come first, and servers allow few attempts
            "IdentitiesOnly": "yes" if self.data["ssh_key"] else None,
            "UserKnownHostsFile": _quoted(self.data["ssh_known_hosts_file"]),
            "StrictHostKeyChecking": self.data["ssh_strict_host_key_checking"],
            "ConnectionAttempts": self.data["ssh_connect_retries"] and self.data["ssh_connect_retries"] + 1,
            "IdentityAgent": None if self.data["ssh_allow_agent"] else "none",
            "ForwardAgent": "yes" if self.data["ssh_forward_agent"] else None,
        }
        lines = [*forced, *lines, *(f"{name}={value}" for name, value in named.items() if value)]
        return [f"-o{line}" for line in lines]

    def _write_config(self, folder: Path) -> Path:
        """The configuration that counts, with our defaults after it, in one file."""
        given = self.data["openssh_config_file"] or self.data["ssh_config_file"]
        defaults = _DEFAULTS.format(seconds=self.state.config.CONNECT_TIMEOUT)
        if given:
            try:
                text = Path(given).expanduser().read_text(encoding="utf-8", errors="surrogateescape")
            except OSError as error:
                raise ConnectError(f"Cannot read {given} (openssh_config_file): {error.strerror}") from error
        else:
            prefix = Path(os.path.realpath(shutil.which("ssh") or "/usr/bin/ssh")).parent.parent
            system = dict.fromkeys(["/etc/ssh/ssh_config", "/usr/etc/ssh/ssh_config", f"{prefix}/etc/ssh/ssh_config"])
            text = "".join(f'Include "{path}"\n' for path in ["~/.ssh/config", *system])
        path = folder / "config"
        path.write_text(f"{text}\n{defaults}", encoding="utf-8", errors="surrogateescape")
        return path

    def _read_config(self, options: list[str]) -> tuple[list[str], dict[str, list[str]]]:
        """The options that this ssh knows, and all settings that count then, by their names in small letters."""
        code, output = self._show_config(options)
        if code != 0 and _NO_FORK.partition("=")[0].lower() in output.stderr.lower():
            # ssh before 8.7 does not know it, so that no configuration can ask for it either
            options = [option for option in options if option != f"-o{_NO_FORK}"]
            code, output = self._show_config(options)
        if code != 0:
            raise ConnectError(self._advised(output.stderr or f"ssh -G ended with exit code {code}"))
        settings: dict[str, list[str]] = {}
        for line in output.stdout_lines:
            name, _, value = line.partition(" ")
            settings.setdefault(name, []).append(value)
        return options, settings

    def _show_config(self, options: Sequence[str]) -> tuple[int, CommandOutput]:
        command = shlex.join(["ssh", "-G", *options, "--", self.data["ssh_hostname"]])
        seconds = math.ceil(self.state.config.CONNECT_TIMEOUT)
        try:
            return run_local_process(command, timeout=seconds)
        except TimeoutError as error:
            raise ConnectError(
                f"ssh has not read its configuration within {seconds} seconds (CONNECT_TIMEOUT): see what `Match exec` "
                f"runs there, with `ssh -vG {self.data['ssh_hostname']}`"
            ) from error

    def _advised(self, said: str) -> str:
        return advised(said, self.data["ssh_hostname"])

    # rsync

    def check_can_rsync(self) -> None:
        """Raise :class:`NotImplementedError` where there is no rsync."""
        if not shutil.which("rsync"):
            raise NotImplementedError("The `rsync` binary is not available on this system.")

    def rsync(
        self,
        src: str,
        dest: str,
        flags: Iterable[str],
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Unpack[ConnectorArguments],
    ) -> bool:
        """Copy the folder ``src`` to the host's ``dest``, over the shared connection.

        Returns ``True``, or raises ``OSError`` with what rsync said.
        """
        program = QuoteString(remote_rsync(self.state, self.host, arguments))
        words = [*self._shared_ssh(), *self._session_options]
        # As rsync takes it apart
        shared = " ".join("'{}'".format(word.replace("'", "''")) for word in words)
        paths = QuoteString(rsync_path(src)), QuoteString(f"host:{remote_folder(dest, arguments)}")
        command = StringCommand("rsync", *flags, "--rsh", QuoteString(shared), "--rsync-path", program, *paths)
        if print_input:
            shown = StringCommand("rsync", *flags, QuoteString(src), QuoteString(dest))
            echo(f"{self.host.print_prefix}>>> {shown}", err=True)
        code, output = run_local_process(
            command.get_raw_value(),
            timeout=arguments.get("_timeout"),
            print_output=print_output,
            print_prefix=self.host.print_prefix,
        )
        if code != 0:
            raise OSError(output.stderr or f"rsync from {src} to {dest} failed with exit code {code}")
        return True


def _session_options(settings: Mapping[str, list[str]]) -> list[str]:
    """What the configuration says of each session rather than of the connection."""
    names = ("sendenv", "setenv", "forwardagent", "forwardx11", "forwardx11trusted")
    # All in one: of several SetEnv the first counts
    return [f"-o{name}={' '.join(map(config_value, settings[name]))}" for name in names if name in settings]


def _login_seconds(settings: Mapping[str, list[str]]) -> int:
    """How long ssh may take to log in while it asks nothing: for the server to be reached, and then to answer."""
    try:
        reach = int(settings["connecttimeout"][0]) * int(settings["connectionattempts"][0])
    except (KeyError, ValueError):  # no limit is set: the system's counts, which is two minutes or so
        reach = _ANSWER_SECONDS
    return reach + _ANSWER_SECONDS


def _quoted(value: str | None) -> str | None:
    """A value as ``ssh_config`` has it, if there is one."""
    return config_value(value) if value else value
