"""One run of the command line, from the configuration to the exit code."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.operations import run_ops
from pyinfra.api.state import State, StateStage
from pyinfra.context import ctx_state
from pyinfra.progress import set_spinner

from . import EXIT_INTERRUPTED
from .commands import (
    CallOperation,
    CheckConnector,
    Command,
    DebugInventory,
    DeployFiles,
    Execute,
    ShowFacts,
    parse_command,
    repeated_folder_removed,
)
from .exceptions import CliError, WrappedError, unexpected_error
from .interrupts import Interrupts
from .inventory import limit_hosts, load_inventory
from .live import LiveLine, wants_live_line
from .prepare import Preparation, read_facts
from .prints import jsonify, print_fact_data, print_inventory, print_meta
from .process import process_set_up
from .prompt import NoAnswer, ask
from .render_json import (
    FactCollector,
    inventory_as_data,
    operations_as_data,
    plan_as_data,
    run_as_data,
    write_json,
)
from .render_text import TextRenderer
from .results import outputs_without_hosts, show_early_end, show_results
from .settings import apply_options, load_config, override_data
from .terminal import Terminal

if TYPE_CHECKING:
    from pyinfra.api.host import Host
    from pyinfra.api.inventory import Inventory

    from .options import Options

logger = logging.getLogger("pyinfra")

EXIT_FAILED = 1


class _Ended(Exception):
    """The run ends here, and well."""


def run(options: Options) -> int:
    """Run what the options say; returns the exit code.

    Raises:
        click.ClickException: the run ended with an error to show
    """
    terminal = Terminal()
    interrupts = Interrupts(terminal)
    try:
        with process_set_up(options, terminal):
            return _Run(options, terminal, interrupts).to_exit_code()
    except KeyboardInterrupt:
        # It came when the run had just ended
        interrupts.restore()
        return EXIT_INTERRUPTED
    except PyinfraError as error:
        raise WrappedError(error) from error
    except Exception as error:
        if type(error).__module__.startswith(("click.", "pyinfra_cli.")):
            raise
        raise unexpected_error(error) from error
    finally:
        terminal.close()


class _Run:
    """The stages of one run, in order."""

    def __init__(self, options: Options, terminal: Terminal, interrupts: Interrupts) -> None:
        self.options = options
        self.terminal = terminal
        self.interrupts = interrupts
        self.state = State(check_for_changes=options.dry or not options.yes)
        self.facts = FactCollector()

    def to_exit_code(self) -> int:
        """Run; returns the exit code."""
        ctx_state.set_base(self.state)
        with self.interrupts:
            try:
                self._run()
            except _Ended:
                pass
            except KeyboardInterrupt:
                self._say_interrupted()
            except (PyinfraError, WrappedError) as error:
                if not self.interrupts.happened:
                    raised = error.exception if isinstance(error, WrappedError) else error
                    if raised.__cause__ is not None:
                        logger.debug("What led to the error below:", exc_info=raised)
                    raise
        if self.interrupts.happened:
            return EXIT_INTERRUPTED
        failed = self.state.initialised and (self.state.failed_hosts or self.state.connect_failures)
        return EXIT_FAILED if failed else 0

    def _say_interrupted(self) -> None:
        """Take note that ``KeyboardInterrupt`` was raised, and say it unless it was said when the key was pressed."""
        self.interrupts.raised()
        if self.interrupts.was_told:
            return
        self.interrupts.was_told = True
        # Behind the ^C that the terminal shows
        self.terminal.line()
        self.terminal.line(f"    {self.terminal.style('Interrupted', fg='yellow')}")
        self.terminal.line()

    def _run(self) -> None:
        options, terminal = self.options, self.terminal
        command = parse_command(options.operations, logger.warning, options.chdir)

        terminal.stage("Loading config...")
        config = load_config(options)
        apply_options(options, config, terminal)

        terminal.stage("Loading inventory...")
        source = repeated_folder_removed(options.inventory, logger.warning, options.chdir)
        inventory = load_inventory(source, override_data(options, terminal), options.group_data)
        limit = limit_hosts(inventory, options.limit, options.exclude)
        hosts = list(inventory) if limit is None else limit
        if not hosts:
            self._end_without_hosts(command)

        self.state.init(inventory, config, initial_limit=limit)
        self._set_up_state(command)
        ended_well = False
        try:
            if isinstance(command, DebugInventory):
                self._show_inventory(inventory, hosts)
            else:
                with self._failures_shown(command):
                    self._connect(hosts)
                if isinstance(command, ShowFacts):
                    self._show_facts(command)
                elif isinstance(command, CheckConnector):
                    self._check_connector()
                else:
                    with self._failures_shown(command):
                        self._prepare(command)
                    self._plan_and_execute(command)
            ended_well = not self.interrupts.happened
        except _Ended:
            ended_well = True
            raise
        except KeyboardInterrupt:
            self._say_interrupted()
            raise _Ended from None
        finally:
            if not ended_well:
                # Connectors look here, at their end, for whether all went well on their host
                self.state.failed_hosts |= self.state.active_hosts
            self._disconnect()

    def _end_without_hosts(self, command: Command) -> None:
        """Nothing to do, which is no error."""
        logger.warning("No hosts to work on: the inventory has none, or --limit and --exclude leave none")
        if self.options.json:
            for output in outputs_without_hosts(command, self.options):
                write_json(self.terminal, output)
        raise _Ended

    def _set_up_state(self, command: Command) -> None:
        options, state = self.options, self.state
        verbosity = options.verbosity
        ctx_state.set_base(state)
        state.cwd = os.getcwd()
        state.print_fact_info = verbosity >= 1 or isinstance(command, ShowFacts)
        state.print_noop_info = verbosity >= 1
        state.print_input = state.print_fact_input = verbosity >= 2
        state.print_fact_output = verbosity >= 3
        state.print_output = verbosity >= 3 or isinstance(command, Execute)
        state.add_callback_handler(TextRenderer(self.terminal, options.no_wait and not options.serial))
        if options.debug_facts:
            state.add_callback_handler(self.facts)
        by_operation = not (options.no_wait or options.serial)
        if not options.json and wants_live_line(self.terminal):
            live = self.terminal.live = LiveLine(self.terminal, by_operation)
            set_spinner(live.spinner)
            # Before the lines that tell of an operation's end, so that it is not drawn again between them
            state.callback_handlers.insert(0, live)
        changes_by_plan = isinstance(command, (DeployFiles, CallOperation))
        if changes_by_plan and not (options.yes or options.json):
            state.should_raise_failed_hosts = self._should_stop

    # Stages

    def _show_inventory(self, inventory: Inventory, hosts: list[Host]) -> None:
        if self.options.json:
            write_json(self.terminal, inventory_as_data(hosts))
        else:
            print_inventory(inventory, hosts)

    @contextmanager
    def _failures_shown(self, command: Command) -> Iterator[None]:
        """Around what comes before the operations: if hosts that fail there end the run, it is told which and why."""
        try:
            yield
        except Exception:
            if (self.state.failures or self.state.connect_failures) and not self.interrupts.happened:
                show_early_end(self.state, self.terminal, self.options, command)
            raise

    def _connect(self, hosts: list[Host]) -> None:
        self.terminal.stage("Connecting to hosts...")
        self.state.set_stage(StateStage.Connect)
        live = self.terminal.live
        try:
            with live.work("Connecting", len(hosts)) if live is not None else nullcontext():
                connect_all(self.state)
        finally:
            self.terminal.line()

    def _show_facts(self, command: ShowFacts) -> None:
        self.terminal.stage("Gathering facts...")
        self.state.set_stage(StateStage.Prepare)
        try:
            values = read_facts(self.state, command.facts, self.terminal.live)
        finally:
            self.terminal.line()
        if self.options.json:
            write_json(self.terminal, values)
            return
        for title, by_host in values.items():
            print_fact_data(title, by_host)

    def _check_connector(self) -> None:
        from .check_connector import check_hosts, outcomes_as_data, raise_if_broken

        self.terminal.stage("Checking connectors...")
        # Rules connect, fail and lose connections on purpose
        self.state.callback_handlers.clear()
        outcomes = check_hosts(self.state, self.terminal)
        if self.options.json:
            write_json(self.terminal, outcomes_as_data(outcomes))
        raise_if_broken(outcomes)

    def _prepare(self, command: Command) -> None:
        preparation = Preparation(self.state, self.terminal)
        self.state.set_stage(StateStage.Prepare)
        try:
            if isinstance(command, DeployFiles):
                self.terminal.stage("Preparing operation files...")
                preparation.deploy_files(command)
            elif isinstance(command, CallOperation):
                self.terminal.stage("Preparing operation func...")
                preparation.operation(command)
            elif isinstance(command, Execute):
                self.terminal.stage("Preparing exec operation...")
                preparation.shell_command(command)
        finally:
            self.terminal.line()

    def _plan_and_execute(self, command: Command) -> None:
        options, state, terminal = self.options, self.state, self.terminal
        if options.debug_facts:
            self._show_data(self.facts.values)
        if options.debug_operations:
            self._show_data(operations_as_data(state))
        if options.debug_facts or options.debug_operations:
            return
        never_asks = options.yes or isinstance(command, Execute)
        plan = plan_as_data(state) if options.json else []
        if options.json:
            if options.dry or not never_asks:
                write_json(terminal, run_as_data(state, plan, None))
                return
        elif options.yes and not options.dry and not isinstance(command, Execute):
            terminal.stage("Skipping change detection")
        elif options.dry or not never_asks:
            self._show_changes()
            if options.dry:
                return
            self._ask_to_execute()
        self._execute(command, plan)

    def _show_data(self, data: Any) -> None:
        if self.options.json:
            write_json(self.terminal, data)
        else:
            self.terminal.line(jsonify(data, indent=4))
            self.terminal.line()

    def _show_changes(self) -> None:
        self.terminal.stage("Detected changes:")
        print_meta(self.state)
        self.terminal.line("    Changes that only show once others are made are not among these: more may follow.")
        self.terminal.line()

    def _ask_to_execute(self) -> None:
        """Wait for Enter; anything else ends the run."""
        terminal = self.terminal
        warnings = self.state.get_warning_counter()
        if warnings:
            text = f"{warnings} warnings shown during change detection, see above"
            terminal.line(f"    {terminal.style(text, fg='yellow')}")
        terminal.line("    Detected changes displayed above, skip this step with -y")
        try:
            answer = ask(terminal, "Press enter to execute...")
        except NoAnswer:
            raise CliError("Standard input ended before somebody pressed Enter: use -y to run without asking") from None
        terminal.line()
        if answer:
            terminal.line(f"    Unexpected user input: {answer}")
            terminal.line()
            raise _Ended

    def _execute(self, command: Command, plan: list[dict[str, Any]]) -> None:
        state = self.state
        self.terminal.stage("Beginning operation run...")
        state.set_stage(StateStage.Execute)
        live = self.terminal.live
        if live is not None and not live.by_operation:
            live.begin("Operations", sum(len(state.ops[host]) for host in state.active_hosts))
        self.interrupts.operations_begin(state, kill_first=isinstance(command, Execute))
        try:
            run_ops(state, serial=self.options.serial, no_wait=self.options.no_wait)
        finally:
            self.interrupts.ending_begins()
            if live is not None:
                live.end()
            state.kill_greenlets()
            if self.options.no_wait and not self.options.serial:
                self.terminal.line()
            show_results(state, self.terminal, self.options.json, plan)

    def _disconnect(self) -> None:
        """Disconnect, whatever happened; after the second Ctrl-C, within the time that is left."""
        state = self.state
        self.interrupts.ending_begins()
        self.terminal.stage("Disconnecting from hosts...")
        self.terminal.flush()
        with suppress(PyinfraError):
            state.set_stage(StateStage.Disconnect)
        with suppress(KeyboardInterrupt):
            if self.interrupts.happened:
                self.interrupts.end_all(state)
            disconnect_all(state)

    def _should_stop(self, state: State) -> bool:
        """Ask whether to go on without the hosts that failed."""
        if self.interrupts.happened:
            return False
        failed, left = len(state.failed_hosts), len(state.active_hosts)
        try:
            with self.interrupts.asking():
                answer = ask(self.terminal, f"Hosts that failed: {failed}, hosts left: {left}. Go on with those? [y/N]")
        except NoAnswer:
            return True
        except KeyboardInterrupt:
            self._say_interrupted()
            raise
        return answer.strip().lower() not in ("y", "yes")
