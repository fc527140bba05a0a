"""Files that a host fetches from elsewhere by itself."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyinfra import host
from pyinfra.api import OperationError, OperationTypeError, QuoteString, StringCommand, operation
from pyinfra.api.command import QuotePath
from pyinfra.api.hiddenvalue import reveal, shown
from pyinfra.connectors.util import OutputLine
from pyinfra.facts.files import File, HashFileFactBase, Md5File, Sha1File, Sha256File, Sha384File
from pyinfra.facts.server import Date, Which

from ..util.commands import TemporaryFileCommand, housekeeping_arguments, read_fact, remove_temporary, succeeded
from . import Commands, of_files
from .paths import Attributes, Steps, remote_path, report_no_change

if TYPE_CHECKING:
    from pyinfra.api.arguments import ConnectorArguments
    from pyinfra.api.host import Host
    from pyinfra.api.state import State


@dataclass(frozen=True, slots=True)
class _Checksum:
    """A hash that a file should have."""

    name: str
    fact: type[HashFileFactBase]
    value: str

    def holds(self, path: str) -> bool:
        """Whether a file on the host has it."""
        return bool(host.get_fact(self.fact, path=path) == self.value)

    def explain(self, found: str | None) -> str:
        """Why a file with another hash, or with none that the host could tell, will not do."""
        if found is None:
            return f"the host has no program for {self.name}"
        return f"{self.name} did not match: it is {found}, and not {self.value}"

    def check(self, path: str) -> StringCommand:
        """The command that fails unless a file on the host has it."""
        name = QuotePath(path)
        gnu, *others = self.fact.programs
        attempts: list[Any] = [gnu, name, "2> /dev/null"]
        for program in others:
            attempts += ["||", program, name]
        return StringCommand(
            "((",
            *attempts,
            ") | grep",
            QuoteString(self.value),
            f") || ( echo '{self.name} did not match!' && exit 1 )",
        )


def _checksums(sha1: str | None, sha256: str | None, sha384: str | None, md5: str | None) -> list[_Checksum]:
    """Those hashes that are given."""
    given = (
        ("SHA1", Sha1File, sha1),
        ("SHA256", Sha256File, sha256),
        ("SHA384", Sha384File, sha384),
        ("MD5", Md5File, md5),
    )
    for name, _, value in given:
        # The command line takes digits for a number, and one of zeros for none
        if value is not None and not isinstance(value, str):
            raise OperationTypeError(f"`{name.lower()}sum` must be text, not {value!r}")
    return [_Checksum(name, fact, value.strip().lower()) for name, fact, value in given if value]


@dataclass(frozen=True, slots=True)
class _Request:
    """What to fetch, and how."""

    url: str
    headers: Mapping[str, str]
    insecure: bool
    proxy: str | None
    limit_rate: str | None
    extra_curl_args: Mapping[str, str]
    extra_wget_args: Mapping[str, str]

    def command(self, target: str) -> StringCommand:
        """The command that fetches it to a path, by the program that the host has.

        Raises:
            OperationError: the host has neither
        """
        if host.get_fact(Which, command="curl"):
            return self._curl(target)
        if host.get_fact(Which, command="wget"):
            return self._wget(target)
        raise OperationError(
            f"cannot download {shown(self.url)}: the host has neither curl nor wget, install one of them"
        )

    def _curl(self, target: str) -> StringCommand:
        options: list[Any] = []
        if self.proxy:
            options += ["--proxy", QuoteString(self.proxy)]
        if self.limit_rate:
            options += ["--limit-rate", QuoteString(self.limit_rate)]
        if self.insecure:
            options.append("--insecure")
        options += [*self._header_options(), *_words(self.extra_curl_args)]
        return StringCommand("curl -sSLf", *options, QuoteString(self.url), "-o", QuotePath(target))

    def _wget(self, target: str) -> StringCommand:
        options: list[Any] = []
        if self.proxy:
            kind = "https_proxy" if self.url.startswith("https:") else "http_proxy"
            setting = StringCommand(f"{kind}=", self.proxy, _separator="")
            options += ["-e use_proxy=yes -e", QuoteString(setting)]
        if self.limit_rate:
            options += ["--limit-rate", QuoteString(self.limit_rate)]
        if self.insecure:
            options.append("--no-check-certificate")
        options += [*self._header_options(), *_words(self.extra_wget_args)]
        name = QuotePath(target)
        # wget leaves an empty file behind where there is nothing to fetch
        return StringCommand("wget -q", *options, QuoteString(self.url), "-O", name, "|| ( rm -f", name, "; exit 1 )")

    def _header_options(self) -> Iterator[Any]:
        for name, value in self.headers.items():
            yield "--header"
            yield QuoteString(StringCommand(name, ": ", value, _separator=""))


class _VerifiedDownload(TemporaryFileCommand):
    """A command that downloads to a temporary file, and fails unless that has the hashes that it should have.

    So what is at the destination is there until the right file takes its place. That was written when it was
    downloaded, which ``wget`` leaves to the server to say.
    """

    def __init__(self, command: StringCommand, temporary: str, sums: Iterable[_Checksum]) -> None:
        super().__init__(temporary, command)
        self.sums = sums

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> Any:
        """Run it; returns ``(success, CommandOutput)``, with what is wrong as the last line of standard error."""
        result = super().execute(state, host, connector_arguments)
        if not succeeded(result):
            return result
        for checksum in self.sums:
            found = read_fact(state, host, connector_arguments, checksum.fact, path=self.temporary)
            if found != checksum.value:
                remove_temporary(self.temporary, state, host, connector_arguments)
                return _failed(result, f"{checksum.explain(found)}: the download has taken no file's place")
        touch = StringCommand("touch", QuotePath(self.temporary))
        touched = touch.execute(state, host, housekeeping_arguments(connector_arguments))
        return result if succeeded(touched) else touched


def _failed(result: Any, why: str) -> Any:
    """What executing a command returned, as a failure with a line more on its standard error."""
    if not isinstance(result, tuple):
        return False
    output = result[1]
    return False, replace(output, combined_lines=[*output.combined_lines, OutputLine("stderr", why)])


def _words(options: Mapping[str, Any]) -> Iterator[QuoteString]:
    """Options with their values, each a word."""
    for option, value in options.items():
        yield QuoteString(option)
        if value is not None and value != "":
            yield QuoteString(value if isinstance(value, str) else str(value))


def _is_older(status: Mapping[str, Any], seconds: float) -> bool:
    """Whether a file was last written longer ago than that, by the host's clock."""
    now = host.get_fact(Date)
    if now.tzinfo is None:
        now = now.replace(tzinfo=timezone.utc)
    written = status.get("mtime")
    return written is None or now.timestamp() - written.replace(tzinfo=timezone.utc).timestamp() > seconds


def _is_current(path: str, status: Mapping[str, Any], sums: list[_Checksum], cache_time: float | None) -> bool:
    """Whether a file that was downloaded once is young enough, and the right one."""
    if cache_time is not None and _is_older(status, cache_time):
        return False
    return all(checksum.holds(path) for checksum in sums)


def _download(
    request: _Request,
    dest: str,
    wanted: Attributes,
    sums: list[_Checksum],
    cache_time: float | None,
    force: bool,
    temp_dir: str | os.PathLike[str] | None,
) -> Steps:
    """Have a file on the host with what a URL gives."""
    status = host.get_fact(File, path=dest)
    if status is False:
        raise OperationError(f"Destination {dest} already exists and is not a file")
    if status is not None and not force and _is_current(dest, status, sums, cache_time):
        changed = False
        for command in wanted.correct(dest, status):
            changed = True
            yield command
        return None if changed else f"file {dest} has already been downloaded"

    folder = None if temp_dir is None else os.fspath(temp_dir)
    temporary = host.get_temp_filename(dest, temp_directory=folder)
    yield _VerifiedDownload(request.command(temporary), temporary, sums)
    yield TemporaryFileCommand(temporary, "mv", QuotePath(temporary), QuotePath(dest))
    yield from wanted.set_owner(dest)
    yield from wanted.set_mode(dest)
    for checksum in sums:
        yield checksum.check(dest)
    return None


@operation()
@of_files
def download(
    src: str,
    dest: str,
    user: str | None = None,
    group: str | None = None,
    mode: int | str | None = None,
    cache_time: int | None = None,
    force: bool = False,
    sha384sum: str | None = None,
    sha256sum: str | None = None,
    sha1sum: str | None = None,
    md5sum: str | None = None,
    headers: dict[str, str] | None = None,
    insecure: bool = False,
    proxy: str | None = None,
    limit_rate: str | None = None,
    temp_dir: str | Path | None = None,
    extra_curl_args: dict[str, str] | None = None,
    extra_wget_args: dict[str, str] | None = None,
) -> Commands:
    """Have the host download a file, with ``curl`` or ``wget``, unless it is there.

    Args:
        src: the URL
        dest: the file on the host
        user, group, mode: its owner and mode
        cache_time: download again if the file is older than so many seconds
        force: download again in any case
        sha384sum, sha256sum, sha1sum, md5sum: the hash that it must have; a file with another one is downloaded again,
            and stays until one with that hash takes its place
        headers: HTTP headers
        insecure: don't check certificates
        proxy: the URL of a proxy
        limit_rate: bytes per second, or with a unit as in ``500k``
        temp_dir: the folder that it is downloaded to before it is moved into place
        extra_curl_args, extra_wget_args: further options of the programs, with their values

    .. code:: python

        files.download(
            name="Download the release",
            src="https://example.com/app-1.2.tar.gz", dest="/opt/app-1.2.tar.gz", sha256sum="9f86d081884c7d65…",
        )
    """
    src, headers, proxy, extra_curl_args, extra_wget_args = reveal(
        (src, headers, proxy, extra_curl_args, extra_wget_args)
    )
    request = _Request(src, headers or {}, insecure, proxy, limit_rate, extra_curl_args or {}, extra_wget_args or {})
    sums = _checksums(sha1sum, sha256sum, sha384sum, md5sum)
    wanted = Attributes(user, group, mode)
    dest = remote_path(dest, "dest")
    yield from report_no_change(_download(request, dest, wanted, sums, cache_time, force, temp_dir))
