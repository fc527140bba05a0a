"""Runs over hosts whose answers a test scripts, for tests of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gevent

from pyinfra.api import Config, Host, Inventory, State, StringCommand, operation
from pyinfra.api.connect import connect_all
from pyinfra.api.facts import FactBase
from pyinfra.api.operation import OperationMeta, add_op
from pyinfra.api.operations import run_ops
from pyinfra.connectors.base import BaseConnector
from pyinfra.connectors.util import CommandOutput, OutputLine


class Failed:
    """An answer: the command fails, with these lines on standard error."""

    def __init__(self, *stderr: str) -> None:
        self.stderr = stderr


class ScriptedConnector(BaseConnector):
    """Answers commands as the host data ``script`` says: a dict of answers by command.

    An answer is text for standard output, a :class:`Failed`, an exception to raise, a function of the host, or a list
    of these for one call after the other, the last of which stays. Commands that nobody scripted succeed in silence.
    ``connect_script`` and ``disconnect_script`` are such answers to connecting and disconnecting.
    """

    handles_execution = True

    @staticmethod
    def make_names_data(name: str) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        for part in name.split(","):
            yield part, {}, []

    def __init__(self, state: State, host: Host) -> None:
        super().__init__(state, host)
        # What ran, and the arguments it came with
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.script: dict[str, Any] = dict(host.data.get("script", {}))

    def answer(self, answer: Any) -> tuple[bool, CommandOutput]:
        """What an answer of the script comes to."""
        if isinstance(answer, BaseException):
            raise answer
        if callable(answer):
            return self.answer(answer(self.host))
        if isinstance(answer, Failed):
            return False, CommandOutput([OutputLine("stderr", line) for line in answer.stderr])
        return True, CommandOutput([OutputLine("stdout", line) for line in (answer or "").splitlines()])

    def next_answer(self, key: str) -> Any:
        answers = self.script.get(key)
        if not isinstance(answers, list):
            return answers
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def connect(self) -> None:
        self.answer(self.host.data.get("connect_script"))

    def disconnect(self) -> None:
        self.answer(self.host.data.get("disconnect_script"))

    def run_shell_command(
        self,
        command: StringCommand,
        print_output: bool,
        print_input: bool,
        **arguments: Any,
    ) -> tuple[bool, CommandOutput]:
        text = command.get_raw_value()
        self.calls.append((text, arguments))
        gevent.sleep(0)
        return self.answer(self.next_answer(text))

    def put_file(self, filename_or_io: Any, remote_filename: str, *args: Any, **arguments: Any) -> bool:
        return self.transfer(f"put {remote_filename}", arguments)

    def get_file(self, remote_filename: str, filename_or_io: Any, *args: Any, **arguments: Any) -> bool:
        return self.transfer(f"get {remote_filename}", arguments)

    def rsync(self, src: str, dest: str, flags: Iterable[str], *args: Any, **arguments: Any) -> bool:
        return self.transfer(f"rsync {src} {dest}", arguments)

    def transfer(self, text: str, arguments: dict[str, Any]) -> bool:
        self.calls.append((text, arguments))
        return self.answer(self.next_answer(text))[0]


class Recorder:
    """A callback handler that keeps what it is told of operations and hosts, in order."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.events: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        if self.names and name not in self.names:
            raise AttributeError(name)
        return lambda state, *args, **kwargs: self.events.append((name, *args))


SCRIPTED = "@tests.support.engine:ScriptedConnector"


class Engine:
    """A connected run in API mode.

    Args:
        names: the hosts' names between spaces
        script: the answers of all of them
        data: further host data, by host
        check: whether operations find out while they are recorded if they would change anything
        config: settings
    """

    def __init__(
        self,
        names: str = "one",
        script: dict[str, Any] | None = None,
        data: dict[str, dict[str, Any]] | None = None,
        check: bool = True,
        connect: bool = True,
        **config: Any,
    ) -> None:
        hosts = [(f"{SCRIPTED}/{name}", (data or {}).get(name, {})) for name in names.split()]
        self.inventory = Inventory((hosts, {"script": script or {}}))
        self.state = State(self.inventory, Config(**config), check_for_changes=check)
        self.recorder = Recorder()
        if connect:
            connect_all(self.state)

    def host(self, name: str = "one") -> Host:
        return self.inventory.get_host(name)

    def connector(self, name: str = "one") -> ScriptedConnector:
        connector = self.host(name).connector
        assert isinstance(connector, ScriptedConnector)
        return connector

    def calls(self, name: str = "one") -> list[str]:
        """What ran on a host."""
        return [text for text, _ in self.connector(name).calls]

    def arguments(self, text: str, name: str = "one") -> dict[str, Any]:
        """The connector arguments that a command came with."""
        (found,) = [arguments for call, arguments in self.connector(name).calls if call == text]
        return found

    def add(self, func: Any, *args: Any, **kwargs: Any) -> OperationMeta:
        """Record an operation; what is known of it on the first of its hosts."""
        metas = add_op(self.state, func, *args, **kwargs)
        return next(iter(metas.values()))

    def run(self, **kwargs: Any) -> None:
        run_ops(self.state, **kwargs)

    def record(self, *names: str) -> list[tuple[Any, ...]]:
        """The events from now on, all or those of these names."""
        recorder = Recorder(*names)
        self.state.add_callback_handler(recorder)
        return recorder.events

    def results(self, name: str = "one") -> dict[str, int]:
        """The counts of a host's operations that are not 0."""
        results = self.state.results[self.host(name)]
        keys = ("ops", "success_ops", "error_ops", "ignored_error_ops", "partial_ops")
        return {key: getattr(results, key) for key in keys if getattr(results, key)}


@operation()
def commands(*items: Any) -> Iterator[Any]:
    """Yield what it is given."""
    yield from items


class Cat(FactBase[str]):
    """The content of a file."""

    cacheable = True

    def command(self, path: str) -> str:
        return f"cat {path}"


@operation()
def write_unless_there(path: str, text: str) -> Iterator[Any]:
    """Write a text to a file, unless that is what it says."""
    from pyinfra import host

    if host.get_fact(Cat, path=path) != text:
        yield f"write {path} {text}"
    else:
        host.noop(f"{path} says {text}")


class Number(FactBase[int]):
    """A fact that understands numbers alone."""

    @staticmethod
    def default() -> int:
        return -1

    def command(self) -> str:
        return "count"

    def process(self, output: list[str]) -> int:
        return int(output[0])


@operation()
def reads(cls: Any, **arguments: Any) -> Iterator[str]:
    """Say what a fact is."""
    from pyinfra import host

    yield f"say {host.get_fact(cls, **arguments)}"


def executing(engine: Engine, *args: Any, **kwargs: Any) -> None:
    """Run an operation that reads a fact only while it executes."""
    engine.state.check_for_changes = False
    engine.add(reads, *args, **kwargs)
    engine.run()
