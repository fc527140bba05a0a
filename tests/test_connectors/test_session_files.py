"""Files copied to and from a target, on every shell that is there."""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from pyinfra.api import Host

from ..support.hosts import connected_host
from .test_session_shells import SHELLS, works


@pytest.fixture(scope="module", params=SHELLS)
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    if not shutil.which(request.param.split()[0]):
        pytest.skip(f"{request.param} is not installed")
    with connected_host(f"@pipe/{request.param}") as host:
        yield host


@pytest.fixture(autouse=True)
def temporary_files(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for temporary files, in which none must be left."""
    folder = tmp_path_factory.mktemp("temporary")
    yield folder
    assert list(folder.iterdir()) == []


def put(host: Host, content: Any, path: Any, **arguments: Any) -> None:
    source = io.BytesIO(content) if isinstance(content, bytes) else content
    assert host.connector.put_file(source, str(path), **arguments) is True


def get(host: Host, path: Any, **arguments: Any) -> bytes:
    target = io.BytesIO()
    assert host.connector.get_file(str(path), target, **arguments) is True
    return target.getvalue()


EVERY_BYTE = bytes(range(256)) * 5
NAMES = [
    "plain",
    "with space",
    'it\'s "quoted"',
    "new\nline",
    "ends with newline\n",
    "-n",
    "größe 日本",
    "$HOME `x` \\ *",
    "~tilde",
    ".hidden",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_any_name_is_written_and_read(host: Host, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    put(host, EVERY_BYTE, path)
    assert path.read_bytes() == EVERY_BYTE
    assert get(host, path) == EVERY_BYTE
    put(host, b"shorter", path)
    assert get(host, path) == b"shorter"
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("~")])
def test_a_relative_name_is_relative_to_the_folder(host: Host, tmp_path: Path, name: str) -> None:
    put(host, EVERY_BYTE, name, _chdir=str(tmp_path))
    assert (tmp_path / name).read_bytes() == EVERY_BYTE
    assert get(host, name, _chdir=str(tmp_path)) == EVERY_BYTE


def test_a_missing_folder_to_be_in_keeps_the_file_from_being_written(host: Host, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        put(host, b"x", "name", _chdir=f"{tmp_path}/nowhere")
    assert not Path("name").exists()


def test_the_home_folder_is_the_targets(host: Host, tmp_path: Path) -> None:
    put(host, b"x", "~/it's mine", _env={"HOME": str(tmp_path)})
    assert (tmp_path / "it's mine").read_bytes() == b"x"
    assert get(host, "~/it's mine", _env={"HOME": str(tmp_path)}) == b"x"


@pytest.mark.parametrize("content", [b"", b"x", b"\n", b"\n\n", b"a\n", EVERY_BYTE * 3000])
def test_content_arrives_byte_for_byte(host: Host, tmp_path: Path, content: bytes) -> None:
    put(host, content, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == content
    assert get(host, tmp_path / "file") == content


def test_text_and_streams_without_a_length_are_written(host: Host, tmp_path: Path) -> None:
    put(host, io.StringIO("größe\n"), tmp_path / "text")
    assert (tmp_path / "text").read_text() == "größe\n"
    read, write = os.pipe()
    os.write(write, b"from a pipe")
    os.close(write)
    with open(read, "rb") as stream:
        put(host, stream, tmp_path / "stream")
    assert (tmp_path / "stream").read_bytes() == b"from a pipe"
    put(host, "/proc/version", tmp_path / "version")
    assert (tmp_path / "version").read_bytes() == Path("/proc/version").read_bytes()


def test_hosts_that_are_sent_one_file_object_at_once_each_get_all_of_it(host: Host, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    source = io.BytesIO(content)
    paths = [tmp_path / str(number) for number in range(4)]
    gevent.joinall([gevent.spawn(put, host, source, path) for path in paths], raise_error=True)
    assert [path.read_bytes() == content for path in paths] == [True] * 4


def test_files_are_read_to_text_objects_and_paths(host: Host, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("größe\n")
    text = io.StringIO()
    host.connector.get_file(str(tmp_path / "file"), text)
    assert text.getvalue() == "größe\n"
    target = tmp_path / "target"
    target.write_text("old")
    target.chmod(0o640)
    (tmp_path / "link").symlink_to(target)
    host.connector.get_file(str(tmp_path / "file"), str(tmp_path / "link"))
    assert target.read_text() == "größe\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert (tmp_path / "link").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["file", "link", "target"]


def test_a_local_file_stays_when_the_targets_cannot_be_read(host: Host, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("old")
    with pytest.raises(OSError, match="No such file"):
        host.connector.get_file(str(tmp_path / "missing"), str(target))
    with pytest.raises(OSError, match="Is a directory"):
        host.connector.get_file(str(tmp_path), str(target))
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["target"]


def test_a_local_file_with_two_names_stays_when_the_targets_cannot_be_read(host: Host, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("old and longer")
    os.link(target, tmp_path / "other name")
    with pytest.raises(OSError, match="No such file"):
        host.connector.get_file(str(tmp_path / "missing"), str(target))
    assert (tmp_path / "other name").read_text() == "old and longer"
    (tmp_path / "file").write_text("new")
    host.connector.get_file(str(tmp_path / "file"), str(target))
    assert (tmp_path / "other name").read_text() == "new"


def test_a_local_folder_that_is_missing_is_told_with_the_name_of_the_file(host: Host, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError, match=re.escape(f"'{tmp_path}/missing/copy'")):
        host.connector.get_file(str(tmp_path / "file"), f"{tmp_path}/missing/copy")


@pytest.mark.parametrize("name", ["BLOCK_SIZE", "LS_BLOCK_SIZE"])
def test_a_file_is_read_whatever_sizes_the_user_likes_to_see(host: Host, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"x" * 5000)
    assert get(host, tmp_path / "file", _env={name: "human-readable"}) == b"x" * 5000


def test_a_length_that_is_no_number_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "ls").write_text("#!/bin/sh\necho - 1 user group 4.9K\n")
    (tmp_path / "ls").chmod(0o755)
    with connected_host() as host, pytest.raises(OSError, match=r"The target gives as a file's length: '4\.9K'"):
        get(host, tmp_path / "ls", _env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})


def test_a_new_file_has_the_mode_that_the_users_umask_gives(host: Host, tmp_path: Path) -> None:
    put(host, b"x", tmp_path / "file")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~umask


def test_a_file_is_replaced_in_one_step_and_keeps_what_it_had(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    os.chown(path, 1234, 2345)
    path.chmod(0o4751)
    subprocess.run(["setfattr", "-n", "user.note", "-v", "kept", path], check=True)
    subprocess.run(["setfacl", "-m", "u:1235:rw", path], check=True)
    acl = subprocess.run(["getfacl", "-np", path], check=True, capture_output=True).stdout
    old = path.stat()
    with open(path) as reader:
        put(host, b"new", path)
        assert reader.read() == "old"
    new = path.stat()
    assert path.read_text() == "new"
    assert new.st_ino != old.st_ino
    assert (new.st_mode, new.st_uid, new.st_gid) == (old.st_mode, 1234, 2345)
    assert new.st_mtime >= old.st_mtime
    assert os.getxattr(path, "user.note") == b"kept"
    assert subprocess.run(["getfacl", "-np", path], check=True, capture_output=True).stdout == acl


def test_a_file_behind_links_is_replaced_and_the_links_stay(host: Host, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target = tmp_path / "folder" / "target -> x"
    target.write_text("old")
    (tmp_path / "one -> two").symlink_to("folder/target -> x")
    (tmp_path / "link").symlink_to(tmp_path / "one -> two")
    put(host, b"new", tmp_path / "link")
    assert target.read_text() == "new"
    assert (tmp_path / "link").is_symlink()
    assert os.listdir(tmp_path / "folder") == [target.name]
    (tmp_path / "dangling").symlink_to("folder/made")
    put(host, b"new", tmp_path / "dangling")
    assert (tmp_path / "folder" / "made").read_text() == "new"


def test_a_ring_of_links_is_an_error(host: Host, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        put(host, b"x", tmp_path / "a")


def test_a_file_with_two_names_keeps_them(host: Host, tmp_path: Path, temporary_files: Path) -> None:
    (tmp_path / "one").write_text("old")
    os.link(tmp_path / "one", tmp_path / "two")
    put(host, b"new", tmp_path / "one", _temp_dir=str(temporary_files))
    assert (tmp_path / "two").read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["one", "two"]


def test_a_fifo_gets_the_file_and_stays(host: Host, tmp_path: Path, temporary_files: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE) as reader:
        put(host, b"through", fifo, _temp_dir=str(temporary_files))
        assert reader.stdout is not None
        assert reader.stdout.read() == b"through"
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_a_device_gets_the_file_and_stays(host: Host, temporary_files: Path) -> None:
    put(host, b"x" * 100_000, "/dev/null", _temp_dir=str(temporary_files))
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert get(host, "/dev/null") == b""


def test_a_mount_point_gets_the_file_in_place(host: Host, tmp_path: Path) -> None:
    path, other = tmp_path / "hosts", tmp_path / "other"
    path.write_text("old")
    other.write_text("old")
    if subprocess.run(["mount", "--bind", other, path], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        put(host, b"new", path)
        assert other.read_text() == "new"
        assert sorted(os.listdir(tmp_path)) == ["hosts", "other"]
    finally:
        subprocess.run(["umount", path], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_is_an_error_that_leaves_the_old_file(host: Host, small_disk: Path) -> None:
    (small_disk / "file").write_text("old")
    with pytest.raises(OSError, match="No space left on device"):
        put(host, b"x" * 1_000_000, small_disk / "file")
    assert (small_disk / "file").read_text() == "old"
    assert os.listdir(small_disk) == ["file"]
    works(host)


def test_a_missing_folder_a_folder_and_a_file_as_folder_are_errors(host: Host, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match=r"nowhere/'?: No such file or directory"):
        put(host, b"x" * 1_000_000, tmp_path / "nowhere" / "file")
    with pytest.raises(OSError, match="Is a directory"):
        put(host, b"x", tmp_path)
    with pytest.raises(OSError, match="Is a directory"):
        put(host, b"x", f"{tmp_path}/new/")
    with pytest.raises(OSError, match="Not a directory"):
        put(host, b"x", tmp_path / "file" / "file")
    assert os.listdir(tmp_path) == ["file"]
    works(host)


class Shrinking(io.BytesIO):
    """A file that ends before it should."""

    def read(self, size: int | None = -1, /) -> bytes:
        return b"" if size else super().read(0)


def test_what_arrives_short_is_an_error_and_leaves_the_old_file(host: Host, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(OSError, match="0 of 100 bytes arrived"):
        put(host, Shrinking(b"x" * 100), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


class Broken(io.BytesIO):
    """A file that cannot be read to its end."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size:
            raise OSError(errno.EIO, "Input/output error")
        return b""


def test_a_local_file_that_cannot_be_read_is_an_error(host: Host, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Input/output error"):
        put(host, Broken(b"x" * 100), tmp_path / "file")
    assert os.listdir(tmp_path) == []


class Slow(io.BytesIO):
    """A file whose rest comes only when somebody says so."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.go_on = gevent.event.Event()

    def read(self, size: int | None = -1, /) -> bytes:
        if size and self.tell():
            self.go_on.wait(20)
        return super().read(min(size or 0, 1000))


def test_a_temporary_file_is_its_users_alone_and_hidden(host: Host, tmp_path: Path) -> None:
    source = Slow(b"x" * 2000)
    (tmp_path / "file").write_text("old")
    (tmp_path / "file").chmod(0o666)
    upload = gevent.spawn(put, host, source, tmp_path / "file")
    with gevent.Timeout(20):
        while len(os.listdir(tmp_path)) < 2:
            gevent.sleep(0.01)
    (name,) = set(os.listdir(tmp_path)) - {"file"}
    assert name.startswith(".")
    assert name.endswith("~")
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    source.go_on.set()
    upload.get(timeout=20)
    assert (tmp_path / "file").read_text() == "x" * 2000
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666


WATCH = """
import os, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
opened = []
print("ready", flush=True)
while not os.path.exists(f"{sys.argv[1]}/stop"):
    for name in os.listdir(sys.argv[1]):
        try:
            fd = os.open(f"{sys.argv[1]}/{name}", os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            continue
        if any(os.path.samestat(os.fstat(fd), os.fstat(other)) for other in opened):
            os.close(fd)
        else:
            opened.append(fd)
for fd in opened:
    sys.stdout.buffer.write(os.read(fd, 10000))
"""


@pytest.mark.parametrize("is_there", [True, False])
def test_a_folder_that_lets_others_read_new_files_does_not_let_them_read_temporary_ones(
    host: Host, is_there: bool
) -> None:
    # Not in pytest's folder, which nobody else may enter
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        if subprocess.run(["setfacl", "-d", "-m", "u::rw,g::r,o::r", folder], check=False).returncode:
            pytest.skip("there are no ACLs here")
        if is_there:
            (folder / "file").touch()
            (folder / "file").chmod(0o600)
        with subprocess.Popen([sys.executable, "-c", WATCH, name], stdout=subprocess.PIPE) as watch:
            assert watch.stdout is not None
            assert watch.stdout.readline() == b"ready\n"
            source = Slow(b"secret" * 300)
            upload = gevent.spawn(put, host, source, folder / "file")
            with gevent.Timeout(20):
                while sum(path.stat().st_size for path in folder.iterdir()) == 0:
                    gevent.sleep(0.01)
            modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.glob(".*~")}
            # It shows what was written to the files that it could open
            (folder / "stop").touch()
            assert watch.stdout.read() == b""
        source.go_on.set()
        upload.get(timeout=20)
        assert modes == {0o600}
        assert (folder / "file").read_bytes() == b"secret" * 300
        assert stat.S_IMODE((folder / "file").stat().st_mode) == (0o600 if is_there else 0o644)
        assert sorted(os.listdir(folder)) == ["file", "stop"]


def test_a_time_out_during_an_upload_leaves_nothing(host: Host, tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="timed out"):
        put(host, Slow(b"x" * 2000), tmp_path / "file", _timeout=1)
    assert os.listdir(tmp_path) == []
    works(host)


def test_temporary_files_elsewhere_are_removed_when_copying_fails(
    host: Host, tmp_path: Path, temporary_files: Path
) -> None:
    os.mknod(tmp_path / "full", 0o666 | stat.S_IFCHR, os.makedev(1, 7))
    with pytest.raises(OSError, match="No space left on device"):
        put(host, b"x" * 100, tmp_path / "full", _temp_dir=str(temporary_files))


def test_a_large_file_passes_in_constant_memory(host: Host, tmp_path: Path) -> None:
    import tracemalloc

    size = 40 << 20
    with tempfile.TemporaryFile(dir=tmp_path) as source:
        source.truncate(size)
        tracemalloc.start()
        try:
            put(host, source, tmp_path / "file")
            host.connector.get_file(str(tmp_path / "file"), str(tmp_path / "copy"))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (tmp_path / "copy").stat().st_size == size
    assert peak < 8 << 20
