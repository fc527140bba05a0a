"""Files put on and fetched from this machine, templates, folders, archives and moves by rsync."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import IO, Any

import pytest

from pyinfra.api import OperationError, OperationTypeError, OperationValueError
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.operations import files
from tests.support.busybox import busybox_path
from tests.support.names import AWKWARD_NAMES, nothing_to_do, settles
from tests.support.run import Run, connected_run


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """A run that works in a local folder of its own, ``local``; ``remote`` is for the host."""
    (tmp_path / "local").mkdir()
    (tmp_path / "remote").mkdir()
    (tmp_path / "temporary files").mkdir()
    with connected_run(FACT_CACHE_SECONDS=0, TEMP_DIR=str(tmp_path / "temporary files")) as run:
        run.state.cwd = str(tmp_path / "local")
        yield run


@pytest.fixture
def local(run: Run, tmp_path: Path) -> Path:
    return tmp_path / "local"


@pytest.fixture
def remote(run: Run, tmp_path: Path) -> Path:
    return tmp_path / "remote"


def mode(path: Path) -> str:
    return f"{path.lstat().st_mode & 0o7777:o}"


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_a_file_of_any_name_goes_there_and_back(run: Run, local: Path, remote: Path, name: str) -> None:
    (local / name).write_text("content\n")
    settles(run, files.put, src=name, dest=str(remote / name), mode="640")
    assert (remote / name).read_text() == "content\n"
    assert mode(remote / name) == "640"
    assert run.op(files.get, src=str(remote / name), dest=f"back/{name}", create_local_dir=True).did_change()
    nothing_to_do(run, files.get, src=str(remote / name), dest=f"back/{name}", create_local_dir=True)
    assert (local / "back" / name).read_text() == "content\n"


@pytest.mark.parametrize("content", [b"", b"text", b"\0\xff\r\n binary", "ünïcødé ☃".encode() * 100_000])
def test_any_content_arrives_as_it_is(run: Run, local: Path, remote: Path, content: bytes) -> None:
    (local / "file").write_bytes(content)
    settles(run, files.put, src="file", dest=str(remote / "a"))
    settles(run, files.put, src=io.BytesIO(content), dest=str(remote / "b"))
    settles(run, files.get, src=str(remote / "a"), dest="c")
    assert content == (remote / "a").read_bytes() == (remote / "b").read_bytes() == (local / "c").read_bytes()


def test_text_in_a_file_object_goes_as_utf_8_wherever_it_was_read_to(run: Run, remote: Path) -> None:
    text = io.StringIO("ünïcødé\n")
    text.read()
    settles(run, files.put, src=text, dest=str(remote / "file"))
    assert (remote / "file").read_text("utf-8") == "ünïcødé\n"


def test_a_file_that_changed_on_either_side_is_copied_again(run: Run, local: Path, remote: Path) -> None:
    for content in ("one", "two"):
        (local / "file").write_text(content)
        settles(run, files.put, src="file", dest=str(remote / "file"))
        (remote / "file").write_text("abc")
        settles(run, files.put, src="file", dest=str(remote / "file"))
        assert (remote / "file").read_text() == content
    for _ in range(2):
        assert run.op(files.put, src="file", dest=str(remote / "file"), force=True).did_change()


def test_only_the_mode_changes_where_the_content_is_right(run: Run, local: Path, remote: Path) -> None:
    (local / "file").touch()
    (local / "file").chmod(0o4751)
    (remote / "file").touch(0o600)
    inode = (remote / "file").stat().st_ino
    settles(run, files.put, src="file", dest=str(remote / "file"), mode=True)
    assert mode(remote / "file") == "4751"
    assert (remote / "file").stat().st_ino == inode


def test_a_file_keeps_its_name_in_a_folder(run: Run, local: Path, remote: Path) -> None:
    (local / "file").write_text("x")
    (remote / "folder").mkdir()
    (remote / "link").symlink_to("folder")
    settles(run, files.put, src="file", dest=str(remote / "folder"))
    assert (remote / "folder/file").read_text() == "x"
    nothing_to_do(run, files.put, src="file", dest=str(remote / "link"))
    settles(run, files.put, src="file", dest=f"{remote}/new/")
    assert (remote / "new/file").read_text() == "x"
    (local / "got").mkdir()
    settles(run, files.get, src=str(remote / "new/file"), dest="got")
    assert (local / "got/file").read_text() == "x"


def test_a_file_goes_through_links_to_where_they_lead(run: Run, local: Path, remote: Path) -> None:
    (local / "file").write_text("x")
    (remote / "folder").mkdir()
    (remote / "folder/target").write_text("old")
    (remote / "one").symlink_to("folder/two")
    (remote / "folder/two").symlink_to("target")
    (remote / "dangling").symlink_to("folder/made")
    settles(run, files.put, src="file", dest=str(remote / "one"), mode="600")
    assert (remote / "folder/target").read_text() == "x"
    assert mode(remote / "folder/target") == "600"
    assert (remote / "one").is_symlink()
    settles(run, files.put, src="file", dest=str(remote / "dangling"))
    assert (remote / "folder/made").read_text() == "x"


def test_links_in_circles_are_an_error(local: Path, remote: Path) -> None:
    (local / "file").touch()
    (remote / "a").symlink_to("b")
    (remote / "b").symlink_to("a")
    with connected_run() as run, pytest.raises(OperationError, match="a symbolic link that leads to itself"):
        run.op(files.put, src=str(local / "file"), dest=str(remote / "a"))


def test_a_folder_where_a_file_should_be_is_an_error(local: Path, remote: Path) -> None:
    (local / "file").touch()
    (remote / "file").mkdir()
    with connected_run() as run, pytest.raises(OperationError, match="file exists and is not a file"):
        run.op(files.put, src=str(local / "file"), dest=f"{remote}/")


def test_a_device_can_be_written_to(run: Run, local: Path) -> None:
    (local / "file").write_text("x")
    assert run.op(files.put, src="file", dest="/dev/null").did_change()
    assert not Path("/dev/null").is_file()


def test_missing_folders_are_made_on_both_sides_only_when_wanted(run: Run, local: Path, remote: Path) -> None:
    settles(run, files.put, src=io.StringIO("x"), dest=str(remote / "a/b/file"))
    settles(run, files.get, src=str(remote / "a/b/file"), dest="c/d/file", create_local_dir=True)
    assert (local / "c/d/file").read_text() == "x"
    for operation, arguments in (
        (files.put, {"src": io.StringIO("x"), "dest": str(remote / "no/file"), "create_remote_dir": False}),
        (files.get, {"src": str(remote / "a/b/file"), "dest": str(local / "no/file")}),
    ):
        with pytest.raises(Exception, match="No hosts remaining"), connected_run() as other:
            other.op(operation, **arguments)
    assert not (remote / "no").exists()
    assert not (local / "no").exists()


def test_preparing_to_fetch_makes_no_folder(run: Run, local: Path, remote: Path) -> None:
    (remote / "file").touch()
    commands = _commands(run, files.get, src=str(remote / "file"), dest="not/yet/file", create_local_dir=True)
    assert [str(command) for command in commands] == [f"FileDownloadCommand({remote}/file, {local}/not/yet/file)"]
    assert list(local.iterdir()) == []


def _commands(run: Run, operation: Any, **arguments: Any) -> list[Any]:
    """What an operation would do, without doing it."""
    from pyinfra.context import ctx_host, ctx_state

    with ctx_state.use(run.state), ctx_host.use(run.host):
        return list(operation._inner(**arguments))


def test_a_local_file_that_is_yet_to_come_can_be_assumed(run: Run, local: Path, remote: Path) -> None:
    commands = _commands(run, files.put, src="later", dest=str(remote / "file"), assume_exists=True)
    assert len(commands) == 1
    with pytest.raises(OSError, match=f"No such file: {local}/later"):
        _commands(run, files.put, src="later", dest=str(remote / "file"))
    with pytest.raises(OSError, match=f"No such file: {local}/later"):
        _commands(run, files.template, src="later", dest=str(remote / "file"))


@pytest.mark.parametrize("operation", [files.put, files.template])
def test_a_local_folder_is_told_from_a_file_that_is_missing(
    run: Run, local: Path, remote: Path, operation: Any
) -> None:
    (local / "folder").mkdir()
    with pytest.raises(OSError, match=f"^{local}/folder is a folder, and no file: files.sync uploads folders$"):
        _commands(run, operation, src="folder", dest=str(remote / "file"))


MOMENT = datetime(2020, 2, 29, 12, 30, 15, 250_000, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "given",
    [MOMENT, MOMENT.astimezone(timezone(timedelta(hours=-5))), MOMENT.timestamp(), int(MOMENT.timestamp())],
)
def test_times_are_set(run: Run, remote: Path, given: Any) -> None:
    settles(run, files.put, src=io.StringIO("x"), dest=str(remote / "it's"), mtime=given)
    seconds = given if isinstance(given, (int, float)) else given.timestamp()
    assert (remote / "it's").stat().st_mtime == pytest.approx(seconds, abs=0.001)
    run.op(files.put, src=io.StringIO("x"), dest=str(remote / "it's"), atime=given)
    assert (remote / "it's").stat().st_atime == pytest.approx(seconds, abs=0.001)


def test_a_time_without_a_zone_is_in_that_of_the_host(run: Run, remote: Path) -> None:
    naive = datetime(2021, 3, 4, 5, 6, 7)
    arguments = {"src": io.StringIO("x"), "dest": str(remote / "file"), "mtime": naive, "_env": {"TZ": "EST5"}}
    settles(run, files.put, **arguments)
    assert (remote / "file").stat().st_mtime == datetime(2021, 3, 4, 10, 6, 7, tzinfo=timezone.utc).timestamp()


def test_times_come_from_the_local_file_or_from_one_on_the_host(run: Run, local: Path, remote: Path) -> None:
    (local / "file").write_text("x")
    os.utime(local / "file", (1_500_000_000, 1_400_000_000))
    settles(run, files.put, src="file", dest=str(remote / "a"), mtime=True)
    assert (remote / "a").stat().st_mtime == 1_400_000_000
    (remote / "reference").touch()
    os.utime(remote / "reference", (1_300_000_000, 1_200_000_000))
    settles(run, files.put, src="file", dest=str(remote / "b"), mtime=str(remote / "reference"))
    assert (remote / "b").stat().st_mtime == 1_200_000_000


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"src": 5}, OperationTypeError, "`src` must be a string"),
        ({"dest": None}, OperationTypeError, "`dest` must be a string"),
        ({"src": io.StringIO(), "dest": "/tmp"}, OperationTypeError, "must be a full file path"),
        ({"src": io.StringIO(), "dest": "new/"}, OperationTypeError, "must be a full file path"),
        ({"src": io.StringIO(), "mode": True}, OperationTypeError, "`mode=True` is for local files"),
        ({"src": io.StringIO(), "mtime": True}, OperationTypeError, "`mtime=True` is for local files"),
        ({"mtime": []}, OperationTypeError, "`mtime` must be a time"),
        ({"atime": "/not/there"}, OperationError, "cannot take `atime` from /not/there"),
        ({"mode": "99"}, OperationValueError, "non-octal digits"),
    ],
)
def test_uploads_that_cannot_work_are_errors(
    run: Run, remote: Path, arguments: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run.op(files.put, **{"src": io.StringIO("x"), "dest": str(remote / "x"), **arguments})


def test_a_template_is_rendered_with_data_and_the_host_s(run: Run, local: Path, remote: Path) -> None:
    (local / "part.j2").write_text("included {{ word }}")
    (local / "it.j2").write_text("{{ host.name }} {{ word }}\n{% include 'part.j2' %}\n{# gone #}\n")
    arguments = {"src": "it.j2", "dest": str(remote / "a folder/it"), "word": "ünï", "mode": "600"}
    environment = {"loader": __import__("jinja2").FileSystemLoader(local)}
    settles(run, files.template, **arguments, jinja_env_kwargs=environment)
    assert (remote / "a folder/it").read_text() == f"{run.host.name} ünï\nincluded ünï\n\n"
    assert mode(remote / "a folder/it") == "600"
    settles(run, files.template, **{**arguments, "word": "new"}, jinja_env_kwargs=environment)
    settles(run, files.template, src=io.StringIO("{{ x }}"), dest=str(remote / "b"), x=1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "one\ntwo {{ missing }}\nthree\nfour",
            "(L2): 'missing' is undefined\n...\none\ntwo {{ missing }}\nthree\n...",
        ),
        ("{{ 1 / 0 }}", "(L1): division by zero\n...\n{{ 1 / 0 }}\n..."),
        ("a\n{% if %}", "(L2): "),
        ("{{ host.data.nothing }}", "(L1): 'pyinfra.api.hostdata.HostData object' has no attribute 'nothing'"),
        ("{% include 'gone' %}", "(L1): "),
    ],
)
def test_a_wrong_template_says_where(run: Run, local: Path, remote: Path, text: str, message: str) -> None:
    (local / "it.j2").write_text(text)
    with pytest.raises(OperationError) as caught:
        run.op(files.template, src="it.j2", dest=str(remote / "it"))
    assert f"Error in template: {local}/it.j2 {message}" in str(caught.value)
    assert list(remote.iterdir()) == []


@pytest.mark.parametrize("dest", ["{}", "{}/new/"])
def test_a_template_has_no_name_of_its_own_in_a_folder(run: Run, local: Path, remote: Path, dest: str) -> None:
    (local / "it.j2").touch()
    with pytest.raises(OperationTypeError, match="When `src` is a template, `dest` must be a full file path"):
        run.op(files.template, src="it.j2", dest=dest.format(remote))
    with pytest.raises(OperationTypeError, match="When `src` is a file-like object, `dest` must be"):
        run.op(files.template, src=io.StringIO(), dest=dest.format(remote))


def tree(folder: Path) -> dict[str, str]:
    """All that is in a folder: what links point to, and what is in files."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        else:
            found[name] = "/" if path.is_dir() else path.read_text()
    return found


@pytest.fixture
def site(local: Path) -> Path:
    site = local / "site"
    for name in ("a/b/c", "empty", "cache/deep", "a/cache"):
        (site / name).mkdir(parents=True)
    for name in ("index", "a/b/c/file", "a/x.pyc", "cache/deep/no", "a/cache/no", *AWKWARD_NAMES[1::2]):
        (site / name).write_text(f"content of {name}")
    (site / "to file").symlink_to("index")
    (site / "a/to folder").symlink_to("b")
    (site / "dangling").symlink_to("/not/there")
    (site / "index").chmod(0o604)
    (site / "a").chmod(0o750)
    return site


def test_a_folder_is_kept_in_sync_with_all_in_it(run: Run, site: Path, remote: Path) -> None:
    for dest in (remote / "www", remote / "it's"):
        settles(run, files.sync, src="site/", dest=str(dest))
        assert tree(dest) == tree(site)
        assert mode(dest / "index") == "604"
        assert mode(dest / "a") == "750"
    (site / "index").write_text("changed")
    (remote / "www/a/b/c/file").unlink()
    (remote / "www/other").touch()
    settles(run, files.sync, src="site", dest=f"{remote}/www/")
    assert tree(remote / "www") == {**tree(site), "other": ""}


def test_syncing_removes_what_is_not_in_the_folder_if_asked_to(run: Run, site: Path, remote: Path) -> None:
    www = remote / "www"
    arguments = {"src": "site", "dest": str(www), "exclude": ["*.pyc", "keep*"], "exclude_dir": ["cache", "*/cache"]}
    settles(run, files.sync, **arguments)
    expected = {name: text for name, text in tree(site).items() if "cache" not in name and not name.endswith("pyc")}
    assert tree(www) == expected
    (www / "stale it's").touch()
    (www / "a/stale link").symlink_to("nowhere")
    (www / "a/keep me").touch()
    (www / "cache").mkdir()
    (www / "cache/kept").touch()
    settles(run, files.sync, **arguments, delete=True)
    assert tree(www) == {**expected, "a/keep me": "", "cache": "/", "cache/kept": ""}


def test_syncing_to_a_home_folder_removes_there(run: Run, site: Path, remote: Path) -> None:
    arguments = {"src": "site", "dest": "~/a site", "delete": True, "_env": {"HOME": str(remote)}}
    settles(run, files.sync, **arguments)
    (remote / "a site/stale").touch()
    settles(run, files.sync, **arguments)
    assert tree(remote / "a site") == tree(site)


def test_syncing_sets_owner_and_modes(run: Run, site: Path, remote: Path) -> None:
    owner = {"user": "daemon", "group": "daemon"} if os.geteuid() == 0 else {}
    settles(run, files.sync, src="site", dest=str(remote / "www"), mode="600", dir_mode="700", **owner)
    assert {mode(path) for path in (remote / "www").rglob("*") if path.is_file() and not path.is_symlink()} == {"600"}
    assert {mode(path) for path in (remote / "www").rglob("*") if path.is_dir() and not path.is_symlink()} == {"700"}
    if owner:
        assert {path.lstat().st_uid == 0 for path in (remote / "www").rglob("*")} == {False}


def test_syncing_into_a_folder_that_is_a_link_is_fine(run: Run, site: Path, remote: Path) -> None:
    (remote / "real").mkdir()
    (remote / "link").symlink_to("real")
    settles(run, files.sync, src="site", dest=str(remote / "link"))
    assert tree(remote / "real") == tree(site)


def test_syncing_with_a_link_to_a_folder_removes_what_is_in_that(run: Run, site: Path, remote: Path) -> None:
    (remote / "real/a").mkdir(parents=True)
    (remote / "real/a/stale").touch()
    (remote / "real/stale link").symlink_to("a")
    (remote / "link").symlink_to("real")
    settles(run, files.sync, src="site", dest=str(remote / "link"), delete=True)
    assert tree(remote / "real") == tree(site)


def test_syncing_puts_files_in_the_place_of_links_and_leaves_what_those_lead_to(
    run: Run, site: Path, remote: Path
) -> None:
    www = remote / "www"
    www.mkdir()
    (remote / "outside").write_text("not ours")
    (www / "index").symlink_to("../outside")
    settles(run, files.sync, src="site", dest=str(www))
    assert tree(www) == tree(site)
    assert mode(www / "index") == "604"
    assert (remote / "outside").read_text() == "not ours"


def test_syncing_puts_no_file_into_a_folder_of_its_name(run: Run, site: Path, remote: Path) -> None:
    (remote / "www/index").mkdir(parents=True)
    with pytest.raises(AssertionError, match="www/index exists and is not a file"):
        run.op(files.sync, src="site", dest=str(remote / "www"), delete=True)
    assert list((remote / "www/index").iterdir()) == []


def test_syncing_needs_a_local_folder(run: Run, local: Path, remote: Path) -> None:
    with pytest.raises(OSError, match=f"No such directory: {local}/nothing"):
        run.op(files.sync, src="nothing", dest=str(remote))


def test_rsync_copies_a_folder(run: Run, site: Path, remote: Path) -> None:
    (remote / "stale").touch()
    assert run.op(files.rsync, src=f"{site}/", dest=str(remote)).did_change()
    assert tree(remote) == tree(site)
    run.op(files.rsync, src=f"{site}/a/", dest=str(remote / "a"), flags=["-a", "--exclude=b"])


def test_rsync_is_an_error_on_connectors_that_cannot(site: Path) -> None:
    data = {"fake_delay": 0, "fake_delay_jitter": 0}
    with connected_run("@fake/one", data) as run, pytest.raises(OperationError, match="rsync does not work here"):
        run.op(files.rsync, src=str(site), dest="/x")


def archive(path: Path, content: str) -> None:
    """Make an archive, of the kind that its name has, of a file ``top/in it``."""
    source = path.parent / "top"
    source.mkdir(exist_ok=True)
    (source / "in it").write_text(content)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as zipped:
            zipped.write(source / "in it", "top/in it")
    else:
        kind = {".tar": "w", ".tgz": "w:gz", ".gz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}[path.suffix]
        with tarfile.open(path, kind) as tar:
            tar.add(source, "top")


@pytest.mark.parametrize("name", ["it's.tar", "-a b.tgz", "x.tar.gz", "x.tar.bz2", "x.tar.xz", "a b.zip"])
def test_archives_of_all_kinds_are_unpacked_once(run: Run, local: Path, remote: Path, name: str) -> None:
    dest = remote / "a folder"
    for where, arguments in ((local, {}), (remote, {"remote_src": True})):
        dest.mkdir()
        archive(where / name, "content")
        settles(
            run, files.unarchive, src=str(where / name), dest=str(dest), creates=str(dest / "top/in it"), **arguments
        )
        assert (dest / "top/in it").read_text() == "content"
        subprocess.run(["rm", "-r", dest], check=True)
    assert list((remote.parent / "temporary files").iterdir()) == []


@pytest.mark.parametrize("name", ["x.tar.gz", "x.zip"])
def test_an_archive_that_cannot_be_unpacked_leaves_nothing(run: Run, local: Path, remote: Path, name: str) -> None:
    (local / name).write_text("no archive")
    with pytest.raises(AssertionError, match="No hosts remaining"):
        run.op(files.unarchive, src=str(local / name), dest=str(remote))
    assert list((remote.parent / "temporary files").iterdir()) == []


def test_unpacking_takes_options_and_sets_the_owner(run: Run, local: Path, remote: Path) -> None:
    archive(local / "x.tar.gz", "content")
    owner = {"user": "daemon", "group": "daemon"} if os.geteuid() == 0 else {}
    options = ["--strip-components=1"]
    run.op(files.unarchive, src=str(local / "x.tar.gz"), dest=str(remote), extra_opts=options, **owner)
    assert (remote / "in it").read_text() == "content"
    if owner:
        assert (remote / "in it").owner() == "daemon"
    archive(local / "x.zip", "zipped")
    run.op(files.unarchive, src=str(local / "x.zip"), dest=str(remote), extra_opts=["-j"])
    assert (remote / "in it").read_text() == "zipped"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"src": "x.rar"}, OperationValueError, "cannot tell what kind of archive x.rar is"),
        ({"src": "x.tar", "dest": "/not/there"}, OperationError, "/not/there is not an existing directory"),
        ({"src": "/not/there.tar", "remote_src": True}, OperationError, "archive /not/there.tar does not exist"),
    ],
)
def test_archives_that_cannot_be_unpacked_are_errors(
    run: Run, remote: Path, arguments: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run.op(files.unarchive, **{"dest": str(remote), **arguments})


def test_busybox_will_do_for_all_of_it(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    owner = {"user": "daemon", "group": "daemon"} if os.geteuid() == 0 else {}
    source, dest = tmp_path / "source", tmp_path / "the dest"
    (source / "folder").mkdir(parents=True)
    (source / "folder/file").write_text("x")
    (source / "link").symlink_to("folder")
    archive(tmp_path / "x.tar.gz", "content")
    (tmp_path / "linked").symlink_to(dest / "synced")
    settings = {"SHELL": "busybox sh", "ENV": {"PATH": busybox_path(tmp_path_factory.mktemp("bin"))}}
    with connected_run(FACT_CACHE_SECONDS=0, **settings) as run:
        settles(run, files.directory, path=str(dest / "d d"), mode=700, **owner)
        settles(run, files.file, path=str(dest / "f"), mode="u=rw,go=", **owner)
        settles(run, files.link, path=str(dest / "l"), target="x y", **owner)
        settles(run, files.link, path=str(dest / "hard"), target=str(dest / "f"), symbolic=False)
        settles(run, files.put, src=io.StringIO("x"), dest=str(dest / "p"), mode=640, **owner)
        settles(run, files.get, src=str(dest / "p"), dest=str(tmp_path / "got"))
        settles(run, files.sync, src=str(source), dest=str(dest / "synced"), delete=True, **owner)
        (dest / "synced/stale").touch()
        settles(run, files.sync, src=str(source), dest=str(tmp_path / "linked"), delete=True, **owner)
        settles(run, files.copy, src=str(dest / "synced"), dest=str(dest / "d d"))
        settles(run, files.put, src=io.StringIO("x"), dest=str(dest / "p"), mtime=MOMENT)
        assert (dest / "p").stat().st_mtime == int(MOMENT.timestamp())
        settles(run, files.move, src=str(dest / "p"), dest=str(dest / "d d"))
        unpacked = str(dest / "d d/top")
        settles(run, files.unarchive, src=str(tmp_path / "x.tar.gz"), dest=str(dest / "d d"), creates=unpacked)
    assert tree(dest / "d d/synced") == tree(source)


def piped(content: bytes) -> IO[bytes]:
    """A file object that can be read once."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as end:
        end.write(content)
    return os.fdopen(reader, "rb")


def test_a_stream_is_put_whole_and_named_by_its_type(run: Run, remote: Path) -> None:
    with piped(b"content") as source:
        meta = run.op(files.put, src=source, dest=str(remote / "f"))
    assert (remote / "f").read_bytes() == b"content"
    assert [str(command) for command in meta._commands or ()] == [
        f"FileUploadCommand(BufferedReader, {remote / 'f'})",
    ]


def test_a_stream_that_has_been_read_is_an_error_rather_than_an_empty_file(run: Run, remote: Path) -> None:
    with piped(b"content") as source:
        run.op(files.put, src=source, dest=str(remote / "f"))
        with pytest.raises(OperationValueError, match=r"BufferedReader has been read already.*io\.BytesIO"):
            run.op(files.put, src=source, dest=str(remote / "f"))
    assert (remote / "f").read_bytes() == b"content"


def test_an_archive_may_go_into_a_folder_that_an_earlier_operation_makes(run: Run, local: Path, remote: Path) -> None:
    (local / "f").write_text("content")
    with tarfile.open(local / "x.tar", "w") as tar:
        tar.add(local / "f", "f")
    add_op(run.state, files.directory, str(remote / "new"))
    (meta,) = add_op(run.state, files.unarchive, str(local / "x.tar"), str(remote / "new")).values()
    assert meta.will_change
    run_ops(run.state)
    assert (remote / "new" / "f").read_text() == "content"
