"""The live line: what is under way, on a terminal, below all other lines."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import gevent

from pyinfra.api.state import StateStage

if TYPE_CHECKING:
    from rich.live import Live

    from pyinfra.api.host import Host
    from pyinfra.api.state import State

    from .terminal import Terminal

# Work that is done sooner needs no line, nor the library that draws it
_SECONDS_UNTIL_SHOWN = 0.4
_SECONDS_BETWEEN_DRAWINGS = 0.2
# Hosts are named once they take this long
_SECONDS_UNTIL_SLOW = 2.0
_SLOWEST_NAMED = 3


def wants_live_line(terminal: Terminal) -> bool:
    """Whether there is somebody to watch who has not asked for peace."""
    return terminal.styled and os.environ.get("PYINFRA_PROGRESS", "").lower() not in ("off", "0", "no", "false")


class LiveLine:
    """Shows how many hosts are done and under way, the slowest by name, and the time it takes.

    It is told of the work by :meth:`begin`, :meth:`host_begins`, :meth:`host_ends` and :meth:`end`; the engine's events
    call them too, as it is a callback handler. The line is drawn by rich, which is loaded when the first piece of work
    has been under way for a while.

    Args:
        terminal: where it is shown
        by_operation: whether hosts go through the operations together, so that each is a piece of work; else all are
    """

    def __init__(self, terminal: Terminal, by_operation: bool = True) -> None:
        self.terminal = terminal
        self.by_operation = by_operation
        self.shown = False
        self._live: Live | None = None
        self._drawer: gevent.Greenlet | None = None
        self._title = ""
        self._total = 0
        self._done = 0
        self._began_at = 0.0
        # Those under way, longest first, with the time at which they began
        self._running: dict[Any, float] = {}

    # What is under way

    def begin(self, title: str, total: int) -> None:
        """Some work on ``total`` hosts begins."""
        self._title, self._total, self._done = title, total, 0
        self._running.clear()
        self._began_at = time.monotonic()
        if self._drawer is None:
            self._drawer = gevent.spawn(self._keep_drawn)

    def host_begins(self, item: Any) -> None:
        """A host has got its turn."""
        self._running.setdefault(item, time.monotonic())

    def host_ends(self, item: Any) -> None:
        """A host is done."""
        self._running.pop(item, None)
        self._done += 1

    def end(self) -> None:
        """All hosts are done, or the work has ended otherwise: the line goes away."""
        if self._drawer is not None:
            self._drawer.kill(block=False)
            self._drawer = None
        self._hide()

    @contextmanager
    def work(self, title: str, total: int) -> Iterator[None]:
        """Within the ``with`` block, some work on ``total`` hosts is under way."""
        self.begin(title, total)
        try:
            yield
        finally:
            self.end()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within the ``with`` block the line is away, as while somebody is asked something."""
        was_drawing = self._drawer is not None
        if self._drawer is not None:
            self._drawer.kill(block=False)
            self._drawer = None
        self._hide()
        try:
            yield
        finally:
            if was_drawing:
                self._drawer = gevent.spawn(self._keep_drawn)

    @contextmanager
    def spinner(self, items: list[Any], message: str) -> Iterator[Callable[[Any], None]]:
        """For :func:`pyinfra.progress.set_spinner`: a piece of work that deploy code or a connector tells of."""
        before = (self._title, self._total, self._done, self._began_at, self._running)
        outermost = self._drawer is None
        self._running = {}
        self.begin(message, len(items))
        for item in items:
            self.host_begins(item)
        try:
            yield self.host_ends
        finally:
            if outermost:
                self.end()
            self._title, self._total, self._done, self._began_at, self._running = before

    # Events of the engine

    def host_before_connect(self, state: State, host: Host) -> None:
        """A host is about to be connected."""
        if state.current_stage == StateStage.Connect:
            self.host_begins(host.name)

    def host_connect(self, state: State, host: Host) -> None:
        """A host is connected."""
        if state.current_stage == StateStage.Connect:
            self.host_ends(host.name)

    def host_connect_error(self, state: State, host: Host, error: Exception) -> None:
        """A host could not be connected."""
        if state.current_stage == StateStage.Connect:
            self.host_ends(host.name)

    def operation_start(self, state: State, op_hash: str) -> None:
        """An operation begins."""
        if not self.by_operation:
            return
        op_meta = state.op_meta[op_hash]
        hosts = sum(op_hash in state.ops[host] for host in state.active_hosts)
        self.begin(", ".join(sorted(op_meta.names)), 1 if op_meta.global_arguments.get("_run_once") else hosts)

    def operation_host_start(self, state: State, host: Host, op_hash: str) -> None:
        """An operation begins on a host."""
        self.host_begins(host.name)

    def operation_host_success(
        self,
        state: State,
        host: Host,
        op_hash: str,
        retry_count: int = 0,
    ) -> None:
        """An operation has ended on a host."""
        self._operation_ends(state, host, op_hash)

    def operation_host_skipped(self, state: State, host: Host, op_hash: str) -> None:
        """An operation has ended on a host."""
        self._operation_ends(state, host, op_hash)

    def operation_host_error(
        self,
        state: State,
        host: Host,
        op_hash: str,
        retry_count: int = 0,
        max_retries: int = 0,
    ) -> None:
        """An operation has ended on a host."""
        self._operation_ends(state, host, op_hash)

    def _operation_ends(self, state: State, host: Host, op_hash: str) -> None:
        # A callback that calls operations goes on after each of them
        if state.op_meta[op_hash].parent_op_hash is None:
            self.host_ends(host.name)

    def operation_end(self, state: State, op_hash: str) -> None:
        """An operation has ended everywhere."""
        if self.by_operation:
            self.end()

    # Drawing

    def text(self) -> str:
        """The line as it is now."""
        now = time.monotonic()
        parts = [f"{self._done}/{self._total} done", f"{now - self._began_at:.0f}s"]
        if self._running:
            parts.insert(1, f"{len(self._running)} under way")
        slow = [
            f"{name} {now - began_at:.0f}s"
            for name, began_at in self._first_running(_SLOWEST_NAMED)
            if now - began_at >= _SECONDS_UNTIL_SLOW
        ]
        slowest = f" (slowest: {', '.join(slow)})" if slow else ""
        return f"    {self._title}: {', '.join(parts)}{slowest}"

    def _first_running(self, count: int) -> list[tuple[Any, float]]:
        return [item for item, _ in zip(self._running.items(), range(count), strict=False)]

    def _keep_drawn(self) -> None:
        gevent.sleep(_SECONDS_UNTIL_SHOWN)
        # It is killed only when it next waits, which may be after its line was taken away
        while self._drawer is gevent.getcurrent():
            self._draw()
            gevent.sleep(_SECONDS_BETWEEN_DRAWINGS)

    def _draw(self) -> None:
        from rich.text import Text

        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            console = Console(file=self.terminal.stream, force_terminal=True, highlight=False)
            self._live = Live(
                console=console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=sys.stdout.isatty(),
                vertical_overflow="crop",
            )
        if not self.shown:
            self._live.start()
            self.shown = True
        self._live.update(Text(self.text(), style="dim", no_wrap=True, overflow="ellipsis"), refresh=True)

    def _hide(self) -> None:
        if self.shown and self._live is not None:
            self.shown = False
            self._live.stop()

    def write_above(self, text: str) -> None:
        """Write text for the terminal; the line is drawn again below it."""
        assert self._live is not None
        from rich.text import Text

        shown = Text.from_ansi(text.removesuffix("\n"), no_wrap=True, overflow="ignore")
        self._live.console.print(shown, crop=False, soft_wrap=True)
