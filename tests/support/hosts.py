"""One connected host, for tests of connectors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pyinfra.api import Config, Host, Inventory, State
from pyinfra.api.exceptions import ConnectError
from pyinfra.connectors.base import BaseConnector


@contextmanager
def connected_host(name: str = "@local", config: dict[str, Any] | None = None, **data: Any) -> Iterator[Host]:
    """A host that is connected, and disconnected at the end."""
    inventory = Inventory(([(name, data)], {}))
    state = State(inventory, Config(**(config or {})))
    host = next(iter(inventory))
    host.connect(raise_exceptions=True)
    try:
        yield host
    finally:
        host.disconnect()
        del state


def made_connector(name: str, **data: Any) -> BaseConnector:
    """The connector of a host of that name, not connected."""
    inventory = Inventory(([(name, data)], {}))
    State(inventory, Config())
    return next(iter(inventory)).make_connector()


def why_not(name: str, config: dict[str, Any] | None = None, **data: Any) -> str:
    """What is said of a host that cannot be connected."""
    with pytest.raises(ConnectError) as error, connected_host(name, config, **data):
        pass
    return str(error.value)
