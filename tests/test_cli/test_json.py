"""``--json``: for programs, on standard output, alone."""

from __future__ import annotations

import os

import pytest

from tests.support.commandline import Folder


def test_without_yes_the_plan_is_written_and_nothing_is_run(folder: Folder) -> None:
    folder.write("deploy.py", "import things\nthings.say('x', times=2)\nthings.nothing()\nthings.say('y', _if=bool)")
    for words in ((), ("--dry",), ("--dry", "-y")):
        ended = folder.run("--json", *words, "@fake/a,b", "deploy.py")
        assert ended.exit_code == 0
        assert ended.json["results"] is None
        first, second, third = ended.json["plan"]
        assert len(first.pop("op_hash")) == 40
        changed = ["@fake/a", "@fake/b"]
        assert first == {
            "name": "things.say (x, times=2)",
            "names": ["things.say"],
            "args": ["x", "times=2"],
            "hosts_with_change": changed,
            "hosts_with_conditional_change": [],
        }
        assert (second["hosts_with_change"], second["hosts_with_conditional_change"]) == ([], [])
        assert (third["hosts_with_change"], third["hosts_with_conditional_change"]) == ([], changed)
        assert "--> Beginning operation run..." not in ended.lines


def test_with_yes_the_results_follow_the_plan(folder: Folder) -> None:
    folder.write(
        "hosts.py",
        "all = [('@fake/a', {'fake_responses': {'exit 3': {'success': False}}}), '@fake/b']",
    )
    folder.write("deploy.py", "import things\nthings.nothing()\nthings.fail(name='Break', text='x')")
    ended = folder.run("--json", "-y", "hosts.py", "deploy.py")
    assert ended.exit_code == 1
    assert [planned["hosts_with_change"] for planned in ended.json["plan"]] == [[], []]
    results = ended.json["results"]
    first, second = results["operations"]
    assert first["no_change"] == ["@fake/a", "@fake/b"]
    assert second.pop("op_hash") == ended.json["plan"][1]["op_hash"]
    assert second == {
        "name": "Break",
        "names": ["Break"],
        "args": [],
        "hosts": 2,
        "success": ["@fake/b"],
        "error": ["@fake/a"],
        "no_change": [],
    }
    assert results["totals"] == {"hosts": 4, "success": 1, "error": 1, "no_change": 2}
    assert results["failed_hosts"] == ["@fake/a"]
    assert "--> Failed hosts:" in ended.lines
    assert "Skipping change detection" not in ended.err


def test_exec_runs_without_yes(folder: Folder) -> None:
    ended = folder.run("--json", "@local", "exec", "--", "echo out")
    assert ended.exit_code == 0
    assert ended.json["results"]["operations"][0]["success"] == ["@local"]
    assert "[@local] out" in ended.lines


def test_results_are_written_where_no_host_is_left_too(folder: Folder) -> None:
    ended = folder.run("--json", "@local", "exec", "--", "exit 1")
    assert ended.exit_code == 1
    assert ended.json["results"]["failed_hosts"] == ["@local"]


def test_failures_are_written_with_all_that_is_known_of_them(folder: Folder) -> None:
    ended = folder.run("--json", "-y", "@local", "server.shell", "name=Break", "commands=echo err >&2; exit 7")
    assert ended.exit_code == 1
    assert ended.json["failures"] == [
        {
            "host": "@local",
            "op_hash": ended.json["plan"][0]["op_hash"],
            "operation": "Break",
            "command": "echo err >&2; exit 7",
            "exit_code": 7,
            "stderr": ["err"],
            "error": None,
        }
    ]
    assert "unreachable" not in ended.json


def test_ignored_errors_and_retries_are_told_from_others(folder: Folder) -> None:
    folder.write(
        "deploy.py",
        """
        from pyinfra.operations import server
        server.shell("exit 1", _ignore_errors=True)
        server.shell("test -e second || { touch second; false; }", _retries=2, _retry_delay=0)
        """,
    )
    ended = folder.run("--json", "-y", "@local", "deploy.py")
    assert ended.exit_code == 0
    ignored, retried = ended.json["results"]["operations"]
    assert (ignored["error"], ignored["ignored"], "retries" in ignored) == (["@local"], ["@local"], False)
    assert (retried["success"], "ignored" in retried, retried["retries"]) == (["@local"], False, {"@local": 1})
    assert set(ended.json) == {"plan", "results"}


UNREACHABLE = "all = [('@fake/a', {'fake_responses': {'x': 5}})]"


def test_hosts_that_cannot_be_reached_are_written_where_none_is_left_too(folder: Folder) -> None:
    folder.write("hosts.py", UNREACHABLE)
    ended = folder.run("--json", "-y", "hosts.py", "things.say", "x")
    assert ended.exit_code == 1
    (unreachable,) = ended.json["unreachable"]
    assert unreachable["host"] == "@fake/a"
    assert "`fake_responses` of 'x' is 5" in unreachable["error"]
    totals = {"hosts": 0, "success": 0, "error": 0, "no_change": 0}
    assert ended.json == {
        "plan": [],
        "results": {"operations": [], "totals": totals, "failed_hosts": ["@fake/a"]},
        "unreachable": [unreachable],
    }
    planned = folder.run("--json", "hosts.py", "things.say", "x")
    assert planned.json == {"plan": [], "results": None, "unreachable": [unreachable]}


def test_facts_of_hosts_that_cannot_be_reached_are_none(folder: Folder) -> None:
    folder.write("hosts.py", UNREACHABLE)
    ended = folder.run("--json", "hosts.py", "fact", "things.Word")
    assert (ended.exit_code, ended.json) == (1, {"things.Word": {}})


def test_a_host_that_fails_while_preparing_is_written_where_none_is_left_too(folder: Folder) -> None:
    folder.write("deploy.py", "from pyinfra import host\nhost.get_fact('server.Command', 'exit 4')")
    ended = folder.run("--json", "-y", "@local", "deploy.py")
    assert ended.exit_code == 1
    (failure,) = ended.json["failures"]
    assert failure["error"] == "Could not load fact server.Command (command=exit 4)"
    assert (failure["host"], failure["operation"], failure["exit_code"]) == ("@local", None, 4)
    assert ended.json["results"]["failed_hosts"] == ["@local"]


def test_facts_are_written_by_name_and_host(folder: Folder) -> None:
    folder.write("hosts.py", "all = [('@fake/a', {'fake_responses': {'say 1': 'yes'}}), '@fake/b']")
    ended = folder.run("--json", "hosts.py", "fact", "things.Word", "word=1", "things.Word", "word=2")
    assert ended.json == {
        "things.Word (word=1)": {"@fake/a": ["yes"], "@fake/b": None},
        "things.Word (word=2)": {"@fake/a": None, "@fake/b": None},
    }


def test_facts_of_the_preparation_can_be_shown_instead_of_running(folder: Folder) -> None:
    folder.write("hosts.py", "all = [('@fake', {'fake_responses': {'say x': 'read'}})]")
    folder.write("deploy.py", "import things\nthings.read('x')\nthings.say('y')")
    ended = folder.run("--json", "-y", "--debug-facts", "hosts.py", "deploy.py")
    assert (ended.exit_code, ended.json) == (0, {})
    checked = folder.run("--json", "--debug-facts", "hosts.py", "deploy.py")
    assert checked.json == {"things.Word (word=x)": {"@fake": ["read"]}}
    assert "--> Beginning operation run..." not in checked.lines
    people = folder.run("--debug-facts", "hosts.py", "deploy.py")
    assert people.out == ""
    assert '    "things.Word (word=x)": {' in people.lines


def test_operations_of_the_preparation_can_be_shown_instead_of_running(folder: Folder) -> None:
    folder.write("deploy.py", "import things\nthings.say(name='Say', text='y')")
    ended = folder.run("--json", "--debug-operations", "@fake/a,b", "deploy.py")
    assert ended.exit_code == 0
    assert set(ended.json) == {"operations", "op_meta", "op_order"}
    (position,) = ended.json["op_order"]
    assert position["names"] == ["Say"]
    assert position["hosts"] == ["@fake/a", "@fake/b"]
    assert ended.json["op_meta"][position["op_hash"]]["names"] == ["Say"]
    assert set(ended.json["operations"]) == {"@fake/a", "@fake/b"}
    assert "--> Beginning operation run..." not in ended.lines


def test_secrets_in_data_are_masked(folder: Folder) -> None:
    folder.write("hosts.py", "from pyinfra.api import HiddenValue\nall = [('@fake', {'key': HiddenValue('hush')})]")
    ended = folder.run("--json", "hosts.py", "debug-inventory")
    assert ended.json[0]["data"] == {"key": "*MASKED*"}


def test_a_reader_that_has_gone_away_ends_no_run(folder: Folder) -> None:
    for command, exit_code in (("true", 0), ("exit 3", 1)):
        ended = folder.shell(f"( pyinfra --json @local exec -- '{command}'; echo rc $? >&2 ) | true")
        assert ended.lines[-1] == f"rc {exit_code}"
        assert "Broken pipe" not in ended.err
        assert "--> Disconnecting from hosts..." in ended.lines


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
def test_output_that_cannot_be_written_is_told_in_one_line(folder: Folder) -> None:
    ended = folder.shell("pyinfra --json @local exec -- true >/dev/full")
    assert ended.exit_code == 1
    assert ended.lines[-2:] == [
        "--> Disconnecting from hosts...",
        "--> pyinfra error: Cannot write JSON to standard output: No space left on device",
    ]


def test_what_a_connector_prints_is_for_people(folder: Folder) -> None:
    folder.write(
        "chatty.py",
        """
        from pyinfra.connectors.base import BaseConnector

        print("imported")

        class Chatty(BaseConnector):
            @staticmethod
            def make_names_data(name=None):
                print("asking")
                yield "@local", {}, []
        """,
    )
    ended = folder.run("--json", "@chatty:Chatty", "debug-inventory")
    assert [host["name"] for host in ended.json] == ["@local"]
    assert {"imported", "asking"} <= set(ended.lines)


def test_what_the_users_files_print_is_for_people(folder: Folder) -> None:
    folder.write("hosts.py", "import os\nos.system('echo asking')\nprint('listing')\nall = ['@local']")
    folder.write("deploy.py", "import things\nprint('deploying')\nthings.say('x')")
    ended = folder.run("--json", "-y", "hosts.py", "deploy.py")
    assert ended.json["results"]["totals"]["success"] == 1
    assert {"asking", "listing", "deploying"} <= set(ended.lines)


def test_numbers_that_json_lacks_are_text(folder: Folder) -> None:
    ended = folder.run("--json", "--data", "x=1e999", "@fake", "debug-inventory")
    assert ended.out == '[{"name": "@fake", "groups": ["@fake"], "data": {"x": "inf"}}]\n'


def test_without_hosts_what_was_asked_for_is_empty(folder: Folder) -> None:
    folder.write("hosts.py", "all = []")
    facts = folder.run("--json", "--debug-facts", "hosts.py", "things.say", "x")
    assert (facts.exit_code, facts.json) == (0, {})
    operations = folder.run("--json", "--debug-operations", "hosts.py", "things.say", "x")
    assert operations.json == {"operations": {}, "op_meta": {}, "op_order": []}
