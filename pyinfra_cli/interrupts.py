"""Ctrl-C: the first time asks a run to end well, the second time ends it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event
from gevent.hub import get_hub

from pyinfra.api.output import set_pause

if TYPE_CHECKING:
    from pyinfra.api.state import State

    from .terminal import Terminal

# Once what runs on the hosts is told to end, it has this long until it is left behind
SECONDS_TO_DIE = 0.8


class Interrupts:
    """A context that answers Ctrl-C, as far as the run has come.

    While operations run, the first one lets the commands end that are under way, and the second one ends them on the
    hosts. At all other times, also where somebody is asked something, there is nothing to end well: the first one
    raises ``KeyboardInterrupt`` in the main greenlet. A third one raises it wherever Python is.
    """

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.count = 0
        # Whether people were told
        self.was_told = False
        # The run whose operations are running now, and whether their commands are ended at once
        self._running: State | None = None
        self._kill_first = False
        # The greenlet that asks somebody something and has stopped the process for it; whether one was interrupted
        self._asker: Any = None
        self._asker_interrupted = False
        self._main = gevent.getcurrent()
        self._before: Any = None
        self._deadline: Any = None

    @property
    def happened(self) -> bool:
        """Whether there was a Ctrl-C."""
        return self.count > 0

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._on_signal)
        set_pause(self.prompting)
        return self

    def __exit__(self, *error: object) -> None:
        set_pause(self.terminal.paused)
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        self.operations_ended()

    def operations_begin(self, state: State, kill_first: bool) -> None:
        """From now on, commands run that should end well, or with ``kill_first``, that should just end."""
        self._running, self._kill_first = state, kill_first

    def operations_ended(self) -> None:
        """From now on, there is nothing to wait for."""
        self._running = None
        if self._deadline is not None:
            self._deadline.kill(block=False)
            self._deadline = None

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

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Runs between any two steps of any greenlet: leaves all else to the event loop."""
        self.count += 1
        if self.count > 2 or self._asker is gevent.getcurrent():
            raise KeyboardInterrupt
        state = self._running
        if state is None:
            self._raise_in_main()
            return
        state.interrupt()
        if self.count == 1 and not self._kill_first:
            self._soon(self._say, "Interrupted: commands under way go on to their end; press Ctrl-C again to kill them")
            return
        self._soon(self._kill, state)

    @staticmethod
    def _soon(function: Callable[..., Any], *args: Any) -> None:
        get_hub().loop.run_callback(gevent.spawn, function, *args)

    def _say(self, text: str) -> None:
        self.was_told = True
        self.terminal.line(f"    {self.terminal.style(text, fg='yellow')}")
        self.terminal.flush()

    def _kill(self, state: State) -> None:
        if self._running is not state:
            return
        self._say("Interrupted: killing what runs on the hosts")
        state.kill_running()
        self._deadline = gevent.spawn_later(SECONDS_TO_DIE, self._raise_in_main)

    def _raise_in_main(self) -> None:
        if gevent.getcurrent() is self._main:
            raise KeyboardInterrupt
        get_hub().loop.run_callback(self._main.throw, KeyboardInterrupt)
