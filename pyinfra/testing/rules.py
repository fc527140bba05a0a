"""What a rule of the connector contract is, and how a function becomes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .target import Target

_LONGEST_SHOWN = 500


def shown(value: Any) -> str:
    """A value as reports show it, cut in the middle if it is long."""
    text = value.replace("\n", "\\n") if isinstance(value, str) else repr(value)
    if len(text) <= _LONGEST_SHOWN:
        return text
    half = _LONGEST_SHOWN // 2
    return f"{text[:half]} … {text[-half:]} ({len(text)} characters)"


class Broken(AssertionError):
    """The connector does not hold a rule: ``expected`` and ``seen`` are for people."""

    def __init__(self, expected: Any, seen: Any) -> None:
        self.expected = shown(expected)
        self.seen = shown(seen)
        super().__init__(f"expected {self.expected}, seen {self.seen}")


class NotApplicable(Exception):
    """The rule says nothing about this host, and ``why``: it has no sudo, its connector no rsync."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Rule:
    """One promise of connectors.

    Attributes:
        name: what it is called, unique
        section: the part of the contract that it is from
        sentence: the promise in words
        check: raises :class:`Broken` or :class:`NotApplicable` unless the connector of a target keeps it
    """

    name: str
    section: str
    sentence: str
    check: Callable[[Target], None]


RULES: dict[str, Rule] = {}


def rule(section: str) -> Callable[[Callable[[Target], None]], Callable[[Target], None]]:
    """Make a function a rule of ``section``: its name is the rule's, its docstring's first paragraph the sentence."""

    def register(check: Callable[[Target], None]) -> Callable[[Target], None]:
        name = check.__name__
        if name in RULES:
            raise ValueError(f"There are two rules named {name}")
        sentence = " ".join((check.__doc__ or "").partition("\n\n")[0].split())
        RULES[name] = Rule(name, section, sentence, check)
        return check

    return register


def expect(seen: Any, expected: Any, what: str = "") -> None:
    """Raise :class:`Broken` unless both are equal; ``what`` says of what they are."""
    __tracebackhide__ = True
    if seen != expected:
        prefix = f"{what}: " if what else ""
        raise Broken(f"{prefix}{shown(expected)}", shown(seen))


def expect_true(fact: Any, expected: str, seen: Any) -> None:
    """Raise :class:`Broken` unless ``fact`` is true."""
    __tracebackhide__ = True
    if not fact:
        raise Broken(expected, seen)
