"""Containers of Compose projects, by their labels."""

from __future__ import annotations

from typing import Any

import pytest

from pyinfra.api.connectors import expand_name
from pyinfra.api.exceptions import ConnectError, InventoryError
from pyinfra.connectors.compose import ComposeConnector
from pyinfra.testing.contract import ConnectorContract
from tests.support.dockerd import DockerEngine, engine_in_use
from tests.support.fakeengine import FakeEngine, described, fake_engine
from tests.support.hosts import connected_host, made_connector
from tests.test_connectors.test_docker_engine import NOT_IN_A_CONTAINER

LABEL = "com.docker.compose"


def of_compose(name: str, project: str, service: str, number: int, **more: str) -> dict[str, Any]:
    """A container as Compose would have labelled it."""
    labels = {f"{LABEL}.project": project, f"{LABEL}.service": service, f"{LABEL}.container-number": str(number)}
    labels.update({f"{LABEL}.{key}": value for key, value in more.items()})
    return described(name, name, **labels)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """An engine with a project of two services, one of them twice."""
    return fake_engine(
        monkeypatch,
        of_compose("shop-web-2", "shop", "web", 2, oneoff="False"),
        of_compose("shop-web-10", "shop", "web", 10, oneoff="False"),
        of_compose("shop-db-1", "shop", "db", 1, oneoff="False"),
        of_compose("shop-web-run-abc", "shop", "web", 1, oneoff="True"),
    )


def identifier(name: str) -> str:
    """The id of a container of that engine."""
    return name.ljust(64, "0")


def names(entry: str) -> list[str]:
    """The hosts that an inventory's entry stands for."""
    return [name for name, _, _, _ in expand_name(entry)]


def test_containers_are_called_by_project_service_and_number_and_are_in_groups_by_both(engine: FakeEngine) -> None:
    assert [(name, data, groups) for name, data, groups, _ in expand_name("@compose")] == [
        ("@compose/shop/db/1", {"docker_identifier": identifier("shop-db-1")}, ["@compose", "shop", "db"]),
        ("@compose/shop/web/2", {"docker_identifier": identifier("shop-web-2")}, ["@compose", "shop", "web"]),
        ("@compose/shop/web/10", {"docker_identifier": identifier("shop-web-10")}, ["@compose", "shop", "web"]),
    ]


def test_containers_of_single_commands_are_left_out(engine: FakeEngine) -> None:
    found = [data["docker_identifier"] for _, data, _, _ in expand_name("@compose")]
    assert identifier("shop-web-run-abc") not in found
    assert len(found) == 3


@pytest.mark.parametrize(
    ("entry", "filters"),
    [
        ("@compose", []),
        ("@compose/shop", ["project=shop"]),
        ("@compose/shop/web", ["project=shop", "service=web"]),
        ("@compose/shop/web/2", ["project=shop", "service=web", "container-number=2"]),
    ],
)
def test_the_engine_is_asked_for_no_more_than_is_named(entry: str, filters: list[str], engine: FakeEngine) -> None:
    assert names(entry)
    expected = "".join(f" --filter label={LABEL}.{text}" for text in ["project", *filters])
    assert engine.asked[0] == f"ps --quiet --no-trunc{expected}"


@pytest.mark.parametrize("name", ["", "shop/", "/web", "shop/web/1/2"])
def test_a_name_of_another_form_is_an_error(name: str) -> None:
    with pytest.raises(InventoryError, match="@compose takes PROJECT, PROJECT/SERVICE or PROJECT/SERVICE/NUMBER, not"):
        list(ComposeConnector.make_names_data(name))


def test_where_none_runs_that_is_an_error_that_says_what_to_do(engine: FakeEngine) -> None:
    engine.containers.clear()
    with pytest.raises(InventoryError, match="No container of shop/web runs: `docker compose up"):
        list(ComposeConnector.make_names_data("shop/web"))
    with pytest.raises(InventoryError, match="No container runs"):
        list(ComposeConnector.make_names_data())


def test_commands_run_in_the_container_that_was_found(engine: FakeEngine) -> None:
    (web,) = [data for name, data, _, _ in expand_name("@compose/shop/web/2") if name == "@compose/shop/web/2"]
    assert web == {"docker_identifier": identifier("shop-web-2")}
    engine.containers[:] = engine.containers[:1]
    with connected_host("@compose/shop/web/2") as host:
        assert host.run_shell_command("echo hello")[1].stdout == "hello"
    assert engine.started[0][:4] == ["docker", "exec", "-i", engine.containers[0]["Id"]]


def test_a_container_that_is_gone_is_not_made_anew(engine: FakeEngine) -> None:
    connector = made_connector("@compose/shop/db/1")
    engine.containers.clear()
    with pytest.raises(ConnectError, match="The container @compose/shop/db/1 is gone"):
        connector.connect()
    assert not any(line.startswith("run") for line in engine.asked)


# The real thing


def start(docker: DockerEngine, service: str, number: int) -> str:
    """Start a container as Compose does."""
    labels = {"project": "pit", "service": service, "container-number": str(number), "oneoff": "False"}
    options = [word for key, value in labels.items() for word in ("--label", f"{LABEL}.{key}={value}")]
    return docker.start_container(*options)


@pytest.mark.usefixtures("docker")
class TestContract(ConnectorContract):
    """In a container of a project."""

    inventory = "@compose/pit/contract"
    may_not_apply = NOT_IN_A_CONTAINER

    @classmethod
    def setup_class(cls) -> None:
        start(engine_in_use(), "contract", 1)
        super().setup_class()


def test_a_real_engine_lists_the_containers_of_a_service(docker: DockerEngine) -> None:
    web = [start(docker, "web", number) for number in (1, 2)]
    other = start(docker, "db", 1)
    try:
        assert names("@compose/pit/web") == ["@compose/pit/web/1", "@compose/pit/web/2"]
        with connected_host("@compose/pit/web/2") as host:
            host.run_shell_command("echo second > /name")
        assert docker.run("exec", web[1], "cat", "/name") == "second"
        assert docker.run("exec", web[0], "ls", "/").split().count("name") == 0
    finally:
        docker.run("rm", "--force", *web, other)
