"""Values that commands and files need but that nobody should see."""

from __future__ import annotations


class HiddenValue:
    """A secret: sent to the host as it is, shown everywhere else as ``masked_value``.

    Subclasses override :meth:`unmask` to fetch the secret when it is needed.
    """

    def __init__(self, content: str = "", masked_value: str = "*MASKED*") -> None:
        self._content = content
        self.masked_value = masked_value

    def unmask(self) -> str:
        """The secret itself."""
        return self._content

    def __str__(self) -> str:
        return self.masked_value

    def __repr__(self) -> str:
        return f"HiddenValue({self.masked_value})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HiddenValue) and self.unmask() == other.unmask()

    def __hash__(self) -> int:
        return hash(self.masked_value)
