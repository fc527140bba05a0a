"""The contract's rules about how files are copied: temporary files, errors, time-outs."""

from __future__ import annotations

import io
import os
import re
import tempfile
from pathlib import Path

from pyinfra.api.command import QuoteString

from .rules import Broken, NotApplicable, expect, expect_true, rule
from .rules_files import MISSING, SECTION, expect_refused
from .target import Target

# Waits in the background until the folder "$1" has a hidden file in it, notes what is there, and then reads the FIFO
# "$2" into "$3"
_READ_FIFO = """
(
    i=0
    while [ $i -lt 200 ] && [ -z "$(ls -A "$1" | grep '^\\.')" ]; do
        i=$((i + 1))
        sleep 0.05 2> /dev/null || sleep 1
    done
    ls -lnA "$1" | grep -v askpass > "$3.seen"
    cat "$2" > "$3"
) > /dev/null 2>&1 &
echo $!"""


@rule(SECTION)
def temporary_files_are_private(target: Target) -> None:
    """What cannot be renamed onto (a FIFO here) gets a complete temporary file, private, from ``_temp_dir``.

    Its mode is 0600 and its name begins with a dot and ends with a tilde.
    """
    fifo, copy = target.path("fifo"), target.path("copy")
    folder, places = target.temporary_places()
    target.ok("mkfifo", QuoteString(fifo))
    pid = target.line("set --", *map(QuoteString, (folder, fifo, copy)), _READ_FIFO)
    target.put("through a FIFO", fifo, **places)
    target.expect_gone([pid])
    expect(target.content(copy), b"through a FIFO", "what came out of the FIFO")
    seen = [line for line in target.ok("cat", QuoteString(f"{copy}.seen")) if not line.startswith("total")]
    expect(len(seen), 1, f"temporary files in {seen}")
    expect(seen[0].split()[0].rstrip("."), "-rw-------", "mode of the temporary file")
    expect_true(re.search(r" \.[^ /]{4,32}~$", seen[0]), "a name that begins with . and ends with ~", seen[0])
    expect(target.temporary_names(folder), [], "what is left of it")


@rule(SECTION)
def errors_say_what_the_target_said(target: Target) -> None:
    """A missing folder, a folder in the file's place or a full disk is an ``OSError`` that holds the target's words."""
    missing = f"{target.path('missing')}/file"
    expect_refused(target, "a missing folder", lambda: target.put("no", missing), MISSING)
    expect_refused(target, "a missing file", lambda: target.get(missing), MISSING)
    folder = target.new_folder()
    expect_refused(target, "a folder in the file's place", lambda: target.put("no", folder), "directory|folder")
    expect_refused(target, "reading a folder", lambda: target.get(folder), "directory|folder|regular|failed")
    expect_refused(target, "a name in a folder that is none", lambda: target.put("no", f"{folder}/a/"))
    expect(target.names(folder), [], "names in the folder")
    if target.run("test -c /dev/full && test -w /dev/full").success:
        expect_refused(target, "a full disk", lambda: target.put("no", "/dev/full"), "no space|full")
    target.expect_usable("files that were refused")


@rule(SECTION)
def denied_files_are_errors(target: Target) -> None:
    """A denied permission is an ``OSError`` that holds the target's words."""
    if target.is_root:
        raise NotApplicable("nothing is denied to root")
    folder = target.new_folder("closed")
    target.write("secret", f"{folder}/file")
    target.ok("chmod 000", QuoteString(f"{folder}/file"), "&& chmod 555", QuoteString(folder))
    try:
        for what, copy in (
            ("a new file", lambda: target.put("no", f"{folder}/new")),
            ("a file that cannot be written", lambda: target.put("no", f"{folder}/file")),
            ("a file that cannot be read", lambda: target.get(f"{folder}/file")),
        ):
            expect_refused(target, what, copy, "denied|not permitted|cannot|can't")
    finally:
        target.ok("chmod 755", QuoteString(folder))


class _BrokenSource(io.BytesIO):
    """A local file that cannot be read to its end."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 100_000:
            raise OSError("the local disk is broken")
        return super().read(min(size, 50_000) if size and size > 0 else 50_000)


@rule(SECTION)
def broken_transfers_leave_nothing(target: Target) -> None:
    """A transfer that breaks is an error, and leaves the old file as it was and nothing half-written."""
    folder = target.new_folder("broken")
    target.write("old", f"{folder}/old")
    for name in ("old", "new"):
        source = _BrokenSource(bytes(400_000))
        try:
            done = target.host.put_file(source, f"{folder}/{name}", **target.arguments)
        except OSError as error:
            expect_true("disk is broken" in str(error), "the local error", str(error))
        else:
            raise Broken("an error for a local file that cannot be read", f"put_file returned {done}")
    expect(target.content(f"{folder}/old"), b"old", "content of the old file")
    expect(target.names(folder), ["old"], "names in the folder")
    target.expect_usable("a transfer that broke")
    with tempfile.TemporaryDirectory(prefix="pyinfra-contract-") as local:
        copy = Path(local) / "copy"
        copy.write_text("kept")
        expect_refused(target, "a missing file", lambda: _get_to(target, f"{folder}/missing", str(copy)), MISSING)
        expect(copy.read_text(), "kept", "content of the local file that was there")
        expect(os.listdir(local), ["copy"], "names in the local folder")
        expect_refused(target, "a missing local folder", lambda: _get_to(target, f"{folder}/old", f"{local}/no/copy"))


def _get_to(target: Target, path: str, local: str) -> bool:
    return target.host.get_file(path, local, **target.arguments)


@rule(SECTION)
def temporary_files_are_removed(target: Target) -> None:
    """Temporary files are gone after every copy, also after those that went wrong."""
    folder = target.new_folder("files")
    temporary, places = target.temporary_places()
    target.put("new", f"{folder}/file", **places)
    target.put("replaced", f"{folder}/file", **places)
    target.ok("cd", QuoteString(folder), "&& ln file hard && ln -s file soft && mkdir dir")
    target.put("hard", f"{folder}/hard", **places)
    target.put("soft", f"{folder}/soft", **places)
    target.get(f"{folder}/file", **places)
    for path in ("dir", "missing/file", "file/file"):
        try:
            target.put("no", f"{folder}/{path}", **places)
        except OSError:
            continue
        raise Broken(f"an OSError for {path}", "no error")
    if target.run("test -c /dev/full && test -w /dev/full").success:
        expect_refused(target, "a full disk", lambda: target.put("no", "/dev/full", **places))
    expect(target.names(folder), ["dir", "file", "hard", "soft"], "names in the folder")
    expect(target.temporary_names(temporary), [], "names in the folder for temporary files")


@rule(SECTION)
def time_outs_of_files(target: Target) -> None:
    """``_timeout`` counts for files as well, and leaves neither temporary files nor processes."""
    fifo = target.path("fifo")
    target.ok("mkfifo", QuoteString(fifo))
    temporary, places = target.temporary_places()
    places["_timeout"] = 1
    for what, copy in (
        ("put_file", lambda: target.put("nobody reads", fifo, **places)),
        ("get_file", lambda: target.get(fifo, **places)),
    ):
        try:
            copy()
        except TimeoutError:
            continue
        raise Broken(f"TimeoutError from {what} of a FIFO without another end", "no error")
    expect(target.temporary_names(temporary), [], "temporary files left")
    target.expect_usable("a time-out of a file")
