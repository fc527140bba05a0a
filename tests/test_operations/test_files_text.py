"""Lines and texts in files of this machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import pyinfra
from pyinfra.api import OperationTypeError, OperationValueError
from pyinfra.api.connect import on_hosts
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.local import run_deploy_file
from pyinfra.operations import files
from tests.support.engine import Engine
from tests.support.names import AWKWARD_LINES, AWKWARD_NAMES, nothing_to_do, settles
from tests.support.run import Run, connected_run


@pytest.mark.parametrize("line", AWKWARD_LINES)
def test_a_line_of_any_text_is_added_and_removed(any_run: Run, path: Path, line: str) -> None:
    arguments = {"path": str(path), "line": line, "escape_regex_characters": True}
    settles(any_run, files.line, **arguments)
    assert path.read_text() == f"one\ntwo\nthree\n{line}\n"
    settles(any_run, files.line, **arguments, present=False)
    assert path.read_text() == "one\ntwo\nthree\n"


@pytest.mark.parametrize("line", AWKWARD_LINES)
def test_plain_text_is_plain_text_in_the_extended_syntax_too(any_run: Run, path: Path, line: str) -> None:
    arguments = {"path": str(path), "line": line, "escape_regex_characters": True, "extended_regex": True}
    settles(any_run, files.line, **arguments)
    settles(any_run, files.line, **arguments, present=False)
    assert path.read_text() == "one\ntwo\nthree\n"


@pytest.mark.parametrize("line", AWKWARD_LINES)
def test_a_line_of_any_text_takes_another_s_place(any_run: Run, path: Path, line: str) -> None:
    settles(any_run, files.line, path=str(path), line="^tw", replace=line)
    assert path.read_text() == f"one\n{line}\nthree\n"


@pytest.mark.parametrize("line", AWKWARD_LINES)
@pytest.mark.parametrize("extended", [False, True])
def test_a_line_that_is_there_already_is_not_added_for_want_of_a_match(
    run: Run, path: Path, line: str, extended: bool
) -> None:
    settles(run, files.line, path=str(path), line="^nowhere$", replace=line, extended_regex=extended)
    assert path.read_text() == f"one\ntwo\nthree\n{line}\n"


@pytest.mark.parametrize("line", ["a[1]=2", "^x", "back\\slash", "(x)+", "$HOME"])
@pytest.mark.parametrize("extended", [False, True])
def test_a_line_that_is_a_regular_expression_of_other_text_is_added_once(
    any_run: Run, path: Path, line: str, extended: bool
) -> None:
    settles(any_run, files.line, path=str(path), line=line, extended_regex=extended)
    assert path.read_text() == f"one\ntwo\nthree\n{line}\n"


def test_the_newline_at_the_end_of_a_line_is_no_part_of_it(run: Run, path: Path) -> None:
    settles(run, files.line, path=str(path), line="foo\n")
    settles(run, files.line, path=str(path), line="^tw", replace="2\n")
    settles(run, files.line, path=str(path), line="one\n", present=False)
    assert path.read_text() == "2\nthree\nfoo\n"


@pytest.mark.parametrize("arguments", [{"line": "a\nb"}, {"line": "one", "replace": "port=1\nhost=2"}])
def test_several_lines_are_no_line(run: Run, path: Path, arguments: dict[str, str]) -> None:
    with pytest.raises(OperationValueError, match=r"must be one line, not .*: files\.block has several"):
        run.op(files.line, path=str(path), **arguments)


@pytest.mark.parametrize("pattern", ["[x", "a\\(b", "x\\{2", "a[z-a]"])
def test_a_pattern_that_the_host_does_not_take_is_an_error(any_run: Run, path: Path, pattern: str) -> None:
    for operation, arguments in (
        (files.line, {"line": pattern}),
        (files.line, {"line": pattern, "present": False}),
        (files.replace, {"text": pattern, "replace": "x"}),
    ):
        with pytest.raises(OperationValueError, match=f"{re.escape(repr(pattern)[1:-1])}.* is no regular expression"):
            any_run.op(operation, path=str(path), **arguments)
    assert path.read_text() == "one\ntwo\nthree\n"


def test_a_pattern_in_the_extended_syntax_that_the_host_does_not_take_is_an_error(run: Run, path: Path) -> None:
    with pytest.raises(OperationValueError, match=r"'a\(b' is no regular expression"):
        run.op(files.replace, path=str(path), text="a(b", replace="x", extended_regex=True)


def test_a_replacement_with_groups_is_nothing_to_add_where_none_match(run: Run, path: Path) -> None:
    nothing_to_do(run, files.line, path=str(path), line="^\\(x\\)y", replace="\\1z")
    nothing_to_do(run, files.line, path=str(path), line="^(x)y", replace="z\\1", extended_regex=True)
    assert path.read_text() == "one\ntwo\nthree\n"
    settles(run, files.line, path=str(path), line="^nowhere", replace="no \\1 group")
    assert path.read_text() == "one\ntwo\nthree\nno \\1 group\n"


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_lines_go_into_files_of_any_name(run: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    settles(run, files.line, path=str(path), line="a=1")
    settles(run, files.line, path=str(path), line="^a=", replace="a=2")
    settles(run, files.replace, path=str(path), text="2", replace="3", backup=True)
    settles(run, files.line, path=str(path), line="b")
    settles(run, files.line, path=str(path), line="a", present=False)
    assert path.read_text() == "b\n"
    (backup,) = set(tmp_path.iterdir()) - {path}
    assert backup.read_text() == "a=2\n"
    assert backup.name.startswith(f"{name}.")


@pytest.mark.parametrize("name", [name for name in AWKWARD_NAMES if not name.startswith("~")])
def test_lines_and_blocks_go_into_relative_files_of_any_name(run: Run, tmp_path: Path, name: str) -> None:
    settles(run, files.line, path=name, line="a", _chdir=str(tmp_path))
    settles(run, files.block, path=name, content="b", _chdir=str(tmp_path))
    settles(run, files.block, path=name, content="c", _chdir=str(tmp_path))
    assert (tmp_path / name).read_text() == "a\n# BEGIN PYINFRA BLOCK\nc\n# END PYINFRA BLOCK\n"


def test_a_backup_of_a_file_that_is_not_there_is_none(run: Run, tmp_path: Path) -> None:
    settles(run, files.line, path=str(tmp_path / "new"), line="x", backup=True)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_adding_a_line_keeps_the_file_as_it_was_if_asked_to(run: Run, path: Path) -> None:
    settles(run, files.line, path=str(path), line="four", backup=True)
    (backup,) = set(path.parent.iterdir()) - {path}
    assert backup.read_text() == "one\ntwo\nthree\n"


@pytest.mark.parametrize("before", ["", "x", "x\n"])
def test_a_new_line_begins_on_its_own_if_asked_to(any_run: Run, path: Path, before: str) -> None:
    path.write_text(before)
    settles(any_run, files.line, path=str(path), line="y", ensure_newline=True)
    assert path.read_text() == ("x\ny\n" if before else "y\n")


def test_the_shell_expands_variables_if_asked_to(any_run: Run, path: Path) -> None:
    arguments = {"path": str(path), "interpolate_variables": True, "_env": {"WORD": "some value"}}
    settles(any_run, files.line, line='a "$WORD"', **arguments)
    assert path.read_text().endswith('three\na "some value"\n')
    any_run.op(files.line, line="^a", replace='b "$WORD" & more', **arguments)
    assert path.read_text().endswith('three\nb "some value" & more\n')
    settles(any_run, files.replace, text="some $WORD", replace="x", path=str(path), interpolate_variables=True,
            _env={"WORD": "value"})  # fmt: skip
    assert path.read_text().endswith('three\nb "x" & more\n')


# What sed, or the shell in double quotes, takes for its own
AWKWARD_VALUES = ("/usr/bin:/bin", "a&b", "a\\1\\b\\", "one\nother", 'it\'s "x" `y` $z', "*", "", "\\/")


@pytest.mark.parametrize("value", AWKWARD_VALUES)
def test_the_values_of_variables_are_text_in_a_replacement(any_run: Run, path: Path, value: str) -> None:
    arguments = {"path": str(path), "interpolate_variables": True, "_env": {"VALUE": value}}
    text = "\\1=$VALUE/${VALUE:-}&`printf %s /x`$(printf %s '(a/b)')\\$"
    any_run.op(files.line, line="^\\(tw\\)o$", replace=text, **arguments)
    assert path.read_text() == f"one\ntw={value}/{value}&/x(a/b)$\nthree\n"
    any_run.op(files.replace, text="^one$", replace="$VALUE", **arguments)
    assert path.read_text().startswith(f"{value}\ntw=")


def test_the_values_of_variables_are_a_part_of_the_pattern_that_is_replaced(any_run: Run, path: Path) -> None:
    path.write_text("a/b/c\n/usr/bin\n")
    arguments = {"path": str(path), "interpolate_variables": True, "_env": {"OLD": "a/[b]", "NEW": "x/y"}}
    any_run.op(files.replace, text="$OLD/c", replace="/$NEW/\\/&", **arguments)
    assert path.read_text() == "/x/y//&\n/usr/bin\n"
    settles(any_run, files.line, line="^$OLD$", present=False, **{**arguments, "_env": {"OLD": "/usr/[a-z]*"}})
    assert path.read_text() == "/x/y//&\n"


def test_text_in_double_quotes_cannot_leave_them(run: Run, path: Path) -> None:
    for text in ('"; touch x; "', '\\"; touch x; "', "ends with \\"):
        run.op(files.line, path=str(path), line=text, interpolate_variables=True, _chdir=str(path.parent))
    assert [each.name for each in path.parent.iterdir()] == ["a file"]


def test_all_lines_that_match_are_replaced(run: Run, path: Path) -> None:
    settles(run, files.line, path=str(path), line="^t.*", replace="T")
    assert path.read_text() == "one\nT\nT\n"


def test_groups_can_be_used_in_a_replacement(any_run: Run, path: Path) -> None:
    any_run.op(files.line, path=str(path), line="^(t)(w)o$", replace="\\2-\\1", extended_regex=True)
    any_run.op(files.replace, path=str(path), text="\\(n\\)e", replace="e\\1/&")
    assert path.read_text() == "oen/&\nw-t\nthree\n"


def test_flags_say_how_often_text_is_replaced(run: Run, path: Path) -> None:
    path.write_text("a A a\n")
    settles(run, files.replace, path=str(path), text="a", replace="b", flags=["g", "I"])
    assert path.read_text() == "b b b\n"


def test_text_is_replaced_by_several_lines(any_run: Run, path: Path) -> None:
    settles(any_run, files.replace, path=str(path), text="^two$", replace="2\n2a/b\\/c")
    assert path.read_text() == "one\n2\n2a/b/c\nthree\n"


@pytest.mark.parametrize("text", ["a/b", "a\\/b", "[/]"])
def test_a_pattern_may_hold_slashes(any_run: Run, path: Path, text: str) -> None:
    path.write_text("a/b\n")
    settles(any_run, files.replace, path=str(path), text=text, replace="x")
    assert "x" in path.read_text()


def test_a_replacement_leaves_owner_and_mode_and_no_other_file(run: Run, path: Path) -> None:
    path.chmod(0o604)
    settles(run, files.replace, path=str(path), text="one", replace="1")
    assert path.stat().st_mode & 0o7777 == 0o604
    assert list(path.parent.iterdir()) == [path]


def _changes() -> list[tuple[Any, dict[str, Any], str]]:
    """Operations on a file of the lines one, two, three, and what is in it after each."""
    marked = "# BEGIN PYINFRA BLOCK\n{}\n# END PYINFRA BLOCK\n"
    return [
        (files.line, {"line": "^two$", "replace": "2"}, "one\n2\nthree\n"),
        (files.line, {"line": "^2$", "present": False}, "one\nthree\n"),
        (files.replace, {"text": "e$", "replace": "E"}, "onE\nthreE\n"),
        (files.block, {"content": "x"}, "onE\nthreE\n" + marked.format("x")),
        (files.block, {"content": "y"}, "onE\nthreE\n" + marked.format("y")),
        (files.block, {"present": False}, "onE\nthreE\n"),
        (files.block, {"content": "x", "line": "thr", "before": True}, "onE\n" + marked.format("x") + "threE\n"),
    ]


@pytest.mark.parametrize("target", ["a file", "./a file", "other", "{folder}/a file"])
def test_a_symbolic_link_stays_one_and_what_it_leads_to_changes(any_run: Run, path: Path, target: str) -> None:
    folder = path.parent
    path.chmod(0o604)
    (folder / "links").mkdir()
    (folder / "other").symlink_to("a file")
    link = folder / "link"
    link.symlink_to(target.format(folder=folder))
    for operation, arguments, expected in _changes():
        settles(any_run, operation, path=str(link), **arguments)
        assert path.read_text() == expected
        assert link.is_symlink()
    assert path.stat().st_mode & 0o7777 == 0o604
    assert {each.name for each in folder.iterdir()} == {"a file", "link", "links", "other"}


def test_a_link_is_followed_by_the_user_and_in_the_folder_of_the_operation(run: Run, path: Path) -> None:
    (path.parent / "link").symlink_to("a file")
    for operation, arguments, expected in _changes():
        settles(run, operation, path="link", **arguments, _chdir=str(path.parent), _stdin="not for facts")
        assert path.read_text() == expected
    assert (path.parent / "link").is_symlink()


def test_a_link_is_followed_by_the_settings_of_the_deploy_file(
    run: Run, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path.parent / "link").symlink_to("a file")
    deploy = tmp_path / "deploy.py"
    deploy.write_text(
        "from pyinfra import config\nfrom pyinfra.operations import files\nconfig.SHELL = None\n"
        f"files.replace(path='{path.parent}/link', text='two', replace='2')\n"
    )
    monkeypatch.setattr(pyinfra, "is_cli", True)
    on_hosts(run.state, None, lambda: run_deploy_file(run.host, str(deploy)))
    run_ops(run.state)
    assert path.read_text() == "one\n2\nthree\n"


def test_a_backup_is_beside_what_a_link_leads_to(run: Run, path: Path) -> None:
    (path.parent / "links").mkdir()
    link = path.parent / "links" / "link"
    link.symlink_to("../a file")
    settles(run, files.replace, path=str(link), text="two", replace="2", backup=True)
    settles(run, files.block, path=str(link), content="x", backup=True)
    assert sorted(each.read_text() for each in path.parent.glob("a file.*")) == ["one\n2\nthree\n", "one\ntwo\nthree\n"]
    assert [each.name for each in link.parent.iterdir()] == ["link"]


def test_a_link_that_leads_to_itself_is_an_error(run: Run, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("link")
    meta = add_op(run.state, files.block, path=str(link), content="x", _ignore_errors=True)[run.host]
    run_ops(run.state)
    assert not meta.did_succeed()
    assert link.is_symlink()


def test_lines_of_a_file_with_nul_bytes_are_found_too(any_run: Run, path: Path) -> None:
    path.write_bytes(b"\xff\xfe\0bin\n")
    settles(any_run, files.line, path=str(path), line="x")
    assert path.read_bytes() == b"\xff\xfe\0bin\nx\n"
    settles(any_run, files.line, path=str(path), line="^x$", replace="y")
    settles(any_run, files.line, path=str(path), line="^nowhere$", replace="z", extended_regex=True)
    settles(any_run, files.replace, path=str(path), text="y", replace="Y")
    assert path.read_bytes() == b"\xff\xfe\0bin\nY\nz\n"
    settles(any_run, files.line, path=str(path), line="^z$", present=False)
    assert path.read_bytes() == b"\xff\xfe\0bin\nY\n"


@pytest.mark.parametrize("said", ["Binary file /f matches", None])
def test_a_grep_that_only_says_that_a_file_matches_is_asked_for_the_lines(said: str | None) -> None:
    asked = "grep -e '^.*x.*$' /f 2> /dev/null"
    rest = "( find /f -type f > /dev/null && echo __pyinfra_exists_/f || true )"
    script = {f"{asked} || {rest}": said, f"{asked.replace('grep', 'grep -a')} || {asked} || {rest}": "an x"}
    engine = Engine(script=script)
    assert not engine.add(files.line, path="/f", line="x").will_change
    assert engine.calls() == list(script)


def test_replacing_needs_texts(path: Path) -> None:
    for arguments in ({"replace": "x"}, {"text": "x"}, {"text": "", "replace": "x"}):
        with connected_run() as run, pytest.raises(OperationTypeError, match="must be a text"):
            run.op(files.replace, path=str(path), **arguments)
    for arguments in ({"line": ""}, {"line": "\n", "present": False}, {"line": 5}, {"line": "x", "replace": 5}):
        with connected_run() as run, pytest.raises(OperationTypeError, match="` must be a text"):
            run.op(files.line, path=str(path), **arguments)
