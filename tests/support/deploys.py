"""Deploy code run as the command line runs it: a file per step, once per host, all hosts at once."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pyinfra
from pyinfra.api.connect import on_hosts
from pyinfra.context import ctx_host
from pyinfra.local import run_deploy_file

from .engine import Engine

_HEAD = "from pyinfra import config, host, inventory, local, state; from tests.support.engine import *\n"


class Deploys:
    """Runs pieces of deploy code over an engine, each as a file of its own."""

    def __init__(self, folder: Path, monkeypatch: Any) -> None:
        self.folder = folder
        self.count = 0
        monkeypatch.setattr(pyinfra, "is_cli", True)
        monkeypatch.chdir(folder)

    def run(self, engine: Engine, code: str) -> None:
        """Run a deploy file; line 1 of it is ours."""
        path = self.write(f"deploy{self.count}.py", code)
        engine.state.current_op_file_number = self.count
        engine.state.cwd = str(self.folder)
        self.count += 1
        on_hosts(engine.state, None, lambda: run_deploy_file(ctx_host.get(), str(path)))

    def write(self, name: str, code: str) -> Path:
        """A file of deploy code beside the others."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_HEAD + textwrap.dedent(code))
        return path


def order(engine: Engine) -> list[str]:
    """The names of all operations in the order in which they run."""
    return ["/".join(sorted(engine.state.op_meta[op_hash].names)) for op_hash in engine.state.get_op_order()]
