"""What other systems than this one say of files: lines of their programs, and what the facts make of them."""

from __future__ import annotations

from datetime import datetime

import pytest
from freezegun import freeze_time

from pyinfra.facts import files
from pyinfra.facts.util.file_status import parse_file_status

LINK = "user=me group=us mode=lrwxrwxrwx atime=0 mtime=0 ctime=0 size={size} {names}"


@pytest.mark.parametrize(
    ("names", "size", "target"),
    [
        ("'a' -> 'b'", 1, "b"),  # GNU
        ("'a -> b' -> 'c -> d'", 6, "c -> d"),
        ('"it\'s" -> "it\'s"', 4, "it's"),
        ("'a' -> 'new'$'\\n''line'", 8, "new\nline"),
        ("'a' -> 'caf'$'\\303\\251'", 5, "café"),
        ("'a' -> 'it'\\''s \"x\"'", 8, 'it\'s "x"'),
        ("\u2018a\u2019 -> \u2018b c\u2019", 3, "b c"),  # GNU of long ago
        ('"a" -> "it\'s"', 4, "it's"),  # uutils
        ("a -> b", 1, "b"),  # BSD, macOS
        ("a -> b -> c -> d", 6, "c -> d"),
        ("it's -> it's", 4, "it's"),
        ("a -> ünï", 5, "ünï"),
        ("'it's' -> 'it's'", 4, "it's"),  # BusyBox
        ("/proc/self -> 123", 0, "123"),  # links of the kernel have no size
    ],
)
def test_the_target_of_a_link_however_it_is_quoted(names: str, size: int, target: str) -> None:
    status = files.Link().process([LINK.format(names=names, size=size)])
    assert status
    assert status["link_target"] == target


@pytest.mark.parametrize(
    ("line", "mtime"),
    [
        ("-rwsr-sr-t 1 me us 12 Mar  4 2024 x", datetime(2024, 3, 4)),
        ("-rwsr-sr-t 1 me us 12 Mar 14 09:15 x", datetime(2026, 3, 14, 9, 15)),
        ("-rwsr-sr-t. 1 me us 12 4 Mar 09:15 x", datetime(2026, 3, 4, 9, 15)),
        ("-rwsr-sr-t@ 1 me us 12 2024-03-04 09:15 x", datetime(2024, 3, 4, 9, 15)),
        ("-rwsr-sr-t 1 me us 12 Feb 29 09:15 x", None),
        ("-rwsr-sr-t 1 me us 12 Mrz  4 2024 x", None),
    ],
)
@freeze_time("2026-06-01")
def test_a_line_of_ls_will_do(line: str, mtime: datetime | None) -> None:
    expected = {"user": "me", "group": "us", "mode": 7755, "size": 12, "atime": None, "mtime": mtime, "ctime": None}
    assert files.File().process([line]) == expected


def test_a_device_has_numbers_in_place_of_a_size_in_ls() -> None:
    kind, status = parse_file_status(["crw-rw-rw- 1 root root 1,   3 Jan  1  2024 /dev/null"]) or ("", {})
    assert (kind, status["size"]) == ("c", "1,   3")


def test_groups_may_have_blanks_in_their_names() -> None:
    stat = "user=DOM\\me group=domain users mode=-rw-r--r-- atime=1 mtime=2 ctime=3 size=4 'x'"
    ls = "-rw-r--r-- 1 me domain users 4 Jan  1  2024 x"
    for line in (stat, ls):
        status = files.File().process([line])
        assert status
        assert status["group"] == "domain users"


def test_times_that_a_file_system_does_not_have_are_none() -> None:
    status = files.File().process(["user=a group=b mode=-rw-r--r-- atime=- mtime=-5 ctime= size=4 'x'"])
    assert status
    assert (status["atime"], status["mtime"], status["ctime"]) == (None, datetime(1969, 12, 31, 23, 59, 55), None)


@pytest.mark.parametrize("output", [[], ["nonsense"], ["stat: cannot read file"]])
def test_output_that_makes_no_sense_is_no_file(output: list[str]) -> None:
    assert files.File().process(output) is None


@pytest.mark.parametrize("lines", [["\\" + "a" * 40 + "  new\\nline"], ["SHA1 (new", "line) = " + "a" * 40]])
def test_hashes_of_files_with_newlines_in_their_names(lines: list[str]) -> None:
    assert files.Sha1File().process(lines) == "a" * 40


def test_a_line_without_a_hash_is_none() -> None:
    assert files.Sha1File().process(["sha1sum: x: Is a directory"]) is None
    assert files.Sha256File().process(["a" * 40 + "  x"]) is None
