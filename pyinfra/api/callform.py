"""How the functions of operations and facts are called, and what is wrong with a call that does not fit."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_type_hints

from .arguments import all_argument_meta
from .exceptions import ArgumentTypeError, OperationTypeError, PyinfraError
from .util import raise_if_bad_type


def binding_error(
    error: TypeError,
    signature: inspect.Signature,
    kwargs: Mapping[str, Any],
    also: Iterable[str] = (),
) -> str:
    """What is wrong with a call whose arguments did not fit: the error, and the names that the function does not take.

    Args:
        error: that of :meth:`inspect.Signature.bind`
        signature: what the function takes
        kwargs: what it got by name
        also: further names that a call may give
    """
    parameters = signature.parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return str(error)
    hints = []
    for unknown in [name for name in kwargs if name not in parameters]:
        near = get_close_matches(unknown, [*parameters, *also], n=1)
        what = f"did you mean `{near[0]}`?" if near else f"it takes {', '.join(parameters) or 'none'}"
        hints.append(f"unknown argument `{unknown}`: {what}")
    return f"{error} ({'; '.join(hints)})" if hints else str(error)


class CallForm:
    """How an operation's function is called and what it is called, worked out once per operation."""

    __slots__ = ("function", "is_generator", "is_own", "name", "runs_ahead", "sets_in_op", "signature")

    def __init__(self, function: Callable[..., Any], sets_in_op: bool) -> None:
        self.function = function
        self.sets_in_op = sets_in_op
        # Whether it is one of pyinfra's own
        self.is_own = function.__module__.startswith("pyinfra.operations.")
        self.runs_ahead = sets_in_op and self.is_own
        self.signature = inspect.signature(function)
        self.is_generator = inspect.isgeneratorfunction(function)
        module = function.__module__.rsplit(".", 1)[-1]
        self.name = f"{module}.{function.__name__}"

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raise an :class:`OperationTypeError` that says what is wrong, unless the arguments fit."""
        if self.is_generator:
            try:
                # Binds the arguments and runs nothing, several times faster than the signature's own bind
                self.function(*args, **kwargs).close()
                return
            except TypeError:
                pass
        try:
            self.signature.bind(*args, **kwargs)
        except TypeError as error:
            why = binding_error(error, self.signature, kwargs, all_argument_meta)
            raise OperationTypeError(f"Invalid arguments for {self.name}: {why}") from None

    def commands(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Any]:
        """What the function yields.

        Raises:
            OperationTypeError: it is no generator function, or one of pyinfra's own that failed over an argument of
                another type than it takes
        """
        if self.is_own:
            return self._explained(args, kwargs)
        made = self.function(*args, **kwargs)
        if not isinstance(made, Iterable):
            raise OperationTypeError(
                f"Operation {self.name} returned {type(made).__name__}: operations are functions that yield commands",
            )
        return iter(made)

    def _explained(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Any]:
        try:
            yield from self.function(*args, **kwargs)
        except PyinfraError:
            raise
        except (AttributeError, TypeError, ValueError) as error:
            why = self._wrong_argument(args, kwargs)
            if why is None:
                raise
            raise OperationTypeError(f"Operation {self.name} failed ({error}): {why}") from error

    def _wrong_argument(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """The first argument of another type than its parameter's, in words that show nothing secret."""
        types = get_type_hints(self.function)
        bound = self.signature.bind(*args, **kwargs).arguments
        for name, value in bound.items():
            parameter = self.signature.parameters[name]
            if name not in types or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            try:
                raise_if_bad_type(value, types[name], ArgumentTypeError, name)
            except ArgumentTypeError:
                given = f"{value} ({type(value).__name__})" if isinstance(value, (bool, int)) else type(value).__name__
                return f"`{name}` should be {parameter.annotation}, not {given}"
        return None
