"""Which kind a connector is, told from its code."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyinfra.connectors.base import BaseConnector

# How a path leaves a statement, and the most that it has yielded on the way
_Ways = dict[str, int]
_MANY = 2
_NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def kind_of(connector_cls: type[BaseConnector]) -> str:
    """``inventory``, ``execution`` or ``both``.

    No attribute tells whether a connector that executes lists hosts too. Asking it would run the programs that it asks;
    so its code is read: one that can yield more than once lists.
    """
    if not connector_cls.handles_execution:
        return "inventory"
    return "both" if _can_yield_many(connector_cls) else "execution"


def _can_yield_many(connector_cls: type[Any]) -> bool:
    """Whether one name can stand for many hosts."""
    owners: list[Any] = [owner for owner in connector_cls.__mro__ if "make_names_data" in vars(owner)]
    for owner in owners:
        try:
            (function,) = ast.parse(textwrap.dedent(inspect.getsource(owner.make_names_data))).body
        except (OSError, TypeError, SyntaxError):
            return False
        if isinstance(function, ast.FunctionDef) and _most_hosts(function) >= _MANY:
            return True
        if not _calls_another(function):
            return False
    return False


def _calls_another(node: ast.AST) -> bool:
    """Whether a call of ``make_names_data``, another class's, is in there."""
    called = [found.func for found in ast.walk(node) if isinstance(found, ast.Call)]
    return any(isinstance(function, ast.Attribute) and function.attr == "make_names_data" for function in called)


def _most_hosts(function: ast.FunctionDef) -> int:
    """The most hosts that come out of one call; what another class's method gives counts as one."""
    if any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in ast.walk(function)):
        return max(_ways_through(function.body).values(), default=0)
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None]
    return max(map(_length, returned), default=0)


def _length(value: ast.expr) -> int:
    """How many hosts an expression stands for that lists them."""
    if isinstance(value, (ast.List, ast.Tuple)):
        return sum(_length(item.value) if isinstance(item, ast.Starred) else 1 for item in value.elts)
    return 1 if _calls_another(value) else _MANY


def _yields_in(node: ast.AST | None) -> int:
    """How often an expression yields."""
    if node is None or isinstance(node, _NESTED):
        return 0
    own = 1 if isinstance(node, ast.Yield) else _length(node.value) if isinstance(node, ast.YieldFrom) else 0
    return own + sum(map(_yields_in, ast.iter_child_nodes(node)))


def _ways_through(statements: Sequence[ast.stmt]) -> _Ways:
    """How paths leave statements: by ``next`` to what follows them, or by the word of a statement that ends them."""
    ways: _Ways = {}
    before = 0
    for statement in statements:
        through = _ways_of(statement)
        _join(ways, {way: count for way, count in through.items() if way != "next"}, before)
        if "next" not in through:
            return ways
        before += through["next"]
    return {**ways, "next": before}


def _ways_of(statement: ast.stmt) -> _Ways:
    """How paths leave one statement."""
    if isinstance(statement, _NESTED):
        return {"next": 0}
    if isinstance(statement, (ast.Return, ast.Raise)):
        return {"end": _yields_in(statement)}
    if isinstance(statement, (ast.Break, ast.Continue)):
        return {type(statement).__name__: 0}
    if isinstance(statement, (ast.For, ast.While)):
        return _ways_of_loop(statement)
    if isinstance(statement, ast.If):
        return _choice([statement.body, statement.orelse], _yields_in(statement.test))
    if isinstance(statement, ast.Match):
        # None of the cases may fit
        return _choice([[], *(case.body for case in statement.cases)], _yields_in(statement.subject))
    if isinstance(statement, ast.With):
        return _ways_through(statement.body)
    if isinstance(statement, ast.Try):
        well = [*statement.body, *statement.orelse, *statement.finalbody]
        # What raises may have yielded before
        badly = [[*statement.body, *handler.body, *statement.finalbody] for handler in statement.handlers]
        return _choice([well, *badly])
    return {"next": _yields_in(statement)}


def _ways_of_loop(loop: ast.For | ast.While) -> _Ways:
    inside = _ways_through(loop.body)
    again = max(inside.get("next", 0), inside.get("Continue", 0))
    # A loop over what a base class yields is as long as that
    is_anothers = isinstance(loop, ast.For) and _calls_another(loop.iter)
    if again and not is_anothers:
        again = _MANY
    ways = _join({}, {"next": again}, 0)
    _join(ways, {"next": inside.get("Break", 0), **({"end": inside["end"]} if "end" in inside else {})}, 0)
    following = _ways_through(loop.orelse)
    before = ways.pop("next")
    return _join(ways, following, before)


def _choice(branches: Sequence[Sequence[ast.stmt]], before: int = 0) -> _Ways:
    """How paths leave statements of which one list is taken."""
    ways: _Ways = {}
    for branch in branches:
        _join(ways, _ways_through(branch), before)
    return ways


def _join(ways: _Ways, others: _Ways, before: int) -> _Ways:
    """Add to some ways those that begin after ``before`` yields."""
    for way, count in others.items():
        ways[way] = max(ways.get(way, 0), before + count)
    return ways
