"""A container engine's program that a test scripts, and whose containers are shells of this machine."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

import pytest

from pyinfra.connectors.session import Pipe, ProcessPipe
from pyinfra.connectors.util import CommandOutput, OutputLine


def described(identifier: str, name: str, *, running: bool = True, image: str = "", **labels: str) -> dict[str, Any]:
    """A container as ``inspect`` describes it."""
    return {
        "Id": identifier.ljust(64, "0"),
        "Name": f"/{name}",
        "State": {"Running": running},
        "Config": {"Image": image, "Labels": labels},
    }


class FakeEngine:
    """Answers what connectors ask of ``docker``.

    Attributes:
        asked: the command lines that were run, without the program
        started: those that were to end in a shell
        answers: exit code and output of command lines that begin so, before the engine's own
        containers: those that there are, as ``inspect`` describes them
    """

    def __init__(self, *containers: dict[str, Any]) -> None:
        self.asked: list[str] = []
        self.started: list[list[str]] = []
        self.answers: dict[str, tuple[int, str]] = {}
        self.containers = copy.deepcopy(list(containers))

    def run(self, program: str, *words: str) -> tuple[int, CommandOutput]:
        """What the program with these words would say."""
        line = " ".join(words)
        self.asked.append(line)
        for beginning, (code, text) in self.answers.items():
            if line.startswith(beginning):
                return code, self._output(code, text)
        code, text = self._answer(program, line)
        return code, self._output(code, text)

    @staticmethod
    def _output(code: int, text: str) -> CommandOutput:
        return CommandOutput([OutputLine("stderr" if code else "stdout", line) for line in text.splitlines()])

    def _answer(self, program: str, line: str) -> tuple[int, str]:
        verb, *words = line.split()
        if verb == "ps":
            return 0, "\n".join(item["Id"] for item in self.containers if item["State"]["Running"])
        if verb == "container":
            found = [item for item in self.containers if self._is_meant(item, words)]
            return (0, json.dumps(found)) if found else (1, f"Error: No such container: {words[-1]}")
        if verb == "run":
            self.containers.append(described("made", "new", image=line.split()[-4]))
            return 0, "made".ljust(64, "0")
        if verb == "commit":
            return 0, f"sha256:{'c0ffee'.ljust(64, '0')}"
        for item in [item for item in self.containers if item["Id"] == words[-1]]:
            if verb == "rm":
                self.containers.remove(item)
            elif verb in ("start", "stop", "kill"):
                item["State"]["Running"] = verb == "start"
        return 0, words[-1]

    @staticmethod
    def _is_meant(item: dict[str, Any], words: list[str]) -> bool:
        return any(word.removeprefix("/") == item["Name"][1:] or item["Id"].startswith(word) for word in words)

    def start(self, argv: Sequence[str], terminal: bool = False) -> Pipe:
        """The shell in which a command line ends, on this machine."""
        self.started.append(list(argv))
        return ProcessPipe(argv[list(argv).index("sh") :], terminal)


def fake_engine(monkeypatch: pytest.MonkeyPatch, *containers: dict[str, Any]) -> FakeEngine:
    """An engine in place of ``docker`` and ``podman`` on this machine."""
    engine = FakeEngine(*containers)
    monkeypatch.setattr("pyinfra.connectors.engines.run_engine", engine.run)
    monkeypatch.setattr("pyinfra.connectors.docker.run_engine", engine.run)
    monkeypatch.setattr(
        "pyinfra.connectors.docker.DockerConnector.start_process",
        lambda _, argv, terminal=False: engine.start(argv, terminal),
    )
    return engine
