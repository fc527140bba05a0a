"""Hosts that exist nowhere: they record commands and answer what they are told to."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, Union

import gevent
from typing_extensions import Unpack

from pyinfra.api.arguments import ConnectorArguments
from pyinfra.api.command import StringCommand
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.output import echo, format_text
from pyinfra.api.util import get_file_io

from .base import BaseConnector, ConnectorData, DataMeta
from .util import CommandOutput, OutputLine

if TYPE_CHECKING:
    from pyinfra.api.host import Host
    from pyinfra.api.state import State

_NAME = "@fake"
_STREAMS = ("stdout", "stderr")


class FakeConnectorData(ConnectorData):
    """What an inventory can say about a fake host."""

    fake_responses: dict[Union[str, re.Pattern[str]], Any]
    fake_delay: float
    fake_delay_jitter: float


fake_connector_data_meta: dict[str, DataMeta] = {
    "fake_responses": DataMeta("What commands answer, by a part or a pattern of the command", {}),
    "fake_delay": DataMeta("Seconds that a command or a transfer takes", 0.5),
    "fake_delay_jitter": DataMeta("Seconds by which that varies, up or down", 0.4),
}


class _Response:
    """One entry of ``fake_responses``: which commands it answers, and how."""

    def __init__(self, key: str | re.Pattern[str], answer: Any) -> None:
        self.key = key
        streams = answer if isinstance(answer, dict) else {"stdout": answer}
        if streams.keys() - {*_STREAMS, "success"}:
            raise _malformed(key, answer)
        self.success = bool(streams.get("success", True))
        self.lines = [(stream, line) for stream in _STREAMS for line in _lines(key, streams.get(stream))]

    def answers(self, command: str) -> bool:
        """Whether ``command`` is one of those that this entry is for."""
        if isinstance(self.key, str):
            return self.key in command
        return self.key.search(command) is not None


def _lines(key: str | re.Pattern[str], text: Any) -> list[str]:
    """One stream of an answer, given as text or as a list of lines."""
    if text is None:
        return []
    if isinstance(text, str):
        return text.splitlines()
    if isinstance(text, (list, tuple)):
        return [str(line) for line in text]
    raise _malformed(key, text)


def _malformed(key: str | re.Pattern[str], answer: Any) -> ConnectError:
    return ConnectError(
        f"`fake_responses` of {key!r} is {answer!r}: give text, a list of lines, "
        "or a dict of `stdout`, `stderr` and `success`"
    )


class FakeConnector(BaseConnector):
    """Record commands instead of running them, and answer what ``fake_responses`` says.

    ``@fake`` is one host, ``@fake/a,b`` are the hosts ``@fake/a`` and ``@fake/b``. Every command succeeds with no
    output unless an entry of ``fake_responses`` matches it: the first whose key is a part of the command's masked text,
    or a pattern found in it. The answer is text, a list of lines, or a dict of ``stdout``, ``stderr`` and ``success``.

    What the host was asked to run is in ``host.connector.executed_commands``, masked and without the shell, sudo and
    environment around it. Uploads are dropped, downloads are empty.

    Each command takes ``fake_delay`` seconds, give or take ``fake_delay_jitter``; where the host's data say nothing,
    the environment variables ``PYINFRA_FAKE_DELAY`` and ``PYINFRA_FAKE_DELAY_JITTER`` do.

    .. code:: shell

        PYINFRA_FAKE_DELAY=0 pyinfra @fake/a,b deploy.py
    """

    handles_execution = True
    # On the command line, `@fake/a,b` is one entry
    takes_commas = True
    data_cls = FakeConnectorData
    data_meta = fake_connector_data_meta
    data: FakeConnectorData

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield a host for each name between commas, or ``@fake`` alone."""
        names = [part.strip() for part in (name or "").split(",")]
        for part in filter(None, names):
            yield f"{_NAME}/{part}", {}, [_NAME]
        if not any(names):
            yield _NAME, {}, [_NAME]

    def __init__(self, state: State, host: Host) -> None:
        super().__init__(state, host)
        self.executed_commands: list[str] = []

    def connect(self) -> None:
        """Make ready to answer; a response or delay of the wrong form is a :class:`ConnectError`."""
        self._responses = [_Response(key, answer) for key, answer in self.data["fake_responses"].items()]
        self._delay = self._seconds("fake_delay", "PYINFRA_FAKE_DELAY")
        self._jitter = self._seconds("fake_delay_jitter", "PYINFRA_FAKE_DELAY_JITTER")

    def _seconds(self, key: str, variable: str) -> float:
        """A length of time from the host's data, else from the environment, else the default."""
        if key not in self.host.data and (text := os.environ.get(variable)):
            try:
                return float(text)
            except ValueError:
                raise ConnectError(f"{variable} is {text!r}: give a number of seconds") from None
        return float(self.data[key])  # type: ignore[literal-required]

    def _wait(self) -> None:
        """Take the time that a command takes."""
        seconds = self._delay + random.uniform(-self._jitter, self._jitter) if self._jitter else self._delay
        if seconds > 0:
            gevent.sleep(seconds)

    def run_shell_command(
        self,
        command: StringCommand,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Unpack[ConnectorArguments],
    ) -> tuple[bool, CommandOutput]:
        """Record ``command`` and answer it; ``arguments`` change nothing."""
        text = str(command)
        self.executed_commands.append(text)
        if print_input:
            echo(f"{self.host.print_prefix}>>> {text}", err=True)
        self._wait()
        response = next((response for response in self._responses if response.answers(text)), None)
        if response is None:
            return True, CommandOutput([])
        if print_output:
            for stream, line in response.lines:
                shown = line if stream == "stdout" else format_text(line, "red")
                echo(f"{self.host.print_prefix}{shown}", err=True)
        return response.success, CommandOutput([OutputLine(stream, line) for stream, line in response.lines])

    def put_file(
        self,
        filename_or_io: str | IO[Any],
        remote_filename: str,
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Unpack[ConnectorArguments],
    ) -> bool:
        """Take the time of an upload; the file goes nowhere."""
        self._wait()
        return True

    def get_file(
        self,
        remote_filename: str,
        filename_or_io: str | IO[Any],
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Unpack[ConnectorArguments],
    ) -> bool:
        """Download an empty file."""
        self._wait()
        with get_file_io(filename_or_io, "wb"):
            pass
        return True
