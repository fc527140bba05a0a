"""``@dockerssh/HOST:X`` and ``@podmanssh/HOST:X``: containers of hosts that are reached by SSH."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from gevent.lock import RLock

from pyinfra.api.command import QuoteString, StringCommand
from pyinfra.api.exceptions import ConnectError, InventoryError

from .base import DataMeta
from .docker import RUN_META, DockerConnector
from .engines import Container, answer_seconds, explain_engine, explain_missing, explain_no_answer
from .session import BOOT, Pipe, Reply, SessionConnector, SessionData, ShellSession, Terms
from .ssh import SSHConnector
from .util import CommandOutput

if TYPE_CHECKING:
    from pyinfra.api.host import Host
    from pyinfra.api.state import State

logger = logging.getLogger("pyinfra")

# The connectors that the warning was given for
_warned: set[str] = set()


class _Login:
    """The log-in to one host that its containers share; more than one if the host refuses to serve so many on one."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._open: list[SSHConnector] = []
        self._lock = RLock()
        self._users = 0
        # For what is asked of the engine now and then: none of its shells waits, as the host may serve few
        self._shells = ShellSession(self._open_shell, state.config.CONNECT_TIMEOUT, opens_ahead=False)
        # Why nobody can be served any more
        self.failure: ConnectError | None = None

    def enter(self, host: Host) -> None:
        """Have one user more; :class:`ConnectError` if the log-in failed, even for another one."""
        # Those who wait for it count: it is not given up behind their back
        self._users += 1
        try:
            with self._lock, self._noting_failure():
                if self.failure is not None:
                    raise ConnectError(str(self.failure))
                if not self._open:
                    self._open.append(_logged_in(self._state, host))
        except BaseException:
            self.leave()
            raise

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except ConnectError as error:
            self.failure = error
            raise

    def leave(self) -> None:
        """Have one user less, and log out with the last."""
        self._users -= 1
        if self._users:
            return
        # Nobody may come meanwhile
        logins = _logins.get(self._state, {})
        for key in [key for key, login in logins.items() if login is self]:
            del logins[key]
        try:
            self._shells.close()
        finally:
            while self._open:
                self._open.pop().disconnect()

    def run(self, command: StringCommand, seconds: float | None) -> tuple[int, CommandOutput]:
        """Run a command on the host; returns its exit code and output, or raises ``TimeoutError``."""
        reply = Reply()
        with self._noting_failure():
            code = self._shells.run(command.get_raw_value(), reply, Terms(seconds=seconds))
        return code, reply.output(code)

    def _open_shell(self) -> Pipe:
        return self.open_pipe(["sh", "-c", BOOT], False)

    def open_pipe(self, argv: Sequence[str], terminal: bool) -> Pipe:
        """A pipe to a program on the host."""
        with self._noting_failure():
            pipe = self._open_pipe(argv, terminal)
            if pipe is not None:
                return pipe
            with self._lock:
                # Somebody else may have logged in once more meanwhile
                pipe = self._open_pipe(argv, terminal)
                if pipe is not None:
                    return pipe
                ssh = _logged_in(self._state, self._open[0].host)
                try:
                    # Before others see it, who might take all that it serves
                    pipe = ssh.open_pipe(argv, terminal)
                except BaseException:
                    ssh.disconnect()
                    raise
                self._open.append(ssh)
                return pipe

    def _open_pipe(self, argv: Sequence[str], terminal: bool) -> Pipe | None:
        """A pipe on one of the log-ins, the newest first; ``None`` if all serve as many as they are allowed to."""
        for ssh in reversed(tuple(self._open)):
            try:
                return ssh.open_pipe(argv, terminal)
            except OSError as error:
                if error.errno == errno.E2BIG:
                    raise
        return None


def _logged_in(state: State, host: Host) -> SSHConnector:
    """A log-in to the host that a container is on, without a shell."""
    ssh = SSHConnector(state, host)
    ssh.log_in()
    return ssh


# By the servers and the ways to log in to them, which are to be equal for containers that share one
_logins: WeakKeyDictionary[State, dict[Any, _Login]] = WeakKeyDictionary()


class DockerSSHData(SessionData):
    """The host data that ``@dockerssh`` and ``@podmanssh`` read, beyond those of ``@ssh``."""

    docker_image: str
    docker_container_id: str
    docker_platform: str
    docker_architecture: str
    docker_user: str | int
    docker_network: str
    docker_run_arguments: list[str]


class DockerSSHConnector(DockerConnector):
    """Run in a container of a host reached by SSH: ``@dockerssh/HOST:CONTAINER``, ``@dockerssh/HOST:IMAGE``.

    Containers and images are treated as ``@docker`` treats them; the container that the data ``docker_container_id``
    names is committed and removed at the end as if it had been made of an image, unless nothing was run in it but
    facts. The data of ``@ssh`` say how to log in. The containers of one host share its log-in, or several where its
    server serves no more sessions on one (``MaxSessions``).

    For example ``pyinfra @dockerssh/build.example.com:debian:12 files.line /etc/motd line=welcome``.
    """

    data_cls = DockerSSHData
    data_meta = {
        **SessionConnector.data_meta,
        "docker_image": DataMeta("Name or id of a container, or an image to make one of"),
        "docker_container_id": DataMeta("Name or id of a container to commit and remove at the end"),
        **RUN_META,
    }
    name = "dockerssh"

    def __init__(self, state: State, host: Host) -> None:
        super().__init__(state, host)
        # Not the one that logs in: its data say how
        self._ssh = SSHConnector(state, host)
        self._login: _Login | None = None

    @classmethod
    def make_names_data(cls, name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield the container or image."""
        own = f"@{cls.name}"
        # An address of IPv6 stands in brackets
        host, _, image = (name or "").partition("]:" if name and name.startswith("[") else ":")
        if not host or not image:
            raise InventoryError(f"{own} needs a host and a container or image there: {own}/HOST:IMAGE, not {name!r}")
        if cls.name not in _warned:
            _warned.add(cls.name)
            logger.warning("The %s connector is in beta!", own)
        yield f"{own}/{name}", {"ssh_hostname": host.lstrip("["), "docker_image": image}, [own]

    @property
    def identifier(self) -> str:
        """The container, or the image to make one of."""
        identifier: str = self.data["docker_container_id"] or self.data["docker_image"]
        return identifier

    def find(self) -> Container | None:
        """The container that is called so, ``None`` if that is an image's name; data that name one name no image."""
        named = self.data["docker_container_id"]
        if not named:
            return super().find()
        container = self.inspect(named)
        if container is None:
            raise ConnectError(explain_engine(self.program, named, "No such container"))
        return container

    def begin(self) -> Container:
        """The container, which runs now; of one that ``docker_container_id`` names an image is made, too."""
        container = super().begin()
        self.is_build = self.is_build or bool(self.data["docker_container_id"])
        return container

    # How to get at the engine

    def _joined(self) -> _Login:
        if self._login is None:
            raise ConnectError("Not connected")
        return self._login

    def run_engine(self, *words: str) -> tuple[int, CommandOutput]:
        """Run the engine's program on the host; returns its exit code and output."""
        command = StringCommand(self.program, *map(QuoteString, words))
        try:
            code, output = self._joined().run(command, answer_seconds(words))
        except TimeoutError as error:
            raise ConnectError(explain_no_answer(self.program, words)) from error
        if code and f"{self.program}: not found" in output.stderr.replace("command not found", "not found"):
            raise ConnectError(explain_missing(self.program, str(self._ssh.data["ssh_hostname"] or self.host.name)))
        return code, output

    def start_process(self, argv: Sequence[str], terminal: bool = False) -> Pipe:
        """Start the engine's program on the host."""
        return self._joined().open_pipe(argv, terminal)

    # Connecting

    def connect(self) -> None:
        """Log in, unless another container of the host has, and go on as with a container of this machine."""
        if self._login is None:
            logins = _logins.setdefault(self.state, {})
            target = self._ssh.target()
            # Targets that are equal may still have keys and sockets of their own
            key = (target, id(target.pkey), id(target.sock))
            login = logins.get(key)
            if login is None or login.failure is not None:
                login = logins[key] = _Login(self.state)
            login.enter(self.host)
            self._login = login
        try:
            super().connect()
        except BaseException:
            self._leave()
            raise

    def disconnect(self) -> None:
        """End with the container, and log out if no other container of the host needs that any more."""
        try:
            super().disconnect()
        finally:
            self._leave()

    def _leave(self) -> None:
        login, self._login = self._login, None
        if login is not None:
            login.leave()


class PodmanSSHConnector(DockerSSHConnector):
    """The same with the host's Podman: ``@podmanssh/HOST:CONTAINER``, ``@podmanssh/HOST:IMAGE``.

    For example ``pyinfra @podmanssh/build.example.com:debian:12 files.line /etc/motd line=welcome``.
    """

    program = "podman"
    name = "podmanssh"
