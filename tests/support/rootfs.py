"""Whether root file systems can be made and entered here."""

from __future__ import annotations

import os
import shutil

import pytest


def require_root_and(*programs: str) -> None:
    """Skip unless this is root, and the programs are installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"needs root and {', '.join(missing or programs)}")
