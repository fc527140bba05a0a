"""The connectors that are installed, or named by their class, and what they say of an inventory's names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib import import_module
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from typing import TYPE_CHECKING, Any

from .exceptions import InventoryError, NoConnectorError, PyinfraError
from .masking import masked

if TYPE_CHECKING:
    from pyinfra.connectors.base import BaseConnector

ENTRY_POINT_GROUP = "pyinfra.connectors"


def name_and_version(distribution: Distribution | None) -> tuple[str | None, str | None]:
    """Both of a distribution, ``None`` where nobody knows them or its metadata cannot be read."""
    try:
        return (None, None) if distribution is None else (distribution.metadata["Name"], distribution.version)
    except Exception:
        return None, None


def _place(distribution: Distribution) -> str:
    """Where a distribution's metadata are; of other kinds than installers make, where its files are."""
    return str(getattr(distribution, "_path", distribution.locate_file("")))


def _shown(distribution: Distribution | None) -> str:
    """A distribution as messages name it."""
    name, version = name_and_version(distribution)
    if name is not None:
        return f"{name} {version}"
    return "an unknown distribution" + ("" if distribution is None else f" ({_place(distribution)})")


def _project(distribution: Distribution | None) -> str | None:
    """The name of a distribution as its spellings have it in common; ``None`` where nobody knows it."""
    name, _ = name_and_version(distribution)
    return None if name is None else re.sub(r"[-_.]+", "-", name).lower()


def _readable_entry_points(unreadable: dict[str, str]) -> list[EntryPoint]:
    """The entry points of all distributions but those whose own cannot be read: these go into ``unreadable``."""
    found: list[EntryPoint] = []
    seen = set()
    for distribution in distributions():
        try:
            # The first one on the path is the one that is imported
            name = _project(distribution) or _place(distribution)
            if name not in seen:
                seen.add(name)
                found += distribution.entry_points.select(group=ENTRY_POINT_GROUP)
        except Exception as error:
            who = f"{_shown(distribution)} in {distribution.locate_file('')}"
            unreadable[who] = f"{type(error).__name__}: {error}"
    return found


class ConnectorRegistry(Mapping[str, "type[BaseConnector]"]):
    """Connector classes by name; each is imported when it is asked for, entry points are read once.

    Attributes:
        unreadable: distributions whose entry points cannot be read, once those of the others are, and why
    """

    def __init__(self) -> None:
        self.unreadable: dict[str, str] = {}
        self._entry_points: dict[str, list[EntryPoint]] | None = None
        self._classes: dict[str, type[BaseConnector]] = {}

    @property
    def entry_points(self) -> dict[str, list[EntryPoint]]:
        """All entry points by name: those of one name are more than one if distributions quarrel about it."""
        if self._entry_points is None:
            try:
                points = list(entry_points(group=ENTRY_POINT_GROUP))
            except Exception:
                # One distribution of any kind that is broken is enough for that
                points = _readable_entry_points(self.unreadable)
            found: dict[str, list[EntryPoint]] = {}
            seen = set()
            for entry_point in points:
                # One distribution can be found twice, as an editable install and as the folder it is in
                claim = entry_point.name, entry_point.value, _project(entry_point.dist)
                if claim not in seen:
                    seen.add(claim)
                    found.setdefault(entry_point.name, []).append(entry_point)
            for quarrel in found.values():
                if len(quarrel) > 1:
                    # They are found in the order of a folder, which is none
                    quarrel.sort(key=lambda entry_point: (_shown(entry_point.dist), entry_point.value))
            self._entry_points = found
        return self._entry_points

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.entry_points))

    def __len__(self) -> int:
        return len(self.entry_points)

    def __contains__(self, name: object) -> bool:
        return name in self.entry_points or (isinstance(name, str) and ":" in name)

    def get(self, name: str, default: Any = None) -> Any:
        """The class of that name, or ``default`` where no connector has it."""
        if name not in self:
            return default
        return self[name]

    def __getitem__(self, name: str) -> type[BaseConnector]:
        if name not in self._classes:
            self._classes[name] = self._load_class(name) if ":" in name else self._load_entry_point(name)
        return self._classes[name]

    def _load_class(self, name: str) -> type[BaseConnector]:
        """The class of ``module.path:Class``."""
        module_name, _, class_name = name.partition(":")
        if not module_name or not class_name:
            raise NoConnectorError(f"Cannot load connector {name}: a connector is named @module.path:Class[/name]")
        try:
            connector_cls = getattr(import_module(module_name), class_name)
        except (Exception, SystemExit) as error:
            raise NoConnectorError(f"Cannot load connector {name}: {type(error).__name__}: {error}") from error
        if not _is_connector(connector_cls):
            raise NoConnectorError(f"Cannot load connector {name}: it is no connector, but {connector_cls!r}")
        return connector_cls  # type: ignore[no-any-return]

    def _load_entry_point(self, name: str) -> type[BaseConnector]:
        found = self.entry_points.get(name, [])
        if not found:
            where = "".join(
                f"; the entry points of {who} cannot be read: {why}" for who, why in self.unreadable.items()
            )
            raise NoConnectorError(f"Invalid connector: {name}{where}")
        if len(found) > 1:
            claims = " and ".join(f"{_shown(point.dist)} ({point.value})" for point in found)
            raise NoConnectorError(f"Connector {name} is claimed by {claims}: uninstall one of them")
        (entry_point,) = found
        cannot = f"Connector {name} of {_shown(entry_point.dist)} cannot be loaded"
        module_name, colon, class_name = entry_point.value.partition("[")[0].partition(":")
        if not colon or not all(part.strip().isidentifier() for part in f"{module_name}.{class_name}".split(".")):
            raise NoConnectorError(f"{cannot}: its entry point should be module.path:Class, not {entry_point.value!r}")
        try:
            connector_cls = entry_point.load()
        except (Exception, SystemExit) as error:
            raise NoConnectorError(f"{cannot}: {type(error).__name__}: {error}") from error
        if not _is_connector(connector_cls):
            raise NoConnectorError(f"{cannot}: {entry_point.value} is no connector, but {connector_cls!r}")
        return connector_cls  # type: ignore[no-any-return]


def _is_connector(value: Any) -> bool:
    """Whether something that a name leads to is a class like a connector's."""
    return isinstance(value, type) and hasattr(value, "make_names_data") and hasattr(value, "handles_execution")


@lru_cache(maxsize=1)
def _registry() -> ConnectorRegistry:
    return ConnectorRegistry()


def get_all_connectors() -> ConnectorRegistry:
    """All connectors by name, their classes loaded when asked for."""
    return _registry()


def get_execution_connectors() -> dict[str, type[BaseConnector]]:
    """The classes of the connectors that run commands, by name; those that cannot be loaded are left out."""
    executing = {}
    for name in _registry():
        try:
            connector_cls = _registry()[name]
        except NoConnectorError:
            continue
        if connector_cls.handles_execution:
            executing[name] = connector_cls
    return executing


def get_execution_connector(name: str) -> type[BaseConnector]:
    """The class of the connector of that name, which must run commands."""
    connector_cls = _registry()[name]
    if not connector_cls.handles_execution:
        raise NoConnectorError(f"Connector {name} lists hosts but cannot run commands on them")
    return connector_cls


def split_connector_name(name: str) -> tuple[str, str | None]:
    """``@conn/rest`` as ``("conn", "rest")``, ``@conn`` as ``("conn", None)``; ``@module.path:Class/rest`` likewise."""
    connector, slash, rest = name[1:].partition("/")
    return connector, rest if slash else None


def _checked_item(connector: str, position: int, item: Any) -> tuple[str, dict[str, Any], list[str]]:
    """One item that ``make_names_data`` yielded, or an error that says what is wrong with it."""

    def wrong(why: str) -> InventoryError:
        shown = repr(masked(item))
        return InventoryError(f"Connector @{connector}: item {position} of make_names_data {why}, got {shown}")

    if not isinstance(item, tuple) or len(item) != 3:
        raise wrong("must be a tuple (name, data, groups)")
    name, data, groups = item
    if not isinstance(name, str) or not name:
        raise wrong("must begin with a host name, a text that is not empty")
    if not isinstance(data, Mapping):
        raise wrong("must have a mapping of data in the middle")
    if isinstance(groups, (str, bytes)) or not isinstance(groups, Iterable):
        raise wrong("must end with a list of group names")
    # What is the same from run to run
    group_names = sorted(groups, key=str) if isinstance(groups, (set, frozenset)) else list(groups)
    if not all(isinstance(group, str) and group for group in group_names):
        raise wrong("must end with a list of group names, all of them texts that are not empty")
    return name, dict(data), group_names


def expand_name(name: str) -> Iterator[tuple[str, dict[str, Any], list[str], type[BaseConnector]]]:
    """The hosts that an inventory's ``@connector[/rest]`` stands for: names, data, groups, and who reaches them."""
    connector, rest = split_connector_name(name)
    connector_cls = _registry()[connector]
    try:
        for position, item in enumerate(_made_names_data(connector, connector_cls, rest), start=1):
            host_name, data, groups = _checked_item(connector, position, item)
            try:
                reached_by = _reached_by(host_name, connector_cls)
            except NoConnectorError as error:
                who = f"Connector @{connector}: item {position} of make_names_data"
                raise NoConnectorError(f"{who} names the host {host_name}, and: {error}") from error
            yield host_name, data, groups, reached_by
    except PyinfraError:
        raise
    # Libraries and argument parsers end the program where they would raise an error
    except (Exception, SystemExit) as error:
        raise InventoryError(
            f"Connector @{connector}: make_names_data({rest!r}) failed: {type(error).__name__}: {error}",
        ) from error


def _made_names_data(connector: str, connector_cls: type[BaseConnector], rest: str | None) -> Iterable[Any]:
    """What ``make_names_data`` gives, or an error that says that there is none, or that nothing comes out of it."""
    wanted = "yields (name, data, groups) for each host"
    if getattr(connector_cls.make_names_data, "__isabstractmethod__", False):
        raise InventoryError(
            f"Connector @{connector}: {connector_cls.__name__} has no make_names_data, a static method that {wanted}"
        )
    made: Any = connector_cls.make_names_data(rest)  # type: ignore[arg-type]
    if not isinstance(made, Iterable):
        raise InventoryError(
            f"Connector @{connector}: make_names_data({rest!r}) gave {type(made).__name__}, but should be what {wanted}"
        )
    return made


def _reached_by(host_name: str, yielded_by: type[BaseConnector]) -> type[BaseConnector]:
    """The connector that reaches a host which another connector named."""
    if host_name.startswith("@"):
        own_cls: type[BaseConnector] | None = _registry().get(split_connector_name(host_name)[0])
        if own_cls is not None and own_cls.handles_execution:
            return own_cls
    if yielded_by.handles_execution:
        return yielded_by
    return get_execution_connector("ssh")
