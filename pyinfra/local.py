"""What deploy code does on this machine: running other deploy files, and shell commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from functools import lru_cache
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

import pyinfra
from pyinfra.api.command import StringCommand
from pyinfra.api.detection import detect_rest, detecting_together
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.hiddenvalue import shown
from pyinfra.api.output import echo
from pyinfra.api.running import require_turn
from pyinfra.connectors.util import run_local_process
from pyinfra.context import ctx_config, ctx_host, ctx_state

if TYPE_CHECKING:
    from pyinfra.api.host import Host

_PREFIX = "localhost: "


@lru_cache(maxsize=256)
def _compiled(path: str, _modified: int, _size: int) -> CodeType:
    """A file's code, compiled once for all hosts as long as the file stays as it is."""
    with open(path, "rb") as file:
        return compile(file.read(), path, "exec")


def deploy_code(path: str) -> CodeType:
    """The code of the deploy file at an absolute path.

    Raises:
        SyntaxError, ValueError: it is no Python
    """
    about = os.stat(path)
    return _compiled(path, about.st_mtime_ns, about.st_size)


def run_deploy_file(host: Host, path: str) -> None:
    """Run a deploy file for a host, in its greenlet; what the file changes in ``config`` ends with it.

    Args:
        host: the host that the file's ``host`` is
        path: the absolute path of the file
    """
    code = deploy_code(path)
    module = ModuleType(f"__deploy__.{os.path.basename(path).removesuffix('.py')}")
    module.__file__ = path
    # Dataclasses look up the module of the class that they make
    sys.modules[module.__name__] = module
    with ctx_config.use(host.config.copy()), detecting_together(host.state, host):
        exec(code, module.__dict__)


def _included_path(filename: str, including_file: str | None, cwd: str) -> str:
    if filename.startswith("./") and including_file is not None:
        return os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(including_file)), filename))
    return os.path.normpath(os.path.join(cwd, filename))


def include(filename: str, data: dict[str, Any] | None = None) -> None:
    """Run another deploy file here; its operations are shown under its path.

    Args:
        filename: relative to the working directory, or with ``./`` to the file of this call
        data: data for the file's ``host.data``, below all other

    Raises:
        PyinfraError: there is no such file, or this is no deploy that the command line runs
    """
    state, host = ctx_state.get(), ctx_host.get()
    if not pyinfra.is_cli or state is None or host is None:
        raise PyinfraError("local.include is for deploy files that the command line runs; in API mode use add_deploy")
    cwd = state.cwd or os.getcwd()
    path = _included_path(filename, sys._getframe(1).f_globals.get("__file__"), cwd)
    if not os.path.isfile(path):
        raise PyinfraError(f"No file to include: {filename} (looked for {path})")
    title = os.path.relpath(path, cwd)
    arguments = host.current_deploy_kwargs
    with host.deploy(path if title.startswith(os.pardir) else title, None, data, in_deploy=False):
        # Not fixed here, as those of an @deploy are: what the file says in `config` reaches its operations
        host.current_deploy_kwargs = arguments
        run_deploy_file(host, path)


def shell(
    commands: str | StringCommand | Iterable[str | StringCommand],
    splitlines: bool = False,
    ignore_errors: bool = False,
    print_output: bool = False,
    print_input: bool = False,
) -> str | list[str]:
    """The standard output of shell commands, run one after the other on this machine.

    Args:
        commands: one command, or several
        splitlines: whether to return lines instead of one text
        ignore_errors: whether a command may fail
        print_output: whether to show their output
        print_input: whether to show the commands

    Raises:
        PyinfraError: a command failed; the message has its standard error
    """
    require_turn()
    state, host = ctx_state.get(), ctx_host.get()
    lines: list[str] = []
    for command in [commands] if isinstance(commands, (str, StringCommand)) else commands:
        raw = command.get_raw_value() if isinstance(command, StringCommand) else command
        if print_input:
            echo(f"{_PREFIX}>>> {shown(command)}", err=True)
        if state is not None and host is not None:
            detect_rest(state, host)
        # It may change anything, on hosts too
        with nullcontext() if state is None else state.changing():
            exit_code, output = run_local_process(raw, print_output=print_output, print_prefix=_PREFIX)
        if exit_code != 0 and not ignore_errors:
            raise PyinfraError(f"Local command failed: {shown(command)}\n{output.stderr}")
        lines.extend(output.stdout_lines)
    return lines if splitlines else "\n".join(lines)
