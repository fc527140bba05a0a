"""Facts about files of this machine, against what Python knows of them."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import socket
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from pyinfra.api import FactValueError
from pyinfra.facts import files
from tests.support.busybox import busybox_path
from tests.support.names import AWKWARD_NAMES
from tests.support.run import Run, connected_run

KINDS = {files.File: "file", files.Directory: "folder", files.Link: "link", files.Socket: "socket"}
HASHES = {files.Sha1File: "sha1", files.Sha256File: "sha256", files.Sha384File: "sha384", files.Md5File: "md5"}


@pytest.fixture(scope="module", params=["sh", "bash", "busybox"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A host with one of several shells, or with BusyBox's programs."""
    settings: dict[str, Any] = {"SHELL": request.param}
    if request.param == "busybox":
        settings = {"SHELL": "busybox sh", "ENV": {"PATH": busybox_path(tmp_path_factory.mktemp("bin"))}}
    with connected_run(**settings) as run:
        yield run


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), timezone.utc).replace(tzinfo=None)


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_the_status_of_a_file_of_any_name(run: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("content")
    path.chmod(0o2750)
    os.utime(path, (1_600_000_000.5, 1_500_000_000))
    status = path.stat()
    assert run.fact(files.File, path=str(path)) == {
        "user": pwd.getpwuid(status.st_uid).pw_name,
        "group": grp.getgrgid(status.st_gid).gr_name,
        "mode": 2750,
        "size": 7,
        "atime": moment(1_600_000_000),
        "mtime": moment(1_500_000_000),
        "ctime": moment(status.st_ctime),
    }


@pytest.mark.parametrize("name", [name for name in AWKWARD_NAMES if not name.startswith("~")])
def test_a_relative_path_is_one_from_the_working_folder(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("line\n")
    folder = {"_chdir": str(tmp_path)}
    assert run.fact(files.File, path=name, **folder)["size"] == 5
    assert run.fact(files.Sha1File, path=name, **folder) == hashlib.sha1(b"line\n").hexdigest()
    assert run.fact(files.FileContents, path=name, **folder) == ["line"]
    assert run.fact(files.FindInFile, path=name, pattern="i", **folder) == ["line"]
    assert run.fact(files.Block, path=name, **folder) == []
    prefix = "./" if name.startswith("-") else ""
    assert run.fact(files.FindFiles, path=name, **folder) == f"{prefix}{name}".split("\n")


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_a_link_says_where_it_points(run: Run, tmp_path: Path, name: str) -> None:
    for number, target in enumerate((name, f"/x/{name}", f"{name}/y")):
        path = tmp_path / f"{name} {number}"
        path.symlink_to(target)
        assert run.fact(files.Link, path=str(path))["link_target"] == target


def test_something_of_another_kind_is_not_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for fact, kind in KINDS.items():
            for name in (*KINDS.values(), "fifo"):
                value = run.fact(fact, path=str(tmp_path / name))
                assert isinstance(value, dict) if name == kind else value is False
            assert run.fact(fact, path=str(tmp_path / "nothing")) is None


def test_a_link_to_nothing_is_a_link(run: Run, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nothing")
    assert run.fact(files.Link, path=str(tmp_path / "link"))["link_target"] == "nothing"
    assert run.fact(files.File, path=str(tmp_path / "link")) is False


def test_a_device_has_a_status_of_no_kind_here(run: Run) -> None:
    assert run.fact(files.File, path="/dev/null") is False


def test_a_tilde_is_the_home_folder_on_the_host(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a folder" / "file").write_text("x\n")
    path = {"path": "~/a folder/file", "_env": {"HOME": str(tmp_path)}}
    assert run.fact(files.File, **path)["size"] == 2
    assert run.fact(files.FileContents, **path) == ["x"]
    assert run.fact(files.FindInFile, **path, pattern="y") == []
    assert run.fact(files.FindFiles, **path) == [f"{tmp_path}/a folder/file"]


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_hashes_of_files_of_any_name(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\0content")
    for fact, kind in HASHES.items():
        # BusyBox has no program for this one
        has_program = kind != "sha384" or run.state.config.SHELL != "busybox sh"
        expected = hashlib.new(kind, b"\0content").hexdigest() if has_program else None
        assert run.fact(fact, path=str(tmp_path / name)) == expected
        assert run.fact(fact, path=str(tmp_path / f"{name}.gone")) is None


def test_there_is_no_hash_of_a_folder(run: Run, tmp_path: Path) -> None:
    assert run.fact(files.Sha1File, path=str(tmp_path)) is None


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_the_content_of_files_of_any_name(run: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    block = "# BEGIN PYINFRA BLOCK\nb 1\n\nb 2\n# END PYINFRA BLOCK\n"
    path.write_text(f"first\n{block}  last  \n")
    assert run.fact(files.FileContents, path=str(path)) == path.read_text().split("\n")[:-1]
    assert run.fact(files.FindInFile, path=str(path), pattern="^[fb]") == ["first", "b 1", "b 2"]
    assert run.fact(files.FindInFile, path=str(path), pattern="nowhere") == []
    assert run.fact(files.Block, path=str(path)) == ["b 1", "", "b 2"]
    assert run.fact(files.Block, path=str(path), marker="// {mark} it's") == []
    for fact, arguments in ((files.FileContents, {}), (files.FindInFile, {"pattern": "x"}), (files.Block, {})):
        assert run.fact(fact, path=str(tmp_path / f"{name}.gone"), **arguments) is None


def test_patterns_reach_grep_as_they_are(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text('it\'s "a" $HOME\n-v\na|b\naab\n')
    path = {"path": str(tmp_path / "file")}
    assert run.fact(files.FindInFile, **path, pattern='it\'s "a" [$]HOME') == ['it\'s "a" $HOME']
    assert run.fact(files.FindInFile, **path, pattern="-v") == ["-v"]
    assert run.fact(files.FindInFile, **path, pattern="a|b") == ["a|b"]
    assert run.fact(files.FindInFile, **path, pattern="^(a|b)+$", extended_regex=True) == ["aab"]
    words = {"_env": {"WORD": "aa"}, "interpolate_variables": True}
    assert run.fact(files.FindInFile, **path, pattern="^${WORD}b", **words) == ["aab"]
    assert run.fact(files.FindInFile, **path, pattern='"a"', **words) == ['it\'s "a" $HOME']


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "a tree"
    (tree / "sub" / "deep").mkdir(parents=True)
    (tree / "Small.txt").write_bytes(b"x" * 10)
    (tree / "sub" / "big.txt").write_bytes(b"x" * 5000)
    (tree / "sub" / "deep" / "it's; $x").touch()
    (tree / "sub" / "link").symlink_to("deep")
    return tree


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({}, ["Small.txt", "sub/big.txt", "sub/deep/it's; $x"]),
        ({"maxdepth": 1}, ["Small.txt"]),
        ({"fname": "*.txt"}, ["Small.txt", "sub/big.txt"]),
        ({"fname": "it's; $x"}, ["sub/deep/it's; $x"]),
        ({"iname": "small*"}, ["Small.txt"]),
        ({"regex": ".*/sub/b.*"}, ["sub/big.txt"]),
        ({"path_match": "*/sub/*"}, ["sub/big.txt", "sub/deep/it's; $x"]),
        ({"size": 10}, ["Small.txt"]),
        ({"size": "5kB"}, ["sub/big.txt"]),
        ({"min_size": "4KiB"}, ["sub/big.txt"]),
        ({"max_size": "0.01kB"}, ["sub/deep/it's; $x"]),
        ({"min_size": 0, "max_size": "1M"}, ["Small.txt", "sub/big.txt"]),
        ({"args": ["-name", "S*"]}, ["Small.txt"]),
    ],
)
def test_files_are_found_by_what_they_are(run: Run, tree: Path, arguments: dict, found: list[str]) -> None:
    assert sorted(run.fact(files.FindFiles, path=str(tree), **arguments)) == [f"{tree}/{name}" for name in found]


def test_links_and_folders_are_found_too(run: Run, tree: Path) -> None:
    assert run.fact(files.FindLinks, path=str(tree)) == [f"{tree}/sub/link"]
    folders = [f"{tree}", f"{tree}/sub", f"{tree}/sub/deep"]
    assert sorted(run.fact(files.FindDirectories, path=str(tree))) == folders
    assert run.fact(files.FindFiles, path=f"{tree}/nowhere") == []


def test_the_shell_expands_patterns_in_a_path_that_is_not_quoted(run: Run, tree: Path) -> None:
    pattern = str(tree).replace(" ", "?") + "/S*"
    assert run.fact(files.FindFiles, path=pattern) == []
    assert run.fact(files.FindFiles, path=pattern, quote_path=False) == [f"{tree}/Small.txt"]


def test_a_size_that_is_none_is_an_error() -> None:
    with pytest.raises(FactValueError, match="not a size: 'huge'"):
        files.FindFiles().command(path="/", size="huge")


def test_markers_that_cannot_work_are_an_error() -> None:
    with pytest.raises(FactValueError, match="block markers must differ"):
        files.Block().command(path="/x", marker="# same")


@pytest.mark.parametrize("target", ["a group=b mode=-rw-r--r-- atime=1 mtime=1 ctime=1 size=4 z", "user=x group=y"])
def test_a_link_is_what_it_is_whatever_its_target_says(run: Run, tmp_path: Path, target: str) -> None:
    (tmp_path / "link").symlink_to(target)
    assert run.fact(files.File, path=str(tmp_path / "link")) is False
    assert run.fact(files.Link, path=str(tmp_path / "link"))["link_target"] == target


def test_a_time_after_all_years_is_none() -> None:
    line = "user=root group=root mode=-rw-r--r-- atime=1 mtime=300000000000 ctime=99999999999999999999 size=4 'it'"
    status = files.File().process([line])
    assert status is not None
    assert status is not False
    assert (status["mtime"], status["ctime"]) == (None, None)
    assert status["atime"] == datetime(1970, 1, 1, 0, 0, 1)
