"""Commands and files over a pipe to a shell: written once, for every connector that can open such a pipe.

A shell on the target reads command lines from its standard input and marks on its outputs where a command's own output
ends. :class:`ShellSession` speaks that to open pipes; :class:`SessionConnector` makes a connector of it.

This file needs nothing of pyinfra that version 3.10 lacks, and can be used there as it is.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import pty
import re
import secrets
import shlex
import shutil
import signal
import stat
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any, Protocol

import gevent
from gevent.event import Event
from gevent.lock import RLock
from gevent.monkey import get_original, is_module_patched
from gevent.pool import Group

from pyinfra.api.command import QuoteString, StringCommand
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.output import echo, format_text
from pyinfra.api.util import get_file_io

from .base import BaseConnector, ConnectorData, DataMeta
from .util import (
    CommandOutput,
    OutputLine,
    execute_command_with_sudo_retry,
    extract_control_arguments,
    make_unix_command_for_host,
    write_stdin,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pyinfra.api.arguments import ConnectorArguments
    from pyinfra.api.host import Host
    from pyinfra.api.state import State

# Given a shell's process id: the command lines that end what runs in it, to be run in another shell
Killing = Callable[[int], list[str]]

# gevent's own os.close (since 25.8.1) closes a descriptor only when its loop next wakes up, for watchers that are left
# on it: none of ours are. A program would wait for the end of its input while nothing else wakes the loop
_close = get_original("os", "close")
# Larger ones are slower: their memory comes from the system afresh each time
_BLOCK_SIZE = 1 << 17
# What a pipe takes at once without anybody reading, with room to spare: longer input is written beside the reading
_SENT_AT_ONCE = 1 << 14
# What a terminal keeps of a line that is typed, without its end; the rest is lost
_LONGEST_TYPED = 4095
# How often, and how long, what is there is read once a program has ended, or its time is up: who still writes may do so
# for ever
_LAST_READS = 8
_LAST_SECONDS = 0.2
# How long what kills a command may itself take, and how long a shell that has answered may take to end
_KILL_SECONDS = 10
_END_SECONDS = 1
# How long a shell that has answered usually takes at most
_USUAL_END_SECONDS = 0.05


def _not_killed(_pid: int) -> list[str]:
    """How a command is ended that itself ends another: it is left to end on its own."""
    return []


# What runs on the target. Dialects: dash, bash, busybox ash, mksh, ksh93, zsh, posh, yash.


def _script(text: str) -> str:
    """A shell script without its comments and indentation."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("#"))


# The boot line: one line, as a log-in shell that is csh or fish may have to hand it on, and for the same reason without
# single quotes, double backslashes and "!". It says its process id, then runs the lines that it reads. Their first
# letter: a (f)act, which is given no input, or a (c)ommand, which is given all that follows it and is the last. The
# second: (p)lain, or (e)ncoded for printf %b. Where there is a choice it starts no process: the newline comes out of
# IFS (zsh has one more character there), as printf is a program in some shells: one that may be missing, and takes
# no argument of more than 128 KB on Linux.
BOOT = (
    'test -z "$ZSH_VERSION" || emulate sh; _n=${IFS#??}; _n=${_n%"${_n#?}"}; IFS= read -r _m; '
    'echo "$_n$_m $$"; echo "$_n$_m" >&2; '
    "while IFS= read -r _c; do "
    'case $_c in ?e*) _t=$(printf %b "${_c#??}") || _t="exit $?";; *) _t=${_c#??};; esac; '
    'case $_c in f*) (eval " $_t") </dev/null;; *) (eval " $_t");; esac; _s=$?; '
    'echo "$_n$_m $_s"; echo "$_n$_m" >&2; '
    "case $_c in c*) exit $_s;; esac; done"
)

# In a terminal a line is cut at 4096 bytes: there the command is an argument. $1: the mark, $2: it, for printf %b
BOOT_IN_TERMINAL = 'test -t 0 || { echo "$1 0"; exit 1; }; echo "$1 $$"; _t=$(printf %b "$2") || exit $?; eval " $_t"'

# Around the command where sudo gives it a terminal of sudo's own. What is typed before that is prepared is lost, and
# what is typed when the command ends makes sudo wait for more for ever (1.9.13): a mark says that the command begins,
# another that it has ended, and that comes back as the last line typed. {shell}, {command}: quoted. What the shell here
# says of processes that were killed is not the command's; for a signal ksh93 and yash have more than a byte.
IN_SUDO_TERMINAL = (
    "echo {mark} && {{ exec 3>&2 2>/dev/null; (exec {shell} -c {command} 2>&3 3>&-); c=$?; echo; echo {mark}; "
    "test $c -le 255 || c=$((128 + c % 128)); test -t 0 || exit $c; n=0; "
    "while test $n -lt 9; do read -r l || n=$((n+1)); case $l in *{mark}*) n=9;; esac; done; exit $c; }}"
)

# Ends a shell's process group and all its descendants: sudo may have put some into a group of their own.
# $1: the shell's process id. ps is not everywhere, and busybox's knows no options; /proc is not everywhere either.
KILL = _script(r"""
    # Process id, state, parent and group of every process
    find_processes() {
        if [ -r /proc/self/stat ]; then
            for d in /proc/[0-9]*; do
                { IFS= read -r s < $d/stat; } 2> /dev/null || continue
                set -- ${s##*") "}
                echo "${d#/proc/} $1 $2 $3"
            done
        else
            ps -A -o pid= -o stat= -o ppid= -o pgid=
        fi
    }
    # Those that are not dead yet of the shell, its group, the processes in $2, and all their descendants
    find_tree() {
        find_processes | awk -v top="$1" -v known="$(echo $1 $2)" -v asking=$$ '
            $2 !~ /^[ZX]/ { parent[$1] = $3; group[$1] = $4 }
            END {
                count = split(known, list, " ")
                for (i = 1; i <= count; i++) root[list[i]]
                leader = top in group && group[top] > 1 ? group[top] : top
                for (process in parent) {
                    up = process
                    for (i = 0; i < 100 && !(up in root) && up in parent; i++) up = parent[up]
                    if (up in root || group[process] == leader) tree[process]
                }
                # Who asks comes from the same pipe as the shell, but not from the shell: if it looks so, the numbers
                # are of another process namespace, and 1 there would be all processes
                if (asking in tree) exit 1
                for (process in tree) print process
            }'
    }
    tree=$(find_tree $1) || exit 1
    if [ -z "$tree" ]; then
        # Group 1 would be all processes
        [ $1 -gt 1 ] || exit 1
        # Nothing tells of processes, or they are gone. Not kill -9 -PID, of which posh understands group 9
        kill -s KILL -- -$1 2> /dev/null
        exit 0
    fi
    # Stopped first: no shell is to go on to its next command because the one before has been killed
    kill -s STOP $tree 2> /dev/null
    kill -s TERM $tree 2> /dev/null
    kill -s CONT $tree 2> /dev/null
    for i in 1 2 3 4 5 6 7 8; do
        tree=$(find_tree $1 "$tree") || exit 1
        [ -n "$tree" ] || exit 0
        sleep 0.1 2> /dev/null || { sleep 1; break; }
    done
    kill -s KILL $tree 2> /dev/null
    sleep 0.1 2> /dev/null || sleep 1
    tree=$(find_tree $1 "$tree") || exit 1
    [ -z "$tree" ] || { echo "these processes could not be ended:" $tree; exit 1; }
""")

# Writes its input to a file. $1: the file, $2: the input's length, $3 and $6: names for temporary files; a folder for
# one that cannot stand beside the file is $4, or $TMPDIR, or $5.
PUT = _script(r"""
    t=
    s=
    # No trap for EXIT: posh has none in a subshell
    finish() { [ -z "$t" ] || rm -f "$t" ${s:+"$s"} 2> /dev/null; exit "$1"; }
    fail() { echo "$1" >&2; finish 1; }
    trap 'finish 1' HUP INT PIPE TERM
    # Mode, owner and group of a file, in numbers; a + or . after the mode tells of an ACL or a label
    set -f
    about() { set -- $(ls -ldn "$1"); about="$1 $3 $4"; links=$2; }
    # Without GNU cp: what POSIX tools can copy, and the rest where there are tools for it
    copy_attributes() {
        set -- "$1" $old
        chown "$3:$4" "$t"
        chmod "$(echo "$2" | sed 's/^.\(...\)\(...\)\(...\).*/u=\1,g=\2,o=\3/
            s/-//g; s/s/xs/g; s/S/s/g; s/t/xt/; s/T/t/')" "$t"
        getfacl "$f" | setfacl --set-file=- "$t"
        chcon --reference="$f" "$t"
        cd "$d" && getfattr -d -m - "./${f##*/}" | { read -r head; echo "# file: $1"; cat; } | setfattr --restore=-
    }
    case $1 in /*) f=$1;; *) f=./$1;; esac
    i=0
    while [ -h "$f" ]; do
        i=$((i + 1))
        [ $i -le 40 ] || fail "$1: Too many levels of symbolic links"
        # The x keeps newlines at the end of the name
        l=$(readlink "$f" 2> /dev/null || { l=$(ls -ld "$f"); echo "${l#*"$f -> "}"; }; echo x)
        l=${l%??}
        case $l in /*) f=$l;; *) f=${f%/*}/$l;; esac
    done
    case $f in */) fail "$1: Is a directory";; esac
    [ ! -d "$f" ] || fail "$1: Is a directory"
    d=${f%/*}/
    [ -d "$d" ] || { ls -d "$d"; finish 1; }
    way=copy
    if [ ! -e "$f" ]; then
        way=new
    elif [ -f "$f" ] && [ -w "$d" ]; then
        about "$f"
        old=$about
        [ "$links" != 1 ] || way=replace
    fi
    case $way in copy) t=${4:-${TMPDIR:-$5}}/$3;; *) t=$d$3;; esac
    (umask 077; set -C; { case $(ls -ldn "$t") in -rw-------*) exec cat;; esac; exit 9; } > "$t")
    case $? in
        0) ;;
        # A default ACL makes nothing of the umask. Who has opened this one could read what is written to it: an empty
        # file is copied, as cp makes a new file with the mode of the old one
        9)
            s=$t
            t=${t%/*}/$6
            chmod 600 "$s" 2> /dev/null
            cp "$s" "$t" && cat > "$t" || finish 1;;
        *) finish 1;;
    esac
    n=$(wc -c < "$t")
    [ $((n)) -eq "$2" ] || fail "$1: $((n)) of $2 bytes arrived"
    if [ $way = replace ]; then
        cp --attributes-only --preserve=all "$f" "$t" 2> /dev/null || (copy_attributes "$3") 2> /dev/null
        touch "$t"
        about "$t"
        [ "$about" = "$old" ] || way=copy
    fi
    case $way in
        new) chmod "=rw" "$t" && mv -f "$t" "$f";;
        # A file that is a mount point cannot be renamed onto
        replace) mv -f "$t" "$f" 2> /dev/null || cp "$t" "$f";;
        # Not by cat: a signal does not get yash out of opening a FIFO
        copy) cp "$t" "$f";;
    esac
    finish $?
""")

# Prints a file's length, or 0 for what has none, and then the file. $1: the file
GET = _script(r"""
    case $1 in /*) f=$1;; *) f=./$1;; esac
    [ ! -d "$f" ] || { echo "$1: Is a directory" >&2; exit 1; }
    if [ -f "$f" ]; then
        # In bytes, whatever the user likes to see
        LS_BLOCK_SIZE=1 ls -ldnL "$f" | { read -r mode links user group size rest; echo "$size"; }
    else
        echo 0
    fi
    exec cat "$f"
""")


class Pipe(Protocol):
    """A program's standard input, output and error, wherever it runs. All waiting lets other greenlets work."""

    def send(self, data: bytes) -> None:
        """Write all of it; ``OSError`` if the other side is gone."""

    def close_input(self) -> None:
        """Give the program an end of file; in a terminal: type one (^D)."""

    def receive(self, seconds: float | None) -> tuple[int, bytes] | None:
        """The next piece of output: 1 for standard output (and all of a terminal's) or 2 for standard error, and data.

        ``None`` when the program has ended, or the connection to it, and all that was there has been read. That must
        not wait for the end of the streams: a process in the background may hold them. ``TimeoutError`` when nothing
        came within ``seconds``; ``None`` waits for ever.
        """

    def exit_status(self) -> int | None:
        """The program's exit status, 128+n for signal n; ``None`` while it runs, and after the connection broke."""

    def drain(self) -> None:
        """Read and drop output until nobody holds the streams any more.

        A process that the program left in the background must not be killed by writing to nobody.
        """

    def close(self) -> None:
        """Let go of it at once. A program of this machine that still runs is killed, with its process group."""


def _is_our_child(pid: int) -> bool:
    """Whether a child of ours runs; its status is dropped when it has ended."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == 0
    except ChildProcessError:
        return False


# Python ignores the first two, who starts us in the background the others; programs inherit that
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


def _spawn(argv: Sequence[str], actions: list[Any]) -> int:
    """Start a program in a session of its own; returns its process id."""
    return os.posix_spawnp(
        argv[0], list(argv), os.environ, file_actions=actions, setsid=True, setsigmask=[], setsigdef=_IGNORED
    )


def _has_foreign_handler(number: int) -> bool:
    """Whether this process handles a signal by what Python knows nothing of, such as gevent's loop; on Linux."""
    if signal.getsignal(number) == signal.SIG_DFL:
        with suppress(OSError, ValueError, StopIteration), open("/proc/self/status", encoding="ascii") as status:
            caught = next(line for line in status if line.startswith("SigCgt:"))
            return bool(int(caught.split()[1], 16) >> (number - 1) & 1)
    return False


class ProcessPipe:
    """A :class:`Pipe` to a program of this machine, which gets a session and a process group of its own.

    Args:
        argv: program and arguments
        terminal: whether to give it a terminal instead of pipes

    Raises:
        OSError: there is no such program, or it cannot be run
    """

    _killed: list[ProcessPipe] = []
    _drains: list[int] = []

    def __init__(self, argv: Sequence[str], terminal: bool = False) -> None:
        self._hub = gevent.get_hub()
        self._readable = Event()
        self._writable = Event()
        self._status: int | None = None
        self._closed = False
        self._terminal = terminal
        self._last_reads = _LAST_READS
        ours, actions, theirs = self._open_terminal() if terminal else self._open_pipes()
        self._input, self._outputs = ours[0], dict(zip(ours[1:], (1, 2), strict=False))
        # Where gevent has patched subprocess, its loop takes the status of every child. Elsewhere it must not, as it
        # would take it away from others, unless somebody has had it do so already
        loop = self._hub.loop
        loop_reaps = loop.default and (is_module_patched("subprocess") or _has_foreign_handler(signal.SIGCHLD))
        if loop_reaps:
            loop.install_sigchld()
        self._reap()
        try:
            self.pid = _spawn(argv, actions)
        except BaseException:
            for fd in set(ours):
                _close(fd)
            raise
        finally:
            for fd in theirs:
                _close(fd)
        for fd in set(ours):
            os.set_blocking(fd, False)
        self._watchers = {fd: loop.io(fd, 1) for fd in self._outputs}
        self._write_watcher = loop.io(self._input, 2)
        self._pidfd = -1
        self._child = loop.child(self.pid, ref=False) if loop_reaps else None
        if self._child is not None:
            self._child.start(lambda: self._ended(self._child.rstatus))
            return
        try:
            self._pidfd = os.pidfd_open(self.pid)
            self._watchers[-1] = loop.io(self._pidfd, 1)
        except (AttributeError, OSError):  # no Linux, or an old one
            self._watchers[-1] = loop.timer(0.02, 0.02)

    @staticmethod
    def _open_pipes() -> tuple[list[int], list[Any], list[int]]:
        """Our ends of three pipes, what to do with the program's ends in it, and those ends."""
        in_read, in_write = os.pipe()
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        theirs = [in_read, out_write, err_write]
        for fd in (in_write, out_read):
            with suppress(ImportError, AttributeError, OSError):  # Linux alone has it, and may limit it
                import fcntl

                fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _BLOCK_SIZE)
        return [in_write, out_read, err_read], [(os.POSIX_SPAWN_DUP2, fd, n) for n, fd in enumerate(theirs)], theirs

    @staticmethod
    def _open_terminal() -> tuple[list[int], list[Any], list[int]]:
        """The same for a terminal, which does not echo what we type."""
        ours, theirs = pty.openpty()
        settings = termios.tcgetattr(theirs)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(theirs, termios.TCSANOW, settings)
        # A session without a terminal gets the first that it opens
        actions: list[Any] = [(os.POSIX_SPAWN_OPEN, 0, os.ttyname(theirs), os.O_RDWR, 0)]
        actions += [(os.POSIX_SPAWN_DUP2, 0, n) for n in (1, 2)]
        return [ours, ours], actions, [theirs]

    def send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            if self._input < 0:
                raise BrokenPipeError(errno.EPIPE, "the pipe is closed")
            try:
                rest = rest[os.write(self._input, rest) :]
            except BlockingIOError:
                self._writable.clear()
                self._write_watcher.start(self._writable.set)
                try:
                    self._writable.wait()
                finally:
                    self._write_watcher.stop()

    def close_input(self) -> None:
        if self._terminal:
            with suppress(OSError):
                self.send(b"\x04")
        elif self._input >= 0:
            self._close_write_end()

    def _close_write_end(self) -> None:
        self._write_watcher.stop()
        _close(self._input)
        self._input = -1
        self._writable.set()

    def receive(self, seconds: float | None) -> tuple[int, bytes] | None:
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            ended = self.exit_status() is not None
            if ended and not self._terminal:
                # A process in the background may go on writing for ever
                self._last_reads -= 1
            for fd, number in list(self._outputs.items()) if self._last_reads > 0 else []:
                data = self._read(fd)
                if data:
                    # The other one comes first the next time: this one may never pause
                    self._outputs[fd] = self._outputs.pop(fd)
                    return number, data
            if ended or self._closed:
                return None
            if not self._wait(None if deadline is None else deadline - time.monotonic()):
                raise TimeoutError(f"No output within {seconds}s")

    def drain(self) -> None:
        while self._outputs:
            for fd in list(self._outputs):
                self._read(fd)
            if self._outputs:
                self._wait(None)

    def _wait(self, seconds: float | None) -> bool:
        """Wait for output or the end of the process; tells whether there was any."""
        self._readable.clear()
        for watcher in self._watchers.values():
            watcher.start(self._readable.set)
        if self._child is not None:
            self._child.ref = True  # while somebody waits it keeps gevent's loop alive
        try:
            return bool(self._readable.wait(seconds if seconds is None else max(seconds, 0)))
        finally:
            if self._child is not None:
                self._child.ref = False
            for watcher in self._watchers.values():
                watcher.stop()

    def _read(self, fd: int) -> bytes:
        """What is there; a stream that has ended is closed."""
        try:
            data = os.read(fd, _BLOCK_SIZE)
        except BlockingIOError:
            return b""
        except OSError:  # how a terminal ends
            data = b""
        if not data:
            self._close_output(fd)
        return data

    def _close_output(self, fd: int) -> None:
        self._watchers.pop(fd).stop()
        del self._outputs[fd]
        if fd != self._input:
            _close(fd)

    def exit_status(self) -> int | None:
        if self._status is None and self._child is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # somebody else has taken the status
                pid, status = self.pid, 255 << 8
            if pid:
                self._ended(status)
        return self._status

    def _ended(self, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        self._status = code if code >= 0 else 128 - code
        if self._child is not None:
            self._child.stop()
        else:
            self._watchers.pop(-1).stop()
            if self._pidfd >= 0:
                _close(self._pidfd)
        self._readable.set()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self.exit_status() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._killed.append(self)
        elif not self._terminal:
            for fd in list(self._outputs):
                self._leave_output(fd)
        for fd in list(self._outputs):
            self._close_output(fd)
        if self._input >= 0:
            self._close_write_end()
        self._readable.set()
        self._reap()

    def _leave_output(self, fd: int) -> None:
        """Have an output that a process in the background holds read to its end, which may come after our own.

        Writing to nobody would kill that process.
        """
        for _ in range(_LAST_READS):
            if not self._read(fd):
                break
        if fd not in self._outputs:
            return
        os.set_blocking(fd, True)
        actions = [(os.POSIX_SPAWN_DUP2, fd, 0), (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
        actions.append((os.POSIX_SPAWN_DUP2, 1, 2))
        with suppress(OSError):
            pid = _spawn(["sh", "-c", "cd /; exec cat"], actions)
            if self._child is None:
                self._drains.append(pid)

    @classmethod
    def _reap(cls) -> None:
        """Fetch the status of what was killed and of what reads outputs: dead they would stay in the process table."""
        cls._killed[:] = [pipe for pipe in cls._killed if pipe.exit_status() is None]
        cls._drains[:] = [pid for pid in cls._drains if _is_our_child(pid)]


class PatientPipe:
    """A pipe whose input waits until the program has said something.

    For programs that hand our terminal on to another one, in a container for instance: what is typed before they have
    prepared ours is taken for theirs. There an end of file would end the program instead of the command.
    """

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._heard = Event()
        self._closes_input = False
        self.exit_status = pipe.exit_status
        self.drain = pipe.drain

    def send(self, data: bytes) -> None:
        self._heard.wait()
        self._pipe.send(data)

    def close_input(self) -> None:
        if self._heard.is_set():
            self._pipe.close_input()
        else:
            self._closes_input = True

    def receive(self, seconds: float | None) -> tuple[int, bytes] | None:
        chunk = self._pipe.receive(seconds)
        if not self._heard.is_set():
            self._heard.set()
            if self._closes_input:
                self._pipe.close_input()
        return chunk

    def close(self) -> None:
        self._pipe.close()
        self._heard.set()


# What comes out of a shell


class _Lines:
    """Takes apart what a shell writes to one of its outputs: lines, and marks between what belongs to one command.

    ``sinks`` get the lines before the first mark, the second and so on; ``marks`` are what the marks said.
    The newline before a mark is the shell's own, so that an empty line is kept back until the next one.
    """

    def __init__(self, mark: bytes, noise: Callable[[bytes], None], line_end: bytes = b"") -> None:
        self.mark = mark
        self.sinks: list[Callable[[bytes], None]] = [noise]
        self.marks: list[bytes] = []
        self.line_end = line_end
        self.parts: list[bytes] = []
        self.empty = False
        # Set once so many marks have come
        self.events: dict[int, Event] = {}

    def at_mark(self, count: int) -> Event:
        """An event that is set once so many marks have come."""
        return self.events.setdefault(count, Event())

    def feed(self, data: bytes) -> None:
        if b"\n" not in data:
            self.parts.append(data)
            return
        *lines, rest = b"".join([*self.parts, data]).split(b"\n")
        self.parts = [rest]
        for line in lines:
            line = line.removesuffix(self.line_end)
            if line.startswith(self.mark):
                self.empty = False
                self._next(line[len(self.mark) :])
                continue
            if self.empty:
                self._take(b"")
            self.empty = not line
            if line:
                self._take(line)

    def end(self) -> None:
        """There is no more: what is left is a line."""
        rest = b"".join(self.parts)
        self.parts = []
        if rest:
            if self.empty:
                self._take(b"")
            self._take(rest)

    def _take(self, data: bytes) -> None:
        if len(self.marks) < len(self.sinks):
            self.sinks[len(self.marks)](data)

    def _next(self, said: bytes) -> None:
        if len(self.marks) < len(self.sinks):
            self.sinks[len(self.marks)] = _drop
        self.marks.append(said)
        if len(self.marks) in self.events:
            self.events[len(self.marks)].set()


class _Blocks(_Lines):
    """The same for bytes: what follows the first mark is a file."""

    @classmethod
    def after(cls, lines: _Lines) -> _Blocks:
        """Goes on with an output that was taken apart into lines until now."""
        blocks = cls(lines.mark, _drop)
        vars(blocks).update(vars(lines))
        return blocks

    def feed(self, data: bytes) -> None:
        text = b"".join([*self.parts, data])
        pattern = b"\n" + self.mark
        while True:
            at = text.find(pattern)
            end = text.find(b"\n", at + len(pattern)) if at >= 0 else -1
            if end < 0:
                break
            self._take(text[:at])
            self._next(text[at + len(pattern) : end])
            text = text[end + 1 :]
        # What may be the beginning of a mark has to wait for the rest of it
        at = at if at >= 0 else max(0, len(text) - len(pattern) + 1)
        self._take(text[:at])
        self.parts = [text[at:]]

    def end(self) -> None:
        self._take(b"".join(self.parts))
        self.parts = []


def _drop(data: bytes) -> None:
    """Nobody wants this."""


class Reply:
    """What a command answered: its lines, echoed as they come if there is a prefix to echo them with."""

    __slots__ = ("lines", "prefix")

    def __init__(self, prefix: str | None = None) -> None:
        self.lines: list[OutputLine] = []
        self.prefix = prefix

    def out(self, data: bytes) -> None:
        """Take a line of standard output."""
        line = data.decode("utf-8", "replace")
        self.lines.append(OutputLine("stdout", line))
        if self.prefix is not None:
            echo(f"{self.prefix}{line}", err=True)

    def err(self, data: bytes) -> None:
        """Take a line of standard error."""
        line = data.decode("utf-8", "replace")
        self.lines.append(OutputLine("stderr", line))
        if self.prefix is not None:
            echo(f"{self.prefix}{format_text(line, 'red')}", err=True)

    def text(self) -> str:
        """All lines."""
        return "\n".join(line.line for line in self.lines)

    def output(self, code: int) -> CommandOutput:
        """All of it, with the exit code where there is a place for that."""
        output = CommandOutput(self.lines)
        with suppress(AttributeError):
            output.exit_code = code
        return output


def _take_turns() -> None:
    """Let others work where output never pauses, and time-outs come; ``sleep(0)`` need not let the loop see those."""
    gevent.idle(priority=1)


class _Shell:
    """An open pipe to a program, and what has come out of it so far."""

    def __init__(self, pipe: Pipe, mark: bytes = b"", terminal: bool = False) -> None:
        self.pipe = pipe
        self.killed = False
        # Whether somebody waits for output
        self.is_heard = False
        self.noise = Reply()
        line_end = b"\r" if terminal else b""
        self.out = _Lines(mark, self.noise.out, line_end)
        self.err = _Lines(mark, self.noise.err, line_end)

    @property
    def pid(self) -> int | None:
        """The shell's process id on the target, once it has said it."""
        return int(self.out.marks[0]) if self.out.marks else None

    def expect(self, out: Callable[[bytes], None], err: Callable[[bytes], None]) -> None:
        """Have the next command's output go there."""
        self.out.sinks.append(out)
        self.err.sinks.append(err)

    @property
    def answered(self) -> int:
        """How many commands are done; -1 before the shell has said its process id."""
        return min(len(self.out.marks), len(self.err.marks)) - 1

    def hear_pid(self, seconds: float) -> None:
        """Wait until the shell has said its process id, or has gone; ``TimeoutError`` if it does neither."""
        with gevent.Timeout(seconds, TimeoutError("its shell has not said that it is there")):
            while self.pid is None:
                if self.is_heard:
                    gevent.sleep(0.01)
                elif not self.listen(None):
                    return

    def listen(self, deadline: float | None) -> bool:
        """Wait for a piece of output; tells whether there will be more."""
        self.is_heard = True
        try:
            chunk = self.pipe.receive(None if deadline is None else max(0.0, deadline - time.monotonic()))
        finally:
            self.is_heard = False
        if chunk is None:
            self.out.end()
            self.err.end()
            return False
        (self.out if chunk[0] == 1 else self.err).feed(chunk[1])
        _take_turns()
        return True


def _encode(kind: bytes, text: str) -> bytes:
    """A command as a line for a shell that was booted."""
    data = text.encode("utf-8", "surrogateescape")
    if b"\0" in data:
        raise ValueError("A shell command cannot hold a NUL byte")
    if b"\n" not in data:
        return kind + b"p" + data + b"\n"
    return kind + b"e" + data.replace(b"\\", b"\\\\").replace(b"\n", b"\\n") + b"\n"


def _exit_code(status: int) -> int:
    """A status as POSIX has it: ksh93 says 256+n for signal n, yash 384+n."""
    return status if status <= 255 else 128 + (status & 127)


class _Input:
    """A program's standard input as a binary file object."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self.close = pipe.close_input

    def write(self, data: bytes | str) -> None:
        try:
            self._pipe.send(data if isinstance(data, bytes) else data.encode("utf-8", "surrogateescape"))
        except OSError as error:
            raise _InputRefusedError from error


class _InputRefusedError(Exception):
    """The program has gone, or has closed its input."""


class _Writer:
    """Writes a program's input beside the reading of its output, and closes it.

    ``error`` is what went wrong on this side; a program need not read its input.
    """

    def __init__(
        self,
        pipe: Pipe,
        write: Callable[[_Input], None] | None,
        then_close: bool = True,
        begins: Event | None = None,
    ) -> None:
        self.error: Exception | None = None
        self._pipe = pipe
        self._begins = begins
        self._greenlet: Any = None
        if write is not None or begins is not None:
            self._greenlet = gevent.spawn(self._run, pipe, write, then_close)
        elif then_close:
            with suppress(OSError):
                pipe.close_input()

    def _run(self, pipe: Pipe, write: Callable[[_Input], None] | None, then_close: bool) -> None:
        if self._begins is not None:
            self._begins.wait()
        try:
            if write is not None:
                write(_Input(pipe))
        except _InputRefusedError:
            pass
        except Exception as error:  # told to those who wait for the command
            self.error = error
        if then_close:
            with suppress(OSError):
                pipe.close_input()

    def stop(self) -> None:
        """Write no more."""
        if self._greenlet is not None:
            self._greenlet.kill()

    def leave(self, ended: Event, word: bytes) -> None:
        """Once the program has ended, write no more of its input, and ``word`` as the last line."""
        ended.wait()
        self.stop()
        with suppress(OSError):
            self._pipe.send(b"\n" + word + b"\n")


@dataclass(frozen=True, slots=True)
class Terms:
    """How a command is run, beyond its text.

    Attributes:
        write: writes its standard input to a file object
        take: gets its standard output as bytes, instead of its reply
        seconds: the most that it may take
        killing: the command lines that end it, run in another shell, given its shell's process id
    """

    write: Callable[[_Input], None] | None = None
    take: Callable[[bytes], None] | None = None
    seconds: float | None = None
    killing: Killing | None = None


def explain_silence(why: str, said: str) -> str:
    """Why no shell answers: how the program ended that should have been one, and what it said."""
    because = f"{why}: {said}" if said else why
    return f"No POSIX shell answers ({because}); for a target without one, set its host data shell_session = False"


class ShellSession:
    """Runs commands in shells on one target.

    Args:
        open_pipe: opens a pipe to a shell that runs :data:`BOOT`
        boot_seconds: how long the first shell may take to say something
        opens_ahead: whether a command may have the next one's shell opened while it works
        explain: what to tell people where no shell answers, given why and what the program said
    """

    def __init__(
        self,
        open_pipe: Callable[[], Pipe],
        boot_seconds: float,
        opens_ahead: bool = True,
        explain: Callable[[str, str], str] = explain_silence,
    ) -> None:
        self._open_pipe = open_pipe
        self._explain = explain
        self._boot_seconds = boot_seconds
        self._opens_ahead = opens_ahead
        self._ahead: Any = None
        self._spare: _Shell | None = None
        self._fact_shell: _Shell | None = None
        self._fact_lock = RLock()
        # Shells at work, and what kills their commands: lines to run in another shell, given the shell's process id
        self._running: dict[_Shell, Killing | None] = {}
        self._killers = Group()
        # Shells that have answered and are about to end, with the greenlets that drop what background processes write
        self._ending: dict[_Shell, Any] = {}

    # Shells

    def open(self) -> None:
        """Open a shell and hear from it, or raise :class:`ConnectError`."""
        self._spare = self._checked(self._take())

    def _checked(self, shell: _Shell) -> _Shell:
        """A shell that has said its process id."""
        deadline = time.monotonic() + self._boot_seconds
        try:
            while shell.answered < 0 and shell.listen(deadline):
                pass
            why = f"exit status {shell.pipe.exit_status()}"
        except TimeoutError:
            why = f"no answer within {self._boot_seconds} seconds"
        if shell.answered >= 0:
            return shell
        shell.pipe.close()
        raise ConnectError(self._explain(why, shell.noise.text()[:500]))

    def _open(self) -> _Shell:
        return self._started(lambda: self.opened(self._open_pipe))

    @staticmethod
    def _started(open_pipe: Callable[[], Pipe]) -> _Shell:
        mark = secrets.token_hex(8).encode()
        try:
            pipe = open_pipe()
            with suppress(OSError):  # it is the listener who finds out what has happened
                pipe.send(mark + b"\n")
        except OSError as error:
            raise ConnectError(f"Cannot open a shell: {error}") from error
        return _Shell(pipe, mark)

    def opened(self, open_pipe: Callable[[], Pipe]) -> Pipe:
        """A pipe, for which room is made on a target that allows no more of them."""
        room = self.make_room()
        while True:
            try:
                return open_pipe()
            except (ConnectError, OSError) as error:
                is_too_long = isinstance(error, OSError) and error.errno == errno.E2BIG
                if is_too_long or not next(room, False):
                    raise

    def make_room(self) -> Iterator[bool]:
        """Close what only waits, one after the other, so that the target may allow another pipe; ``True`` each time.

        Nothing is opened ahead any more.
        """
        self._opens_ahead = False
        if self._ahead is not None or self._spare is not None:
            self._close_spares()
            yield True
        if self._ending:
            gevent.sleep(_USUAL_END_SECONDS)
            yield True
        if self._fact_shell is not None:
            self._close_fact_shell()
            yield True
        # These may serve processes in the background
        while self._ending:
            self._forget(next(iter(self._ending)))
            yield True

    def _open_ahead(self) -> _Shell | None:
        try:
            return self._started(self._open_pipe)
        except ConnectError:
            self._opens_ahead = False
            return None

    def _take(self) -> _Shell:
        """A shell that nobody has used yet."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            self._spare = ahead.get()
        shell, self._spare = self._spare, None
        if shell is not None and shell.pipe.exit_status() is None:
            return shell
        if shell is not None:
            shell.pipe.close()
        return self._open()

    def _let_end(self, shell: _Shell) -> None:
        """Have a shell that has answered end on its own; background processes can go on writing to it."""
        self._ending[shell] = gevent.spawn(self._see_out, shell)

    def _see_out(self, shell: _Shell) -> None:
        with suppress(Exception):
            while shell.pipe.receive(None) is not None:
                _take_turns()
            shell.pipe.drain()
        self._ending.pop(shell, None)
        shell.pipe.close()

    def _forget(self, shell: _Shell) -> None:
        greenlet = self._ending.pop(shell, None)
        if greenlet is not None:
            greenlet.kill()
            shell.pipe.close()

    def close(self) -> None:
        """End all shells, and what still runs in them."""
        self.kill_running()
        # What a shell left behind is spared if the shell itself has ended
        deadline = time.monotonic() + _END_SECONDS
        while any(shell.pipe.exit_status() is None for shell in self._ending) and time.monotonic() < deadline:
            gevent.sleep(0.002)
        for shell in list(self._ending):
            self._forget(shell)
        self._close_spares()
        self._close_fact_shell()

    def _close_spares(self) -> None:
        if self._ahead is not None:
            self._spare, self._ahead = self._ahead.get(), None
        if self._spare is not None:
            self._spare.pipe.close()
            self._spare = None

    def _close_fact_shell(self) -> None:
        """Close the shell that waits for facts, if it is there and answers none."""
        if self._fact_shell is not None:
            self._fact_shell.pipe.close()
            self._fact_shell = None

    # Commands

    def run(self, text: str, reply: Reply, terms: Terms = Terms()) -> int:
        """Run a command in a shell of its own.

        Args:
            text: the command, for ``sh``
            reply: gets its output
            terms: how it is run

        Returns its exit code, 0 to 255.

        Raises:
            TimeoutError: it took longer, and has been killed
            ConnectError: the connection broke while it ran
        """
        line = _encode(b"c", text)
        shell = self._take()
        if terms.take is not None:
            shell.out = _Blocks.after(shell.out)
        shell.expect(terms.take or reply.out, reply.err)
        with suppress(OSError):
            shell.pipe.send(line)
        if self._opens_ahead:
            self._ahead = gevent.spawn(self._open_ahead)
        if self._converse(shell, 1, _Writer(shell.pipe, terms.write), terms):
            self._let_end(shell)
            return _exit_code(int(shell.out.marks[1]))
        return self._outcome(shell)

    def run_program(
        self,
        pipe: Pipe,
        reply: Reply,
        terms: Terms,
        mark: bytes = b"",
        terminal: bool = False,
        in_sudo: bool = False,
    ) -> int:
        """The same for a program with a pipe to itself, in a terminal or on a target without a shell.

        Args:
            pipe: to the program
            reply, terms: as for :meth:`run`
            mark: with which it says its process id, if it does
            terminal: whether the pipe is to a terminal
            in_sudo: whether :data:`IN_SUDO_TERMINAL` is around the command
        """
        shell = _Shell(pipe, mark or secrets.token_hex(8).encode(), terminal)
        if terms.take is not None:
            shell.out = _Blocks.after(shell.out)
        shell.out.sinks, shell.err.sinks = [terms.take or reply.out], [reply.err]
        if mark:
            shell.out.sinks = [shell.noise.out, reply.out, *([reply.out, _drop] if in_sudo else [])]
        writer = _Writer(pipe, terms.write, begins=shell.out.at_mark(2) if in_sudo else None)
        leaving = gevent.spawn(writer.leave, shell.out.at_mark(3), mark) if in_sudo else None
        try:
            self._converse(shell, None, writer, terms if mark else replace(terms, killing=None))
        finally:
            if leaving is not None:
                leaving.kill()
        status = pipe.exit_status()
        pipe.close()
        if mark and shell.pid is None:
            # There was no shell to run the command, and this is why
            for line in shell.noise.lines:
                reply.out(line.line.encode())
        if shell.pid == 0:
            raise OSError("_get_pty: this connector has no terminal to give on the target")
        if status is None and shell.killed:
            return 128 + signal.SIGKILL
        if status is None:
            raise ConnectError("The connection broke while a command was running")
        return _exit_code(status)

    def _converse(self, shell: _Shell, until: int | None, writer: _Writer | None, terms: Terms) -> bool:
        """Listen to a shell until it has answered so many commands, or has gone; tells whether it has answered."""
        deadline = None if terms.seconds is None else time.monotonic() + terms.seconds
        given_up_at = None
        self._running[shell] = terms.killing
        try:
            while until is None or shell.answered < until:
                now = time.monotonic()
                if deadline is not None and now > deadline:
                    # Others may have kept this one from an answer that is there
                    given_up_at = given_up_at or now + _LAST_SECONDS
                    if now > given_up_at:
                        raise TimeoutError
                if not shell.listen(deadline):
                    break
        except TimeoutError:
            error = self._kill(shell)
            left = f"; what it started may still run: {error}" if error else ""
            raise TimeoutError(f"Command timed out after {terms.seconds}s{left}") from None
        except BaseException:
            # Who stops waiting for a command wants it ended; the killing is not to be cut short as the waiting was
            self._killers.spawn(self._kill, shell)
            raise
        finally:
            if writer is not None:
                writer.stop()
        self._running.pop(shell, None)
        if writer is not None and writer.error is not None:
            self._let_end(shell)
            raise writer.error
        return until is not None and shell.answered >= until

    def _outcome(self, shell: _Shell) -> int:
        """The exit code of a command whose shell has gone without an answer, if that was not the connection's end."""
        status = shell.pipe.exit_status()
        shell.pipe.close()
        if not shell.killed:
            try:
                # Those that wait may have answered while the connection was still there
                self._close_spares()
                self._spare = self._checked(self._open())
            except ConnectError as error:
                raise ConnectError(f"The connection broke while a command was running: {error}") from error
        return _exit_code(status or 128 + signal.SIGKILL)

    def _kill(self, shell: _Shell) -> Exception | None:
        """End what a shell runs, from other shells, and the shell; unless that is being done already.

        Returns why that was not possible, if so.
        """
        if shell not in self._running:
            return None
        killing = self._running.pop(shell)
        shell.killed = True
        failure: Exception | None = None
        if killing not in (None, _not_killed):
            try:
                # One that starts later would run the command all the same, as its line has been sent
                shell.hear_pid(_KILL_SECONDS)
                for line in killing(shell.pid) if shell.pid else []:
                    reply = Reply()
                    code = self.run(line, reply, Terms(seconds=_KILL_SECONDS, killing=_not_killed))
                    # The last one sees what is left
                    failure = OSError(reply.text() or f"exit code {code} of what was to end it") if code else None
            except (ConnectError, OSError) as error:
                failure = error
        shell.pipe.close()
        return failure

    def kill_running(self) -> None:
        """End all commands that are running."""
        for shell, killing in list(self._running.items()):
            if killing is not _not_killed:
                self._killers.spawn(self._kill, shell)
        self._killers.join(_KILL_SECONDS)

    # Facts

    def ask(self, texts: Sequence[str], replies: Sequence[Reply], killing: Killing | None = None) -> list[int]:
        """Run commands that only read, without input, one after another in one shell and in one round trip.

        Args:
            texts: the commands, for ``sh``
            replies: one for each, gets its output
            killing: as in :class:`Terms`

        Returns their exit codes. What the shell's death leaves without an answer is asked once more, in a new one.

        Raises:
            ConnectError: the connection broke
        """
        lines = [_encode(b"f", text) for text in texts]
        codes: list[int] = []
        deaths = 0
        with self._fact_lock:
            while len(codes) < len(lines):
                done = len(codes)
                shell, self._fact_shell = self._fact_shell, None
                if shell is None or shell.pipe.exit_status() is not None:
                    shell = self._take()
                codes += self._ask(shell, lines[done:], replies[done:], killing)
                if len(codes) == len(lines):
                    self._fact_shell = shell
                    break
                status = self._outcome(shell)
                deaths = deaths + 1 if len(codes) == done else 1
                if shell.killed or deaths > 1:
                    codes.append(status)
                    deaths = 0
                else:
                    replies[len(codes)].lines.clear()
        return codes

    def _ask(
        self, shell: _Shell, lines: Sequence[bytes], replies: Sequence[Reply], killing: Killing | None
    ) -> list[int]:
        """The exit codes of as many commands as the shell lives to answer."""
        first = len(shell.out.sinks) - 1
        for reply in replies:
            shell.expect(reply.out, reply.err)
        data = b"".join(lines)
        if len(data) <= _SENT_AT_ONCE:
            writer = None
            with suppress(OSError):
                shell.pipe.send(data)
        else:
            writer = _Writer(shell.pipe, lambda file: file.write(data), then_close=False)
        self._converse(shell, first + len(lines), writer, Terms(killing=killing))
        return [_exit_code(int(status)) for status in shell.out.marks[first + 1 : shell.answered + 1]]


# Files


def _called(script: str, *arguments: Any) -> StringCommand:
    """A script with its arguments, as one command that ``&&`` can stand before."""
    return StringCommand("{ set --", *arguments, f"\n{script}\n}}")


def _path(path: str) -> StringCommand:
    """A path on the target as a word for its shell, which expands a home folder at its beginning."""
    home, slash, rest = path.partition("/")
    if not re.fullmatch(r"~[A-Za-z0-9._-]*", home):
        return StringCommand(QuoteString(path))
    return StringCommand(home, slash, QuoteString(rest) if rest else "", _separator="")


def rsync_path(path: str) -> str:
    """A path of this machine in a form that rsync takes for no option, and for none of another host."""
    return f"./{path}" if re.match("-|[^/]*:", path) else path


def _size(source: Any) -> int:
    """How many bytes a local file has from where it stands; 0 if that cannot be told, or if it has none."""
    try:
        if not isinstance(source.read(0), bytes):
            return 0
        start = source.tell()
        size: int = source.seek(0, os.SEEK_END) - start
        source.seek(start)
    except (OSError, ValueError, AttributeError):
        return 0
    return size


@contextmanager
def measured(source: Any) -> Iterator[tuple[Any, int]]:
    """A local file as bytes that can be read more than once, from where it stands, and their number."""
    size = _size(source)
    if size:
        yield source, size
        return
    # Text, a stream, or a file of /proc, which is longer than it says
    with tempfile.TemporaryFile() as copy:
        while block := source.read(_BLOCK_SIZE):
            copy.write(block if isinstance(block, bytes) else block.encode())
        size = copy.tell()
        copy.seek(0)
        yield copy, size


class _Reader:
    """Reads a file object on from a position, and has it at that position again after each read.

    Other hosts may be reading the same object meanwhile.
    """

    def __init__(self, file: Any, start: int) -> None:
        self._file = file
        self._start = self._at = start

    def read(self, size: int = -1) -> Any:
        self._file.seek(self._at)
        try:
            return self._file.read(size)
        finally:
            self._at = self._file.tell()
            self._file.seek(self._start)


def _sending(file: Any, size: int) -> Callable[[_Input], None]:
    """What writes ``size`` bytes of a file, from where it stands now, as often as it is called."""
    start = file.tell()

    def write(target: _Input) -> None:
        reader = _Reader(file, start)
        rest = size
        while rest and (block := reader.read(min(rest, _BLOCK_SIZE))):
            target.write(block)
            rest -= len(block)

    return write


@contextmanager
def local_file(filename_or_io: str | IO[Any]) -> Iterator[Callable[[bytes], Any]]:
    """What writes to a local file, which stays as it was if anything goes wrong, or to a file object."""
    if hasattr(filename_or_io, "write"):
        with get_file_io(filename_or_io, "wb") as file:
            if isinstance(file, io.TextIOBase):
                decoder = codecs.getincrementaldecoder("utf-8")("replace")
                yield lambda data: file.write(decoder.decode(data))
                file.write(decoder.decode(b"", True))
            else:
                yield file.write
        return
    path = os.path.realpath(os.fspath(filename_or_io))
    folder = os.path.dirname(path)
    old = os.stat(path) if os.path.exists(path) else None
    if old is not None and (not stat.S_ISREG(old.st_mode) or old.st_nlink > 1 or not os.access(folder, os.W_OK)):
        with open(path, "ab") as file, tempfile.TemporaryFile() as copy:
            yield copy.write
            copy.seek(0)
            if stat.S_ISREG(old.st_mode):
                file.truncate(0)
            shutil.copyfileobj(copy, file)
        return
    try:
        fd, temporary = tempfile.mkstemp(prefix=".", suffix="~", dir=folder)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    try:
        with open(fd, "wb") as file:
            yield file.write
        umask = os.umask(0o077)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask if old is None else stat.S_IMODE(old.st_mode))
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


class _Download:
    """Takes what :data:`GET` prints: a length in a line of its own, and a file."""

    def __init__(self, write: Callable[[bytes], Any], measured: bool = True) -> None:
        self._write = write
        self._head: bytes | None = b"" if measured else None
        self.size = 0
        self.count = 0

    def take(self, data: bytes) -> None:
        if self._head is not None:
            self._head += data
            size, newline, data = self._head.partition(b"\n")
            if not newline:
                return
            if not size.isdigit():
                raise OSError(f"The target gives as a file's length: {size.decode('utf-8', 'replace')!r}")
            self.size, self._head = int(size), None
        self.count += len(data)
        self._write(data)


# For authors whose shell_argv() gives something else
_WORDS = '["chroot", "/srv", "sh"]'


class SessionData(ConnectorData):
    """What every connector over a session reads of the host data."""

    shell_session: bool


class SessionConnector(BaseConnector):
    """Base class of connectors: a subclass says with :meth:`shell_argv` how to get at a shell, and no more.

    Attributes:
        opens_ahead: whether the target allows a shell to wait for the next command while another one works
        session: the shells on the target, while connected
    """

    handles_execution = True
    data_cls: type[Any] = SessionData
    data_meta = {
        "shell_session": DataMeta("Whether the target has a POSIX shell; without, each command is run alone", True)
    }
    opens_ahead = True

    def __init__(self, state: State, host: Host) -> None:
        super().__init__(state, host)
        self.session: ShellSession | None = None
        self._has_shell = True

    # What subclasses say

    def shell_argv(self) -> list[str]:
        """The program and arguments that end in a shell, such as ``["chroot", "/srv", "sh"]``."""
        raise NotImplementedError(f"{type(self).__name__} lacks shell_argv(): which program ends in sh, as {_WORDS}")

    def terminal_argv(self) -> list[str]:
        """The same where the shell is to have a terminal; that of this machine is handed to the program."""
        return self.shell_argv()

    def program_argv(self, text: str) -> list[str]:
        """The program and arguments that run a command line on a target that has no POSIX shell."""
        return [*self.shell_argv()[:-1], *shlex.split(text)]

    def open_pipe(self, argv: Sequence[str], terminal: bool = False) -> Pipe:
        """Start a program and open a pipe to it; in a terminal if asked.

        ``argv`` is what one of the methods above gave, with arguments for the shell. Raises ``OSError`` or
        :class:`ConnectError`.
        """
        try:
            return ProcessPipe(argv, terminal)
        except FileNotFoundError as error:
            raise ConnectError(
                f"There is no program {argv[0]!r} on this machine, or not in PATH: install it, or correct the command "
                "line that begins with it"
            ) from error

    def explain_silence(self, why: str, said: str) -> str:
        """What to tell people where no shell answers.

        Args:
            why: how the program ended that should have been one, or that it took too long
            said: what it printed, which may be nothing
        """
        return explain_silence(why, said)

    # Connecting

    def connect(self) -> None:
        """Open the first shell, or raise :class:`ConnectError`."""
        self._has_shell = self.host.data.get("shell_session", True) is not False
        seconds = self.state.config.CONNECT_TIMEOUT
        self.session = ShellSession(self._open_shell, seconds, self.opens_ahead, self.explain_silence)
        if self._has_shell:
            self.session.open()

    def _open_shell(self) -> Pipe:
        argv: Any = self.shell_argv()
        # Of a text, each letter would be a word
        if isinstance(argv, (str, type(None))):
            who = f"{type(self).__name__}.shell_argv()"
            raise TypeError(f"{who} gives a list of words, as {_WORDS}, but gave {type(argv).__name__}")
        return self.open_pipe([*argv, "-c", BOOT])

    def disconnect(self) -> None:
        """End the shells and what runs in them, and remove the files that held passwords."""
        if self.session is None:
            return
        try:
            # Hosts that know of these files have removed them before
            for key, value in list(self.host.connector_data.items()):
                for path in _askpass_paths(value):
                    # The next connection makes files of its own
                    self.host.connector_data.pop(key, None)
                    with suppress(ConnectError, OSError):
                        self.session.run(f"rm -f {shlex.quote(path)}", Reply(), Terms(seconds=_KILL_SECONDS))
        finally:
            self.session.close()
            self.session = None

    def kill_running(self) -> None:
        """End the commands that are running on the target; called from another greenlet than theirs."""
        if self.session is not None:
            self.session.kill_running()

    # Commands

    def run_shell_command(
        self,
        command: StringCommand,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Unpack[ConnectorArguments],
    ) -> tuple[bool, CommandOutput]:
        """Run a command in a shell of its own, as :meth:`BaseConnector.run_shell_command` has it.

        Raises:
            TimeoutError: it took longer than ``_timeout`` and was killed
            ConnectError: the connection broke
        """
        controls: Any = extract_control_arguments(arguments)
        write = _standard_input(controls.get("_stdin"))
        terminal = bool(controls.get("_get_pty"))
        if terminal and write is not None:
            write = _typed(write)
        prefix = self.host.print_prefix if print_output else None

        def execute() -> tuple[int, CommandOutput]:
            line = self._command_line(command, arguments)
            if print_input:
                self._show(line)
            reply = Reply(prefix)
            terms = Terms(write, None, controls.get("_timeout"), self._killing(arguments))
            if terminal:
                code = self._run_in_terminal(command, line.get_raw_value(), reply, terms, arguments)
            else:
                code = self._run(line.get_raw_value(), reply, terms)
            return code, reply.output(code)

        code, output = execute_command_with_sudo_retry(self.host, arguments, execute)
        return code in (controls.get("_success_exit_codes") or [0]), output

    def run_fact_commands(
        self,
        commands: Sequence[tuple[StringCommand, ConnectorArguments]],
        print_output: bool = False,
        print_input: bool = False,
    ) -> list[tuple[bool, CommandOutput]]:
        """Run commands that only read, in one round trip; returns for each what :meth:`run_shell_command` would."""
        results: dict[int, tuple[bool, CommandOutput]] = {}
        batch = []
        # A subclass that changes how commands run means those of facts too
        single = not self._has_shell or type(self).run_shell_command is not SessionConnector.run_shell_command
        for number, (command, arguments) in enumerate(commands):
            alone = single or any(arguments.get(key) for key in ("_stdin", "_timeout", "_get_pty"))
            if alone or _starts_in_background(command):
                results[number] = self.run_shell_command(command, print_output, print_input, **arguments)
            else:
                batch.append(number)
        replies = self._ask([commands[number] for number in batch], print_output, print_input)
        for number, reply in zip(batch, replies, strict=True):
            command, arguments = commands[number]
            results[number] = self._fact_result(command, arguments, reply, print_output, print_input)
        return [results[number] for number in range(len(commands))]

    def _fact_result(
        self,
        command: StringCommand,
        arguments: ConnectorArguments,
        answer: tuple[int, CommandOutput],
        print_output: bool,
        print_input: bool,
    ) -> tuple[bool, CommandOutput]:
        """What a fact's command gave; it is asked again where sudo wants a password."""
        codes = arguments.get("_success_exit_codes") or [0]
        if answer[0] and arguments.get("_sudo"):
            answers = iter([answer])
            arguments = arguments.copy()

            def execute() -> tuple[int, CommandOutput]:
                return next(answers, None) or self._ask([(command, arguments)], print_output, print_input)[0]

            answer = execute_command_with_sudo_retry(self.host, arguments, execute)
        return answer[0] in codes, answer[1]

    def _ask(
        self,
        commands: Sequence[tuple[StringCommand, ConnectorArguments]],
        print_output: bool,
        print_input: bool,
    ) -> list[tuple[int, CommandOutput]]:
        """The exit codes and outputs of commands run in the fact shell."""
        if not commands:
            return []
        texts = []
        for command, given in commands:
            arguments: Any = given.copy()
            extract_control_arguments(arguments)
            if print_input:
                self._show(self._command_line(command, arguments))
            if not _is_elevated(arguments) and _is_plain(command, arguments):
                arguments["_shell_executable"] = None
            texts.append(self._command_line(command, arguments).get_raw_value())
        replies = [Reply(self.host.print_prefix if print_output else None) for _ in commands]
        elevated: Any = next((arguments for _, arguments in commands if _is_elevated(arguments)), {})
        codes = self._connected().ask(texts, replies, self._killing(elevated))
        return [(code, reply.output(code)) for code, reply in zip(codes, replies, strict=True)]

    def _connected(self) -> ShellSession:
        if self.session is None:
            raise ConnectError("Not connected")
        return self.session

    def _show(self, what: Any) -> None:
        """Tell people what is run."""
        echo(f"{self.host.print_prefix}>>> {what}", err=True)

    def _command_line(self, command: StringCommand, arguments: Any) -> StringCommand:
        """The line that runs a command with its arguments."""
        if not self._has_shell:
            refuse_without_shell(arguments)
            arguments = {**arguments, "_shell_executable": None}
        return make_unix_command_for_host(self.state, self.host, command, **arguments)

    def _run(self, line: str, reply: Reply, terms: Terms) -> int:
        """Run a command line in a shell, or on a target that has none; returns its exit code."""
        session = self._connected()
        if self._has_shell:
            return session.run(line, reply, terms)
        return session.run_program(self._start_program(self.program_argv(line)), reply, terms)

    def _run_in_terminal(self, command: StringCommand, line: str, reply: Reply, terms: Terms, arguments: Any) -> int:
        """Run a command, whose line is known, in a terminal; returns its exit code."""
        session = self._connected()
        if not self._has_shell:
            pipe = self._start_program(self.program_argv(line), terminal=True)
            return session.run_program(pipe, reply, terms, terminal=True)
        mark = secrets.token_hex(8)
        shell = arguments.get("_shell_executable", "sh")
        in_sudo = _is_elevated(arguments) and bool(shell)
        if in_sudo:
            shell, quoted = shlex.join(shlex.split(shell)), shlex.quote(_raw(command))
            around = IN_SUDO_TERMINAL.format(mark=mark, shell=shell, command=quoted)
            arguments = {**arguments, "_shell_executable": "sh"}
            line = self._command_line(StringCommand(around), arguments).get_raw_value()
        # What log-in shells that are csh or fish would not hand on as it is
        line = re.sub(r"[\\\n!]", lambda found: f"\\0{ord(found[0]):03o}", line)
        pipe = self._start_program([*self.terminal_argv(), "-c", BOOT_IN_TERMINAL, "sh", mark, line], terminal=True)
        return session.run_program(pipe, reply, terms, mark.encode(), terminal=True, in_sudo=in_sudo)

    def _start_program(self, argv: Sequence[str], **how: bool) -> Pipe:
        """A pipe to a program of its own; ``OSError`` if the command is too long for that."""
        try:
            return self._connected().opened(lambda: self.open_pipe(argv, **how))
        except OSError as error:
            if error.errno == errno.E2BIG:
                raise OSError(
                    "The command is too long to be an argument, as it is in a terminal (_get_pty) and where there is "
                    "no shell: put what is long into a file"
                ) from error
            raise ConnectError(f"Cannot run {argv[0]}: {error}") from error

    def _killing(self, arguments: Any) -> Killing:
        """What ends a command that runs with these arguments: as every user on the way to it, the log-in user last."""
        kept = {key: value for key, value in arguments.items() if key not in _NO_PART_OF_KILLING}
        kept["_shell_executable"] = "sh"
        # su stops when what it runs is stopped, and only sudo's user, who has started it, may have it go on
        ways = [kept, {**kept, "_su_user": None}] if kept.get("_su_user") else [kept]
        ways = [way for way in ways if _is_elevated(way)]

        def lines(pid: int) -> list[str]:
            script = _called(KILL, str(pid))
            return [line.get_raw_value() for line in (*(self._command_line(script, way) for way in ways), script)]

        return lines

    # Files

    def put_file(
        self,
        filename_or_io: str | IO[Any],
        remote_filename: str,
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Unpack[ConnectorArguments],
    ) -> bool:
        """Write a local file or file object to the target, in one step where that can be.

        ``remote_temp_filename`` is ignored: temporary files have names of their own. Returns ``True``.

        Raises:
            OSError: what the target said, or what is wrong with the local file
            TimeoutError, ConnectError: as with commands
        """
        with get_file_io(filename_or_io) as source, measured(source) as (file, size):
            folders = arguments.get("_temp_dir") or "", self.host.get_temp_dir_config()
            name, other = (f".{secrets.token_hex(6)}~" for _ in range(2))
            script = _called(PUT, _path(remote_filename), str(size), *map(QuoteString, (name, *folders, other)))
            if not self._has_shell:
                script = StringCommand("dd", QuoteString(f"of={remote_filename}"))
            self._copy(script, f"upload {remote_filename}", print_input, arguments, _sending(file, size))
        if print_output:
            echo(f"{self.host.print_prefix}uploaded {remote_filename}", err=True)
        return True

    def get_file(
        self,
        remote_filename: str,
        filename_or_io: str | IO[Any],
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Unpack[ConnectorArguments],
    ) -> bool:
        """Write a file of the target to a local path or file object.

        ``remote_temp_filename`` is ignored. Returns ``True``.

        Raises:
            OSError: what the target said, or what is wrong with the local file
            TimeoutError, ConnectError: as with commands
        """
        with local_file(filename_or_io) as write:
            download = _Download(write, measured=self._has_shell)
            script = _called(GET, _path(remote_filename))
            if not self._has_shell:
                dash = "./" if remote_filename.startswith("-") else ""
                script = StringCommand("cat", QuoteString(f"{dash}{remote_filename}"))
            self._copy(script, f"download {remote_filename}", print_input, arguments, take=download.take)
            if download.count < download.size:
                raise OSError(f"{remote_filename}: {download.count} of {download.size} bytes arrived")
        if print_output:
            echo(f"{self.host.print_prefix}downloaded {remote_filename}", err=True)
        return True

    def _copy(
        self,
        script: StringCommand,
        what: str,
        print_input: bool,
        arguments: Any,
        write: Callable[[_Input], None] | None = None,
        take: Callable[[bytes], None] | None = None,
    ) -> None:
        """Run a script that copies a file, or raise what it says."""
        if print_input:
            self._show(what)
        controls: Any = extract_control_arguments(arguments)
        # The session's own shell does, where nothing starts another one
        arguments = {**arguments, "_shell_executable": "sh" if _is_elevated(arguments) else None}

        def execute() -> tuple[int, CommandOutput]:
            reply = Reply()
            terms = Terms(write, take, controls.get("_timeout"), self._killing(arguments))
            code = self._run(self._command_line(script, arguments).get_raw_value(), reply, terms)
            return code, reply.output(code)

        code, output = execute_command_with_sudo_retry(self.host, arguments, execute)
        if code:
            raise OSError(output.output or f"Cannot {what}: exit code {code}")


_NO_PART_OF_KILLING = ("_chdir", "_env", "_shell_executable", "_stdin", "_timeout", "_get_pty", "_success_exit_codes")


def refuse_without_shell(arguments: Any) -> None:
    """Raise ``OSError`` if there are arguments that only a shell on the target can honour."""
    for key in ("_chdir", "_env"):
        if arguments.get(key):
            raise OSError(f"{key} needs a shell on the target, which has none (shell_session = False)")


def _askpass_paths(data: Any) -> list[str]:
    """The paths of files with passwords that are noted somewhere in a host's connector data."""
    if isinstance(data, str):
        return [data] if "/pyinfra-sudo-askpass-" in data else []
    values = data.values() if isinstance(data, dict) else data if isinstance(data, (list, tuple, set)) else ()
    return [path for value in values for path in _askpass_paths(value)]


def _is_elevated(arguments: Any) -> bool:
    """Whether a command runs as somebody else than the log-in user."""
    return any(arguments.get(key) for key in ("_sudo", "_su_user", "_doas", "_dzdo"))


def _starts_in_background(command: StringCommand | str) -> bool:
    """Whether a command may leave a process behind, which would go on writing to the shell that facts share."""
    return re.search(r"(?<![&>|<\\])&(?![&>])", _raw(command)) is not None


def _is_plain(command: StringCommand | str, arguments: Any) -> bool:
    """Whether the shell that facts share can run a command itself, instead of starting another one for it."""
    return arguments.get("_shell_executable", "sh") == "sh" and not re.search(r"trap|\$[$0]", _raw(command))


def _raw(command: StringCommand | str) -> str:
    return command if isinstance(command, str) else command.get_raw_value()


def _standard_input(stdin: Any) -> Callable[[_Input], None] | None:
    """What writes a ``_stdin``, as often as it is called.

    A file object is read from where it stands, and stays there for the next command; one that cannot be sought, such
    as a pipe, is read where it is, and gives the next command what is left.
    """
    if stdin is None:
        return None
    start = None
    if hasattr(stdin, "read"):
        with suppress(OSError, ValueError, AttributeError):
            position = stdin.tell()
            stdin.seek(position)
            start = position
    elif not isinstance(stdin, (str, bytes, list, tuple)):
        stdin = list(stdin)

    def write(file: _Input) -> None:
        write_stdin(stdin if start is None else _Reader(stdin, start), file)

    return write


def _typed(write: Callable[[_Input], None]) -> Callable[[_Input], None]:
    """What types the same input in a terminal; ``OSError`` if that would cut a line of it."""
    data = bytearray()
    keeping: Any = SimpleNamespace(send=data.extend, close_input=lambda: None)
    write(_Input(keeping))
    longest = max(map(len, data.split(b"\n")))
    if longest > _LONGEST_TYPED:
        raise OSError(
            f"_get_pty: a terminal takes lines of at most {_LONGEST_TYPED} bytes, and _stdin has one of {longest}; "
            "without _get_pty lines may have any length"
        )
    return lambda file: file.write(bytes(data))
