"""The contract's rules about copying files: what arrives, where, and what errors say."""

from __future__ import annotations

import io
import os
import re
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from pyinfra.api.command import QuoteString

from .rules import Broken, NotApplicable, expect, expect_true, rule
from .target import Target

SECTION = "Copying a file"

ODD_NAMES = (
    "plain",
    "two  words",
    "it's",
    'dou"ble',
    "new\nline",
    "-n",
    "--help",
    "$HOME `id`",
    "back\\slash\\n",
    "*?[a]",
    "a;b&c|d",
    "~",
    "100%s",
    "Grüße 日本",
    " ",
    "name.txt~",
)


def expect_refused(target: Target, what: str, copy: Any, words: str = "") -> None:
    """Have a copy fail with an ``OSError`` that holds words of the target's."""
    try:
        copy()
    except OSError as error:
        if isinstance(error, TimeoutError) or not re.search(words, str(error), re.IGNORECASE):
            raise Broken(f"an OSError for {what} that says {words}", f"{type(error).__name__}: {error}") from error
        expect_true(str(error).strip(), f"words in the OSError for {what}", repr(error))
    else:
        raise Broken(f"an OSError for {what}", "no error")


MISSING = "no such|not found|does ?n.t exist|nonexist|not exist"


@rule(SECTION)
def any_names(target: Target) -> None:
    """Files of any name are written and read: spaces, quotes, newlines, leading dashes, non-ASCII."""
    folder = target.new_folder("names")
    for number, name in enumerate(ODD_NAMES):
        path, content = f"{folder}/{name}", f"content {number}".encode()
        target.put(content, path)
        expect(target.content(path), content, f"content of a file named {name!r}")
        expect(target.get(path), content, f"content that came back from a file named {name!r}")
    expect("\n".join(target.names(folder)), "\n".join(sorted("\n".join(ODD_NAMES).split("\n"))), "names in the folder")


@rule(SECTION)
def folders_of_any_name(target: Target) -> None:
    """The folder may have any name, too, and a path may be relative to ``_chdir``."""
    folder = target.new_folder('it\'s a "folder" $x\nyes')
    target.put("content", f"{folder}/file")
    expect(target.content(f"{folder}/file"), b"content", "content")
    for name in ("relative", "-n", "--"):
        target.put("content", name, _chdir=folder)
        expect(target.content(f"{folder}/{name}"), b"content", f"content of the relative path {name}")
        expect(target.get(name, _chdir=folder), b"content", f"what came back from the relative path {name}")


@rule(SECTION)
def any_bytes(target: Target) -> None:
    """What arrives is what was sent, byte for byte, in both directions."""
    data = bytes(range(256)) + b"\r\n\0\n\n~.\x04\x1a\n.\nEOF\n"
    for content in (b"", b"\n", b"\0", b"no newline", b"one\n", data, data * 30):
        path = target.path()
        target.put(content, path)
        expect(target.content(path), content, f"content of {len(content)} bytes")
        expect(target.get(path), content, f"what came back of {len(content)} bytes")


@rule(SECTION)
def large_files(target: Target) -> None:
    """Files of any size arrive whole."""
    content = os.urandom(5_000_003)
    path = target.path("large")
    target.put(content, path)
    expect(target.line("wc -c <", QuoteString(path)).strip(), str(len(content)), "bytes that arrived")
    end = bytes.fromhex(" ".join(target.ok("tail -c 64", QuoteString(path), "| od -An -v -tx1")))
    expect(end, content[-64:], "the last bytes")
    expect_true(target.get(path) == content, "the same content back", "another")


@rule(SECTION)
def local_paths_and_file_objects(target: Target) -> None:
    """The local side is a path or a file object, text or binary."""
    text = "first\nGrüße\n"
    expected = text.encode()
    with tempfile.TemporaryDirectory(prefix="pyinfra-contract-") as folder:
        local = Path(folder) / "it's a file"
        local.write_bytes(expected)
        with local.open() as text_file, local.open("rb") as binary_file:
            for source in (str(local), io.StringIO(text), io.BytesIO(expected), text_file, binary_file):
                path = target.path()
                expect(target.host.put_file(source, path, **target.arguments), True, "what put_file returned")
                expect(target.content(path), expected, f"content from {type(source).__name__}")
        path = target.path()
        target.put(text, path)
        copy = Path(folder) / "copy"
        for destination in (str(copy), str(copy)):
            expect(target.host.get_file(path, destination, **target.arguments), True, "what get_file returned")
            expect(copy.read_bytes(), expected, "content of the local file")
        text_io, binary_io = io.StringIO(), io.BytesIO()
        target.host.get_file(path, text_io, **target.arguments)
        target.host.get_file(path, binary_io, **target.arguments)
        expect(text_io.getvalue(), text, "content of the text file object")
        expect(binary_io.getvalue(), expected, "content of the binary file object")


@rule(SECTION)
def the_same_source_can_be_sent_again(target: Target) -> None:
    """A file object can be sent to one path after another, each time from its beginning."""
    source = io.BytesIO(b"content")
    for _ in range(2):
        path = target.path()
        target.host.put_file(source, path, **target.arguments)
        expect(target.content(path), b"content", "content")


@rule(SECTION)
def files_as_another_user(target: Target) -> None:
    """With ``_sudo``, ``_su_user`` and their kin a file is written and read as that user."""
    for elevation in target.others():
        arguments = elevation.arguments
        folder = target.path("private", target.shared)
        target.ok("umask 077 && mkdir", QuoteString(folder), **arguments)
        path = f"{folder}/it's private"
        target.put("first", path, **arguments)
        target.put("second", path, **arguments)
        about = target.about(path, **arguments)
        expect(about.split()[1], str(elevation.uid), f"owner of a file written with {elevation.name}")
        target.ok("chmod 600", QuoteString(path), **arguments)
        expect(target.content(path, **arguments), b"second", f"content with {elevation.name}")
        expect(target.get(path, **arguments), b"second", f"what came back with {elevation.name}")
        large = os.urandom(300_000)
        target.put(large, path, **arguments)
        expect_true(target.get(path, **arguments) == large, f"300 KB the same with {elevation.name}", "others")
        if not target.is_root:
            expect_refused(target, f"reading another user's file with {elevation.name}", partial(target.get, path))
            expect_refused(target, "writing another user's file", partial(target.put, "no", path))
        target.ok("rm -rf", QuoteString(folder), **arguments)


# What stays of an old file


@rule(SECTION)
def new_files_have_the_usual_mode(target: Target) -> None:
    """A new file has the mode that the umask leaves, and the user and group of whoever writes it."""
    path, usual = target.path(), target.path("usual")
    target.put("content", path)
    target.ok(": >", QuoteString(usual))
    expect(target.about(path), target.about(usual), "mode, owner and group")


@rule(SECTION)
def replaced_files_keep_mode_and_owner(target: Target) -> None:
    """A file that is replaced keeps its mode, owner and group."""
    path = target.path()
    for mode in ("0640", "0751", "0600", "4711", "0444" if target.is_root else "0644"):
        target.write("old", path)
        target.ok("chmod", mode, QuoteString(path))
        before = target.about(path)
        target.put("new", path)
        expect((target.about(path), target.content(path)), (before, b"new"), f"mode and content after {mode}")
        target.ok("chmod 600", QuoteString(path))
    if target.is_root:
        target.ok("chown", QuoteString(f"{target.other_user}:"), QuoteString(path))
        before = target.about(path)
        target.put("newer", path)
        expect((target.about(path), target.content(path)), (before, b"newer"), "owner and content")


@rule(SECTION)
def replaced_files_keep_attributes(target: Target) -> None:
    """A file that is replaced keeps its ACLs and extended attributes."""
    path = target.path()
    quoted = QuoteString(path)
    target.write("old", path)
    shows = []
    if target.run("setfacl -m u:1:r", quoted).success:
        shows.append("getfacl -n")
    if target.run("setfattr -n user.contract -v 'a value'", quoted).success:
        shows.append("getfattr -d")
    if not shows:
        raise NotApplicable("the host has neither setfacl nor setfattr, or its file system no such attributes")
    before = [target.ok(show, quoted, "2> /dev/null") for show in shows]
    target.put("new", path)
    expect([target.ok(show, quoted, "2> /dev/null") for show in shows], before, "ACL and attributes")
    expect(target.content(path), b"new", "content")


@rule(SECTION)
def symbolic_links_are_followed(target: Target) -> None:
    """Through a symbolic link, the file that it leads to is written, and the link stays."""
    folder = target.new_folder("links")
    target.ok("cd", QuoteString(folder), "&& mkdir 'a dir' && ln -s 'a dir/it'\\''s' rel && ln -s rel chain")
    target.ok("cd", QuoteString(folder), "&& ln -s", QuoteString(f"{folder}/a dir/absolute"), "abs")
    for link, file in (("rel", "a dir/it's"), ("chain", "a dir/it's"), ("abs", "a dir/absolute")):
        for content in (b"first", b"second"):
            target.put(content, f"{folder}/{link}")
            expect(target.content(f"{folder}/{file}"), content, f"content of what {link} leads to")
            expect(target.get(f"{folder}/{link}"), content, f"what came back through {link}")
        target.ok("test -h", QuoteString(f"{folder}/{link}"))
        target.ok("rm", QuoteString(f"{folder}/{file}"))
    target.ok("cd", QuoteString(folder), "&& ln -s loop loop")
    expect_refused(target, "a link to itself", lambda: target.put("no", f"{folder}/loop"))
    expect(target.names(folder), ["a dir", "abs", "chain", "loop", "rel"], "names in the folder")
    expect(target.names(f"{folder}/a dir"), [], "names in the links' folder")


@rule(SECTION)
def hard_links_stay(target: Target) -> None:
    """A file with several names is still one file after it was written."""
    one, two = target.path("one"), target.path("two")
    target.write("old", one)
    target.ok("ln", QuoteString(one), QuoteString(two))
    target.put("new and longer", one)
    expect(target.content(two), b"new and longer", "content of the other name")
    target.put("short", two)
    expect(target.content(one), b"short", "content of the one name")


@rule(SECTION)
def folders_that_cannot_be_written(target: Target) -> None:
    """A file in a folder that cannot be written is written all the same, if it can be."""
    folder = target.new_folder("closed")
    target.write("old and longer", f"{folder}/file")
    target.ok("chmod 555", QuoteString(folder))
    try:
        target.put("new", f"{folder}/file")
        expect(target.content(f"{folder}/file"), b"new", "content")
        expect(target.names(folder), ["file"], "names in the folder")
        if not target.is_root:
            expect_refused(target, "a new file there", lambda: target.put("no", f"{folder}/other"), "denied|not perm")
    finally:
        target.ok("chmod 755", QuoteString(folder))
