"""Programs of this machine that are asked for inventories."""

from __future__ import annotations

import json
import shlex
from typing import Any

from pyinfra.api.exceptions import InventoryError

from .util import run_local_process

# Of the shell that could not find the program, or not run it
_NOT_THERE = (126, 127)


def ask_tool(*words: str, advice: str) -> str:
    """The standard output of a program of this machine.

    Args:
        words: the program and its arguments
        advice: what people can do about it if the program fails

    Raises:
        InventoryError: there is no such program, or it failed; with its standard error, since the output may be secret
    """
    command = shlex.join(words)
    code, output = run_local_process(command)
    if code in _NOT_THERE:
        raise InventoryError(f"`{words[0]}` is not installed on this machine, or not in PATH: {output.stderr.strip()}")
    if code != 0:
        said = output.stderr.strip()
        raise InventoryError(f"`{command}` ended with exit code {code}: {advice}\n{said}".rstrip())
    return output.stdout


def parse_json(text: str, source: str, advice: str) -> Any:
    """What JSON says.

    Args:
        source: where the text comes from, for errors
        advice: what people can do about it

    Raises:
        InventoryError: it is no JSON; with the place where it ceases to be
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise InventoryError(f"{source} is no valid JSON ({error}): {advice}") from error
