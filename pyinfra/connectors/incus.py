"""``@incus/X`` and ``@lxd/X``: containers and virtual machines of Incus and LXD."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from pyinfra import logger
from pyinfra.api.exceptions import ConnectError, InventoryError

from .base import DataMeta
from .session import PatientPipe, Pipe, ProcessPipe, SessionConnector, SessionData
from .util import run_local_process

# Without a terminal, programs are in the daemon's own process group: `kill 0` would end it along with all instances.
# And now and then what a program has written is lost where it ends right away, in one of a hundred cases
_SHELTER = (
    'if command -v setsid > /dev/null; then setsid "$@"; else "$@"; fi; s=$?; '
    "sleep 0.2 2> /dev/null || sleep 1; exit $s"
)
# How long a remote may take to list its instances
_LIST_SECONDS = 60
_WITHOUT_ECHO = 'stty -echo 2> /dev/null; exec "$@"'

# What the programs say, and what to do about it, the first that fits; {program}, {service}, {what}: the instance, and
# {words} that mean it on a command line
_ADVICE = (
    (("permission denied",), "this user may not talk to the daemon: add it to the group {group}, and log in again"),
    (
        ("dial unix", "unix.socket", "connection refused", "no such host", "i/o timeout", "no route to host"),
        "the daemon does not answer: start it (systemctl start {service}), or see `{program} remote list`",
    ),
    (('the remote "',), "`{program} remote list` shows the remotes, `{program} remote add` adds one"),
    (("project not found",), "`{program} project list` shows the projects"),
    (
        ("command not found", "executable file not found", "no such file or directory"),
        "there is no shell (sh) in {what}: install one, or set the host data shell_session = False",
    ),
    (
        ("instance not found", "failed to fetch instance", "not found"),
        "`{program} list --all-projects` shows the instances: a name may be [REMOTE:][PROJECT/]NAME",
    ),
    (("agent isn't currently running",), "install and start the agent in the virtual machine {what}"),
    (("is not running", "isn't running", "is frozen"), "`{program} start {words}` starts it"),
)


class InstanceConnector(SessionConnector):
    """What Incus and LXD have in common: all but the name of their program.

    Attributes:
        program: the command line client
        service: what systemd calls the daemon
        group: whose members may use it
        prefix: how this connector's name and its data begin
    """

    program: ClassVar[str]
    service: ClassVar[str]
    group: ClassVar[str]
    prefix: ClassVar[str]

    @classmethod
    def make_names_data(cls, name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield the instance; without one all that run on the remote, and without a remote those on every remote."""
        remote, colon, rest = name.rpartition(":") if name else ("", "", "")
        if rest:
            yield f"@{cls.prefix}/{name}", cls._data(remote, *rest.rpartition("/")[::2]), [f"@{cls.prefix}"]
        elif name is not None and not remote:
            raise InventoryError(f"@{cls.prefix}/ needs an instance, [REMOTE:][PROJECT/]NAME, or none and no slash")
        else:
            yield from cls._running(remote) if colon else cls._running_everywhere()

    @classmethod
    def _data(cls, remote: str, project: str, instance: str) -> dict[str, Any]:
        values = {"remote": remote, "project": project, "instance": instance}
        return {f"{cls.prefix}_{key}": value for key, value in values.items() if value}

    # Finding instances

    @classmethod
    def _explained(cls, said: str, what: str = "INSTANCE", words: str = "INSTANCE") -> str:
        """What the program said, with advice where there is any.

        Args:
            said: by the program
            what: the instance's name
            words: what means the instance on a command line
        """
        said = said.strip().removeprefix("Error: ")
        for phrases, advice in _ADVICE:
            if any(phrase in said.lower() for phrase in phrases):
                own = {"program": cls.program, "service": cls.service, "group": cls.group}
                return f"{said}; {advice.format(**own, what=what, words=words)}"
        return said

    @classmethod
    def _missing(cls) -> str:
        return f"The program {cls.program} is not in PATH on this machine: install the client of {cls.service}"

    @classmethod
    def _listed(cls, *words: str) -> Any:
        """What the program lists, or :class:`InventoryError` with what it said."""
        if shutil.which(cls.program) is None:
            raise InventoryError(cls._missing())
        command = shlex.join([cls.program, *words])
        try:
            code, output = run_local_process(command, timeout=_LIST_SECONDS)
        except TimeoutError as error:
            raise InventoryError(f"@{cls.prefix}: `{command}` took longer than {_LIST_SECONDS} seconds") from error
        if code != 0:
            raise InventoryError(f"@{cls.prefix}: `{command}` failed: {cls._explained(output.stderr)}")
        return json.loads(output.stdout)

    @classmethod
    def _remotes(cls) -> list[str]:
        """The remotes that run instances; the others serve images."""
        found = cls._listed("remote", "list", "--format", "json")
        executing = {name: about for name, about in found.items() if about.get("Protocol") != "simplestreams"}
        return [name for name, about in executing.items() if not about.get("Public")]

    @classmethod
    def _running_everywhere(cls) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """The instances that run on any remote; remotes that cannot be asked are left out, if others can."""
        remotes = cls._remotes()
        errors: dict[str, InventoryError] = {}
        for remote in remotes:
            try:
                yield from cls._running(remote)
            except InventoryError as error:
                errors[remote] = error
        if remotes and len(errors) == len(remotes):
            raise errors[remotes[0]]
        for remote, why in errors.items():
            logger.warning("The instances of the remote %s are left out: %s", remote, why)

    @classmethod
    def _running(cls, remote: str) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """The instances that run on a remote."""
        for about in cls._listed("list", "--all-projects", "--format", "json", "--", f"{remote}:"):
            if about["status"].lower() != "running":
                continue
            project = about.get("project") or "default"
            groups = [f"project_{project}", *(f"profile_{profile}" for profile in about.get("profiles") or [])]
            data = cls._data(remote, project, about["name"])
            own = about["name"] if project == "default" else f"{project}/{about['name']}"
            name = own if remote == "local" else f"{remote}:{own}"
            yield f"@{cls.prefix}/{name}", data, [f"@{cls.prefix}", *groups, f"remote_{remote}"]

    # Reaching one

    def _value(self, key: str) -> Any:
        return self.data[f"{self.prefix}_{key}"]

    @property
    def instance(self) -> str:
        """The instance, with its remote if it has one."""
        name = self._value("instance") or self.host.name.partition("/")[2]
        return f"{self._value('remote')}:{name}" if self._value("remote") else name

    def _options(self, *keys: str) -> list[str]:
        """Options of the program that have host data of the same name."""
        given = {key: self._value(key) for key in keys}
        return [word for key, value in given.items() if value is not None for word in (f"--{key}", str(value))]

    def _exec_argv(self, mode: str) -> list[str]:
        return [self.program, "exec", mode, *self._options("project", "user", "group"), "--", self.instance]

    def shell_argv(self) -> list[str]:
        """``exec`` with a shell."""
        return [*self._exec_argv("-T"), "sh", "-c", _SHELTER, "sh", "sh"]

    def terminal_argv(self) -> list[str]:
        """The same in a terminal of the instance, told not to echo what we type."""
        return [*self._exec_argv("-t"), "sh", "-c", _WITHOUT_ECHO, "sh", "sh"]

    def program_argv(self, text: str) -> list[str]:
        """``exec`` with the words of a command line."""
        return [*self._exec_argv("-T"), *shlex.split(text)]

    def open_pipe(self, argv: Sequence[str], terminal: bool = False) -> Pipe:
        """Start the program, whose terminal here is a passage to that in the instance."""
        pipe = ProcessPipe(argv, terminal)
        return PatientPipe(pipe) if terminal else pipe

    def connect(self) -> None:
        """Open the first shell, or raise :class:`ConnectError`."""
        if shutil.which(self.program) is None:
            raise ConnectError(self._missing())
        super().connect()

    def explain_silence(self, why: str, said: str) -> str:
        """Why there is no shell, in words about instances."""
        explained = self._explained(said, self.instance, shlex.join([*self._options("project"), self.instance]))
        return explained if ";" in explained else super().explain_silence(why, said)


def _meta(prefix: str) -> dict[str, DataMeta]:
    return {
        **SessionConnector.data_meta,
        f"{prefix}_instance": DataMeta("Name of the instance"),
        f"{prefix}_remote": DataMeta("Remote that it is on; the client's default one without"),
        f"{prefix}_project": DataMeta("Project that it is in; the client's current one without"),
        f"{prefix}_user": DataMeta("Number of the user that commands run as; 0 without"),
        f"{prefix}_group": DataMeta("Number of the group that commands run as; 0 without"),
    }


class IncusData(SessionData):
    """The host data that ``@incus`` reads."""

    incus_instance: str
    incus_remote: str
    incus_project: str
    incus_user: int
    incus_group: int


class IncusConnector(InstanceConnector):
    """Run in an instance of Incus: ``@incus/NAME``, ``@incus/REMOTE:NAME``, ``@incus/REMOTE:PROJECT/NAME``.

    ``@incus/REMOTE:`` is all instances that run on a remote, ``@incus`` those on every remote, in the groups
    ``project_P``, ``profile_P`` and ``remote_R``. For example ``pyinfra @incus/web fact server.Hostname``.
    """

    program = "incus"
    service = "incus"
    group = "incus-admin"
    prefix = "incus"
    data_cls = IncusData
    data_meta = _meta("incus")


class LXDData(SessionData):
    """The host data that ``@lxd`` reads."""

    lxd_instance: str
    lxd_remote: str
    lxd_project: str
    lxd_user: int
    lxd_group: int


class LXDConnector(InstanceConnector):
    """Run in an instance of LXD: ``@lxd/NAME``, ``@lxd/REMOTE:NAME``, ``@lxd/REMOTE:PROJECT/NAME``.

    ``@lxd/REMOTE:`` is all instances that run on a remote, ``@lxd`` those on every remote, in the groups ``project_P``,
    ``profile_P`` and ``remote_R``. For example ``pyinfra @lxd/web fact server.Hostname``.
    """

    program = "lxc"
    service = "lxd"
    group = "lxd"
    prefix = "lxd"
    data_cls = LXDData
    data_meta = _meta("lxd")
