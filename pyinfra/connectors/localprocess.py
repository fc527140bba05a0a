"""Processes of this machine: their input, their output, and running a command to its end."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import gevent
from gevent import subprocess as gevent_subprocess
from gevent.fileobject import FileObject
from gevent.socket import wait_read

from pyinfra.api.output import echo, format_text

from .commandoutput import CommandOutput, OutputLine

_BLOCK_SIZE = 1 << 16
# How many lines may be read before others have their turn
_LINES_IN_A_TURN = 200
# How long a process that was killed may take to end
_END_SECONDS = 1


def _input_blocks(stdin: Any) -> Iterator[bytes]:
    """What a ``_stdin`` stands for, in blocks: each item ended by a newline if it lacks one."""
    if hasattr(stdin, "read"):
        last = b"\n"
        while block := stdin.read(_BLOCK_SIZE):
            last = block if isinstance(block, bytes) else block.encode("utf-8", "surrogateescape")
            yield last
        if not last.endswith(b"\n"):
            yield b"\n"
        return
    block = bytearray()
    for item in [stdin] if isinstance(stdin, (str, bytes)) else stdin:
        data = item if isinstance(item, bytes) else str(item).encode("utf-8", "surrogateescape")
        block += data if data.endswith(b"\n") else data + b"\n"
        if len(block) >= _BLOCK_SIZE:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def write_stdin(stdin: Any, buffer: Any) -> None:
    """Write a ``_stdin`` to a binary file object, and close that.

    Args:
        stdin: text, bytes, a list of them or a file object; each item (of a file, the whole) gets a newline at its end
            if it lacks one. ``None`` writes nothing
        buffer: has ``write`` and ``close``. If its reader goes away first, the rest is dropped: a program need not
            read its input
    """
    with suppress(BrokenPipeError, ConnectionResetError):
        if stdin is not None:
            for block in _input_blocks(stdin):
                buffer.write(block)
        buffer.close()


def _take_turns() -> None:
    """Let others work where output never pauses, and time-outs come; ``sleep(0)`` need not let the loop see those."""
    gevent.idle(priority=1)


def read_output_buffers(
    stdout_buffer: Iterable[Any],
    stderr_buffer: Iterable[Any],
    timeout: int | None,
    print_output: bool,
    print_prefix: str,
) -> CommandOutput:
    """Read a command's two outputs to their ends, together.

    Args:
        stdout_buffer: gives lines, as text or as bytes
        stderr_buffer: likewise
        timeout: seconds that this may take
        print_output: whether to echo each line as it comes, after ``print_prefix``

    Raises:
        TimeoutError: it took longer
    """
    lines: list[OutputLine] = []

    def read(name: str, buffer: Iterable[Any]) -> None:
        for number, data in enumerate(buffer, 1):
            if number % _LINES_IN_A_TURN == 0:
                _take_turns()
            line = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
            line = line.rstrip("\r\n") if line.endswith(("\n", "\r")) else line
            lines.append(OutputLine(name, line))
            if print_output:
                echo(f"{print_prefix}{line if name == 'stdout' else format_text(line, 'red')}", err=True)

    readers = [gevent.spawn(read, "stdout", stdout_buffer), gevent.spawn(read, "stderr", stderr_buffer)]
    try:
        with gevent.Timeout(timeout, TimeoutError(f"Command timed out after {timeout}s")):
            gevent.joinall(readers, raise_error=True)
    finally:
        gevent.killall(readers)
    return CommandOutput(lines)


def _lines_until_over(fd: int, is_over: Callable[[], bool]) -> Iterator[bytes]:
    """The lines that come out of a pipe, to its end or to where its process is over.

    What a process leaves in the background may hold the pipe for as long as it likes.
    """
    os.set_blocking(fd, False)
    begun: list[bytes] = []
    left: int | None = None
    while left is None or left > 0:
        if left is None and is_over():
            left = _count_waiting(fd)
            continue
        try:
            data = os.read(fd, _BLOCK_SIZE if left is None else min(left, _BLOCK_SIZE))
        except BlockingIOError:
            with suppress(TimeoutError):
                wait_read(fd, timeout=0.02, timeout_exc=TimeoutError())
            continue
        if not data:
            break
        _take_turns()
        if left is not None:
            left -= len(data)
        first, *lines = data.split(b"\n")
        begun.append(first)
        if lines:
            yield b"".join([*begun, b"\n"])
            yield from (line + b"\n" for line in lines[:-1])
            begun = [lines[-1]]
    if any(begun):
        yield b"".join(begun)


def _count_waiting(fd: int) -> int:
    """How many bytes are in a pipe."""
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)


def _let_end(fd: int) -> None:
    """Close a pipe at its end, which may be long in coming: who still writes to it is not to be killed by that."""
    try:
        is_at_end = not os.read(fd, _BLOCK_SIZE)
    except BlockingIOError:
        is_at_end = False
    if is_at_end:
        os.close(fd)
        return

    def read_to_end() -> None:
        with suppress(OSError):
            wait_read(fd)
            while os.read(fd, _BLOCK_SIZE):
                wait_read(fd)
        os.close(fd)

    gevent.spawn(read_to_end)


def process_class() -> Any:
    """The class that can tell how its processes end: gevent's, once gevent's loop takes the status of every child.

    It begins to do so with the first process that anybody starts by way of gevent. Python has not heard of the loop's
    signal handler, which Linux tells of. The standard library would take a status that is gone for success.
    """
    if signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL:
        with suppress(OSError, ValueError, StopIteration), open("/proc/self/status", encoding="ascii") as status:
            caught = next(line for line in status if line.startswith("SigCgt:"))
            if int(caught.split()[1], 16) >> (signal.SIGCHLD - 1) & 1:
                return gevent_subprocess.Popen
    return subprocess.Popen


def run_local_process(
    command: str,
    stdin: Any = None,
    timeout: int | None = None,
    print_output: bool = False,
    print_prefix: str = "",
) -> tuple[int, CommandOutput]:
    """Run a shell command on this machine.

    Args:
        command: for ``sh -c``
        stdin: as ``_stdin``
        timeout: seconds after which it is killed, with all that it started
        print_output: whether to echo its output, after ``print_prefix``

    Returns its exit code (128+n for signal n) and its output, which ends with it: a process that it leaves in the
    background is not waited for.

    Raises:
        TimeoutError: it took longer
    """
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    in_read, in_write = os.pipe()
    try:
        process = process_class()(
            ["sh", "-c", command], stdin=in_read, stdout=out_write, stderr=err_write, start_new_session=True
        )
    except BaseException:
        for fd in (out_read, err_read, in_write):
            os.close(fd)
        raise
    finally:
        for fd in (in_read, out_write, err_write):
            os.close(fd)
    ours = FileObject(in_write, "wb")
    writer = gevent.spawn(write_stdin, stdin, ours)
    outputs = [_lines_until_over(fd, lambda: process.poll() is not None) for fd in (out_read, err_read)]
    try:
        with gevent.Timeout(timeout, TimeoutError(f"Command timed out after {timeout}s")):
            output = read_output_buffers(outputs[0], outputs[1], None, print_output, print_prefix)
            # Waiting for it would stop all other greenlets, unless gevent has patched the standard library
            while (code := process.poll()) is None:
                gevent.sleep(0.005)
    except BaseException:
        # Another user's process, as with sudo, may not be ours to end
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        deadline = time.monotonic() + _END_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            gevent.sleep(0.005)
        raise
    finally:
        writer.kill()
        ours.close()
        for fd in (out_read, err_read):
            _let_end(fd)
    return code if code >= 0 else 128 - code, output
