"""Paths, modes and regular expressions as operations use them."""

from __future__ import annotations

import pytest

from pyinfra.operations.filesystem.modes import has_mode
from pyinfra.operations.util import all_changed, any_changed
from pyinfra.operations.util.files import (
    adjust_regex,
    chmod,
    chown,
    ensure_mode_int,
    sed_delete,
    sed_replace,
    unix_path_join,
)


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        (("home", "user"), "home/user"),
        (("/", "home", "user"), "/home/user"),
        (("/home/", "/user"), "/home/user"),
        (("/home", "user/"), "/home/user/"),
        (("/home//", "//user", ""), "/home/user"),
        (("", "user"), "user"),
        (("~", "a b"), "~/a b"),
    ],
)
def test_paths_are_joined_with_one_slash(parts: tuple[str, ...], path: str) -> None:
    assert unix_path_join(*parts) == path


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("0644", 644),
        ("0o644", 644),
        ("644", 644),
        (644, 644),
        ("1777", 1777),
        ("u+x", "u+x"),
        ("-x", "-x"),
        (None, None),
    ],
)
def test_modes_become_the_digits_that_facts_have(mode: str | int | None, expected: str | int | None) -> None:
    assert ensure_mode_int(mode) == expected


@pytest.mark.parametrize("mode", ["888", 649, "0o798"])
def test_a_mode_with_digits_that_are_not_octal_is_an_error(mode: str | int) -> None:
    with pytest.raises(ValueError, match="non-octal digits"):
        ensure_mode_int(mode)


@pytest.mark.parametrize(
    ("current", "wanted", "expected"),
    [
        (755, "a+x", True),
        (755, "+x", True),
        (644, "+x", False),
        (755, "u=rwx,go=rx", True),
        (755, "go=", False),
        (700, "go=", True),
        (755, "go-w", True),
        (775, "go-w", False),
        (4755, "u+s", True),
        (755, "u+s", False),
        (1777, "+t", True),
        (644, "+X", True),
        (755, "g=u", False),
        (755, "nonsense", False),
    ],
)
def test_a_symbolic_mode_holds_where_it_would_change_nothing(current: int, wanted: str, expected: bool) -> None:
    assert has_mode(current, wanted) is expected


def test_the_conditional_x_is_for_folders() -> None:
    assert not has_mode(644, "a+X", is_directory=True)
    assert has_mode(644, "a+X", is_directory=False)


@pytest.mark.parametrize(
    ("line", "escape", "pattern"),
    [
        ("a", False, "^.*a.*$"),
        ("^a", False, "^a.*$"),
        ("a$", False, "^.*a$"),
        ("a\\$", False, "^.*a\\$.*$"),
        ("a.b*", True, "^.*a\\.b\\*.*$"),
        ("^a$", True, "^.*\\^a\\$.*$"),
    ],
)
def test_a_line_becomes_a_pattern_of_whole_lines(line: str, escape: bool, pattern: str) -> None:
    assert adjust_regex(line, escape) == pattern


def test_commands_are_quoted() -> None:
    assert str(chmod("it's", 644)) == """chmod 644 'it'"'"'s'"""
    assert str(chmod("-x", "u+x; id", recursive=True)) == "chmod -R 'u+x; id' ./-x"
    assert str(chown("~/a b", "me", "us", recursive=True)) == "chown -R me:us ~/'a b'"
    assert str(chown("a", "me", dereference=False)) == "chown -h me a"
    assert str(chown("a", None, "us")) == "chgrp us a"
    with pytest.raises(ValueError, match="no user or group"):
        chown("a")


def test_a_backup_that_is_not_wanted_goes_again() -> None:
    kept, gone = (str(sed_replace("a b", "x", "y", backup=backup)) for backup in (True, False))
    assert "rm -f" not in kept
    assert gone.startswith("sed -i.")
    assert "&& rm -f 'a b." in gone
    assert "'/x\\/y/d'" in str(sed_delete("a", "x/y", ""))


class Operation:
    def __init__(self, changed: bool) -> None:
        self.changed = changed

    def did_change(self) -> bool:
        return self.changed


def test_conditions_ask_operations_when_they_are_asked() -> None:
    one, other = Operation(False), Operation(False)
    any_did, all_did = any_changed(one, other), all_changed(one, other)
    assert (any_did(), all_did()) == (False, False)
    one.changed = True
    assert (any_did(), all_did()) == (True, False)
    other.changed = True
    assert (any_did(), all_did()) == (True, True)
