"""As much of a Kubernetes API server as ``kubectl get`` and ``kubectl exec`` need; its containers are local shells.

``python kubeapi.py`` serves on a free port of 127.0.0.1, which it prints, until its standard input ends. It is a
program of its own, as the tests' process may be patched by gevent.

Pods are what has been posted: they run, whatever they say of themselves. What runs in them by ``exec`` goes on when its
connection breaks, and ends when they are deleted, as in a cluster. Errors are worded as by Kubernetes 1.33 with
containerd.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import signal
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from aiohttp import WSMsgType, web

STDIN, STDOUT, STDERR, STATUS, CLOSE = 0, 1, 2, 3, 255
_ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/root", "KUBERNETES_SERVICE_HOST": "127.0.0.1"}
_REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 500: "InternalError"}


def refuse(code: int, message: str) -> NoReturn:
    """Answer a request with an error, as Kubernetes words it."""
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}
    text = json.dumps({**status, "reason": _REASONS[code]})
    kind = {400: web.HTTPBadRequest, 401: web.HTTPUnauthorized, 403: web.HTTPForbidden, 404: web.HTTPNotFound}[code]
    raise kind(text=text, content_type="application/json")


def failure(message: str, reason: str = "InternalError", **details: Any) -> dict[str, Any]:
    """What the status channel says of a command that went wrong."""
    return {"metadata": {}, "status": "Failure", "message": message, "reason": reason, **details}


def matches(pod: dict[str, Any], query: Any) -> bool:
    """Whether a pod is one of those that a list asks for."""
    labels = pod["metadata"].get("labels", {})
    for requirement in filter(None, query.get("labelSelector", "").split(",")):
        key, equals, value = requirement.partition("=")
        if key not in labels or (equals and labels[key] != value.removeprefix("=")):
            return False
    phase = dict(part.split("=") for part in filter(None, query.get("fieldSelector", "").split(",")))
    return phase.get("status.phase", pod["status"]["phase"]) == pod["status"]["phase"]


class TerminalOutput(asyncio.StreamReaderProtocol):
    """What comes out of a terminal, which ends by an error: what was there before stays to be read."""

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(None)


class Execution:
    """A program that runs in a pod, and the connection that it is served by."""

    def __init__(self, socket: web.WebSocketResponse, container: str, command: list[str], with_terminal: bool) -> None:
        self.socket = socket
        self.environment = {**_ENVIRONMENT, "PYINFRA_TEST_CONTAINER": container}
        self.command = command
        self.with_terminal = with_terminal
        self.process: asyncio.subprocess.Process | None = None

    async def serve(self) -> None:
        """Start it and pass everything on, to its end or that of the connection."""
        try:
            copies, stdin = await (self._start_in_terminal() if self.with_terminal else self._start())
        except OSError:
            text = f'exec: "{self.command[0]}": executable file not found in $PATH: unknown'
            where = "error executing command in container: failed to exec in container: failed to start exec"
            oci = "OCI runtime exec failed: exec failed: unable to start container process"
            await self._end(failure(f'Internal error occurred: {where} "c0ffee": {oci}: {text}'))
            return
        ending = asyncio.create_task(self._finish(copies))
        async for message in self.socket:
            if message.type != WSMsgType.BINARY:
                continue
            channel, data = message.data[0], message.data[1:]
            with suppress(OSError):
                if channel == STDIN and data:
                    stdin.write(data)
                    await stdin.drain()
                elif channel == CLOSE and data[:1] == bytes([STDIN]):
                    stdin.close()
        if not self.with_terminal:
            stdin.close()
        await ending

    async def _start(self) -> tuple[list[asyncio.Task[None]], asyncio.StreamWriter]:
        pipe = asyncio.subprocess.PIPE
        process = self.process = await asyncio.create_subprocess_exec(
            *self.command, stdin=pipe, stdout=pipe, stderr=pipe, env=self.environment, cwd="/", start_new_session=True
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        streams = ((process.stdout, STDOUT), (process.stderr, STDERR))
        return [asyncio.create_task(self._copy(stream, channel)) for stream, channel in streams], process.stdin

    async def _start_in_terminal(self) -> tuple[list[asyncio.Task[None]], asyncio.StreamWriter]:
        ours, theirs = pty.openpty()
        self.process = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**self.environment, "TERM": "xterm"},
            cwd="/",
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        loop = asyncio.get_running_loop()
        output = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: TerminalOutput(output), os.fdopen(os.dup(ours), "rb"))
        transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(ours, "wb"))
        stdin = asyncio.StreamWriter(transport, protocol, None, loop)
        return [asyncio.create_task(self._copy(output, STDOUT))], stdin

    async def _copy(self, stream: asyncio.StreamReader, channel: int) -> None:
        """Send what the program writes; when nobody listens any more, it goes nowhere."""
        while data := await stream.read(1 << 15):
            with suppress(ConnectionError):
                await self.socket.send_bytes(bytes([channel]) + data)

    async def _finish(self, copies: list[asyncio.Task[None]]) -> None:
        assert self.process is not None
        await asyncio.gather(*copies)
        code = await self.process.wait()
        code = code if code >= 0 else 128 - code
        if code == 0:
            await self._end({"metadata": {}, "status": "Success"})
            return
        causes = {"causes": [{"reason": "ExitCode", "message": str(code)}]}
        text = f"command terminated with non-zero exit code: exit status {code}"
        await self._end(failure(text, "NonZeroExitCode", details=causes))

    async def _end(self, status: dict[str, Any]) -> None:
        with suppress(ConnectionError):
            await self.socket.send_bytes(bytes([STATUS]) + json.dumps(status).encode())
            await self.socket.close()

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    def kill(self) -> None:
        """End the program, and what it has started."""
        if self.process is not None:
            for pid in in_session(self.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def in_session(session: int) -> Iterator[int]:
    """The processes of a session: a container has no others of ours."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                yield int(entry.name)


class Server:
    """Namespaces, their pods, and what runs in these."""

    def __init__(self) -> None:
        self.namespaces = {"default", "kube-system"}
        self.pods: dict[tuple[str, str], dict[str, Any]] = {}
        self.executions: dict[tuple[str, str], list[Execution]] = {}

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self.check_rights])
        pods = "/api/v1/namespaces/{namespace}/pods"
        application.add_routes(
            [
                web.get("/api", self.discover),
                web.get("/apis", self.discover_groups),
                web.get("/api/v1", self.discover_resources),
                web.get("/api/v1/namespaces/{namespace}", self.show_namespace),
                web.get("/api/v1/pods", self.list_pods),
                web.get(pods, self.list_pods),
                web.post(pods, self.make_pod),
                web.get(f"{pods}/{{pod}}", self.show_pod),
                web.delete(f"{pods}/{{pod}}", self.delete_pod),
                web.get(f"{pods}/{{pod}}/exec", self.execute),
                web.post(f"{pods}/{{pod}}/exec", self.execute),
                # No part of Kubernetes: for tests
                web.get("/running", self.show_running),
                web.post("/cut", self.cut),
            ]
        )
        return application

    @web.middleware
    async def check_rights(self, request: web.Request, handler: Any) -> web.StreamResponse:
        user = request.headers.get("Impersonate-User", "")
        if user == "expired":
            refuse(401, "Unauthorized")
        if user == "restricted" and "/pods" in request.path:
            verb = "create" if request.path.endswith("/exec") else "get" if "pod" in request.match_info else "list"
            resource = "pods/exec" if request.path.endswith("/exec") else "pods"
            namespace = request.match_info.get("namespace")
            where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
            text = f'User "{user}" cannot {verb} resource "{resource}" in API group "" {where}'
            refuse(403, f"pods is forbidden: {text}")
        return await handler(request)

    # Discovery

    async def discover(self, request: web.Request) -> web.Response:
        return web.json_response({"kind": "APIVersions", "versions": ["v1"]})

    async def discover_groups(self, request: web.Request) -> web.Response:
        return web.json_response({"kind": "APIGroupList", "apiVersion": "v1", "groups": []})

    async def discover_resources(self, request: web.Request) -> web.Response:
        verbs = ["create", "delete", "get", "list"]
        own = {"namespaced": True, "verbs": verbs}
        resources = [
            {"name": "pods", "singularName": "pod", "kind": "Pod", "shortNames": ["po"], **own},
            {"name": "pods/exec", "kind": "PodExecOptions", **own},
            {"name": "namespaces", "singularName": "namespace", "kind": "Namespace", **own, "namespaced": False},
        ]
        return web.json_response({"kind": "APIResourceList", "groupVersion": "v1", "resources": resources})

    # Namespaces and pods

    async def show_namespace(self, request: web.Request) -> web.Response:
        name = request.match_info["namespace"]
        if name not in self.namespaces:
            refuse(404, f'namespaces "{name}" not found')
        return web.json_response({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}})

    async def list_pods(self, request: web.Request) -> web.Response:
        namespace = request.match_info.get("namespace")
        of_namespace = [pod for (where, _), pod in self.pods.items() if namespace in (None, where)]
        items = [pod for pod in of_namespace if matches(pod, request.query)]
        return web.json_response({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    async def make_pod(self, request: web.Request) -> web.Response:
        pod = await request.json()
        namespace = request.match_info["namespace"]
        self.namespaces.add(namespace)
        self.pods[namespace, pod["metadata"]["name"]] = pod
        return web.json_response(pod, status=201)

    def pod_of(self, request: web.Request) -> dict[str, Any]:
        namespace, name = request.match_info["namespace"], request.match_info["pod"]
        if (namespace, name) not in self.pods:
            refuse(404, f'pods "{name}" not found')
        return self.pods[namespace, name]

    async def show_pod(self, request: web.Request) -> web.Response:
        return web.json_response(self.pod_of(request))

    async def delete_pod(self, request: web.Request) -> web.Response:
        pod = self.pod_of(request)
        place = request.match_info["namespace"], request.match_info["pod"]
        del self.pods[place]
        for execution in self.executions.pop(place, []):
            execution.kill()
        return web.json_response(pod)

    # What runs in pods

    async def execute(self, request: web.Request) -> web.StreamResponse:
        pod = self.pod_of(request)
        name = pod["metadata"]["name"]
        containers = [container["name"] for container in pod["spec"]["containers"]]
        container = request.query.get("container") or containers[0]
        if container not in containers:
            refuse(400, f"container {container} is not valid for pod {name}")
        if pod["status"]["phase"] == "Pending":
            refuse(400, f"pod {name} does not have a host assigned")
        socket = web.WebSocketResponse(protocols=["v5.channel.k8s.io"], max_msg_size=0, compress=False)
        if not socket.can_prepare(request):
            refuse(400, "Upgrade request required")
        await socket.prepare(request)
        command = request.query.getall("command")
        if "no-shell" in pod["metadata"].get("labels", {}):
            command[0] = f"/nonexistent/{command[0]}"
        execution = Execution(socket, container, command, request.query.get("tty") == "true")
        self.executions.setdefault((request.match_info["namespace"], name), []).append(execution)
        await execution.serve()
        return socket

    def running(self) -> Iterator[Execution]:
        """All that runs."""
        for executions in self.executions.values():
            yield from (execution for execution in executions if execution.is_running)

    async def show_running(self, request: web.Request) -> web.Response:
        return web.json_response([" ".join(execution.command)[:200] for execution in self.running()])

    async def cut(self, request: web.Request) -> web.Response:
        for execution in self.running():
            transport = execution.socket._req.transport if execution.socket._req else None
            if transport is not None:
                transport.abort()
        return web.Response()


@contextmanager
def killed_at_the_end(server: Server) -> Iterator[None]:
    try:
        yield
    finally:
        for execution in list(server.running()):
            execution.kill()


async def main() -> None:
    """Serve until standard input ends."""
    server = Server()
    # A command is part of the address; programs in Go take up to 1 MB of that
    runner = web.AppRunner(server.application(), shutdown_timeout=0.5, access_log=None, max_line_size=1 << 20)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)  # noqa: T201
    with killed_at_the_end(server):
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
