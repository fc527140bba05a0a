"""The contract's rules about what outlives a command: the session, time-outs, processes in the background."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import gevent

from pyinfra.api.command import QuoteString
from pyinfra.api.exceptions import ConnectError

from .rules import Broken, NotApplicable, expect, expect_true, rule
from .target import Target, may_be_refused

SECTION = "The session"
TIMEOUTS = "Time-outs and processes"

# What a command could change for the next one. What differs from one channel to the next anyway is left out
_SURROUNDINGS = """
pwd; umask; trap; echo "$-"; ulimit -f; ulimit -c
env | sed '/^_=/d; /^SUDO_COMMAND=/d; /^SSH_AUTH_SOCK=/d; /^SUDO_ASKPASS=/d; /^PY[IT][NE]/d' | sort
set | sed -n '/^CONTRACT_/p'
command -v contract_function; alias contract_alias 2> /dev/null
[ -t 0 ] || echo no terminal; cat; echo end"""


def unchanged_by(target: Target, *bits: Any, code: int | None = 0, output: list[str] | None = None) -> None:
    """Run a command that might spoil the session, and compare what the next ones find.

    Args:
        target: where
        bits: the command
        code: its exit code; ``None`` for any that is no success
        output: the lines of its standard output; ``None`` for any
    """
    before = target.ok(_SURROUNDINGS)
    for _ in range(2):
        if code is None:
            ran = target.run(*bits)
            expect(ran.success, False, f"success of {bits[0]}")
        else:
            ran = target.expect_code(code, *bits)
        if output is not None:
            expect(ran.stdout, output, f"output of {bits[0]}")
        after = target.ok(_SURROUNDINGS)
        expect(set(after) ^ set(before), set(), f"what differs in the next command after {bits[0]}")
        target.expect_usable(str(bits[0]))


@rule(SECTION)
def syntax_errors(target: Target) -> None:
    """A syntax error fails, says so on standard error, and does not hurt the next command."""
    for command in (
        "echo 'no",
        'echo "no',
        "fi",
        "if true",
        "(",
        ")",
        "{ echo no",
        "case x in",
        "for",
        "echo ${x!y}",
        "done;;",
    ):
        ran = target.run(command)
        expect(ran.success, False, f"success of {command}")
        expect_true(ran.stderr, f"words on standard error about {command}", ran)
        target.expect_usable(command)
    unchanged_by(target, "if true; then echo no; }", code=None, output=[])


@rule(SECTION)
def open_ends(target: Target) -> None:
    """A command that ends in a comment, a backslash or a here-document without its end does not swallow the next."""
    for command in (
        "true # comment",
        "true \\",
        "true;",
        "cat << EOF > /dev/null\nx",
        "true\n",
        "true &&\ntrue",
        "\n\n",
    ):
        target.run(command)
        target.expect_usable(command)
    target.run("true &&")
    target.expect_usable("true &&")


@rule(SECTION)
def exit_ends_the_command_alone(target: Target) -> None:
    """``exit`` ends the command, not the session."""
    unchanged_by(target, "echo before; exit 7; echo after", code=7, output=["before"])
    unchanged_by(target, "(exit 3); exit", code=3)


@rule(SECTION)
def exec_replaces_the_command_alone(target: Target) -> None:
    """``exec`` replaces the command, not the session."""
    unchanged_by(target, "exec sh -c 'echo replaced; exit 9'; echo after", code=9, output=["replaced"])
    unchanged_by(target, "exec /nonexistent/program; echo after", code=None)


@rule(SECTION)
def set_ends_with_the_command(target: Target) -> None:
    """``set -e``, ``-u``, ``-f``, ``-x`` and ``-n`` end with the command."""
    unchanged_by(target, "set -e; false; echo after", code=1, output=[])
    unchanged_by(target, "set -u; : $contract_unset; echo after", code=None, output=[])
    unchanged_by(target, "set -f -x; echo *", output=["*"])
    unchanged_by(target, "set -n; echo after")
    unchanged_by(target, "set -C -a; CONTRACT_A=1; set -- a b c; echo $#", output=["3"])


@rule(SECTION)
def cd_ends_with_the_command(target: Target) -> None:
    """``cd`` ends with the command, also where its folder is removed."""
    unchanged_by(target, "cd / && pwd", output=["/"])
    folder = QuoteString(target.new_folder())
    target.run("cd", folder, "&& rmdir", folder)
    target.expect_usable("a folder that is gone")


@rule(SECTION)
def variables_end_with_the_command(target: Target) -> None:
    """Variables, functions, aliases, ``umask`` and limits end with the command."""
    unchanged_by(target, "export CONTRACT_A=1 PATH=/nonexistent HOME=/; CONTRACT_B=2; echo $CONTRACT_A", output=["1"])
    unchanged_by(target, "umask 0; umask 077; ulimit -c 0; echo fine", output=["fine"])
    unchanged_by(target, "contract_function() { :; }; alias contract_alias=x; echo() { :; }; IFS=x; PS1=; PS4=")
    unchanged_by(
        target, "unset IFS PATH HOME PWD; readonly CONTRACT_A=1; alias cat=false echo=false 2> /dev/null; true"
    )


@rule(SECTION)
def traps_end_with_the_command(target: Target) -> None:
    """``trap`` ends with the command, and runs when it does."""
    unchanged_by(target, "trap 'echo trapped' EXIT; echo first", output=["first", "trapped"])
    unchanged_by(target, "trap 'exit 5' TERM; kill -TERM $$; sleep 1; echo after", code=5, output=[])
    unchanged_by(target, "trap '' HUP INT TERM PIPE; trap 'exit 1' 0; exit 4", code=1)


@rule(SECTION)
def descriptors_are_the_commands_own(target: Target) -> None:
    """A command may close or redirect its descriptors."""
    unchanged_by(target, "exec <&- >&- 2>&-; exit 6", code=6, output=[])
    unchanged_by(target, "exec > /dev/null 2>&1; echo lost", output=[])
    unchanged_by(target, "exec 3>&1 1>&2; echo err; echo out >&3", output=["out"])
    descriptors = 'for fd in 3 4 5 6 7 8 9; do eval "exec $fd>&-" 2> /dev/null; done; echo fine'
    unchanged_by(target, descriptors, output=["fine"])


@rule(SECTION)
def kill_0(target: Target) -> None:
    """``kill 0``, which signals the command's process group, does not end the session."""
    unchanged_by(target, "kill 0; sleep 5; echo after", code=None, output=[])


@rule(SECTION)
def kill_its_own_shell(target: Target) -> None:
    """``kill -9 $$`` ends the command's own shell, not the session."""
    unchanged_by(target, "echo before; kill -9 $$; sleep 5; echo after", code=137, output=["before"])


@rule(SECTION)
def killed_commands_are_not_sent_twice(target: Target) -> None:
    """A command that is killed together with the shell around it fails, and was run only once."""
    path = target.path("runs")
    ran = target.run("echo run >>", QuoteString(path), "; kill -9 0; sleep 5")
    runs = target.ok("cat", QuoteString(path))
    expect((ran.success, len(runs)), (False, 1), "success and number of runs")
    target.expect_usable("kill -9 0")


# Time-outs. Each process of the tree writes its id to the file "$1"

_TREE = """
echo $$ >> "$1"
sh -c 'echo $$ >> "$1"; [ "$2" = gentle ] || trap "" HUP INT TERM; while :; do sleep 1; done' sh "$1" "$2" &
( sh -c 'echo $$ >> "$1"; exec sleep 60' sh "$1" | cat ) &
sh -c 'echo $$ >> "$1"; sleep 60; true' sh "$1" &
exec > /dev/null
sleep 60"""
_TREE_SIZE = 4


def expect_time_out(target: Target, *bits: Any, **arguments: Any) -> None:
    """Run a command that has to be ended by a time-out of one second."""
    try:
        ran = target.run(*bits, **{"_timeout": 1, **arguments})
    except TimeoutError:
        return
    raise Broken("TimeoutError", f"no error; {ran}")


def expect_tree_ends(target: Target, gentle: bool = False, **arguments: Any) -> None:
    """Have a time-out end a tree of processes, and see that none of them is left.

    One of them ignores the signals that one can ignore, unless all are to be ``gentle``.
    """
    path = target.path("pids", target.shared)
    expect_time_out(target, "set --", QuoteString(path), "gentle" if gentle else "tough", _TREE, **arguments)
    arguments = {key: value for key, value in arguments.items() if key != "_get_pty"}
    pids = target.ok("cat", QuoteString(path), **arguments)
    expect(len(pids), _TREE_SIZE, "processes of the tree that had started")
    target.expect_gone(pids, **arguments)
    target.expect_usable("a time-out")


@rule(TIMEOUTS)
def time_out_ends_the_tree(target: Target) -> None:
    """A time-out is a ``TimeoutError``, ends the command's whole tree, and leaves the session usable."""
    expect_tree_ends(target)


@rule(TIMEOUTS)
def time_out_of_what_writes(target: Target) -> None:
    """A time-out counts from the command's start, whatever it writes, reads or closes meanwhile."""
    expect_time_out(target, "while :; do echo x; sleep 0.1 2> /dev/null || sleep 1; done", _stdin="x\n" * 100_000)
    expect_time_out(target, "exec <&- >&- 2>&-; sleep 30")
    target.expect_usable("a time-out")


_FLOOD = "while :; do echo x; done"


@rule(TIMEOUTS)
def time_out_of_what_floods(target: Target) -> None:
    """Output that never pauses, on either output, keeps no time-out from coming."""
    for redirect in ("", ">&2"):
        expect_time_out(target, _FLOOD, redirect)
    target.expect_usable("a time-out")


@rule(TIMEOUTS)
def time_out_in_a_terminal(target: Target) -> None:
    """A time-out ends the whole tree in a terminal, too."""
    with may_be_refused("_get_pty"):
        target.run("true", _get_pty=True)
    expect_tree_ends(target, _get_pty=True)


@rule(TIMEOUTS)
def time_out_that_is_not_reached(target: Target) -> None:
    """A command that is done before its time-out is as any other."""
    expect(target.ok("echo fine", _timeout=60), ["fine"], "output")
    target.expect_code(3, "exit 3", _timeout=60)


@rule(TIMEOUTS)
def background_processes_do_not_delay(target: Target) -> None:
    """A process left in the background delays nothing, and nothing of ours kills it."""
    pid = target.line("sleep 20 & echo $!")
    expect(target.alive([pid]), [pid], "the process in the background, once the command is over")
    target.expect_usable("a command with a process in the background")
    target.renew()
    expect(target.alive([pid]), [pid], "the process in the background, once the connection was renewed")
    target.ok("kill", pid)


@rule(TIMEOUTS)
def background_processes_may_flood(target: Target) -> None:
    """A process left in the background whose output never pauses, on either output, keeps no command from ending."""
    for redirect in ("", ">&2"):
        in_background = f"({_FLOOD}) {redirect} & sleep 0.2 2> /dev/null || sleep 1; echo $!; echo $! >&2"
        ran = target.run(in_background, _timeout=30)
        pids = {line for line in ran.combined if line.isdigit()}
        target.ok("kill", *pids)
        expect((ran.success, len(pids)), (True, 1), f"success and process ids, with output {redirect or '>&1'}")
    target.expect_usable("a process in the background")


# Writes to both outputs until the file "$1" is there, or for about ten seconds
_WRITER = """
(
    sleep 0.02 2> /dev/null
    i=0
    while [ $i -lt 500 ] && [ ! -e "$1" ]; do
        echo noise; echo noise >&2
        i=$((i + 1))
        sleep 0.02 2> /dev/null || sleep 1
    done
) &
echo $!"""


@rule(TIMEOUTS)
def background_processes_do_not_spoil(target: Target) -> None:
    """What a process in the background writes later is dropped: it spoils no output, and writing does not kill it."""
    stop = target.path("stop")
    pid = target.ok("set --", QuoteString(stop), _WRITER)[0]
    for _ in range(15):
        target.expect_usable("a process in the background began to write")
        gevent.sleep(0.02)
    expect(target.alive([pid]), [pid], "the process in the background")
    target.ok(": >", QuoteString(stop))
    target.expect_gone([pid])


@rule(TIMEOUTS)
def running_commands_can_be_ended(target: Target) -> None:
    """``kill_running`` ends what runs on the target, whole trees, and leaves the session usable."""
    connector: Any = target.host.connector
    if not hasattr(connector, "kill_running"):
        raise NotApplicable("the connector has no kill_running")
    path = target.path("pids", target.shared)
    running = gevent.spawn(_run_and_ignore, target, "set --", QuoteString(path), "gentle", _TREE)
    gevent.sleep(0.5)
    connector.kill_running()
    running.join(timeout=10)
    expect(running.dead, True, "whether the command is over")
    pids = target.ok("cat", QuoteString(path))
    expect_true(pids, "the command had started", "nothing half a second later")
    target.expect_gone(pids)
    target.expect_usable("kill_running")


def _run_and_ignore(target: Target, *bits: Any) -> None:
    with suppress(ConnectError, TimeoutError, OSError):
        target.run(*bits)
