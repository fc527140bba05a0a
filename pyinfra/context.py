"""What deploy code finds as ``host``, ``state``, ``inventory`` and ``config``.

``host`` and ``config`` belong to the greenlet (or thread) that sets them, since all hosts are worked on at once;
``state`` and ``inventory`` are the process's, so that greenlets and threads that users start see them too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from .api.config import Config
    from .api.host import Host
    from .api.inventory import Inventory
    from .api.state import State


class ContextSlot(Protocol):
    """Where a context keeps its value."""

    def get(self) -> Any:
        """The value, or ``None``."""

    def set(self, value: Any) -> None:
        """Put a value there."""

    def set_base(self, value: Any) -> None:
        """Put a value there for all that have none of their own."""


class ProcessSlot:
    """One value for the whole process."""

    def __init__(self, key: str) -> None:
        self.value: Any = None

    def get(self) -> Any:
        """The value, or ``None``."""
        return self.value

    def set(self, value: Any) -> None:
        """Put a value there."""
        self.value = value

    def set_base(self, value: Any) -> None:
        """Put a value there, which is all there is."""
        self.value = value


class GreenletSlot:
    """A value for each greenlet (each has its own :mod:`contextvars` context), over one for all."""

    def __init__(self, key: str) -> None:
        self.own: ContextVar[Any] = ContextVar(f"pyinfra_{key}", default=None)
        self.base: Any = None

    def get(self) -> Any:
        """This greenlet's value, else the one for all, else ``None``."""
        value = self.own.get()
        return self.base if value is None else value

    def set(self, value: Any) -> None:
        """Put a value there for this greenlet."""
        self.own.set(value)

    def set_base(self, value: Any) -> None:
        """Put a value there for all greenlets that have none of their own."""
        self.base = value


class ContextObject:
    """Stands for whatever its context holds at the moment, in every way that matters to deploy code."""

    __slots__ = ("_context",)

    _context: ContextManager

    def __init__(self, context: ContextManager) -> None:
        object.__setattr__(self, "_context", context)

    def _target(self) -> Any:
        target = self._context.seen()
        if target is None:
            raise AttributeError(
                f"there is no `{self._context.key}` here: it is set while pyinfra loads or runs deploy code",
            )
        return target

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._target(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._target(), name)

    def __repr__(self) -> str:
        return f"ContextObject({self._context.key.capitalize()}):{self._context.seen()!r}"

    def __str__(self) -> str:
        return str(self._context.seen())

    def __dir__(self) -> list[str]:
        return dir(self._context.seen())

    def __eq__(self, other: object) -> bool:
        if type(other) is ContextObject:
            other = other._context.seen()
        return bool(self._context.seen() == other)

    def __hash__(self) -> int:
        return hash(self._context.seen())

    def __bool__(self) -> bool:
        return self._context.seen() is not None

    def __iter__(self) -> Iterator[Any]:
        return iter(self._target())

    def __len__(self) -> int:
        return len(self._target())

    def __contains__(self, item: Any) -> bool:
        return item in self._target()

    def __getitem__(self, key: Any) -> Any:
        return self._target()[key]

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        # isinstance(host, Host) holds while a host is set
        target = object.__getattribute__(self, "_context").seen()
        return ContextObject if target is None else type(target)


def _value_of(value: Any) -> Any:
    """A value, or what it stands for now: a context that holds its own object would look for itself for ever."""
    return value._context.seen() if type(value) is ContextObject else value


class ContextManager:
    """Sets what a :class:`ContextObject` stands for.

    Args:
        key: the name that deploys import: ``host``, ``state`` …
        context_cls: where the value is kept: :class:`ProcessSlot` or :class:`GreenletSlot`
        owner: the context of the run whose attribute ``key`` is seen where no value is set
    """

    def __init__(self, key: str, context_cls: type[Any], owner: ContextManager | None = None) -> None:
        self.key = key
        self.owner = owner
        self.slot: ContextSlot = context_cls(key)
        self.context = ContextObject(self)

    def get(self) -> Any:
        """The value, or ``None`` where none is set."""
        return self.slot.get()

    def seen(self) -> Any:
        """What deploy code finds: the value, else that of the run, else ``None``."""
        value = self.slot.get()
        if value is None and self.owner is not None:
            return getattr(self.owner.slot.get(), self.key, None)
        return value

    def set(self, module: Any) -> None:
        """Set the value, for this greenlet if the context is one of greenlets."""
        self.slot.set(_value_of(module))

    def set_base(self, module: Any) -> None:
        """Set the value for all that have none of their own."""
        self.slot.set_base(_value_of(module))

    def reset(self) -> None:
        """Take the value away."""
        self.slot.set(None)
        self.slot.set_base(None)

    def isset(self) -> bool:
        """Whether there is a value."""
        return self.slot.get() is not None

    @contextmanager
    def use(self, module: Any) -> Iterator[None]:
        """Set the value within a ``with`` block."""
        before = self.slot.own.get() if isinstance(self.slot, GreenletSlot) else self.slot.get()
        self.slot.set(_value_of(module))
        try:
            yield
        finally:
            self.slot.set(before)


ctx_state = ContextManager("state", ProcessSlot)
ctx_inventory = ContextManager("inventory", ProcessSlot, ctx_state)
ctx_host = ContextManager("host", GreenletSlot)
ctx_config = ContextManager("config", GreenletSlot, ctx_state)

state = cast("State", ctx_state.context)
inventory = cast("Inventory", ctx_inventory.context)
host = cast("Host", ctx_host.context)
config = cast("Config", ctx_config.context)
