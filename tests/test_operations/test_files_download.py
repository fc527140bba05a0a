"""Downloads from a web server of this test's own, with both programs."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from pyinfra.api import MaskString, OperationError, OperationTypeError
from pyinfra.operations import files
from tests.support.names import AWKWARD_NAMES, nothing_to_do, settles
from tests.support.run import Run, connected_run

CONTENT = b"what is to be had\n"


class Server(ThreadingHTTPServer):
    """A server that has one file, also as a proxy, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.content = CONTENT

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers)))
        missing = self.path.endswith("missing")
        self.send_response(404 if missing else 200)
        self.send_header("Last-Modified", "Sat, 29 Feb 2020 12:30:15 GMT")
        if self.path.endswith("cut-short"):
            self.send_header("Content-Length", "1000000")
        self.end_headers()
        if not missing:
            self.wfile.write(self.server.content)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def path_with(folder: Path, *names: str) -> str:
    """A ``PATH`` with the programs of this machine, but of curl and wget only those named."""
    for place in os.environ["PATH"].split(os.pathsep):
        for program in Path(place).glob("*"):
            link = folder / program.name
            if not link.exists() and (program.name in names or program.name not in ("curl", "wget")):
                link.symlink_to(program)
    return str(folder)


@pytest.fixture(scope="module", params=["curl", "wget"])
def program(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def path(program: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return path_with(tmp_path_factory.mktemp("bin"), program)


@pytest.fixture
def run(path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    temporary = tmp_path_factory.mktemp("temporary files")
    with connected_run(FACT_CACHE_SECONDS=0, ENV={"PATH": path}, TEMP_DIR=str(temporary)) as run:
        yield run
    assert list(temporary.iterdir()) == []


def test_a_file_is_downloaded_once(run: Run, server: Server, program: str, tmp_path: Path) -> None:
    settles(run, files.download, src=f"{server.url}/it", dest=str(tmp_path / "it"), mode="640")
    assert (tmp_path / "it").read_bytes() == CONTENT
    assert (tmp_path / "it").stat().st_mode & 0o777 == 0o640
    ((_, headers),) = server.requests
    assert program in headers["User-Agent"].lower()
    settles(run, files.download, src=f"{server.url}/it", dest=str(tmp_path / "it"), mode="600")
    assert len(server.requests) == 1
    run.op(files.download, src=f"{server.url}/it", dest=str(tmp_path / "it"), force=True)
    assert len(server.requests) == 2


@pytest.mark.parametrize("name", AWKWARD_NAMES[::3])
def test_a_download_may_have_any_name(run: Run, server: Server, tmp_path: Path, name: str) -> None:
    sums = {f"{kind}sum": hashlib.new(kind, CONTENT).hexdigest() for kind in ("sha1", "sha256", "sha384", "md5")}
    sums["md5sum"] = sums["md5sum"].upper()
    settles(run, files.download, src=f"{server.url}/a?b=c&d=e;f='g'", dest=str(tmp_path / name), **sums)
    assert server.requests[0][0] == "/a?b=c&d=e;f='g'"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_with_another_hash_is_downloaded_again(run: Run, server: Server, tmp_path: Path) -> None:
    dest = tmp_path / "it"
    dest.write_text("old")
    arguments = {"src": f"{server.url}/it", "dest": str(dest)}
    settles(run, files.download, **arguments, sha256sum=hashlib.sha256(CONTENT).hexdigest())
    with pytest.raises(Exception, match="No hosts remaining"):
        run.op(files.download, **arguments, sha1sum=hashlib.sha1(b"other").hexdigest())
    (failure,) = run.state.failures
    assert failure.stderr_lines[0].startswith("SHA1 did not match: it is ")


def test_a_hash_that_is_no_text_is_an_error(run: Run, tmp_path: Path) -> None:
    with pytest.raises(OperationTypeError, match="`sha256sum` must be text, not 0"):
        run.op(files.download, src="http://127.0.0.1/it", dest=str(tmp_path / "it"), sha256sum=0)


@pytest.mark.parametrize("before", [b"what was there", None])
def test_a_download_with_another_hash_takes_no_file_s_place(
    run: Run, server: Server, tmp_path: Path, before: bytes | None
) -> None:
    dest, folder = tmp_path / "it", tmp_path / "folder"
    folder.mkdir()
    if before is not None:
        dest.write_bytes(before)
    sums = {"sha256sum": hashlib.sha256(CONTENT).hexdigest(), "md5sum": "0" * 32}
    with pytest.raises(AssertionError, match="No hosts remaining"):
        run.op(files.download, src=f"{server.url}/it", dest=str(dest), force=True, temp_dir=str(folder), **sums)
    (failure,) = run.state.failures
    found = hashlib.md5(CONTENT).hexdigest()
    message = f"MD5 did not match: it is {found}, and not {'0' * 32}: the download has taken no file's place"
    assert failure.stderr_lines == (message,)
    assert (dest.read_bytes() if dest.exists() else None) == before
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("sha1sum", ["f", hashlib.sha1(CONTENT).hexdigest()[:-1], "it"])
def test_a_part_of_a_hash_is_another_hash(run: Run, server: Server, tmp_path: Path, sha1sum: str) -> None:
    with pytest.raises(AssertionError, match=r"SHA1 did not match: it is .*, and not "):
        run.op(files.download, src=f"{server.url}/it", dest=str(tmp_path / "it"), sha1sum=sha1sum)
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_cannot_tell_a_hash_says_so(
    server: Server, program: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("bin")
    environment = {"PATH": path_with(folder, program)}
    for name in ("sha384sum", "shasum", "sha384"):
        (folder / name).unlink(missing_ok=True)
    arguments = {"src": f"{server.url}/it", "dest": str(tmp_path / "it")}
    with connected_run(ENV=environment) as run, pytest.raises(AssertionError, match="no program for SHA384"):
        run.op(files.download, **arguments, sha384sum=hashlib.sha384(CONTENT).hexdigest())


def test_what_cannot_be_moved_into_place_or_arrives_in_part_leaves_nothing(
    server: Server, path: str, tmp_path: Path
) -> None:
    (tmp_path / "temporary").mkdir()
    # wget would try again and again
    options = {"extra_wget_args": {"--tries": "1"}}
    for name, dest in (("it", "not/there"), ("cut-short", "it")):
        with (
            connected_run(ENV={"PATH": path}, TEMP_DIR=str(tmp_path / "temporary")) as run,
            pytest.raises(AssertionError, match="No hosts remaining"),
        ):
            run.op(files.download, src=f"{server.url}/{name}", dest=str(tmp_path / dest), **options)
        assert list((tmp_path / "temporary").iterdir()) == []
    assert not (tmp_path / "it").exists()


def test_an_old_file_is_downloaded_again_if_asked_to(run: Run, server: Server, tmp_path: Path) -> None:
    dest = tmp_path / "it"
    arguments = {"src": f"{server.url}/it", "dest": str(dest), "cache_time": 3600}
    settles(run, files.download, **arguments)
    assert time.time() - dest.stat().st_mtime < 3600
    os.utime(dest, (0, 0))
    settles(run, files.download, **arguments)
    nothing_to_do(run, files.download, **{**arguments, "cache_time": 10**15})


def test_headers_and_further_options_reach_the_server(run: Run, server: Server, program: str, tmp_path: Path) -> None:
    run.op(
        files.download,
        src=f"{server.url}/it",
        dest=str(tmp_path / "it"),
        headers={"X-It's": 'a "b" $c', "Authorization": MaskString("Bearer secret")},
        limit_rate="1M",
        insecure=True,
        extra_curl_args={"--user-agent": "an agent"},
        extra_wget_args={"--user-agent": "an agent", "--no-cache": ""},
    )
    ((_, headers),) = server.requests
    assert headers["X-It's"] == 'a "b" $c'
    assert headers["Authorization"] == "Bearer secret"
    assert headers["User-Agent"] == "an agent"


def test_a_proxy_is_asked_instead(run: Run, server: Server, tmp_path: Path) -> None:
    run.op(files.download, src="http://example.test/it", dest=str(tmp_path / "it"), proxy=server.url)
    assert [path for path, _ in server.requests] == ["http://example.test/it"]


def test_what_cannot_be_downloaded_leaves_nothing(run: Run, server: Server, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="No hosts remaining"):
        run.op(files.download, src=f"{server.url}/missing", dest=str(tmp_path / "it"))
    assert list(tmp_path.iterdir()) == []


def test_a_host_without_a_program_is_told_what_to_install(tmp_path: Path, tmp_path_factory: Any) -> None:
    environment = {"PATH": path_with(tmp_path_factory.mktemp("bin"))}
    with connected_run(ENV=environment) as run, pytest.raises(OperationError, match="neither curl nor wget"):
        run.op(files.download, src="http://example.test/it", dest=str(tmp_path / "it"))


def test_a_folder_where_the_download_should_be_is_an_error(tmp_path: Path) -> None:
    with connected_run() as run, pytest.raises(OperationError, match="already exists and is not a file"):
        run.op(files.download, src="http://example.test/it", dest=str(tmp_path))
