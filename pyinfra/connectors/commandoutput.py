"""A command's output: lines of standard output and standard error, in the order in which they came."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class OutputLine:
    """One line of output, without its newline; ``buffer_name`` is ``stdout`` or ``stderr``."""

    buffer_name: str
    line: str


@dataclass(slots=True)
class CommandOutput:
    """All output of a command, in the order in which it came, and its exit code where the connector knows that."""

    combined_lines: list[OutputLine]
    exit_code: int | None = field(default=None, compare=False)

    def _lines_of(self, buffer_name: str) -> list[str]:
        return [line.line for line in self.combined_lines if line.buffer_name == buffer_name]

    def __str__(self) -> str:
        return self.output

    @property
    def output_lines(self) -> list[str]:
        """All lines, of standard output and standard error."""
        return [line.line for line in self.combined_lines]

    @property
    def output(self) -> str:
        """All output as one text."""
        return "\n".join(self.output_lines)

    @property
    def stdout_lines(self) -> list[str]:
        """The lines of standard output."""
        return self._lines_of("stdout")

    @property
    def stdout(self) -> str:
        """Standard output as one text."""
        return "\n".join(self.stdout_lines)

    @property
    def stderr_lines(self) -> list[str]:
        """The lines of standard error."""
        return self._lines_of("stderr")

    @property
    def stderr(self) -> str:
        """Standard error as one text."""
        return "\n".join(self.stderr_lines)
