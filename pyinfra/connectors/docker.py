"""``@docker/X`` and ``@podman/X``: containers of this machine, and images to make new ones of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

import gevent

from pyinfra.api.exceptions import ConnectError, InventoryError
from pyinfra.api.output import echo, format_text

from .base import DataMeta
from .engines import Container, advice_on, described_containers, explain_engine, run_engine, running_containers
from .session import PatientPipe, Pipe, SessionConnector, SessionData
from .util import CommandOutput

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pyinfra.api.arguments import ConnectorArguments
    from pyinfra.api.command import StringCommand
    from pyinfra.api.host import Host
    from pyinfra.api.state import State


class DockerData(SessionData):
    """The host data that ``@docker`` and ``@podman`` read."""

    docker_identifier: str
    docker_platform: str
    docker_architecture: str
    docker_user: str | int
    docker_network: str
    docker_run_arguments: list[str]


_RUN_OPTIONS = {
    "docker_platform": "--platform",
    "docker_architecture": "--arch",
    "docker_network": "--network",
}

# As the engines' options have it
_FALSE = {"0", "f", "F", "false", "False", "FALSE"}
# After the second Ctrl-C there is little more than a second to disconnect in
_ANSWER_SECONDS = 0.4

RUN_META = {
    "docker_platform": DataMeta("Platform to run an image for (--platform), such as linux/arm64"),
    "docker_architecture": DataMeta("Architecture to run an image for (--arch, which Podman alone has)"),
    "docker_user": DataMeta("User that commands run as in the container, as name or number; the image's by default"),
    "docker_network": DataMeta("Network that a container of an image joins (--network)"),
    "docker_run_arguments": DataMeta("Further arguments for `run`, a list of words such as ['--env', 'A=b']"),
}


class DockerConnector(SessionConnector):
    """Run in a container of this machine's Docker: ``@docker/CONTAINER``, ``@docker/IMAGE`` or ``@docker``.

    - A container that runs is left running. One that is stopped is started, and stopped again at the end.
    - Of an image, a new container is made (``docker run -d IMAGE tail -f /dev/null``). At the end it is committed to an
      image without a name, whose id is printed, and removed; where nothing was run but facts, it is only removed. After
      a failure it is kept as it is, and its id printed.
    - ``@docker`` alone is all running containers, in groups by image and label: ``image_nginx:1.27``,
      ``label_role=web``, with ``_`` in place of each ``/``.

    All that Docker's command line needs to know, such as ``DOCKER_HOST`` or a context, it gets from the environment.
    For example ``pyinfra @docker/debian:12 files.line /etc/motd line=welcome``.
    """

    program = "docker"
    data_cls: type[Any] = DockerData
    data_meta = {
        **SessionConnector.data_meta,
        "docker_identifier": DataMeta("Name or id of a container, or an image to make one of"),
        **RUN_META,
    }

    def __init__(self, state: State, host: Host) -> None:
        super().__init__(state, host)
        self.container: Container | None = None
        # How to leave things as they were before: nothing is to be done, or ``stop``, or ``rm -f``
        self.undo = ""
        # Whether an image is made of it at the end
        self.is_build = False
        # The image that was made of it
        self.committed: str | None = None
        # Whether anything was run that is no fact
        self.has_changed = False

    @classmethod
    def make_names_data(cls, name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield the container or image, or without a name all containers that run."""
        own = f"@{cls.program}"
        if name is not None:
            if not name:
                raise InventoryError(f"{own}/ lacks a container or an image: {own}/NAME; {own} alone is all that run")
            yield f"{own}/{name}", {"docker_identifier": name}, [own]
            return
        for container in running_containers(cls.program):
            names = [f"image_{container.image}"]
            names += [f"label_{key}={value}" for key, value in sorted(container.labels.items())]
            groups = [own, *(group.replace("/", "_") for group in names)]
            # Its id: if it is gone before its turn, an image may be called as it was
            yield f"{own}/{container.name}", {"docker_identifier": container.id}, groups

    # How to get at the engine and at a shell

    @property
    def identifier(self) -> str:
        """The container, or the image to make one of."""
        identifier: str = self.data["docker_identifier"] or self.host.name.partition("/")[2]
        return identifier

    def run_engine(self, *words: str) -> tuple[int, CommandOutput]:
        """Run the engine's program with these arguments; returns its exit code and output."""
        return run_engine(self.program, *words)

    def ask_engine(self, what: str, container: Container) -> list[str]:
        """The output of ``docker WHAT CONTAINER``, or :class:`ConnectError` with what it said."""
        code, output = self.run_engine(*what.split(), container.id)
        if code != 0:
            said = output.stderr or f"{self.program} {what} ended with exit code {code}"
            raise ConnectError(explain_engine(self.program, str(container), said))
        return output.stdout_lines

    def shell_argv(self) -> list[str]:
        """``docker exec`` with a shell."""
        if self.container is None:
            raise ConnectError("Not connected")
        user = [] if self.data["docker_user"] in (None, "") else ["--user", str(self.data["docker_user"])]
        return [self.program, "exec", "-i", *user, self.container.id, "sh"]

    def terminal_argv(self) -> list[str]:
        """The same, in a terminal of the container that is told not to echo what we type."""
        return [*self.shell_argv(), "-c", 'stty -echo 2> /dev/null; echo; exec "$@"', "sh", "sh"]

    def open_pipe(self, argv: Sequence[str], terminal: bool = False) -> Pipe:
        """Start a program of the container; one with a terminal gets it from the engine."""
        if not terminal:
            return self.start_process(argv)
        return PatientPipe(self.start_process([*argv[:2], "-it", *argv[3:]], terminal=True))

    def start_process(self, argv: Sequence[str], terminal: bool = False) -> Pipe:
        """Start the engine's program, wherever it is."""
        return super().open_pipe(argv, terminal)

    def explain_silence(self, why: str, said: str) -> str:
        """Why there is no shell, in words about containers."""
        container = self.container
        if container is not None:
            # Of one that is ending, or being removed, engines say all kinds of things
            try:
                found = self.inspect(container.id)
            except ConnectError as error:
                return str(error)
            if found is None or not found.is_running:
                said = f"{'No such container' if found is None else 'it is not running'}; {why}: {said}"
        if advice_on(said) is None:
            return super().explain_silence(why, said)
        return explain_engine(self.program, str(container), said)

    # Connecting

    def inspect(self, identifier: str) -> Container | None:
        """The container of that name or id; ``None`` if there is none."""
        code, output = self.run_engine("container", "inspect", "--", identifier)
        if code == 0:
            found = described_containers(output)[0]
            return None if found.is_removed else found
        if "no such container" in output.stderr.lower():
            return None
        raise ConnectError(explain_engine(self.program, identifier, output.stderr))

    def find(self) -> Container | None:
        """The container that is called so; ``None`` if that is an image's name."""
        container = self.inspect(self.identifier)
        return container if container is not None and container.is_called(self.identifier) else None

    def connect(self) -> None:
        """Find, start or make the container and open the first shell in it, or raise :class:`ConnectError`."""
        before = self.container
        self.container = self.begin() if before is None else self._begin_again(before)
        try:
            super().connect()
        except BaseException as error:
            why = self._why_ended() if isinstance(error, ConnectError) else ""
            if before is None:
                self._undo()
            if why:
                raise ConnectError(why) from error
            raise

    def begin(self) -> Container:
        """The container, which runs now; what is to be done with it at the end is noted."""
        self.undo = ""
        self.has_changed = False
        container = None if self.committed else self.find()
        self.is_build = container is None
        if container is None:
            container = self._run_image(self.committed or self.identifier)
            self.undo = "rm -f"
        elif not container.is_running:
            self.ask_engine("start", container)
            self.undo = "stop"
        return container

    def _begin_again(self, container: Container) -> Container:
        """The same container after a disconnection in the middle of a run."""
        found = self.inspect(container.id)
        if found is None:
            raise ConnectError(explain_engine(self.program, str(container), "No such container"))
        if not found.is_running:
            self.ask_engine("start", found)
        return found

    def _run_image(self, image: str) -> Container:
        options = []
        for key, option in _RUN_OPTIONS.items():
            if self.data[key]:
                options += [option, self.data[key]]
        arguments = self.data["docker_run_arguments"] or []
        _refuse_what_prevents_an_image(arguments)
        code, output = self.run_engine("run", "-d", *options, *arguments, "--", image, "tail", "-f", "/dev/null")
        identifier = output.stdout_lines[-1].strip() if output.stdout_lines else ""
        if code != 0:
            if identifier:
                # Made, but it would not start
                self.run_engine("rm", "-f", identifier)
            raise ConnectError(explain_engine(self.program, image, output.stderr))
        return Container(identifier, "", image, {}, True)

    def _why_ended(self) -> str:
        """Why a new container does not run any more; empty if it does, or is none."""
        container = self.container if self.undo == "rm -f" else None
        found = self.inspect(container.id) if container is not None else None
        if container is None or found is None or found.is_running:
            return ""
        _, output = self.run_engine("logs", "--tail", "5", found.id)
        return (
            f"The new container of {container.image} ended at once: it has to run `tail -f /dev/null`. If the image "
            "has an entrypoint that is in the way, set the host data docker_run_arguments to ['--entrypoint', '']. "
            f"It wrote: {output.output or 'nothing'}"
        )

    def _undo(self) -> None:
        """Leave things as they were before :meth:`connect`, which failed."""
        container, self.container = self.container, None
        if container is not None and self.undo:
            self.run_engine(*self.undo.split(), container.id)

    def reconnect(self) -> None:
        """Begin the session anew in the same container."""
        super().disconnect()
        super().connect()

    # What changes a container, and what does not

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Within the ``with`` block nothing changes."""
        before = self.has_changed
        try:
            yield
        finally:
            self.has_changed = before

    def run_fact_commands(
        self,
        commands: Sequence[tuple[StringCommand, ConnectorArguments]],
        print_output: bool = False,
        print_input: bool = False,
    ) -> list[tuple[bool, CommandOutput]]:
        """Run commands that only read, as every connector over a session does."""
        with self._reading():
            return super().run_fact_commands(commands, print_output, print_input)

    def get_file(
        self,
        remote_filename: str,
        filename_or_io: str | IO[Any],
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Unpack[ConnectorArguments],
    ) -> bool:
        """Write a file of the container to a local path or file object, as every connector over a session does."""
        with self._reading():
            return super().get_file(
                remote_filename, filename_or_io, remote_temp_filename, print_output, print_input, **arguments
            )

    def _run(self, *args: Any, **kwargs: Any) -> int:
        self.has_changed = True
        return super()._run(*args, **kwargs)

    def _run_in_terminal(self, *args: Any, **kwargs: Any) -> int:
        self.has_changed = True
        return super()._run_in_terminal(*args, **kwargs)

    # Disconnecting

    def disconnect(self) -> None:
        """End the shells, and what was begun with the container, unless the run goes on."""
        if self.container is None:
            return
        try:
            super().disconnect()
        finally:
            if not self._is_underway():
                container, self.container = self.container, None
                self._finish(container)

    def _is_underway(self) -> bool:
        """Whether the run goes on after this, so that the connection is to come back."""
        stage = self.state.current_stage.name
        return stage in ("Prepare", "Execute") or (self.state.is_executing and stage != "Disconnect")

    def _finish(self, container: Container) -> None:
        if self.is_build:
            are_done = [data.operation_meta.is_complete() for data in self.state.ops[self.host].values()]
            if self.host in self.state.failed_hosts or (any(are_done) and not all(are_done)):
                what, identifier, more = self._whereabouts(container)
                self._say(f"not all went well: nothing is committed, and {what}", identifier, more)
                return
            if any(are_done) or (self.has_changed and not are_done):
                self._commit(container)
                return
        if self.undo == "rm -f":
            self.ask_engine(self.undo, container)
            self._say("no operation was run: nothing is committed, container removed:", container.short_id)
        elif self.undo:
            self.ask_engine(self.undo, container)
            self._say("docker build complete, container stopped again:", container.short_id)
        elif self.host not in self.state.failed_hosts:
            self._say("docker build complete, container left running:", container.short_id)

    def _commit(self, container: Container) -> None:
        """Make an image of the container and remove that; without an image the run has failed."""
        try:
            # Nothing may run: the engine would freeze it meanwhile, and if a shell of ours were just starting, that
            # start and the end of the frost would wait for each other for ever (seen with Docker 20.10 and runc 1.1)
            self.run_engine("kill", container.id)
            image = self.ask_engine("commit", container)[-1].strip()
        except (ConnectError, OSError) as error:
            # Errors of disconnecting are told and no more; this one leaves people without what the run was for
            self.state.failed_hosts.add(self.host)
            where = " ".join(filter(None, self._whereabouts(container)))
            raise ConnectError(f"{error}; nothing is committed, and {where}") from error
        self.committed = image.removeprefix("sha256:")[:12]
        self._say("docker build complete, image ID:", self.committed)
        self.ask_engine("rm -f", container)

    def _whereabouts(self, container: Container) -> tuple[str, str, str]:
        """What there is left of a container: in words, its id, and what can be done with it."""
        found: Container | None = container
        with suppress(ConnectError, OSError), gevent.Timeout(_ANSWER_SECONDS, False):
            found = self.inspect(container.id)
        if found is None:
            return "somebody has removed the container:", container.short_id, ""
        commands = {"commit": "makes an image of it", "rm -f": "removes it"}
        can = ", ".join(f"`{self.program} {verb} {container.short_id}` {does}" for verb, does in commands.items())
        return "the container is kept:", container.short_id, f"({can})"

    def _say(self, what: str, identifier: str, more: str = "") -> None:
        words = [what, format_text(identifier, bold=True), more]
        echo(f"{self.host.print_prefix}{' '.join(filter(None, words))}", err=True)


def _refuse_what_prevents_an_image(arguments: list[str]) -> None:
    """Raise :class:`ConnectError` if arguments of ``run`` leave no container to make an image of."""
    for word in arguments:
        option, _, value = word.partition("=")
        if option in ("--rm", "--rmi") and value not in _FALSE:
            why = "the container would be gone before an image is made of it. It is removed afterwards anyway"
        elif option in ("-d", "--detach") and value in _FALSE:
            why = "the container has to run in the background"
        else:
            continue
        raise ConnectError(f"The host data docker_run_arguments cannot have {word}: {why}. Leave it out")


class PodmanConnector(DockerConnector):
    """The same with this machine's Podman: ``@podman/CONTAINER``, ``@podman/IMAGE`` or ``@podman``.

    For example ``pyinfra @podman/debian:12 files.line /etc/motd line=welcome``.
    """

    program = "podman"
