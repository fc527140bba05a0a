"""What connectors share, under the names that connector packages import."""

from __future__ import annotations

from .commandline import extract_control_arguments, make_unix_command
from .commandoutput import CommandOutput, OutputLine
from .localprocess import read_output_buffers, run_local_process, write_stdin
from .passwords import execute_command_with_sudo_retry, make_unix_command_for_host, remove_askpass_files

__all__ = [
    "CommandOutput",
    "OutputLine",
    "execute_command_with_sudo_retry",
    "extract_control_arguments",
    "make_unix_command",
    "make_unix_command_for_host",
    "read_output_buffers",
    "remove_askpass_files",
    "run_local_process",
    "write_stdin",
]
