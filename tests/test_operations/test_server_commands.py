"""Commands and scripts, run on this machine."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from pyinfra.api import MaskString, StringCommand
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.operations import server
from tests.support.run import Run, connected_run
from tests.support.users import missing_programs, ordinary_user


@pytest.fixture
def run() -> Iterator[Run]:
    with connected_run() as run:
        yield run


def test_commands_run_in_order_each_in_a_shell_of_its_own(run: Run) -> None:
    meta = run.op(server.shell, commands=["x=1; cd /; echo $x", 'echo "[$x]"; pwd'])
    assert meta.stdout_lines[:2] == ["1", "[]"]
    assert meta.stdout_lines[2] != "/"


def test_a_command_may_be_one_alone_with_a_secret_in_it(run: Run) -> None:
    command = StringCommand("echo", MaskString("secret"))
    assert str(command) == "echo ***"
    assert run.op(server.shell, commands=command).stdout == "secret"


def test_the_first_command_that_fails_is_the_last(run: Run) -> None:
    meta = add_op(run.state, server.shell, ["echo one", "false", "echo three"])[run.host]
    with pytest.raises(PyinfraError):
        run_ops(run.state)
    assert meta.stdout_lines == ["one"]


def test_a_script_gets_its_arguments_as_they_are(run: Run, tmp_path: Path) -> None:
    script = tmp_path / "script with blanks.sh"
    script.write_text('#!/bin/sh\nfor word in "$@"; do echo "[$word]"; done\n')
    meta = run.op(server.script, src=str(script), args=("a b", "$HOME", "'", 4))
    assert meta.stdout_lines == ["[a b]", "[$HOME]", "[']", "[4]"]


def test_a_script_runs_each_time_and_in_its_newest_form(run: Run, tmp_path: Path) -> None:
    script = tmp_path / "count.sh"
    for number in (1, 2):
        script.write_text(f"#!/bin/sh\necho {number}\n")
        assert run.op(server.script, src=str(script)).stdout == str(number)
        assert run.op(server.script, src=str(script)).stdout == str(number)


def test_a_script_template_is_rendered_first(run: Run, tmp_path: Path) -> None:
    template = tmp_path / "script.sh.j2"
    template.write_text("#!/bin/sh\necho {{ greeting }} {{ host.name }} $1\n")
    meta = run.op(server.script_template, src=str(template), args=["now"], greeting="hello")
    assert meta.stdout == f"hello {run.host.name} now"


@pytest.mark.parametrize(
    "arguments", [{}, {"_sudo": True, "_sudo_user": "it"}, {"_su_user": "it", "_su_shell": "/bin/sh"}]
)
def test_a_script_is_for_the_user_that_it_runs_as_alone_and_gone_afterwards(
    tmp_path: Path, arguments: dict[str, Any]
) -> None:
    if os.geteuid() != 0 or missing_programs():
        pytest.skip("needs root, sudo and su")
    template = tmp_path / "script.j2"
    template.write_text("#!/bin/sh\nid -un\nstat -c '%a %U' \"$0\"\n# {{ token }}\nexit $1\n")
    with ordinary_user() as user, TemporaryDirectory() as temporary, connected_run(TEMP_DIR=temporary) as run:
        # Others than root may not go into pytest's folders
        Path(temporary).chmod(0o1777)
        given = {key: user.name if value == "it" else value for key, value in arguments.items()}
        name = user.name if given else "root"
        for operation, data in ((server.script, {}), (server.script_template, {"token": "s3kr1t"})):
            meta = run.op(operation, src=str(template), args=[0], **data, **given)
            assert meta.stdout_lines == [name, f"700 {name}"]
            assert os.listdir(temporary) == []
        with pytest.raises(AssertionError, match="exit_code=3"):
            run.op(server.script_template, src=str(template), args=[3], token="s3kr1t", **given)
        assert os.listdir(temporary) == []


def test_a_script_can_be_read_by_no_one_else_while_it_is_uploaded(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    modes = []
    put_file = run.host.connector.put_file

    def watched(source: object, path: str, *args: object, **kwargs: object) -> bool:
        modes.append(Path(path).stat().st_mode & 0o777)
        done = put_file(source, path, *args, **kwargs)
        modes.append(Path(path).stat().st_mode & 0o777)
        return done

    monkeypatch.setattr(run.host.connector, "put_file", watched)
    run.op(server.script, src=str(script))
    assert modes == [0o600, 0o600]


def test_a_script_that_does_not_arrive_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary files").mkdir()
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")

    def fail(*args: object, **kwargs: object) -> bool:
        raise OSError("no space left")

    with connected_run(TEMP_DIR=str(tmp_path / "temporary files")) as run:
        monkeypatch.setattr(run.host.connector, "put_file", fail)
        with pytest.raises(AssertionError, match="no space left"):
            run.op(server.script, src=str(script))
    assert os.listdir(tmp_path / "temporary files") == []


def test_a_signal_reaches_its_process(run: Run) -> None:
    # It says itself what it got: its exit code may be taken by gevent's loop
    script = "trap 'echo INT; exit' INT; echo ready; while :; do sleep 0.05; done"
    process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    run.op(server.kill, pid=process.pid, signal="INT")
    assert process.communicate(timeout=20)[0] == "INT\n"


def test_waiting_for_a_port_ends_when_something_listens(run: Run) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        run.op(server.wait, port=listener.getsockname()[1])


def test_waiting_for_a_port_on_which_nothing_listens_ends_with_its_time_out(run: Run) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        meta = add_op(run.state, server.wait, port=bound.getsockname()[1], _timeout=1)[run.host]
        with pytest.raises(PyinfraError):
            run_ops(run.state)
    assert meta.did_error()
