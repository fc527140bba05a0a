"""The contract's rules about the connector itself: naming hosts, its data, connecting, facts in batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from typing_extensions import get_type_hints

from pyinfra.api.command import QuoteString, StringCommand
from pyinfra.api.connectors import split_connector_name
from pyinfra.api.exceptions import ConnectorDataTypeError, InventoryError
from pyinfra.api.host import HostData
from pyinfra.api.masking import MASK, is_secret_name
from pyinfra.connectors.base import host_to_connector_data
from pyinfra.connectors.session import SessionConnector

from .rules import Broken, NotApplicable, expect, expect_true, rule
from .target import Ran, Target

SECTION = "The connector"
FACTS = "Facts in batches"


@rule(SECTION)
def names_data_are_valid(target: Target) -> None:
    """``make_names_data`` yields tuples of a name, a mapping of data and a list of groups, the same each time."""
    name = target.host.name
    rest: Any = split_connector_name(name)[1] if name.startswith("@") else name
    make_names_data = target.host.connector_cls.make_names_data
    try:
        items = list(make_names_data(rest))
        again = list(make_names_data(rest))
    except InventoryError as error:
        raise NotApplicable(f"the host's name is not one that its connector expands: {error}") from error
    expect_true(items, "an item at least", items)
    for item in items:
        expect_true(isinstance(item, tuple) and len(item) == 3, "a tuple of three", item)
        host_name, data, groups = item
        expect_true(isinstance(host_name, str) and host_name, "a name that is a text and not empty", host_name)
        expect_true(isinstance(data, Mapping), "data that are a mapping", data)
        is_list = isinstance(groups, Iterable) and not isinstance(groups, (str, bytes))
        expect_true(is_list and all(isinstance(group, str) and group for group in groups), "a list of names", groups)
    expect([item[0] for item in again], [item[0] for item in items], "names at the second time")


@rule(SECTION)
def connector_data_are_typed(target: Target) -> None:
    """A value of the wrong type in the connector's data is an error that names host, key, value and type."""
    connector_cls = target.host.connector_cls
    types = get_type_hints(connector_cls.data_cls)
    expect(set(types) ^ set(connector_cls.data_meta), set(), "keys that have a type or a description, but not both")
    wrong = SimpleNamespace(contract=True)
    for key, meta in connector_cls.data_meta.items():
        expect_true(meta.description, f"a description of {key}", meta.description)
        if types[key] is Any:
            continue
        data = HostData(target.host, {key: wrong})
        try:
            host_to_connector_data(connector_cls.data_cls, connector_cls.data_meta, data)
        except ConnectorDataTypeError as error:
            value = MASK if is_secret_name(key) else repr(wrong)
            for word in (target.host.name, key, value):
                expect_true(word in str(error), f"{word} in the error", str(error))
        else:
            raise Broken(f"ConnectorDataTypeError for {key} = {wrong!r}", "no error")


@rule(SECTION)
def connections_can_be_renewed(target: Target) -> None:
    """After ``disconnect`` the host can be connected again, as often as one likes."""
    for _ in range(2):
        target.renew()
        target.expect_usable("connecting again")
    connector = target.host.connector
    connector.disconnect()
    connector.disconnect()
    connector.connect()
    target.expect_usable("disconnecting twice")


# How many children the command's shell, its parent, that one's and so on have together: it is there that what is left
# of earlier commands shows, apart from what else goes on on the host
_COUNT_SIBLINGS = r"""
cat /proc/[0-9]*/stat 2> /dev/null | sed 's/ (.*) / /' | awk -v process=$$ '
    { parent[$1] = $3; children[$3]++ }
    END {
        while ((process = parent[process]) > 1) sum += children[process]
        print sum + 0
    }'"""


@rule(SECTION)
def commands_leave_nothing_behind(target: Target) -> None:
    """Commands one after the other leave no processes of the connector's on the target."""
    if not target.run("test -r /proc/self/stat").success:
        raise NotApplicable("the host has no /proc to count processes in")
    count = 40
    before = int(target.line(_COUNT_SIBLINGS))
    for number in range(count):
        expect(target.line("echo", str(number)), str(number), "output")
    left = int(target.line(_COUNT_SIBLINGS)) - before
    expect_true(left < count // 2, f"no more processes after {count} commands", f"{left} more")


# Facts


def _batch(target: Target, *commands: tuple[StringCommand, dict[str, Any]]) -> list[Ran]:
    """What a batch of facts' commands gave.

    Raises:
        NotApplicable: the connector has no such thing, so that each is a command as any other
    """
    connector: Any = target.host.connector
    if not hasattr(connector, "run_fact_commands"):
        raise NotApplicable("the connector has no run_fact_commands: facts are commands as any other")
    batch = [(command, {**target.arguments, **arguments}) for command, arguments in commands]
    results = connector.run_fact_commands(batch, print_output=False, print_input=False)
    expect(len(results), len(commands), "results")
    return [Ran(success, out.stdout_lines, out.stderr_lines, out.output_lines) for success, out in results]


_FACT_COMMANDS = [
    "echo out; echo err >&2",
    "exit 3",
    "cat; echo end",
    "read -r x || echo nothing",
    "printf 'no newline'",
    "printf '\\n\\nempty\\n\\n'",
    "printf 'caf\\351\\n'",
    "echo 'quo\"tes' \"it's\" '$HOME' '\\' '%s' '!' '日本'",
    "echo first\necho 'second\n third'",
    "cd /; pwd",
    "pwd; umask -S",
    "exec sh -c 'echo replaced; exit 4'",
    "set -e; false; echo no",
    "trap '' HUP INT TERM",
    "export CONTRACT_A=1; exec >&- 2>&-",
    "echo ${CONTRACT_A-unset}",
    "echo 'unterminated",
    "fi",
    "exec 2>&1; kill -9 $$",
    "awk 'BEGIN { for (i = 0; i < 20000; i++) print \"a line of some length, number\", i }'",
    "/nonexistent/program",
    "true # comment",
    "echo last",
]


@rule(FACTS)
def batches_give_what_single_commands_give(target: Target) -> None:
    """A batch of facts gives for each what it would give alone, in order, whatever the others do."""
    commands = [StringCommand(text) for text in _FACT_COMMANDS]
    together = _batch(target, *((command, {}) for command in commands))
    for command, seen in zip(commands, together, strict=True):
        alone = target.run(command)
        expect((seen.success, seen.stdout), (alone.success, alone.stdout), f"success and output of {command}")
    expect(together[0].stderr, ["err"], "standard error of the first")


@rule(FACTS)
def facts_have_arguments(target: Target) -> None:
    """A fact's arguments are honoured in a batch, each one's its own."""
    folder = target.new_folder("a 'folder'")
    cases: list[tuple[StringCommand, dict[str, Any], list[str]]] = [
        (StringCommand("pwd"), {"_chdir": folder}, [folder]),
        (StringCommand('echo "$CONTRACT_A"'), {"_env": {"CONTRACT_A": "it's $x"}}, ["it's $x"]),
        (StringCommand("echo ${CONTRACT_A-unset}"), {}, ["unset"]),
        (StringCommand("cat"), {"_stdin": "input"}, ["input"]),
        (StringCommand("echo fine; exit 5"), {"_success_exit_codes": [5]}, ["fine"]),
        (StringCommand("echo fine"), {"_timeout": 60, "_shell_executable": None}, ["fine"]),
    ]
    who = StringCommand("id -un; cat")
    cases += [(who, dict(elevation.arguments), [elevation.user]) for elevation in target.elevations]
    results = _batch(target, *((command, arguments) for command, arguments, _ in cases))
    for ran, (command, arguments, expected) in zip(results, cases, strict=True):
        expect((ran.success, ran.stdout), (True, expected), f"success and output of {command} with {arguments}")


@rule(FACTS)
def long_batches(target: Target) -> None:
    """A batch may be long, and so may its facts."""
    commands = [StringCommand("echo", str(number)) for number in range(60)]
    commands += [StringCommand("printf %s", QuoteString("é\n" * 15_000), "| wc -c"), StringCommand("echo end")]
    seen = [line.strip() for ran in _batch(target, *((command, {}) for command in commands)) for line in ran.stdout]
    expect(seen, [*map(str, range(60)), "45000", "end"], "output of all")


@rule(FACTS)
def facts_survive_their_shell(target: Target) -> None:
    """When the shell that facts share dies, the facts that it owed are asked once more in a new one."""
    if isinstance(target.host.connector, SessionConnector):
        own = type(target.host.connector)
        is_changed = own.run_shell_command is not SessionConnector.run_shell_command
        if is_changed and own.run_fact_commands is SessionConnector.run_fact_commands:
            raise NotApplicable("the connector has its own way to run commands, and facts share no shell there")
    path = QuoteString(target.path("killed"))
    once = StringCommand("if [ -e", path, "]; then echo fine; else : >", path, "; kill -9 0; sleep 5; fi")
    commands = [StringCommand("echo before"), once, StringCommand("echo after")]
    seen = [(ran.success, ran.stdout) for ran in _batch(target, *((command, {}) for command in commands))]
    expect(seen, [(True, ["before"]), (True, ["fine"]), (True, ["after"])], "success and output of the three facts")
    always = [StringCommand("kill -9 0; sleep 5"), StringCommand("echo after")]
    failed, after = _batch(target, *((command, {}) for command in always))
    expect(failed.success, False, "success of a fact that always kills its shell")
    expect((after.success, after.stdout), (True, ["after"]), "success and output of the fact after it")
    target.expect_usable("facts that killed their shell")
