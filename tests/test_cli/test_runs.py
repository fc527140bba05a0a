"""Runs from beginning to end, as people see them."""

from __future__ import annotations

import pytest

from tests.support.commandline import Folder

HOSTS = """
    answers = {"exit 3": {"success": False, "stderr": "no way"}}
    web = [("@fake/a", {"fake_responses": answers}), "@fake/long-name"]
"""


def test_a_deploy_goes_through_all_stages(folder: Folder) -> None:
    folder.write("hosts.py", "web = ['@fake/a', '@fake/long-name']")
    folder.write("deploy.py", "import things\nthings.say(name='Greet', text='hi')\nthings.nothing()")
    ended = folder.run("hosts.py", "deploy.py", answers="\n")
    assert (ended.exit_code, ended.out) == (0, "")
    assert ended.err == "\n".join(
        [
            "--> Loading config...",
            "--> Loading inventory...",
            "--> Connecting to hosts...",
            "    [@fake/a]         Connected",
            "    [@fake/long-name] Connected",
            "",
            "--> Preparing operation files...",
            "    Loading: deploy.py",
            "    [@fake/a]         Ready: deploy.py",
            "    [@fake/long-name] Ready: deploy.py",
            "",
            "--> Detected changes:",
            "    Operation        Change                         Conditional Change   ",
            "    Greet            2 (@fake/a, @fake/long-name)   -                    ",
            "    things.nothing   -                              -                    ",
            "",
            "    Changes that only show once others are made are not among these: more may follow.",
            "",
            "    Detected changes displayed above, skip this step with -y",
            "    Press enter to execute... ",
            "",
            "--> Beginning operation run...",
            "--> Starting operation: Greet ",
            "    [@fake/a]         Success",
            "    [@fake/long-name] Success",
            "",
            "--> Starting operation: things.nothing ",
            "    [@fake/a]         No changes",
            "    [@fake/long-name] No changes",
            "",
            "--> Results:",
            "    Operation        Hosts   Success   Error   No Change   ",
            "    Greet            2       2         -       -           ",
            "    things.nothing   2       -         -       2           ",
            "    Grand total      4       2         -       2           ",
            "",
            "--> Disconnecting from hosts...",
            "",
        ],
    )


def test_yes_skips_the_detection_and_the_prompt(folder: Folder) -> None:
    ended = folder.run("-y", "@fake", "things.say", "hi", "times=2")
    assert ended.exit_code == 0
    assert ended.lines[4:] == [
        "",
        "--> Preparing operation func...",
        "    [@fake] Ready: say",
        "",
        "--> Skipping change detection",
        "--> Beginning operation run...",
        "--> Starting operation: things.say (hi, times=2)",
        "    [@fake] Success",
        "",
        "--> Results:",
        "    Operation                  Hosts   Success   Error   No Change",
        "    things.say (hi, times=2)   1       1         -       -",
        "    Grand total                1       1         -       -",
        "",
        "--> Disconnecting from hosts...",
    ]


def test_dry_ends_after_the_table(folder: Folder) -> None:
    for words in ((), ("-y",)):
        ended = folder.run("--dry", *words, "@fake", "things.say", "hi")
        assert ended.exit_code == 0
        assert ended.after("Detected changes:")[1] == "    things.say (hi)   1 (@fake)   -"
        assert "Press enter" not in ended.err
        assert "--> Beginning operation run..." not in ended.lines
        assert ended.lines[-1] == "--> Disconnecting from hosts..."


def test_exec_shows_output_and_never_asks(folder: Folder) -> None:
    ended = folder.run("@local", "exec", "--", "echo out; echo err >&2")
    assert (ended.exit_code, ended.out) == (0, "")
    assert "--> Preparing exec operation..." in ended.lines
    assert "    [@local] Ready: shell" in ended.lines
    assert "[@local] out" in ended.lines
    assert "[@local] err" in ended.lines
    assert "Press enter" not in ended.err


def test_text_at_the_prompt_runs_nothing(folder: Folder) -> None:
    ended = folder.run("@fake", "things.say", "hi", answers="no\n")
    assert ended.exit_code == 0
    assert "    Unexpected user input: no" in ended.lines
    assert "--> Beginning operation run..." not in ended.lines
    assert ended.lines[-1] == "--> Disconnecting from hosts..."


def test_a_prompt_that_nobody_can_answer_is_an_error(folder: Folder) -> None:
    ended = folder.run("@fake", "things.say", "hi", answers="")
    assert ended.exit_code == 1
    assert "use -y to run without asking" in ended.lines[-1]
    assert "--> Beginning operation run..." not in ended.lines


def test_warnings_are_counted_above_the_prompt(folder: Folder) -> None:
    folder.write(
        "deploy.py",
        """
        from pyinfra import host, logger
        host.log("take care", logger.warning)
        logger.warning("and again")
        logger.info("no warning")
        """,
    )
    ended = folder.run("@fake", "deploy.py", answers="\n")
    assert "    [@fake] take care" in ended.lines
    assert "    2 warnings shown during change detection, see above" in ended.lines


def test_conditions_make_changes_conditional_and_skip_silently(folder: Folder) -> None:
    folder.write("deploy.py", "import things\nthings.say('hi', _if=lambda: False)")
    ended = folder.run("@fake", "deploy.py", answers="\n")
    assert "    things.say (hi)   -        1 (@fake)" in ended.lines
    assert "    [@fake] No changes" in ended.lines


def test_names_in_the_table_are_sorted_and_cut(folder: Folder) -> None:
    folder.write("hosts.py", "web = [f'@fake/host-{n}' for n in (5, 4, 3, 2, 1)]")
    ended = folder.run("--dry", "hosts.py", "things.say", "hi")
    row = next(line for line in ended.lines if line.startswith("    things.say (hi)"))
    assert "   5 (@fake/host-1, @fake/host-2, @fake/host-3, @fa...)   -" in row


def test_hosts_without_a_failure_go_on_and_the_failure_is_told_after_the_results(folder: Folder) -> None:
    folder.write("hosts.py", HOSTS)
    folder.write("deploy.py", "import things\nthings.fail(name='Break')\nthings.say('after')")
    ended = folder.run("-y", "hosts.py", "deploy.py")
    assert ended.exit_code == 1
    assert ended.after("Starting operation: Break") == [
        "    [@fake/a]         no way",
        "    [@fake/a]         Error: executed 0 commands",
        "    [@fake/long-name] Success",
    ]
    assert ended.after("Starting operation: things.say (after)") == ["    [@fake/long-name] Success"]
    assert ended.after("Results:")[1:] == [
        "    Break                2       1         1       -",
        "    things.say (after)   2       1         -       -",
        "    Grand total          4       2         1       -",
    ]
    assert ended.after("Failed hosts:") == [
        "    [@fake/a] Break",
        "        Command: echo oops >&2; exit 3",
        "        no way",
    ]
    assert ended.lines[-1] == "--> Disconnecting from hosts..."


def test_results_are_shown_where_no_host_is_left_too(folder: Folder) -> None:
    folder.write(
        "deploy.py",
        "from pyinfra.operations import server\nserver.shell('echo fine')\nserver.shell('echo bad >&2; exit 7')",
    )
    ended = folder.run("-y", "@local", "deploy.py")
    assert ended.exit_code == 1
    assert "    Grand total                           2       1         1       -" in ended.lines
    assert ended.after("Failed hosts:") == [
        "    [@local] server.shell (echo bad >&2; exit 7)",
        "        Command: echo bad >&2; exit 7",
        "        Exit code: 7",
        "        bad",
    ]
    assert ended.lines[-2:] == ["--> Disconnecting from hosts...", "--> pyinfra error: No hosts remaining!"]


@pytest.mark.parametrize(
    ("answer", "goes_on"),
    [("y", True), ("yes", True), ("", False), ("n", False)],
)
def test_failures_are_asked_about(folder: Folder, answer: str, goes_on: bool) -> None:
    folder.write("hosts.py", HOSTS)
    folder.write("deploy.py", "import things\nthings.fail()\nthings.say('after')")
    ended = folder.run("hosts.py", "deploy.py", answers=f"\n{answer}\n")
    assert ended.exit_code == 1
    assert "    Hosts that failed: 1, hosts left: 1. Go on with those? [y/N]" in ended.lines
    assert ("--> Starting operation: things.say (after)" in ended.lines) == goes_on
    assert "--> Results:" in ended.lines
    assert (ended.lines[-1] == "--> pyinfra error: Stopped because hosts failed") == (not goes_on)


@pytest.mark.parametrize(("percent", "goes_on"), [("49", False), ("50", True)])
def test_a_share_of_failures_decides_without_asking(folder: Folder, percent: str, goes_on: bool) -> None:
    folder.write("hosts.py", HOSTS)
    folder.write("deploy.py", "import things\nthings.fail()\nthings.say('after')")
    ended = folder.run("hosts.py", "deploy.py", "--fail-percent", percent, answers="\n")
    assert ended.exit_code == 1
    assert "Go on" not in ended.err
    assert ("--> Starting operation: things.say (after)" in ended.lines) == goes_on
    assert (f"--> pyinfra error: Over {percent}% of hosts failed (50%)" in ended.lines) == (not goes_on)


def test_ignored_errors_do_not_count(folder: Folder) -> None:
    folder.write(
        "deploy.py",
        """
        from pyinfra.operations import server
        server.shell("exit 1", _ignore_errors=True)
        server.shell(["exit 1", "echo second"], _ignore_errors=True, _continue_on_error=True)
        """,
    )
    ended = folder.run("-y", "@local", "deploy.py")
    assert ended.exit_code == 0
    assert "    [@local] Error (ignored): executed 0 commands" in ended.lines
    assert "    [@local] Error (ignored, execution continued): executed 1 commands" in ended.lines
    assert "--> Failed hosts:" not in ended.lines


def test_retries_are_told(folder: Folder) -> None:
    folder.write(
        "deploy.py",
        """
        from pyinfra.operations import server
        server.shell(name="Second", commands="test -e once || { touch once; exit 1; }", _retries=2, _retry_delay=0)
        server.shell(name="Never", commands="exit 1", _retries=2, _retry_delay=0)
        """,
    )
    ended = folder.run("-y", "@local", "deploy.py")
    assert "    [@local] Retrying Second (attempt 1/2) after 0s..." in ended.lines
    assert "    [@local] Success on retry 1" in ended.lines
    assert "    [@local] Retrying Never (attempt 2/2) after 0s..." in ended.lines
    assert "    [@local] Error: executed 0 commands (failed after 2/2 retries)" in ended.lines


def test_retries_can_come_from_the_command_line(folder: Folder) -> None:
    ended = folder.run("-y", "@local", "server.shell", "exit 1", "--retry", "1", "--retry-delay", "0")
    assert "    [@local] Retrying server.shell (attempt 1/1) after 0s..." in ended.lines


def test_a_command_that_takes_too_long_is_told(folder: Folder) -> None:
    ended = folder.run("-y", "@local", "server.shell", "sleep 20", "_timeout=1")
    assert ended.exit_code == 1
    assert ended.after("Starting operation: server.shell (sleep 20)") == [
        "    [@local] Command timed out after 1s",
        "    [@local] Error: executed 0 commands",
    ]


def test_how_an_operation_meets_its_hosts_is_in_its_title(folder: Folder) -> None:
    folder.write("deploy.py", "import things\nthings.say('x', _serial=True, _run_once=True)")
    ended = folder.run("-y", "@fake/a,b", "deploy.py")
    assert ended.after("Starting serial, run once operation: things.say (x)") == ["    [@fake/a] Success"]
    assert ended.after("Results:")[-1].split() == ["Grand", "total", "1", "1", "-", "-"]


def test_nested_operations_have_titles_and_a_prefix(folder: Folder) -> None:
    folder.write(
        "deploy.py",
        """
        from pyinfra.operations import python
        import things

        def more():
            things.say(name="Inner", text="x")

        python.call(name="Outer", function=more)
        """,
    )
    ended = folder.run("-y", "@fake", "deploy.py")
    assert ended.after("Starting operation: Outer") == [
        "    [@fake] Starting nested operation: Inner",
        "    [@fake] nested Success",
        "    [@fake] Success",
    ]
    assert ended.after("Results:")[1:3] == [
        "    Outer         1       1         -       -",
        "    Inner         1       1         -       -",
    ]


@pytest.mark.parametrize("option", ["--serial", "--no-wait"])
def test_hosts_may_go_through_the_operations_on_their_own(folder: Folder, option: str) -> None:
    folder.write("deploy.py", "import things\nthings.say(name='One', text='1')\nthings.say(name='Two', text='2')")
    ended = folder.run("-y", option, "@fake/a,b", "deploy.py")
    assert ended.exit_code == 0
    assert ended.after("Results:")[-1] == "    Grand total   4       4         -       -"
    if option == "--serial":
        told = [line for line in ended.lines if line.endswith("Success") or line.startswith("--> Starting")]
        assert told == [
            "--> Starting operation: One",
            "    [@fake/a] Success",
            "--> Starting operation: Two",
            "    [@fake/a] Success",
            "--> Starting operation: One",
            "    [@fake/b] Success",
            "--> Starting operation: Two",
            "    [@fake/b] Success",
        ]
    else:
        assert "    [@fake/b] Success (Two)" in ended.lines
        assert not any(line.startswith("--> Starting") for line in ended.lines)


def test_verbosity_adds_facts_then_commands_then_their_output(folder: Folder) -> None:
    folder.write("deploy.py", "import things\nthings.read('x')\nthings.nothing('enough')\nthings.say('y')")
    folder.write("hosts.py", "all = [('@fake', {'fake_responses': {'say': 'said', 'echo': 'told'}})]")

    def shown(*words: str) -> set[str]:
        return set(folder.run("-y", *words, "hosts.py", "deploy.py").lines)

    plain, one, two, three = shown(), shown("-v"), shown("-vv"), shown("-vvv")
    assert one - plain == {"    [@fake] Loaded fact things.Word (word=x)", "    [@fake] noop: enough"}
    assert two - one == {"[@fake] >>> say x", "[@fake] >>> echo y"}
    assert three - two == {"[@fake] said", "[@fake] told"}


def test_facts_are_shown_by_host(folder: Folder) -> None:
    folder.write("hosts.py", "all = [('@fake/a', {'fake_responses': {'say two': '2'}}), '@fake/b']")
    ended = folder.run("hosts.py", "fact", "things.Word", "word=two")
    assert (ended.exit_code, ended.out) == (0, "")
    assert ended.after("Gathering facts...") == [
        "    [@fake/a] Loaded fact things.Word (word=two)",
        "    [@fake/b] Loaded fact things.Word (word=two)",
    ]
    assert ended.after("Fact data for: things.Word (word=two)") == [
        "{",
        '    "@fake/a": [',
        '        "2"',
        "    ],",
        '    "@fake/b": null',
        "}",
    ]


def test_a_fact_that_fails_is_its_default(folder: Folder) -> None:
    folder.write("hosts.py", "all = [('@fake', {'fake_responses': {'exit 4': {'success': False, 'stderr': 'no'}}})]")
    ended = folder.run("hosts.py", "fact", "things.Broken")
    assert ended.exit_code == 0
    assert ended.after("Gathering facts...") == [
        "    [@fake] no",
        "    [@fake] Error: could not load fact: things.Broken",
    ]
    assert '    "@fake": "none at all"' in ended.lines


def test_a_fact_that_fails_while_preparing_fails_its_host(folder: Folder) -> None:
    folder.write("hosts.py", "all = [('@fake/a', {'fake_responses': {'exit 4': {'success': False}}}), '@fake/b']")
    folder.write("deploy.py", "from pyinfra import host\nimport things\nhost.get_fact(things.Broken)\nthings.say('x')")
    ended = folder.run("-y", "hosts.py", "deploy.py")
    assert ended.exit_code == 1
    assert ended.after("Starting operation: things.say (x)") == ["    [@fake/b] Success"]
    assert ended.after("Failed hosts:")[0] == "    [@fake/a] Reading facts"


def test_what_a_fact_that_failed_while_preparing_said_is_told_as_that_of_an_operation_is(folder: Folder) -> None:
    folder.write("hosts.py", "all = ['@local', '@fake']")
    folder.write(
        "deploy.py",
        """
        from pyinfra import host
        from pyinfra.facts.server import Command
        import things
        if host.name == "@local":
            host.get_fact(Command, "echo oops >&2; exit 5")
        things.say("x")
        """,
    )
    ended = folder.run("-y", "hosts.py", "deploy.py")
    assert ended.after("Failed hosts:") == [
        "    [@local] Reading facts",
        "        Exit code: 5",
        "        Error: Could not load fact server.Command (command=echo oops >&2; exit 5)",
        "        oops",
    ]


def test_failed_hosts_are_told_in_the_order_of_the_inventory_whichever_failed_first(folder: Folder) -> None:
    responses = "{'exit 3': {'success': False}}"
    folder.write(
        "hosts.py",
        f"""
        slow = [('@fake/a', {{'fake_delay': 0.5, 'fake_responses': {responses}}})]
        fast = [(name, {{'fake_responses': {responses}}}) for name in ('@fake/b', '@fake/c')]
        """,
    )
    ended = folder.run("-y", "hosts.py", "things.fail")
    order = [line for line in ended.after("Failed hosts:") if line.startswith("    [")]
    assert order == [f"    [@fake/{name}] things.fail" for name in "abc"]


def test_hosts_that_cannot_be_reached_are_told_apart(folder: Folder) -> None:
    folder.write(
        "hosts.py",
        "all = ['@fake/a', ('@fake/b', {'fake_responses': {'x': 5}}), ('@fake/c', {'fake_responses': {'exit': 6}})]",
    )
    ended = folder.run("-y", "hosts.py", "things.say", "x")
    assert ended.exit_code == 1
    unreached = ended.after("Hosts that could not be reached:")
    assert [line.split("]")[0] for line in unreached] == ["    [@fake/b", "    [@fake/c"]
    assert "`fake_responses` of 'x' is 5" in unreached[0]
    assert "--> Failed hosts:" not in ended.lines


@pytest.mark.parametrize("words", [("fact", "things.Word"), ("exec", "--", "true")])
def test_facts_and_exec_go_on_without_asking(folder: Folder, words: tuple[str, ...]) -> None:
    folder.write("hosts.py", "all = [('@fake/a', {'fake_responses': {'x': 5}}), '@fake/b']")
    ended = folder.run("hosts.py", *words)
    assert ended.exit_code == 1
    assert "Go on" not in ended.err
    assert "    [@fake/b] Loaded fact things.Word" in ended.lines or "    [@fake/b] Success" in ended.lines


def test_where_no_host_can_be_reached_the_run_ends(folder: Folder) -> None:
    folder.write("hosts.py", "all = [('@fake', {'fake_responses': {'x': 5}})]")
    ended = folder.run("-y", "hosts.py", "things.say", "x")
    assert ended.exit_code == 1
    assert ended.lines[2] == "--> Connecting to hosts..."
    assert ended.lines[3].startswith("    [@fake] `fake_responses`")
    assert ended.after("Results:")[1:] == ["    Grand total   -       -         -       -"]
    (unreached,) = ended.after("Hosts that could not be reached:")
    assert unreached.startswith("    [@fake] ")
    assert ended.lines[-2:] == ["--> Disconnecting from hosts...", "--> pyinfra error: No hosts remaining!"]


def test_where_the_last_host_fails_while_preparing_the_results_are_shown(folder: Folder) -> None:
    folder.write("hosts.py", "all = [('@fake', {'fake_responses': {'exit 4': {'success': False, 'stderr': 'no'}}})]")
    folder.write("deploy.py", "from pyinfra import host\nimport things\nthings.say('x')\nhost.get_fact(things.Broken)")
    ended = folder.run("-y", "hosts.py", "deploy.py")
    assert ended.exit_code == 1
    assert ended.after("Results:")[1:] == [
        "    things.say (x)   1       -         -       -",
        "    Grand total      1       -         -       -",
    ]
    assert ended.after("Failed hosts:")[0] == "    [@fake] Reading facts"
    assert ended.lines[-1] == "--> pyinfra error: No hosts remaining!"
    planned = folder.run("--dry", "hosts.py", "deploy.py")
    assert "--> Results:" not in planned.lines
    assert planned.after("Failed hosts:") == ended.after("Failed hosts:")


def test_differences_of_files_are_shown(folder: Folder) -> None:
    folder.write("new.txt", "one\ntwo\n")
    (folder.path / "old.txt").write_text("one\n")
    ended = folder.run("--diff", "--dry", "@local", "files.put", "src=new.txt", "dest=old.txt")
    assert ended.exit_code == 0
    assert any("+ two" in line for line in ended.lines)
    assert (folder.path / "old.txt").read_text() == "one\n"


def test_many_hosts_are_worked_on_in_one_run(folder: Folder) -> None:
    folder.write("hosts.py", "all = [f'@fake/{n}' for n in range(300)]")
    ended = folder.run("-y", "--parallel", "10", "hosts.py", "things.say", "x")
    assert ended.exit_code == 0
    assert ended.lines.count("--> Starting operation: things.say (x)") == 1
    assert sum(line.endswith("Success") for line in ended.lines) == 300


def test_connectors_see_at_their_end_whether_the_run_went_well(folder: Folder) -> None:
    folder.write(
        "asks.py",
        """
        from pyinfra.connectors.fake import FakeConnector


        class Asks(FakeConnector):
            @staticmethod
            def make_names_data(name=None):
                yield f"@asks:Asks/{name}", {}, []

            def disconnect(self):
                print("failed" if self.host in self.state.failed_hosts else "went well")
        """,
    )
    begin = "import gevent, os, things\nfrom pyinfra import host\nthings.say('x')\n"
    folder.write("well.py", begin)
    folder.write("wrong.py", f"{begin}if host.name.endswith('a'): raise ValueError('oops')")
    folder.write("ended.py", f"{begin}raise SystemExit('enough')")
    folder.write("interrupted.py", f"{begin}if host.name.endswith('a'): os.kill(os.getpid(), 2)\ngevent.sleep(30)")

    def outcomes(*words: str, answers: str = "") -> tuple[int, list[str]]:
        ended = folder.run("@asks:Asks/a,@asks:Asks/b", *words, answers=answers)
        return ended.exit_code, ended.out.split("\n")[:-1]

    both_well, both_failed = ["went well"] * 2, ["failed"] * 2
    assert outcomes("-y", "well.py") == (0, both_well)
    assert outcomes("--dry", "well.py") == (0, both_well)
    assert outcomes("well.py", answers="no\n") == (0, both_well)
    assert outcomes("fact", "things.Word") == (0, both_well)
    for name, code in (("wrong.py", 1), ("ended.py", 1), ("interrupted.py", 130)):
        assert outcomes("-y", name) == (code, both_failed), name
