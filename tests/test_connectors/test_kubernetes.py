"""``@kubernetes``: names, data and groups, the command lines that kubectl gets, and what is told when it says no."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

import gevent
import pytest

from pyinfra.api import Config, Inventory, State
from pyinfra.api.exceptions import ConnectError, ConnectorDataTypeError, InventoryError
from pyinfra.connectors import kubernetes
from pyinfra.connectors.kubernetes import KubernetesConnector
from pyinfra.connectors.util import CommandOutput, OutputLine

from ..support.hosts import connected_host
from .test_session_shells import run


def pod(name: str, namespace: str = "shop", **metadata: Any) -> dict[str, Any]:
    """A pod as ``kubectl get`` describes it."""
    return {"metadata": {"name": name, "namespace": namespace, "creationTimestamp": "2030-01-01T00:00:00Z", **metadata}}


class Kubectl:
    """A kubectl that a test scripts, and whose containers are this machine.

    Attributes:
        asked: the command lines that were run
        opened: those that were to end in a shell
        pods: what it lists
        context: the current one, or empty
        refusal: what it says instead of listing pods
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.opened: list[list[str]] = []
        self.pods: list[dict[str, Any]] = []
        self.context = "test"
        self.refusal = ""
        self.namespaces = ["shop"]

    def run(self, command: str, timeout: int | None = None) -> tuple[int, CommandOutput]:
        assert timeout is not None
        program, *words = shlex.split(command)
        assert program == "kubectl"
        self.asked.append(" ".join(words))
        if words[-1] == "current-context":
            return self._say(self.context, "error: current-context is not set")
        if "namespace" in words:
            missing = f'Error from server (NotFound): namespaces "{words[-1]}" not found'
            return self._say(f"namespace/{words[-1]}" if words[-1] in self.namespaces else "", missing)
        return self._say("" if self.refusal else json.dumps({"items": self.pods}), self.refusal)

    @staticmethod
    def _say(out: str, err: str) -> tuple[int, CommandOutput]:
        said = OutputLine("stdout", out) if out else OutputLine("stderr", err)
        return int(not out), CommandOutput([OutputLine(said.buffer_name, line) for line in said.line.splitlines()])

    def open_pipe(self, connector: KubernetesConnector, argv: Sequence[str], terminal: bool = False) -> Any:
        self.opened.append(list(argv[: argv.index("sh") + 1]))
        return kubernetes.ProcessPipe(argv[argv.index("sh") :], terminal)


@pytest.fixture
def kubectl(monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    scripted = Kubectl()
    monkeypatch.setattr(kubernetes, "run_local_process", scripted.run)
    monkeypatch.setattr(kubernetes.shutil, "which", lambda program: f"/bin/{program}")
    monkeypatch.setattr(KubernetesConnector, "open_pipe", lambda *given, **more: scripted.open_pipe(*given, **more))
    return scripted


def names(name: str | None) -> list[str]:
    return [host for host, _, _ in KubernetesConnector.make_names_data(name)]


# Names


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("shop/web-1", {"namespace": "shop", "pod": "web-1"}),
        ("shop/web-1/nginx", {"namespace": "shop", "pod": "web-1", "container": "nginx"}),
        ("prod:shop/web-1", {"context": "prod", "namespace": "shop", "pod": "web-1"}),
        (
            "arn:aws:eks:eu-west-1:1234:cluster/prod:shop/web-1/nginx",
            {
                "context": "arn:aws:eks:eu-west-1:1234:cluster/prod",
                "namespace": "shop",
                "pod": "web-1",
                "container": "nginx",
            },
        ),
    ],
)
def test_a_name_with_a_pod_is_that_pod_and_asks_nobody(name: str, data: dict[str, str], kubectl: Kubectl) -> None:
    expected = {f"kubernetes_{key}": value for key, value in data.items()}
    assert list(KubernetesConnector.make_names_data(name)) == [(f"@kubernetes/{name}", expected, ["@kubernetes"])]
    assert kubectl.asked == []


@pytest.mark.parametrize(
    "name", ["", "/", "/web", "shop/", "shop/web/", "shop//nginx", "shop/web/nginx/more", ":", ":shop", "prod:/web"]
)
def test_a_name_that_says_nothing_is_told(name: str, kubectl: Kubectl) -> None:
    with pytest.raises(InventoryError, match=r"@kubernetes takes NAMESPACE, .* not '.*'; CONTEXT: .* app=web"):
        names(name)


@pytest.mark.parametrize(
    ("name", "listing"),
    [
        (None, "--context=test get pods --all-namespaces"),
        ("shop", "--context=test get pods --namespace=shop"),
        ("prod:", "--context=prod get pods --all-namespaces"),
        ("me@prod:shop", "--context=me@prod get pods --namespace=shop"),
        ("shop/app=web", "--context=test get pods --namespace=shop --selector=app=web"),
        (
            "shop/app.kubernetes.io/name=web",
            "--context=test get pods --namespace=shop --selector=app.kubernetes.io/name=web",
        ),
        ("shop/app in (a,b),x!=y", "--context=test get pods --namespace=shop --selector=app in (a,b),x!=y"),
        ("shop/!example.com/old", "--context=test get pods --namespace=shop --selector=!example.com/old"),
    ],
)
def test_a_name_without_a_pod_is_all_that_run(name: str | None, listing: str, kubectl: Kubectl) -> None:
    kubectl.pods = [pod("web-2"), pod("web-1"), pod("ending", deletionTimestamp="2030-01-01T00:00:00Z")]
    before = "prod:" if name == "prod:" else "me@prod:" if name == "me@prod:shop" else ""
    assert names(name) == [f"@kubernetes/{before}shop/web-1", f"@kubernetes/{before}shop/web-2"]
    assert kubectl.asked[-1] == f"{listing} --field-selector=status.phase=Running --output=json"


@pytest.mark.parametrize("selector", ["app=web", "a.io/b=web", "app in (a,b)", "app=a,tier!=b"])
def test_a_container_may_follow_a_selector(selector: str, kubectl: Kubectl) -> None:
    kubectl.pods = [pod("web-1")]
    [(name, data, _)] = KubernetesConnector.make_names_data(f"shop/{selector}/nginx")
    assert name == "@kubernetes/shop/web-1/nginx"
    assert data["kubernetes_container"] == "nginx"
    assert f" --selector={selector} " in kubectl.asked[-1]


def test_listed_pods_stay_with_the_context_that_listed_them(kubectl: Kubectl) -> None:
    kubectl.pods = [pod("web-1")]
    [(_, data, _)] = KubernetesConnector.make_names_data("shop")
    assert data == {"kubernetes_context": "test", "kubernetes_namespace": "shop", "kubernetes_pod": "web-1"}
    kubectl.context = ""
    [(_, data, _)] = KubernetesConnector.make_names_data("shop")
    assert data == {"kubernetes_namespace": "shop", "kubernetes_pod": "web-1"}
    assert kubectl.asked[-1].startswith("get pods")


def test_groups_are_namespace_labels_and_owner(kubectl: Kubectl) -> None:
    kubectl.pods = [
        pod(
            "web-7d4b9c-x2",
            labels={"pod-template-hash": "7d4b9c", "app.kubernetes.io/name": "web"},
            ownerReferences=[{"kind": "ReplicaSet", "name": "web-7d4b9c"}],
        ),
        pod("db-0", "data", ownerReferences=[{"kind": "StatefulSet", "name": "db"}]),
        pod("alone"),
        pod("rs-1", ownerReferences=[{"kind": "ReplicaSet", "name": "rs"}]),
    ]
    groups = {name.rpartition("/")[2]: groups for name, _, groups in KubernetesConnector.make_names_data()}
    assert groups == {
        "db-0": ["@kubernetes", "namespace_data", "owner_statefulset_db"],
        "alone": ["@kubernetes", "namespace_shop"],
        "rs-1": ["@kubernetes", "namespace_shop", "owner_replicaset_rs"],
        "web-7d4b9c-x2": [
            "@kubernetes",
            "namespace_shop",
            "label_app.kubernetes.io_name=web",
            "label_pod-template-hash=7d4b9c",
            "owner_deployment_web",
        ],
    }


def test_no_pod_is_an_error_that_says_where_none_is(kubectl: Kubectl) -> None:
    with pytest.raises(
        InventoryError, match=r"No such pod runs: `kubectl --context=test get pods --namespace=shop` lists"
    ):
        names("shop")
    with pytest.raises(InventoryError, match='namespaces "nowhere" not found; `kubectl get namespaces` lists'):
        names("nowhere")


def test_what_kubectl_says_of_listing_is_told(kubectl: Kubectl) -> None:
    kubectl.refusal = "E1124 08:10 memcache.go] dial\nUnable to connect to the server: dial tcp: i/o timeout"
    with pytest.raises(
        InventoryError, match=r"^@kubernetes: Unable to connect .*; the cluster cannot be reached: .*KUBECONFIG"
    ):
        names("shop")


def test_a_listing_that_hangs_is_ended_and_told(kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: str, timeout: int) -> tuple[int, CommandOutput]:
        raise TimeoutError

    monkeypatch.setattr(kubernetes, "run_local_process", hang)
    with pytest.raises(
        InventoryError, match=r"`kubectl config current-context` took longer than 60 seconds: the cluster"
    ):
        names("shop")


def test_kubectl_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes.shutil, "which", lambda program: None)
    with pytest.raises(InventoryError, match="kubectl is not in PATH on this machine: install it"):
        names("shop")
    with (
        pytest.raises(ConnectError, match="kubectl is not in PATH on this machine: install it"),
        connected_host("@kubernetes/prod:shop/web"),
    ):
        pass


# Command lines


def test_data_say_where_the_shell_is(kubectl: Kubectl) -> None:
    with connected_host("@kubernetes/prod:shop/web/nginx", kubernetes_kubeconfig="/etc/k 8s") as host:
        assert run(host, "echo 1")[1].stdout == "1"
    before = ["kubectl", "--kubeconfig=/etc/k 8s", "--context=prod", "exec", "-i", "--quiet"]
    assert kubectl.opened[0] == [*before, "--namespace=shop", "--container=nginx", "pod/web", "--", "sh"]
    assert kubectl.asked == []


def test_data_of_the_inventory_go_before_the_name(kubectl: Kubectl) -> None:
    with connected_host("@kubernetes/prod:shop/web/nginx", kubernetes_context="x", kubernetes_container="y"):
        pass
    assert {"--context=x", "--container=y"} < {*kubectl.opened[0]}


def test_the_current_context_is_asked_once_and_kept(kubectl: Kubectl) -> None:
    with connected_host("@kubernetes/shop/web", kubernetes_kubeconfig="/k") as host:
        kubectl.context = "other"
        host.reconnect()
        run(host, "true")
    assert {argv[2] for argv in kubectl.opened} == {"--context=test"}
    assert kubectl.asked == ["--kubeconfig=/k config current-context"]


def test_a_selector_finds_the_oldest_pod_and_keeps_it(kubectl: Kubectl) -> None:
    young = pod("web-1", creationTimestamp="2030-01-02T00:00:00Z")
    kubectl.pods = [young, pod("web-2", creationTimestamp="2030-01-01T00:00:00Z")]
    with connected_host("@kubernetes/shop/web", kubernetes_selector="app=web") as host:
        kubectl.pods = [young]
        host.reconnect()
    assert {argv[-3] for argv in kubectl.opened} == {"pod/web-2"}
    [listing] = [line for line in kubectl.asked if "get pods" in line]
    assert "get pods --namespace=shop --selector=app=web --field-selector" in listing


def test_a_terminal_is_asked_for_in_the_container_too(kubectl: Kubectl) -> None:
    with connected_host("@kubernetes/shop/web") as host:
        assert run(host, "test -t 0 && echo yes", _get_pty=True)[1].stdout == "yes"
    assert [argv[3] for argv in kubectl.opened if argv[3] != "-i"] == ["-it"]


def test_data_of_another_type_are_told(kubectl: Kubectl) -> None:
    with (
        pytest.raises(ConnectorDataTypeError, match=r"`kubernetes_container` = 5, expected str"),
        connected_host("@kubernetes/shop/web", kubernetes_container=5),
    ):
        pass


# What kubectl says when it fails, and what is told then


def kubectl_that(script: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have ``kubectl exec`` be a shell script."""
    program = tmp_path / "kubectl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ('Error from server (NotFound): pods "web" not found', "`kubectl get pods -n shop` lists"),
        ('Error from server (NotFound): namespaces "shop" not found', "`kubectl get namespaces` lists"),
        ("Error in configuration: context was not found for specified context: x", "`kubectl config get-contexts`"),
        ("error: stat /x: no such file or directory", "kubernetes_kubeconfig, or KUBECONFIG, has to be"),
        ('error: error loading config file "/x": open /x: permission denied', "a kubeconfig file that can be read"),
        ("error: You must be logged in to the server (Unauthorized)", "log in to the cluster anew"),
        ('Error from server (Forbidden): pods "web" is forbidden: User "kim" cannot', "a role has to allow this user"),
        (
            "Error from server (BadRequest): container x is not valid for pod web",
            "`kubectl describe pod -n shop web` lists",
        ),
        (
            "error: cannot exec into a container in a completed pod; current phase is Failed",
            "does not run: `kubectl desc",
        ),
        (
            "Error from server (BadRequest): pod web does not have a host assigned",
            "the pod or its container does not run",
        ),
        ('error: Internal error occurred: unable to upgrade: container not found ("x")', "does not run"),
        (
            'failed to exec in container: exec: "sh": executable file not found in $PATH: unknown',
            "no shell (sh) in the",
        ),
        ("The connection to the server x:1 was refused - did you specify the right host or port?", "cannot be reached"),
        ("Unable to connect to the server: dial tcp: lookup x: no such host", "cannot be reached"),
        (
            "error: error reading from error stream: next reader: websocket: close 1006 (abnormal closure)",
            "the pod broke",
        ),
    ],
)
def test_what_is_told_when_there_is_no_shell(
    said: str, advice: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = 'E1124 08:10:32.221346   18904 memcache.go:265] "Unhandled Error" err="something: timeout"'
    kubectl_that(f"printf '%s\\n' {shlex.quote(logged)} {shlex.quote(said)} >&2; exit 1", tmp_path, monkeypatch)
    with pytest.raises(ConnectError) as caught, connected_host("@kubernetes/prod:shop/web"):
        pass
    assert f"{said.split(': ', 1)[-1]}; " in str(caught.value)
    assert "Unhandled" not in str(caught.value)
    assert advice in str(caught.value)


def test_kubectl_that_says_nothing_is_told(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl_that("exec sleep 60", tmp_path, monkeypatch)
    with (
        pytest.raises(
            ConnectError, match=r"no answer within 1 seconds; the cluster cannot be reached: `kubectl cluster-info`"
        ),
        connected_host("@kubernetes/prod:shop/web", {"CONNECT_TIMEOUT": 1}),
    ):
        pass


def test_a_program_that_is_no_shell_is_told(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl_that(
        "echo 'OCI runtime exec failed' >&2; echo 'command terminated with exit code 126' >&2; exit 126",
        tmp_path,
        monkeypatch,
    )
    with (
        pytest.raises(ConnectError, match=r"No POSIX shell answers \(exit status 126: OCI runtime exec failed\)"),
        connected_host("@kubernetes/prod:shop/web"),
    ):
        pass


# The pipe


def everything(pipe: Any) -> list[tuple[int, bytes]]:
    """What a pipe gives, pieces of one stream joined."""
    pieces: list[tuple[int, bytes]] = []
    with gevent.Timeout(20):
        while (chunk := pipe.receive(None)) is not None:
            if pieces and pieces[-1][0] == chunk[0]:
                chunk = (chunk[0], pieces.pop()[1] + chunk[1])
            pieces.append(chunk)
    return pieces


def pipe_to(script: str, terminal: bool = False) -> Any:
    return kubernetes._KubectlPipe(["sh", "-c", script], terminal, lambda said: f"explained: {said}")


VERDICT = "echo command terminated with exit code 3 >&2; exit 3"


@pytest.mark.parametrize(
    ("script", "pieces"),
    [
        (f"echo a >&2; {VERDICT}", [(2, b"a\n")]),
        (f"printf a >&2; sleep 0.1; {VERDICT}", [(2, b"a")]),
        (
            f"printf 'command term' >&2; sleep 0.1; printf 'command termi' >&2; sleep 0.1; {VERDICT}",
            [(2, b"command termcommand termi")],
        ),
        ("printf 'command terminated with' >&2; sleep 0.1; echo ' exit code 137' >&2; exit 137", []),
        (f"echo command terminated with exit code 3 >&2; {VERDICT}", [(2, b"command terminated with exit code 3\n")]),
        ("echo command terminated with exit code 3; exit 0", [(1, b"command terminated with exit code 3\n")]),
        ("printf 'command terminated' >&2", [(2, b"command terminated")]),
        (f"echo a; {VERDICT}", [(1, b"a\n")]),
    ],
)
def test_what_kubectl_says_of_the_end_is_no_output(script: str, pieces: list[tuple[int, bytes]]) -> None:
    pipe = pipe_to(script)
    assert everything(pipe) == pieces
    assert pipe.receive(None) is None
    assert pipe.exit_status() is not None


TOO_LATE = """echo 'E1124 16:14:39.382251    1355 v2.go:104] "Unhandled Error" err="websocket: close sent"' >&2"""


def test_in_a_terminal_neither() -> None:
    pipe = pipe_to(f"echo a; {TOO_LATE}", terminal=True)
    assert everything(pipe) == [(1, b"a\r\n")]
    pipe = pipe_to(f"echo a; {VERDICT}", terminal=True)
    assert everything(pipe) == [(1, b"a\r\n")]
    assert pipe.exit_status() == 3


def test_a_line_is_given_before_there_is_another() -> None:
    pipe = pipe_to("echo a line >&2; sleep 30")
    with gevent.Timeout(20):
        assert pipe.receive(None) == (2, b"a line\n")
    with pytest.raises(TimeoutError):
        pipe.receive(0.01)
    pipe.close()


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo lost connection >&2; exit 1", "explained: lost connection\n"),
        ("exit 1", "explained: kubectl ended with exit status 1"),
        ("echo of the program >&2; kill -9 $$", "explained: kubectl ended with exit status 137"),
    ],
)
def test_where_kubectl_fails_itself_the_connection_has_broken(script: str, told: str) -> None:
    with pytest.raises(ConnectError) as caught:
        everything(pipe_to(script))
    assert str(caught.value) == told


def test_a_pipe_that_is_closed_here_has_not_broken() -> None:
    pipe = pipe_to("sleep 30")
    pipe.close()
    assert everything(pipe) == []


def test_the_connector_makes_an_inventory_of_groups(kubectl: Kubectl) -> None:
    kubectl.pods = [pod("web-1", labels={"app": "web"}), pod("db-1", labels={"app": "db"})]
    state = State(Inventory((["@kubernetes/shop"], {})), Config())
    assert [host.name for host in state.inventory.get_group("label_app=web")] == ["@kubernetes/shop/web-1"]
