"""Blocks in files of this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pyinfra.api import OperationValueError
from pyinfra.operations import files
from tests.support.names import AWKWARD_LINES, AWKWARD_NAMES, nothing_to_do, settles
from tests.support.run import Run, connected_run


def block_of(*lines: str) -> str:
    return "".join(f"{line}\n" for line in ("# BEGIN PYINFRA BLOCK", *lines, "# END PYINFRA BLOCK"))


@pytest.mark.parametrize("lines", [["simple"], list(AWKWARD_LINES), ["", "a", "", "b"], ["PYINFRAHERE", "$(id)"]])
def test_a_block_of_any_text_is_added_changed_and_removed(any_run: Run, path: Path, lines: list[str]) -> None:
    settles(any_run, files.block, path=str(path), content=lines)
    assert path.read_text() == "one\ntwo\nthree\n" + block_of(*lines)
    settles(any_run, files.block, path=str(path), content=[*lines, "more"])
    assert path.read_text() == "one\ntwo\nthree\n" + block_of(*lines, "more")
    settles(any_run, files.block, path=str(path), present=False)
    assert path.read_text() == "one\ntwo\nthree\n"


@pytest.mark.parametrize("line", AWKWARD_LINES)
def test_a_block_goes_beside_a_line_of_any_text(run: Run, path: Path, line: str) -> None:
    content = "\n".join(AWKWARD_LINES)
    for where in ("before", "after"):
        path.write_text(f"first\n{line}\nlast\n")
        settles(
            run, files.block, path=str(path), content=content, line=line, escape_regex_characters=True, **{where: True}
        )
        pair = [block_of(*AWKWARD_LINES), f"{line}\n"]
        assert path.read_text() == "".join(["first\n", *(pair if where == "before" else pair[::-1]), "last\n"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, "one\ntwo\nthree\n{}"),
        ({"after": True}, "one\ntwo\nthree\n{}"),
        ({"before": True}, "{}one\ntwo\nthree\n"),
        ({"line": "^t", "before": True}, "one\n{}two\nthree\n"),
        ({"line": "^t", "after": True}, "one\ntwo\n{}three\n"),
        ({"line": "o/p", "after": True}, "one\ntwo\nthree\n{}"),
        ({"line": "(one|two)$", "after": True}, "one\n{}two\nthree\n"),
    ],
)
def test_a_new_block_goes_where_it_should(any_run: Run, path: Path, arguments: dict, expected: str) -> None:
    settles(any_run, files.block, path=str(path), content="x", **arguments)
    assert path.read_text() == expected.format(block_of("x"))


@pytest.mark.parametrize("marker", ["// {mark} it's /this/", "<!-- {mark} (a+b) [c] -->", "-- {mark} $x.*"])
def test_blocks_with_markers_of_their_own_live_side_by_side(any_run: Run, path: Path, marker: str) -> None:
    settles(any_run, files.block, path=str(path), content="default")
    settles(any_run, files.block, path=str(path), content="own", marker=marker, begin="(start)", end="(stop)")
    settles(any_run, files.block, path=str(path), content="changed", marker=marker, begin="(start)", end="(stop)")
    own = [marker.replace("{mark}", "(start)"), "changed", marker.replace("{mark}", "(stop)")]
    assert path.read_text() == "one\ntwo\nthree\n" + block_of("default") + "".join(f"{line}\n" for line in own)
    settles(any_run, files.block, path=str(path), present=False, marker=marker, begin="(start)", end="(stop)")
    assert path.read_text() == "one\ntwo\nthree\n" + block_of("default")


def test_a_block_whose_marker_begins_like_another_s_is_another(any_run: Run, path: Path) -> None:
    for name in ("app2", "app", "my app"):
        settles(any_run, files.block, path=str(path), content=f"of {name}", marker=f"# {{mark}} {name}")
    settles(any_run, files.block, path=str(path), content="new", marker="# {mark} app")
    blocks = {name: f"# BEGIN {name}\n{text}\n# END {name}\n" for name, text in
              (("app2", "of app2"), ("app", "new"), ("my app", "of my app"))}  # fmt: skip
    assert path.read_text() == "one\ntwo\nthree\n" + "".join(blocks.values())
    settles(any_run, files.block, path=str(path), present=False, marker="# {mark} app")
    assert path.read_text() == "one\ntwo\nthree\n" + blocks["app2"] + blocks["my app"]


def test_a_marker_may_have_blanks_around_it_in_the_file(any_run: Run, path: Path) -> None:
    path.write_bytes(b"\t# BEGIN app \r\nold\n  # END app\n")
    settles(any_run, files.block, path=str(path), content="new", marker="# {mark} app")
    assert path.read_bytes() == b"\t# BEGIN app \r\nnew\n  # END app\n"


@pytest.mark.parametrize("arguments", [{"content": "new"}, {"present": False}])
def test_a_block_whose_marker_holds_the_default_one_is_never_taken_for_that(path: Path, arguments: Any) -> None:
    text = "# BEGIN PYINFRA BLOCK 2\nold\n# END PYINFRA BLOCK 2\n"
    path.write_text(text)
    with connected_run() as run, pytest.raises(AssertionError, match="give this one a `marker` that is in no other"):
        run.op(files.block, path=str(path), **arguments)
    assert path.read_text() == text


@pytest.mark.parametrize(("umask", "expected"), [("022", 0o644), ("027", 0o640), ("077", 0o600)])
def test_a_file_that_a_block_makes_has_the_mode_of_all_new_files(
    any_run: Run, path: Path, umask: str, expected: int
) -> None:
    shell = any_run.host.config.SHELL
    wrapper = path.parent / "shell"
    wrapper.write_text(f'#!/bin/sh\numask {umask}\nexec {shell} "$@"\n')
    wrapper.chmod(0o755)
    settles(any_run, files.block, path=str(path.parent / "new"), content="x", _shell_executable=str(wrapper))
    assert (path.parent / "new").stat().st_mode & 0o7777 == expected


@pytest.mark.parametrize("shell", ["sh", "bash", "busybox sh"])
def test_a_block_that_cannot_be_written_leaves_no_temporary_file(tmp_path: Path, shell: str) -> None:
    (tmp_path / "temporary").mkdir()
    settings = {"SHELL": shell, "TEMP_DIR": str(tmp_path / "temporary")}
    with connected_run(**settings) as run, pytest.raises(AssertionError, match="No hosts remaining"):
        run.op(files.block, path=str(tmp_path / "not/there"), content="x")
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_block_makes_its_file_and_keeps_owner_and_mode_of_one(run: Run, path: Path) -> None:
    settles(run, files.block, path=str(path.parent / "new"), content="x\n", line="y", after=True, backup=True)
    assert (path.parent / "new").read_text() == block_of("x")
    path.chmod(0o640)
    settles(run, files.block, path=str(path), content="x", backup=True)
    assert path.stat().st_mode & 0o7777 == 0o640
    (backup,) = path.parent.glob("a file.*")
    assert backup.read_text() == "one\ntwo\nthree\n"


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_blocks_go_into_files_of_any_name(run: Run, tmp_path: Path, name: str) -> None:
    for content in ("one", "two"):
        settles(run, files.block, path=str(tmp_path / name), content=content)
    settles(run, files.block, path=str(tmp_path / name), present=False)
    assert (tmp_path / name).read_text() == ""
    assert os.listdir(tmp_path) == [name]


def test_there_is_no_block_to_remove_where_there_is_no_file(run: Run, tmp_path: Path) -> None:
    nothing_to_do(run, files.block, path=str(tmp_path / "x"), present=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "must be supplied"),
        ({"content": []}, "must be supplied"),
        ({"content": "x", "line": "y"}, "only one of"),
        ({"content": "x\n# END PYINFRA BLOCK"}, "must not contain the block's markers"),
        ({"content": "x", "marker": "# same"}, "block markers must differ"),
        ({"content": "x", "marker": "{mark}\n"}, "must be single lines"),
    ],
)
def test_blocks_that_cannot_work_are_errors(path: Path, arguments: dict, message: str) -> None:
    with connected_run() as run, pytest.raises(OperationValueError, match=message):
        run.op(files.block, path=str(path), **arguments)
