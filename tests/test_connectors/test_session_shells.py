"""Commands in a session, on every shell that is there."""

from __future__ import annotations

import io
import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import gevent
import pytest

from pyinfra.api import Host, StringCommand
from pyinfra.connectors.session import KILL, Reply, _called
from pyinfra.connectors.util import CommandOutput

from ..support.hosts import connected_host

SHELLS = ["dash", "bash", "busybox sh", "mksh", "ksh93", "zsh", "posh", "yash"]


@pytest.fixture(scope="module", params=SHELLS)
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    if not shutil.which(request.param.split()[0]):
        pytest.skip(f"{request.param} is not installed")
    with connected_host(f"@pipe/{request.param}") as host:
        yield host


def run(host: Host, command: str | StringCommand, **arguments: Any) -> tuple[bool, CommandOutput]:
    return host.connector.run_shell_command(command, False, False, **arguments)


def ask(host: Host, *commands: str, **arguments: Any) -> list[tuple[bool, CommandOutput]]:
    return host.connector.run_fact_commands([(StringCommand(command), arguments) for command in commands])


def exit_code(host: Host, command: str, **arguments: Any) -> int:
    """A command's exit code, found by asking for every one at once."""
    codes = []

    class Codes:
        def __contains__(self, code: int) -> bool:
            codes.append(code)
            return True

    run(host, command, _success_exit_codes=Codes(), **arguments)
    return codes[0]


def works(host: Host) -> None:
    """The session goes on as if nothing had happened."""
    success, output = run(host, "echo out; echo err >&2; exit 3", _success_exit_codes=[3])
    assert (success, output.stdout_lines, output.stderr_lines) == (True, ["out"], ["err"])
    assert [output.stdout for _, output in ask(host, "echo 1", "pwd")] == ["1", os.getcwd()]


NASTY = {
    "an unfinished quote": ("echo 'a", None),
    "a stray bracket": ("echo a )", None),
    "a here-document": ("cat <<END\nx\nEND", 0),
    "exit": ("exit 7", 7),
    "exec": ("exec true", 0),
    "exec of nothing there": ("exec /nothing/there", 127),
    "set -e": ("set -e; false; true", 1),
    "cd": ("cd /", 0),
    "trap": ("trap 'true' EXIT HUP TERM; exit 4", 4),
    "an ignored signal": ("trap '' TERM; true", 0),
    "closed descriptors": ("exec 0<&- 1>&- 2>&-; true", 0),
    "closed output": ("exec 1>&-; exit 5", 5),
    "a variable like ours": ("_m=x; _c=y; _n=z; _s=1; true", 0),
    "unset IFS": ("unset IFS; true", 0),
    "no glob": ("set -f; set -u; true", 0),
    "a function named echo": ("echo() { exit 9; }; true", 0),
    "an alias": ("alias echo=false; true", 0),
    "umask": ("umask 777", 0),
    "a comment": ("true # a comment", 0),
    "a backslash at the end": ("true \\", 0),
}
SUICIDAL = {
    "kill 0": ("kill 0", 128 + 15),
    "kill -9 $$": ("kill -9 $$", 128 + 9),
}


@pytest.mark.parametrize("name", [*NASTY, *SUICIDAL])
@pytest.mark.parametrize("shell", ["sh", None])
def test_nothing_that_a_command_does_ends_the_session(host: Host, name: str, shell: str | None) -> None:
    command, code = {**NASTY, **SUICIDAL}[name]
    got = exit_code(host, command, _shell_executable=shell)
    if code is None:
        assert got != 0
    else:
        assert got == code
    works(host)


@pytest.mark.parametrize("name", [*NASTY, *SUICIDAL])
def test_nothing_that_a_fact_does_ends_the_session(host: Host, name: str) -> None:
    command, code = {**NASTY, **SUICIDAL}[name]
    (before, (success, _), after) = ask(host, "echo before", command, "echo after")
    assert (before[1].stdout, after[1].stdout) == ("before", "after")
    assert success == (code == 0)
    works(host)


@pytest.mark.parametrize("code", [0, 1, 2, 126, 127, 128, 200, 255])
def test_an_exit_code_is_the_commands_own(host: Host, code: int) -> None:
    assert exit_code(host, f"exit {code}") == code


@pytest.mark.parametrize(("name", "number"), [("HUP", 1), ("KILL", 9), ("SEGV", 11), ("TERM", 15)])
def test_a_command_that_a_signal_ended_has_128_more(host: Host, name: str, number: int) -> None:
    assert exit_code(host, f"sh -c 'kill -s {name} $$'") == 128 + number


TEXTS = {
    "quotes": """a'b"c`d$e\\f!g""",
    "newlines": "a\n\nb\n c",
    "backslashes": "\\n \\\\ \\0101 \\c\n\\t%s%d",
    "UTF-8": "größe 日本語 🎉",
    "50 KB": "0123456789" * 5000,
    "leading space": "  x  ",
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_in_a_command_arrives_as_it_is(host: Host, name: str) -> None:
    text = TEXTS[name]
    quoted = "'" + text.replace("'", "'\"'\"'") + "'"
    for _, output in (run(host, f"printf '%s\\n' {quoted}"), *ask(host, f"printf '%s\\n' {quoted}")):
        assert output.stdout == text


OUTPUTS = {
    "nothing": ("true", []),
    "no newline at the end": ("printf a", ["a"]),
    "empty lines": ("printf '\\n\\na\\n\\n\\n'", ["", "", "a", "", ""]),
    "one newline": ("echo", [""]),
    "a NUL": ("printf 'a\\000b\\n'", ["a\0b"]),
    "invalid UTF-8": ("printf 'a\\377b\\n'", ["a\ufffdb"]),
    "a carriage return": ("printf 'a\\rb\\r\\n'", ["a\rb\r"]),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_output_is_what_the_command_wrote(host: Host, name: str) -> None:
    command, lines = OUTPUTS[name]
    assert run(host, command)[1].stdout_lines == lines
    assert run(host, f"({command}) >&2")[1].stderr_lines == lines
    (_, first), (_, second) = ask(host, command, f"({command}) >&2")
    assert first.stdout_lines == lines
    assert second.stderr_lines == lines


def test_large_output_on_both_streams_is_whole(host: Host) -> None:
    lines = [str(number) for number in range(40_000)]
    count = "awk 'BEGIN { for (i = 0; i < 40000; i++) { print i; print i > \"/dev/stderr\" } }'"
    for _, output in (run(host, count), *ask(host, count)):
        assert output.stdout_lines == lines
        assert output.stderr_lines == lines


def test_standard_input_arrives_byte_for_byte(host: Host) -> None:
    lines = [f"{number} \\n 'x' $y größe" for number in range(30_000)]
    success, output = run(host, "cat", _stdin=lines)
    assert success
    assert output.stdout_lines == lines


@pytest.mark.parametrize("kind", [io.StringIO, lambda text: io.BytesIO(text.encode())])
def test_commands_each_get_all_of_a_file_object_also_at_once(host: Host, kind: Callable[[str], IO[Any]]) -> None:
    lines = [f"{number} größe" for number in range(20_000)]
    file = kind("\n".join(["not this", *lines]))
    file.readline()
    position = file.tell()
    commands = [gevent.spawn(run, host, "cat", _stdin=file) for _ in range(3)]
    gevent.joinall(commands, raise_error=True)
    assert [command.get()[1].stdout_lines == lines for command in commands] == [True] * 3
    assert run(host, "cat", _stdin=file)[1].stdout_lines == lines
    assert file.tell() == position


def test_standard_input_that_cannot_be_sought_is_read_once(host: Host) -> None:
    read, write = os.pipe()
    os.write(write, b"from a pipe")
    os.close(write)
    with open(read, "rb") as stream:
        assert [run(host, "cat", _stdin=stream)[1].stdout for _ in range(2)] == ["from a pipe", ""]


def test_standard_input_that_nobody_reads_is_dropped(host: Host) -> None:
    assert run(host, "true", _stdin=["x" * 1_000_000])[0]
    works(host)


def test_standard_input_is_empty_without_any_given(host: Host) -> None:
    assert run(host, "cat; echo end")[1].stdout_lines == ["end"]
    assert [output.stdout for _, output in ask(host, "cat; echo end", "cat")] == ["end", ""]


def test_a_command_does_not_wait_for_what_it_leaves_in_the_background(host: Host, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with gevent.Timeout(20):
        success, output = run(host, f"(sleep 1; echo late; echo late >&2; touch {mark}) & echo now")
        assert (success, output.output_lines) == (True, ["now"])
        works(host)
        while not mark.exists():
            gevent.sleep(0.05)
        works(host)


def test_a_fact_that_leaves_something_in_the_background_spoils_no_other(host: Host) -> None:
    with gevent.Timeout(20):
        for _, output in ask(host, "(sleep 0.3; echo late) & echo now"):
            assert output.output_lines == ["now"]
        assert [output.output for _, output in ask(host, "sleep 0.6", "echo x")] == ["", "x"]


def test_a_time_out_ends_the_whole_tree(host: Host) -> None:
    seconds = str(4000 + os.getpid() % 1000)
    command = f"sleep {seconds}.25 & (trap '' TERM; sleep {seconds}.5; true); true"
    with pytest.raises(TimeoutError, match="Command timed out after 1s"):
        run(host, command, _timeout=1)
    works(host)
    found = run(host, f"ps -A -o args= | grep '[s]leep {seconds}'")[1].stdout
    assert found == ""


def test_output_that_never_pauses_leaves_other_greenlets_their_turns(host: Host) -> None:
    waits: list[float] = []

    def wait() -> None:
        while True:
            before = time.monotonic()
            gevent.sleep(0.01)
            waits.append(time.monotonic() - before)

    waiting = gevent.spawn(wait)
    with pytest.raises(TimeoutError):
        run(host, "timeout 10 yes", _timeout=1)
    waiting.kill()
    assert len(waits) > 3
    assert max(waits) < 1


def test_what_kills_a_tree_spares_all_others(host: Host) -> None:
    # One process of the tree has left the group, as those do that sudo gives a terminal of their own
    tree = subprocess.Popen(
        ["sh", "-c", "sleep 60 & setsid sh -c 'trap : TERM; sleep 60; sleep 60'"], start_new_session=True
    )
    other = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        while len(descendants(tree.pid)) < 3:
            gevent.sleep(0.02)
        pids = descendants(tree.pid)
        host.connector.session.run(_called(KILL, str(tree.pid)).get_raw_value(), Reply())
        assert tree.wait() == -15
        with gevent.Timeout(20):
            while any(is_alive(pid) for pid in pids):
                gevent.sleep(0.02)
        assert other.poll() is None
    finally:
        for process in (tree, other):
            process.kill()
            process.wait()


def test_what_kills_a_tree_refuses_where_it_would_kill_whoever_asks() -> None:
    # As where a shell said that it is process 1, and is asked about in another process namespace
    above = 'sleep 60 & sh -c "set -- $$\n$1"; echo refused: $?; kill $!'
    done = subprocess.run(
        ["sh", "-c", above, "sh", KILL], capture_output=True, text=True, check=False, start_new_session=True
    )
    assert (done.returncode, done.stdout) == (0, "refused: 1\n")


def is_alive(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def descendants(pid: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [found for child in children for found in (child, *descendants(child))]


def test_the_death_of_a_shell_whose_children_hold_the_pipe_is_noticed(host: Host) -> None:
    with gevent.Timeout(20):
        success, output = run(host, "sleep 30 & echo $!; kill -9 $$", _shell_executable=None, _success_exit_codes=[137])
        assert success
        works(host)
    os.kill(int(output.stdout), signal.SIGKILL)


def test_a_line_that_a_terminal_would_cut_is_refused(host: Host) -> None:
    longest = ["x" * 4095, "ü"]
    for stdin in (longest, io.StringIO("\n".join(longest))):
        assert run(host, "cat", _get_pty=True, _stdin=stdin)[1].stdout_lines == longest
    for stdin in ("x" * 4096, ["a", "ü" * 2048], io.BytesIO(b"a\n" + b"x" * 4096)):
        with pytest.raises(OSError, match=r"^_get_pty: a terminal takes lines of at most 4095 bytes"):
            run(host, "cat", _get_pty=True, _stdin=stdin)


def test_a_command_that_is_too_long_for_a_terminal_fails_alone(host: Host) -> None:
    works(host)
    shells = host.connector.session._fact_shell, host.connector.session._ahead
    with pytest.raises(OSError, match="The command is too long to be an argument, as it is in a terminal"):
        run(host, f"true {'x' * 200_000}", _get_pty=True)
    assert (host.connector.session._fact_shell, host.connector.session._ahead) == shells
    works(host)


def test_a_batch_of_facts_is_answered_in_order(host: Host) -> None:
    answers = ask(host, *[f"echo {number}; echo e{number} >&2; exit {number % 3}" for number in range(60)])
    assert [sorted(output.output_lines) for _, output in answers] == [[f"{n}", f"e{n}"] for n in range(60)]
    assert [success for success, _ in answers] == [n % 3 == 0 for n in range(60)]


def test_a_batch_larger_than_any_pipe_is_answered(host: Host) -> None:
    text = "x" * 20_000
    with gevent.Timeout(60):
        answers = ask(host, *[f"printf %s {text}" for _ in range(20)])
    assert [output.stdout for _, output in answers] == [text] * 20


def test_lines_come_while_the_command_runs(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, float]] = []
    monkeypatch.setattr("pyinfra.connectors.session.echo", lambda text, **_: seen.append((text, time.monotonic())))
    host.connector.run_shell_command("echo one; sleep 0.5; echo two", True, False)
    (one, first), (two, second) = seen
    assert one.endswith("one")
    assert two.endswith("two")
    assert second - first > 0.3


def test_every_command_starts_in_the_environment_that_the_connection_began_with(host: Host) -> None:
    run(host, "cd /; export CHANGED=1; umask 0", _shell_executable=None)
    ask(host, "cd /; export CHANGED=1; umask 0")
    for _, output in (run(host, "pwd; echo ${CHANGED-unset}"), *ask(host, "pwd; echo ${CHANGED-unset}")):
        assert output.stdout_lines == [os.getcwd(), "unset"]


def test_arguments_around_a_command_are_honoured(host: Host, tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    arguments = {"_chdir": str(folder), "_env": {"NAME": "it's $HOME; x"}}
    for shell in ("sh", "bash"):
        for _, output in (
            run(host, 'pwd; echo "$NAME"', _shell_executable=shell, **arguments),
            *ask(host, 'pwd; echo "$NAME"', _shell_executable=shell, **arguments),
        ):
            assert output.stdout_lines == [str(folder), "it's $HOME; x"]


def test_idle_shells_that_were_killed_are_replaced(host: Host) -> None:
    ask(host, "true")
    run(host, "true")
    session = host.connector.session
    pids = [shell.pipe.pid for shell in (session._fact_shell, session._take())]
    for pid in pids:
        os.kill(pid, 9)
    gevent.sleep(0.1)
    works(host)


def test_numbers_of_open_files_do_not_grow(host: Host) -> None:
    def count() -> int:
        gevent.sleep(0.3)
        return len(os.listdir("/proc/self/fd"))

    works(host)
    before = count()
    for _ in itertools.repeat(None, 20):
        run(host, "true")
    assert count() <= before + 3
