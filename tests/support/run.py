"""Runs of pyinfra in API mode, for tests that want operations and facts to act on real hosts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.facts import get_facts
from pyinfra.api.operation import OperationMeta, add_op
from pyinfra.api.operations import run_ops


class Run:
    """One host that is connected, and what can be done with it."""

    def __init__(self, state: State) -> None:
        self.state = state
        (self.host,) = state.inventory

    def op(self, operation: Any, *args: Any, **kwargs: Any) -> OperationMeta:
        """Run an operation, which must succeed, to its end."""
        meta = add_op(self.state, operation, *args, **kwargs)[self.host]
        try:
            run_ops(self.state)
        except PyinfraError as error:
            raise AssertionError(f"{error} {self.state.failures}") from error
        assert meta.did_succeed(), self.state.failures
        return meta

    def fact(self, cls: Any, *args: Any, **kwargs: Any) -> Any:
        """Read a fact."""
        return get_facts(self.state, cls, args, kwargs)[self.host]


@contextmanager
def connected_run(name: str = "@local", data: dict[str, Any] | None = None, **config: Any) -> Iterator[Run]:
    """A run with one host, connected until the block ends.

    Args:
        name: the host's name in the inventory
        data: its data
        config: settings
    """
    state = State(Inventory(([(name, data or {})], {})), Config(**config))
    connect_all(state)
    try:
        yield Run(state)
    finally:
        disconnect_all(state)
