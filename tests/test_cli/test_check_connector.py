"""``check-connector``, against hosts that cannot hold the contract: fake ones."""

from __future__ import annotations

from pyinfra.testing.contract import RULES
from tests.support.commandline import Folder

VERDICTS = ("held", "broken", "not applicable")


def test_each_rule_is_told_and_broken_ones_fail_the_run(folder: Folder) -> None:
    ended = folder.run("@fake", "check-connector")
    assert (ended.exit_code, ended.out) == (1, "")
    told = [line for line in ended.lines if line.startswith(tuple(f"    [@fake] {verdict}: " for verdict in VERDICTS))]
    assert len(told) == len(RULES)
    first_broken = ended.lines.index("    [@fake]     rule: commands_run")
    assert ended.lines[first_broken - 1].startswith("    [@fake] broken: A command runs")
    assert ended.lines[first_broken + 1].startswith("    [@fake]     expected: ")
    assert ended.lines[first_broken + 2].startswith("    [@fake]     seen: ")
    count = sum(line.startswith("    [@fake] broken: ") for line in told)
    assert ended.lines[-2:] == [
        "--> Disconnecting from hosts...",
        f"--> pyinfra error: Rules that are broken: {count} on @fake",
    ]


def test_programs_get_the_outcomes_of_every_host(folder: Folder) -> None:
    ended = folder.run("--json", "@fake/a,b", "check-connector")
    assert ended.exit_code == 1
    assert list(ended.json) == ["@fake/a", "@fake/b"]
    outcomes = {outcome["rule"]: outcome for outcome in ended.json["@fake/a"]}
    assert list(outcomes) == list(RULES)
    broken = outcomes["commands_run"]
    assert (broken["verdict"], broken["section"]) == ("broken", RULES["commands_run"].section)
    assert "hello" in broken["expected"]
    assert {outcome["verdict"] for outcome in outcomes.values()} == set(VERDICTS)


def test_a_host_that_runs_no_commands_is_one_that_is_broken_and_the_others_are_checked(folder: Folder) -> None:
    folder.write("hosts.py", "all = [('@fake/a', {'fake_responses': {'': {'success': False}}}), '@fake/b']")
    ended = folder.run("--json", "hosts.py", "check-connector")
    assert ended.exit_code == 1
    assert "Traceback" not in ended.err
    (outcome,) = ended.json["@fake/a"]
    assert (outcome["rule"], outcome["verdict"]) == ("commands_run", "broken")
    assert "mkdir" in outcome["expected"]
    assert len(ended.json["@fake/b"]) == len(RULES)
    assert ended.lines[-1].startswith("--> pyinfra error: Rules that are broken: 1 on @fake/a, ")


def test_it_takes_no_arguments(folder: Folder) -> None:
    assert folder.run("@fake", "check-connector", "more").exit_code == 2
