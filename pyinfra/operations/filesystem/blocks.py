"""Blocks of lines between markers in files on a host."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyinfra import host
from pyinfra.api import OperationError, OperationTypeError, OperationValueError, QuoteString, StringCommand, operation
from pyinfra.api.command import QuotePath
from pyinfra.api.hiddenvalue import mask_like, reveal
from pyinfra.facts.files import Block, FindInFile
from pyinfra.facts.util.block_markers import DEFAULT_LINES, awk_file, awk_pattern, block_marker_lines

from ..util.commands import housekeeping_arguments, read_fact, succeeded
from ..util.files import adjust_regex, back_up, escape_regex
from ..util.links import ReplacingCommand
from ..util.sed import pattern_between_slashes
from . import Commands, of_files
from .diff import show_lines
from .paths import Steps, remote_path, report_no_change

if TYPE_CHECKING:
    from pyinfra.api.arguments import ConnectorArguments
    from pyinfra.api.host import Host
    from pyinfra.api.state import State

_HERE_DOCUMENT = "PYINFRAHERE"


@dataclass(frozen=True, slots=True)
class _Markers:
    """What tells a block in a file, as people give it."""

    marker: str | None
    begin: str | None
    end: str | None

    def lines(self) -> tuple[str, str]:
        """The lines before and after the block."""
        try:
            return block_marker_lines(self.marker, self.begin, self.end)
        except ValueError as error:
            raise OperationValueError(str(error)) from None

    def find(self, path: str) -> list[str] | None:
        """The lines of the block in a file, ``None`` if there is no file."""
        return host.get_fact(Block, path=path, marker=self.marker, begin=self.begin, end=self.end)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a file a new block goes: before or after a line that matches, else to the start or the end."""

    line: str | None
    is_text: bool
    before: bool
    after: bool

    def __post_init__(self) -> None:
        if self.line and self.before == self.after:
            raise OperationValueError("only one of 'before' or 'after' used when 'line` is specified")


@operation()
@of_files
def block(
    path: str,
    content: str | list[str] | None = None,
    present: bool = True,
    line: str | None = None,
    backup: bool = False,
    escape_regex_characters: bool = False,
    try_prevent_shell_expansion: bool = False,
    before: bool = False,
    after: bool = False,
    marker: str | None = None,
    begin: str | None = None,
    end: str | None = None,
) -> Commands:
    """Have a block of lines between markers in a file, or none.

    Args:
        path: the file, or a symbolic link to it; it is made if it is missing
        content: the lines
        present: whether the block should be there
        line: a regular expression of the line that a new block goes before or after; if none matches,
            it goes to the end
        backup: keep the file as it was beside it
        escape_regex_characters: ``line`` is plain text
        try_prevent_shell_expansion: without effect: the shell never expands the content
        before, after: where a new block goes: with ``line``, as of that; else to the start or, by default, the end
        marker: the text of the markers, in which ``{mark}`` stands for ``begin`` or ``end``; by default
            ``# {mark} PYINFRA BLOCK``, which the other markers of a file may not hold
        begin, end: ``BEGIN`` and ``END`` by default

    .. code:: python

        files.block(
            name="Name the databases", path="/etc/hosts", line="localhost", after=True,
            content=["10.0.0.7 db", "10.0.0.8 db2"],
        )
    """
    path = remote_path(path)
    content, line, marker, begin, end = reveal((content, line, marker, begin, end))
    markers = _Markers(marker, begin, end)
    if present:
        lines = _content_lines(content)
        steps = _ensure_block(path, markers, lines, _Place(line, escape_regex_characters, before, after), backup)
    else:
        steps = _ensure_no_block(path, markers, backup)
    yield from report_no_change(steps)


def _content_lines(content: str | list[str] | None) -> list[str]:
    """The lines of a block; a newline at the end of a text is that of its last line."""
    if not content:
        raise OperationValueError("'content' must be supplied when 'present' == True")
    if isinstance(content, str):
        return content.removesuffix("\n").split("\n")
    if not all(isinstance(line, str) for line in content):
        raise OperationTypeError(f"'content' must be a text or a list of lines, not {content!r}")
    return [line for text in content for line in text.removesuffix("\n").split("\n")]


class _Rewrite(StringCommand):
    """A command that has a file be what ``awk`` writes to ``$OUT``, with the owner and mode that it has.

    A new file has the mode of all new files, and not the one of temporary files. Nothing is left of those.

    Args:
        path: the file
        awk: what writes to ``$OUT``
        exists: whether the file does
        backup: whether it is kept as it was beside it
        replaced: the markers of the block that is there, if one is
    """

    def __init__(self, path: str, awk: StringCommand, exists: bool, backup: bool, replaced: Sequence[str] = ()) -> None:
        name = QuotePath(path)
        folder = StringCommand('OUT="$(TMPDIR=', QuoteString(host.get_temp_dir_config()), _separator="")
        mode = ['MODE="$(stat -c %a', name, "2>/dev/null || stat -f %Lp", name, '2>/dev/null)" &&']
        super().__init__(
            *([back_up(path), "&&"] if backup and exists else []),
            folder,
            'mktemp -t pyinfra.XXXXXX)" && ',
            *(mode if exists else []),
            'OWNER="$(stat -c "%u:%g"',
            name,
            '2>/dev/null || stat -f "%u:%g"',
            name,
            '2>/dev/null || echo $(id -un):$(id -gn))" &&',
            awk,
            ' && mv "$OUT"',
            name,
            ' && chown "$OWNER"',
            name,
            *([' && chmod "$MODE"', name] if exists else ["", name]),
        )
        self.path = path
        self.exists = exists
        self.replaced = replaced

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> Any:
        """Run it; returns ``(success, CommandOutput)``.

        Raises:
            OperationError: it would take another block for the one to be changed
        """
        if self.replaced:
            self._check_markers(read_fact(state, host, connector_arguments, FindInFile, **self._search()) or [])
        tidy = StringCommand("( OUT=; trap 'rm -f \"$OUT\"' EXIT;", StringCommand(*self.bits), ")")
        result = tidy.execute(state, host, connector_arguments)
        if self.exists or not succeeded(result):
            return result
        # Without a class of users, chmod minds the umask
        opened = StringCommand("chmod", "=rw", QuotePath(self.path))
        changed = opened.execute(state, host, housekeeping_arguments(connector_arguments))
        return result if succeeded(changed) else changed

    def _search(self) -> dict[str, Any]:
        """The arguments of a fact: the lines that the markers' patterns find."""
        pattern = "|".join(escape_regex(marker, extended=True) for marker in self.replaced)
        return {"path": self.path, "pattern": pattern, "extended_regex": True}

    def _check_markers(self, lines: Iterable[str]) -> None:
        for line in lines:
            for marker in self.replaced:
                if marker in line and line.strip() != marker:
                    raise OperationError(
                        f"{self.path} has the line {line!r}, which holds the marker {marker!r} of another block: "
                        "give this one a `marker` that is in no other"
                    )


def _remove(path: str, first: str, last: str) -> StringCommand:
    script = awk_pattern(first) + "," + awk_pattern(last) + " {next} 1"
    return StringCommand("awk", QuoteString(script), awk_file(path), "> $OUT")


def _replace(path: str, first: str, last: str, text: str) -> StringCommand:
    begin = 'BEGIN {{f=1; x=ARGV[2]; ARGV[2]=""}}'
    script = begin + awk_pattern(first) + " {print; print x; f=0} " + awk_pattern(last) + " {print; f=1; next} f"
    return StringCommand("awk", QuoteString(script), awk_file(path), QuoteString(text), '> "$OUT"')


def _insert(path: str, line_pattern: str, after: bool, text: str) -> StringCommand:
    """The command that puts a text before or after the first line that matches, or at the end."""
    script = mask_like(
        f'BEGIN {{x=ARGV[2]; ARGV[2]=""}} {"{ print }" if after else ""} '
        f"f!=1 && /{pattern_between_slashes(line_pattern)}/ {{ print x; f=1}} "
        f"END {{if (f==0) print x }} {'' if after else '{ print }'}",
        line_pattern,
    )
    return StringCommand("awk", QuoteString(script), awk_file(path), QuoteString(text), '> "$OUT"')


def _extend(path: str | None, at_start: bool, text: str) -> StringCommand:
    """The command that puts a text at the start or the end of a file, or of nothing."""
    file = awk_file(path) if path else "/dev/null"
    # A line of the text could be the word that ends it
    word = _HERE_DOCUMENT
    while word in text.split("\n"):
        word += "_"
    operands = ["", "- ", file] if at_start else [file, " - "]
    document = StringCommand(f"> \"$OUT\" <<'{word}'", text, f"{word}\n )", _separator="\n")
    return StringCommand("( awk '{{print}}'", *operands, document)


def _ensure_block(path: str, markers: _Markers, lines: list[str], place: _Place, backup: bool) -> Steps:
    """Have a block with these lines in a file."""
    first, last = markers.lines()
    if any(mark in text for mark in (first, last) for text in lines):
        raise OperationValueError(f"'content' must not contain the block's markers: {first!r}, {last!r}")

    current = markers.find(path)
    if current == lines:
        return f"block in {path} already has this content"
    show_lines(path, [mask_like(each, *lines) for each in current or ()], lines)
    text = mask_like("\n".join(lines), *lines)
    block = mask_like(f"{first}\n{text}\n{last}", first, text, last)

    def change(path: str) -> StringCommand:
        if current:
            return _Rewrite(path, _replace(path, first, last, text), True, backup, _loose(first, last))
        if place.line and current is not None:
            awk = _insert(path, adjust_regex(place.line, place.is_text, extended=True), place.after, block)
        else:
            awk = _extend(None if current is None else path, place.before, block)
        return _Rewrite(path, awk, current is not None, backup)

    yield ReplacingCommand(path, change)
    return None


def _ensure_no_block(path: str, markers: _Markers, backup: bool) -> Steps:
    """Have no block in a file, markers included."""
    first, last = markers.lines()
    current = markers.find(path)
    if current is None:
        return "no remove required: file did not exist"
    if not current:
        return "no remove required: markers not found"
    show_lines(path, current, ())
    yield ReplacingCommand(
        path, lambda path: _Rewrite(path, _remove(path, first, last), True, backup, _loose(first, last))
    )
    return None


def _loose(*markers: str) -> list[str]:
    """Those of the markers that are looked for in any part of a line."""
    return [marker for marker in markers if marker in DEFAULT_LINES]
