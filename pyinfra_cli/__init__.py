"""The command line: options, loading files, rendering events."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from types import FrameType

EXIT_INTERRUPTED = 130
# Nearly all that a run makes lives to its end. With Python's own 700, looking for garbage among it again and again took
# a third of a run over 3,000 hosts; what is given up is some memory for the little garbage that there is
_OBJECTS_BETWEEN_COLLECTIONS = 50_000


def end_process_at_ctrl_c() -> None:
    """Have Ctrl-C end this process at once, wherever it is: before a run has begun, and after it has ended.

    Not by an exception: what is being imported may have a way of its own with those.
    """
    # Who started us may have had it ignored
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end_process)
        # While Python cleans up after all else, it has the signal kill the process, which then has no exit code
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def _end_process(_number: int, _frame: FrameType | None) -> None:
    os._exit(EXIT_INTERRUPTED)


def open_standard_streams() -> None:
    """Have standard input, output and error be open: those that were closed are the null device.

    The next file or connection that is opened would have their number, and whatever programs write there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor == number:
            os.set_inheritable(descriptor, True)
        setattr(sys, name, os.fdopen(descriptor, "w" if number else "r"))


def prepare_process() -> None:
    """Have the standard library's blocking calls let other hosts go on (gevent), and garbage be looked for less often.

    Called after the options are read and before anything else is imported: ``--version``, ``--help`` and mistyped
    options cost no more than reading them.
    """
    from gevent import events, monkey

    if not monkey.is_module_patched("socket"):
        # With each module gevent looks for plugins in all packages that are installed: a tenth of a second and more
        # together, and one package with metadata that cannot be read would end every run
        look_for_plugins = events.notify_and_call_entry_points
        events.notify_and_call_entry_points = events.notify
        try:
            monkey.patch_all()
        finally:
            events.notify_and_call_entry_points = look_for_plugins
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 20, 100)
