"""How text files will change, shown while a deploy is prepared if ``config.DIFF`` is on."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import IO, Any

from pyinfra import host, logger, state
from pyinfra.api.command import MaskString
from pyinfra.api.hiddenvalue import HiddenValue
from pyinfra.api.output import format_text
from pyinfra.api.util import get_file_io, read_blocks
from pyinfra.context import ctx_config
from pyinfra.facts.files import FileContents

# Bytes; what is larger is nothing for a terminal
_LARGEST = 1 << 20
_COLORS = {"+": "green", "-": "red", "@": "cyan"}
# What undecodable bytes have become in a fact's output, and what text does not hold
_BINARY_SIGNS = ("\0", "\ufffd")


def is_wanted() -> bool:
    """Whether differences are to be shown now: once per run, before anything changes."""
    config = ctx_config.get() or state.config
    return config.DIFF and not (state.is_executing and state.should_check_for_changes())


def show_file_change(path: str, status: Any, new: str | IO[Any], mode: Any, secrets: Iterable[Any] = ()) -> None:
    """Show how a file on the host will differ from a new content.

    Args:
        path: the file
        status: what the ``File`` fact says of it
        new: a local file or file object
        mode: the mode it will have
        secrets: values of which the content was made; among them, and the host's data, secrets are not shown
    """
    if not is_wanted():
        return
    if not status:
        host.log(f"Will create {path}")
        return
    before, after = _remote_lines(path, status), _local_lines(new)
    if _is_private(mode) or _is_private(status.get("mode")):
        host.log(f"Will modify {path} (only its owner may read it: no differences shown)")
    elif before is None or after is None:
        host.log(f"Will modify {path} (binary or large: no differences shown)")
    else:
        _show(path, _unified(before, after), secrets)


def show_lines(path: str, removed: Collection[str], added: Collection[str]) -> None:
    """Show which lines will go from, and come into, a file on the host; those that are secrets are masked."""
    if is_wanted():
        _show(path, [*(f"-{line}" for line in removed), *(f"+{line}" for line in added)], [*removed, *added])


def _is_private(mode: Any) -> bool:
    """Whether others than its owner may not read a file of this mode."""
    return str(mode).isdigit() and int(mode) % 100 == 0


def _remote_lines(path: str, status: Any) -> list[str] | None:
    if isinstance(status.get("size"), int) and status["size"] > _LARGEST:
        return None
    lines = host.get_fact(FileContents, path=path) or []
    return None if any(sign in line for line in lines for sign in _BINARY_SIGNS) else lines


def _local_lines(source: str | IO[Any]) -> list[str] | None:
    content = b""
    with get_file_io(source) as file:
        for block in read_blocks(file):
            content += block
            if len(content) > _LARGEST:
                return None
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text.removesuffix("\n").split("\n") if text else []


def _unified(before: list[str], after: list[str]) -> list[str]:
    """The differences with some lines around them, without the names of files."""
    lines = list(difflib.unified_diff(before, after, lineterm=""))[2:]
    return lines or ["@ the lines are the same, the end of the last one is not"]


def _secret_texts(values: Any) -> Iterator[str]:
    """All secrets in a value, and in what it holds."""
    if isinstance(values, HiddenValue):
        yield values.unmask()
    elif isinstance(values, MaskString):
        yield str(values)
    elif isinstance(values, Mapping):
        for value in values.values():
            yield from _secret_texts(value)
    elif isinstance(values, (list, tuple, set)):
        for value in values:
            yield from _secret_texts(value)


def _show(path: str, lines: Iterable[str], secrets: Iterable[Any]) -> None:
    hidden = sorted({*_secret_texts(list(secrets)), *_secret_texts(host.data.dict())} - {""}, key=len, reverse=True)
    host.log(f"Will modify {path}")
    for line in lines:
        for secret in hidden:
            line = line.replace(secret, "***")
        text = line if line.startswith("@") else f"{line[:1]} {line[1:]}"
        color = _COLORS.get(line[:1])
        logger.info("  %s", format_text(text, color) if color else text)
    logger.info("")
