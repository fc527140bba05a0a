"""Paths, modes, regular expressions, and the commands that change files, as text for the host's shell."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timezone
from os import PathLike, fspath

from pyinfra.api import QuoteString, StringCommand
from pyinfra.api.command import QuotePath
from pyinfra.api.hiddenvalue import mask_like

from .links import ReplacingCommand
from .sed import delete_script, replace_script

_SLASHES = re.compile("/+")
_BASIC_SYNTAX = re.compile(r"[].*\[^$\\]")
_EXTENDED_SYNTAX = re.compile(r"[].*\[^$\\+?(){}|]")


def unix_path_join(*parts: str | PathLike[str]) -> str:
    """The parts as one path, with one slash between them; later absolute parts don't start anew."""
    return mask_like(_SLASHES.sub("/", "/".join(fspath(part) for part in parts if fspath(part))), *parts)


def ensure_mode_int(mode: str | int | None) -> int | str | None:
    """A mode as facts have it: ``0644`` as ``644``; symbolic modes (``u+x``) and ``None`` stay as they are.

    Raises:
        ValueError: the mode has non-octal digits
    """
    text = str(mode)
    digits = text[2:] if text[:2] in ("0o", "0O") else text
    if mode is None or not digits.isdigit():
        return mode
    if not digits.isascii() or set(digits) & {"8", "9"}:
        raise ValueError(f"invalid mode {mode!r}: non-octal digits (a mode is like 644, 0o644, or u+x)")
    return int(digits)


def get_timestamp() -> str:
    """The time, UTC, as the end of a backup's name: to the microsecond, so that no backup takes another's place."""
    return datetime.now(timezone.utc).strftime("%Y%m%d%H%M%S%f")


def back_up(path: str) -> StringCommand:
    """The command that copies a file to a name with the time at its end."""
    return StringCommand("cp", QuotePath(path), QuotePath(path + f".{get_timestamp()}"))


def escape_regex(text: str, extended: bool = False) -> str:
    """A regular expression, basic or extended, that matches just ``text``."""
    syntax = _EXTENDED_SYNTAX if extended else _BASIC_SYNTAX
    return mask_like(syntax.sub(lambda found: f"\\{found[0]}", text), text)


def adjust_regex(line: str, escape_regex_characters: bool, extended: bool = False) -> str:
    """A regular expression of whole lines that hold ``line``.

    Args:
        line: a regular expression; ``^`` at its start and ``$`` at its end tie it to those of the line
        escape_regex_characters: ``line`` is plain text
        extended: in the extended syntax, else the basic one
    """
    if escape_regex_characters:
        return "^.*" + escape_regex(line, extended) + ".*$"
    start = "" if line.startswith("^") else "^.*"
    end = "" if line.endswith("$") and not line.endswith("\\$") else ".*$"
    return start + line + end


def _sed(filename: str, script: QuoteString | str, backup: bool, extended_regex: bool) -> StringCommand:
    """Change a file with ``sed``, whose backup goes again unless it is wanted (BSD's can't do without)."""
    suffix = get_timestamp()

    def change(path: str) -> StringCommand:
        removal = [] if backup else ["&& rm -f", QuotePath(path + f".{suffix}")]
        options = ["-E"] if extended_regex else []
        return StringCommand("sed", *options, f"-i.{suffix}", script, QuotePath(path), *removal)

    return ReplacingCommand(fspath(filename), change)


def sed_delete(
    filename: str,
    line: str,
    replace: str,
    flags: list[str] | None = None,
    backup: bool = False,
    interpolate_variables: bool = False,
    extended_regex: bool = False,
) -> StringCommand:
    """The command that deletes the lines that match.

    Args:
        filename: the file
        line: a regular expression
        replace, flags: not used: the parameters are those of :func:`sed_replace`
        backup: whether the file as it was stays beside it
        interpolate_variables: whether the host's shell expands variables in ``line``
        extended_regex: whether ``line`` is in the extended syntax
    """
    return _sed(filename, delete_script(line, interpolate_variables), backup, extended_regex)


def sed_replace(
    filename: str,
    line: str,
    replace: str,
    flags: Iterable[str] | None = None,
    backup: bool = False,
    interpolate_variables: bool = False,
    extended_regex: bool = False,
) -> StringCommand:
    """The command that replaces what matches.

    Args:
        filename: the file
        line: a regular expression
        replace: the text in its place; ``\\1`` to ``\\9`` are the groups of ``line``
        flags: of sed's ``s``: ``g`` for all matches in a line …
        backup: whether the file as it was stays beside it
        interpolate_variables: whether the host's shell expands variables: their values are a part of the regular
            expression in ``line``, and text in ``replace``
        extended_regex: whether ``line`` is in the extended syntax
    """
    script = replace_script(line, str(replace), flags, interpolate_variables)
    return _sed(filename, script, backup, extended_regex)


def chmod(target: str, mode: str | int, recursive: bool = False) -> StringCommand:
    """The command that sets a file's mode; an integer's decimal digits are the octal ones (``644``)."""
    return StringCommand("chmod", *(["-R"] if recursive else []), QuoteString(str(mode)), QuotePath(target))


def chown(
    target: str,
    user: str | None = None,
    group: str | None = None,
    recursive: bool = False,
    dereference: bool = True,
) -> StringCommand:
    """The command that sets a file's owner, group, or both.

    Args:
        target: the file
        user: its owner
        group: its group
        recursive: with all in the folder
        dereference: whether a symbolic link stands for its target

    Raises:
        ValueError: there is neither user nor group
    """
    if user and group:
        program, owner = "chown", mask_like(f"{user}:{group}", user, group)
    elif user:
        program, owner = "chown", str(user)
    elif group:
        program, owner = "chgrp", str(group)
    else:
        raise ValueError(f"no user or group to own {target}")
    options = [*(["-R"] if recursive else []), *([] if dereference else ["-h"])]
    return StringCommand(program, *options, QuoteString(owner), QuotePath(target))
