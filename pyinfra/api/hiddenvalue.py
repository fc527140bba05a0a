"""Values that commands and files need but that nobody should see."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, SupportsIndex

# What people see of a secret that says nothing else of itself
MASK = "***"


class HiddenValue:
    """A secret: sent to the host as it is, shown everywhere else as ``masked_value``.

    Subclasses override :meth:`unmask` to fetch the secret when it is needed.
    """

    def __init__(self, content: str = "", masked_value: str = "*MASKED*") -> None:
        self._content = content
        self.masked_value = masked_value

    def unmask(self) -> str:
        """The secret itself."""
        return self._content

    def __str__(self) -> str:
        return self.masked_value

    def __repr__(self) -> str:
        return f"HiddenValue({self.masked_value})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HiddenValue) and self.unmask() == other.unmask()

    def __hash__(self) -> int:
        return hash(self.masked_value)


class MaskString(str):
    """Text that is a secret: rendered as it is for the host and as ``***`` for people.

    What its methods, ``str()``, ``+`` and ``%`` make of it is secret too. An f-string or ``join`` of other text is not:
    see :func:`mask_like`.
    """

    def __str__(self) -> str:
        return self

    def __repr__(self) -> str:
        return f"MaskString({MASK})"

    def __add__(self, other: str) -> MaskString:
        return MaskString(str.__add__(self, other))

    def __radd__(self, other: str) -> MaskString:
        return MaskString(str.__add__(other, self))

    def __mod__(self, values: Any) -> MaskString:
        return MaskString(str.__mod__(self, values))

    def __rmod__(self, template: str) -> MaskString:
        return MaskString(str.__mod__(template, self))

    def __getitem__(self, key: SupportsIndex | slice) -> MaskString:
        return MaskString(str.__getitem__(self, key))


def _as_secret(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(map(_as_secret, value))
    return MaskString(value) if isinstance(value, str) else value


def _keeping_the_mask(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def keeping(self: str, *args: Any, **kwargs: Any) -> Any:
        return _as_secret(method(self, *args, **kwargs))

    return keeping


for _name in (
    *("capitalize", "casefold", "center", "expandtabs", "format", "format_map", "join", "ljust", "lower", "lstrip"),
    *("partition", "removeprefix", "removesuffix", "replace", "rjust", "rpartition", "rsplit", "rstrip", "split"),
    *("splitlines", "strip", "swapcase", "title", "translate", "upper", "zfill"),
):
    setattr(MaskString, _name, _keeping_the_mask(getattr(str, _name)))


def mask_like(text: str, *sources: object) -> str:
    """``text``, which is a :class:`MaskString` if one of the values that it was made of is a secret."""
    return MaskString(text) if any(isinstance(source, (MaskString, HiddenValue)) for source in sources) else text


def with_secrets(value: Any, change: Callable[[HiddenValue | MaskString], Any]) -> Any:
    """``value`` with what ``change`` makes of each secret in it, at any depth.

    Lists, tuples, sets and dicts in which nothing has changed are the same objects as before.
    """
    if isinstance(value, (HiddenValue, MaskString)):
        return change(value)
    kind = type(value)
    if kind is dict:
        items = {key: with_secrets(item, change) for key, item in value.items()}
        return items if any(items[key] is not value[key] for key in items) else value
    if kind in (list, tuple, set, frozenset):
        made = [with_secrets(item, change) for item in value]
        return kind(made) if any(one is not other for one, other in zip(made, value, strict=True)) else value
    return value


def reveal(value: Any) -> Any:
    """``value`` with each :class:`HiddenValue` in it, at any depth, as a :class:`MaskString` to work with."""
    return with_secrets(value, _as_mask_string)


def _as_mask_string(secret: HiddenValue | MaskString) -> MaskString:
    return MaskString(secret.unmask()) if isinstance(secret, HiddenValue) else secret


def holds_secret(value: Any) -> bool:
    """Whether a value is a secret, or a list or dict with one in it."""
    if isinstance(value, dict):
        return any(map(holds_secret, value.values()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(map(holds_secret, value))
    return isinstance(value, (MaskString, HiddenValue))


def shown(value: Any) -> str:
    """The text of a value that people see: a secret, also one in a list or dict, is masked."""
    return MASK if isinstance(value, MaskString) else str(value)
