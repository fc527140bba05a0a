"""Containers of this machine, with an engine that a test scripts."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyinfra.api import Config, Inventory, State, StringCommand, operation
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.connectors import expand_name
from pyinfra.api.exceptions import ConnectError, ConnectorDataTypeError, InventoryError, PyinfraError
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.connectors import engines
from pyinfra.connectors.docker import DockerConnector, PodmanConnector
from pyinfra.connectors.engines import explain_engine, run_engine
from pyinfra.connectors.session import ProcessPipe
from pyinfra.testing.target import listening
from tests.support.fakeengine import FakeEngine, described, fake_engine
from tests.support.hosts import connected_host, why_not
from tests.support.page import stand_in

WEB = described("ab12", "web", image="example.com/nginx:1.27", role="front")
OLD = described("cd34", "old", running=False)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """An engine with a container that runs and one that does not."""
    return fake_engine(monkeypatch, WEB, OLD)


@operation(is_idempotent=False)
def say(*commands: str) -> Iterator[str]:
    """Run commands."""
    yield from commands


def run_until_disconnected(name: str, *commands: str, data: dict[str, Any] | None = None) -> list[str]:
    """Connect, run the commands as an operation each, disconnect; returns what was printed."""
    state = State(Inventory(([(name, data or {})], {})), Config())
    connect_all(state)
    with listening() as messages:
        for command in commands:
            add_op(state, say, command)
        if commands:
            try:
                run_ops(state)
            except PyinfraError:
                assert state.failed_hosts
        disconnect_all(state)
    return [message.partition("] ")[2] for message in messages]


# Names


def test_a_name_is_a_container_or_an_image_in_the_connectors_group() -> None:
    assert list(DockerConnector.make_names_data("web")) == [
        ("@docker/web", {"docker_identifier": "web"}, ["@docker"]),
    ]
    image = "example.com:5000/a/b:1.2"
    assert list(PodmanConnector.make_names_data(image)) == [
        (f"@podman/{image}", {"docker_identifier": image}, ["@podman"]),
    ]


def test_without_a_name_it_is_all_containers_that_run_in_groups_by_image_and_label(engine: FakeEngine) -> None:
    engine.containers.append(described("ef56", "db", image="postgres:17"))
    found = [(name, data, groups) for name, data, groups, _ in expand_name("@docker")]
    assert found == [
        ("@docker/db", {"docker_identifier": "ef56".ljust(64, "0")}, ["@docker", "image_postgres:17"]),
        (
            "@docker/web",
            {"docker_identifier": WEB["Id"]},
            ["@docker", "image_example.com_nginx:1.27", "label_role=front"],
        ),
    ]


def test_a_listed_container_that_is_gone_becomes_no_container_of_an_image_that_is_called_so(engine: FakeEngine) -> None:
    ((_, data, _, _),) = expand_name("@docker")
    engine.containers.clear()
    engine.answers[f"run -d -- {WEB['Id']}"] = (125, "Unable to find image")
    with (
        pytest.raises(ConnectError, match="There is neither a container nor an image"),
        connected_host("@docker/web", **data),
    ):
        pass


def test_an_engine_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stand_in(tmp_path, "docker", "exec sleep 60")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(engines, "_ANSWER_SECONDS", 0.3)
    with pytest.raises(InventoryError, match="has not answered `docker ps --quiet --no-trunc` within"):
        list(DockerConnector.make_names_data())
    with (
        pytest.raises(ConnectError, match="has not answered `docker container inspect -- web`"),
        connected_host("@docker/web"),
    ):
        pass


def test_where_nothing_runs_there_are_no_hosts(engine: FakeEngine) -> None:
    engine.containers.clear()
    assert list(DockerConnector.make_names_data()) == []
    assert engine.asked == ["ps --quiet --no-trunc"]


def test_an_empty_name_is_an_error() -> None:
    with pytest.raises(InventoryError, match=r"@docker/ lacks a container or an image: @docker/NAME; @docker alone"):
        list(DockerConnector.make_names_data(""))


def test_an_engine_that_lists_nothing_says_why(engine: FakeEngine) -> None:
    engine.answers["ps"] = (1, "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?")
    with pytest.raises(InventoryError, match=r"start it \(systemctl start docker\).*unix:///x"):
        list(DockerConnector.make_names_data())


@pytest.mark.parametrize("identifier", ["web", "/web", "ab1200000000", WEB["Id"]])
def test_a_container_goes_by_its_name_or_id_or_what_people_are_shown_of_that(
    engine: FakeEngine, identifier: str
) -> None:
    with connected_host("@docker/x", docker_identifier=identifier):
        assert not any(line.startswith("run") for line in engine.asked)


def test_an_image_is_no_container_whose_id_begins_with_its_name(engine: FakeEngine) -> None:
    with connected_host("@docker/ab") as host:
        assert host.connector.container.image == "ab"
    assert engine.asked[1].startswith("run -d -- ab tail")


# Containers


def test_a_container_that_runs_is_left_running(engine: FakeEngine) -> None:
    assert run_until_disconnected("@docker/web") == ["docker build complete, container left running: ab1200000000"]
    assert engine.asked == ["container inspect -- web"]
    assert engine.started[0][:4] == ["docker", "exec", "-i", WEB["Id"]]


def test_podman_is_asked_the_same(engine: FakeEngine) -> None:
    assert run_until_disconnected("@podman/web") == ["docker build complete, container left running: ab1200000000"]
    assert engine.started[0][:4] == ["podman", "exec", "-i", WEB["Id"]]


def test_a_container_that_is_stopped_is_started_and_stopped_again(engine: FakeEngine) -> None:
    said = run_until_disconnected("@docker/old", "echo hello")
    assert said == ["docker build complete, container stopped again: cd3400000000"]
    assert engine.asked == ["container inspect -- old", f"start {OLD['Id']}", f"stop {OLD['Id']}"]


def test_it_is_stopped_after_a_failure_too(engine: FakeEngine) -> None:
    run_until_disconnected("@docker/old", "exit 3")
    assert engine.asked[-1] == f"stop {OLD['Id']}"


@pytest.mark.parametrize("user", ["www-data", 1000, 0])
def test_commands_run_as_the_user_of_the_data_by_name_or_number(engine: FakeEngine, user: str | int) -> None:
    with connected_host("@docker/web", docker_user=user) as host:
        assert host.run_shell_command("echo hello")[1].stdout == "hello"
    assert all(argv[:6] == ["docker", "exec", "-i", "--user", str(user), WEB["Id"]] for argv in engine.started)


def test_a_command_in_a_terminal_gets_one_of_the_engine_and_its_input_is_not_echoed(engine: FakeEngine) -> None:
    with connected_host("@docker/web") as host:
        command = 'test -t 0 && test -t 1 && read -r line && echo "[$line]"; cat'
        success, output = host.run_shell_command(command, _get_pty=True, _stdin="typed")
    assert (success, output.stdout_lines) == (True, ["[typed]"])
    assert ["docker", "exec", "-it", WEB["Id"], "sh"] in [argv[:5] for argv in engine.started]


def test_a_container_without_a_shell_is_used_program_by_program(engine: FakeEngine, monkeypatch: Any) -> None:
    monkeypatch.setattr(FakeEngine, "start", lambda self, argv, terminal=False: _run_rest(self, list(argv)))
    with connected_host("@docker/web", shell_session=False) as host:
        assert host.run_shell_command("echo 'a  b'")[1].stdout == "a  b"
    assert engine.started == [["docker", "exec", "-i", WEB["Id"], "echo", "a  b"]]


def _run_rest(engine: FakeEngine, argv: list[str]) -> Any:
    engine.started.append(argv)
    return ProcessPipe(argv[4:])


def test_a_container_that_has_gone_in_the_middle_of_a_run_is_an_error(engine: FakeEngine) -> None:
    with connected_host("@docker/web") as host:
        host.state.is_executing = True
        host.disconnect()
        engine.containers.clear()
        with pytest.raises(ConnectError, match=r"The container web is gone: `docker ps --all` lists"):
            host.connect(raise_exceptions=True)
        engine.containers.append(WEB)
        host.connect(raise_exceptions=True)
        host.state.is_executing = False


# Images


def test_of_an_image_a_container_is_made_committed_and_removed(engine: FakeEngine) -> None:
    said = run_until_disconnected("@docker/debian:12", "echo hello")
    made = "made".ljust(64, "0")
    assert engine.asked == [
        "container inspect -- debian:12",
        "run -d -- debian:12 tail -f /dev/null",
        f"kill {made}",
        f"commit {made}",
        f"rm -f {made}",
    ]
    assert said == ["docker build complete, image ID: c0ffee000000"]


def test_the_data_say_how_an_image_is_run(engine: FakeEngine) -> None:
    data = {
        "docker_platform": "linux/arm64",
        "docker_architecture": "arm64",
        "docker_network": "front",
        "docker_run_arguments": ["--env", "A=b"],
    }
    run_until_disconnected("@docker/debian:12", data=data)
    options = "--platform linux/arm64 --arch arm64 --network front --env A=b"
    assert engine.asked[1] == f"run -d {options} -- debian:12 tail -f /dev/null"


def test_data_of_a_wrong_type_are_an_error_before_anything_runs(engine: FakeEngine) -> None:
    inventory = Inventory(([("@docker/debian:12", {"docker_run_arguments": "--env A=b"})], {}))
    with pytest.raises(ConnectorDataTypeError, match=r"docker_run_arguments` = '--env A=b', expected list\[str\]"):
        connect_all(State(inventory, Config()))
    assert engine.asked == []


def test_after_a_failure_nothing_is_committed_and_the_container_is_kept(engine: FakeEngine) -> None:
    said = run_until_disconnected("@docker/debian:12", "exit 3")
    assert said == [
        "not all went well: nothing is committed, and the container is kept: made00000000 "
        "(`docker commit made00000000` makes an image of it, `docker rm -f made00000000` removes it)"
    ]
    assert [line.split()[0] for line in engine.asked] == ["container", "run", "container"]


def test_a_container_that_somebody_has_removed_is_not_called_kept(engine: FakeEngine) -> None:
    state = State(Inventory((["@docker/debian:12"], {})), Config())
    connect_all(state)
    (host,) = state.inventory
    state.failed_hosts.add(host)
    engine.containers.pop()
    with listening() as messages:
        disconnect_all(state)
    assert messages[0].endswith("nothing is committed, and somebody has removed the container: made00000000")


def test_a_host_whose_deploy_code_has_failed_is_not_committed(engine: FakeEngine) -> None:
    state = State(Inventory((["@docker/debian:12"], {})), Config())
    connect_all(state)
    (host,) = state.inventory
    add_op(state, say, "echo one")
    state.failed_hosts.add(host)
    with listening() as messages:
        disconnect_all(state)
    assert "nothing is committed, and the container is kept" in messages[0]
    assert [item["Name"] for item in engine.containers][-1] == "/new"


def test_a_run_that_stops_half_way_is_not_committed(engine: FakeEngine) -> None:
    state = State(Inventory((["@docker/debian:12"], {})), Config())
    connect_all(state)
    add_op(state, say, "echo one")
    run_ops(state)
    add_op(state, say, "echo two")
    with listening() as messages:
        disconnect_all(state)
    assert "nothing is committed, and the container is kept" in messages[0]
    assert [line.split()[0] for line in engine.asked] == ["container", "run", "container"]


def test_a_run_that_runs_no_operation_leaves_nothing(engine: FakeEngine) -> None:
    state = State(Inventory((["@docker/debian:12"], {})), Config())
    connect_all(state)
    add_op(state, say, "echo one")
    with listening() as messages:
        disconnect_all(state)
    assert "no operation was run: nothing is committed, container removed" in messages[0]
    assert engine.asked[-1] == f"rm -f {'made'.ljust(64, '0')}"


def test_in_the_middle_of_a_run_the_container_outlives_the_connection(engine: FakeEngine) -> None:
    with connected_host("@docker/debian:12") as host:
        asked = len(engine.asked)
        host.reconnect()
        assert engine.asked[asked:] == []
        host.state.is_executing = True
        host.disconnect()
        host.connect(raise_exceptions=True)
        host.state.is_executing = False
        assert engine.asked[asked:] == [f"container inspect -- {'made'.ljust(64, '0')}"]


def test_a_second_connection_after_the_end_goes_on_with_the_image_that_was_made(engine: FakeEngine) -> None:
    with connected_host("@docker/debian:12") as host:
        host.run_shell_command("echo hello")
        host.disconnect()
        host.connect(raise_exceptions=True)
    assert [line for line in engine.asked if line.startswith("run")] == [
        "run -d -- debian:12 tail -f /dev/null",
        "run -d -- c0ffee000000 tail -f /dev/null",
    ]


def test_facts_alone_make_no_image(engine: FakeEngine) -> None:
    with listening() as messages, connected_host("@docker/debian:12") as host:
        assert host.get_fact("server.Kernel") == "Linux"
        # Facts that need a shell of their own
        for argument in ({"_stdin": "x"}, {"_get_pty": True}, {"_timeout": 10}):
            host.connector.run_fact_commands([(StringCommand("cat"), {"_stdin": "x", **argument})])
        host.get_file("/dev/null", io.BytesIO())
    assert messages[-1].endswith("nothing is committed, container removed: made00000000")
    assert not any(line.startswith("commit") for line in engine.asked)


@pytest.mark.parametrize(
    "change",
    [
        lambda host: host.run_shell_command("echo hello"),
        lambda host: host.run_shell_command("echo hello", _get_pty=True),
        lambda host: host.put_file(io.BytesIO(b"x"), "/dev/null"),
    ],
)
def test_what_deploy_code_does_directly_makes_an_image(engine: FakeEngine, change: Any) -> None:
    with listening() as messages, connected_host("@docker/debian:12") as host:
        change(host)
        host.get_fact("server.Kernel")
    assert messages[-1].endswith("docker build complete, image ID: c0ffee000000")


@pytest.mark.parametrize("what", ["commit", "kill"])
def test_a_container_that_cannot_be_committed_stays_and_is_named_and_the_run_has_failed(
    engine: FakeEngine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    state = State(Inventory((["@docker/debian:12"], {})), Config())
    connect_all(state)
    (host,) = state.inventory
    host.run_shell_command("echo hello")
    if what == "commit":
        engine.answers["commit"] = (1, "Error response from daemon: no space left on device")
        why = "no space left on device"
    else:
        why = "`docker` is not installed on this machine"
        monkeypatch.setattr("pyinfra.connectors.docker.run_engine", run_engine)
        monkeypatch.setenv("PATH", "/nowhere")
    disconnect_all(state)
    (message,) = caplog.messages
    assert why in message
    assert "; nothing is committed, and the container is kept: made00000000 (`docker commit made00000000`" in message
    assert state.failed_hosts == {host}
    assert not any(line.startswith("rm") for line in engine.asked)


def test_an_image_whose_container_cannot_be_removed_is_told_all_the_same(
    engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.answers["rm"] = (1, "Error response from daemon: device is busy")
    assert run_until_disconnected("@docker/debian:12", "echo hello") == [
        "docker build complete, image ID: c0ffee000000"
    ]
    assert "device is busy" in caplog.text


@pytest.mark.parametrize("word", ["--rm", "--rm=true", "--rmi", "--detach=false", "-d=0"])
def test_arguments_that_prevent_an_image_are_refused_before_anything_runs(engine: FakeEngine, word: str) -> None:
    why = why_not("@docker/debian:12", docker_run_arguments=["--env", "A=b", word])
    assert why.startswith(f"The host data docker_run_arguments cannot have {word}: ")
    assert not any(line.startswith("run") for line in engine.asked)
    with connected_host("@docker/debian:12", docker_run_arguments=["--rm=false", "--detach"]):
        pass


# What goes wrong


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("Cannot connect to the Docker daemon at unix:///x.", "start it (systemctl start docker)"),
        ("failed to connect to the docker API at unix:///x; no such file or directory", "DOCKER_HOST"),
        ("permission denied while trying to connect to the Docker daemon socket", "add it to the group docker"),
        ("Unable to find image 'web:latest' locally\nRun 'docker run --help'", "neither a container nor an image"),
        (
            "docker: invalid reference format: repository name (library/Web) must be lowercase",
            "There is no container called web2, and no image can be called so",
        ),
        ("parsing reference: repository name must be lowercase", "There is no container called web2"),
        ("unknown flag: --arch\nSee 'docker run --help'.", "set the host data docker_platform"),
        ('exec: "tail": executable file not found in $PATH', "start one yourself"),
    ],
)
def test_what_an_engine_says_comes_with_what_to_do(engine: FakeEngine, said: str, advice: str) -> None:
    engine.answers["run"] = (125, said)
    with pytest.raises(ConnectError) as caught, connected_host("@docker/web2"):
        pass
    assert advice in str(caught.value)
    assert said.splitlines()[0] in str(caught.value)
    assert "--help" not in str(caught.value)


def test_what_nobody_knows_is_told_as_it_was_said() -> None:
    assert explain_engine("docker", "web", "Error: out of luck\nSee 'docker run --help'.\n") == "out of luck"


def test_a_container_that_was_made_but_does_not_start_is_removed(engine: FakeEngine, monkeypatch: Any) -> None:
    def run(program: str, *words: str) -> Any:
        code, output = FakeEngine.run(engine, program, *words)
        return (127 if words[0] == "run" else code), output

    monkeypatch.setattr("pyinfra.connectors.docker.run_engine", run)
    with pytest.raises(ConnectError), connected_host("@docker/debian:12"):
        pass
    assert engine.asked[-1] == f"rm -f {'made'.ljust(64, '0')}"


@pytest.mark.parametrize(("name", "last"), [("debian:12", "rm -f"), ("old", "stop"), ("web", "container inspect")])
def test_where_no_shell_answers_all_is_as_it_was_before(
    name: str, last: str, engine: FakeEngine, monkeypatch: Any
) -> None:
    monkeypatch.setattr(FakeEngine, "start", lambda self, argv, terminal=False: _no_shell())
    with (
        pytest.raises(ConnectError, match=r"There is no shell \(sh\) in .*: use an image"),
        connected_host(f"@docker/{name}"),
    ):
        pass
    assert engine.asked[-1].startswith(last)


def _no_shell(text: str = 'OCI runtime exec failed: exec: "sh": executable file not found in $PATH: unknown') -> Any:
    return ProcessPipe(["sh", "-c", f"echo '{text}' >&2; exit 127"])


def test_without_the_program_there_is_an_error_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConnectError, match="`docker` is not installed on this machine, or not in PATH"):
        run_engine("docker", "ps")
    with pytest.raises(InventoryError, match="`podman` is not installed on this machine"):
        list(PodmanConnector.make_names_data())


def test_the_program_gets_its_words_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\nprintf '[%s]\\n' \"$@\"; echo wrong >&2; exit 5\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    code, output = run_engine("docker", "run", "a b", "it's $HOME")
    assert (code, output.stdout_lines, output.stderr) == (5, ["[run]", "[a b]", "[it's $HOME]"], "wrong")


def test_a_container_that_ends_is_told_whatever_its_engine_says(engine: FakeEngine, monkeypatch: Any) -> None:
    with connected_host("@docker/web") as host:
        engine.containers[:] = [described("ab12", "web", running=False)]
        monkeypatch.setattr(FakeEngine, "start", lambda self, argv, terminal=False: _no_shell("setns: exit status 1"))
        with pytest.raises(ConnectError, match=r"The container web does not run: .*setns: exit status 1"):
            host.run_shell_command("kill -9 0")


@pytest.mark.parametrize("state", ["gone", "removing"])
def test_a_container_that_is_removed_in_the_middle_is_not_called_one_that_can_be_started(
    engine: FakeEngine, monkeypatch: Any, state: str
) -> None:
    with connected_host("@docker/web") as host:
        removed = described("ab12", "web", running=False)
        removed["State"]["Status"] = state
        engine.containers[:] = [] if state == "gone" else [removed]
        said = "Error response from daemon: container ab12 is not running"
        monkeypatch.setattr(FakeEngine, "start", lambda self, argv, terminal=False: _no_shell(said))
        with pytest.raises(ConnectError, match=r"The container web is gone: `docker ps --all` lists"):
            host.run_shell_command("kill -9 0")
