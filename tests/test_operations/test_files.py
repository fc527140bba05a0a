"""Files, folders and links, made, changed and removed on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyinfra.api import OperationError, OperationTypeError, OperationValueError
from pyinfra.operations import files
from tests.support.names import AWKWARD_NAMES, nothing_to_do, settles
from tests.support.run import Run, connected_run

IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root gives files away")


def mode(path: Path) -> str:
    return f"{path.lstat().st_mode & 0o7777:o}"


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_a_file_of_any_name_is_made_and_removed(run: Run, tmp_path: Path, name: str) -> None:
    settles(run, files.file, path=str(tmp_path / name), mode="640")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    settles(run, files.file, path=str(tmp_path / name), present=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [name for name in AWKWARD_NAMES if not name.startswith("~")])
def test_a_relative_path_is_never_taken_for_an_option(run: Run, tmp_path: Path, name: str) -> None:
    for operation in (files.file, files.directory):
        settles(run, operation, path=name, mode="750", _chdir=str(tmp_path))
        assert [path.name for path in tmp_path.iterdir()] == [name]
        settles(run, operation, path=name, present=False, _chdir=str(tmp_path))
        assert list(tmp_path.iterdir()) == []


def test_a_path_in_the_home_folder_is_that_of_the_user_on_the_host(run: Run, tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path)}
    settles(run, files.file, path="~/a folder/file", _env=environment)
    settles(run, files.directory, path="~/sub", _env=environment)
    settles(run, files.link, path="~/link", target="~/sub", _env=environment)
    assert (tmp_path / "a folder" / "file").read_text() == ""
    assert os.readlink(tmp_path / "link") == str(tmp_path / "sub")


def test_missing_folders_above_are_made_unless_they_should_not(run: Run, tmp_path: Path) -> None:
    settles(run, files.file, path=str(tmp_path / "a/b/file"))
    settles(run, files.directory, path=str(tmp_path / "c/d/e"))
    settles(run, files.link, path=str(tmp_path / "f/g/link"), target="nowhere")
    assert (tmp_path / "c/d/e").is_dir()
    for operation, arguments in ((files.file, {}), (files.link, {"target": "x"})):
        with pytest.raises(Exception, match="No hosts remaining"), connected_run() as other:
            other.op(operation, path=str(tmp_path / "not/there"), create_remote_dir=False, **arguments)
    assert not (tmp_path / "not").exists()


def test_a_folder_that_is_a_link_will_do_as_the_place_for_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    settles(run, files.file, path=str(tmp_path / "link/file"))
    assert (tmp_path / "real/file").exists()


def test_a_path_object_is_as_good_as_text(run: Run, tmp_path: Path) -> None:
    settles(run, files.file, path=tmp_path / "file")
    settles(run, files.link, path=tmp_path / "link", target=tmp_path / "file")


@pytest.mark.parametrize("wanted", [600, "0600", "0o600", "u=rw,go=", "go-rwx", "a-x,g-r,o="])
def test_a_mode_may_be_written_in_all_the_ways_of_chmod(run: Run, tmp_path: Path, wanted: int | str) -> None:
    path = tmp_path / "file"
    path.touch(mode=0o644)
    settles(run, files.file, path=str(path), mode=wanted)
    assert mode(path) == "600"


def test_a_mode_that_adds_is_content_with_more(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch(mode=0o755)
    nothing_to_do(run, files.file, path=str(path), mode="+x")
    nothing_to_do(run, files.file, path=str(path), mode="u+rwx,go+rX")
    settles(run, files.file, path=str(path), mode="u+s,+t")
    assert mode(path) == "5755"


def test_the_set_group_bit_that_a_folder_has_from_above_is_no_difference(run: Run, tmp_path: Path) -> None:
    tmp_path.chmod(0o2755)
    path = tmp_path / "folder"
    settles(run, files.directory, path=str(path), mode="750")
    assert mode(path) == "2750"
    settles(run, files.directory, path=str(path), mode="1770")
    assert mode(path) in ("1770", "3770")


@needs_root
def test_owner_and_group_are_set_where_they_differ(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a file"
    path.touch()
    settles(run, files.file, path=str(path), user="daemon")
    settles(run, files.file, path=str(path), group="daemon")
    settles(run, files.file, path=str(path), user="root", group="root")
    settles(run, files.directory, path=str(tmp_path / "d"), user="daemon", group="daemon")
    settles(run, files.link, path=str(tmp_path / "l"), target=str(path), user="daemon")
    assert os.lstat(tmp_path / "l").st_uid != 0
    assert path.owner() == "root"


@needs_root
def test_a_folder_s_owner_and_mode_reach_what_is_in_it_when_asked_for(run: Run, tmp_path: Path) -> None:
    inner = tmp_path / "folder" / "inner"
    inner.mkdir(parents=True)
    settles(run, files.directory, path=str(tmp_path / "folder"), user="daemon", mode="700", recursive=True)
    assert inner.owner() == "daemon"
    assert mode(inner) == "700"


def test_touching_a_file_changes_it_each_time(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    os.utime(path, (0, 0))
    assert run.op(files.file, path=str(path), touch=True).did_change()
    assert path.stat().st_mtime > 0
    assert run.op(files.file, path=str(path), touch=True).did_change()


def make(kind: str, path: Path) -> None:
    """Put something of a kind at a path."""
    if kind == "file":
        path.write_text("old")
    elif kind == "directory":
        path.mkdir()
        (path / "inside").touch()
    elif kind == "link":
        path.symlink_to("old target")
    else:
        os.mkfifo(path)


OBSTACLES = [
    (kind, other)
    for kind in ("file", "directory", "link")
    for other in ("file", "directory", "link", "fifo")
    if kind != other
]


def arguments_for(kind: str) -> dict[str, str]:
    return {"target": "new target"} if kind == "link" else {}


@pytest.mark.parametrize(("kind", "other"), OBSTACLES)
def test_something_else_at_the_path_is_an_error_that_leaves_it(tmp_path: Path, kind: str, other: str) -> None:
    path = tmp_path / "it"
    make(other, path)
    before = path.lstat()
    for arguments in (arguments_for(kind), {"present": False}):
        with connected_run() as run, pytest.raises(OperationError, match=f"it exists and is not a {kind}"):
            run.op(getattr(files, kind), path=str(path), **arguments)
    assert path.lstat() == before


@pytest.mark.parametrize(("kind", "other"), OBSTACLES)
def test_something_else_at_the_path_makes_way_if_forced(run: Run, tmp_path: Path, kind: str, other: str) -> None:
    path = tmp_path / "folder" / "it's"
    path.parent.mkdir()
    backups = tmp_path / "new one" / "backups"
    operation, arguments = getattr(files, kind), arguments_for(kind)
    make(other, path)
    settles(run, operation, path=str(path), force=True, **arguments)
    assert len(list(path.parent.glob("it's.*"))) == 1

    run.op(operation, path=str(path), present=False)
    make(other, path)
    settles(run, operation, path=str(path), force=True, force_backup_dir=str(backups), **arguments)
    assert len(list(backups.glob("it's.*"))) == 1

    run.op(operation, path=str(path), present=False)
    make(other, path)
    settles(run, operation, path=str(path), force=True, force_backup=False, **arguments)
    assert len(list(path.parent.iterdir())) == 2


def test_a_folder_for_what_makes_way_that_cannot_be_made_is_an_error_that_leaves_it(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.mkdir()
    (tmp_path / "no folder").touch()
    with connected_run() as run, pytest.raises(AssertionError, match=r"no folder/backups.*Not a directory"):
        run.op(files.file, path=str(path), force=True, force_backup_dir=tmp_path / "no folder" / "backups")
    assert path.is_dir()


def test_a_folder_goes_with_all_in_it_whatever_its_path_ends_with(run: Run, tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "file").touch()
    settles(run, files.directory, path=f"{tmp_path}/folder/", present=False)
    assert list(tmp_path.iterdir()) == []


def test_removing_a_link_leaves_its_target(run: Run, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    settles(run, files.link, path=f"{tmp_path}/link/", present=False)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_a_link_of_any_name_points_to_any_target(run: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for target in (f"{tmp_path}/{name} 1", f"x/{name}", name if name[0] != "~" else "plain"):
        settles(run, files.link, path=str(path), target=target)
        assert os.readlink(path) == target


def test_a_link_moves_from_folder_to_folder(run: Run, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        settles(run, files.link, path=str(tmp_path / "current"), target=str(tmp_path / name))
    assert os.readlink(tmp_path / "current") == str(tmp_path / "two")
    assert list((tmp_path / "one").iterdir()) == []


def test_a_hard_link_is_the_file_itself(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "the target"
    target.write_text("content")
    settles(run, files.link, path=str(tmp_path / "a link"), target=str(target), symbolic=False)
    assert (tmp_path / "a link").samefile(target)
    (tmp_path / "other").touch()
    with connected_run() as other, pytest.raises(OperationError, match="exists and is not a link"):
        other.op(files.link, path=str(tmp_path / "other"), target=str(target), symbolic=False)


@pytest.mark.parametrize("name", ["with blanks", "-rf", "new\nline", "ünïcødé"])
def test_moving_takes_a_file_link_or_folder_into_a_folder(run: Run, tmp_path: Path, name: str) -> None:
    for kind in ("file", "directory", "link"):
        (tmp_path / f"to {kind}").mkdir()
        make(kind, tmp_path / name)
        settles(run, files.move, src=str(tmp_path / name), dest=str(tmp_path / f"to {kind}"))
        assert not os.path.lexists(tmp_path / name)
        assert os.path.lexists(tmp_path / f"to {kind}" / name)


def test_moving_over_something_needs_leave(run: Run, tmp_path: Path) -> None:
    for name in ("src", "dest/src"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / name[:3]).touch()
    with connected_run() as other, pytest.raises(OperationError, match="`overwrite` is unset"):
        other.op(files.move, src=str(tmp_path / "src"), dest=str(tmp_path / "dest"))
    settles(run, files.move, src=f"{tmp_path}/src/", dest=f"{tmp_path}/dest/", overwrite=True)
    assert [path.name for path in (tmp_path / "dest" / "src").iterdir()] == ["src"]


def test_moving_a_file_over_itself_leaves_it(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "file").write_text("x")
    (tmp_path / "link").symlink_to("a folder")
    for src, dest in ((folder, folder), (tmp_path / "link", folder), (folder, tmp_path / "link")):
        nothing_to_do(run, files.move, src=str(src / "file"), dest=str(dest), overwrite=True)
    nothing_to_do(run, files.move, src="file", dest=".", overwrite=True, _chdir=str(folder))
    assert (folder / "file").read_text() == "x"


@pytest.mark.parametrize(
    ("src", "dest", "message"),
    [
        ("x/y/x", ".", r"src .*x/y/x is in .*x, which would have to be removed"),
        ("link/x", ".", r"src .*link/x is in .*x, which would have to be removed"),
        ("x", "x/y", r"dest .*x/y is in src .*x, which cannot be moved into itself"),
        ("to it/z", ".", r"src .*to it/z is a symbolic link to .*z"),
    ],
)
def test_nothing_is_removed_with_which_that_would_go_which_is_to_be_moved(
    tmp_path: Path, src: str, dest: str, message: str
) -> None:
    (tmp_path / "x/y/x").mkdir(parents=True)
    (tmp_path / "link").symlink_to("x/y")
    (tmp_path / "z").write_text("z")
    (tmp_path / "to it").mkdir()
    (tmp_path / "to it/z").symlink_to("../z")
    with connected_run() as run, pytest.raises(OperationError, match=message):
        run.op(files.move, src=str(tmp_path / src), dest=str(tmp_path / dest), overwrite=True)
    assert (tmp_path / "x/y/x").is_dir()
    assert (tmp_path / "z").read_text() == "z"


def test_moving_needs_something_to_move_and_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with connected_run() as run, pytest.raises(OperationError, match=r"src .*/nothing does not exist"):
        run.op(files.move, src=str(tmp_path / "nothing"), dest=str(tmp_path))
    with connected_run() as run, pytest.raises(OperationError, match=r"dest .*/x is not an existing directory"):
        run.op(files.move, src=str(tmp_path / "file"), dest=str(tmp_path / "x"))


@pytest.mark.parametrize("name", ["with blanks", "-rf", "ünïcødé"])
def test_a_copy_is_made_where_there_is_none_like_it(run: Run, tmp_path: Path, name: str) -> None:
    for kind in ("file", "directory", "link"):
        source, dest = tmp_path / kind / name, tmp_path / f"to {kind}"
        source.parent.mkdir()
        dest.mkdir()
        make(kind, source)
        settles(run, files.copy, src=str(source), dest=str(dest))
        assert os.path.lexists(source)
        assert os.path.lexists(dest / name)


def test_a_copy_over_something_that_differs_needs_leave(run: Run, tmp_path: Path) -> None:
    for name in ("src", "dest/src"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub/same").write_text("same")
        (tmp_path / name / "sub/file").write_text(name)
    with connected_run() as other, pytest.raises(OperationError, match="already exists and is different than src"):
        other.op(files.copy, src=str(tmp_path / "src"), dest=str(tmp_path / "dest"))
    settles(run, files.copy, src=str(tmp_path / "src"), dest=str(tmp_path / "dest"), overwrite=True)
    assert (tmp_path / "dest/src/sub/file").read_text() == "src"


def test_a_folder_that_is_a_link_will_do_as_the_place_to_copy_to(run: Run, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "file").write_text("x")
    settles(run, files.copy, src=str(tmp_path / "file"), dest=str(tmp_path / "link"))
    assert (tmp_path / "real/file").exists()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"path": 5}, OperationTypeError, "must be a string or `os.PathLike`"),
        ({"path": ""}, OperationValueError, "is no path: ''"),
        ({"path": "a\0b"}, OperationValueError, "is no path"),
        ({"path": "x", "mode": "689"}, OperationValueError, "non-octal digits"),
    ],
)
def test_wrong_arguments_say_what_is_wrong(arguments: dict, error: type[Exception], message: str) -> None:
    for operation in (files.file, files.directory):
        with connected_run() as run, pytest.raises(error, match=message):
            run.op(operation, **arguments)


def test_flags_are_set_and_cleared_where_they_differ() -> None:
    answers = {"command -v chflags": "uchg,dump"}
    with connected_run("@fake/mac", {"fake_responses": answers, "fake_delay": 0, "fake_delay_jitter": 0}) as run:
        run.op(files.flags, path="/a file", flags=["uchg", "hidden"])
        run.op(files.flags, path="/a file", flags="dump", present=False)
        nothing_to_do(run, files.flags, path="/a file", flags=["dump"])
        nothing_to_do(run, files.flags, path="/a file")
        commands = [str(command) for command in run.host.connector.executed_commands]
    assert [command for command in commands if command.startswith("chflags")] == [
        "chflags hidden '/a file'",
        "chflags nodump '/a file'",
    ]
