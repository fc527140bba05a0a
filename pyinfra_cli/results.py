"""What a run shows at its end, and where it ends before its operations run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .commands import CheckConnector, Command, DebugInventory, Execute, ShowFacts
from .prints import print_failures, print_results
from .render_json import results_as_data, run_as_data, write_json

if TYPE_CHECKING:
    from pyinfra.api.state import State

    from .options import Options
    from .terminal import Terminal


def outputs_without_hosts(command: Command, options: Options) -> list[Any]:
    """What ``--json`` writes, one after the other, where there is no host to say anything of."""
    if isinstance(command, DebugInventory):
        return [[]]
    if isinstance(command, ShowFacts):
        return [{fact.title: {} for fact in command.facts}]
    if isinstance(command, CheckConnector):
        return [{}]
    debugged: list[Any] = [{}] if options.debug_facts else []
    if options.debug_operations:
        debugged.append({"operations": {}, "op_meta": {}, "op_order": []})
    return debugged or [{"plan": [], "results": None}]


def show_results(state: State, terminal: Terminal, as_json: bool, plan: list[dict[str, Any]]) -> None:
    """Show what became of the operations, and of the hosts that failed."""
    terminal.stage("Results:")
    if as_json:
        write_json(terminal, run_as_data(state, plan, results_as_data(state)))
    else:
        print_results(state)
    print_failures(state)


def show_early_end(state: State, terminal: Terminal, options: Options, command: Command) -> None:
    """Show how far a run came that hosts ended by failing while they were connected or prepared."""
    if isinstance(command, (ShowFacts, CheckConnector)):
        if options.json:
            for output in outputs_without_hosts(command, options):
                write_json(terminal, output)
        return
    changes_nothing = options.dry or (options.json and not (options.yes or isinstance(command, Execute)))
    if options.debug_facts or options.debug_operations or (changes_nothing and not options.json):
        print_failures(state)
    elif changes_nothing:
        write_json(terminal, run_as_data(state, [], None))
        print_failures(state)
    else:
        show_results(state, terminal, options.json, [])
