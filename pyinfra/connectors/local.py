"""This machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pyinfra.api.command import QuoteString, StringCommand
from pyinfra.api.exceptions import InventoryError

from .session import SessionConnector, rsync_path

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pyinfra.api.arguments import ConnectorArguments


class LocalConnector(SessionConnector):
    """Run on this machine: ``@local``."""

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield the one host."""
        if name is not None:
            raise InventoryError("Cannot have more than one @local")
        yield "@local", {}, ["@local"]

    def shell_argv(self) -> list[str]:
        """The shell itself."""
        return ["sh"]

    def check_can_rsync(self) -> None:
        """Raise :class:`NotImplementedError` where there is no rsync."""
        if not shutil.which("rsync"):
            raise NotImplementedError("The `rsync` binary is not available on this system.")

    def rsync(
        self,
        src: str,
        dest: str,
        flags: Iterable[str],
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Unpack[ConnectorArguments],
    ) -> bool:
        """Copy the folder ``src`` to ``dest``; returns ``True``, or raises ``OSError`` with what rsync said."""
        command = StringCommand("rsync", *flags, *(QuoteString(rsync_path(path)) for path in (src, dest)))
        success, output = self.run_shell_command(command, print_output, print_input, **arguments)
        if not success:
            raise OSError(output.stderr or f"rsync from {src} to {dest} failed")
        return True
