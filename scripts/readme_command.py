"""Print one of the README's two commands, so that CI runs what the README says: ``readme_command.py deploy|tests``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
NAMES = ("deploy", "tests")


def readme_commands(text: str) -> dict[str, str]:
    """The README's first two blocks of shell, by name."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return {name: block.strip() for name, block in zip(NAMES, blocks, strict=False)}


if __name__ == "__main__":
    print(readme_commands(README.read_text(encoding="utf-8"))[sys.argv[1]])
