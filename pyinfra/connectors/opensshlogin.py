"""The ``ssh`` that logs in for ``@openssh``: its folder and socket, what it asks for, and what it says."""

from __future__ import annotations

import getpass
import os
import re
import signal
import stat
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
from gevent.socket import wait_read

from pyinfra.api.exceptions import ConnectError
from pyinfra.api.output import echo

try:
    from pyinfra.api.output import paused
except ImportError:  # pyinfra 3.10 does not have it
    paused = nullcontext

from .session import ProcessPipe

if TYPE_CHECKING:
    from pyinfra.api.host import Host

# A socket's path takes 104 bytes on some systems, and ssh adds 17 to it for a moment
_LONGEST_SOCKET = 104 - 17 - 1
_ANSWER_SECONDS = 60
_LOOK_SECONDS = 0.01

# What servers ask for in the languages that PAM speaks
_PASSWORD_WORDS = (
    *("Password", "Passwort", "Adgangskode", "Contraseña", "Contrasenya", "Hasło", "Heslo", "Jelszó", "Lozinka"),
    *("Lösenord", "Mot de passe", "Mật khẩu", "Palavra-passe", "Parola", "Parolă", "Parool", "Pasahitza", "Passord"),
    *("Pasvorto", "Salasana", "Sandi", "Senha", "Wachtwoord", "Лозинка", "Парола", "Пароль", "პაროლი", "ססמה"),
    *("كلمة السر", "密码", "密碼", "パスワード", "암호"),
)
# How ssh asks for the password, and how it hands on a server that does, which may say whose. All else is something
# else: the PIN of a security key, a code that counts once, a new password
_ASKS_FOR_PASSWORD = re.compile(
    rf"(?i:.+@.+'s password|(?:\(.+@.+\) )?(?:{'|'.join(_PASSWORD_WORDS)})(?: for \S+)?)\s*[:\uff1a]\s*"
)
_ASKS_FOR_PASSPHRASE = re.compile(r"Enter passphrase for .*")

# Run by ssh when it needs an answer: asks for it in one pipe, prints what comes from another. The answer is in nobody's
# arguments or environment
_ASKPASS = r"""#!/bin/sh
cd "${0%/*}" && mkfifo -m 600 "$$" || exit
printf '%s\n%s\n%s\n%s\0' "$$" "$PPID" "$SSH_ASKPASS_PROMPT" "$1" > question
exec cat "$$"
"""

# Runs ssh, writes its process id to the first argument, a file in our folder, and when our end of the input is closed
# ends it and removes the folder: so that neither is left where pyinfra itself is killed
_GUARD = (
    "exec 3<&0; "
    """sh -c 'echo $$ > "$0"; exec ssh "$@"' "$@" 3<&- < /dev/null & p=$!; """
    """{ read -r _ <&3; kill $p; rm -rf "${1%/*}"; } > /dev/null 2>&1 & """
    "exec 3<&-; wait $p"
)

# What ssh says, and what to do about it; the first that fits counts
_ADVICE = (
    (
        ("REMOTE HOST IDENTIFICATION HAS CHANGED",),
        "if it is the right host, forget the old key: `ssh-keygen -R {host}`",
    ),
    (
        ("Host key verification failed",),
        "log in once with `ssh {host}` to check the key, or set ssh_strict_host_key_checking to accept-new",
    ),
    (
        ("Permission denied", "Too many authentication failures"),
        "see the host data ssh_user, ssh_key and ssh_password, or what `ssh -v {host}` says",
    ),
    (
        ("Could not resolve hostname",),
        "check the name, or set the host data ssh_hostname",
    ),
    (
        ("Connection refused", "timed out", "No route to host", "Network is unreachable"),
        "see that an SSH server runs there, and the host data ssh_hostname and ssh_port",
    ),
    (("Bad configuration option", "extra arguments", "Bad owner or permissions"), "mend the configuration of ssh"),
)


def advised(said: str, host: str) -> str:
    """What ssh said, with advice where there is any."""
    said = said.strip()
    advice = next((advice for phrases, advice in _ADVICE if any(phrase in said for phrase in phrases)), None)
    return f"{said}; {advice.format(host=host)}" if advice else f"{said}; `ssh -v {host}` may tell more"


def make_folder() -> Path:
    """A new folder of our own, with a path short enough for a socket, where programs may run."""
    homes = [tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp", os.path.expanduser("~")]
    for home in filter(os.path.isdir, homes):
        name = Path(home) / "pyinfra-12345678" / "s"
        if len(os.fsencode(name)) > _LONGEST_SOCKET or not os.access(home, os.W_OK):
            continue
        if os.statvfs(home).f_flag & getattr(os, "ST_NOEXEC", 8):
            continue
        return Path(tempfile.mkdtemp(prefix="pyinfra-", dir=home))
    raise ConnectError(
        f"No place for the socket of ssh: none of {', '.join(filter(None, homes))} is short enough, may be written and "
        "lets programs run; TMPDIR names another one"
    )


def _is_there(pid: int) -> bool:
    """Whether there is such a process of ours."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


class Master:
    """The ``ssh`` that has logged in, and over which the others have their sessions.

    Args:
        folder: for its socket, and for what it asks
        arguments: options and host
        answers: the password and the passphrase of the key, or ``None``
        host: for messages
    """

    def __init__(self, folder: Path, arguments: Sequence[str], answers: Mapping[str, Any], host: Host) -> None:
        self._socket = folder / "s"
        self._answers = dict(answers)
        self._folder = folder
        self._host = host
        self._name = arguments[-1]
        self._said = b""
        # What ssh waits for, and when it last did anything that shows
        self._is_answering = False
        self._notices: list[int] = []
        self._active = time.monotonic()
        askpass = folder / "askpass"
        askpass.write_text(_ASKPASS)
        askpass.chmod(stat.S_IRWXU)
        os.mkfifo(folder / "question", 0o600)
        self._questions = os.open(folder / "question", os.O_RDWR | os.O_NONBLOCK)
        variables = [f"SSH_ASKPASS={askpass}", "SSH_ASKPASS_REQUIRE=force"]
        if "DISPLAY" not in os.environ:
            variables.append("DISPLAY=:0")  # ssh before 8.4 asks only where there is one
        guarded = ["sh", "-c", _GUARD, "sh", str(folder / "pid")]
        # A process group of its own: Ctrl-C at the terminal is not for it
        socket = str(self._socket).replace("%", "%%")
        self.pipe = ProcessPipe(["env", *variables, *guarded, "-M", "-S", socket, "-N", "-T", *arguments])
        self._greenlets = [gevent.spawn(self._listen), gevent.spawn(self._answer)]

    def _listen(self) -> None:
        while (chunk := self.pipe.receive(None)) is not None:
            self._said = (self._said + chunk[1])[-4000:]

    def words(self) -> str:
        """What ssh has said."""
        lines = self._said.decode("utf-8", "replace").replace("\r", "").strip().split("\n")
        return "\n".join(line for line in lines if not line.startswith("Warning: Permanently added"))

    @property
    def has_ended(self) -> bool:
        """Whether the connection is gone, or was never made."""
        return self.pipe.exit_status() is not None

    def wait(self, seconds: float) -> None:
        """Wait until it has logged in, or raise :class:`ConnectError`: if nothing is asked for so long, too."""
        self._active = time.monotonic()
        while not self._socket.exists():
            if self.has_ended:
                self._greenlets[0].join(1)
                raise ConnectError(advised(self.words() or f"ssh: exit status {self.pipe.exit_status()}", self._name))
            if self._is_asking():
                self._active = time.monotonic()
            elif time.monotonic() > self._active + seconds:
                said = self.words()
                why = f"ssh has not logged in within {seconds:g} seconds{f': {said}' if said else ''}"
                raise ConnectError(f"{why}; `ssh -v {self._name}` may tell what it waits for")
            gevent.sleep(_LOOK_SECONDS)

    def _is_asking(self) -> bool:
        """Whether somebody is to answer a question, or to touch a security key."""
        return self._is_answering or any(map(_is_there, self._notices))

    def _answer(self) -> None:
        """Answer the questions of ssh, which come one after the other."""
        asked = b""
        while True:
            wait_read(self._questions)
            with suppress(BlockingIOError):
                asked += os.read(self._questions, 1 << 16)
            *complete, asked = asked.split(b"\0")
            for question in complete:
                helper, parent, kind, prompt = question.decode("utf-8", "replace").split("\n", 3)
                self._is_answering = True
                try:
                    self._answer_one(int(helper), int(parent), kind, prompt)
                finally:
                    self._is_answering = False
                    # Whoever was asked may have stopped this whole process for that
                    self._active = time.monotonic()

    def _answer_one(self, helper: int, parent: int, kind: str, prompt: str) -> None:
        if kind == "none":  # ssh only says something, and ends the helper when it is no longer true
            self._notices.append(helper)
            echo(f"{self._host.print_prefix}{prompt}", err=True)
            return
        answer = None
        # Not for another ssh, which is on its way to a jump host
        if parent == int((self._folder / "pid").read_text()):
            asked = {"password": _ASKS_FOR_PASSWORD, "passphrase": _ASKS_FOR_PASSPHRASE}
            known = next((name for name, pattern in asked.items() if pattern.fullmatch(prompt)), "")
            answer = self._answers.pop(known, None)
        if answer is None:
            answer = self._ask_person(prompt)
        if answer is None:
            with suppress(ProcessLookupError):
                os.kill(helper, signal.SIGTERM)
            return
        text = str(answer.unmask() if hasattr(answer, "unmask") else answer)
        self._tell(self._folder / str(helper), f"{text}\n".encode("utf-8", "surrogateescape"))

    @staticmethod
    def _tell(path: Path, data: bytes) -> None:
        """Write to a named pipe once somebody reads it."""
        with gevent.Timeout(_ANSWER_SECONDS, False):
            while True:
                try:
                    fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
                except OSError:
                    gevent.sleep(_LOOK_SECONDS)
                    continue
                with open(fd, "wb", buffering=0) as pipe:
                    pipe.write(data)
                return

    def _ask_person(self, prompt: str) -> str | None:
        if not sys.stdin.isatty():
            return None
        words = f"{self._host.print_prefix}{prompt.strip()} "
        try:
            with paused():
                if "(yes/no" not in prompt:
                    return getpass.getpass(words)
                # Not on standard output, which is for results
                sys.stderr.write(words)
                sys.stderr.flush()
                return sys.stdin.readline().rstrip("\n") or None
        except EOFError:
            return None

    def close(self) -> None:
        """Log out."""
        gevent.killall(self._greenlets)
        self.pipe.close()
        os.close(self._questions)
