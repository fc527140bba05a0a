"""The connector contract: its rules, a runner for them, and a pytest class that anyone can point at a connector.

With pytest::

    from pyinfra.testing.contract import ConnectorContract

    class TestMyConnector(ConnectorContract):
        inventory = "@mine/host"

From the command line, without it: ``pyinfra @mine/host check-connector``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import gevent

from pyinfra.api.config import Config
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.exceptions import ConnectError, PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.api.state import State

# Each of these registers its rules, and reports show them in this order
# isort: off
from . import rules_connector  # noqa: F401
from . import rules_commands  # noqa: F401
from . import rules_output  # noqa: F401
from . import rules_session  # noqa: F401
from . import rules_elevation  # noqa: F401
from . import rules_files  # noqa: F401
from . import rules_copies  # noqa: F401

# isort: on
from .rules import RULES, Broken, NotApplicable, Rule, rule
from .target import Target

__all__ = ["RULES", "Broken", "ConnectorContract", "NotApplicable", "Outcome", "Rule", "Target", "check", "rule"]

# What a rule may take before its connector counts as one that hangs
_RULE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a rule.

    Attributes:
        rule: which
        verdict: ``held``, ``broken`` or ``not applicable``
        expected: of a broken rule, what should have been
        seen: of a broken rule, what was instead
        why: of a rule that is not applicable, the reason
        seconds: how long it took
    """

    rule: Rule
    verdict: str
    expected: str = ""
    seen: str = ""
    why: str = ""
    seconds: float = 0.0


def _hold(rule: Rule, target: Target) -> None:
    """Hold a connector to one rule; whatever goes wrong is :class:`Broken`, but for :class:`NotApplicable`."""
    __tracebackhide__ = True
    try:
        with gevent.Timeout(_RULE_SECONDS):
            rule.check(target)
    except (Broken, NotApplicable):
        raise
    except gevent.Timeout as error:
        _renew_if_possible(target)
        raise Broken(rule.sentence, f"nothing within {_RULE_SECONDS} seconds") from error
    except Exception as error:
        if isinstance(error, ConnectError):
            _renew_if_possible(target)
        raise Broken(rule.sentence, f"{type(error).__name__}: {error}") from error


def _renew_if_possible(target: Target) -> None:
    with suppress(Exception), gevent.Timeout(_RULE_SECONDS, False):
        target.renew()


@contextmanager
def opened(host: Host, arguments: Mapping[str, Any] | None = None) -> Iterator[Target]:
    """A connected host with a folder on it for what the rules write; the folder is removed at the end.

    Args:
        host: connected
        arguments: connector arguments to use throughout

    Raises:
        Broken: commands do not run there at all
    """
    target = Target(host, arguments)
    target.open()
    try:
        yield target
    finally:
        target.close()


def check(target: Target, rules: Iterable[Rule] | None = None) -> Iterator[Outcome]:
    """Hold a target's connector to the rules, all of them by default; yields what became of each as it is known."""
    for each in list(RULES.values() if rules is None else rules):
        begin = time.monotonic()
        verdict = "held"
        found: dict[str, str] = {}
        try:
            _hold(each, target)
        except Broken as error:
            verdict, found = "broken", {"expected": error.expected, "seen": error.seen}
        except NotApplicable as error:
            verdict, found = "not applicable", {"why": error.why}
        yield Outcome(each, verdict, seconds=time.monotonic() - begin, **found)


class ConnectorContract:
    """The contract as a pytest class, a test for each rule: subclass it and say where.

    Attributes:
        inventory: an inventory name that leads to one host, such as ``@mine/host``
        data: data of that host
        arguments: connector arguments to hold the contract with, such as ``{"_sudo": True}``
        config: settings, such as ``{"CONNECT_TIMEOUT": 30}``
        may_not_apply: the rules that may turn out not to be applicable to the host; another one is a failure then.
            ``None``: any
    """

    inventory: ClassVar[str]
    data: ClassVar[Mapping[str, Any]] = {}
    arguments: ClassVar[Mapping[str, Any]] = {}
    config: ClassVar[Mapping[str, Any]] = {}
    may_not_apply: ClassVar[Collection[str] | None] = None

    _state: ClassVar[State]
    _target: ClassVar[Target]

    @classmethod
    def setup_class(cls) -> None:
        """Connect; a subclass that starts a host of its own does so before."""
        inventory = Inventory(([(cls.inventory, dict(cls.data))], {}))
        cls._state = State(inventory, Config(**cls.config))
        hosts = list(inventory)
        if len(hosts) != 1:
            raise ValueError(f"{cls.__name__}.inventory has to be one host, {cls.inventory} is {len(hosts)}")
        try:
            connect_all(cls._state)
        except PyinfraError as error:
            # It says that no host is left; of one that cannot be reached, people want to know why
            raise cls._state.connect_failures.get(hosts[0], error) from None
        cls._target = Target(hosts[0], cls.arguments)
        try:
            cls._target.open()
        except BaseException:
            disconnect_all(cls._state)
            raise

    @classmethod
    def teardown_class(cls) -> None:
        """Leave nothing on the host, and disconnect."""
        try:
            cls._target.close()
        finally:
            disconnect_all(cls._state)


def _as_test(rule: Rule) -> Callable[..., None]:
    """A rule as a method that pytest collects."""

    def test(self: ConnectorContract, record_property: Callable[[str, object], None]) -> None:
        __tracebackhide__ = True
        try:
            _hold(rule, self._target)
        except NotApplicable as error:
            if self.may_not_apply is not None and rule.name not in self.may_not_apply:
                raise Broken("a rule that applies", f"not applicable: {error.why}") from error
            record_property("not applicable", error.why)

    test.__name__ = f"test_{rule.name}"
    test.__qualname__ = f"ConnectorContract.{test.__name__}"
    test.__doc__ = rule.sentence
    return test


for _rule in RULES.values():
    setattr(ConnectorContract, f"test_{_rule.name}", _as_test(_rule))
