"""``@kubernetes`` with a real kubectl, in a cluster whose containers are shells of this machine."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from typing import ClassVar

import gevent
import pytest

from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.exceptions import ConnectError, InventoryError
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.connectors.kubernetes import KubernetesConnector
from pyinfra.connectors.util import OutputLine
from pyinfra.operations import server
from pyinfra.testing.contract import ConnectorContract
from tests.support.kubecluster import Cluster, kubernetes_cluster

from ..support.hosts import connected_host
from .test_session_shells import ask, exit_code, run


class TestKubernetes(ConnectorContract):
    """Pods that run as root, as this machine's shells do in CI."""

    inventory = "@kubernetes/default/web"
    may_not_apply = frozenset({"doas", "dzdo", "rsync", "su_password", "denied_files_are_errors"})
    things: ClassVar[ExitStack]

    @classmethod
    def setup_class(cls) -> None:
        if os.geteuid() != 0:
            pytest.skip("needs root, for sudo and other users")
        with ExitStack() as things:
            things.enter_context(kubernetes_cluster()).add_pod("web")
            super().setup_class()
            cls.things = things.pop_all()

    @classmethod
    def teardown_class(cls) -> None:
        with cls.things:
            super().teardown_class()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with kubernetes_cluster() as cluster:
        cluster.add_pod("web-1", labels={"app": "web"}, creationTimestamp="2030-01-02T00:00:00Z")
        cluster.add_pod("web-2", labels={"app": "web"}, creationTimestamp="2030-01-01T00:00:00Z", containers=("a", "b"))
        annotations = {"kubectl.kubernetes.io/default-container": "b"}
        cluster.add_pod("annotated", containers=("a", "b"), annotations=annotations)
        cluster.add_pod("done", phase="Succeeded", labels={"app": "web"})
        cluster.add_pod("waiting", phase="Pending")
        cluster.add_pod("bare", labels={"no-shell": ""})
        cluster.add_pod("db-0", "data", ownerReferences=[{"kind": "StatefulSet", "name": "db"}])
        yield cluster


def said(out: str, err: str = "") -> list[OutputLine]:
    """The lines of an output that is no longer than that."""
    return [OutputLine("stdout", out), *([OutputLine("stderr", err)] if err else [])]


def names(name: str | None) -> list[str]:
    return [host for host, _, _ in KubernetesConnector.make_names_data(name)]


def test_pods_that_run_are_found(cluster: Cluster) -> None:
    default = [f"@kubernetes/default/{pod}" for pod in ("annotated", "bare", "web-1", "web-2")]
    assert names(None) == ["@kubernetes/data/db-0", *default]
    assert names("default") == default
    assert names("default/app=web") == default[2:]
    assert names("test:data") == ["@kubernetes/test:data/db-0"]
    inventory = Inventory((["@kubernetes"], {}))
    groups = {group: [host.name for host in hosts] for group, hosts in inventory.groups.items()}
    assert groups["owner_statefulset_db"] == groups["namespace_data"] == ["@kubernetes/data/db-0"]
    assert groups["label_app=web"] == default[2:]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nowhere", r'namespaces "nowhere" not found; `kubectl get namespaces` lists'),
        ("--help", r'namespaces "--help" not found; `kubectl get namespaces` lists'),
        ("kube-system", r"No such pod runs: `kubectl --context=test get pods --namespace=kube-system` lists all"),
        ("default/app=nothing", r"No such pod runs: .* --namespace=default --selector=app=nothing` lists all"),
        ("restricted:", r"cannot list resource \"pods\" .*; a role has to allow .*: @kubernetes/NAMESPACE"),
        ("expired:data", r"\(Unauthorized\); log in to the cluster anew"),
        ("nothing:data", r"context .*nothing.*; `kubectl config get-contexts` lists"),
        ("unreachable:data", r"refused .*; the cluster cannot be reached: `kubectl cluster-info`"),
    ],
)
def test_why_none_is_found_is_told(name: str, told: str, cluster: Cluster) -> None:
    with pytest.raises(InventoryError, match=f"^@kubernetes: .*{told}"):
        names(name)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("default/gone", r'pods "gone" not found; the pod is gone, or elsewhere: `kubectl get pods -n default` lists'),
        ("nowhere/web-1", r'namespaces "nowhere" not found; `kubectl get namespaces` lists'),
        (
            "default/web-2/c",
            r"container c is not valid for pod web-2; `kubectl describe pod -n default web-2` lists its",
        ),
        ("default/done", r"completed pod; current phase is Succeeded; the pod or its container does not run: `kubectl"),
        ("default/waiting", r"does not have a host assigned; the pod or its container does not run: `kubectl describe"),
        ("default/bare", r"executable file not found .*; there is no shell \(sh\) in the container: use an image"),
        ("restricted:default/web-1", r"is forbidden: .*; a role has to allow this user `get` for pods and `create`"),
        ("expired:default/web-1", r"\(Unauthorized\); log in to the cluster anew"),
        ("nothing:default/web-1", r"context .*nothing.*; `kubectl config get-contexts` lists"),
        ("unreachable:default/web-1", r"refused .*; the cluster cannot be reached: `kubectl cluster-info`"),
    ],
)
def test_why_a_pod_cannot_be_reached_is_told(name: str, told: str, cluster: Cluster) -> None:
    with pytest.raises(ConnectError, match=told), connected_host(f"@kubernetes/{name}"):
        pass


def test_a_kubeconfig_that_is_not_there_is_told(cluster: Cluster) -> None:
    with (
        pytest.raises(
            ConnectError, match=r"stat /nowhere: .*; kubernetes_kubeconfig, or KUBECONFIG, has to be a kubeconf"
        ),
        connected_host("@kubernetes/default/web-1", kubernetes_kubeconfig="/nowhere"),
    ):
        pass


def test_the_kubeconfig_can_be_data(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    with connected_host("@kubernetes/default/web-1", kubernetes_kubeconfig=str(cluster.kubeconfig)) as host:
        assert run(host, "echo there")[1].stdout == "there"


def test_a_selector_leads_to_the_oldest_pod(cluster: Cluster) -> None:
    with connected_host("@kubernetes/default/web", kubernetes_selector="app=web") as host:
        assert host.connector.shell_argv()[-3] == "pod/web-2"
        assert run(host, "echo there")[1].stdout == "there"


def test_the_default_of_several_containers_is_taken_without_a_word(cluster: Cluster) -> None:
    with connected_host("@kubernetes/default/web-2") as host:
        assert run(host, "echo $PYINFRA_TEST_CONTAINER; echo err >&2")[1].combined_lines in (
            said("a", "err"),
            said("a", "err")[::-1],
        )
        assert run(host, "echo $PYINFRA_TEST_CONTAINER", _get_pty=True)[1].combined_lines == said("a")
    for name in ("web-2/b", "annotated"):
        with connected_host(f"@kubernetes/default/{name}") as host:
            assert ask(host, "echo $PYINFRA_TEST_CONTAINER")[0][1].stdout == "b"


def test_input_and_output_of_a_megabyte_arrive(cluster: Cluster) -> None:
    content = os.urandom(1 << 20)
    with connected_host("@kubernetes/default/web-1") as host:
        assert run(host, "wc -c; echo end >&2", _stdin=content)[1].stdout.strip() == str(len(content) + 1)
        assert len(run(host, "yes 0123456789 | head -n 100000")[1].stdout_lines) == 100000
        place = run(host, "mktemp")[1].stdout
        host.connector.put_file(io.BytesIO(content), place)
        back = io.BytesIO()
        host.connector.get_file(place, back)
        assert back.getvalue() == content
        run(host, f"rm {place}")


def test_exit_codes_of_all_ways_to_run(cluster: Cluster) -> None:
    for data in ({}, {"shell_session": False}):
        with connected_host("@kubernetes/default/web-1", **data) as host:
            for way in ({}, {"_get_pty": True}):
                success, output = run(host, "sh -c 'echo out; exit 7'", **way)
                assert (success, output.exit_code, output.combined_lines) == (False, 7, said("out"))
            assert exit_code(host, "sh -c 'kill -9 $$'") == 137


def test_nothing_goes_on_in_the_pod_when_the_host_is_disconnected(cluster: Cluster) -> None:
    with connected_host("@kubernetes/default/web-1") as host:
        ask(host, "true")
        run(host, "true")
        assert cluster.running()
        with pytest.raises(TimeoutError):
            run(host, "sleep 60; true", _timeout=1)
    with gevent.Timeout(20):
        while cluster.running():
            gevent.sleep(0.05)


def test_a_pod_that_goes_in_the_middle_of_a_command_is_told(cluster: Cluster) -> None:
    cluster.add_pod("short")
    with connected_host("@kubernetes/default/short") as host:
        deletion = gevent.spawn_later(0.5, cluster.delete_pod, "short")
        with pytest.raises(
            ConnectError, match=r'broke while a command was running: pods "short" not found; the pod is gone'
        ):
            run(host, "sleep 60")
        deletion.get()
        with pytest.raises(ConnectError, match='pods "short" not found'):
            run(host, "true")
        with pytest.raises(ConnectError, match='pods "short" not found'):
            ask(host, "true")


def test_without_a_shell_a_pod_that_is_gone_is_told_too(cluster: Cluster) -> None:
    cluster.add_pod("short")
    with connected_host("@kubernetes/default/short", shell_session=False) as host:
        assert run(host, "echo 1")[1].stdout == "1"
        cluster.delete_pod("short")
        with pytest.raises(ConnectError, match='pods "short" not found; the pod is gone'):
            run(host, "echo 1", _success_exit_codes=[0, 1])


def test_a_connection_that_breaks_is_told_and_its_command_ended(cluster: Cluster) -> None:
    seconds = f"6{os.getpid() % 10000:04}.25"
    with connected_host("@kubernetes/default/web-1") as host:
        cut = gevent.spawn_later(0.5, cluster.cut)
        with pytest.raises(ConnectError, match=r"close 1006 .*; the connection to the pod broke"):
            run(host, f"sleep {seconds}; true")
        cut.get()
        with gevent.Timeout(20):
            while subprocess.run(["pgrep", "-f", f"sleep {seconds}"], capture_output=True, check=False).returncode == 0:
                gevent.sleep(0.05)
        assert run(host, "echo again")[1].stdout == "again"


def test_a_connection_that_breaks_while_nothing_runs_is_made_anew(cluster: Cluster) -> None:
    with connected_host("@kubernetes/default/web-1") as host:
        assert ask(host, "echo 1")[0][1].stdout == "1"
        cluster.cut()
        pipes = [shell.pipe for shell in (host.connector.session._fact_shell, host.connector.session._spare) if shell]
        with gevent.Timeout(20):
            while any(pipe.exit_status() is None for pipe in pipes):
                gevent.sleep(0.01)
        assert ask(host, "echo 2")[0][1].stdout == "2"
        assert run(host, "echo 3")[1].stdout == "3"


def test_a_kubectl_that_is_killed_is_no_exit_code_of_the_command(cluster: Cluster) -> None:
    with connected_host("@kubernetes/default/web-1") as host:
        running = gevent.spawn(run, host, "sleep 60; true")
        with gevent.Timeout(20):
            while not host.connector.session._running:
                gevent.sleep(0.01)
        [shell] = host.connector.session._running
        gevent.sleep(0.3)
        os.kill(shell.pipe.pid, 9)
        with pytest.raises(ConnectError, match="kubectl ended with exit status 137"):
            running.get(timeout=20)


def test_a_deploy_over_pods_runs_on_each(cluster: Cluster) -> None:
    state = State(Inventory((["@kubernetes/default/app=web"], {})), Config())
    connect_all(state)
    try:
        add_op(state, server.shell, commands=["echo there"])
        run_ops(state)
    finally:
        disconnect_all(state)
    assert [state.results[host].success_ops for host in state.inventory] == [1, 1]
