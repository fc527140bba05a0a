"""The host that a contract is held against: running on it, copying to it, and what is known of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Any

import gevent

from pyinfra.api import output
from pyinfra.api.command import QuoteString, StringCommand
from pyinfra.api.exceptions import PyinfraError

from .rules import Broken, NotApplicable, expect, expect_true

if TYPE_CHECKING:
    from pyinfra.api.host import Host

_OTHER_USERS = ("nobody", "daemon", "bin", "www-data", "guest")

# Prints those of the process ids given that still run: a zombie does not, as nobody need be there to fetch its status
_ALIVE = """
for p in "$@"; do
    s=$(sed 's/.*) //' /proc/$p/stat 2> /dev/null)
    case $s in Z*|X*) continue;; esac
    if [ -n "$s" ] || kill -0 $p 2> /dev/null; then echo $p; fi
done
true"""


# Prints what is in the folder that it runs in. ls would show question marks for what it thinks cannot be shown
_NAMES = """
for f in * .[!.]* ..?*; do
    if [ -e "$f" ] || [ -h "$f" ]; then printf '%s\\n' "$f"; fi
done"""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did: whether it succeeded, and its lines."""

    success: bool
    stdout: list[str]
    stderr: list[str]
    combined: list[str]

    def __str__(self) -> str:
        return f"success {self.success}, standard output {self.stdout}, standard error {self.stderr}"


@dataclass(frozen=True, slots=True)
class Elevation:
    """A way to become another user: the arguments for it, and that user's id and name."""

    name: str
    arguments: Mapping[str, Any]
    uid: int
    user: str


class Target:
    """A connected host, with a folder of its own for what the rules write.

    Args:
        host: connected
        arguments: connector arguments of every command and file, to hold the contract under sudo for instance
    """

    def __init__(self, host: Host, arguments: Mapping[str, Any] | None = None) -> None:
        self.host = host
        self.arguments = dict(arguments or {})
        parent = self.arguments.get("_temp_dir") or host.get_temp_dir_config()
        self.folder = f"{parent}/.pyinfra-contract-{secrets.token_hex(6)}"

    # The folder

    def open(self) -> None:
        """Make the folder.

        Raises:
            Broken: that cannot be done
        """
        self.ok("umask 022 && mkdir", QuoteString(self.folder), QuoteString(self.shared))
        self.ok("chmod 0777", QuoteString(self.shared))

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        with suppress(PyinfraError, OSError, Broken):
            self.run("chmod -R u+rwx", QuoteString(self.folder), "2> /dev/null; rm -rf", QuoteString(self.folder))

    @property
    def shared(self) -> str:
        """A folder in which everybody may write."""
        return f"{self.folder}/shared"

    def path(self, name: str = "", folder: str = "") -> str:
        """A path that nothing else uses: its name begins with ``name``."""
        return f"{folder or self.folder}/{name}{'-' if name else ''}{secrets.token_hex(4)}"

    def new_folder(self, name: str = "folder", mode: str = "755") -> str:
        """The path of a new, empty folder."""
        path = self.path(name)
        self.ok("mkdir", QuoteString(path), "&& chmod", mode, QuoteString(path))
        return path

    def temporary_places(self) -> tuple[str, dict[str, Any]]:
        """A folder for temporary files alone, and arguments that have them put there.

        If a password is needed, the file that tells it is there already.
        """
        folder = self.new_folder("temporary", mode="777")
        # A target's own TMPDIR would go before
        arguments = {"_temp_dir": folder, "_env": {"TMPDIR": folder}}
        self.ok("true", **arguments)
        return folder, arguments

    def temporary_names(self, folder: str) -> list[str]:
        """What is in such a folder, but for files that tell passwords: those stay until the host is disconnected."""
        return [name for name in self.names(folder) if "askpass" not in name]

    def renew(self) -> None:
        """Begin the connection anew."""
        self.host.reconnect()

    # Commands

    def run(self, *bits: Any, print_output: bool = False, print_input: bool = False, **arguments: Any) -> Ran:
        """Run a command made of parts, as :class:`~pyinfra.api.command.StringCommand` has them.

        ``arguments`` go before those of the target.
        """
        success, lines = self.host.run_shell_command(
            StringCommand(*bits),
            print_output=print_output,
            print_input=print_input,
            **{**self.arguments, **arguments},
        )
        return Ran(success, lines.stdout_lines, lines.stderr_lines, lines.output_lines)

    def ok(self, *bits: Any, **arguments: Any) -> list[str]:
        """Run a command that has to succeed; returns the lines of its standard output."""
        ran = self.run(*bits, **arguments)
        expect_true(ran.success, f"{StringCommand(*bits)} succeeds", ran)
        return ran.stdout

    def line(self, *bits: Any, **arguments: Any) -> str:
        """Run a command that has to print one line; returns that."""
        lines = self.ok(*bits, **arguments)
        expect(len(lines), 1, f"lines that {StringCommand(*bits)} prints ({lines})")
        return lines[0]

    def expect_code(self, code: int, *bits: Any, **arguments: Any) -> Ran:
        """Run a command that has to end with an exit code."""
        ran = self.run(*bits, **{**arguments, "_success_exit_codes": [code]})
        expect_true(ran.success, f"exit code {code} of {StringCommand(*bits)}", f"another exit code; {ran}")
        return ran

    def expect_usable(self, after: str) -> None:
        """Run a command, to see that it works, and that nothing of what came before is in its output."""
        ran = self.run("echo out; echo err >&2")
        seen = (ran.success, ran.stdout, ran.stderr)
        expect(seen, (True, ["out"], ["err"]), f"the next command after {after}")

    def alive(self, pids: Iterable[str], **arguments: Any) -> list[str]:
        """Those of some processes that are still there."""
        return self.ok("set --", *map(QuoteString, pids), _ALIVE, **arguments)

    def expect_gone(self, pids: list[str], seconds: float = 3, **arguments: Any) -> None:
        """Wait until some processes are gone; they are killed if they do not go."""
        left = pids
        for _ in range(int(seconds / 0.1) + 1):
            left = self.alive(left, **arguments)
            if not left:
                return
            gevent.sleep(0.1)
        self.run("kill -9", *map(QuoteString, left), **arguments)
        raise Broken(f"none of the {len(pids)} processes is left", f"{len(left)} still run")

    # Files

    def put(self, content: bytes | str, path: str, **arguments: Any) -> None:
        """Write a file through the connector."""
        data = content.encode() if isinstance(content, str) else content
        expect(self.host.put_file(BytesIO(data), path, **{**self.arguments, **arguments}), True, f"put_file to {path}")

    def get(self, path: str, **arguments: Any) -> bytes:
        """Read a file through the connector."""
        file = BytesIO()
        expect(self.host.get_file(path, file, **{**self.arguments, **arguments}), True, f"get_file of {path}")
        return file.getvalue()

    def content(self, path: str, **arguments: Any) -> bytes:
        """Read a small file with a command."""
        return bytes.fromhex(" ".join(self.ok("od -An -v -tx1 <", QuoteString(path), **arguments)))

    def write(self, text: str, path: str, **arguments: Any) -> None:
        """Write a small file with a command."""
        self.ok("printf %s", QuoteString(text), ">", QuoteString(path), **arguments)

    def about(self, path: str, **arguments: Any) -> str:
        """A file's mode, owner and group, as ``-rw-r--r-- 0 0``."""
        words = self.line("ls -ldn", QuoteString(path), **arguments).split()
        return f"{words[0].rstrip('.')} {words[2]} {words[3]}"

    def names(self, folder: str, **arguments: Any) -> list[str]:
        """What is in a folder, hidden files too, sorted."""
        return sorted(self.ok("cd", QuoteString(folder), _NAMES, **arguments))

    # Users

    @cached_property
    def uid(self) -> int:
        """The id of the user that commands run as."""
        return self._uid()

    @property
    def is_root(self) -> bool:
        """Whether commands run as root."""
        return self.uid == 0

    def _uid(self, **arguments: Any) -> int:
        line = self.line("id -u", **arguments)
        expect_true(line.isdigit(), "a user's id", line)
        return int(line)

    @cached_property
    def other_user(self) -> str:
        """The name of an ordinary user that commands do not run as.

        Raises:
            NotApplicable: there is none
        """
        for name in _OTHER_USERS:
            ran = self.run("id -u", QuoteString(name), "2> /dev/null")
            if ran.success and ran.stdout and ran.stdout[0] not in ("0", str(self.uid)):
                return name
        raise NotApplicable("the host has no other user")

    def secret(self, name: str) -> Any:
        """A password that was given for this host, as an argument or in its data; ``None`` without."""
        return self.arguments.get(name) or self.host.data.get(name)

    @cached_property
    def elevations(self) -> list[Elevation]:
        """The ways that work here to become another user, beyond the target's own arguments."""
        found = []
        for name, arguments in self._candidates():
            # Without a password, sudo is tried as a command first: the connector might ask somebody for one
            if arguments.get("_sudo") and not self._has_sudo(arguments):
                continue
            with suppress(PyinfraError, OSError, Broken):
                uid = self._uid(**arguments)
                found.append(Elevation(name, arguments, uid, self.line("id -un", **arguments)))
        return found

    def _has_sudo(self, arguments: Mapping[str, Any]) -> bool:
        if arguments.get("_sudo_password") or self.arguments.get("_sudo"):
            return True
        as_user = ["-u", QuoteString(arguments["_sudo_user"])] if "_sudo_user" in arguments else []
        return self.run("sudo -n", *as_user, "true 2> /dev/null").success

    def _candidates(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Names and arguments of all ways that might work."""
        password = self.secret("_sudo_password")
        sudo = {"_sudo": True, **({"_sudo_password": password} if password else {})}
        if "_sudo" not in self.arguments:
            yield "_sudo", sudo
            yield "_use_sudo_login", {**sudo, "_use_sudo_login": True}
        yield "_doas", {"_doas": True}
        yield "_dzdo", {"_dzdo": True}
        if self.secret("_su_password") and "_su_user" not in self.arguments:
            user = self.host.data.get("_su_user", "root")
            yield "_su_password", {"_su_user": user, "_su_password": self.secret("_su_password")}
        with suppress(NotApplicable):
            other = self.other_user
            yield "_sudo_user", {**sudo, "_sudo_user": other}
            yield "_doas_user", {"_doas": True, "_doas_user": other}
            yield "_dzdo_user", {"_dzdo": True, "_dzdo_user": other}
            # From root alone: anybody else is asked for a password
            if self.is_root:
                yield "_su_user", {"_su_user": other, "_su_shell": "/bin/sh"}

    def elevation(self, name: str) -> Elevation:
        """One of the ways to become another user.

        Raises:
            NotApplicable: it does not work here
        """
        for elevation in self.elevations:
            if elevation.name == name:
                return elevation
        raise NotApplicable(f"{name} does not work on this host without asking anybody")

    def others(self) -> list[Elevation]:
        """The ways to become a user that commands do not run as anyway.

        Raises:
            NotApplicable: there is none
        """
        found = [elevation for elevation in self.elevations if elevation.uid != self.uid]
        if not found:
            raise NotApplicable("there is no way to become another user on this host without asking anybody")
        return found


@contextmanager
def listening() -> Iterator[list[str]]:
    """What connectors print through ``pyinfra.api.output.echo`` inside, message by message."""
    messages: list[str] = []
    with listening_with(messages.append):
        yield messages


@contextmanager
def listening_with(listener: Callable[[str], Any]) -> Iterator[None]:
    """Have a function called with what connectors print inside."""
    before = output._echo
    output.set_echo(lambda message="", **_: listener(str(message)))
    try:
        yield
    finally:
        output._echo = before


@contextmanager
def may_be_refused(argument: str) -> Iterator[None]:
    """A connector may refuse an argument, with an error that names it."""
    try:
        yield
    except (PyinfraError, NotImplementedError, TypeError, ValueError) as error:
        if argument in str(error):
            raise NotApplicable(f"refused: {error}") from error
        raise
