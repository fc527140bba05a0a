"""``@local``, and what waiting in a session leaves alone in its process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import gevent
import pytest

from pyinfra.api.exceptions import InventoryError
from pyinfra.connectors.local import LocalConnector

from ..support.hosts import connected_host
from .test_session_shells import exit_code, run


def test_there_is_one_local_host() -> None:
    assert list(LocalConnector.make_names_data()) == [("@local", {}, ["@local"])]
    with pytest.raises(InventoryError, match="Cannot have more than one @local"):
        list(LocalConnector.make_names_data("x"))


def test_a_terminal_is_one_on_all_its_descriptors_and_merges_the_output() -> None:
    with connected_host() as host:
        success, output = run(
            host, "test -t 0 && test -t 1 && test -t 2 && echo yes; cat; echo err >&2; exit 4", _get_pty=True,
            _stdin=["größe", "two"], _success_exit_codes=[4],
        )  # fmt: skip
        assert success
        assert output.stdout_lines == ["yes", "größe", "two", "err"]
        assert output.stderr_lines == []
        assert run(host, "cat; echo end", _get_pty=True)[1].stdout_lines == ["end"]
        assert exit_code(host, "kill -9 $$", _get_pty=True, _shell_executable=None) == 137
        with pytest.raises(TimeoutError, match="timed out after 1s"):
            run(host, "sleep 5551.5", _get_pty=True, _timeout=1)
        assert run(host, "pgrep -f '[s]leep 5551.5' || true")[1].stdout == ""
        text = "0123456789" * 1000
        assert run(host, f"echo {text}", _get_pty=True)[1].stdout == text


def test_many_commands_at_once_share_the_process(tmp_path: Path) -> None:
    with connected_host() as one, connected_host() as two:
        done = gevent.joinall(
            [gevent.spawn(run, host, "sleep 0.5; echo x") for host in (one, two) for _ in range(5)], timeout=20
        )
        assert [greenlet.get()[1].stdout for greenlet in done] == ["x"] * 10


def test_connecting_again_renews_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with connected_host() as host:
        monkeypatch.setenv("RENEWED", "yes")
        assert run(host, "echo ${RENEWED-no}")[1].stdout == "no"
        host.disconnect()
        host.connect(raise_exceptions=True)
        assert run(host, "echo ${RENEWED-no}")[1].stdout == "yes"


def test_disconnecting_ends_what_still_runs_and_spares_what_commands_left_behind(tmp_path: Path) -> None:
    with connected_host() as host:
        run(host, f"(sleep 1; touch {tmp_path}/left) & true")
        running = gevent.spawn(run, host, f"sleep 2; touch {tmp_path}/running")
        gevent.sleep(0.3)
    with gevent.Timeout(10):
        while not (tmp_path / "left").exists():
            gevent.sleep(0.05)
        running.join()
    gevent.sleep(1.5)
    assert os.listdir(tmp_path) == ["left"]


def test_the_children_of_others_keep_their_exit_status() -> None:
    with connected_host() as host, subprocess.Popen(["sh", "-c", "exit 7"]) as child:
        run(host, "sleep 0.2")
        assert child.wait() == 7


SCRIPT = textwrap.dedent("""
    import sys
    if sys.argv[1] == "patched":
        from gevent import monkey
        monkey.patch_all()
    import io, subprocess, threading
    from tests.support.hosts import connected_host
    seen = []
    with connected_host() as host:
        run = host.connector.run_shell_command
        seen.append(run("cat; exit 3", _stdin="x", _success_exit_codes=[3])[1].stdout)
        seen.append(run("kill -9 $$", _shell_executable=None, _success_exit_codes=[137])[0])
        seen.append([output.stdout for _, output in host.connector.run_fact_commands([("echo 1", {}), ("echo 2", {})])])
        seen.append(run("tty > /dev/null && echo tty", _get_pty=True)[1].stdout)
        host.connector.put_file(io.BytesIO(b"x" * 1_000_000), sys.argv[2])
        target = io.BytesIO()
        host.connector.get_file(sys.argv[2], target)
        seen.append(len(target.getvalue()))
        try:
            run("sleep 60", _timeout=1)
        except TimeoutError as error:
            seen.append(str(error))
        seen.append(subprocess.run(["sh", "-c", "exit 5"]).returncode)
    print(seen)
""")


def run_program(text: str, how: str, file: Path) -> subprocess.CompletedProcess[str]:
    """Run a program of its own, told whether the standard library is to be patched, and a file."""
    return subprocess.run(
        [sys.executable, "-c", text, how, str(file)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("how", ["patched", "plain"])
def test_sessions_work_with_the_standard_library_patched_and_without(tmp_path: Path, how: str) -> None:
    ran = run_program(SCRIPT, how, tmp_path / "file")
    assert ran.stderr == ""
    assert ran.stdout == "['x', True, ['1', '2'], 'tty', 1000000, 'Command timed out after 1s', 5]\n"


END_OF_INPUT = textwrap.dedent("""
    import sys
    if sys.argv[1] == "patched":
        from gevent import monkey
        monkey.patch_all()
    from pyinfra.api import Config, Inventory, State
    from pyinfra.api.connect import connect_all, disconnect_all
    from pyinfra.api.operation import add_op
    from pyinfra.api.operations import run_ops
    from pyinfra.connectors.session import ProcessPipe
    from pyinfra.operations import server
    # Nothing else goes on that could wake gevent's loop
    pipe = ProcessPipe(["cat"])
    pipe.close_input()
    assert pipe.receive(10) is None
    state = State(Inventory((["@local"], {})), Config())
    connect_all(state)
    add_op(state, server.shell, commands=[f"cat > {sys.argv[2]}"], _stdin="plain")
    run_ops(state)
    disconnect_all(state)
""")


@pytest.mark.parametrize("how", ["patched", "plain"])
def test_a_program_gets_the_end_of_its_input_where_nothing_else_goes_on(tmp_path: Path, how: str) -> None:
    ran = run_program(END_OF_INPUT, how, tmp_path / "file")
    assert (ran.stdout, ran.stderr) == ("", "")
    assert (tmp_path / "file").read_text() == "plain\n"


def test_rsync_copies_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with connected_host() as host:
        monkeypatch.setattr(shutil, "which", lambda name: None)
        with pytest.raises(NotImplementedError, match="The `rsync` binary is not available on this system"):
            host.connector.check_can_rsync()
        monkeypatch.undo()
        source, target, log = tmp_path / "a b", tmp_path / "c'd", tmp_path / "log"
        source.mkdir()
        (source / "file").write_text("x")
        # A program of that name, which notes its arguments and copies, as rsync is not on every machine
        (tmp_path / "rsync").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {log}\ncp -R "$2" "$3"\n')
        (tmp_path / "rsync").chmod(0o755)
        environment = {"_env": {"PATH": f"{tmp_path}:{os.environ['PATH']}"}}
        assert host.connector.rsync(str(source), str(target), ["-a"], **environment) is True
        assert log.read_text().splitlines() == ["-a", str(source), str(target)]
        assert (target / "file").read_text() == "x"
        with pytest.raises(OSError, match="nothing"):
            host.connector.rsync(str(tmp_path / "nothing"), str(target), ["-a"], **environment)


@pytest.mark.parametrize("name", ["a:b", "-n", "--help"])
def test_rsync_takes_folders_for_no_options_and_no_hosts(tmp_path: Path, name: str) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("rsync is not installed")
    (tmp_path / name).mkdir()
    (tmp_path / name / "file").write_text("x")
    with connected_host() as host:
        assert host.connector.rsync(f"{name}/", f"{name}copy", ["-a"], _chdir=str(tmp_path)) is True
    assert (tmp_path / f"{name}copy" / "file").read_text() == "x"


# It writes by programs, which a closed pipe kills, and says how far it came
WRITER = """
(
    i=0
    while [ $i -lt 20 ]; do
        i=$((i + 1))
        env echo tick || exit
        env echo tock >&2 || exit
        echo $i > {file}
        sleep 0.1
    done
) & echo started
"""


def test_what_is_left_in_the_background_goes_on_writing_after_the_run(tmp_path: Path) -> None:
    file = tmp_path / "count"
    script = f"""
        from tests.support.hosts import connected_host
        with connected_host() as host:
            print(host.connector.run_shell_command({WRITER.format(file=file)!r}, False, False)[1].output)
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    lines = ran.stdout.splitlines()
    # It may have been as quick as the command
    assert ("started" in lines, set(lines) <= {"started", "tick", "tock"}, ran.stderr) == (True, True, "")
    assert not file.exists() or int(file.read_text() or 0) < 20, "the run has not waited for it"
    with gevent.Timeout(20):
        while not file.exists() or file.read_text() != "20\n":
            gevent.sleep(0.05)


def test_who_reads_what_is_left_in_the_background_ends_with_it() -> None:
    def readers() -> list[str]:
        listed = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, check=False)
        return [line for line in listed.stdout.decode().splitlines() if line.startswith(("cat", "[cat]", "sh -c cd"))]

    before = readers()
    with connected_host() as host:
        pid = int(run(host, "sleep 60 & echo $!")[1].stdout)
    assert len(readers()) == len(before) + 2
    os.kill(pid, 9)
    with gevent.Timeout(20):
        while len(readers()) > len(before):
            gevent.sleep(0.05)
            with connected_host() as host:
                run(host, "true")
