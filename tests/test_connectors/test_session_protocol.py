"""What a session says to a pipe, and what it makes of the answers: with a pipe that is none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.event import Event

from pyinfra.api.exceptions import ConnectError
from pyinfra.connectors.session import Reply, ShellSession, Terms, _Blocks, _Lines


class FakePipe:
    """A pipe to a shell that is a function, which gets each line and has the pipe answer."""

    def __init__(self, shell: Callable[[FakePipe, bytes], None]) -> None:
        self.shell = shell
        self.mark = b""
        self.sent = b""
        self.rest = b""
        self.input_closed = False
        self.closed = False
        self.status: int | None = None
        self.chunks: list[tuple[int, bytes] | None] = []
        self.event = Event()

    def send(self, data: bytes) -> None:
        if self.closed or self.status is not None:
            raise BrokenPipeError
        self.sent += data
        self.rest += data
        while b"\n" in self.rest:
            line, _, self.rest = self.rest.partition(b"\n")
            if not self.mark:
                self.mark = line
                self.answer(77)
            else:
                self.shell(self, line)

    def answer(self, status: int, out: bytes = b"", err: bytes = b"") -> None:
        self.say(1, out + b"\n%s %d\n" % (self.mark, status))
        self.say(2, err + b"\n%s\n" % self.mark)

    def say(self, number: int, data: bytes) -> None:
        self.chunks.append((number, data))
        self.event.set()

    def die(self, status: int | None) -> None:
        self.status = status
        self.chunks.append(None)
        self.event.set()

    def close_input(self) -> None:
        self.input_closed = True

    def receive(self, seconds: float | None) -> tuple[int, bytes] | None:
        gevent.sleep(0)
        while not self.chunks:
            self.event.clear()
            if self.closed:
                return None
            if not self.event.wait(seconds):
                raise TimeoutError
        if self.chunks[0] is None:
            return None
        return self.chunks.pop(0)

    def exit_status(self) -> int | None:
        return self.status

    def drain(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True
        self.event.set()


class Target:
    """Opens fake pipes, and keeps them."""

    def __init__(self, shell: Callable[[FakePipe, bytes], None], limit: int = 100) -> None:
        self.shell = shell
        self.pipes: list[FakePipe] = []
        self.limit = limit

    def open(self) -> FakePipe:
        if len([pipe for pipe in self.pipes if not pipe.closed]) >= self.limit:
            raise OSError("no more channels")
        self.pipes.append(FakePipe(self.shell))
        return self.pipes[-1]

    @property
    def commands(self) -> list[bytes]:
        """All command lines that any shell got."""
        return [line for pipe in self.pipes for line in pipe.sent.split(b"\n")[1:] if line]


def good(pipe: FakePipe, line: bytes) -> None:
    """A shell that answers with the command and status 3, or 0 to what kills."""
    status = 0 if line.startswith(b"cpkill") else 3
    pipe.answer(status, line[2:], b"err\n")
    if line.startswith(b"c"):
        pipe.die(status)


def session_on(target: Target, **settings: Any) -> ShellSession:
    session = ShellSession(target.open, 2, **settings)
    session.open()
    return session


def lines(reply: Reply) -> list[tuple[str, str]]:
    return [(line.buffer_name, line.line) for line in reply.lines]


def test_a_command_takes_a_shell_and_the_next_one_is_opened_meanwhile() -> None:
    target = Target(good)
    session = session_on(target)
    assert len(target.pipes) == 1
    reply = Reply()
    assert session.run("one", reply) == 3
    assert sorted(lines(reply)) == [("stderr", "err"), ("stdout", "one")]
    assert len(target.pipes) == 2
    assert session.run("two", Reply()) == 3
    assert [pipe.sent.split(b"\n")[1:] for pipe in target.pipes] == [[b"cpone", b""], [b"cptwo", b""], [b""]]
    assert target.pipes[0].input_closed
    session.close()
    assert all(pipe.closed for pipe in target.pipes)


def test_facts_share_a_shell_and_are_sent_together() -> None:
    target = Target(good)
    session = session_on(target)
    replies = [Reply(), Reply()]
    assert session.ask(["one", "two"], replies) == [3, 3]
    assert [sorted(lines(reply)) for reply in replies] == [
        [("stderr", "err"), ("stdout", "one")],
        [("stderr", "err"), ("stdout", "two")],
    ]
    session.ask(["three"], [Reply()])
    assert len(target.pipes) == 1
    assert target.pipes[0].sent.endswith(b"fpone\nfptwo\nfpthree\n")
    assert not target.pipes[0].input_closed


def test_newlines_and_backslashes_are_encoded_only_together() -> None:
    target = Target(good)
    session = session_on(target)
    session.ask(["a\\b", "a\\b\nc"], [Reply(), Reply()])
    assert target.commands == [b"fpa\\b", b"fea\\\\b\\nc"]
    with pytest.raises(ValueError, match="NUL"):
        session.run("a\0b", Reply())


def test_nothing_is_opened_ahead_where_that_is_not_wanted() -> None:
    target = Target(good)
    session = session_on(target, opens_ahead=False)
    session.run("one", Reply())
    gevent.sleep(0)
    assert len(target.pipes) == 1


def test_where_no_more_channels_are_to_be_had_nothing_is_opened_ahead() -> None:
    target = Target(good, limit=1)
    session = session_on(target)
    for command in ("one", "two", "three"):
        assert session.run(command, Reply()) == 3
        gevent.sleep(0)
    assert target.commands == [b"cpone", b"cptwo", b"cpthree"]


def test_where_one_channel_is_to_be_had_facts_and_commands_take_turns() -> None:
    target = Target(good, limit=1)
    session = session_on(target)
    for number in range(3):
        assert session.ask([f"fact {number}"], [Reply()]) == [3]
        assert session.run(f"command {number}", Reply()) == 3
    assert len(target.commands) == 6
    session.close()
    assert all(pipe.closed for pipe in target.pipes)


def deaf(pipe: FakePipe, line: bytes) -> None:
    """A shell that answers with the command and status 3, but to one command it does not."""
    if line != b"cpdeaf":
        good(pipe, line)


def test_the_shell_of_facts_makes_room_for_what_kills_a_command() -> None:
    target = Target(deaf, limit=2)
    session = session_on(target)
    session.ask(["fact"], [Reply()])
    with pytest.raises(TimeoutError, match=r"^Command timed out after 0\.1s$"):
        session.run("deaf", Reply(), Terms(seconds=0.1, killing=lambda pid: [f"kill {pid}", "kill again"]))
    assert target.commands == [b"fpfact", b"cpdeaf", b"cpkill 77", b"cpkill again"]
    assert session.ask(["fact"], [Reply()]) == [3]
    assert session.run("one", Reply()) == 3


def test_a_command_that_cannot_be_ended_is_told() -> None:
    target = Target(deaf, limit=1)
    session = session_on(target)
    with pytest.raises(TimeoutError, match=r"after 0\.1s; what it started may still run: .*no more channels"):
        session.run("deaf", Reply(), Terms(seconds=0.1, killing=lambda pid: ["kill"]))
    assert target.commands == [b"cpdeaf"]


def test_a_killing_that_fails_is_told_with_what_it_said() -> None:
    def shell(pipe: FakePipe, line: bytes) -> None:
        if line == b"cpkill 77":
            pipe.answer(1, b"77 is still there")
            pipe.die(1)

    session = session_on(Target(shell))
    with pytest.raises(TimeoutError, match=r"after 0\.1s; what it started may still run: 77 is still there$"):
        session.run("one", Reply(), Terms(seconds=0.1, killing=lambda pid: [f"kill {pid}"]))


class LateTarget(Target):
    """Its second shell says late that it is there."""

    def open(self) -> FakePipe:
        pipe = super().open()
        if len(self.pipes) == 2:
            pipe.answer = lambda status: gevent.spawn_later(0.2, FakePipe.answer, pipe, status)  # type: ignore
        return pipe


@pytest.mark.parametrize("how", ["time-out", "kill_running", "abandoned"])
def test_a_command_whose_shell_comes_too_late_is_killed_there(how: str) -> None:
    def shell(pipe: FakePipe, line: bytes) -> None:
        if line != b"cpone":
            good(pipe, line)

    target = LateTarget(shell)
    session = session_on(target)
    session.run("warm", Reply())
    seconds = 0.05 if how == "time-out" else None
    command = gevent.spawn(session.run, "one", Reply(), Terms(seconds=seconds, killing=lambda pid: [f"kill {pid}"]))
    gevent.sleep(0.02)
    if how == "kill_running":
        session.kill_running()
    elif how == "abandoned":
        command.kill()
    command.join(5)
    session.close()
    assert target.commands == [b"cpwarm", b"cpone", b"cpkill 77"]


def test_a_shell_whose_input_cannot_be_read_here_is_let_go() -> None:
    def write(file: Any) -> None:
        raise OSError("no such luck")

    target = Target(good)
    session = session_on(target)
    with pytest.raises(OSError, match="no such luck"):
        session.run("one", Reply(), Terms(write=write))
    gevent.sleep(0.05)
    assert [pipe.closed for pipe in target.pipes] == [True, False]


@pytest.mark.parametrize("status", [None, 0, 255])
def test_a_connection_that_breaks_fails_the_command_which_is_sent_once(status: int | None) -> None:
    def shell(pipe: FakePipe, line: bytes) -> None:
        target.limit = 0
        pipe.say(1, b"partial\nmore")
        pipe.die(status)

    target = Target(shell)
    session = session_on(target, opens_ahead=False)
    reply = Reply()
    with pytest.raises(ConnectError, match="connection broke while a command was running"):
        session.run("one", reply)
    assert target.commands == [b"cpone"]
    assert lines(reply) == [("stdout", "partial"), ("stdout", "more")]


def test_a_connection_that_breaks_fails_the_fact() -> None:
    def shell(pipe: FakePipe, line: bytes) -> None:
        target.limit = 0
        pipe.die(None)

    target = Target(shell)
    session = session_on(target)
    with pytest.raises(ConnectError, match="connection broke"):
        session.ask(["one"], [Reply()])
    assert target.commands == [b"fpone"]


def test_a_fact_whose_shell_dies_is_asked_once_more_in_a_new_one() -> None:
    def shell(pipe: FakePipe, line: bytes) -> None:
        if line == b"fptwo" and len([command for command in target.commands if command == line]) == 1:
            pipe.say(1, b"partial\n")
            pipe.die(137)
        else:
            good(pipe, line)

    target = Target(shell)
    session = session_on(target)
    replies = [Reply(), Reply(), Reply()]
    assert session.ask(["one", "two", "three"], replies) == [3, 3, 3]
    assert [reply.lines[0].line for reply in replies] == ["one", "two", "three"]
    asked = [command for command in target.commands if command != b"fpthree"]
    assert asked == [b"fpone", b"fptwo", b"fptwo"]


def test_a_fact_that_kills_every_shell_fails_and_the_others_are_answered() -> None:
    def shell(pipe: FakePipe, line: bytes) -> None:
        if line == b"fptwo":
            pipe.die(137)
        elif pipe.status is None:
            good(pipe, line)

    target = Target(shell)
    session = session_on(target)
    assert session.ask(["one", "two", "three"], [Reply(), Reply(), Reply()]) == [3, 137, 3]
    assert target.commands.count(b"fptwo") == 2
    assert target.commands.count(b"fpone") == 1


def test_a_command_that_kills_its_shell_has_the_exit_code_of_that() -> None:
    target = Target(lambda pipe, line: pipe.die(143))
    session = session_on(target)
    assert session.run("one", Reply()) == 143
    assert target.commands == [b"cpone"]


def test_a_shell_that_died_while_it_waited_is_not_used() -> None:
    target = Target(good)
    session = session_on(target)
    target.pipes[0].die(137)
    assert session.run("one", Reply()) == 3
    assert target.pipes[0].closed
    assert target.pipes[1].sent.endswith(b"cpone\n")


def test_a_time_out_is_told_and_the_killing_goes_through_another_shell() -> None:
    def shell(pipe: FakePipe, line: bytes) -> None:
        if line != b"cpone":
            good(pipe, line)

    target = Target(shell)
    session = session_on(target)
    with pytest.raises(TimeoutError, match=r"Command timed out after 0\.1s"):
        session.run("one", Reply(), Terms(seconds=0.1, killing=lambda pid: [f"kill {pid}", "kill again"]))
    assert target.commands == [b"cpone", b"cpkill 77", b"cpkill again"]
    assert target.pipes[0].closed


def test_running_commands_are_killed_from_another_greenlet() -> None:
    def shell(pipe: FakePipe, line: bytes) -> None:
        if line not in (b"cpone", b"fpfact"):
            good(pipe, line)

    target = Target(shell)
    session = session_on(target)
    command = gevent.spawn(session.run, "one", Reply(), Terms(killing=lambda pid: ["kill"]))
    fact = gevent.spawn(session.ask, ["fact"], [Reply()], lambda pid: ["kill"])
    gevent.sleep(0.05)
    session.kill_running()
    assert command.get(timeout=5) == 137
    assert fact.get(timeout=5) == [137]
    assert target.commands.count(b"cpone") == 1
    assert target.commands.count(b"fpfact") == 1
    assert target.commands.count(b"cpkill") == 2


@pytest.mark.parametrize("how", ["killed", "abandoned", "killed and abandoned"])
def test_closing_lets_a_killing_end_that_has_begun(how: str) -> None:
    ends: list[tuple[bool, bool]] = []

    def shell(pipe: FakePipe, line: bytes) -> None:
        if line == b"cpkill":
            gevent.spawn_later(0.1, end, pipe)
        elif line == b"cpwarm":
            good(pipe, line)

    def end(pipe: FakePipe) -> None:
        (command,) = [other for other in target.pipes if b"cpone" in other.sent]
        ends.append((pipe.closed, command.closed))
        pipe.answer(0)
        pipe.die(0)

    target = Target(shell)
    session = session_on(target)
    session.run("warm", Reply())
    command = gevent.spawn(session.run, "one", Reply(), Terms(killing=lambda pid: ["kill"]))
    gevent.sleep(0.01)
    if "killed" in how:
        gevent.spawn(session.kill_running)
        gevent.sleep(0.01)
    if "abandoned" in how:
        command.kill()
        gevent.sleep(0.01)
    session.close()
    assert ends == [(False, False)]
    assert all(pipe.closed for pipe in target.pipes)


def test_who_stops_waiting_for_a_command_has_it_killed() -> None:
    def shell(pipe: FakePipe, line: bytes) -> None:
        if line != b"cpone":
            good(pipe, line)

    target = Target(shell)
    session = session_on(target)
    with gevent.Timeout(0.05, False):
        session.run("one", Reply(), Terms(killing=lambda pid: ["kill"]))
    session.close()
    assert b"cpkill" in target.commands


def test_a_target_that_says_something_else_has_no_shell() -> None:
    class Router(FakePipe):
        def send(self, data: bytes) -> None:
            if not self.sent:
                self.say(1, b"Unknown command: sh\n% ")
                self.die(1)
            self.sent += data

    session = ShellSession(lambda: Router(good), 2)
    with pytest.raises(ConnectError, match=r"(?s)No POSIX shell answers .*Unknown command: sh.*shell_session = False"):
        session.open()


def test_a_target_that_says_nothing_has_no_shell() -> None:
    class Mute(FakePipe):
        def send(self, data: bytes) -> None:
            self.sent += data

    session = ShellSession(lambda: Mute(good), 0.05)
    with pytest.raises(ConnectError, match=r"no answer within 0\.05 seconds"):
        session.open()


def test_what_a_profile_says_is_no_output() -> None:
    class Chatty(FakePipe):
        def send(self, data: bytes) -> None:
            if not self.mark:
                self.say(1, b"Welcome!\nno newline")
                self.say(2, b"stdin: is not a tty\n")
            super().send(data)

    session = ShellSession(lambda: Chatty(good), 2)
    session.open()
    reply = Reply()
    session.run("one", reply)
    assert sorted(lines(reply)) == [("stderr", "err"), ("stdout", "one")]


# Taking apart


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


STREAM = b"noise\nM 7\nfirst\n\n\nM 0\nno end\nM 1\n\nM 2\nnot M 3\nM\n \n\n\nM 256\n"


@pytest.mark.parametrize("size", range(1, 12))
def test_lines_are_taken_apart_however_they_come(size: int) -> None:
    got: list[list[bytes]] = [[], [], [], [], []]
    stream = _Lines(b"M ", got[0].append)
    stream.sinks += [sink.append for sink in got[1:]]
    for piece in pieces(STREAM, size):
        stream.feed(piece)
    assert got == [[b"noise"], [b"first", b""], [b"no end"], [], [b"not M 3", b"M", b" ", b""]]
    assert stream.marks == [b"7", b"0", b"1", b"2", b"256"]


@pytest.mark.parametrize("size", range(1, 12))
def test_bytes_are_taken_apart_however_they_come(size: int) -> None:
    got: list[bytearray] = [bytearray() for _ in range(5)]
    stream = _Blocks(b"M ", got[0].extend)
    stream.sinks += [sink.extend for sink in got[1:]]
    for piece in pieces(b"\n" + STREAM, size):
        stream.feed(piece)
    assert got == [b"\nnoise", b"first\n\n", b"no end", b"", b"not M 3\nM\n \n\n"]
    assert stream.marks == [b"7", b"0", b"1", b"2", b"256"]


def test_sessions_work_in_threads_of_their_own() -> None:
    from ..support.hosts import connected_host

    codes: list[bool] = []

    def work() -> None:
        with connected_host("@local") as host:
            codes.append(host.connector.run_shell_command("exit 3", False, False, _success_exit_codes=[3])[0])
            codes.append(host.connector.run_shell_command("kill 0", _success_exit_codes=[143])[0])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert codes == [True, True]
