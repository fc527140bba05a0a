"""Commands: what the host gets, what people see, and quoting between the two."""

from __future__ import annotations

import shlex
import subprocess
from io import BytesIO, StringIO
from pathlib import PurePosixPath
from typing import Any

import pytest

from pyinfra.api import (
    FileDownloadCommand,
    FileUploadCommand,
    FunctionCommand,
    HiddenValue,
    MaskString,
    QuoteString,
    RsyncCommand,
    StringCommand,
)
from pyinfra.api.command import InterpolatedString, PyinfraCommand, QuotePath, make_formatted_string_command

SECRET = MaskString("s3 cret")
HIDDEN = HiddenValue("s3 cret")
TEXT_SHA1 = "372ea08cab33e71c02c651dbc83a474d32c676ea"


class Named(StringIO):
    """A file object that says where it comes from."""

    name = "letter.txt"


def closed(file: Any) -> Any:
    """A file object that can be read no more."""
    file.close()
    return file


class FromVault(HiddenValue):
    """A secret that is fetched when it is needed."""

    def unmask(self) -> str:
        return "fetched"


@pytest.mark.parametrize(
    ("command", "raw", "masked"),
    [
        (StringCommand("echo", "a", "b"), "echo a b", "echo a b"),
        (StringCommand("a", "b", _separator=""), "ab", "ab"),
        (StringCommand("a", 7, None), "a 7 None", "a 7 None"),
        (StringCommand(), "", ""),
        (StringCommand("a", StringCommand("b", "c", _separator="/")), "a b/c", "a b/c"),
        (StringCommand("echo", QuoteString("a b")), "echo 'a b'", "echo 'a b'"),
        (StringCommand("echo", QuoteString("it's")), """echo 'it'"'"'s'""", """echo 'it'"'"'s'"""),
        (StringCommand(QuoteString("")), "''", "''"),
        (StringCommand(QuoteString(PurePosixPath("/a b"))), "'/a b'", "'/a b'"),
        (StringCommand(QuoteString(StringCommand("a", "b"))), "'a b'", "'a b'"),
        # Secrets, alone, quoted and nested
        (StringCommand("x", SECRET), "x s3 cret", "x ***"),
        (StringCommand("x", QuoteString(SECRET)), "x 's3 cret'", "x ***"),
        (StringCommand("x", HIDDEN), "x s3 cret", "x *MASKED*"),
        (StringCommand("x", QuoteString(HIDDEN)), "x 's3 cret'", "x *MASKED*"),
        (StringCommand("x", HiddenValue("s", "<pw>")), "x s", "x <pw>"),
        (StringCommand("x", FromVault()), "x fetched", "x *MASKED*"),
        (StringCommand(StringCommand(StringCommand(SECRET))), "s3 cret", "***"),
        (StringCommand(QuoteString(StringCommand("p=", SECRET, _separator=""))), "'p=s3 cret'", "'p=***'"),
        (StringCommand("sh -c", QuoteString(StringCommand("x", QuoteString(HIDDEN)))), None, "sh -c 'x *MASKED*'"),
    ],
)
def test_a_command_is_sent_in_clear_and_shown_masked(command: StringCommand, raw: str | None, masked: str) -> None:
    if raw is not None:
        assert command.get_raw_value() == raw
    assert command.get_masked_value() == str(command) == masked
    assert repr(command) == f"StringCommand({masked})"


NASTY = ["", "a b", "it's", '"', "$HOME", "`id`", "a\nb", "\\", "*", "~", "é", "-n", "a'b\"c$d`e\\f\n"]


@pytest.mark.parametrize("value", NASTY)
def test_a_quoted_value_is_one_word_to_a_real_shell(value: str) -> None:
    text = StringCommand("printf '%s|'", QuoteString(value), QuoteString("end")).get_raw_value()
    assert subprocess.run(["sh", "-c", text], capture_output=True, check=True).stdout.decode() == f"{value}|end|"


@pytest.mark.parametrize(
    ("path", "quoted"),
    [
        ("/a b", "'/a b'"),
        ("~", "~"),
        ("~/", "~/"),
        ("~/a b", "~/'a b'"),
        ("~user/x", "~user/x"),
        ("~us-er_1.x/x", "~us-er_1.x/x"),
        ("~$(id)/x", "'~$(id)/x'"),
        ("~us er", "'~us er'"),
        ("~-/x", "'~-/x'"),
        ("-rf", "./-rf"),
        ("a~", "'a~'"),
    ],
)
def test_a_path_is_one_word_whose_home_folder_the_shell_expands(path: str, quoted: str) -> None:
    assert StringCommand(QuotePath(path)).get_raw_value() == quoted


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("$VAR", "value"),
        ("a  b", "a  b"),
        ('say "x"', 'say "x"'),
        ("\\$VAR", "$VAR"),
        ("end\\", "end\\"),
        ("`echo x`", "x"),
    ],
)
def test_an_interpolated_value_is_one_word_in_which_the_shell_expands(value: str, seen: str) -> None:
    text = StringCommand("printf %s", InterpolatedString(value)).get_raw_value()
    result = subprocess.run(["sh", "-c", text], capture_output=True, check=True, env={"VAR": "value"})
    assert result.stdout.decode() == seen


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (StringCommand("a", "b"), StringCommand("a b"), True),
        (StringCommand("a"), StringCommand("b"), False),
        (StringCommand("x", MaskString("a")), StringCommand("x", MaskString("b")), True),
        (StringCommand("x"), "x", False),
        (FileUploadCommand("a", "b"), FileUploadCommand("a", "b"), True),
        (FileUploadCommand("a", "b"), FileDownloadCommand("a", "b"), False),
        (FileUploadCommand(StringIO("x"), "b"), FileUploadCommand(StringIO("x"), "b"), True),
        (FileUploadCommand(StringIO("x"), "b"), FileUploadCommand(StringIO("y"), "b"), False),
    ],
)
def test_commands_are_equal_where_people_see_the_same(one: Any, other: Any, equal: bool) -> None:
    assert (one == other) is equal
    if equal:
        assert hash(one) == hash(other)


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (FileUploadCommand("src", "dest"), "FileUploadCommand(src, dest)"),
        (FileDownloadCommand("src", "dest"), "FileDownloadCommand(src, dest)"),
        (FileUploadCommand(StringIO("text"), "dest"), f"FileUploadCommand(StringIO(hash={TEXT_SHA1}), dest)"),
        (FileDownloadCommand("src", BytesIO(b"text")), f"FileDownloadCommand(src, BytesIO(hash={TEXT_SHA1}))"),
        (FileUploadCommand(closed(StringIO()), "dest"), "FileUploadCommand(StringIO, dest)"),
        (FileUploadCommand(Named(), "dest"), "FileUploadCommand(letter.txt, dest)"),
        (RsyncCommand("src", "dest", ["-a"]), "RsyncCommand(src, dest, ['-a'])"),
        (FunctionCommand(shlex.split, (), {}), "FunctionCommand(split, (), {})"),
        (QuoteString("x"), "QuoteString('x')"),
        (HIDDEN, "HiddenValue(*MASKED*)"),
    ],
)
def test_the_repr_of_a_command_names_what_it_does(command: Any, text: str) -> None:
    assert repr(command) == text


def test_the_secret_of_a_hidden_value_is_shown_nowhere() -> None:
    assert "s3" not in f"{HIDDEN} {HIDDEN!r} {[HIDDEN]} {QuoteString(HIDDEN)!r}"
    assert HIDDEN == HiddenValue("s3 cret") != HiddenValue("other")
    assert hash(HIDDEN) == hash(HiddenValue("s3 cret"))


def test_commands_keep_the_arguments_that_differ_from_their_operations() -> None:
    assert StringCommand("x", _sudo=True).connector_arguments == {"_sudo": True}
    assert FileUploadCommand("a", "b", remote_temp_filename="t", _sudo=True).connector_arguments == {"_sudo": True}
    assert FileUploadCommand("a", "b", "t").remote_temp_filename == "t"
    assert RsyncCommand("a", "b", [], _sudo=True).connector_arguments == {"_sudo": True}
    function = FunctionCommand(len, ([],), {}, _timeout=3)
    assert (function.function, function.args, function.kwargs) == (len, ([],), {})
    assert function.connector_arguments == {"_timeout": 3}


def test_the_base_of_commands_does_nothing() -> None:
    with pytest.raises(NotImplementedError):
        PyinfraCommand().execute(None, None, {})  # type: ignore[arg-type]


# Templates


@pytest.mark.parametrize(
    ("template", "args", "kwargs", "text"),
    [
        ("cat /{0}/{1}", ("etc", "passwd"), {}, "cat /etc/passwd"),
        ("cat {0}", ("a b",), {}, "cat 'a b'"),
        ("cat {}", ("$(id)",), {}, "cat '$(id)'"),
        ("mv {} {}", ("a", "b"), {}, "mv a b"),
        ("x --name={name}", (), {"name": "a b"}, "x --name='a b'"),
        ("echo 'two words'", (), {}, "echo two words"),
        ("{0.suffix} {1[key]}", (PurePosixPath("a.txt"), {"key": 1}), {}, ".txt 1"),
        ("head -n {0:03d}", (7,), {}, "head -n 007"),
        ("echo {0!r}", ("x",), {}, """echo ''"'"'x'"'"''"""),
        ("echo {{x}}", (), {}, "echo {x}"),
    ],
)
def test_a_template_is_split_into_words_whose_values_are_quoted(
    template: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    text: str,
) -> None:
    assert make_formatted_string_command(template, *args, **kwargs).get_raw_value() == text


def test_secrets_in_a_template_stay_secret() -> None:
    command = make_formatted_string_command("login {0} {1}", SECRET, HIDDEN)
    assert command.get_raw_value() == "login 's3 cret' 's3 cret'"
    assert str(command) == "login *** *MASKED*"


# Callbacks


@pytest.mark.parametrize(
    ("function", "given", "seen"),
    [
        (lambda: (), {}, ()),
        (lambda state: (state,), {}, ("STATE",)),
        (lambda host, state: (host, state), {}, ("HOST", "STATE")),
        (lambda host: (host,), {"host": "mine"}, ("mine",)),
        (lambda **kwargs: tuple(kwargs), {"a": 1}, ("a",)),
    ],
)
def test_a_callbacks_parameters_named_state_and_host_receive_them(
    function: Any,
    given: dict[str, Any],
    seen: tuple[Any, ...],
) -> None:
    results: list[Any] = []

    def callback(*args: Any, **kwargs: Any) -> None:
        results.append(function(*args, **kwargs))

    callback.__wrapped__ = function  # type: ignore[attr-defined]
    assert FunctionCommand(callback, (), given).execute("STATE", "HOST", {})  # type: ignore[arg-type]
    assert results == [seen]
