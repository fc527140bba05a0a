"""``@fake``: hosts that record commands and answer what they are told to."""

from __future__ import annotations

import re
import time
from io import BytesIO
from typing import Any

import pytest

from pyinfra.api.command import MaskString, QuoteString, StringCommand
from pyinfra.api.exceptions import ConnectError, ConnectorDataTypeError
from pyinfra.api.inventory import Inventory
from pyinfra.api.state import State
from pyinfra.connectors.fake import FakeConnector

AT_ONCE = {"fake_delay": 0, "fake_delay_jitter": 0}


def fake(**data: Any) -> FakeConnector:
    """A connected fake host with these data."""
    state = State(Inventory(([("@fake/one", {**AT_ONCE, **data})], {})))
    connector = FakeConnector(state, state.inventory.get_host("@fake/one"))
    connector.connect()
    return connector


def run(connector: FakeConnector, *bits: Any, **arguments: Any) -> tuple[bool, list[str], list[str]]:
    """Run a command; whether it succeeded, and its two outputs."""
    success, output = connector.run_shell_command(StringCommand(*bits), **arguments)
    return success, output.stdout_lines, output.stderr_lines


@pytest.mark.parametrize(
    ("name", "hosts"),
    [
        (None, ["@fake"]),
        ("", ["@fake"]),
        ("web", ["@fake/web"]),
        ("a,b, c,", ["@fake/a", "@fake/b", "@fake/c"]),
        ("rack/1", ["@fake/rack/1"]),
    ],
)
def test_a_name_gives_a_host_for_each_part_between_commas(name: str | None, hosts: list[str]) -> None:
    assert list(FakeConnector.make_names_data(name)) == [(host, {}, ["@fake"]) for host in hosts]


def test_a_command_nobody_answers_succeeds_with_no_output() -> None:
    assert run(fake(), "rm -rf /") == (True, [], [])


def test_commands_are_recorded_bare_and_masked() -> None:
    connector = fake()
    run(connector, "echo", QuoteString("a b"), _sudo=True, _env={"A": "1"}, _chdir="/tmp", _shell_executable="bash")
    run(connector, "login", MaskString("secret"))
    assert connector.executed_commands == ["echo 'a b'", "login ***"]


def test_the_record_outlives_a_new_connection() -> None:
    connector = fake()
    run(connector, "one")
    connector.disconnect()
    connector.connect()
    run(connector, "two")
    assert connector.executed_commands == ["one", "two"]


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ("one\ntwo\n", (True, ["one", "two"], [])),
        (["one", "two"], (True, ["one", "two"], [])),
        ("", (True, [], [])),
        (None, (True, [], [])),
        ({"stdout": "one", "stderr": ["two", "three"]}, (True, ["one"], ["two", "three"])),
        ({"stderr": "no", "success": False}, (False, [], ["no"])),
        ({"success": False}, (False, [], [])),
    ],
)
def test_an_answer_is_text_lines_or_a_dict(answer: Any, result: tuple[bool, list[str], list[str]]) -> None:
    assert run(fake(fake_responses={"uname": answer}), "uname -s") == result


def test_a_key_is_a_part_of_the_command_or_a_pattern_and_the_first_wins() -> None:
    connector = fake(
        fake_responses={
            re.compile(r"^cat /etc/(a|b)$"): "pattern",
            "cat /etc": "part",
            "cat": "later",
            "***": "the masked text",
        }
    )
    answers = [run(connector, command)[1] for command in ("cat /etc/a", "cat /etc/abc", "cat /x", "dog")]
    assert answers == [["pattern"], ["part"], ["later"], []]
    assert run(connector, "login", MaskString("cat"))[1] == ["the masked text"]


def test_an_answer_of_another_form_says_which_and_what_to_give() -> None:
    with pytest.raises(ConnectError, match=r"`fake_responses` of 'uname' is 7: give text, a list of lines, or a dict"):
        fake(fake_responses={"uname": 7})
    with pytest.raises(ConnectError, match=r"'uname' is {'stdou': 'x'}: give .* a dict of `stdout`, `stderr` and"):
        fake(fake_responses={"uname": {"stdou": "x"}})


def test_output_of_one_command_is_not_shared_with_the_next() -> None:
    connector = fake(fake_responses={"ls": "a"})
    _, first = connector.run_shell_command(StringCommand("ls"))
    first.combined_lines.clear()
    assert run(connector, "ls")[1] == ["a"]


def test_data_of_the_wrong_type_are_refused_before_anything_connects() -> None:
    with pytest.raises(ConnectorDataTypeError, match="fake_delay"):
        fake(fake_delay="slow")


def test_a_command_takes_the_delay_from_the_host_data() -> None:
    connector = fake(fake_delay=0.05)
    began = time.perf_counter()
    run(connector, "true")
    assert time.perf_counter() - began >= 0.05


def test_the_environment_says_the_delay_where_host_data_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYINFRA_FAKE_DELAY", "0.05")
    monkeypatch.setenv("PYINFRA_FAKE_DELAY_JITTER", "0")
    state = State(Inventory((["@fake"], {})))
    connector = FakeConnector(state, state.inventory.get_host("@fake"))
    connector.connect()
    began = time.perf_counter()
    connector.put_file(BytesIO(b"x"), "/there")
    assert time.perf_counter() - began >= 0.05


def test_a_delay_in_the_environment_that_is_no_number_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYINFRA_FAKE_DELAY", "soon")
    state = State(Inventory((["@fake"], {})))
    connector = FakeConnector(state, state.inventory.get_host("@fake"))
    with pytest.raises(ConnectError, match="PYINFRA_FAKE_DELAY is 'soon': give a number of seconds"):
        connector.connect()


def test_command_and_output_are_echoed_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr("pyinfra.api.output._echo", lambda line, **_: lines.append(line))
    monkeypatch.setattr("pyinfra.api.output._formatter", lambda text, *colours, **_: f"{colours}{text}")
    connector = fake(fake_responses={"login": {"stdout": "welcome", "stderr": "late"}})
    run(connector, "login", MaskString("secret"), print_input=True, print_output=True)
    run(connector, "login", MaskString("secret"))
    prefix = connector.host.print_prefix
    assert lines == [f"{prefix}>>> login ***", f"{prefix}welcome", f"{prefix}('red',)late"]


def test_an_upload_goes_nowhere_and_a_download_is_empty(tmp_path: Any) -> None:
    connector = fake()
    target = tmp_path / "downloaded"
    assert connector.put_file(BytesIO(b"x"), "/there") is True
    assert connector.get_file("/there", str(target)) is True
    assert target.read_bytes() == b""
