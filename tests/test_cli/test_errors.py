"""Errors, as people see them: what, and where in their own files."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.commandline import Folder

FILES = {
    "operation": """
        from pyinfra.api import OperationError

        def deeper():
            raise OperationError("that cannot be")

        deeper()
    """,
    "pyinfra": """
        from pyinfra.api import DeployError
        raise DeployError("not like this")
    """,
    "argument": """
        import things
        things.say("x", _sudo=None)
    """,
    "value": """
        from pyinfra import host
        import things
        things.say("x", _serial=host.name.endswith("a"))
    """,
}


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("operation", "Operation error in deploy.py line 5: that cannot be"),
        ("pyinfra", "pyinfra error in deploy.py line 3: not like this"),
        (
            "argument",
            "Argument type error in deploy.py line 3: Invalid argument `_sudo`:: None is not an instance of bool",
        ),
        ("value", "Operation error in deploy.py line 4: Cannot have different values for `_serial`."),
    ],
)
def test_errors_of_pyinfra_have_a_kind_a_file_and_a_line(folder: Folder, kind: str, message: str) -> None:
    folder.write("deploy.py", FILES[kind])
    ended = folder.run("-y", "@fake/a,b", "deploy.py")
    assert ended.exit_code == 1
    assert ended.lines[-2:] == ["--> Disconnecting from hosts...", f"--> {message}"]
    assert "Traceback" not in ended.err


def test_an_error_in_an_included_file_is_told_with_that_file(folder: Folder) -> None:
    folder.write("deploy.py", "from pyinfra import local\nlocal.include('tasks/one.py')")
    folder.write("tasks/one.py", "from pyinfra.api import DeployError\nraise DeployError('no')")
    ended = folder.run("-y", "@fake", "deploy.py")
    assert ended.lines[-1] == "--> pyinfra error in tasks/one.py line 2: no"


def test_connector_data_of_the_wrong_type_is_told_before_anything_connects(folder: Folder) -> None:
    folder.write("hosts.py", "all = ['@fake/a', ('@fake/b', {'fake_delay': 'long'})]")
    ended = folder.run("-y", "hosts.py", "things.say", "x")
    assert ended.exit_code == 1
    assert ended.lines[-1].startswith("--> Connector data type error: ")
    assert "@fake/b" in ended.lines[-1]
    assert not any(line.endswith("Connected") for line in ended.lines)


def test_other_errors_are_shown_with_the_calls_in_the_users_file(folder: Folder) -> None:
    folder.write("deploy.py", "def divide():\n    return 1 / 0\n\ndivide()")
    ended = folder.run("-y", "@fake", "deploy.py")
    assert ended.exit_code == 1
    start = ended.lines.index("--> An exception occurred in: deploy.py")
    shown = ended.lines[start + 1 :]
    assert shown[1] == "Traceback (most recent call last):"
    assert shown[2].endswith('deploy.py", line 4, in <module>')
    assert shown[-2] == "ZeroDivisionError: division by zero"
    assert "pyinfra_cli" not in "\n".join(shown)


def test_a_file_that_is_no_python_is_told_before_anything_is_loaded(folder: Folder) -> None:
    folder.write("fine.py", "")
    folder.write("deploy.py", "x = (\n")
    ended = folder.run("-y", "@fake", "fine.py", "deploy.py")
    assert ended.exit_code == 1
    assert ended.lines[0] == "--> An exception occurred in: deploy.py"
    assert "SyntaxError: '(' was never closed" in ended.lines
    assert "pyinfra_cli" not in ended.err


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs a file that opens and cannot be read")
def test_a_deploy_file_that_cannot_be_read_is_told_without_a_traceback(folder: Folder) -> None:
    (folder.path / "deploy.py").symlink_to("/proc/self/mem")
    ended = folder.run("-y", "@fake", "deploy.py")
    assert ended.exit_code == 1
    assert ended.lines == ["--> pyinfra error: Cannot read deploy file deploy.py: Input/output error"]


def test_missing_data_is_told_with_the_host(folder: Folder) -> None:
    folder.write("deploy.py", "from pyinfra import host\nhost.data.port")
    ended = folder.run("-y", "@fake", "deploy.py")
    assert ended.exit_code == 1
    assert "AttributeError: Host `@fake` has no data `port`" in ended.lines


def test_wrong_arguments_on_the_command_line_are_told_without_a_traceback(folder: Folder) -> None:
    missing = folder.run("-y", "@fake", "things.say")
    assert missing.exit_code == 1
    assert (
        missing.lines[-1]
        == "--> Operation error: Invalid arguments for things.say: missing a required argument: 'text'"
    )
    unknown = folder.run("-y", "@fake", "things.say", "x", "colour=red")
    assert unknown.lines[-1] == (
        "--> Operation error: Invalid arguments for things.say: got an unexpected keyword argument 'colour' "
        "(unknown argument `colour`: it takes text, times)"
    )


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [("", ""), ("comands='x'", " (unknown argument `comands`: did you mean `commands`?)")],
)
def test_wrong_arguments_in_a_file_are_told_with_the_file_and_what_was_meant(
    folder: Folder, arguments: str, hint: str
) -> None:
    folder.write("deploy.py", f"from pyinfra.operations import server\nserver.shell({arguments})")
    ended = folder.run("-y", "@fake", "deploy.py")
    assert ended.exit_code == 1
    assert ended.lines[-1] == (
        "--> Operation error in deploy.py line 2: Invalid arguments for server.shell: "
        f"missing a required argument: 'commands'{hint}"
    )


def test_an_argument_of_the_wrong_type_is_no_bug_of_pyinfra(folder: Folder) -> None:
    wrong = "Operation server.shell failed ('bool' object is not iterable): `commands` should be str | list[str], not"
    folder.write("deploy.py", "from pyinfra.operations import server\nserver.shell(True)")
    detected = folder.run("@fake", "deploy.py")
    assert detected.exit_code == 1
    assert detected.lines[-1] == f"--> Operation error in deploy.py line 2: {wrong} True (bool)"
    ran = folder.run("-y", "@fake", "server.shell", "true")
    assert ran.exit_code == 1
    assert f"    [@fake] {wrong} True (bool)" in ran.lines
    assert ran.lines[-1] == "--> pyinfra error: No hosts remaining!"


def test_a_nul_byte_in_a_command_is_told_without_a_traceback(folder: Folder) -> None:
    folder.write(
        "deploy.py",
        """
        from pyinfra import host
        from pyinfra.operations import server
        server.shell("echo a\\0b")
        if host.data.get("asks"):
            host.get_fact(__import__("things").Word, word="a\\0b")
        """,
    )
    for words, what in (((), ""), (("--data", "asks=true"), "could not load fact: things.Word (word=a\x00b): ")):
        ended = folder.run("-y", *words, "@local", "deploy.py")
        assert ended.exit_code == 1
        assert any(f"{what}A shell command cannot hold a NUL byte: " in line for line in ended.lines)
        assert ended.lines[-1] == "--> pyinfra error: No hosts remaining!"


def test_a_working_directory_that_is_gone_is_told_without_a_traceback(folder: Folder) -> None:
    ended = folder.shell("mkdir gone && cd gone && rmdir ../gone && pyinfra -y @local server.shell ls")
    assert ended.exit_code == 1
    assert ended.lines == [
        "--> pyinfra error: The working directory does not exist any more: change to one, or use --chdir"
    ]


def test_a_run_goes_on_without_standard_error_and_output(folder: Folder) -> None:
    # What is opened next would have their numbers: a child's standard error would be written there
    ended = folder.shell("pyinfra @local exec -- 'readlink /proc/self/fd/2 >seen' 2>&- >&- <&-; echo rc $?")
    assert ended.out == "rc 0\n"
    assert "socket" not in (folder.path / "seen").read_text()
    assert folder.shell("pyinfra @local exec -- 'exit 3' 2>&-").exit_code == 1


def test_wrong_arguments_of_a_fact_are_an_error(folder: Folder) -> None:
    ended = folder.run("@fake", "fact", "things.Word", "colour=red")
    assert ended.exit_code == 1
    assert ended.lines[-1] == (
        "--> pyinfra error: Fact things.Word: got an unexpected keyword argument 'colour' "
        "(unknown argument `colour`: it takes word)"
    )


def test_an_unexpected_error_in_an_operation_fails_the_host_and_shows_itself(folder: Folder) -> None:
    folder.write(
        "deploy.py",
        """
        from pyinfra.api import operation

        @operation()
        def odd():
            yield "echo 1"
            raise KeyError("lost")

        odd()
        """,
    )
    ended = folder.run("-y", "@fake", "deploy.py")
    assert ended.exit_code == 1
    assert ended.after("Starting operation: deploy.odd") == [
        "    [@fake] 'lost'",
        "    [@fake] Error: executed 1 commands",
    ]
    assert "--> Results:" in ended.lines
    assert "--> An exception occurred in: deploy.py" in ended.lines


def test_a_deploy_may_end_the_process_after_hosts_are_disconnected(folder: Folder) -> None:
    folder.write("deploy.py", "import sys\nsys.exit(5)")
    ended = folder.run("-y", "@fake", "deploy.py")
    assert ended.exit_code == 5
    assert ended.lines[-1] == "--> Disconnecting from hosts..."
    folder.write("deploy.py", "import sys\nsys.exit('enough')")
    said = folder.run("-y", "@fake", "deploy.py")
    assert said.exit_code == 1
    assert said.lines[-2:] == ["--> Disconnecting from hosts...", "enough"]


def test_a_mistake_in_the_configuration_is_told_with_its_line(folder: Folder) -> None:
    folder.write("config.py", "from pyinfra import config\nconfig.REQUIRE_PYINFRA_VERSION = '>=100'")
    ended = folder.run("@fake", "things.say", "x")
    assert ended.exit_code == 1
    assert ended.lines[-1].startswith("--> pyinfra error in config.py line 2: pyinfra version requirement not met")


def test_debugging_shows_what_led_to_an_error_of_a_connector(folder: Folder) -> None:
    folder.write(
        "mine.py",
        """
        from pyinfra.connectors.base import BaseConnector

        class Listing(BaseConnector):
            handles_execution = True

            @staticmethod
            def make_names_data(name):
                yield "a", {}, []
                raise KeyError("not there")

        class Odd(Listing):
            @staticmethod
            def make_names_data(name):
                yield "@mine:Odd/a", {}, []

            def connect(self):
                raise ZeroDivisionError("by what?")

            def run_shell_command(self, *args, **kwargs): ...
            def put_file(self, *args, **kwargs): ...
            def get_file(self, *args, **kwargs): ...
        """,
    )
    plain = folder.run("@mine:Listing", "things.say", "x")
    assert plain.exit_code == 1
    assert "mine:Listing" in plain.lines[-1]
    assert "make_names_data" in plain.lines[-1]
    assert "Traceback" not in plain.err
    folder.write("hosts.py", "all = ['@mine:Listing']")
    for source in ("@mine:Listing", "hosts.py"):
        debugged = folder.run("--debug", source, "things.say", "x")
        # The author's own file and line
        assert any(line.endswith('mine.py", line 10, in make_names_data') for line in debugged.lines), source
        assert "    KeyError: 'not there'" in debugged.lines
    connecting = folder.run("@mine:Odd", "things.say", "x")
    assert "Odd.connect failed: ZeroDivisionError: by what?" in connecting.err
    assert "Traceback" not in connecting.err
    assert "Traceback" in folder.run("--debug", "@mine:Odd", "things.say", "x").err


def test_a_reader_that_goes_away_does_not_end_the_run(folder: Folder) -> None:
    folder.write(
        "deploy.py", "from pyinfra.operations import server\nserver.shell('sleep 1')\nserver.shell('touch done')"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "pyinfra_cli", "-y", "@local", "deploy.py"],
        cwd=folder.path,
        env=folder.environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert process.stderr is not None
    process.stderr.readline()
    process.stderr.close()
    process.wait()
    assert (folder.path / "done").exists()


def test_a_time_out_in_deploy_code_fails_its_host_and_no_other(folder: Folder) -> None:
    folder.write(
        "deploy.py",
        """
        import gevent
        import things
        from pyinfra import host

        if host.name == "@fake/a":
            with gevent.Timeout(0.01):
                gevent.sleep(30)
        things.say("x")
        """,
    )
    ended = folder.run("-y", "@fake/a,b", "deploy.py")
    assert ended.exit_code == 1
    assert "Traceback" not in ended.err
    assert "Timed out: 0.01 seconds" in ended.err
    assert "    [@fake/b] Success" in ended.lines
