"""What all tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from typing import Any

import pytest

from tests.support.users import remove_orphans

SKIPS_FAIL = os.environ.get("CI") == "true"

# Who runs the tests in the background has them ignore these, and so would all servers that they start
for _ignored in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(_ignored) == signal.SIG_IGN:
        signal.signal(_ignored, signal.SIG_DFL)


def pytest_sessionstart() -> None:
    """Remove what earlier tests that were killed left in the machine's accounts."""
    if os.geteuid() == 0:
        remove_orphans()


def _without_skip(report: Any) -> Any:
    """The report of a test or module, a skip turned into a failure where everything has to run."""
    if SKIPS_FAIL and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason} (CI has to run every test: install what is missing in .ci/run)"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Have a test that was skipped fail in CI."""
    return _without_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    """Have a module that was skipped fail in CI."""
    return _without_skip((yield))
