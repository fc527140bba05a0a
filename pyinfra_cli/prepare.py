"""Preparing: the deploy code runs once per host, for all hosts at once, and records its operations."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import gevent

from pyinfra.api.connect import outcomes
from pyinfra.api.deploy import deploy
from pyinfra.api.exceptions import ConnectError, FactError, FactTypeError, FactValueError
from pyinfra.api.facts import default_of, get_fact
from pyinfra.api.failures import HostFailure, as_exception
from pyinfra.local import run_deploy_file

from .commands import CallOperation, DeployFiles, Execute, FactRequest
from .exceptions import CliError, shown_path

if TYPE_CHECKING:
    from pyinfra.api.host import Host
    from pyinfra.api.state import State

    from .live import LiveLine
    from .terminal import Terminal


def _is_of_host(error: BaseException) -> bool:
    """Whether an error is about the host that it came from, rather than about the deploy code."""
    # Nobody is left who could have set a time-out but the code for this host
    of_host = isinstance(error, (ConnectError, FactError, gevent.Timeout))
    return of_host and not isinstance(error, (FactTypeError, FactValueError))


def on_active_hosts(
    state: State,
    function: Callable[[Host], Any],
    title: str,
    live: LiveLine | None,
) -> dict[Host, Any]:
    """What ``function`` returns for each host still in the run, in that host's context, on all of them at once.

    A host that cannot be asked for a fact, or whose connection breaks, fails. Any other error is a mistake in the
    deploy code: the first, in the inventory's order, is raised when all hosts are done. ``live`` shows it as ``title``.
    """

    def shown(host: Host) -> Any:
        if live is None:
            return function(host)
        live.host_begins(host.name)
        try:
            return function(host)
        finally:
            live.host_ends(host.name)

    hosts = state.inventory.get_active_hosts()
    with live.work(title, len(hosts)) if live is not None else nullcontext():
        done = outcomes(state, hosts, shown)
    failed = []
    for host, _, error in done:
        if error is None:
            continue
        if not _is_of_host(error):
            raise error
        state.failures.append(HostFailure.of_preparing(host, as_exception(error)))
        failed.append(host)
    state.fail_hosts(failed)
    return {host: value for host, value, error in done if error is None}


def _is_about_arguments(error: TypeError) -> bool:
    """Whether an error is that a function was called with arguments that it doesn't take."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    raised_in = "" if trace is None else trace.tb_frame.f_code.co_filename
    return raised_in in (inspect.__file__, deploy.__code__.co_filename, __file__)


class Preparation:
    """Runs what the command line names, and tells of it.

    Args:
        state: the run, connected
        terminal: where to tell
    """

    def __init__(self, state: State, terminal: Terminal) -> None:
        self.state = state
        self.terminal = terminal
        self._ready = terminal.style("Ready:", fg="green")

    def _on_hosts(self, title: str, function: Callable[[Host], Any]) -> None:
        def prepare(host: Host) -> None:
            function(host)
            self.terminal.line(f"    {host.print_prefix}{self._ready} {self.terminal.style(title, bold=True)}")

        on_active_hosts(self.state, prepare, f"Preparing {title}", self.terminal.live)

    def deploy_files(self, command: DeployFiles) -> None:
        """Run the deploy files."""
        for number, filename in enumerate(command.filenames):
            path = os.path.abspath(filename)
            self.state.current_op_file_number = number
            self.state.current_deploy_filename = self.state.current_exec_filename = filename
            self.terminal.line(f"    Loading: {self.terminal.style(shown_path(filename), bold=True)}")
            self._on_hosts(shown_path(filename), partial(run_deploy_file, path=path))
        self.state.current_deploy_filename = self.state.current_exec_filename = None

    def operation(self, command: CallOperation) -> None:
        """Call one operation or deploy."""
        name = command.name.rpartition(".")[2]

        def call(_host: Host) -> None:
            try:
                command.function(*command.args, **command.kwargs)
            except TypeError as error:
                if _is_about_arguments(error):
                    raise CliError(f"Invalid arguments for {command.name}: {error}") from error
                raise

        self._on_hosts(name, call)

    def shell_command(self, command: Execute) -> None:
        """Call ``server.shell`` for a command."""
        from pyinfra.operations import server

        self._on_hosts("shell", lambda host: server.shell(command.command))


def read_facts(state: State, facts: tuple[FactRequest, ...], live: LiveLine | None) -> dict[str, dict[str, Any]]:
    """The values of facts by title and host name; a fact that cannot be read is its default."""

    def read(host: Host) -> list[Any]:
        return [_value_or_default(state, host, fact) for fact in facts]

    values = on_active_hosts(state, read, "Gathering facts", live)
    return {
        fact.title: {host.name: host_values[number] for host, host_values in values.items()}
        for number, fact in enumerate(facts)
    }


def _value_or_default(state: State, host: Host, fact: FactRequest) -> Any:
    try:
        return get_fact(state, host, fact.fact_cls, kwargs=fact.kwargs)
    except (FactTypeError, FactValueError):
        raise
    except FactError:
        return default_of(fact.fact_cls)
