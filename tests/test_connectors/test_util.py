"""What connectors share: command lines, standard input, local processes, and connector data."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import gevent
import pytest

from pyinfra.api import HiddenValue, MaskString, StringCommand
from pyinfra.api.exceptions import ConnectorDataTypeError
from pyinfra.connectors.base import BaseConnector, ConnectorData, DataMeta, host_to_connector_data
from pyinfra.connectors.util import (
    CommandOutput,
    OutputLine,
    extract_control_arguments,
    make_unix_command,
    make_unix_command_for_host,
    read_output_buffers,
    run_local_process,
    write_stdin,
)

from ..support.hosts import connected_host

# Arguments, and the command line that runs "uptime" with them
COMMAND_LINES: list[tuple[dict[str, Any], str]] = [
    ({}, "sh -c uptime"),
    ({"_shell_executable": "bash"}, "bash -c uptime"),
    ({"_shell_executable": "bash -e"}, "bash -e -c uptime"),
    ({"_shell_executable": None}, "uptime"),
    ({"_chdir": "/opt/d"}, "sh -c 'cd /opt/d && uptime'"),
    ({"_chdir": "/a b", "_shell_executable": None}, "cd '/a b' && uptime"),
    ({"_env": {"a": "b", "K": "v; w"}}, "sh -c 'export a=b '\"'\"'K=v; w'\"'\"' && uptime'"),
    ({"_doas": True, "_doas_user": "u"}, "doas -n -u u sh -c uptime"),
    ({"_dzdo": True, "_dzdo_user": "u"}, "dzdo -H -n -u u sh -c uptime"),
    ({"_sudo": True}, "sudo -H -n sh -c uptime"),
    ({"_sudo": True, "_sudo_user": "a b"}, "sudo -H -n -u 'a b' sh -c uptime"),
    (
        {"_sudo": True, "_use_sudo_login": True, "_preserve_sudo_env": True, "_sudo_user": "u"},
        "sudo -H -n -i -E -u u sh -c uptime",
    ),
    (
        {"_sudo": True, "_sudo_password": "p", "_sudo_askpass_path": "/t"},
        "env SUDO_ASKPASS=/t PYINFRA_SUDO_PASSWORD=p sudo -H -A -k sh -c uptime",
    ),
    ({"_su_user": "u"}, "su u -c 'sh -c uptime'"),
    (
        {"_su_user": "u", "_use_su_login": True, "_preserve_su_env": True, "_su_shell": "bash"},
        "su -l -m -s $(command -v bash) u -c 'sh -c uptime'",
    ),
    (
        {"_su_user": "u", "_su_password": "p", "_su_askpass_path": "/t"},
        "env PYINFRA_SU_PASSWORD=p /t | su u -c 'sh -c uptime'",
    ),
    (
        {"_chdir": "/d", "_env": {"k": "v"}, "_sudo": True, "_sudo_user": "r", "_su_user": "u"},
        "sudo -H -n -u r su u -c 'sh -c '\"'\"'cd /d && export k=v && uptime'\"'\"''",
    ),
    ({"_doas": True, "_dzdo": True, "_sudo": True}, "doas -n dzdo -H -n sudo -H -n sh -c uptime"),
    ({"_sudo_user": "u", "_doas_user": "u", "_dzdo_user": "u", "_su_shell": "bash"}, "sh -c uptime"),
    ({"_retries": 3, "_retry_delay": 1, "_retry_until": None, "_temp_dir": "/x"}, "sh -c uptime"),
]


@pytest.mark.parametrize(("arguments", "line"), COMMAND_LINES)
def test_arguments_make_the_command_line(arguments: dict[str, Any], line: str) -> None:
    assert make_unix_command("uptime", **arguments).get_raw_value() == line
    assert make_unix_command(StringCommand("uptime"), **arguments).get_raw_value() == line


def test_secrets_are_masked_in_command_lines() -> None:
    command = StringCommand("login", MaskString("one"), HiddenValue("two"))
    line = make_unix_command(
        command, _env={"A": MaskString("three"), "B": HiddenValue("four")}, _sudo=True, _sudo_password="five",
        _sudo_askpass_path="/t", _su_user="u", _su_password="six", _su_askpass_path="/t",
    )  # fmt: skip
    secrets = ["one", "two", "three", "four", "five", "six"]
    assert all(secret in line.get_raw_value() for secret in secrets)
    assert not any(secret in str(line) for secret in secrets)


def test_control_arguments_are_no_part_of_a_command_line() -> None:
    arguments: Any = {"_sudo": True, "_timeout": 3, "_get_pty": True, "_stdin": "x", "_success_exit_codes": [0]}
    with pytest.raises(TypeError):
        make_unix_command("uptime", **arguments)
    with connected_host() as host, pytest.raises(TypeError, match="_get_pty, _stdin, _success_exit_codes, _timeout"):
        make_unix_command_for_host(host.state, host, "uptime", **arguments)
    assert extract_control_arguments(arguments) == {
        "_timeout": 3,
        "_get_pty": True,
        "_stdin": "x",
        "_success_exit_codes": [0],
    }
    assert arguments == {"_sudo": True}


def test_a_password_is_in_a_file_on_the_host_and_not_in_the_line(tmp_path: Path) -> None:
    with connected_host() as host:
        arguments = {"_sudo": True, "_sudo_password": "it's $ecret", "_temp_dir": str(tmp_path)}
        line = make_unix_command_for_host(host.state, host, "uptime", **arguments).get_raw_value()
        (file,) = tmp_path.iterdir()
        assert line == f"env SUDO_ASKPASS={file} sudo -H -A -k sh -c uptime"
        assert file.name.startswith("pyinfra-sudo-askpass-")
        assert file.stat().st_mode & 0o777 == 0o700
        assert host.connector.run_shell_command(str(file))[1].stdout == "it's $ecret"
        make_unix_command_for_host(host.state, host, "uptime", **arguments)
        assert list(tmp_path.iterdir()) == [file]
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_answers_no_more_is_left_without_waiting_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def answer_nothing(command: StringCommand, **arguments: Any) -> None:
        gevent.sleep(arguments.get("_timeout", 3600))
        raise TimeoutError

    monkeypatch.setattr("pyinfra.connectors.passwords._REMOVE_SECONDS", 0.1)
    with gevent.Timeout(20), connected_host() as host:
        make_unix_command_for_host(host.state, host, "uptime", _sudo=True, _sudo_password="x", _temp_dir=str(tmp_path))
        monkeypatch.setattr(host.connector, "run_shell_command", answer_nothing)


class Buffer(io.BytesIO):
    """Keeps what was written when it is closed."""

    def close(self) -> None:
        self.content = self.getvalue()
        super().close()


@pytest.mark.parametrize(
    ("stdin", "content"),
    [
        (None, b""),
        ("", b"\n"),
        ("a", b"a\n"),
        ("a\nb\n", b"a\nb\n"),
        (["a", "b\n", "größe"], b"a\nb\ngr\xc3\xb6\xc3\x9fe\n"),
        (iter(["a", b"\xff"]), b"a\n\xff\n"),
        (b"\x00\xff", b"\x00\xff\n"),
        (io.StringIO("a\nb"), b"a\nb\n"),
        (io.BytesIO(b"\xff\n"), b"\xff\n"),
        (io.BytesIO(b""), b""),
        ([str(number) for number in range(50_000)], b"".join(b"%d\n" % number for number in range(50_000))),
    ],
)
def test_standard_input_is_lines_that_end(stdin: Any, content: bytes) -> None:
    buffer = Buffer()
    write_stdin(stdin, buffer)
    assert buffer.closed
    assert buffer.content == content


def test_output_is_told_apart() -> None:
    output = CommandOutput([OutputLine("stdout", "a"), OutputLine("stderr", "b"), OutputLine("stdout", "c")])
    assert (output.output_lines, output.output) == (["a", "b", "c"], "a\nb\nc")
    assert (output.stdout_lines, output.stdout) == (["a", "c"], "a\nc")
    assert (output.stderr_lines, output.stderr) == (["b"], "b")
    assert str(output) == "a\nb\nc"


def test_buffers_are_read_as_lines() -> None:
    output = read_output_buffers([b"a\n", b"\xff\r\n", "b"], ["c\n"], None, False, "")
    assert output.stdout_lines == ["a", "\ufffd", "b"]
    assert output.stderr_lines == ["c"]


def test_buffers_that_never_pause_keep_no_time_out_from_coming() -> None:
    end = time.monotonic() + 20
    flood = iter(lambda: b"x\n" if time.monotonic() < end else b"", b"")
    with pytest.raises(TimeoutError, match="timed out after 1s"):
        read_output_buffers(flood, [], 1, False, "")
    assert time.monotonic() < end


def test_a_local_process_gives_its_exit_code_and_output(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("pyinfra.connectors.localprocess.echo", lambda text, **_: shown.append(text))
    code, output = run_local_process(
        "cat; echo err >&2; exit 3", stdin=["a", "b"], print_output=True, print_prefix="> "
    )
    assert (code, output.stdout_lines, output.stderr_lines) == (3, ["a", "b"], ["err"])
    assert sorted(shown) == ["> a", "> b", "> err"]
    assert run_local_process("kill -9 $$")[0] == 137


def test_a_local_process_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError, match="timed out after 1s"):
        run_local_process(f"sleep 60 & echo $! > {tmp_path}/pid; wait", timeout=1)
    assert time.monotonic() - started < 30
    pid = int((tmp_path / "pid").read_text())
    state = Path(f"/proc/{pid}/stat")
    while state.exists() and " Z " not in state.read_text():
        assert time.monotonic() - started < 30
        time.sleep(0.02)


def test_a_local_process_that_is_not_ours_to_kill_takes_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(group: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "killpg", refuse)
    started = time.monotonic()
    with pytest.raises(TimeoutError, match="timed out after 1s"):
        run_local_process("exec sleep 8", timeout=1)
    assert time.monotonic() - started < 6


def test_a_local_process_ends_with_its_command_and_leaves_alone_what_that_left_behind() -> None:
    code, output = run_local_process("(sleep 0.3; echo late; echo late >&2; exec sleep 60) & echo $!; exit 4")
    pid = int(output.stdout)
    try:
        assert (code, output.stderr_lines) == (4, [])
        # It writes to what nobody listens to any more
        assert run_local_process("sleep 0.6; echo next")[1].output_lines == ["next"]
        os.kill(pid, 0)
    finally:
        os.kill(pid, signal.SIGTERM)


def test_a_local_process_that_floods_its_output_in_the_background_ends_too() -> None:
    code, output = run_local_process("(while :; do echo noise; done) & echo $!; sleep 0.1")
    os.kill(int(output.stdout_lines[0]), signal.SIGKILL)
    assert code == 0


@pytest.mark.parametrize("redirect", ["", " >&2"])
def test_a_local_process_that_floods_its_output_takes_no_longer_than_it_may(redirect: str) -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError, match="timed out after 1s"):
        run_local_process(f"timeout 10 yes{redirect}", timeout=1)
    assert time.monotonic() - started < 8


def test_a_local_process_that_closes_its_outputs_takes_no_longer_than_it_may() -> None:
    with pytest.raises(TimeoutError, match="timed out after 1s"):
        run_local_process("exec >&- 2>&-; sleep 61", timeout=1)


def test_a_long_line_and_many_lines_of_a_local_process_come_whole() -> None:
    line = "x" * 3_000_000
    assert run_local_process("cat", stdin=line)[1].stdout_lines == [line]
    assert run_local_process("seq 100000; printf end")[1].stdout_lines == [*map(str, range(1, 100_001)), "end"]


class SampleData(ConnectorData):
    port: int
    names: list[str]
    sample_password: str


SAMPLE = {
    "port": DataMeta("A port.", 22),
    "names": DataMeta("Names."),
    "sample_password": DataMeta("A password."),
    "free": DataMeta("Anything.", "x"),
}


def test_connector_data_are_the_hosts_with_the_defaults() -> None:
    with connected_host(port=23, other="x") as host:
        data = host_to_connector_data(SampleData, SAMPLE, host.data)
    assert data == {"port": 23, "names": None, "sample_password": None, "free": "x"}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("port", "23", "[@local] Invalid connector data `port` = '23', expected int"),
        ("names", [1], "[@local] Invalid connector data `names` = [1], expected list[str]"),
        ("sample_password", 12345, "[@local] Invalid connector data `sample_password` = ***, expected str"),
    ],
)
def test_connector_data_of_the_wrong_type_are_told(key: str, value: Any, message: str) -> None:
    wrong = pytest.raises(ConnectorDataTypeError, match=re.escape(message))
    with connected_host(**{key: value}) as host, wrong as caught:
        host_to_connector_data(SampleData, SAMPLE, host.data)
    assert "12345" not in str(caught.value)


def test_a_connector_that_cannot_do_something_says_so() -> None:
    class Nothing(BaseConnector):
        @staticmethod
        def make_names_data(name: str | None = None) -> Any:
            yield "x", {}, []

    with connected_host() as host:
        nothing = Nothing(host.state, host)
        nothing.connect()
        nothing.disconnect()
        for call in (
            lambda: nothing.run_shell_command(StringCommand("x"), False, False),
            lambda: nothing.put_file("a", "b"),
            lambda: nothing.get_file("a", "b"),
            lambda: nothing.rsync("a", "b", []),
            nothing.check_can_rsync,
        ):
            with pytest.raises(NotImplementedError, match="Nothing cannot"):
                call()


def test_local_processes_leave_no_descriptors_open() -> None:
    run_local_process("true")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        run_local_process("cat", stdin="x")
    assert len(os.listdir("/proc/self/fd")) <= before


def test_exit_codes_are_told_also_once_gevent_takes_those_of_all_children() -> None:
    code = """
        import gevent.subprocess
        from pyinfra.connectors.util import run_local_process
        assert run_local_process("exit 3")[0] == 3
        assert gevent.subprocess.call(["sh", "-c", "exit 4"]) == 4
        assert [run_local_process("exit 5")[0] for _ in range(20)] == [5] * 20
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
