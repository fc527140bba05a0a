"""A host's data: levels of the inventory and of deploys, and what deploy code sets."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .host import Host

_COPIED_TYPES = (list, dict, set, bytearray)


class HostData:
    """A host's data, level over level; the first level that has a key wins.

    Reading an attribute gives a shallow copy; setting one overrides all levels for the rest of the run.

    Args:
        host: whose data it is
        datas: the levels, strongest first
    """

    override_datas: dict[str, Any]

    def __init__(self, host: Host, *datas: Mapping[str, Any]) -> None:
        values = self.__dict__
        values["_host"] = host
        values["_levels"] = datas
        values["override_datas"] = {}
        # Grows with every change, so that what was worked out from the data can be kept until then
        values["_revision"] = 0

    def _find(self, key: str) -> Any:
        for level in (self.override_datas, *self.__dict__["_levels"]):
            if key in level:
                value = level[key]
                return copy.copy(value) if isinstance(value, _COPIED_TYPES) else value
        raise KeyError(key)

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            # What Python itself asks for, also of a copy that has no levels yet
            raise AttributeError(key)
        try:
            return self._find(key)
        except KeyError:
            raise AttributeError(f"Host `{self.__dict__['_host'].name}` has no data `{key}`") from None

    def __setattr__(self, key: str, value: Any) -> None:
        self.override_datas[key] = value
        self.__dict__["_revision"] += 1

    def __contains__(self, key: str) -> bool:
        return any(key in level for level in (self.override_datas, *self.__dict__["_levels"]))

    def __str__(self) -> str:
        return str(self.dict())

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or ``default``."""
        try:
            return self._find(key)
        except KeyError:
            return default

    def dict(self) -> dict[str, Any]:
        """All levels in one."""
        merged: dict[str, Any] = {}
        for level in (*reversed(self.__dict__["_levels"]), self.override_datas):
            merged.update(level)
        return merged


class DeployDefaults(Mapping[str, Any]):
    """The data defaults of the ``@deploy`` functions that are running: the lowest level of a host's data."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def __getitem__(self, key: str) -> Any:
        return self.host.get_deploy_data()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.host.get_deploy_data())

    def __len__(self) -> int:
        return len(self.host.get_deploy_data())
