"""The contract's rules about what comes back from a command, and what people get to see of it."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial

from pyinfra.api.command import MaskString, QuoteString, StringCommand
from pyinfra.api.hiddenvalue import HiddenValue

from .rules import Broken, expect, expect_true, rule
from .target import Target, listening, listening_with

SECTION = "Output"


@rule(SECTION)
def outputs_are_told_apart(target: Target) -> None:
    """Standard output and standard error are told apart."""
    ran = target.run("echo out; echo err >&2; echo out 2; echo err 2 >&2")
    expect((ran.stdout, ran.stderr), (["out", "out 2"], ["err", "err 2"]), "standard output and standard error")
    expect(len(ran.combined), 4, "lines together")


@rule(SECTION)
def lines_are_whole(target: Target) -> None:
    """Every line comes back as it was: empty ones, blanks around it, the last one without a newline."""
    for text in ("one\ntwo\n", "one\ntwo", "\n", "\n\n", "", "\none\n\n\ntwo\n\n", "  a  \n\t\n", "a\n\nb"):
        expected = text.removesuffix("\n").split("\n") if text else []
        for stream in ("stdout", "stderr"):
            redirect = ">&2" if stream == "stderr" else ""
            ran = target.run("printf %s", QuoteString(text), redirect)
            expect(getattr(ran, stream), expected, f"lines of {stream} for {text!r}")


def _note_time(times: list[float], _message: str) -> None:
    times.append(time.monotonic())


@rule(SECTION)
def output_comes_line_by_line(target: Target) -> None:
    """Output arrives line by line, while the command runs."""
    for seconds in (1, 2, 4):  # a busy machine gets more chances: it may be late with the first line
        times: list[float] = []
        with listening_with(partial(_note_time, times)):
            target.ok(f"echo first; sleep {seconds}; echo after", print_output=True)
        expect(len(times), 2, "lines that are echoed")
        if times[1] - times[0] > seconds / 3:
            return
    raise Broken("the first line while the command runs", "all lines at its end")


@rule(SECTION)
def any_bytes_come_back(target: Target) -> None:
    """What is not UTF-8 is replaced, never lost, never a crash."""
    ran = target.run(r"printf 'caf\351 \377\376.\303\251\n\200\n'; printf '\360\237 end' >&2")
    expect(ran.stdout, ["caf\ufffd \ufffd\ufffd.é", "\ufffd"], "standard output")
    expect(ran.stderr, ["\ufffd end"], "standard error")
    expect(target.ok(r"printf 'a\000b\n\000\n'"), ["a\0b", "\0"], "output with NUL bytes")
    expect(target.ok("printf 'Grüße, 日本語, 🐚\\n'"), ["Grüße, 日本語, 🐚"], "output in UTF-8")


@rule(SECTION)
def long_lines(target: Target) -> None:
    """A line may be very long."""
    line = target.line("dd if=/dev/zero bs=1024 count=2048 2> /dev/null | tr '\\0' x; echo end")
    expect((len(line), line[:1], line[-4:]), (2048 * 1024 + 3, "x", "xend"), "length, beginning and end of a line")


@rule(SECTION)
def much_output(target: Target) -> None:
    """Output may be of any size, on both outputs at once, and nothing of it is lost."""
    count = 60_000
    script = f'BEGIN {{ for (i = 1; i <= {count}; i++) {{ print i x; print i x > "/dev/stderr" }} }}'
    command = StringCommand("awk -v x=", QuoteString("-" * 75), _separator="")
    ran = target.run(command, QuoteString(script))
    expected = [f"{number}{'-' * 75}" for number in range(1, count + 1)]
    expect_true(ran.success, "the command succeeds", ran.stderr[-3:])
    for name, lines in (("standard output", ran.stdout), ("standard error", ran.stderr)):
        expect(len(lines), count, f"lines of {name}")
        expect_true(lines == expected, f"all lines of {name} as they were", "others")


# What people see


@rule(SECTION)
def input_and_output_are_echoed(target: Target) -> None:
    """``print_input`` and ``print_output`` go through ``pyinfra.api.output.echo``, under the host's name."""
    with _silent(), listening() as messages:
        target.ok("echo out; echo err >&2", print_output=True, print_input=True)
    prefix = target.host.print_prefix
    expect_true(all(message.startswith(prefix) for message in messages), f"{prefix} before each line", messages)
    shown = [message[len(prefix) :] for message in messages]
    expect_true(any("echo out" in message for message in shown[:1]), "the command first", shown)
    expect(shown.count("out"), 1, f"lines of standard output in {shown}")
    expect(sum("err" in message for message in shown[1:]), 1, f"lines of standard error in {shown}")


@rule(SECTION)
def nothing_is_echoed_unasked(target: Target) -> None:
    """Without ``print_input`` and ``print_output`` nothing is printed."""
    with _silent(), listening() as messages:
        target.ok("echo out; echo err >&2")
        target.put("content", target.path())
    expect(messages, [], "messages")


@contextmanager
def _silent() -> Iterator[None]:
    """Raise :class:`Broken` if something is printed past ``echo``."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        yield
    expect(out.getvalue() + err.getvalue(), "", "what was printed past pyinfra.api.output.echo")


@contextmanager
def _logged() -> Iterator[list[str]]:
    """All log messages inside, of all loggers."""
    records: list[str] = []
    handler = logging.Handler(logging.DEBUG)
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    root = logging.getLogger()
    named = [root, logging.getLogger("pyinfra")]
    levels = [logger.level for logger in named]
    root.addHandler(handler)
    for logger in named:
        logger.setLevel(logging.DEBUG)
    try:
        yield records
    finally:
        root.removeHandler(handler)
        for logger, level in zip(named, levels, strict=True):
            logger.setLevel(level)


@rule(SECTION)
def secrets_stay_hidden(target: Target) -> None:
    """Secrets are in no log, printed command or error, and reach the command in clear."""
    secret = "s3cr3t it's"
    quoted = QuoteString(MaskString(secret))
    with _logged() as records, listening() as messages:
        for value in (quoted, QuoteString(HiddenValue(secret))):
            expect(target.ok("printf '%s\\n'", value, print_input=True), [secret], "what the command got")
        arguments = {"_env": {"CONTRACT_SECRET": HiddenValue(secret)}, "print_input": True}
        expect(target.ok("echo", '"$CONTRACT_SECRET"', **arguments), [secret], "what the command got in _env")
        try:
            target.run(":", quoted, "; sleep 30", _timeout=1, print_input=True)
        except TimeoutError as error:
            messages.append(str(error))
    expect_true(len(messages) >= 4, "the commands are echoed", messages)
    for text in (*messages, *records):
        expect_true("s3cr3t" not in text, "no secret in what people see", text)
