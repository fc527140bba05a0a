"""Python functions among operations."""

from __future__ import annotations

from typing import Any

import pytest

from pyinfra.api import Host, State
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.operations import python, server
from tests.support.run import connected_run


def test_a_function_is_called_with_its_arguments_when_its_turn_comes() -> None:
    calls: list[Any] = []
    with connected_run() as run:
        add_op(run.state, python.call, lambda *args, **kwargs: calls.append((args, kwargs)), 1, "two", three=3)
        assert calls == []
        run_ops(run.state)
    assert calls == [((1, "two"), {"three": 3})]


def test_a_function_that_asks_for_state_and_host_gets_them() -> None:
    seen: list[Any] = []

    def look(word: str, state: State, host: Host) -> None:
        seen.extend([word, state, host])

    with connected_run() as run:
        run.op(python.call, look, word="hello")
        assert seen == ["hello", run.state, run.host]


def test_operations_that_a_function_calls_run_at_once() -> None:
    outputs: list[str] = []

    def say_two() -> None:
        outputs.extend(server.shell(commands=f"echo {word}").stdout for word in ("one", "two"))

    with connected_run() as run:
        run.op(python.call, say_two)
    assert outputs == ["one", "two"]


def test_a_function_that_returns_false_fails_its_host() -> None:
    with connected_run() as run:
        meta = add_op(run.state, python.call, lambda: False)[run.host]
        with pytest.raises(PyinfraError, match="No hosts remaining"):
            run_ops(run.state)
        assert meta.did_error()


def test_an_exception_on_purpose_fails_its_host_and_says_so() -> None:
    with connected_run() as run:
        meta = add_op(run.state, python.raise_exception, NotImplementedError, "only on Fridays")[run.host]
        with pytest.raises(PyinfraError, match="No hosts remaining"):
            run_ops(run.state)
        assert meta.did_error()
        (failure,) = run.state.failures
        assert isinstance(failure.error, NotImplementedError)
        assert failure.error.args == ("only on Fridays",)
