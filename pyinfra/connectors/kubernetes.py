"""``@kubernetes``: containers of pods, by ``kubectl exec``."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pyinfra.api.exceptions import ConnectError, InventoryError

from .base import DataMeta
from .session import PatientPipe, Pipe, ProcessPipe, SessionConnector, SessionData
from .util import CommandOutput, run_local_process

if TYPE_CHECKING:
    from pyinfra.api.host import Host
    from pyinfra.api.state import State

# How long kubectl may take to list pods: somebody may have to log in
_LIST_SECONDS = 60

# What kubectl and clusters say, and what to do about it, the first that fits
_ADVICE = (
    (
        r'exec: "?\S*sh"?:|executable file not found|stat sh: no such file',
        "there is no shell (sh) in the container: use an image that has one, name another container of the pod, or set "
        "the host data shell_session = False to run programs without one",
    ),
    (r"\bcontext\b.* (not found|not exist)", "`kubectl config get-contexts` lists the contexts that there are"),
    (
        r"^stat |error loading config",
        "kubernetes_kubeconfig, or KUBECONFIG, has to be a kubeconfig file that can be read",
    ),
    (r"unauthorized|logged in|provide credentials|getting credentials", "log in to the cluster anew"),
    (
        r"forbidden",
        "a role has to allow this user `get` for pods and `create` for pods/exec, and `list` for pods where none is "
        "named; where that is so in one namespace alone, name it: @kubernetes/NAMESPACE",
    ),
    (r"namespaces? .* not found", "`kubectl get namespaces` lists those that there are"),
    (
        r"pods? .* not found",
        "the pod is gone, or elsewhere: `kubectl get pods {at}` lists those that there are. One that is replaced gets "
        "another name: the host data kubernetes_selector finds its successor",
    ),
    (r"not valid for pod|not found in pod", "`kubectl describe pod {at} {pod}` lists its containers"),
    (
        r"completed pod|have a host assigned|container not found|not running|waiting to start|not created|terminated$",
        "the pod or its container does not run: `kubectl describe pod {at} {pod}` says why",
    ),
    (
        r"refused|no such host|time ?out|timed out|unreachable|no route|deadline|unable to connect|x509|no answer",
        "the cluster cannot be reached: `kubectl cluster-info` has to work here; KUBECONFIG, or kubernetes_kubeconfig, "
        "and kubernetes_context say where it is",
    ),
    (r"close 1\d\d\d|EOF|reset by peer|broken pipe|error stream|lost connection", "the connection to the pod broke"),
)


def _explained(said: str, namespace: str, pod: str = "POD") -> str:
    """What kubectl says at the end of its error output, and what to do about it where that is known."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    # What it logs on the way there begins with a letter for how grave it is, and the date
    final = [line for line in lines if not re.match(r"[EFIW]\d{4} ", line)]
    words = re.sub(r"^(error: |Error from server \(\w+\): )", "", (final or lines or [""])[-1])
    advice = next((advice for pattern, advice in _ADVICE if re.search(pattern, words, re.IGNORECASE)), None)
    if advice is None:
        return words
    return f"{words}; {advice.format(at=shlex.join(['-n', namespace or 'NAMESPACE']), pod=shlex.quote(pod))}"


def _require_kubectl() -> None:
    if shutil.which("kubectl") is None:
        raise ConnectError("The program kubectl is not in PATH on this machine: install it")


def _run_kubectl(*words: str) -> tuple[int, CommandOutput]:
    """Run kubectl; returns its exit code and output, or raises :class:`ConnectError` where it is missing or hangs."""
    _require_kubectl()
    command = shlex.join(["kubectl", *words])
    try:
        return run_local_process(command, timeout=_LIST_SECONDS)
    except TimeoutError as error:
        why = "the cluster does not answer, or waits for somebody to log in"
        raise ConnectError(f"`{command}` took longer than {_LIST_SECONDS} seconds: {why}") from error


def _current_context(*options: str) -> str:
    """The context that kubectl uses by itself; empty where it needs none, as inside a pod."""
    code, output = _run_kubectl(*options, "config", "current-context")
    return output.stdout.strip() if code == 0 else ""


def _running_pods(options: Sequence[str], namespace: str, selector: str) -> list[dict[str, Any]]:
    """The metadata of pods that run, of one at least.

    Args:
        options: of kubectl, on where the cluster is
        namespace: empty for all
        selector: of labels, empty for all

    Raises:
        ConnectError: there is none, or kubectl says why it cannot tell
    """
    which = [f"--namespace={namespace}"] if namespace else ["--all-namespaces"]
    which += [f"--selector={selector}"] if selector else []
    listing = ["get", "pods", *which, "--field-selector=status.phase=Running", "--output=json"]
    code, output = _run_kubectl(*options, *listing)
    if code != 0:
        raise ConnectError(_explained(output.stderr, namespace))
    # Those that are about to end still count as running there
    pods = [item["metadata"] for item in json.loads(output.stdout)["items"]]
    pods = [pod for pod in pods if "deletionTimestamp" not in pod]
    if not pods and namespace:
        code, output = _run_kubectl(*options, "get", "namespace", "--output=name", "--", namespace)
        if code != 0 and "not found" in output.stderr:
            raise ConnectError(_explained(output.stderr, namespace))
    if not pods:
        raise ConnectError(f"No such pod runs: `{shlex.join(['kubectl', *options, 'get', 'pods', *which])}` lists all")
    return pods


def _groups(metadata: dict[str, Any]) -> list[str]:
    """The groups of a pod: its namespace, labels and owner."""
    labels = metadata.get("labels", {})
    groups = [f"namespace_{metadata['namespace']}", *(f"label_{key}={labels[key]}" for key in sorted(labels))]
    for owner in metadata.get("ownerReferences", [])[:1]:
        kind, name = owner["kind"], owner["name"]
        # A Deployment owns its pods by way of a ReplicaSet, which has its name and a hash
        ending = f"-{labels.get('pod-template-hash')}"
        if kind == "ReplicaSet" and name.endswith(ending):
            kind, name = "Deployment", name.removesuffix(ending)
        groups.append(f"owner_{kind.lower()}_{name}")
    return ["@kubernetes", *(group.replace("/", "_") for group in groups)]


def _parts(name: str) -> dict[str, str]:
    """What a name says of ``context``, ``namespace``, ``pod``, ``selector`` and ``container``."""
    # A context may have any characters, those of clouds have colons and slashes; nothing after it has a colon
    match = re.fullmatch("(?:(.+):)?([^/:]*)(?:/([^:]+))?", name)
    context, namespace, rest = match.groups("") if match else ("", "", "")
    if re.search("[=!(, ]", rest):
        # Keys of labels may have slashes; values have none, and so tell where the container begins
        split = re.fullmatch("(.*[=)][^/,]*)/([^/,=]+)", rest)
        pod, (selector, container) = "", split.groups() if split else (rest, "")
    else:
        selector, (pod, slash, container) = "", rest.partition("/")
        if bool(slash) > bool(pod and container) or "/" in container:
            match = None
    if match is None or not (namespace or context) or (rest and not namespace):
        raise InventoryError(
            f"@kubernetes takes NAMESPACE, NAMESPACE/POD and NAMESPACE/POD/CONTAINER, not {name!r}; CONTEXT: may stand "
            "before, and a label selector such as app=web in place of POD"
        )
    parts = {"context": context, "namespace": namespace, "pod": pod, "selector": selector, "container": container}
    return {key: value for key, value in parts.items() if value}


def _data(parts: dict[str, str]) -> dict[str, Any]:
    return {f"kubernetes_{key}": value for key, value in parts.items() if key != "selector" and value}


# What kubectl writes at the end where a program has failed: to its error output, or its terminal
_VERDICT = b"command terminated with exit code "
# And in a terminal, where the program ends before what is typed, such as the end of its input, has reached it
_TOO_LATE = re.compile(rb'E\d{4} \S+ +\d+ \S+\] "Unhandled Error" err="websocket: close sent"\r?\n')


class _KubectlPipe(ProcessPipe):
    """A program in a container. What kubectl says of its end is not among its output.

    Where kubectl itself fails :meth:`receive` raises :class:`ConnectError`.

    Args:
        argv: kubectl with arguments
        terminal: whether to give it a terminal
        explain: what to tell people about what it has said
    """

    def __init__(self, argv: Sequence[str], terminal: bool, explain: Callable[[str], str]) -> None:
        super().__init__(argv, terminal)
        self._explain = explain
        self._spoken = 1 if terminal else 2
        self._kept = b""
        self._last = b""

    def receive(self, seconds: float | None) -> tuple[int, bytes] | None:
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            chunk = super().receive(None if deadline is None else max(0.0, deadline - time.monotonic()))
            if chunk is None:
                return self._end()
            number, data = chunk
            if number == self._spoken:
                # It comes in one piece
                data = _TOO_LATE.sub(b"", data)
                self._last = (self._last + data)[-4096:]
                data = self._without_verdict(self._kept + data)
            if data:
                return number, data

    def _without_verdict(self, data: bytes) -> bytes:
        """The data without what may be the verdict, or a part of it, at their end: that is kept for :meth:`_end`."""
        at = max(0, len(data) - len(_VERDICT) - 5)
        while not (_VERDICT.startswith(data[at:]) or self._is_verdict(data[at:])):
            at += 1
        self._kept = data[at:]
        return data[:at]

    @staticmethod
    def _is_verdict(data: bytes) -> bool:
        return re.fullmatch(_VERDICT + rb"\d+\r?\n?", data) is not None

    def _end(self) -> tuple[int, bytes] | None:
        if self._is_verdict(self._kept) or self._closed:
            return None
        kept, self._kept = self._kept, b""
        if kept:
            return self._spoken, kept
        status = self.exit_status()
        if status:
            self.close()
            said = self._last.decode("utf-8", "replace") if status == 1 else ""
            raise ConnectError(self._explain(said or f"kubectl ended with exit status {status}"))
        return None


class KubernetesData(SessionData):
    """The host data that ``@kubernetes`` reads."""

    kubernetes_context: str
    kubernetes_kubeconfig: str
    kubernetes_namespace: str
    kubernetes_pod: str
    kubernetes_selector: str
    kubernetes_container: str


class KubernetesConnector(SessionConnector):
    """Run in containers of pods: ``@kubernetes``, ``@kubernetes/NAMESPACE[/POD[/CONTAINER]]``. Needs ``kubectl``.

    - Without a pod it is all that run, of the namespace or the cluster, in the groups ``namespace_shop``,
      ``label_app=web`` (with ``_`` in place of each ``/``) and ``owner_deployment_web``. With a label selector in place
      of the pod, ``@kubernetes/shop/app=web``, it is those that it selects.
    - Without a container it is the one that the pod's annotation ``kubectl.kubernetes.io/default-container`` names, or
      the first.
    - ``CONTEXT:`` before the namespace is a context of the kubeconfig: ``@kubernetes/prod:shop``, or all of it with
      ``@kubernetes/prod:``. Without, it is the one that is current when the run begins.
    - With the data ``kubernetes_selector`` a host is the oldest pod that runs and has such labels, whatever its name
      says: ``("@kubernetes/shop/web", {"kubernetes_selector": "app=web"})``.

    Where no pod is named, the kubeconfig that tells of them is that of ``KUBECONFIG``, which may be several files.

    For example ``pyinfra @kubernetes/shop/app=web server.shell "nginx -s reload"``.
    """

    data_cls = KubernetesData
    data_meta = {
        **SessionConnector.data_meta,
        "kubernetes_context": DataMeta("Context of the kubeconfig; the current one without"),
        "kubernetes_kubeconfig": DataMeta(
            "Path of the kubeconfig file; without, that of KUBECONFIG, or ~/.kube/config"
        ),
        "kubernetes_namespace": DataMeta("Namespace of the pod", "default"),
        "kubernetes_pod": DataMeta("Name of the pod"),
        "kubernetes_selector": DataMeta("Label selector, such as app=web: the oldest pod that fits, not a named one"),
        "kubernetes_container": DataMeta("Container of the pod; without, its default one, or else its first"),
    }

    def __init__(self, state: State, host: Host) -> None:
        super().__init__(state, host)
        # Found out when connecting, and kept: a run must not go on in another cluster or pod than it began in
        self._context: str = self.data["kubernetes_context"] or ""
        self._pod: str = "" if self.data["kubernetes_selector"] else self.data["kubernetes_pod"] or ""

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield the pod, or all that run in a cluster or namespace, or that have certain labels."""
        parts = {} if name is None else _parts(name)
        if "pod" in parts:
            yield f"@kubernetes/{name}", _data(parts), ["@kubernetes"]
            return
        try:
            context = parts.get("context") or _current_context()
            options = [f"--context={context}"] if context else []
            pods = _running_pods(options, parts.get("namespace", ""), parts.get("selector", ""))
        except ConnectError as error:
            raise InventoryError(f"@kubernetes: {error}") from error
        before = f"{parts['context']}:" if "context" in parts else ""
        after = f"/{parts['container']}" if "container" in parts else ""
        for namespace, pod, metadata in sorted((pod["namespace"], pod["name"], pod) for pod in pods):
            data = _data({**parts, "context": context, "namespace": namespace, "pod": pod})
            yield f"@kubernetes/{before}{namespace}/{pod}{after}", data, _groups(metadata)

    def _options(self) -> list[str]:
        """Options of kubectl: where the cluster is."""
        values = {"kubeconfig": self.data["kubernetes_kubeconfig"], "context": self._context}
        return [f"--{key}={value}" for key, value in values.items() if value]

    def _exec_argv(self, mode: str) -> list[str]:
        container = self.data["kubernetes_container"]
        where = [
            f"--namespace={self.data['kubernetes_namespace']}",
            *([f"--container={container}"] if container else []),
        ]
        return ["kubectl", *self._options(), "exec", mode, "--quiet", *where, f"pod/{self._pod}", "--", "sh"]

    def shell_argv(self) -> list[str]:
        """``kubectl exec`` with a shell."""
        return self._exec_argv("-i")

    def terminal_argv(self) -> list[str]:
        """The same in a terminal of the container, which is told not to echo what we type."""
        return [*self._exec_argv("-it"), "-c", 'stty -echo 2> /dev/null; exec "$@"', "sh", "sh"]

    def open_pipe(self, argv: Sequence[str], terminal: bool = False) -> Pipe:
        """Start kubectl, whose terminal here is a passage to that in the container."""
        pipe = _KubectlPipe(argv, terminal, self._explain)
        return PatientPipe(pipe) if terminal else pipe

    def connect(self) -> None:
        """Find the pod, and open the first shell in it; or raise :class:`ConnectError`."""
        _require_kubectl()
        self._context = self._context or _current_context(*self._options())
        if not self._pod and self.data["kubernetes_selector"]:
            namespace = self.data["kubernetes_namespace"]
            pods = _running_pods(self._options(), namespace, self.data["kubernetes_selector"])
            self._pod = min((pod.get("creationTimestamp", ""), pod["name"]) for pod in pods)[1]
        super().connect()

    def _explain(self, said: str) -> str:
        return _explained(said, self.data["kubernetes_namespace"], self._pod)

    def explain_silence(self, why: str, said: str) -> str:
        """Why there is no shell, in words about pods."""
        explained = self._explain(said or why)
        return explained if ";" in explained else super().explain_silence(why, said)
