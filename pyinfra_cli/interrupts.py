"""Ctrl-C: the first time asks a run to end well, the second time ends it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event
from gevent.hub import get_hub
from gevent.monkey import get_original

from pyinfra.api.output import set_pause

if TYPE_CHECKING:
    from pyinfra.api.state import State

    from .terminal import Terminal

# After the Ctrl-C that ends what runs on the hosts, it has this long until it is left behind …
_SECONDS_TO_DIE = 0.8
# … and after the second one all has, disconnecting included
_SECONDS_TO_END = 1.7
# How long greenlets may take to end, and killing at the least
_SECONDS_TO_CLEAN_UP = 0.2
# After a Ctrl-C, code that lets no other greenlet run this long counts as blocking: so many looks without a beat
_SECONDS_BETWEEN_LOOKS = 0.1
_LOOKS_WITHOUT_BEAT = 3


class Interrupts:
    """A context that answers Ctrl-C, as far as the run has come.

    While operations run, the first one lets the commands end that are under way, and the second one ends them on the
    hosts. Before that, and where somebody is asked something, there is nothing to end well: the first one raises
    ``KeyboardInterrupt`` in the main greenlet. After it the run is ending anyway: the second one limits the time for
    that. A third one raises it at any time.

    Code that lets no other greenlet run, such as ``input()`` in a deploy file, keeps the event loop from answering: it
    has ``KeyboardInterrupt`` raised in it where it is to end.
    """

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.count = 0
        # Whether there was a Ctrl-C, or somebody's code said so by raising KeyboardInterrupt
        self.happened = False
        # Whether people were told
        self.was_told = False
        # The run whose operations are running now, and whether their commands are ended at once
        self._running: State | None = None
        self._kill_first = False
        # Whether the run is ending, and whether its greenlets are being ended
        self._ending = False
        self._ending_greenlets = False
        # The greenlet that asks somebody something and has stopped the process for it; whether one was interrupted
        self._asker: Any = None
        self._asker_interrupted = False
        self._main = gevent.getcurrent()
        self._main_thread: int | None = None
        self._before: Any = None
        # When the last Ctrl-C was pressed that gave the run some time
        self._pressed_at = 0.0
        self._deadline: Any = None
        # How often the event loop has had its turn since the first Ctrl-C, as it is and as who watches it has seen it
        self._beats = 0
        self._beats_seen = -1

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            hub = get_hub()
            self._main_thread = get_original("_thread", "get_ident")()
            self._before = (
                signal.signal(signal.SIGINT, self._on_ctrl_c),
                # Ignored where nobody handles it, and hardly ever used
                signal.signal(signal.SIGURG, self._on_blocking),
                hub.NOT_ERROR,
            )
            # Raised in any greenlet, gevent raises it in the main one, which tells of it: no need for a traceback
            hub.NOT_ERROR = (*hub.NOT_ERROR, KeyboardInterrupt)
        set_pause(self.prompting)
        return self

    def __exit__(self, *error: object) -> None:
        set_pause(self.terminal.paused)
        self.restore()

    def restore(self) -> None:
        """Leave the answer to who gave it before."""
        self._drop_deadline()
        if self._before is not None:
            self._main_thread = None
            interrupt, urgent, get_hub().NOT_ERROR = self._before
            signal.signal(signal.SIGURG, urgent)
            signal.signal(signal.SIGINT, interrupt)

    # What the run is about

    def operations_begin(self, state: State, kill_first: bool) -> None:
        """From now on, commands run that should end well, or with ``kill_first``, that should just end."""
        self._running, self._kill_first = state, kill_first

    def ending_begins(self) -> None:
        """From now on, the run ends, and no Ctrl-C is needed for that."""
        self._running, self._kill_first, self._ending = None, False, True
        self._drop_deadline()
        if self.count > 1:
            self._raise_in_main_after(_SECONDS_TO_END)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Within the ``with`` block somebody is asked something, and Ctrl-C is an answer."""
        running, self._running = self._running, None
        try:
            yield
        finally:
            self._running = running

    @contextmanager
    def prompting(self) -> Iterator[None]:
        """Within the ``with`` block somebody is asked something by a call that stops the process, and may press Ctrl-C.

        For :func:`pyinfra.api.output.set_pause`. Ctrl-C ends that call and the run. Who has asked is not told, as a
        host's greenlet could do nothing about it: it waits to be killed as all others are, and whoever wants to ask
        after that waits with it.
        """
        if not self._asker_interrupted:
            with self.terminal.paused():
                self._asker = gevent.getcurrent()
                try:
                    yield
                except KeyboardInterrupt:
                    if self._asker is self._main:
                        raise
                    self._asker_interrupted = True
                finally:
                    self._asker = None
            if not self._asker_interrupted:
                return
            self.terminal.line()  # ends that of the question
            self._say("Interrupted")
            self.terminal.line()
            self._raise_in_main()
        Event().wait()

    def raised(self) -> None:
        """``KeyboardInterrupt`` has reached the run."""
        if not self.happened:
            self.happened = True
            self._pressed_at = time.monotonic()

    def end_all(self, state: State) -> None:
        """End what is under way: the greenlets of the hosts first, as they could go on, and what they left running."""
        self._ending_greenlets = True
        try:
            state.kill_greenlets(_SECONDS_TO_CLEAN_UP)
        finally:
            self._ending_greenlets = False
        state.kill_running(max(self._seconds_left(_SECONDS_TO_DIE), _SECONDS_TO_CLEAN_UP))

    # Signals

    def _on_ctrl_c(self, _number: int, _frame: FrameType | None) -> None:
        """Runs between any two steps of any greenlet: leaves nearly all to the event loop."""
        self.happened = True
        self.count += 1
        if self.count <= 2:
            self._pressed_at = time.monotonic()
        if self._running is not None:
            self._running.interrupt()
        if self.count == 1:
            self._soon(self._beat)
            get_original("_thread", "start_new_thread")(self._watch, ())
        current = gevent.getcurrent()
        if current is self._asker or (current is self._main and (self.count > 2 or self._ends_at_once())):
            raise KeyboardInterrupt
        self._soon(self._answer, self.count)

    def _ends_at_once(self) -> bool:
        """Whether there is nothing to end well."""
        return self._running is None and not self._ending

    @staticmethod
    def _soon(function: Callable[..., Any], *args: Any) -> None:
        get_hub().loop.run_callback(gevent.spawn, function, *args)

    def _answer(self, number: int) -> None:
        """Do what the Ctrl-C of that number is for."""
        state = self._running
        if number > 2 or self._ends_at_once():
            self._raise_in_main()
        elif state is None:
            if number > 1:
                self._raise_in_main_after(_SECONDS_TO_END)
        elif number == 1 and not self._kill_first:
            self._say_stopping()
        else:
            self._say("Interrupted: killing what runs on the hosts")
            state.kill_running()
            self._raise_in_main_after(_SECONDS_TO_DIE)

    # Code that blocks

    def _beat(self) -> None:
        while self._main_thread is not None:
            self._beats += 1
            gevent.sleep(_SECONDS_BETWEEN_LOOKS / 2)

    def _watch(self) -> None:
        """Runs in a thread of the system's, which nothing in this one can hold up."""
        sleep = get_original("time", "sleep")
        looks = 0
        while (main_thread := self._main_thread) is not None:
            looks = looks + 1 if self._beats == self._beats_seen else 0
            self._beats_seen = self._beats
            if looks == _LOOKS_WITHOUT_BEAT:
                looks = 0
                # Ends system calls too: Python begins them anew unless the signal's handler raises something
                signal.pthread_kill(main_thread, signal.SIGURG)
            sleep(_SECONDS_BETWEEN_LOOKS)

    def _on_blocking(self, _number: int, _frame: FrameType | None) -> None:
        """Runs in the greenlet that blocks: no other has had a turn for a while."""
        current = gevent.getcurrent()
        if self._beats != self._beats_seen or current is self._main or current is get_hub():
            return
        if self._ending_greenlets:
            raise gevent.GreenletExit
        if self.count > 1 or self._kill_first or self._ends_at_once():
            raise KeyboardInterrupt
        if self._running:
            # It may be in the middle of a line of its own: then the next look is early enough
            with suppress(RuntimeError):
                self._say_stopping()

    # What comes of it

    def _say_stopping(self) -> None:
        if not self.was_told:
            self._say("Interrupted: commands under way go on to their end; press Ctrl-C again to kill them")

    def _say(self, text: str) -> None:
        self.terminal.line(f"    {self.terminal.style(text, fg='yellow')}")
        self.terminal.flush()
        self.was_told = True

    def _seconds_left(self, seconds: float) -> float:
        """How much is left of so many seconds since the last Ctrl-C."""
        return max(self._pressed_at + seconds - time.monotonic(), 0)

    def _raise_in_main_after(self, seconds: float) -> None:
        """Let the run go on for so many seconds after the last Ctrl-C."""
        self._drop_deadline()
        self._deadline = gevent.spawn_later(self._seconds_left(seconds), self._raise_in_main)

    def _drop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.kill(block=False)
            self._deadline = None

    def _raise_in_main(self) -> None:
        get_hub().loop.run_callback(self._throw_into_main)

    def _throw_into_main(self) -> None:
        # Unless the run has ended meanwhile
        if self._main_thread is not None:
            self._main.throw(KeyboardInterrupt)
