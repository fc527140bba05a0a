"""Values as JSON, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from io import BytesIO, StringIO
from pathlib import PurePosixPath

import pytest

from pyinfra.api import HiddenValue, MaskString, QuoteString, StringCommand
from pyinfra_cli.prints import jsonify
from pyinfra_cli.util import json_encode, split_assignment


@dataclass
class Point:
    x: int
    secret: MaskString


def named_function() -> None:
    """Has a name."""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),
        (date(2026, 1, 2), "2026-01-02"),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"b", "a"}), ["a", "b"]),
        (named_function, "Function: named_function"),
        (StringIO("some text"), "In memory file: some text"),
        (BytesIO(b"some bytes"), "In memory file: some bytes"),
        (PurePosixPath("/a/b"), "/a/b"),
        (StringCommand("mysql", MaskString("p")), "mysql ***"),
        (HiddenValue("p"), "*MASKED*"),
    ],
)
def test_values_that_json_lacks_have_a_form(value: object, expected: object) -> None:
    assert json_encode(value) == expected
    assert json.loads(jsonify({"key": value})) == {"key": expected}


def test_a_file_in_memory_is_shown_whole_and_left_where_it_was() -> None:
    file = StringIO("first\nsecond\n")
    file.readline()
    assert json_encode(file) == "In memory file: first\nsecond\n"
    assert file.readline() == "second\n"


def test_sets_of_several_types_have_an_order() -> None:
    assert json_encode({2, "a", 1, None}) == [None, 1, 2, "a"]


def test_other_objects_have_no_form_of_their_own() -> None:
    with pytest.raises(TypeError, match="object cannot be written as JSON"):
        json_encode(object())


def test_what_has_no_form_is_shown_by_its_repr() -> None:
    assert json.loads(jsonify([range(3)])) == ["range(0, 3)"]


def test_secrets_are_masked_wherever_they_are() -> None:
    data = {"a": [MaskString("hush")], "b": Point(1, MaskString("hush")), "c": (QuoteString("x"), HiddenValue("hush"))}
    text = jsonify(data)
    assert "hush" not in text
    assert json.loads(text) == {"a": ["***"], "b": {"x": 1, "secret": "***"}, "c": ["x", "*MASKED*"]}


def test_keys_that_json_lacks_become_text() -> None:
    assert json.loads(jsonify({(1, 2): "a", None: "b", True: "c", 3: "d"})) == {
        "(1, 2)": "a",
        "null": "b",
        "true": "c",
        "3": "d",
    }


def test_json_takes_the_arguments_of_dumps() -> None:
    assert jsonify({"b": 1, "a": {2}}, indent=1, sort_keys=True) == '{\n "a": [\n  2\n ],\n "b": 1\n}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a=b=c", ("a", "b=c")), ("a=", ("a", "")), ("ab", None), ("=b", None), ("a b=c", None)],
)
def test_an_assignment_begins_with_a_name(text: str, expected: tuple[str, str] | None) -> None:
    assert split_assignment(text) == expected
