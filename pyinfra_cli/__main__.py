"""The command line as a process of its own: ``pyinfra``, and ``python -m pyinfra_cli``."""

from __future__ import annotations

from . import end_process_at_ctrl_c


def main() -> None:
    """Run the command line of this process; ends with :class:`SystemExit`."""
    end_process_at_ctrl_c()

    from .main import main as run_command_line

    run_command_line()


if __name__ == "__main__":
    main()
