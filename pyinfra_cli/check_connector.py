"""``check-connector``: the connector contract against live hosts, rule by rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import gevent

from pyinfra.api.arguments import default_arguments
from pyinfra.api.config import Config
from pyinfra.context import ctx_host
from pyinfra.testing.contract import RULES, Broken, Outcome, check, opened

from .exceptions import CliError

if TYPE_CHECKING:
    from pyinfra.api.host import Host
    from pyinfra.api.state import State

    from .terminal import Terminal

_STYLES = {"held": "green", "broken": "red", "not applicable": "cyan"}


def check_hosts(state: State, terminal: Terminal) -> dict[str, list[Outcome]]:
    """What became of each rule on each host; tells of it as it is known, host by host.

    Commands and files take the global arguments that options, configuration and data give (``--sudo`` …).
    """
    return {host.name: gevent.spawn(_check_host, host, terminal).get() for host in state.inventory.get_active_hosts()}


def raise_if_broken(outcomes: Mapping[str, list[Outcome]]) -> None:
    """Raise a :class:`CliError` if a rule is broken anywhere."""
    counts = {name: sum(outcome.verdict == "broken" for outcome in of_host) for name, of_host in outcomes.items()}
    broken = [f"{count} on {name}" for name, count in counts.items() if count]
    if broken:
        raise CliError(f"Rules that are broken: {', '.join(broken)}")


def outcomes_as_data(outcomes: Mapping[str, list[Outcome]]) -> dict[str, list[dict[str, Any]]]:
    """The outcomes as JSON has them."""
    return {
        name: [
            {
                "rule": outcome.rule.name,
                "section": outcome.rule.section,
                "sentence": _sentence(outcome),
                "verdict": outcome.verdict,
                "expected": outcome.expected,
                "seen": outcome.seen,
                "why": outcome.why,
                "seconds": round(outcome.seconds, 3),
            }
            for outcome in of_host
        ]
        for name, of_host in outcomes.items()
    }


def _given_arguments(host: Host) -> dict[str, Any]:
    """The connector arguments that differ from what they are where nobody says anything."""
    plain: dict[str, Any] = dict(default_arguments(Config(), {}).connector)
    return {key: value for key, value in host.resolve_arguments({}).connector.items() if value != plain[key]}


def _outcomes(host: Host) -> Iterator[Outcome]:
    """What became of each rule; of a host that cannot be held to any, or be left in order, one that is broken."""
    rule = RULES["commands_run"]
    try:
        with opened(host, _given_arguments(host)) as target:
            yield from check(target)
    except Broken as error:
        yield Outcome(rule, "broken", error.expected, error.seen)
    except Exception as error:
        yield Outcome(rule, "broken", rule.sentence, f"{type(error).__name__}: {error}")


def _check_host(host: Host, terminal: Terminal) -> list[Outcome]:
    ctx_host.set(host)
    terminal.line(f"    {host.print_prefix}{len(RULES)} rules")
    outcomes: list[Outcome] = []
    for outcome in _outcomes(host):
        if not outcomes or outcome.rule.section != outcomes[-1].rule.section:
            terminal.line(f"    {host.print_prefix}{terminal.style(outcome.rule.section, bold=True)}")
        _show(host, terminal, outcome)
        outcomes.append(outcome)
    counts = Counter(outcome.verdict for outcome in outcomes)
    summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in _STYLES)
    terminal.line(f"    {host.print_prefix}{terminal.style(summary, bold=True)}")
    terminal.line()
    return outcomes


def _sentence(outcome: Outcome) -> str:
    """A rule's sentence, without the markup of its docstring."""
    return outcome.rule.sentence.replace("``", "`")


def _show(host: Host, terminal: Terminal, outcome: Outcome) -> None:
    verdict = terminal.style(outcome.verdict, fg=_STYLES[outcome.verdict])
    why = f" ({outcome.why})" if outcome.why else ""
    terminal.line(f"    {host.print_prefix}{verdict}: {_sentence(outcome)}{why}")
    if outcome.verdict == "broken":
        terminal.line(f"    {host.print_prefix}    rule: {outcome.rule.name}")
        terminal.line(f"    {host.print_prefix}    expected: {outcome.expected}")
        terminal.line(f"    {host.print_prefix}    seen: {outcome.seen}")
