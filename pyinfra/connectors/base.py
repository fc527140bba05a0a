"""What every connector is: a class that lists hosts, reaches them, or both."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator
from functools import cache
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

from typing_extensions import TypedDict, Unpack, get_type_hints

from pyinfra.api.exceptions import ConnectorDataTypeError
from pyinfra.api.masking import MASK, is_secret_name, masked
from pyinfra.api.util import raise_if_bad_type

if TYPE_CHECKING:
    from pyinfra.api.arguments import ConnectorArguments
    from pyinfra.api.command import StringCommand
    from pyinfra.api.host import Host, HostData
    from pyinfra.api.state import State

    from .util import CommandOutput

T = TypeVar("T")


class ConnectorData(TypedDict, total=False):
    """The host data that a connector reads, with types: subclassed by connectors that have any."""


class DataMeta:
    """What is known of one key of connector data.

    Args:
        description: one line for the documentation
        default: the value where host data have none
    """

    description: str
    default: Any

    def __init__(self, description: str, default: Any = None) -> None:
        self.description = description
        self.default = default


@cache
def _types_of(data_cls: type[Any]) -> dict[str, Any]:
    """The types that a class of connector data declares, by key."""
    return get_type_hints(data_cls)


def _type_name(type_: Any) -> str:
    """A type as people write it: ``int``, ``list[str]``."""
    return type_.__name__ if type(type_) is type else str(type_).replace("typing.", "")


def host_to_connector_data(
    connector_data: type[T],
    connector_data_meta: dict[str, DataMeta],
    host_data: HostData,
) -> T:
    """The data that a connector reads, from a host's data and the connector's defaults.

    Args:
        connector_data: the connector's ``data_cls``
        connector_data_meta: its ``data_meta``
        host_data: the host's data

    Raises:
        ConnectorDataTypeError: a value is not of the type that the connector declares
    """
    types = _types_of(cast(Any, connector_data))
    data = {}
    for key, meta in connector_data_meta.items():
        value = data[key] = host_data.get(key, meta.default)
        if value is meta.default or key not in types:
            continue
        shown = MASK if is_secret_name(key) else repr(masked(value))
        host = getattr(host_data, "_host", "")
        prefix = f"[{host}] Invalid connector data `{key}` = {shown}, expected {_type_name(types[key])}"
        raise_if_bad_type(value, types[key], ConnectorDataTypeError, prefix)
    return cast(T, data)


class BaseConnector(abc.ABC):
    """A way to find hosts (:meth:`make_names_data`), to run and copy on one of them, or both.

    Attributes:
        handles_execution: whether this reaches hosts, beyond naming them
        data_cls: a ``TypedDict`` of the host data it reads
        data_meta: description and default of each of its keys
        data: those data of this host
    """

    state: State
    host: Host

    handles_execution = False

    data_cls: type[Any] = ConnectorData
    data_meta: dict[str, DataMeta] = {}

    def __init__(self, state: State, host: Host) -> None:
        self.state = state
        self.host = host
        self.data = host_to_connector_data(self.data_cls, self.data_meta, host.data)

    @staticmethod
    @abc.abstractmethod
    def make_names_data(name: str) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield a name, data and groups for each host.

        ``name`` is what follows the first ``/`` of an inventory entry ``@connector/name``, ``None`` without.
        """

    def connect(self) -> None:  # noqa: B027 (optional)
        """Connect to the host, or raise :class:`~pyinfra.api.exceptions.ConnectError` that says why not."""

    def disconnect(self) -> None:  # noqa: B027 (optional)
        """Let go of the host, and leave nothing on it."""

    def run_shell_command(
        self,
        command: StringCommand,
        print_output: bool,
        print_input: bool,
        **arguments: Unpack[ConnectorArguments],
    ) -> tuple[bool, CommandOutput]:
        """Run a command on the host.

        Args:
            command: what to run, in the host's shell
            print_output: whether to echo output lines as they come
            print_input: whether to echo the command, secrets masked

        Returns whether the exit code is one of ``_success_exit_codes``, and the output.
        """
        raise self._refused("run commands")

    def put_file(
        self,
        filename_or_io: str | IO[Any],
        remote_filename: str,
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Unpack[ConnectorArguments],
    ) -> bool:
        """Write a local file or file object to ``remote_filename``; returns whether that went well."""
        raise self._refused("write files")

    def get_file(
        self,
        remote_filename: str,
        filename_or_io: str | IO[Any],
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Unpack[ConnectorArguments],
    ) -> bool:
        """Write the host's ``remote_filename`` to a local path or file object; returns whether that went well."""
        raise self._refused("read files")

    def check_can_rsync(self) -> None:
        """Raise :class:`NotImplementedError`, or what else is in the way, where :meth:`rsync` cannot work."""
        raise self._refused("rsync")

    def rsync(
        self,
        src: str,
        dest: str,
        flags: Iterable[str],
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Unpack[ConnectorArguments],
    ) -> bool:
        """Copy the local folder ``src`` to the host's ``dest`` with ``rsync``; returns whether that went well."""
        raise self._refused("rsync")

    def _refused(self, what: str) -> NotImplementedError:
        return NotImplementedError(f"[{self.host.name}] {type(self).__name__} cannot {what}")
