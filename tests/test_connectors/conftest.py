"""A real SSH server for the tests of connectors, shared by all of them, and a home folder of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.delayproxy import DelayProxy
from tests.support.dockerd import DockerEngine, docker_engine, missing_for_docker
from tests.support.sshd import SSHServer, User, can_run_sshd, start_sshd


@pytest.fixture(scope="session")
def sshd() -> Iterator[SSHServer]:
    """A server on 127.0.0.1, .2 and .3."""
    if not can_run_sshd():
        pytest.skip("needs root and OpenSSH's server")
    server = start_sshd(("127.0.0.1", "127.0.0.2", "127.0.0.3"), AllowTcpForwarding="yes", AllowAgentForwarding="yes")
    yield server
    server.close()


@pytest.fixture(scope="session")
def ssh_user(sshd: SSHServer) -> User:
    """An ordinary user of that server."""
    return sshd.add_user()


@pytest.fixture
def ssh_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with an empty ``.ssh``, and no agent."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return home


@pytest.fixture
def delay_proxy(sshd: SSHServer) -> Iterator[Callable[..., DelayProxy]]:
    """Makes proxies in front of the server."""
    proxies: list[DelayProxy] = []

    def make(**settings: Any) -> DelayProxy:
        proxies.append(DelayProxy((sshd.addresses[0], sshd.port), **settings))
        return proxies[-1]

    yield make
    for proxy in proxies:
        proxy.close()


@pytest.fixture(scope="session")
def docker() -> Iterator[DockerEngine]:
    """A Docker engine, which ``docker`` finds by itself from then on."""
    missing = missing_for_docker()
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    with docker_engine() as engine, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", engine.address)
        yield engine
