"""The options of the command line as data, and how their help is laid out. Imports nothing but click."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Options:
    """What stood on the command line; ``given`` names what did, so that the rest yields to ``config.py``."""

    inventory: str
    operations: tuple[str, ...]
    given: frozenset[str]
    verbosity: int
    dry: bool
    diff: bool
    yes: bool
    limit: tuple[str, ...]
    exclude: tuple[str, ...]
    fail_percent: int | None
    data: tuple[str, ...]
    group_data: tuple[str, ...]
    config: str
    chdir: str | None
    sudo: bool
    sudo_user: str | None
    same_sudo_password: bool
    use_sudo_password: bool
    use_sudo_login: bool
    su_user: str | None
    dzdo: bool
    dzdo_user: str | None
    shell_executable: str | None
    parallel: int | None
    no_wait: bool
    serial: bool
    retry: int
    retry_delay: int
    ssh_user: str | None
    ssh_port: int | None
    ssh_key: str | None
    ssh_key_password: str | None
    ssh_password: str | None
    ssh_password_prompt: bool
    debug: bool
    debug_all: bool
    debug_facts: bool
    debug_operations: bool
    json: bool


class TitledOption(click.Option):
    """An option that knows under which title the help shows it."""

    def __init__(self, *args: Any, title: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = title


class ActionOption(TitledOption):
    """An option that is a command of its own: it needs no arguments, and the process ends after it.

    ``action`` is called with the context and with all that was given, by the options' names.
    """

    def __init__(self, *args: Any, action: Callable[[click.Context, Mapping[str, Any]], None], **kwargs: Any) -> None:
        super().__init__(*args, is_eager=True, expose_value=False, **kwargs)
        self.action = action

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """Act if it was given."""
        result = super().handle_parse_result(ctx, opts, args)
        if self.name in opts and not ctx.resilient_parsing:
            self.action(ctx, opts)
            ctx.exit()
        return result


class Number(click.IntRange):
    """An integer within limits."""

    name = "integer"


COUNT = Number(min=0)
PERCENT = Number(0, 100)
PORT = Number(1, 65535)

RUN = "What is run, and where"
INPUT = "Configuration and data"
STRATEGY = "Strategy"
ELEVATION = "Privileges and shell"
SSH = "SSH"
OUTPUT = "Output"
ABOUT = "About"
# As the help shows them
TITLES = (RUN, INPUT, STRATEGY, ELEVATION, SSH, OUTPUT, ABOUT)


class TitledCommand(click.Command):
    """A command whose help shows its options under their titles."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one definition list per title."""
        titles: dict[str, list[tuple[str, str]]] = {title: [] for title in TITLES}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                titles[getattr(parameter, "title", ABOUT)].append(record)
        for title, records in titles.items():
            with formatter.section(title):
                formatter.write_dl(records)


def option(title: str, *names: str, **settings: Any) -> Callable[[Function], Function]:
    """Like :func:`click.option`, for one shown under ``title``; with an ``action``, it is a command of its own."""
    cls = ActionOption if "action" in settings else TitledOption
    return click.option(*names, cls=cls, title=title, **settings)
