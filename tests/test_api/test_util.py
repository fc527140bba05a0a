"""Local files, hashes, templates, and text forms of values."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, Union

import pytest
from jinja2 import UndefinedError

from pyinfra.api.exceptions import ArgumentTypeError, NoGroupError, NoHostError, PyinfraError
from pyinfra.api.hiddenvalue import MaskString
from pyinfra.api.output import echo, format_text, set_echo, set_formatter
from pyinfra.api.util import (
    format_exception,
    get_file_io,
    get_file_md5,
    get_file_sha1,
    get_file_sha256,
    get_kwargs_str,
    get_template,
    make_hash,
    memoize,
    raise_if_bad_type,
    sha1_hash,
    try_int,
)


@pytest.mark.parametrize(("value", "result"), [("7", 7), (7, 7), ("x", "x"), (None, None), ("7.5", "7.5"), ([], [])])
def test_try_int_gives_an_integer_where_there_is_one(value: Any, result: Any) -> None:
    assert try_int(value) == result


def test_sha1_of_a_text() -> None:
    assert sha1_hash("héllo") == hashlib.sha1("héllo".encode()).hexdigest()
    assert len(sha1_hash("\udcff")) == 40


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({3, 1, 2}, {1, 2, 3}, True),
        ([1, 2], [2, 1], False),
        ("1", 1, False),
        (True, 1, False),
        (None, "None", False),
        ({"a": [1]}, {"a": [2]}, False),
        (StringIO("x"), StringIO("x"), True),
        (StringIO("x"), StringIO("y"), False),
        (len, len, True),
        (len, max, False),
    ],
)
def test_values_have_the_same_hash_where_they_are_equal(one: Any, other: Any, equal: bool) -> None:
    assert (make_hash(one) == make_hash(other)) is equal


def test_a_hash_is_the_same_in_every_process() -> None:
    code = "from pyinfra.api.util import make_hash; print(make_hash([{'a': {'x', 'y', 'z'}}, len, 1.5, None]))"
    seen = set()
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        seen.add(subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True).stdout)
    assert len(seen) == 1


def test_arguments_are_shown_sorted_and_without_self() -> None:
    assert get_kwargs_str({"b": 2, "a": "x", "self": 1}) == "a=x, b=2"
    assert get_kwargs_str({}) == ""


def test_a_memoized_function_tells_secrets_apart() -> None:
    double = memoize(lambda text: text + text)
    assert [double(MaskString("a")), double(MaskString("b"))] == ["aa", "bb"]


def test_a_memoized_function_runs_once_for_each_set_of_arguments() -> None:
    calls: list[Any] = []

    @memoize
    def double(number: int, **kwargs: Any) -> int:
        """Twice the number."""
        calls.append(number)
        return number * 2

    assert [double(1), double(1), double(2), double(1, a=1), double(1, a=1)] == [2, 2, 4, 2, 2]
    assert calls == [1, 2, 1]
    assert (double.__name__, double.__doc__) == ("double", "Twice the number.")


def test_an_error_in_one_line_has_its_type_and_arguments() -> None:
    assert format_exception(ValueError("no", 1)) == "ValueError('no', 1)"


@pytest.mark.parametrize(
    ("value", "type_", "message"),
    [
        (1, int, None),
        (True, int, None),
        ("x", Union[str, None], None),
        (["x"], list[str], None),
        (None, bool, "Prefix:: None is not an instance of bool"),
        (0, bool, "Prefix:: int is not an instance of bool"),
        ([1], list[str], "Prefix:: item 0 of list is not an instance of str"),
    ],
)
def test_a_value_of_another_type_is_an_error_with_a_prefix(value: Any, type_: Any, message: str | None) -> None:
    if message is None:
        raise_if_bad_type(value, type_, ArgumentTypeError, "Prefix")
        return
    with pytest.raises(ArgumentTypeError) as caught:
        raise_if_bad_type(value, type_, ArgumentTypeError, "Prefix")
    assert str(caught.value) == message


# Files


@pytest.mark.parametrize(
    ("source", "mode", "expected"),
    [
        (BytesIO(b"a\xff"), "rb", b"a\xff"),
        (StringIO("é\n"), "rb", "é\n".encode()),
        (StringIO("é\n"), "r", "é\n"),
        (BytesIO(b""), "rb", b""),
    ],
)
def test_a_file_object_is_read_from_its_start_and_left_where_it_was(source: Any, mode: str, expected: Any) -> None:
    source.seek(0, 2)
    before = source.tell()
    with get_file_io(source, mode) as file:
        assert file.read() == expected
    assert source.tell() == before
    assert not source.closed


def test_a_path_is_opened_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with get_file_io(path, "wb") as file:
        file.write(b"x")
    with get_file_io(str(path)) as file:
        assert file.read() == b"x"
    assert file.closed
    with get_file_io(str(path), "r") as file:
        assert file.read() == "x"


def test_bytes_written_to_a_file_object_of_text_are_decoded_also_across_blocks() -> None:
    target = StringIO()
    with get_file_io(target, "wb") as file:
        for byte in "aé€\U0001f600".encode() + b"\xe2":
            file.write(bytes([byte]))
    assert target.getvalue() == "aé€\U0001f600\ufffd"


def test_text_longer_than_a_block_is_read_as_bytes_whole() -> None:
    text = "é" * 1_000_000
    with get_file_io(StringIO(text)) as file:
        assert file.read() == text.encode()


@pytest.mark.parametrize("nothing", [None, 7, ["x"], b"path"])
def test_what_is_neither_a_path_nor_a_file_object_is_refused(nothing: Any) -> None:
    with pytest.raises(TypeError, match="is neither a path nor a file object"):
        get_file_io(nothing)


def test_the_cache_key_names_the_content() -> None:
    file = StringIO()
    assert get_file_io("/a/b").cache_key == "/a/b"
    assert get_file_io(file).cache_key == get_file_io(file).cache_key != get_file_io(StringIO()).cache_key


@pytest.mark.parametrize(
    ("function", "algorithm"),
    [(get_file_sha1, "sha1"), (get_file_sha256, "sha256"), (get_file_md5, "md5")],
)
def test_hashes_of_files_and_file_objects(function: Any, algorithm: str, tmp_path: Path) -> None:
    content = b"content\n" * 200_000
    path = tmp_path / "f"
    path.write_bytes(content)
    expected = hashlib.new(algorithm, content).hexdigest()
    assert function(str(path)) == function(path) == function(BytesIO(content)) == expected
    assert function(StringIO(content.decode())) == expected
    assert function(str(tmp_path / "nowhere")) is None


def test_a_file_at_rest_is_hashed_once_and_again_after_a_change(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "f"
    path.write_text("one")
    os.utime(path, (1000, 1000))
    first = get_file_sha1(str(path))
    with monkeypatch.context() as patched:
        patched.setattr("builtins.open", None)
        assert get_file_sha1(str(path)) == first
    path.write_text("two!")
    os.utime(path, (2000, 2000))
    assert get_file_sha1(str(path)) == hashlib.sha1(b"two!").hexdigest()


def test_a_file_written_a_moment_ago_is_hashed_each_time(tmp_path: Path) -> None:
    path = tmp_path / "f"
    now = time.time_ns()
    for text in ("one", "two"):
        path.write_text(text)
        # As two writes within a tick of the file system's clock leave it
        os.utime(path, ns=(now, now))
        assert get_file_sha1(str(path)) == hashlib.sha1(text.encode()).hexdigest()


# Templates


def test_a_template_comes_from_a_path_or_a_file_object(tmp_path: Path) -> None:
    path = tmp_path / "t.j2"
    path.write_text("Hello {{ name }}\n")
    assert get_template(str(path)).render(name="you") == "Hello you\n"
    assert get_template(StringIO("{{ 1 + 1 }}\n")).render() == "2\n"
    assert get_template(BytesIO("é {{ x }}".encode())).render(x=1) == "é 1"


def test_an_undefined_name_in_a_template_is_an_error_unless_jinja_is_told_otherwise() -> None:
    with pytest.raises(UndefinedError, match="'missing' is undefined"):
        get_template(StringIO("{{ missing }}")).render()
    from jinja2 import Undefined

    assert get_template(StringIO("[{{ missing }}]"), {"undefined": Undefined}).render() == "[]"
    assert get_template(StringIO("<% x %>"), {"block_start_string": "[%"}).render() == "<% x %>"


def test_templates_include_others_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "part.j2").write_text("part of {{ name }}")
    monkeypatch.chdir(tmp_path)
    assert get_template(StringIO("{% include 'part.j2' %}!")).render(name="it") == "part of it!"


# Output


def test_outside_the_command_line_nothing_is_echoed_or_styled(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pyinfra.api.output._echo", None)
    monkeypatch.setattr("pyinfra.api.output._formatter", None)
    echo("line", err=True)
    assert format_text("text", "red", bold=True) == "text"
    assert capfd.readouterr() == ("", "")


def test_whoever_shows_output_puts_functions_of_their_own_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyinfra.api.output._echo", None)
    monkeypatch.setattr("pyinfra.api.output._formatter", None)
    lines: list[Any] = []
    set_echo(lambda message=None, **kwargs: lines.append((message, kwargs)))
    set_formatter(lambda text, *args, **kwargs: f"<{text} {args} {kwargs}>")
    echo("line", err=True)
    assert lines == [("line", {"err": True})]
    assert format_text("x", "red", bold=True) == "<x ('red',) {'bold': True}>"


# Errors


@pytest.mark.parametrize("error", [NoHostError, NoGroupError])
def test_errors_that_are_key_errors_read_as_text(error: Any) -> None:
    assert str(error("No such host: x")) == "No such host: x"
    assert issubclass(error, (PyinfraError, KeyError))
