"""Container engines as programs, docker and podman: running them, what they list, and what they say."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyinfra.api.exceptions import ConnectError, InventoryError

from .util import CommandOutput, run_local_process

# How long an engine may take to say what there is
_ANSWER_SECONDS = 60

# What engines say when something is wrong, and what to do about it; {program}, {what}: the container or image
_ADVICE: dict[tuple[str, ...], str] = {
    ("cannot connect to", "failed to connect to", "error during connect", "unable to connect to podman"): (
        "The engine does not run or cannot be reached: start it (systemctl start {program}), or say where it is with "
        "`{program} context`, DOCKER_HOST or CONTAINER_HOST"
    ),
    ("permission denied while trying to connect",): (
        "The user may not use the engine: add it to the group {program} and log in again"
    ),
    ("no such container", "no container with name or id"): (
        "The container {what} is gone: `{program} ps --all` lists those that there are"
    ),
    ("is not running", "can only create exec sessions on running containers"): (
        "The container {what} does not run: `{program} logs {what}` may say why, `{program} start {what}` starts it"
    ),
    ("is paused",): "The container {what} is paused: `{program} unpause {what}` lets it go on",
    ('"sh": executable file not found', "stat sh: no such file"): (
        "There is no shell (sh) in {what}: use an image that has one, or set the host data shell_session = False to "
        "run programs without one"
    ),
    ('"tail": executable file not found', "stat tail: no such file"): (
        "There is no `tail` in the image {what}, with which a container of it is kept running: start one yourself, and "
        "name it instead of the image"
    ),
    ("unable to find image", "pull access denied", "no such image", "manifest unknown", "short-name"): (
        "There is neither a container nor an image called {what}: `{program} ps --all` and `{program} images` list them"
    ),
    ("invalid reference format", "must be lowercase"): (
        "There is no container called {what}, and no image can be called so: `{program} ps --all` and "
        "`{program} images` list those that there are"
    ),
    ("unknown flag: --arch",): (
        "Docker knows no architecture apart from the platform: set the host data docker_platform, such as linux/arm64, "
        "instead of docker_architecture"
    ),
}


def advice_on(said: str) -> str | None:
    """What to do about what an engine said, if that is known; {program} and {what} are to be put in."""
    found = (advice for phrases, advice in _ADVICE.items() if any(phrase in said.lower() for phrase in phrases))
    return next(found, None)


def explain_engine(program: str, what: str, said: str) -> str:
    """What a container engine said, and what to do about it where that is known.

    Args:
        program: ``docker`` or ``podman``
        what: the container or image that it was about
        said: its error output
    """
    # Without what it says of its own options
    lines = [line.strip() for line in said.splitlines() if not line.startswith(("Run '", "See '"))]
    words = "; ".join(filter(None, lines)).removeprefix("Error: ")
    advice = advice_on(said)
    return words if advice is None else f"{advice.format(program=program, what=what)} ({words})"


def explain_missing(program: str, where: str) -> str:
    """What to tell people who lack the engine's program."""
    return f"`{program}` is not installed on {where}, or not in PATH: install it ({program}'s command line is enough)"


def answer_seconds(words: Sequence[str]) -> int | None:
    """How long the engine's program may take with these arguments; ``None``: as long as it likes, as with images."""
    return _ANSWER_SECONDS if words[0] in ("ps", "container", "logs") else None


def explain_no_answer(program: str, words: Sequence[str]) -> str:
    """What to tell people whose engine has not answered in time."""
    return (
        f"The engine has not answered `{shlex.join([program, *words])}` within {_ANSWER_SECONDS} seconds: see whether "
        f"`{program} ps` works there, and restart the engine (systemctl restart {program}) if not"
    )


def run_engine(program: str, *words: str) -> tuple[int, CommandOutput]:
    """Run an engine's program on this machine; returns its exit code and output.

    Raises:
        ConnectError: it is not installed, or does not answer a question
    """
    if shutil.which(program) is None:
        raise ConnectError(explain_missing(program, "this machine"))
    try:
        return run_local_process(shlex.join([program, *words]), timeout=answer_seconds(words))
    except TimeoutError as error:
        raise ConnectError(explain_no_answer(program, words)) from error


@dataclass(frozen=True, slots=True)
class Container:
    """A container, as the engine describes it."""

    id: str
    name: str
    image: str
    labels: dict[str, str]
    is_running: bool
    # Whether it is about to go, or has left but its name
    is_removed: bool = False

    def __str__(self) -> str:
        return self.name or self.short_id

    @property
    def short_id(self) -> str:
        """Enough of its id for people and commands."""
        return self.id[:12]

    def is_called(self, identifier: str) -> bool:
        """Whether that is its name, its id, or enough of that: fewer letters than people are shown may be a name."""
        is_part = len(identifier) >= len(self.short_id) and self.id.startswith(identifier)
        return is_part or identifier.removeprefix("/") == self.name

    @classmethod
    def of(cls, described: dict[str, Any]) -> Container:
        """The container that an item of ``inspect`` describes."""
        config = described.get("Config") or {}
        return cls(
            described["Id"],
            described["Name"].removeprefix("/"),
            config.get("Image") or described.get("ImageName") or "",
            config.get("Labels") or {},
            bool(described["State"]["Running"]),
            described["State"].get("Status") in ("removing", "dead"),
        )


def described_containers(output: CommandOutput) -> list[Container]:
    """The containers in the output of ``inspect``."""
    return [Container.of(item) for item in json.loads(output.stdout or "[]")]


def running_containers(program: str, *filters: str) -> list[Container]:
    """The containers that run on this machine, by name.

    Args:
        program: ``docker`` or ``podman``
        filters: options of ``ps``

    Raises:
        InventoryError: the engine's words
    """
    try:
        code, output = run_engine(program, "ps", "--quiet", "--no-trunc", *filters)
        if code != 0:
            raise InventoryError(explain_engine(program, "", output.stderr))
        if not output.stdout_lines:
            return []
        # One that ends just now is left out, which the exit code tells
        _, output = run_engine(program, "container", "inspect", *output.stdout_lines)
    except ConnectError as error:
        raise InventoryError(str(error)) from error
    return sorted(described_containers(output), key=lambda container: container.name)
