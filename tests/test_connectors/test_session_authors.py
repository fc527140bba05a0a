"""What the authors of connectors over the session are told where they have made a mistake."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pyinfra.connectors.session import SessionConnector
from tests.support.hosts import why_not

HERE = "@tests.test_connectors.test_session_authors"


class Speechless(SessionConnector):
    """Says of no program that it ends in a shell."""

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        yield f"@authors/{name}", {}, []


class OneWord(Speechless):
    """Says it as a text."""

    def shell_argv(self) -> Any:
        return "sh"


class NoWord(Speechless):
    """Forgets to return what it says."""

    def shell_argv(self) -> Any:
        pass


WORDS = '["chroot", "/srv", "sh"]'


@pytest.mark.parametrize(
    ("cls", "why"),
    [
        (
            "Speechless",
            f"NotImplementedError: Speechless lacks shell_argv(): which program ends in sh, as {WORDS}",
        ),
        ("OneWord", f"TypeError: OneWord.shell_argv() gives a list of words, as {WORDS}, but gave str"),
        ("NoWord", f"TypeError: NoWord.shell_argv() gives a list of words, as {WORDS}, but gave NoneType"),
    ],
)
def test_authors_are_told_what_shell_argv_should_give(cls: str, why: str) -> None:
    assert why_not(f"{HERE}:{cls}/x") == f"{cls}.connect failed: {why}"
