"""The contract as a pytest class, and what rules are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyinfra.api.exceptions import ConnectError
from pyinfra.testing.contract import RULES, Broken, ConnectorContract, NotApplicable, Rule, Target, check, opened, rule
from pyinfra.testing.contract import Outcome as OutcomeOfRule
from pyinfra.testing.rules import expect, shown
from pyinfra.testing.target import listening, may_be_refused


class OnThisMachine(ConnectorContract):
    inventory = "@local"


def properties_of(contract: type[ConnectorContract], name: str) -> dict[str, object]:
    """What a test of the class records, run as pytest would."""
    recorded: dict[str, object] = {}
    contract.setup_class()
    try:
        getattr(contract(), f"test_{name}")(recorded.__setitem__)
    finally:
        contract.teardown_class()
    return recorded


def test_every_rule_is_a_test_with_its_sentence_and_says_where_it_is_from() -> None:
    assert len(RULES) > 80
    for name, each in RULES.items():
        assert each.sentence.endswith("."), name
        assert each.section, name
        assert getattr(ConnectorContract, f"test_{name}").__doc__ == each.sentence


def test_a_rule_that_holds_passes_and_leaves_nothing_behind() -> None:
    assert properties_of(OnThisMachine, "commands_run") == {}
    target = OnThisMachine._target
    assert not Path(target.folder).exists()
    assert not target.host.connected


def test_a_rule_that_does_not_apply_passes_with_the_reason() -> None:
    recorded = properties_of(OnThisMachine, "dzdo")
    assert recorded == {"not applicable": "_dzdo does not work on this host without asking anybody"}


def test_a_class_can_say_which_rules_have_to_apply() -> None:
    class Strict(OnThisMachine):
        may_not_apply = {"doas"}

    assert properties_of(Strict, "commands_run") == {}
    with pytest.raises(Broken, match="a rule that applies, seen not applicable: _dzdo does not work"):
        properties_of(Strict, "dzdo")


def test_an_inventory_of_several_hosts_is_refused() -> None:
    class Several(ConnectorContract):
        inventory = "@fake/a,b"

    with pytest.raises(ValueError, match=r"Several\.inventory has to be one host, @fake/a,b is 2"):
        Several.setup_class()


def test_a_host_that_cannot_be_reached_says_why() -> None:
    class Unreachable(ConnectorContract):
        inventory = "@fake/a"
        data = {"fake_responses": {"x": 5}}

    with pytest.raises(ConnectError, match="`fake_responses` of 'x' is 5"):
        Unreachable.setup_class()


def test_arguments_go_with_every_command_and_lose_to_a_rules_own() -> None:
    class Elsewhere(OnThisMachine):
        arguments = {"_env": {"CONTRACT_A": "base"}, "_chdir": "/"}

    Elsewhere.setup_class()
    try:
        target = Elsewhere._target
        assert target.ok('echo "$CONTRACT_A"; pwd') == ["base", "/"]
        assert target.ok('echo "$CONTRACT_A"; pwd', _env={"CONTRACT_A": "own"}) == ["own", "/"]
    finally:
        Elsewhere.teardown_class()


def test_whatever_a_rule_raises_is_an_outcome() -> None:
    def say(error: Exception) -> Rule:
        def check_it(target: Target) -> None:
            raise error

        return Rule("mine", "Mine", "It does.", check_it)

    rules = [say(Broken("one", "two")), say(NotApplicable("no moon")), say(RuntimeError("oops"))]
    OnThisMachine.setup_class()
    try:
        outcomes = list(check(OnThisMachine._target, rules))
    finally:
        OnThisMachine.teardown_class()
    found = [(each.verdict, each.expected, each.seen, each.why) for each in outcomes]
    assert found == [
        ("broken", "one", "two", ""),
        ("not applicable", "", "", "no moon"),
        ("broken", "It does.", "RuntimeError: oops", ""),
    ]
    assert all(isinstance(each, OutcomeOfRule) and each.seconds >= 0 for each in outcomes)


def test_a_host_on_which_commands_do_not_run_is_told_at_once() -> None:
    class Refuses(OnThisMachine):
        arguments = {"_shell_executable": "/nonexistent/shell"}

    with pytest.raises(Broken, match="mkdir"):
        Refuses.setup_class()
    Refuses.arguments = {}
    Refuses.setup_class()
    try:
        target = Refuses._target
        with pytest.raises(Broken, match="succeeds"), opened(target.host, {"_temp_dir": "/nonexistent"}):
            pass
    finally:
        Refuses.teardown_class()


def test_two_rules_of_one_name_are_a_mistake() -> None:
    def commands_run(target: Target) -> None:
        """Again."""

    with pytest.raises(ValueError, match="two rules named commands_run"):
        rule("Mine")(commands_run)


def test_long_values_are_cut_in_the_middle_and_stay_on_one_line() -> None:
    text = shown("first\n" + "x" * 5000 + "last")
    assert text.startswith("first\\nxxx")
    assert text.endswith("xlast (5011 characters)")
    assert len(text) < 600
    with pytest.raises(Broken) as caught:
        expect(["seen"], ["expected"], "lines")
    assert (caught.value.expected, caught.value.seen) == ("lines: ['expected']", "['seen']")


def test_an_argument_that_is_refused_by_name_does_not_apply() -> None:
    with pytest.raises(NotApplicable, match="refused: no _get_pty here"), may_be_refused("_get_pty"):
        raise NotImplementedError("no _get_pty here")
    with pytest.raises(NotImplementedError, match="another"), may_be_refused("_get_pty"):
        raise NotImplementedError("another")


def test_listening_hears_what_connectors_print_and_gives_the_listener_before_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pyinfra.api import output

    before: list[Any] = []
    monkeypatch.setattr(output, "_echo", lambda message="", **_: before.append(message))
    with listening() as heard:
        output.echo("inside", err=True)
    output.echo("outside")
    assert (heard, before) == (["inside"], ["outside"])
