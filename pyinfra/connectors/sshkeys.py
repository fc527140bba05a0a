"""Private keys and agents: each loaded once per process, whatever the number of hosts."""

from __future__ import annotations

import getpass
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pyinfra.api.exceptions import ConnectError
from pyinfra.api.output import paused

if TYPE_CHECKING:
    from paramiko import PKey
    from paramiko.agent import AgentKey

# Those that OpenSSH looks for, without the kinds that paramiko does not know
DEFAULT_KEY_FILES = ("~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519")
_AGENT_SECONDS = 30

# One at a time: passphrases are asked for once, and prompts do not mix
_loading = threading.RLock()
_keys: dict[tuple[Any, ...], PKey] = {}
_passphrases: dict[str, str] = {}
_agents: dict[str, Any] = {}
# Sockets at which somebody listens who does not even say which keys there are
_silent_agents: set[str] = set()


def find_key_file(path: str) -> str:
    """The full path of a private key file.

    Raises:
        ConnectError: there is no such file
    """
    full_path = os.path.expanduser(path)
    if not os.path.isfile(full_path):
        raise ConnectError(f"No such private key file: {path}")
    return full_path


def load_key(path: str, passphrase: str | None = None, *, ask: bool = True, certificate: str | None = None) -> PKey:
    """A private key, with its certificate if there is one (``KEY-cert.pub``, or the file given).

    Args:
        path: a file that exists
        passphrase: for a key that is encrypted; without one it is asked for, if ``ask`` and somebody can answer
        certificate: the path of a certificate for it

    Raises:
        ConnectError: the file holds no key, or the passphrase is wrong or missing
    """
    with _loading:
        stamp = os.stat(path)
        key = (path, stamp.st_mtime_ns, stamp.st_size, passphrase, certificate)
        if key not in _keys:
            _keys[key] = _with_certificate(_decrypt(path, passphrase, ask), path, certificate)
        return _keys[key]


def _decrypt(path: str, passphrase: str | None, ask: bool) -> PKey:
    from paramiko import PasswordRequiredException

    passphrase = passphrase or _passphrases.get(path)
    try:
        return _parse(path, passphrase)
    except PasswordRequiredException:
        pass
    except ConnectError:
        if not passphrase:
            raise
        raise ConnectError(f"Incorrect password for private key file: {path}") from None
    encrypted = ConnectError(f"Private key file ({path}) is encrypted, set ssh_key_password to use this key")
    if not ask or not sys.stdin.isatty():
        raise encrypted
    try:
        with paused():
            passphrase = getpass.getpass(f"Enter password for private key: {path}: ")
    except EOFError:
        raise encrypted from None
    try:
        key = _parse(path, passphrase)
    except (PasswordRequiredException, ConnectError):
        raise ConnectError(f"Incorrect password for private key file: {path}") from None
    _passphrases[path] = passphrase
    return key


def _parse(path: str, passphrase: str | None) -> PKey:
    """The key in a file; paramiko's error for an encrypted one passes, all others become a :class:`ConnectError`."""
    import paramiko

    encrypted: Exception | None = None
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key_file(path, passphrase)
        except paramiko.PasswordRequiredException as error:
            encrypted = error
        except OSError as error:
            raise ConnectError(f"Cannot read private key file {path}: {error.strerror or error}") from error
        # What the kinds raise for keys of another kind differs between them, and between versions
        except Exception as error:
            reason = error
    if encrypted is not None:
        raise encrypted
    raise ConnectError(f"Invalid private key file: {path}") from reason


def _with_certificate(key: PKey, path: str, certificate: str | None) -> PKey:
    given = certificate or f"{path}-cert.pub"
    if os.path.isfile(given):
        try:
            key.load_certificate(given)
        except Exception as error:
            raise ConnectError(f"Invalid certificate for private key file {path}: {given} ({error})") from error
    elif certificate:
        raise ConnectError(f"No such certificate file: {certificate}")
    return key


def default_key_files() -> Iterator[str]:
    """The private keys of the user that are looked for without being named."""
    for path in map(os.path.expanduser, DEFAULT_KEY_FILES):
        if os.path.isfile(path):
            yield path


def public_blob(path: str) -> bytes | None:
    """The public key beside a private key file, as bytes; ``None`` where there is none."""
    import base64

    with suppress(OSError, ValueError, IndexError), open(f"{path.removesuffix('.pub')}.pub", encoding="utf-8") as file:
        return base64.b64decode(file.read().split()[1])
    return None


def agent_socket(configured: str | None) -> str | None:
    """The path of the agent's socket: the configured one, or the environment's; ``None`` without an agent."""
    if configured == "none":
        return None
    return configured or os.environ.get("SSH_AUTH_SOCK") or None


def agent_keys(path: str) -> list[AgentKey]:
    """The keys that an agent holds; none where no agent answers at that socket.

    All hosts share one connection to it, until it breaks.
    """
    from paramiko import SSHException

    with _loading:
        if path in _silent_agents:
            return []
        if path not in _agents:
            try:
                _agents[path] = _connect_agent(path)
            except SSHException as error:
                # Others are not to wait as long
                if isinstance(error.__cause__, TimeoutError):
                    _silent_agents.add(path)
                return []
            except OSError:
                return []
        return list(_agents[path].get_keys())


def _connect_agent(path: str) -> Any:
    from paramiko import SSHException
    from paramiko.agent import AgentSSH

    class SharedAgent(AgentSSH):
        """A connection to an agent that several threads use, until the agent does not answer."""

        def __init__(self, connection: socket.socket) -> None:
            super().__init__()
            self._lock = threading.Lock()
            self._is_lost = False
            self._connect(connection)  # type: ignore[attr-defined]

        def _send_message(self, message: Any) -> Any:
            with self._lock:
                if self._is_lost:
                    raise SSHException("the agent did not answer before")
                try:
                    return super()._send_message(message)  # type: ignore[misc]
                except (OSError, SSHException) as error:
                    # What it may still say would be taken for the next answer
                    self._is_lost = True
                    connection.close()
                    if _agents.get(path) is self:
                        del _agents[path]
                    raise SSHException(f"the agent does not answer ({error})") from error

    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Keys on tokens may wait for a touch
    connection.settimeout(_AGENT_SECONDS)
    try:
        connection.connect(path)
        return SharedAgent(connection)
    except BaseException:
        connection.close()
        raise


def forward_agent(path: str) -> Callable[[Any], None]:
    """What connects an incoming agent channel (paramiko's) with the agent's socket of this machine."""

    def pump(source: Any, target: Any) -> None:
        with suppress(OSError, EOFError):
            while data := source.recv(1 << 14):
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.close()

    def accept(channel: Any) -> None:
        agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            agent.connect(path)
        except OSError:
            agent.close()
            channel.close()
            return
        for ends in ((channel, agent), (agent, channel)):
            threading.Thread(target=pump, args=ends, daemon=True).start()

    return accept
