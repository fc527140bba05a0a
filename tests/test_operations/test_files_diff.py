"""Differences of text files, shown while operations are prepared."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pyinfra.api import HiddenValue, MaskString
from pyinfra.api.operation import add_op
from pyinfra.operations import files
from tests.support.run import connected_run

Shown = Callable[..., list[str]]


@contextmanager
def showing(caplog: pytest.LogCaptureFixture, data: dict[str, Any] | None = None, **config: Any) -> Iterator[Shown]:
    """A function that prepares and runs an operation, and returns what was shown."""
    caplog.set_level(logging.INFO, "pyinfra")
    with connected_run(data=data, FACT_CACHE_SECONDS=0, **{"DIFF": True, **config}) as run:

        def shown(operation: Any, **arguments: Any) -> list[str]:
            caplog.clear()
            run.op(operation, **arguments)
            return caplog.messages

        yield shown


@pytest.fixture
def shown(caplog: pytest.LogCaptureFixture) -> Iterator[Shown]:
    with showing(caplog) as shown:
        yield shown


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "made"
    path.write_text("one\ntwo\n")
    path.chmod(0o644)
    return path


def test_an_upload_shows_what_changes_once(shown: Shown, path: Path) -> None:
    expected = [f"[@local] Will modify {path}", "  @@ -1,2 +1,3 @@", "    one", "  - two", "  + 2", "  + three", ""]
    assert shown(files.put, src=io.StringIO("one\n2\nthree\n"), dest=str(path)) == expected
    assert shown(files.put, src=io.StringIO("one\n2\nthree\n"), dest=str(path)) == []


def test_a_template_shows_what_changes(shown: Shown, path: Path) -> None:
    lines = shown(files.template, src=io.StringIO("one\n{{ word }}\n"), dest=str(path), word="2")
    assert lines[1:] == ["  @@ -1,2 +1,2 @@", "    one", "  - two", "  + 2", ""]


def test_a_line_shows_which_go_and_which_come(shown: Shown, path: Path) -> None:
    title = f"[@local] Will modify {path}"
    assert shown(files.line, path=str(path), line="three") == [title, "  + three", ""]
    assert shown(files.line, path=str(path), line="^t", replace="T") == [
        title,
        "  - two",
        "  - three",
        "  + T",
        "  + T",
        "",
    ]
    assert shown(files.line, path=str(path), line="one", present=False) == [title, "  - one", ""]
    assert shown(files.block, path=str(path), content="x") == [title, "  + x", ""]


def test_a_new_file_is_announced_without_its_content(shown: Shown, tmp_path: Path) -> None:
    new = tmp_path / "new"
    assert shown(files.put, src=io.StringIO("x\n"), dest=str(new)) == [f"[@local] Will create {new}"]


def test_a_change_of_the_last_newline_is_one(shown: Shown, path: Path) -> None:
    assert "the end of the last one is not" in shown(files.put, src=io.StringIO("one\ntwo"), dest=str(path))[1]


@pytest.mark.parametrize("content", [b"\0\1", b"\xff\xfe", b"x" * 1_100_000])
def test_binary_and_large_content_is_not_shown(shown: Shown, path: Path, content: bytes) -> None:
    expected = [f"[@local] Will modify {path} (binary or large: no differences shown)"]
    assert shown(files.put, src=io.BytesIO(content), dest=str(path)) == expected
    assert shown(files.put, src=io.StringIO("text"), dest=str(path)) == expected


def test_files_that_only_their_owner_may_read_are_not_shown(shown: Shown, path: Path) -> None:
    expected = [f"[@local] Will modify {path} (only its owner may read it: no differences shown)"]
    assert shown(files.put, src=io.StringIO("x"), dest=str(path), mode="0600") == expected
    assert shown(files.put, src=io.StringIO("y"), dest=str(path)) == expected


def test_secrets_among_the_data_are_masked(caplog: pytest.LogCaptureFixture, path: Path) -> None:
    data = {"token": MaskString("tok-123"), "deep": [{"key": HiddenValue("key-456")}]}
    with showing(caplog, data) as shown:
        text = io.StringIO("{{ password }} {{ host.data.token }} key-456\n")
        lines = shown(files.template, src=text, dest=str(path), password=MaskString("pass-789"))
        assert "  + *** *** ***" in lines
        lines = shown(files.line, path=str(path), line=MaskString("line-000"))
        assert lines[1:] == ["  + ***", ""]
    assert path.read_text() == "pass-789 tok-123 key-456\nline-000\n"


def test_nothing_is_shown_unless_wanted(caplog: pytest.LogCaptureFixture, path: Path) -> None:
    with showing(caplog, DIFF=False) as shown:
        assert shown(files.put, src=io.StringIO("x"), dest=str(path)) == []


def test_differences_are_shown_while_running_where_nothing_was_prepared(
    caplog: pytest.LogCaptureFixture, path: Path
) -> None:
    caplog.set_level(logging.INFO, "pyinfra")
    with connected_run(DIFF=True) as run:
        run.state.check_for_changes = False
        add_op(run.state, files.put, src=io.StringIO("x\n"), dest=str(path))
        assert caplog.messages == []
        run.op(files.line, path=str(path), line="y")
    assert [message for message in caplog.messages if "Will modify" in message] == [f"[@local] Will modify {path}"] * 2
