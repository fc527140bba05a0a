"""``pyinfra``: reads the options, and only then loads what a run needs."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Any

import click
from click.core import ParameterSource

from . import open_standard_streams, prepare_process
from .options import (
    ABOUT,
    COUNT,
    ELEVATION,
    INPUT,
    OUTPUT,
    PERCENT,
    PORT,
    RUN,
    SSH,
    STRATEGY,
    Options,
    TitledCommand,
    option,
)


def _show_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    """Print the version and end."""
    if wanted and not ctx.resilient_parsing:
        from pyinfra.version import __version__

        click.echo(f"pyinfra: v{__version__}")
        ctx.exit()


def _show_support(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    """Print what a bug report should contain and end."""
    if wanted and not ctx.resilient_parsing:
        prepare_process()

        from .support import support_text

        click.echo(support_text(), err=True)
        ctx.exit()


def _show_connectors(_ctx: click.Context, given: Mapping[str, Any]) -> None:
    """Show the connectors that are installed."""
    prepare_process()

    from .connector_list import show_connectors

    show_connectors(as_json=bool(given.get("json")))


def _write_connector(_ctx: click.Context, given: Mapping[str, Any]) -> None:
    """Write a package with a connector."""
    prepare_process()

    from .new_connector import write_package

    write_package(given["new_connector"], given.get("kind"), given.get("chdir"))


def _kind_alone(_ctx: click.Context, _parameter: click.Parameter, kind: str | None) -> None:
    """With --new-connector the process has ended before this."""
    if kind is not None:
        raise click.UsageError("--kind is for --new-connector NAME, which is missing")


@click.command(
    cls=TitledCommand,
    context_settings={"help_option_names": ["--help"], "max_content_width": 110},
    epilog="Documentation of one operation or fact: python -m pydoc pyinfra.operations.files",
)
@click.argument("inventory", nargs=1, required=True)
@click.argument("operations", nargs=-1, required=True)
@option(OUTPUT, "-v", "verbosity", count=True, help="-v: facts and no-ops; -vv: commands too; -vvv: their output too.")
@option(RUN, "--dry", is_flag=True, default=False, help="Show the changes and end.")
@option(OUTPUT, "--diff", is_flag=True, default=False, help="Show how the text files that change will change.")
@option(
    RUN,
    "-y",
    "--yes",
    is_flag=True,
    default=False,
    envvar="PYINFRA_YES",
    help="Run without detecting changes first, and without asking. [env: PYINFRA_YES]",
)
@option(RUN, "--limit", multiple=True, help="Only these hosts: a name, a glob or a group; repeatable.")
@option(RUN, "--exclude", multiple=True, help="Not these hosts, after --limit; repeatable.")
@option(
    STRATEGY, "--fail-percent", type=PERCENT, help="Go on, without asking, until more than N % of the hosts failed."
)
@option(INPUT, "--data", multiple=True, metavar="KEY=VALUE", help="Data that overrides all other; repeatable.")
@option(INPUT, "--group-data", multiple=True, metavar="PATH", help="A folder of group data, or a file; repeatable.")
@option(INPUT, "--config", default="config.py", show_default=True, help="The file that sets the configuration.")
@option(INPUT, "--chdir", metavar="FOLDER", help="The working directory, before anything else is read.")
@option(ELEVATION, "--sudo", is_flag=True, default=False, help="Run operations with sudo.")
@option(ELEVATION, "--sudo-user", help="The user that sudo runs as; with --sudo.")
@option(ELEVATION, "--same-sudo-password", is_flag=True, default=False, help="Ask once for all hosts' sudo password.")
@option(
    ELEVATION,
    "--use-sudo-password",
    is_flag=True,
    default=False,
    help="No effect: a host whose sudo needs a password is asked for it anyway.",
)
@option(ELEVATION, "--use-sudo-login", is_flag=True, default=False, help="Run in a log-in shell of sudo's user.")
@option(ELEVATION, "--su-user", help="Run operations with su, as this user.")
@option(ELEVATION, "--dzdo", is_flag=True, default=False, help="Run operations with dzdo.")
@option(ELEVATION, "--dzdo-user", help="The user that dzdo runs as; with --dzdo.")
@option(ELEVATION, "--shell-executable", help="The shell that runs commands; None: no shell of ours.")
@option(STRATEGY, "--parallel", type=COUNT, help="How many hosts to work on at once; 0: all.")
@option(STRATEGY, "--no-wait", is_flag=True, default=False, help="Hosts don't wait for each other between operations.")
@option(STRATEGY, "--serial", is_flag=True, default=False, help="Run all operations host by host.")
@option(STRATEGY, "--retry", type=COUNT, default=0, show_default=True, help="How often to retry a failed operation.")
@option(STRATEGY, "--retry-delay", type=COUNT, default=5, show_default=True, help="Seconds between retries.")
@option(SSH, "--ssh-user", "--user", "ssh_user", help="The user to log in as.")
@option(SSH, "--ssh-port", "--port", "ssh_port", type=PORT, help="The port of the SSH server.")
@option(SSH, "--ssh-key", "--key", "ssh_key", type=click.Path(), help="The private key file.")
@option(SSH, "--ssh-key-password", "--key-password", "ssh_key_password", help="The private key's passphrase.")
@option(SSH, "--ssh-password", "--password", "ssh_password", help="The password to log in with.")
@option(SSH, "--ssh-password-prompt", is_flag=True, default=False, help="Ask for the password to log in with.")
@option(
    ABOUT,
    "--support",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_support,
    help="Show what a bug report should contain.",
)
@option(OUTPUT, "--debug", is_flag=True, default=False, help="Show pyinfra's log messages, and tracebacks.")
@option(OUTPUT, "--debug-all", is_flag=True, default=False, help="Show the log messages of all libraries.")
@option(OUTPUT, "--debug-facts", is_flag=True, default=False, help="Prepare, show the facts read, and end.")
@option(OUTPUT, "--debug-operations", is_flag=True, default=False, help="Prepare, show the operations, and end.")
@option(
    OUTPUT,
    "--json",
    is_flag=True,
    default=False,
    help="Write results as JSON to standard output; never ask. Changes need -y.",
)
@option(
    ABOUT,
    "--connectors",
    is_flag=True,
    action=_show_connectors,
    help="Show the connectors that are installed, and what is broken; with --json for programs.",
)
@option(
    ABOUT,
    "--new-connector",
    metavar="NAME",
    action=_write_connector,
    help="Write a package with a connector, in a new folder pyinfra-NAME.",
)
@option(
    ABOUT,
    "--kind",
    metavar="KIND",
    expose_value=False,
    callback=_kind_alone,
    help="Of --new-connector: inventory, execution (the default) or both.",
)
@option(
    ABOUT,
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version.",
)
@click.pass_context
def cli(ctx: click.Context, /, **values: Any) -> None:
    """Bring hosts into a state, run commands on them, or read facts of them.

    INVENTORY is an inventory file, host names separated by commas, @connector or @connector/name, or a Python
    attribute (package.module.attribute or module:attribute).

    \b
    OPERATIONS is one of:
      deploy.py ...                         run deploy files
      module.operation arg key=value ...    run one operation
      exec -- COMMAND                       run a shell command
      fact module.Fact key=value ...        read facts
      debug-inventory                       show hosts, groups and data
      check-connector                       hold connectors to the connector contract

    \b
    Examples:
      pyinfra inventory.py deploy.py
      pyinfra web1,web2 --sudo -y files.directory /srv/site mode=755
      pyinfra @local exec -- uname -a
      pyinfra @ssh/web1 --user admin fact server.LinuxName
    """
    given = frozenset(
        name
        for name in values
        if ctx.get_parameter_source(name) not in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
    )
    options = Options(given=given, **values)
    prepare_process()

    from .run import run

    ctx.exit(run(options))


def main() -> None:
    """Run the command line of this process; ends with :class:`SystemExit`."""
    open_standard_streams()
    try:
        cli(prog_name="pyinfra")
    finally:
        # Where KeyboardInterrupt has left code that exec() got as text, such as a dataclass's methods, Python ends the
        # process by the signal, whatever the exit code; unless more such code has run since
        exec("")
        # At its end Python looks for cycles among all that a run has left behind, for nothing: the process is over
        gc.freeze()
