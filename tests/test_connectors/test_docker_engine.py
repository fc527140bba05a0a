"""Containers of a real Docker engine: the connector contract, and what becomes of containers and images."""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyinfra.api.connectors import expand_name
from pyinfra.api.exceptions import ConnectError
from pyinfra.testing.contract import ConnectorContract
from tests.support.commandline import Folder
from tests.support.dockerd import IMAGE, DockerEngine, engine_in_use
from tests.support.hosts import connected_host
from tests.support.page import run_examples, stand_in
from tests.support.run import connected_run
from tests.test_connectors.test_docker import run_until_disconnected

CONTAINER = "pit-contract"
# Nothing is denied to root, the connector has no rsync, and BusyBox neither sudo nor tools for attributes
NOT_IN_A_CONTAINER = {
    *("denied_files_are_errors", "rsync", "replaced_files_keep_attributes"),
    *("sudo", "sudo_user", "use_sudo_login", "preserve_sudo_env", "su_password", "doas", "dzdo"),
    *("passwords_are_in_no_arguments", "password_files_are_private_and_removed"),
}


@pytest.fixture(autouse=True)
def no_containers(docker: DockerEngine) -> Iterator[None]:
    """No container is there before a test, but that of the contract."""
    yield
    for name in docker.containers():
        if name != CONTAINER:
            docker.run("rm", "--force", name)


@pytest.mark.usefixtures("docker")
class TestContract(ConnectorContract):
    """In a container that runs."""

    inventory = f"@docker/{CONTAINER}"
    may_not_apply = NOT_IN_A_CONTAINER

    @classmethod
    def setup_class(cls) -> None:
        engine_in_use().start_container(name=CONTAINER)
        super().setup_class()


def refusal(name: str, **data: object) -> str:
    """Why a host cannot be connected to."""
    with pytest.raises(ConnectError) as caught, connected_host(name, **data):
        pass
    return str(caught.value)


def test_all_containers_that_run_are_found(docker: DockerEngine) -> None:
    name = docker.start_container("--label", "role=web/front")
    docker.run("stop", "--time", "0", docker.start_container("--label", "role=off"))
    found = {host: (data, groups) for host, data, groups, _ in expand_name("@docker")}
    found.pop(f"@docker/{CONTAINER}", None)
    groups = ["@docker", f"image_{IMAGE}", "label_role=web_front"]
    identifier = docker.run("inspect", "--format", "{{.Id}}", name)
    assert found == {f"@docker/{name}": ({"docker_identifier": identifier}, groups)}


def test_a_container_that_is_stopped_is_started_and_stopped_again(docker: DockerEngine) -> None:
    name = docker.start_container("--stop-signal", "KILL")
    docker.run("stop", name)
    with connected_host(f"@docker/{name}") as host:
        assert docker.containers()[name] == "running"
        assert host.run_shell_command("echo hello > /left")[0]
    assert docker.containers()[name] == "exited"
    docker.run("start", name)
    assert docker.run("exec", name, "cat", "/left") == "hello"


def test_an_image_becomes_a_new_image(docker: DockerEngine) -> None:
    data = {"docker_network": "host", "docker_run_arguments": ["--env", "GREETING=good morning"]}
    before = docker.containers()
    (said,) = run_until_disconnected(f"@docker/{IMAGE}", 'echo "$GREETING" > /made', data=data)
    assert docker.containers() == before
    image = said.removeprefix("docker build complete, image ID: ")
    assert docker.run("run", "--rm", "--network", "host", image, "cat", "/made") == "good morning"
    docker.run("rmi", image)


def test_after_a_failure_the_container_is_there_to_be_looked_at(docker: DockerEngine) -> None:
    before = set(docker.containers())
    (said,) = run_until_disconnected(
        f"@docker/{IMAGE}", "echo looked at > /made", "exit 3", data={"docker_network": "host"}
    )
    assert "nothing is committed" in said
    (name,) = set(docker.containers()) - before
    assert docker.run("exec", name, "cat", "/made") == "looked at"
    assert docker.run("inspect", "--format", "{{.Id}}", name)[:12] in said


def images_of(docker: DockerEngine) -> set[str]:
    """The ids of all images, those without a name too."""
    return set(docker.run("images", "--all", "--quiet").split())


def end_of_run(folder: Folder, *words: str) -> tuple[int, str]:
    """The exit code of a run over the image, and what was printed when it disconnected."""
    ended = folder.run("-y", f"@docker/{IMAGE}", "--data", "docker_network=host", *words)
    return ended.exit_code, ended.err.partition("--> Disconnecting from hosts...")[2]


@pytest.mark.parametrize(
    "code",
    [
        "raise ValueError('oops')",
        "host.run_shell_command('echo looked at > /made')\nraise ValueError('oops')",
        "server.shell('echo looked at > /made')\nraise ValueError('oops')",
    ],
)
def test_deploy_code_that_raises_leaves_the_container_and_no_image(
    docker: DockerEngine, tmp_path: Path, code: str
) -> None:
    folder = Folder(tmp_path)
    folder.write("deploy.py", f"from pyinfra import host\nfrom pyinfra.operations import server\n{code}")
    before, images = set(docker.containers()), images_of(docker)
    exit_code, said = end_of_run(folder, "deploy.py")
    (name,) = set(docker.containers()) - before
    identifier = docker.run("inspect", "--format", "{{.Id}}", name)[:12]
    assert exit_code == 1
    assert f"nothing is committed, and the container is kept: {identifier}" in said
    assert images_of(docker) == images


def test_facts_leave_nothing_and_a_command_leaves_an_image(docker: DockerEngine, tmp_path: Path) -> None:
    before, images = docker.containers(), images_of(docker)
    exit_code, said = end_of_run(Folder(tmp_path), "fact", "server.Os")
    assert (exit_code, "container removed" in said) == (0, True)
    assert images_of(docker) == images
    exit_code, said = end_of_run(Folder(tmp_path), "exec", "--", "echo made > /made")
    assert exit_code == 0
    docker.run("rmi", said.partition("docker build complete, image ID: ")[2].split()[0])
    assert docker.containers() == before


def test_a_container_that_goes_before_it_is_committed_fails_the_run(docker: DockerEngine, tmp_path: Path) -> None:
    remove = f"subprocess.run(['docker', 'rm', '--force', {CONTAINER + '-build'!r}], check=True)"
    folder = Folder(tmp_path)
    folder.write(
        "deploy.py", f"import subprocess\nfrom pyinfra.operations import python\npython.call(lambda: {remove})"
    )
    data = f'docker_run_arguments=["--name", "{CONTAINER}-build"]'
    exit_code, said = end_of_run(folder, "--data", data, "deploy.py")
    assert exit_code == 1
    assert "nothing is committed, and somebody has removed the container" in said


def test_a_container_that_is_removed_in_the_middle_is_told(docker: DockerEngine) -> None:
    name = docker.start_container()
    with connected_host(f"@docker/{name}") as host:
        killer = threading.Timer(1, lambda: docker.run("rm", "--force", name))
        killer.start()
        with pytest.raises(ConnectError, match=rf"The container {name} is gone: "):
            host.run_shell_command("sleep 60")
        killer.join()


def test_an_entrypoint_in_the_way_is_told_and_can_be_taken_out_of_it(docker: DockerEngine) -> None:
    name = f"@docker/{IMAGE}-entrypoint"
    before = docker.containers()
    assert re.search(
        r"ended at once: .*docker_run_arguments to .*It wrote: no luck tail -f", refusal(name, docker_network="host")
    )
    assert docker.containers() == before
    with connected_host(name, docker_network="host", docker_run_arguments=["--entrypoint", ""]) as host:
        assert host.run_shell_command("echo hello")[1].stdout == "hello"


def test_an_image_with_nothing_in_it_is_told_and_leaves_no_container(docker: DockerEngine) -> None:
    before = docker.containers()
    assert re.search(
        r"no `tail` in the image .*-empty.*: start one yourself",
        refusal(f"@docker/{IMAGE}-empty", docker_network="host"),
    )
    assert docker.containers() == before


def test_what_is_neither_a_container_nor_an_image_is_told(docker: DockerEngine) -> None:
    name = f"127.0.0.1:1/{secrets.token_hex(4)}"
    assert f"There is neither a container nor an image called {name}: " in refusal(f"@docker/{name}")


@pytest.mark.parametrize("name", ["Upper", "a b", "--help", "-v"])
def test_a_name_that_no_image_can_have_is_told(docker: DockerEngine, name: str) -> None:
    assert f"There is no container called {name}, and no image can be called so: " in refusal(f"@docker/{name}")


def test_an_image_is_no_container_whose_id_begins_with_its_name(docker: DockerEngine) -> None:
    other = docker.run("inspect", "--format", "{{.Id}}", docker.start_container())
    docker.run("tag", IMAGE, other[:4])
    with connected_host(f"@docker/{other[:4]}", docker_network="host") as host:
        assert host.connector.container.id != other
    docker.run("rmi", other[:4])
    with connected_host(f"@docker/{other[:12]}") as host:
        assert host.connector.container.id == other


def test_a_container_without_a_shell_is_told(docker: DockerEngine) -> None:
    name = docker.start_container()
    docker.run("exec", name, "rm", "/bin/sh")
    assert re.search(rf"There is no shell \(sh\) in {name}: .*shell_session = False", refusal(f"@docker/{name}"))
    with connected_host(f"@docker/{name}", shell_session=False) as host:
        assert host.run_shell_command("echo 'a  b'")[1].stdout == "a  b"


def test_a_container_that_is_killed_in_the_middle_is_told(docker: DockerEngine) -> None:
    name = docker.start_container()
    with connected_host(f"@docker/{name}") as host:
        killer = threading.Timer(1, lambda: docker.run("kill", name))
        killer.start()
        with pytest.raises(ConnectError, match=rf"The container {name} does not run: `docker logs {name}` may say why"):
            host.run_shell_command("sleep 60")
        killer.join()


def test_an_engine_that_cannot_be_reached_is_told(docker: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{docker.folder}/nowhere.sock")
    assert re.search(r"does not run or cannot be reached: start it .*nowhere\.sock", refusal("@docker/any"))


def test_commands_and_files_are_the_users_of_the_data(docker: DockerEngine, tmp_path: Path) -> None:
    name = docker.start_container()
    with connected_host(f"@docker/{name}", docker_user="nobody") as host:
        assert host.run_shell_command("id -un")[1].stdout == "nobody"
        assert host.put_file(str(Path(__file__)), "/tmp/copy")
        assert host.run_shell_command("ls -l /tmp/copy")[1].stdout.split()[2] == "nobody"
        assert host.get_file("/tmp/copy", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == Path(__file__).read_bytes()


def test_a_run_over_containers_reads_facts_and_changes_things(docker: DockerEngine) -> None:
    from pyinfra.facts.files import FindFiles
    from pyinfra.operations import files

    name = docker.start_container()
    with connected_run(f"@docker/{name}") as run:
        assert run.op(files.directory, "/srv/a/b", mode="750").did_change()
        assert not run.op(files.directory, "/srv/a/b", mode="750").did_change()
        run.op(files.file, "/srv/a/b/c")
        assert run.fact(FindFiles, "/srv") == ["/srv/a/b/c"]
    assert docker.run("exec", name, "stat", "-c", "%a", "/srv/a/b") == "750"


def test_what_runs_in_a_container_is_gone_after_a_disconnection(docker: DockerEngine) -> None:
    name = docker.start_container()
    with connected_host(f"@docker/{name}") as host:
        host.run_shell_command("true")
        host.connector.run_fact_commands([])
    deadline = time.monotonic() + 20
    while len(docker.run("top", name).splitlines()) > 2:
        assert time.monotonic() < deadline, docker.run("top", name)
        time.sleep(0.1)


@pytest.fixture
def reader(docker: DockerEngine, tmp_path: Path) -> Iterator[Path]:
    """The working directory of somebody who has containers, and an image that pretends to be a system."""
    (tmp_path / "group_data").mkdir()
    (tmp_path / "group_data" / "all.py").write_text("docker_network = 'host'\n")
    labels = {"role": "web", "com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
    name = docker.start_container(*(word for item in labels.items() for word in ("--label", "=".join(item))))
    docker.run("exec", name, "sh", "-c", "echo 'echo $* > /installed' > /bin/apt-get; chmod +x /bin/apt-get")
    docker.run("commit", name, "debian:12")
    stand_in(tmp_path / "bin", "podman", 'exec docker "$@"')
    yield tmp_path
    docker.run("rmi", "debian:12")


@pytest.mark.parametrize(
    ("connector", "path", "content"),
    [("docker", "/installed", "install --yes curl"), ("podman", "/etc/motd", "welcome"), ("compose", "", "")],
)
def test_the_examples_on_the_page_run(
    docker: DockerEngine, reader: Path, monkeypatch: pytest.MonkeyPatch, connector: str, path: str, content: str
) -> None:
    monkeypatch.setenv("PATH", str(reader / "bin"), prepend=":")
    before = docker.containers()
    said = run_examples(connector, reader)
    assert docker.containers() == before
    if path:
        image = said.partition("docker build complete, image ID: ")[2].split()[0]
        assert docker.run("run", "--rm", "--network", "host", image, "cat", path) == content
        docker.run("rmi", image)
    else:
        assert "[@compose/shop/web/1]" in said
