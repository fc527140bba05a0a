"""Operations that run Python on the machine that runs pyinfra, in step with the other operations."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NoReturn

from pyinfra.api import FunctionCommand, operation


@operation(is_idempotent=False)
def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Generator[FunctionCommand, None, None]:
    """Call a Python function while the operations run.

    Args:
        function: what to call; if it has parameters named ``state`` and ``host``, it gets them
        args: its positional arguments
        kwargs: its keyword arguments

    Operations that the function calls run at once, and results of earlier operations can be read in it. It fails the
    host by raising an exception or returning ``False``.

    .. code:: python

        def show(host, greeting):
            host.log(f"{greeting} {host.get_fact(Hostname)}")

        python.call(name="Say hello", function=show, greeting="Hello from")
    """
    yield FunctionCommand(function, args, kwargs)


@operation(is_idempotent=False)
def raise_exception(exception: type[Exception], *args: Any, **kwargs: Any) -> Generator[FunctionCommand, None, None]:
    """Raise an exception while the operations run, which fails the host.

    Args:
        exception: the class of the exception
        args: its positional arguments
        kwargs: its keyword arguments

    .. code:: python

        python.raise_exception(NotImplementedError, "only Debian is supported", _if=not_debian)
    """

    def raise_exc(*args: Any, **kwargs: Any) -> NoReturn:
        raise exception(*args, **kwargs)

    yield FunctionCommand(raise_exc, args, kwargs)
