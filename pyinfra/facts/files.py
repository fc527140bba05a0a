"""Facts about files: their status, content and hashes, and what is in folders.

Paths reach the host's shell as one word, whatever is in them; a leading ``~`` or ``~user`` is the home folder there.
"""

from __future__ import annotations

import re
from os import fspath
from typing import ClassVar, Literal

from typing_extensions import override

from pyinfra.api import FactBase, FactValueError, QuoteString, StringCommand
from pyinfra.api.command import InterpolatedString, QuotePath

from .util.block_markers import awk_file, awk_pattern, block_marker_lines
from .util.file_status import STAT_COMMANDS, FileDict, parse_file_status
from .util.sizes import parse_size

__all__ = [
    "Block",
    "Directory",
    "File",
    "FileContents",
    "FileDict",
    "FindDirectories",
    "FindFiles",
    "FindFilesBase",
    "FindInBinaryFile",
    "FindInFile",
    "FindLinks",
    "Flags",
    "HashFileFactBase",
    "Link",
    "Md5File",
    "Sha1File",
    "Sha256File",
    "Sha384File",
    "Socket",
]

# What the commands say of a file in place of its content
_EXISTS = "__pyinfra_exists_"
_MISSING = "__pyinfra_missing_"


def _says(output: list[str], word: str) -> bool:
    return bool(output) and output[0].startswith(word)


class File(FactBase["FileDict | Literal[False] | None"]):
    """The status of a regular file; ``None`` if nothing is there, ``False`` if it is something else.

    Symbolic links are not followed.

    .. code:: python

        {
            "user": "root", "group": "root", "mode": 644, "size": 3928,
            "atime": datetime, "mtime": datetime, "ctime": datetime,
        }
    """

    kind: ClassVar[str] = "-"

    @override
    def command(self, path: str) -> StringCommand:
        name = QuotePath(path)
        gnu, bsd = STAT_COMMANDS
        return StringCommand(
            "! (test -e",
            name,
            "|| test -L",
            name,
            ") || (",
            gnu,
            name,
            "2> /dev/null ||",
            bsd,
            name,
            "|| ls -ld",
            name,
            ")",
        )

    @override
    def process(self, output: list[str]) -> FileDict | Literal[False] | None:
        found = parse_file_status(output)
        if found is None:
            return None
        kind, status = found
        return status if kind == self.kind else False


class Link(File):
    """The status of a symbolic link, with its ``link_target``; ``None`` or ``False`` as for :class:`File`."""

    kind = "l"


class Directory(File):
    """The status of a folder; ``None`` or ``False`` as for :class:`File`."""

    kind = "d"


class Socket(File):
    """The status of a Unix socket; ``None`` or ``False`` as for :class:`File`."""

    kind = "s"


class HashFileFactBase(FactBase["str | None"]):
    """The hash of a file's content in hexadecimal; ``None`` if there is no such file, or no program for it."""

    abstract = True
    # Those of GNU, of Perl and of the BSDs, which differ in where they put the hash
    programs: ClassVar[tuple[str, ...]] = ()
    # The length of the hash
    digits: ClassVar[int] = 0

    @override
    def command(self, path: str) -> StringCommand:
        name = QuotePath(path)
        attempts: list[object] = []
        for program in self.programs:
            attempts += ["||"] if attempts else []
            attempts += [program, name, "2> /dev/null"]
        return StringCommand("test -e", name, "&& (", *attempts, ") || true")

    @override
    def process(self, output: list[str]) -> str | None:
        # GNU puts a backslash before the hash if the name has one; a name with newlines spreads over lines
        for line in output:
            word = line.partition(" ")[0].lstrip("\\")
            if len(word) == self.digits and _HEXADECIMAL.fullmatch(word):
                return word.lower()
        for line in output:
            word = line.rpartition(") = ")[2]
            if len(word) == self.digits and _HEXADECIMAL.fullmatch(word):
                return word.lower()
        return None


_HEXADECIMAL = re.compile("[0-9a-fA-F]+")


class Sha1File(HashFileFactBase):
    """The SHA-1 of a file's content."""

    programs = ("sha1sum", "shasum", "sha1")
    digits = 40


class Sha256File(HashFileFactBase):
    """The SHA-256 of a file's content."""

    programs = ("sha256sum", "shasum -a 256", "sha256")
    digits = 64


class Sha384File(HashFileFactBase):
    """The SHA-384 of a file's content."""

    programs = ("sha384sum", "shasum -a 384", "sha384")
    digits = 96


class Md5File(HashFileFactBase):
    """The MD5 of a file's content."""

    programs = ("md5sum", "md5")
    digits = 32


class FindInFile(FactBase["list[str] | None"]):
    """The lines of a file that match a pattern of ``grep``; ``None`` if there is no such file.

    Of a file with NUL bytes ``grep`` has a line that says that it matches, or nothing, as if there was no such file:
    see :class:`FindInBinaryFile`.
    """

    @override
    def command(
        self,
        path: str,
        pattern: str,
        interpolate_variables: bool = False,
        extended_regex: bool = False,
    ) -> StringCommand:
        name = QuotePath(path)
        return StringCommand(
            *self._greps(
                *(["-E"] if extended_regex else []),
                "-e",
                InterpolatedString(pattern) if interpolate_variables else QuoteString(pattern),
                name,
                "2> /dev/null ||",
            ),
            "( find",
            name,
            "-type f > /dev/null && echo",
            QuoteString(_EXISTS + fspath(path)),
            "|| true )",
        )

    @staticmethod
    def _greps(*words: object) -> list[object]:
        """The attempts to find something."""
        return ["grep", *words]

    @override
    def process(self, output: list[str]) -> list[str]:
        return [] if _says(output, _EXISTS) else output


class FindInBinaryFile(FindInFile):
    """The lines of a file, of text or not, that match a pattern of ``grep``; ``None`` if there is no such file."""

    @staticmethod
    @override
    def _greps(*words: object) -> list[object]:
        # BusyBox's takes all files for text, and knows no option for that
        return ["grep", "-a", *words, "grep", *words]


class FindFilesBase(FactBase["list[str]"]):
    """The paths of all files of a kind in a folder and below."""

    abstract = True
    # As ``find -type`` has it
    kind: ClassVar[str] = ""

    @staticmethod
    @override
    def default() -> list[str]:
        return []

    @override
    def command(
        self,
        path: str,
        size: str | int | None = None,
        min_size: str | int | None = None,
        max_size: str | int | None = None,
        maxdepth: int | None = None,
        fname: str | None = None,
        iname: str | None = None,
        regex: str | None = None,
        path_match: str | None = None,
        args: list[str] | None = None,
        quote_path: bool = True,
    ) -> StringCommand:
        """The command.

        Args:
            path: where to begin
            size: exactly so large, in bytes or as ``10kB``, ``10MiB``
            min_size: larger than that
            max_size: smaller than that
            maxdepth: so many levels of folders; 1: the folder's own files
            fname: a pattern of shell kind that the name matches
            iname: the same, and case does not matter
            regex: a regular expression of ``find`` that the whole path matches
            path_match: a pattern of shell kind that the whole path matches
            args: further arguments for ``find``
            quote_path: without it the shell expands patterns in ``path``
        """
        tests: list[str] = []
        for sign, limit in (("", size), ("+", min_size), ("-", max_size)):
            if limit is not None:
                tests += ["-size", f"{sign}{self._bytes(limit)}c"]
        for option, value in (
            ("-maxdepth", maxdepth),
            ("-name", fname),
            ("-iname", iname),
            ("-regex", regex),
            ("-path", path_match),
        ):
            if value is not None:
                tests += [option, str(value)]
        return StringCommand(
            "find",
            QuotePath(path) if quote_path else path,
            f"-type {self.kind}",
            *(QuoteString(str(word)) for word in (*tests, *(args or ()))),
            "|| true",
        )

    @staticmethod
    def _bytes(size: str | int) -> int:
        try:
            return parse_size(size)
        except ValueError as error:
            raise FactValueError(str(error)) from None

    @override
    def process(self, output: list[str]) -> list[str]:
        return output


class FindFiles(FindFilesBase):
    """The paths of all regular files in a folder and below."""

    kind = "f"


class FindLinks(FindFilesBase):
    """The paths of all symbolic links in a folder and below."""

    kind = "l"


class FindDirectories(FindFilesBase):
    """The paths of a folder and all folders below."""

    kind = "d"


class Flags(FactBase["list[str] | None"]):
    """The flags of a file as ``chflags`` has them (macOS, BSD); none if there is no such file."""

    @override
    def requires_command(self, path: str) -> str:
        return "chflags"

    @override
    def command(self, path: str) -> StringCommand:
        name = QuotePath(path)
        return StringCommand("! test -e", name, "|| stat -f %Sf", name)

    @override
    def process(self, output: list[str]) -> list[str]:
        if len(output) != 1:
            return []
        return [flag for flag in output[0].split(",") if flag and flag != "-"]


class Block(FactBase["list[str] | None"]):
    """The lines between two markers in a file: none if they are not there, ``None`` if there is no such file.

    The markers are those of :func:`pyinfra.operations.files.block`.
    """

    @staticmethod
    @override
    def default() -> list[str]:
        return []

    @override
    def command(
        self,
        path: str,
        marker: str | None = None,
        begin: str | None = None,
        end: str | None = None,
    ) -> StringCommand:
        try:
            first, last = block_marker_lines(marker, begin, end)
        except ValueError as error:
            raise FactValueError(str(error)) from None
        name = QuotePath(path)
        return StringCommand(
            "awk",
            QuoteString(awk_pattern(last) + "{ f=0} f; " + awk_pattern(first) + "{ f=1} "),
            awk_file(fspath(path)),
            "|| (find",
            name,
            "-type f > /dev/null && echo",
            QuoteString(_EXISTS + fspath(path)),
            "|| echo",
            QuoteString(_MISSING + fspath(path)),
            ")",
        )

    @override
    def process(self, output: list[str]) -> list[str] | None:
        if _says(output, _MISSING):
            return None
        return [] if _says(output, _EXISTS) else output


class FileContents(FactBase["list[str] | None"]):
    """The lines of a file; ``None`` if there is no such file, or nothing in it."""

    @override
    def command(self, path: str) -> StringCommand:
        name = QuotePath(path)
        return StringCommand("( test -e", name, "&& cat", name, ") || echo", QuoteString(_MISSING + fspath(path)))

    @override
    def process(self, output: list[str]) -> list[str] | None:
        return None if _says(output, _MISSING) else output
