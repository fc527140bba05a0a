"""One connected host, for tests of connectors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyinfra.api import Config, Host, Inventory, State


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
