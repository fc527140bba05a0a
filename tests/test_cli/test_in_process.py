"""The command line called from a program, as test tools call it."""

from __future__ import annotations

from tests.support.commandline import Folder


def test_clicks_runner_runs_it_and_the_state_stays_for_inspection(folder: Folder) -> None:
    folder.write("hosts.py", "web = ['@fake/a', '@fake/b']")
    folder.write("deploy.py", "import things\nthings.say(name='Say', text='x')\nthings.nothing()")
    ended = folder.python(
        """
        from click.testing import CliRunner
        from pyinfra.context import ctx_inventory, ctx_state
        from pyinfra_cli.main import cli

        result = CliRunner().invoke(cli, ["-y", "hosts.py", "deploy.py"])
        assert result.exit_code == 0, result.output
        assert result.stdout == ""
        assert "--> Results:" in result.stderr
        state = ctx_state.get()
        assert ctx_inventory.get() is state.inventory
        host = state.inventory.get_host("@fake/a")
        results = state.results[host]
        assert (results.ops, results.success_ops, results.error_ops) == (2, 2, 0)
        names = [state.op_meta[op_hash].names for op_hash in state.get_op_order()]
        assert names == [{"Say"}, {"things.nothing"}]
        assert host.connector.executed_commands == ["echo x"]
        """,
    )
    assert (ended.exit_code, ended.err) == (0, "")


def test_runs_leave_the_process_as_they_found_it(folder: Folder) -> None:
    ended = folder.python(
        """
        import logging, signal, sys
        import gevent
        import pyinfra
        from click.testing import CliRunner
        from pyinfra.api import Config, Inventory, State
        from pyinfra.api.connect import connect_all
        from pyinfra.api.operation import add_op
        from pyinfra.api.operations import run_ops
        from pyinfra.api.output import format_text
        from pyinfra_cli.main import cli
        sys.path.insert(0, ".")
        import things

        def handlers():
            return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGURG), gevent.get_hub().NOT_ERROR

        path, before = list(sys.path), handlers()
        for _ in range(2):
            assert CliRunner().invoke(cli, ["-y", "@fake", "things.say", "x"]).exit_code == 0
        assert CliRunner().invoke(cli, ["@fake", "no.thing"]).exit_code == 1
        assert sys.path == path
        assert handlers() == before
        assert not logging.getLogger("pyinfra").handlers
        assert format_text("plain", bold=True) == "plain"
        assert pyinfra.is_cli is False

        state = State(Inventory((["@fake/api"], {})), Config(SUDO=True))
        connect_all(state)
        (meta,) = add_op(state, things.say, "y").values()
        run_ops(state)
        assert meta.did_succeed()
        """,
    )
    assert (ended.exit_code, ended.out, ended.err) == (0, "", "")


def test_prompts_and_standard_output_go_through_clicks_runner(folder: Folder) -> None:
    ended = folder.python(
        """
        import json
        from click.testing import CliRunner
        from pyinfra_cli.main import cli

        asked = CliRunner().invoke(cli, ["@fake", "things.say", "x"], input="\\n")
        assert asked.exit_code == 0, asked.output
        assert "--> Results:" in asked.stderr
        written = CliRunner().invoke(cli, ["--json", "@fake", "debug-inventory"])
        assert json.loads(written.stdout) == [{"name": "@fake", "groups": ["@fake"], "data": {}}]
        """,
    )
    assert (ended.exit_code, ended.err) == (0, "")


def test_progress_of_other_code_is_a_matter_of_the_terminal() -> None:
    from pyinfra.progress import progress_spinner, set_spinner

    with progress_spinner(["a", "b"], prefix_message="Copying") as progress:
        progress("a")

    told: list[object] = []

    class Shown:
        def __init__(self, items: list[object], message: str) -> None:
            told.append((items, message))

        def __enter__(self):  # type: ignore[no-untyped-def]
            return told.append

        def __exit__(self, *error: object) -> None:
            told.append("end")

    set_spinner(Shown)
    try:
        with progress_spinner({"a"}, "Copying") as progress:
            progress("a")
    finally:
        set_spinner(None)
    assert told == [(["a"], "Copying"), "a", "end"]
