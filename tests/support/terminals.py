"""A terminal in which the command line runs, with somebody at it."""

from __future__ import annotations

import re
import sys

import pexpect

from .commandline import Folder

STYLES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """A terminal in which ``pyinfra`` runs."""

    def __init__(self, folder: Folder, *words: str, **environment: str) -> None:
        self.process = pexpect.spawn(
            sys.executable,
            ["-m", "pyinfra_cli", *words],
            cwd=str(folder.path),
            env={**folder.environment, "TERM": "xterm", **environment},
            encoding="utf-8",
            timeout=30,
            dimensions=(40, 100),
        )
        self.seen = ""
        # Whether the terminal shows what is typed once the run has ended
        self.echoes_at_the_end = False

    def wait_for(self, text: str) -> None:
        """Wait until a text is on the screen."""
        self.process.expect_exact(text)
        self.seen += self.process.before + text

    def wait_until_nothing_is_echoed(self) -> None:
        """Wait until a secret may be typed."""
        assert self.process.waitnoecho(timeout=30)

    def press_ctrl_c(self) -> None:
        """Press Ctrl-C."""
        self.process.sendintr()

    def end(self) -> int:
        """Wait for the end; returns the exit code."""
        self.process.expect(pexpect.EOF)
        self.seen += self.process.before
        self.echoes_at_the_end = self.process.getecho()
        self.process.close()
        assert self.process.exitstatus is not None, self.seen
        return self.process.exitstatus

    @property
    def lines(self) -> list[str]:
        """All lines that were ever on the screen, without styles."""
        return re.split(r"[\r\n]+", STYLES.sub("", self.seen))
