"""A real SSH server for tests: its own configuration, host keys and users, on any loopback addresses.

Needs root and OpenSSH's ``sshd``; :func:`can_run_sshd` says whether both are there.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.users import add_account, remove_account

SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or "/usr/sbin/sshd"


def can_run_sshd() -> bool:
    """Whether this process may start an SSH server and create users for it."""
    return os.geteuid() == 0 and os.access(SSHD, os.X_OK) and shutil.which("useradd") is not None


def free_port(address: str = "127.0.0.1") -> int:
    """A TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def make_key(path: Path, *, kind: str = "ed25519", passphrase: str = "", bits: int | None = None) -> Path:
    """Write a new private key to ``path``, its public key beside it."""
    size = ["-b", str(bits)] if bits else []
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, *size, "-N", passphrase, "-C", path.name, "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    return path


@dataclass
class User:
    """A user of the machine, with a password and a key that may log in."""

    name: str
    home: Path
    key: Path
    password: str

    @property
    def authorized_keys(self) -> Path:
        return self.home / ".ssh" / "authorized_keys"

    def authorize(self, public_key: Path) -> None:
        """Let the holder of one more key log in."""
        with self.authorized_keys.open("a") as file:
            file.write(public_key.read_text())


@dataclass
class SSHServer:
    """An ``sshd`` in the foreground, stopped by its process id."""

    folder: Path
    port: int
    addresses: tuple[str, ...] = ("127.0.0.1",)
    options: dict[str, str] = field(default_factory=dict)
    users: list[User] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def host_key(self) -> Path:
        return self.folder / "host_ed25519"

    @property
    def log(self) -> str:
        return (self.folder / "sshd.log").read_text(errors="replace")

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        if not self.host_key.exists():
            make_key(self.host_key)
            make_key(self.folder / "host_rsa", kind="rsa", bits=2048)
        # Without this folder sshd refuses to start, with any configuration
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        settings = {
            "Port": str(self.port),
            "PidFile": str(self.folder / "sshd.pid"),
            "AuthorizedKeysFile": ".ssh/authorized_keys",
            "PermitRootLogin": "yes",
            "PasswordAuthentication": "yes",
            "KbdInteractiveAuthentication": "no",
            "UsePAM": "no",
            "UseDNS": "no",
            "StrictModes": "no",
            "MaxStartups": "500:30:1000",
            "MaxSessions": "500",
            "MaxAuthTries": "6",
            "LogLevel": "VERBOSE",
            "PrintMotd": "no",
            "PrintLastLog": "no",
            "Subsystem": "sftp internal-sftp",
            **self.options,
        }
        lines = [f"ListenAddress {address}" for address in self.addresses]
        lines += [f"HostKey {self.host_key}", f"HostKey {self.folder / 'host_rsa'}"]
        lines += [f"{name} {value}" for name, value in settings.items()]
        config = self.folder / "sshd_config"
        config.write_text("\n".join(lines) + "\n")
        log = str(self.folder / "sshd.log")
        self.process = subprocess.Popen([SSHD, "-D", "-f", str(config), "-E", log], start_new_session=True)
        deadline = time.monotonic() + 20
        while not self._takes_connections():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"sshd did not start:\n{self.log}")
            time.sleep(0.02)

    def _takes_connections(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.addresses[0], self.port)) == 0

    def stop(self) -> None:
        """Stop the server and all sessions that it serves."""
        if self.process is None:
            return
        self.kill_sessions()
        _kill(self.process.pid)
        self.process.wait()
        self.process = None

    def kill_sessions(self) -> None:
        """Cut all connections that there are."""
        for pid in self.session_pids():
            _kill(pid)

    def session_pids(self) -> list[int]:
        """The processes that serve connections, and what runs in these."""
        if self.process is None:
            return []
        return descendants_of(self.process.pid)

    def add_user(self, *, shell: str = "/bin/sh", key_kind: str = "ed25519", uid: int | None = None) -> User:
        """Create a user with a random name, its own home, key and password; ``uid`` may be somebody's already."""
        name = f"pit{secrets.token_hex(4)}"
        home = self.folder / "homes" / name
        home.parent.mkdir(exist_ok=True)
        home.parent.chmod(0o755)
        somebody_s = () if uid is None else ("--non-unique", "--uid", str(uid))
        where = ("--home-dir", str(home), "--create-home", "--skel", "/nonexistent")
        add_account(name, *where, "--shell", shell, *somebody_s)
        password = secrets.token_urlsafe(12)
        subprocess.run(["chpasswd"], input=f"{name}:{password}\n".encode(), check=True, capture_output=True)
        keys = self.folder / "keys"
        keys.mkdir(exist_ok=True)
        user = User(name, home, make_key(keys / name, kind=key_kind), password)
        user.authorized_keys.parent.mkdir(mode=0o700)
        user.authorize(user.key.with_suffix(".pub"))
        entry = pwd.getpwnam(name)
        os.chown(home, entry.pw_uid, entry.pw_gid)
        for path in (user.authorized_keys.parent, user.authorized_keys):
            os.chown(path, entry.pw_uid, entry.pw_gid)
        self.users.append(user)
        return user

    def known_hosts_line(self, host: str | None = None) -> str:
        """The line of a ``known_hosts`` file for this server under ``host`` (or its first address)."""
        kind, key = self.host_key.with_suffix(".pub").read_text().split()[:2]
        return f"[{host or self.addresses[0]}]:{self.port} {kind} {key}\n"

    def close(self) -> None:
        """Stop the server and remove its users and files."""
        try:
            self.stop()
        finally:
            self._remove_users()

    def _remove_users(self) -> None:
        for user in self.users:
            remove_account(user.name)
        shutil.rmtree(self.folder, ignore_errors=True)


def start_sshd(addresses: tuple[str, ...] = ("127.0.0.1",), **options: str) -> SSHServer:
    """A running server on a free high port; ``options`` are lines of ``sshd_config``.

    ``sshd`` listens on 16 addresses at most; ``0.0.0.0`` stands for all of 127.0.0.0/8.
    """
    folder = Path(tempfile.mkdtemp(prefix="pyinfra-sshd-"))
    folder.chmod(0o755)
    server = SSHServer(folder, free_port(addresses[0]), addresses, options)
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    return server


def descendants_of(pid: int) -> list[int]:
    """The process ids of a process's children, and theirs."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found, ahead = [], [pid]
    while ahead:
        ahead = [child for child, parent in parents.items() if parent in ahead]
        found += ahead
    return found


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
