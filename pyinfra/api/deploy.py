"""Deploys: functions that group operations under a name, with global arguments and data defaults of their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from typing_extensions import ParamSpec

import pyinfra
from pyinfra.context import ctx_host

from .arguments import all_argument_meta, pop_name
from .connect import on_hosts
from .exceptions import PyinfraError
from .order import described_call

if TYPE_CHECKING:
    from .state import State

P = ParamSpec("P")
R = TypeVar("R")


def deploy(
    name: str | None = None,
    data_defaults: dict[str, Any] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a deploy of a function that calls operations.

    Calls take all global arguments beside the function's own, for all operations inside.

    Args:
        name: goes before the operations' names; by default the function's
        data_defaults: host data for where the inventory has none
    """
    if name is not None and not isinstance(name, str):
        raise PyinfraError(
            'The `deploy` decorator must be called, ie `@deploy()`, or `@deploy("Name")`',
        )

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        title = name or function.__name__

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> R:
            host = ctx_host.get()
            if host is None:
                raise PyinfraError(f"Deploy {title} was called outside a run: use add_deploy")
            given = {key: kwargs.pop(key) for key in [key for key in kwargs if key in all_argument_meta]}
            with host.deploy(pop_name(given) or title, given, data_defaults):
                return function(*args, **kwargs)

        call._inner = function  # type: ignore[attr-defined]
        return call

    return decorate


def add_deploy(state: State, deploy_func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Call a deploy for all active hosts, or for ``host=`` (one or several of them), in API mode."""
    if pyinfra.is_cli:
        raise PyinfraError(
            "`add_deploy` is for API mode: in a deploy that the command line runs, call the deploy itself",
        )
    hosts = kwargs.pop("host", None)
    on_hosts(state, hosts, lambda: deploy_func(*args, **kwargs), described_call(deploy_func, args, kwargs))
