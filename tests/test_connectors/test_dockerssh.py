"""Containers of hosts reached by SSH."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from pyinfra.api import Config, Inventory, State
from pyinfra.api.command import MaskString
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.exceptions import ConnectError, ConnectorDataTypeError, InventoryError
from pyinfra.connectors import dockerssh
from pyinfra.connectors.dockerssh import DockerSSHConnector, PodmanSSHConnector
from pyinfra.connectors.engines import Container
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.testing.contract import ConnectorContract
from pyinfra.testing.target import listening
from tests.support.dockerd import IMAGE, DockerEngine
from tests.support.hosts import connected_host, made_connector
from tests.support.page import run_examples, stand_in
from tests.support.sshd import SSHServer, can_run_sshd, start_sshd
from tests.test_connectors.test_docker_engine import NOT_IN_A_CONTAINER

# Names


def test_a_name_is_a_host_and_a_container_or_image_there() -> None:
    assert list(DockerSSHConnector.make_names_data("build.example.com:debian:12")) == [
        (
            "@dockerssh/build.example.com:debian:12",
            {"ssh_hostname": "build.example.com", "docker_image": "debian:12"},
            ["@dockerssh"],
        )
    ]
    assert list(PodmanSSHConnector.make_names_data("[::1]:a/b:1")) == [
        ("@podmanssh/[::1]:a/b:1", {"ssh_hostname": "::1", "docker_image": "a/b:1"}, ["@podmanssh"])
    ]


@pytest.mark.parametrize("name", [None, "", "host", "host:", ":image"])
def test_a_name_without_a_host_or_an_image_is_an_error(name: str | None) -> None:
    with pytest.raises(InventoryError, match="@dockerssh needs a host and a container or image there"):
        list(DockerSSHConnector.make_names_data(name))


def test_it_says_once_that_it_is_in_beta(monkeypatch: Any, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(dockerssh, "_warned", set())
    for name in ("a:x", "b:x"):
        list(DockerSSHConnector.make_names_data(name))
        list(PodmanSSHConnector.make_names_data(name))
    assert caplog.messages == ["The @dockerssh connector is in beta!", "The @podmanssh connector is in beta!"]


def test_the_data_of_ssh_are_checked_too() -> None:
    inventory = Inventory(([("@dockerssh/h:x", {"ssh_port": "22"})], {}))
    with pytest.raises(ConnectorDataTypeError, match="ssh_port"):
        connect_all(State(inventory, Config()))


def test_a_user_may_be_a_number() -> None:
    connector = made_connector("@dockerssh/h:x", docker_user=0)
    connector.container = Container("c0ffee", "x", "", {}, True)
    assert connector.shell_argv() == ["docker", "exec", "-i", "--user", "0", "c0ffee", "sh"]


# The real thing


class Remote:
    """A host with an engine, reached by SSH."""

    def __init__(self, engine: DockerEngine, **options: str) -> None:
        self.engine = engine
        self.server: SSHServer = start_sshd(SetEnv=f"DOCKER_HOST={engine.address}", **options)
        user = self.server.add_user()
        known_hosts = self.server.folder / "known_hosts"
        known_hosts.write_text(self.server.known_hosts_line())
        self.data = {
            "ssh_port": self.server.port,
            "ssh_user": user.name,
            "ssh_key": str(user.key),
            "ssh_known_hosts_file": str(known_hosts),
            "ssh_config_file": "/dev/null",
            "ssh_allow_agent": False,
            "docker_network": "host",
        }

    def name(self, container: str) -> str:
        """What a container is called in an inventory."""
        return f"@dockerssh/{self.server.addresses[0]}:{container}"

    def state(self, *containers: str, **data: Any) -> State:
        """A run over containers."""
        names: Any = [(self.name(container), {**self.data, **data}) for container in containers]
        return State(Inventory((names, {})), Config())

    @property
    def log_ins(self) -> int:
        """How often somebody has logged in."""
        return self.server.log.count("Accepted publickey")


@pytest.fixture(scope="session")
def remote(docker: DockerEngine) -> Iterator[Remote]:
    """A host that serves ten channels per log-in, as sshd does by default."""
    if not can_run_sshd():
        pytest.skip("needs root and OpenSSH's server")
    host = Remote(docker, MaxSessions="10")
    yield host
    host.server.close()


@pytest.fixture
def container(docker: DockerEngine) -> Iterator[str]:
    """A container that runs, removed at the end."""
    name = docker.start_container()
    yield name
    if name in docker.containers():
        docker.run("rm", "--force", name)


@pytest.fixture(scope="session")
def contract_host(remote: Remote) -> Iterator[None]:
    """A container for the contract, which learns here what it is called."""
    name = remote.engine.start_container()
    TestContract.inventory, TestContract.data = remote.name(name), remote.data
    yield
    remote.engine.run("rm", "--force", name)


@pytest.mark.usefixtures("contract_host")
class TestContract(ConnectorContract):
    """In a container that runs."""

    may_not_apply = NOT_IN_A_CONTAINER


def test_containers_of_a_host_share_one_log_in(remote: Remote, docker: DockerEngine) -> None:
    containers = [docker.start_container() for _ in range(3)]
    before = remote.log_ins
    state = remote.state(*containers)
    connect_all(state)
    for host in state.inventory:
        assert host.run_shell_command("echo hello")[1].stdout == "hello"
    disconnect_all(state)
    assert remote.log_ins == before + 1
    deadline = time.monotonic() + 20
    while remote.server.session_pids():
        assert time.monotonic() < deadline, "nobody has logged out"
        time.sleep(0.05)
    docker.run("rm", "--force", *containers)


def test_more_containers_than_a_log_in_serves_get_another_one(remote: Remote, docker: DockerEngine) -> None:
    containers = [docker.start_container() for _ in range(10)]
    before = remote.log_ins
    state = remote.state(*containers)
    connect_all(state)
    for host in state.inventory:
        (result,) = host.connector.run_fact_commands([("echo hello", {})], False, False)
        assert result[1].stdout == "hello"
        assert host.run_shell_command("hostname")[0]
    disconnect_all(state)
    docker.run("rm", "--force", *containers)
    # The shells for facts alone are too many for one; how many it takes depends on how soon the server lets go
    assert before + 2 <= remote.log_ins < before + len(containers)


@pytest.mark.parametrize(("sessions", "count"), [(3, 4), (1, 2)])
def test_a_host_that_serves_few_sessions_serves_all_containers(docker: DockerEngine, sessions: int, count: int) -> None:
    if not can_run_sshd():
        pytest.skip("needs root and OpenSSH's server")
    remote = Remote(docker, MaxSessions=str(sessions))
    before = docker.containers()
    try:
        # Each is an image, too: the engine is asked to make a container, and at the end to commit it
        names = [IMAGE, *(f"{IMAGE}:{number}" for number in range(1, count))]
        for name in names[1:]:
            docker.run("tag", IMAGE, name)
        state = remote.state(*names)
        with listening() as messages:
            connect_all(state)
            assert state.connect_failures == {}
            for host in state.inventory:
                (fact,) = host.connector.run_fact_commands([("echo hello", {})], False, False)
                assert fact[1].stdout == "hello"
                assert host.run_shell_command("echo hello")[1].stdout == "hello"
            disconnect_all(state)
    finally:
        remote.server.close()
    assert docker.containers() == before
    images = [message.rpartition(" ")[2] for message in messages if "image ID" in message]
    assert len(images) == count
    docker.run("rmi", *images, *names[1:])


def test_a_command_that_is_too_long_logs_nobody_in(remote: Remote, container: str) -> None:
    before = remote.log_ins
    with connected_host(remote.name(container), **remote.data) as host:
        for _ in range(2):
            with pytest.raises(OSError, match="too long"):
                host.run_shell_command(f"echo {'x' * (1 << 18)}", _get_pty=True)
    assert remote.log_ins == before + 1


def test_the_engines_exit_code_is_told(remote: Remote, container: str) -> None:
    with connected_host(remote.name(container), **remote.data) as host:
        assert host.connector.run_engine("exec", container, "sh", "-c", "exit 7")[0] == 7


def test_a_secret_that_differs_is_another_log_in(remote: Remote, docker: DockerEngine) -> None:
    containers = [docker.start_container() for _ in range(2)]
    before = remote.log_ins
    own = {**remote.data, "ssh_key": "", "ssh_look_for_keys": False}
    user = remote.server.users[0]
    names: Any = [
        (remote.name(containers[0]), {**own, "ssh_password": MaskString(user.password)}),
        (remote.name(containers[1]), {**own, "ssh_password": MaskString("wrong")}),
    ]
    state = State(Inventory((names, {})), Config())
    connect_all(state)
    assert remote.log_ins == before
    assert [host.name for host in state.connect_failures] == [remote.name(containers[1])]
    disconnect_all(state)
    docker.run("rm", "--force", *containers)


def test_who_comes_while_the_last_one_logs_out_logs_in_anew(
    remote: Remote, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(ssh: SSHConnector) -> None:
        gevent.sleep(0.2)
        disconnect(ssh)

    disconnect = SSHConnector.disconnect
    state = remote.state(container)
    (host,) = state.inventory
    first, second = (DockerSSHConnector(state, host) for _ in range(2))
    first.connect()
    monkeypatch.setattr(SSHConnector, "disconnect", slowly)
    leaving = gevent.spawn(first.disconnect)
    gevent.sleep(0.1)
    second.connect()
    leaving.get()
    assert second.run_engine("version")[0] == 0
    second.disconnect()


def test_other_log_in_data_are_another_log_in(remote: Remote, container: str) -> None:
    before = remote.log_ins
    names: Any = [(remote.name(container), remote.data), (f"{remote.name(container)}2", {**remote.data, "ssh_port": 1})]
    state = State(Inventory((names, {})), Config())
    connect_all(state)
    assert remote.log_ins == before + 1
    assert [host.name for host in state.connect_failures] == [f"{remote.name(container)}2"]
    disconnect_all(state)


def test_an_image_becomes_a_new_image_on_the_host(remote: Remote, docker: DockerEngine) -> None:
    before = docker.containers()
    with listening() as messages, connected_host(remote.name(IMAGE), **remote.data) as host:
        assert host.run_shell_command("echo hello > /made")[0]
    image = messages[-1].rpartition("docker build complete, image ID: ")[2]
    assert docker.containers() == before
    assert docker.run("run", "--rm", "--network", "host", image, "cat", "/made") == "hello"
    docker.run("rmi", image)


def test_the_container_that_the_data_name_is_committed_and_removed(
    remote: Remote, docker: DockerEngine, container: str
) -> None:
    data = {**remote.data, "docker_container_id": container}
    with listening() as messages, connected_host(remote.name("any"), **data) as host:
        assert host.run_shell_command("echo hello > /made")[0]
        host.disconnect()
        assert container not in docker.containers()
        # It goes on with what became of it
        host.connect(raise_exceptions=True)
        assert host.run_shell_command("cat /made")[1].stdout == "hello"
    assert [message.rpartition(": ")[0].endswith("docker build complete, image ID") for message in messages] == [
        True
    ] * 2
    docker.run("rmi", messages[-1].rpartition(" ")[2])


def test_the_container_that_the_data_name_stays_as_it_is_where_nothing_is_run(
    remote: Remote, docker: DockerEngine, container: str
) -> None:
    data = {**remote.data, "docker_container_id": container}
    with listening() as messages, connected_host(remote.name("any"), **data) as host:
        assert host.get_fact("server.Kernel") == "Linux"
    assert "container left running" in messages[-1]
    docker.run("exec", container, "rm", "/bin/sh")
    with pytest.raises(ConnectError, match="There is no shell"), connected_host(remote.name("any"), **data):
        pass
    assert docker.containers()[container] == "running"


def test_a_container_that_the_data_name_and_nobody_has_is_an_error(remote: Remote) -> None:
    data = {**remote.data, "docker_container_id": "nobody-has-it"}
    with (
        pytest.raises(ConnectError, match="The container nobody-has-it is gone"),
        connected_host(remote.name("any"), **data),
    ):
        pass


def test_a_log_in_that_breaks_fails_all_its_containers_and_a_new_one_is_made_afterwards(
    remote: Remote, docker: DockerEngine
) -> None:
    containers = [docker.start_container() for _ in range(2)]
    state = remote.state(*containers)
    connect_all(state)
    remote.server.kill_sessions()
    for host in state.inventory:
        with pytest.raises(ConnectError, match="lost"):
            host.run_shell_command("echo hello")
    disconnect_all(state)
    connect_all(state)
    for host in state.inventory:
        assert host.run_shell_command("echo hello")[1].stdout == "hello"
    disconnect_all(state)
    docker.run("rm", "--force", *containers)


def test_a_host_without_the_engines_program_is_told(remote: Remote) -> None:
    name = remote.name(secrets.token_hex(4)).replace("@dockerssh", "@podmanssh")
    missing = r"`podman` is not installed on 127\.0\.0\.1, or not in PATH"
    with pytest.raises(ConnectError, match=missing), connected_host(name, **remote.data):
        pass


def test_a_terminal_of_the_container_does_not_echo_what_is_typed(remote: Remote, container: str) -> None:
    with connected_host(remote.name(container), **remote.data) as host:
        command = 'test -t 0 && test -t 1 && read -r line && echo "[$line]"; cat'
        success, output = host.run_shell_command(command, _get_pty=True, _stdin="typed")
    assert (success, output.stdout_lines) == (True, ["[typed]"])


def test_files_reach_the_container(remote: Remote, container: str, tmp_path: Path) -> None:
    with connected_host(remote.name(container), **remote.data) as host:
        assert host.put_file(__file__, "/tmp/a copy")
        assert host.get_file("/tmp/a copy", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == Path(__file__).read_bytes()


@pytest.mark.parametrize("connector", ["dockerssh", "podmanssh"])
def test_the_example_on_the_page_runs(
    docker: DockerEngine, connector: str, ssh_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_run_sshd():
        pytest.skip("needs root and OpenSSH's server")
    remote = Remote(docker, PermitUserEnvironment="yes")
    (user,) = remote.server.users
    try:
        stand_in(user.home / "bin", "podman", 'exec docker "$@"')
        (user.home / ".ssh" / "environment").write_text(f"PATH={user.home}/bin:{os.environ['PATH']}\n")
        (ssh_home / ".ssh" / "config").write_text(
            f"Host build.example.com\nHostName {remote.server.addresses[0]}\nPort {remote.server.port}\n"
            f"User {user.name}\nIdentityFile {user.key}\n"
        )
        (tmp_path / "group_data").mkdir()
        (tmp_path / "group_data" / "all.py").write_text("docker_network = 'host'\n")
        docker.run("tag", IMAGE, "debian:12")
        said = run_examples(connector, tmp_path)
    finally:
        remote.server.close()
    image = said.partition("docker build complete, image ID: ")[2].split()[0]
    assert docker.run("run", "--rm", "--network", "host", image, "cat", "/etc/motd") == "welcome"
    docker.run("rmi", image, "debian:12")
