"""Jinja2 with secrets: templates get what a :class:`HiddenValue` hides, and tell which secrets they got."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from jinja2.runtime import Context

from .hiddenvalue import HiddenValue, MaskString, with_secrets

# Those that the rendering under way has got, also by calls of functions that switch to other greenlets
_secrets: ContextVar[list[str] | None] = ContextVar("_secrets", default=None)


def _in_clear(value: Any) -> Any:
    """A value as templates work with it: with plain text in place of secrets, also of those in lists and dicts."""
    return with_secrets(value, _collected)


def _collected(secret: HiddenValue | MaskString) -> str:
    """The text of a secret, noted as one that a template has got."""
    text = secret.unmask() if isinstance(secret, HiddenValue) else str.__str__(secret)
    secrets = _secrets.get()
    if secrets is not None:
        secrets.append(text)
    return text


class _Context(Context):
    """What a template's names, and calls in it, come to."""

    def resolve_or_missing(self, key: str) -> Any:
        return _in_clear(super().resolve_or_missing(key))

    def call(__self, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 (a template may give `self`)
        return _in_clear(super().call(__obj, *args, **kwargs))


def _finalizing(finalize: Callable[..., Any] | None) -> Callable[..., Any]:
    """A function for what an expression comes to, before the template's own."""
    if finalize is None:
        return _in_clear

    # Jinja2 tells by attributes of it what else it wants to have, before the value
    @wraps(finalize)
    def finalizing(*args: Any) -> Any:
        return finalize(*args[:-1], _in_clear(args[-1]))

    return finalizing


class _Environment(Environment):
    """An environment in which a :class:`HiddenValue` is the secret in it, wherever a template finds one."""

    context_class = _Context

    def getattr(self, obj: Any, attribute: str) -> Any:
        return _in_clear(super().getattr(obj, attribute))

    def getitem(self, obj: Any, argument: Any) -> Any:
        return _in_clear(super().getitem(obj, argument))


def compile_template(text: str, folder: str, jinja_env_kwargs: Mapping[str, Any]) -> Template:
    """The template of a text, whose ``include`` and ``extends`` look into a folder.

    Undefined names are errors, and a final newline stays; ``jinja_env_kwargs`` are those of :class:`jinja2.Environment`
    and win over this.
    """
    settings: dict[str, Any] = {
        "undefined": StrictUndefined,
        "keep_trailing_newline": True,
        "loader": FileSystemLoader(folder),
        **jinja_env_kwargs,
    }
    settings["finalize"] = _finalizing(settings.get("finalize"))
    return _Environment(**settings).from_string(text)


@contextmanager
def secrets_collected() -> Iterator[list[str]]:
    """The secrets that templates get within the ``with`` block."""
    secrets: list[str] = []
    token = _secrets.set(secrets)
    try:
        yield secrets
    finally:
        _secrets.reset(token)
