"""The contract's rules about one command: its arguments, its standard input and its exit code."""

from __future__ import annotations

import io
from typing import Any

from pyinfra.api.command import QuoteString
from pyinfra.api.exceptions import PyinfraError

from .rules import Broken, NotApplicable, expect, expect_true, rule
from .target import Target, may_be_refused

SECTION = "Running a command"

ODD_TEXTS = {
    "PLAIN": "value",
    "EMPTY": "",
    "SPACES": "  two  words  ",
    "QUOTES": 'it\'s "quoted"',
    "DOLLAR": "$HOME `id` $(id) ${x}",
    "NEWLINES": "first\nsecond\n\nfourth",
    "BACKSLASH": "a\\b\\n\\\\",
    "OTHER": "!*?[a-z]~ #x; y & z | < > %s %d = e1 \t",
    "UTF8": "Grüße, 日本語, 🐚",
    "DASH": "-n",
}


def show_variables(*names: str) -> list[str]:
    """Parts of a command that prints variables, each in brackets."""
    return ["printf '[%s]\\n'", *(f'"${name}"' for name in names)]


def bracketed(values: list[str]) -> list[str]:
    """The lines that :func:`show_variables` gives for values."""
    return "\n".join(f"[{value}]" for value in values).split("\n")


@rule(SECTION)
def commands_run(target: Target) -> None:
    """A command runs, its output comes back, and so does whether it succeeded."""
    ran = target.run("echo hello")
    expect((ran.success, ran.stdout, ran.stderr), (True, ["hello"], []), "success and output of echo hello")
    expect(target.run("false").success, False, "success of false")


@rule(SECTION)
def exit_codes(target: Target) -> None:
    """A command's exit code is its own, from 0 to 255."""
    for code in (0, 1, 2, 3, 42, 100, 124, 125, 126, 127, 128, 129, 137, 143, 200, 253, 254, 255):
        target.expect_code(code, f"exit {code}")
        others = [other for other in range(256) if other != code]
        ran = target.run(f"exit {code}", _success_exit_codes=others)
        expect(ran.success, False, f"success of exit {code}, all other exit codes allowed")
    target.expect_code(127, "/nonexistent/program")


@rule(SECTION)
def exit_codes_of_signals(target: Target) -> None:
    """A command that a signal ended has the exit code 128 and the signal's number."""
    for name, number in (("HUP", 1), ("INT", 2), ("KILL", 9), ("TERM", 15)):
        target.expect_code(128 + number, f"kill -{name} $$; sleep 5")
        target.expect_code(128 + number, f"sh -c 'kill -{name} $$; sleep 5'")


@rule(SECTION)
def success_exit_codes(target: Target) -> None:
    """``_success_exit_codes`` says which exit codes are a success, and 0 is one only if it is among them."""
    expect(target.run("exit 3", _success_exit_codes=[0, 3]).success, True, "success with exit code 3 of [0, 3]")
    expect(target.run("exit 4", _success_exit_codes=[0, 3]).success, False, "success with exit code 4 of [0, 3]")
    expect(target.run("true", _success_exit_codes=[3]).success, False, "success with exit code 0 of [3]")


@rule(SECTION)
def shell_executable(target: Target) -> None:
    """``_shell_executable`` is the shell that runs the command; ``None`` means none of ours."""
    command = ("printf '%s\\n'", QuoteString("a b'c\"d\\e"), "$((1 + 1))")
    for shell in ("sh", None, "/bin/sh", "sh -e"):
        expect(target.ok(*command, _shell_executable=shell), ["a b'c\"d\\e", "2"], f"output with shell {shell}")
    expect(target.run("false; echo no", _shell_executable="sh -e").stdout, [], "output after a failure with sh -e")
    if target.run("command -v bash").success:
        seen = target.ok('test -n "$BASH_VERSION" && echo bash', _shell_executable="bash")
        expect(seen, ["bash"], "the shell with _shell_executable bash")
    expect(target.run("echo no", _shell_executable="/nonexistent/shell").success, False, "success without the shell")


@rule(SECTION)
def chdir(target: Target) -> None:
    """``_chdir`` is the folder that the command runs in, whatever its name; in a missing one it does not run."""
    for name in ("plain", 'it\'s a "name"', "-n", "$HOME", "ünï"):
        path = f"{target.new_folder()}/{name}"
        target.ok("mkdir", QuoteString(path))
        expect(target.line("pwd", _chdir=path), path, "the folder")
    path = target.path("missing")
    ran = target.run("echo no", _chdir=path)
    expect((ran.success, ran.stdout), (False, []), "success and output in a missing folder")
    expect_true(path in "\n".join(ran.combined), f"words about {path}", ran)


@rule(SECTION)
def env(target: Target) -> None:
    """``_env`` sets variables, to any values."""
    variables = {f"CONTRACT_{name}": value for name, value in ODD_TEXTS.items()}
    expect(target.ok(*show_variables(*variables), _env=variables), bracketed(list(variables.values())), "values")
    expect(target.ok("sh -c 'echo \"$CONTRACT_NUMBER\"'", _env={"CONTRACT_NUMBER": 5}), ["5"], "value in a child")
    expect(target.ok("echo ${CONTRACT_NUMBER-unset}"), ["unset"], "value in the next command")


@rule(SECTION)
def chdir_and_env(target: Target) -> None:
    """The arguments hold together as well as alone."""
    folder = target.new_folder("all at once")
    seen = target.run(
        'cat; pwd; echo "$CONTRACT_A"; exit 7',
        _chdir=folder,
        _env={"CONTRACT_A": "a 'b'"},
        _stdin=["one", "two"],
        _success_exit_codes=[7],
        _shell_executable="sh",
        _timeout=60,
    )
    expect((seen.success, seen.stdout), (True, ["one", "two", folder, "a 'b'"]), "success and output")


@rule(SECTION)
def retries_are_the_engines(target: Target) -> None:
    """``_retries`` and its kin are accepted, and left to the engine: a command that fails runs once."""
    path = target.path("runs")
    ran = target.run(
        "echo run >>", QuoteString(path), "; false", _retries=3, _retry_delay=0, _retry_until=lambda data: False
    )
    expect((ran.success, len(target.ok("cat", QuoteString(path)))), (False, 1), "success and number of runs")


@rule(SECTION)
def temp_dir_is_accepted(target: Target) -> None:
    """``_temp_dir`` is accepted with any command."""
    expect(target.ok("echo fine", _temp_dir=target.shared), ["fine"], "output")


# Commands


@rule(SECTION)
def quotes(target: Target) -> None:
    """A command reaches the shell as it is: quotes, backslashes, dollars, percents, UTF-8."""
    for text in ODD_TEXTS.values():
        expect(target.ok("printf '[%s]\\n'", QuoteString(text)), bracketed([text]), "what printf got")


_MANY_LINES = r"""# a comment
say() {
    printf '%s\n' "$1"
}

say 'one
two'
cat <<'EOF'
\n $x
EOF
if true
then
    say three
fi
"""


@rule(SECTION)
def many_lines(target: Target) -> None:
    """A command may have many lines, with comments, functions and here-documents."""
    expect(target.ok(_MANY_LINES), ["one", "two", "\\n $x", "three"], "output")


@rule(SECTION)
def long_commands(target: Target) -> None:
    """A command of 50 KB runs, with newlines and UTF-8 in it."""
    text = "x" * 20_000 + "\n" + "'é\\ " * 5_000 + "\nend"
    length = len(text.encode())
    expect(target.line("printf %s", QuoteString(text), "| wc -c").strip(), str(length), "bytes that arrived")


@rule(SECTION)
def commands_that_are_too_long_fail(target: Target) -> None:
    """A command of 150 KB runs or fails: it is no success without having run."""
    for shell in ("sh", None):
        path = target.path("long")
        command = ("true", QuoteString("x\n" * 75_000), "; : >", QuoteString(path))
        try:
            succeeded = target.run(*command, _shell_executable=shell).success
        except (OSError, PyinfraError):
            succeeded = False
        expect(target.run("test -e", QuoteString(path)).success, succeeded, f"whether it ran, with shell {shell}")
    target.expect_usable("a long command")


# Standard input


@rule(SECTION)
def stdin_is_empty_by_default(target: Target) -> None:
    """Without ``_stdin`` a command's standard input is empty, at once."""
    expect(target.ok("cat; echo end"), ["end"], "what cat read")
    expect(target.ok("read -r line; echo $?; read -r line || echo end"), ["1", "end"], "what read returned")


def _stdin_forms() -> dict[str, Any]:
    """Standard inputs of all kinds that give the lines ``one``, ``two words``, an empty one and ``ü``."""
    lines = ["one", "two words", "", "ü"]
    text = "\n".join(lines)
    return {
        "text": text,
        "text with a newline at its end": f"{text}\n",
        "a list": lines,
        "a list with newlines": ["one\n", "two words\n", "\n", "ü\n"],
        "a tuple": tuple(lines),
        "a generator": (line for line in lines),
        "bytes": text.encode(),
        "a list of bytes": [line.encode() for line in lines],
        "a text file": io.StringIO(text),
        "a binary file": io.BytesIO(text.encode()),
    }


@rule(SECTION)
def stdin_forms(target: Target) -> None:
    """``_stdin`` is text, bytes, a list or a file; each item is ended by a newline if it lacks one."""
    expected = ["one", "two words", "", "ü", "end"]
    for name, stdin in _stdin_forms().items():
        expect(target.ok("cat; echo end", _stdin=stdin), expected, f"what cat read from {name}")


@rule(SECTION)
def stdin_bytes(target: Target) -> None:
    """Bytes in ``_stdin`` arrive as they are."""
    data = bytes(range(256)) + b"\r\n\x00\n"
    for stdin in (data, io.BytesIO(data)):
        seen = bytes.fromhex(" ".join(target.ok("od -An -v -tx1", _stdin=stdin)))
        expect(seen, data, f"bytes that arrived from {type(stdin).__name__}")


@rule(SECTION)
def stdin_of_any_size(target: Target) -> None:
    """``_stdin`` may be of any size, also where the command answers while it reads."""
    lines = [f"{number} {'x' * 90}" for number in range(11_000)]
    expect(target.line("wc -c", _stdin=lines).strip(), str(sum(len(line) + 1 for line in lines)), "bytes that arrived")
    expect(target.ok("cat", _stdin="\n".join(lines)), lines, "lines that came back")


@rule(SECTION)
def stdin_need_not_be_read(target: Target) -> None:
    """A command need not read its ``_stdin``, nor all of it."""
    text = "a line\n" * 150_000
    for command, expected in (("true", []), ("read -r line; echo $line", ["a line"]), ("exec <&-; echo x", ["x"])):
        expect(target.ok(command, _stdin=text), expected, f"output of {command}")
    target.expect_usable("a command that did not read its input")


@rule(SECTION)
def commands_do_not_eat_what_follows(target: Target) -> None:
    """What a command reads is its ``_stdin`` and nothing else: not the next command."""
    for number in range(3):
        expect(target.ok("cat; cat; echo", str(number), _stdin="in"), ["in", str(number)], "output")
        expect(target.ok("cat; echo", str(number)), [str(number)], "output")


# Terminals


def _terminal(target: Target, *bits: Any, **arguments: Any) -> list[str]:
    """The lines that a command gives in a terminal."""
    with may_be_refused("_get_pty"):
        ran = target.run(*bits, **{"_get_pty": True, **arguments})
    expect_true(ran.success, f"{bits[0]} succeeds in a terminal", ran)
    return ran.combined


@rule(SECTION)
def get_pty(target: Target) -> None:
    """``_get_pty`` gives the command a terminal, in which both outputs are one."""
    command = "test -t 1 && test -t 2 && echo terminal; echo out; echo err >&2; echo out"
    expect(_terminal(target, command), ["terminal", "out", "err", "out"], "output in a terminal")
    expect(target.run("test -t 0 || test -t 1 || test -t 2").success, False, "a terminal without _get_pty")


@rule(SECTION)
def get_pty_keeps_the_rest(target: Target) -> None:
    """In a terminal exit codes, input, quotes and long commands are as anywhere else."""
    _terminal(target, "exit 42", _success_exit_codes=[42])
    _terminal(target, "kill -9 $$", _success_exit_codes=[137])
    expect(_terminal(target, 'read -r line; echo "[$line]"', _stdin="a line"), ["[a line]"], "what was read")
    expect(_terminal(target, "cat; echo end"), ["end"], "what was read without _stdin")
    text = "it's $HOME\n" + "é" * 10_000
    expect(_terminal(target, "printf %s", QuoteString(text), "| wc -c")[0].strip(), "20011", "bytes that arrived")
    target.expect_usable("a command in a terminal")


@rule(SECTION)
def rsync(target: Target) -> None:
    """``rsync`` copies a folder, where ``check_can_rsync`` raises nothing."""
    import tempfile
    from pathlib import Path

    try:
        target.host.check_can_rsync()
    except NotImplementedError as error:
        raise NotApplicable(f"refused: {error}") from error
    if not target.run("command -v rsync").success:
        raise NotApplicable("the host has no rsync")
    destination = target.new_folder("rsync")
    with tempfile.TemporaryDirectory(prefix="pyinfra-contract-") as folder:
        (Path(folder) / "a file").write_text("content")
        with may_be_refused("_su_user"):
            done = target.host.rsync(f"{folder}/", f"{destination}/", ["-a"], **target.arguments)
        expect(done, True, "what rsync returned")
        expect(target.names(destination), ["a file"], "files that arrived")
        try:
            failed = target.host.rsync(f"{folder}/missing/", f"{destination}/", ["-a"], **target.arguments)
        except OSError:
            return
        if failed:
            raise Broken("an error for a folder that does not exist", "success")
