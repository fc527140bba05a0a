"""Lines and texts in files on a host."""

from __future__ import annotations

import re
from typing import Any

from typing_extensions import override

from pyinfra import host
from pyinfra.api import (
    FactBase,
    OperationTypeError,
    OperationValueError,
    QuoteString,
    StringCommand,
    operation,
)
from pyinfra.api.command import InterpolatedString, QuotePath
from pyinfra.api.hiddenvalue import mask_like, reveal, shown
from pyinfra.facts.files import FindInBinaryFile, FindInFile

from ..util.files import adjust_regex, back_up, escape_regex, sed_delete, sed_replace
from . import Commands, of_files
from .diff import show_lines
from .paths import remote_path

# What `echo` of some shells takes for an option
_ECHO_OPTION = re.compile("-[neE]+")
_LONE_BACKSLASH = re.compile(r"\\(?![1-9])")
# No mistake can be in these parts of a regular expression
_SURE_SYNTAX = re.compile(r"\[\^?(?:\[:(?:alnum|alpha|blank|digit|space):\]|[\w\s.,:;=/])+\]|\\[^(){}1-9]")
_GROUP_REFERENCE = re.compile(r"\\[1-9]")


class PatternError(FactBase["str | None"]):
    """What ``grep`` has to say against a pattern; ``None`` if it takes it."""

    cacheable = True

    @override
    def command(self, pattern: str, interpolate_variables: bool, extended_regex: bool) -> StringCommand:
        word = InterpolatedString(pattern) if interpolate_variables else QuoteString(pattern)
        options = ["-E"] if extended_regex else []
        # BusyBox's only looks at it when there is a line; that it does not match is no error
        return StringCommand("echo | grep", *options, "-e", word, "2>&1 > /dev/null || test $? -eq 1 || echo")

    @override
    def process(self, output: list[str]) -> str | None:
        return " ".join(output).strip() or None


@operation()
@of_files
def line(
    path: str,
    line: str,
    present: bool = True,
    replace: str | None = None,
    flags: list[str] | None = None,
    backup: bool = False,
    interpolate_variables: bool = False,
    escape_regex_characters: bool = False,
    ensure_newline: bool = False,
    extended_regex: bool = False,
) -> Commands:
    """Have a line in a file, or none that matches.

    Args:
        path: the file, or a symbolic link to it; it is made if it is missing
        line: the line, or a regular expression for lines; a part of the line is enough,
            ``^`` and ``$`` tie it to the ends. If nothing matches, and no line is the same text, that is added
        present: whether it should be there
        replace: the line that takes the place of those that match; if none does, it is added, unless it has
            references to groups (``\\1``)
        flags: of the ``s`` of ``sed``
        backup: keep the file as it was beside it
        interpolate_variables: have the host's shell expand variables: their values are a part of the regular expression
            in ``line``, and text in ``replace``; with them in that, each run replaces anew
        escape_regex_characters: ``line`` is plain text
        ensure_newline: begin a new line even if the file does not end with one
        extended_regex: ``line`` is in the extended syntax

    .. code:: python

        files.line(name="Listen on 8080", path="/etc/app.conf", line="^port=", replace="port=8080")
    """
    path = remote_path(path)
    line, replace = reveal((line, replace))
    line = _one_line("line", line)
    if not line:
        raise OperationTypeError("`line` must be a text that is not empty")
    replace = None if replace is None else _one_line("replace", replace)
    pattern = adjust_regex(line, escape_regex_characters, extended_regex)
    found = _find(path, pattern, interpolate_variables, extended_regex)
    if not found and not escape_regex_characters:
        _check_pattern(pattern, interpolate_variables, extended_regex)
    if not present:
        if not found:
            host.noop(f'line "{shown(line)}" does not exist in {path}')
            return
        show_lines(path, [mask_like(each, line) for each in found], ())
        yield sed_delete(path, pattern, "", None, backup, interpolate_variables, extended_regex)
        return

    text = line if replace is None else replace
    if found:
        if replace is None or all(each == replace for each in found):
            host.noop(f'line "{shown(text)}" exists in {path}')
            return
        show_lines(path, [mask_like(each, line, replace) for each in found], [replace] * len(found))
        # In a line of its own, a backslash is one, but for references to groups
        literal = replace if interpolate_variables else mask_like(_LONE_BACKSLASH.sub(r"\\\\", replace), replace)
        yield sed_replace(path, pattern, literal, flags, backup, interpolate_variables, extended_regex)
        return

    # What is a regular expression of other text would else be added each time
    is_other_text = replace is not None or not (escape_regex_characters or _matches_itself(line, extended_regex))
    if is_other_text and _has_line(path, text, interpolate_variables, extended_regex):
        host.noop(f'line "{shown(text)}" exists in {path}')
        return
    if replace is not None and not escape_regex_characters and _takes_groups(line, replace, extended_regex):
        host.noop(f'no line matches "{shown(line)}" in {path}, so there are no groups for "{shown(replace)}"')
        return
    show_lines(path, (), [text])
    yield _append(path, text, backup and found is not None, interpolate_variables, ensure_newline)


def _one_line(name: str, text: Any) -> str:
    """A text that is to be a line, without its end.

    Raises:
        OperationTypeError: it is no text
        OperationValueError: there are several lines
    """
    if not isinstance(text, str):
        raise OperationTypeError(f"`{name}` must be a text, not {text!r}")
    text = text.removesuffix("\n")
    if "\n" in text:
        raise OperationValueError(f"`{name}` must be one line, not {text!r}: files.block has several")
    return text


def _matches_itself(text: str, extended_regex: bool) -> bool:
    """Whether a text surely matches itself as a regular expression: nothing but dots mean something."""
    plain = text.replace(".", "")
    return escape_regex(plain, extended_regex) == plain


def _takes_groups(pattern: str, replace: str, extended_regex: bool) -> bool:
    """Whether a replacement has references to groups of a regular expression."""
    return ("(" if extended_regex else "\\(") in pattern and bool(_GROUP_REFERENCE.search(replace))


def _find(path: str, pattern: str, interpolate_variables: bool, extended_regex: bool) -> list[str] | None:
    """The lines of a file, of text or not, that match; ``None`` if there is no such file."""
    form: dict[str, Any] = {"interpolate_variables": interpolate_variables, "extended_regex": extended_regex}
    found = host.get_fact(FindInFile, path=path, pattern=pattern, **form)
    # What grep says of a file with NUL bytes: GNU's since 3.5 as little as of none
    if found is None or found == [f"Binary file {path} matches"]:
        return host.get_fact(FindInBinaryFile, path=path, pattern=pattern, **form)
    return found


def _check_pattern(pattern: str, interpolate_variables: bool, extended_regex: bool) -> None:
    """Raise an error if there are no lines that match because ``grep`` does not take the pattern."""
    syntax = r"[\[\\(){}+?]" if extended_regex else r"[\[\\]"
    if not re.search(syntax, _SURE_SYNTAX.sub("", pattern)):
        return
    error = host.get_fact(
        PatternError,
        pattern=pattern,
        interpolate_variables=interpolate_variables,
        extended_regex=extended_regex,
    )
    if error:
        why = shown(mask_like(error, pattern))
        raise OperationValueError(f"{shown(pattern)!r} is no regular expression to the host: {why}")


def _has_line(path: str, text: str, interpolate_variables: bool, extended_regex: bool) -> bool:
    # The shell is to expand what an escape would take its meaning from
    literal = text if interpolate_variables else escape_regex(text, extended_regex)
    return bool(_find(path, "^" + literal + "$", interpolate_variables, extended_regex))


def _append(path: str, text: str, backup: bool, interpolate_variables: bool, ensure_newline: bool) -> StringCommand:
    """The command that adds a line to the end of a file."""
    name = QuotePath(path)
    word = InterpolatedString(text) if interpolate_variables else QuoteString(text)
    # Where shells disagree on what echo makes of it
    plain = "\\" not in text and not _ECHO_OPTION.fullmatch(text)
    bits: list[object] = [*(["echo"] if plain else ["printf", "'%s\\n'"]), word, ">>", name]
    if ensure_newline:
        newline = ["if [ -s", name, '] && [ -n "$(tail -c 1', name, ')" ]; then echo >>', name, "; fi &&"]
        bits = [*newline, *bits]
    if backup:
        bits = [back_up(path), "&&", *bits]
    return StringCommand(*bits)


@operation()
@of_files
def replace(
    path: str,
    text: str | None = None,
    replace: str | None = None,
    flags: list[str] | None = None,
    backup: bool = False,
    interpolate_variables: bool = False,
    extended_regex: bool = False,
    match: str | None = None,
) -> Commands:
    """Replace what matches in a file.

    Args:
        path: the file, or a symbolic link to it
        text: a regular expression
        replace: the text in its place, in which ``\\1`` to ``\\9`` are groups; if it matches itself,
            each run replaces anew
        flags: of the ``s`` of ``sed``: ``g`` for all matches in a line, ``i`` to ignore case
        backup: keep the file as it was beside it
        interpolate_variables: have the host's shell expand variables: their values are a part of the regular expression
            in ``text``, and text in ``replace``
        extended_regex: ``text`` is in the extended syntax
        match: an older name of ``text``

    .. code:: python

        files.replace(name="Move to the new domain", path="/etc/app.conf", text="example\\.org", replace="example.com")
    """
    path = remote_path(path)
    text, replace = reveal((match if text is None else text, replace))
    for name, value in (("text", text), ("replace", replace)):
        if not isinstance(value, str) or (name == "text" and not value):
            raise OperationTypeError(f"`{name}` must be a text, not {value!r}")
    if not _find(path, text, interpolate_variables, extended_regex):
        _check_pattern(text, interpolate_variables, extended_regex)
        host.noop(f'string "{shown(text)}" does not exist in {path}')
        return
    yield sed_replace(path, str(text), str(replace), flags, backup, interpolate_variables, extended_regex)
