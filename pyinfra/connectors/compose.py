"""``@compose``: the containers of Compose projects, found by the labels that Compose gives them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyinfra.api.exceptions import ConnectError, InventoryError

from .base import DataMeta
from .docker import DockerConnector
from .engines import Container, explain_engine, running_containers
from .session import SessionConnector, SessionData

_LABEL = "com.docker.compose"


class ComposeData(SessionData):
    """The host data that ``@compose`` reads."""

    docker_identifier: str
    docker_user: str | int


class ComposeConnector(DockerConnector):
    """Run in the containers of Compose projects: ``@compose``, ``@compose/PROJECT``, ``@compose/PROJECT/SERVICE``.

    Each is called ``@compose/PROJECT/SERVICE/NUMBER`` and in the groups ``@compose``, ``PROJECT`` and ``SERVICE``.
    They are those that run; their labels tell, so that neither Compose nor its files are needed here, only Docker's
    command line. In each it goes on as with ``@docker``.

    For example ``pyinfra @compose/shop/web server.shell "nginx -s reload"``.
    """

    data_cls = ComposeData
    data_meta = {
        **SessionConnector.data_meta,
        "docker_identifier": DataMeta("Name or id of the container"),
        "docker_user": DockerConnector.data_meta["docker_user"],
    }

    @classmethod
    def make_names_data(cls, name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield the containers of all projects, of one, of one of its services, or one container of that."""
        wanted = [] if name is None else name.split("/")
        if len(wanted) > 3 or not all(wanted):
            raise InventoryError(f"@compose takes PROJECT, PROJECT/SERVICE or PROJECT/SERVICE/NUMBER, not {name!r}")
        labels = [f"{_LABEL}.{key}" for key in ("project", "service", "container-number")]
        filters = [f"label={label}={value}" for label, value in zip(labels, wanted, strict=False)]
        options = [word for text in (f"label={_LABEL}.project", *filters) for word in ("--filter", text)]
        found = []
        for container in running_containers(cls.program, *options):
            if container.labels.get(f"{_LABEL}.oneoff") == "True":  # of `compose run`: numbers of their own
                continue
            project, service, number = (container.labels.get(label, "") for label in labels)
            found.append((project, service, int(number or 1), container.id))
        if not found:
            what = f"of {'/'.join(wanted)} " if wanted else ""
            raise InventoryError(f"No container {what}runs: `docker compose up --detach` starts a project's")
        for project, service, index, identifier in sorted(found):
            yield (
                f"@compose/{project}/{service}/{index}",
                {"docker_identifier": identifier},
                ["@compose", project, service],
            )

    def find(self) -> Container:
        """The container, or :class:`ConnectError` if it is gone: none is made here."""
        container = super().find()
        if container is None:
            raise ConnectError(explain_engine(self.program, self.host.name, "No such container"))
        return container
