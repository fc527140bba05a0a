"""What the tests of the engine share."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..support.deploys import Deploys


@pytest.fixture
def deploys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deploys:
    """Runs deploy code as the command line does."""
    return Deploys(tmp_path, monkeypatch)
