"""What stands after INVENTORY: found, or not, before anything else happens."""

from __future__ import annotations

import pytest

from pyinfra_cli.commands import CallOperation, Execute, FactRequest, ShowFacts, parse_command
from pyinfra_cli.exceptions import CliError
from tests.support.commandline import Folder


def parse(*words: str) -> object:
    return parse_command(words, warn=pytest.fail)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("missing.py",), "No deploy file: missing.py"),
        (("things.py", "things.say"), "No deploy file: things.say"),
        (("no_such.thing",), "No such module: no_such"),
        (("a.b.c.thing",), "No such module: a.b.c"),
        (("..up.thing",), "No such module: ..up"),
        (("./deploy.yml",), "No such module: ./deploy"),
        (("server.nothing",), "No such attribute in module server: nothing"),
        (("fact", "Home"), "Invalid fact: `Home`, should be in the format `module.cls`"),
        (("fact", "a=b"), "Invalid fact: `a=b`, should be in the format `module.cls`"),
        (("fact", "no_such.Fact"), "No such module: no_such"),
        (("fact", "server.Nothing"), "No such attribute in module server: Nothing"),
        (
            ("word",),
            "Invalid operation: `word`, should be a deploy file (`*.py`) or in the format `module.operation`",
        ),
    ],
)
def test_what_does_not_exist_is_told_before_anything_is_loaded(
    folder: Folder,
    words: tuple[str, ...],
    message: str,
) -> None:
    folder.write("config.py", "raise SystemExit('loaded')")
    ended = folder.run("@nothing", *words)
    assert (ended.exit_code, ended.out) == (1, "")
    assert ended.lines == [f"--> pyinfra error: {message}"]


def test_a_module_of_the_user_comes_first_but_hides_nothing_that_it_lacks(folder: Folder) -> None:
    folder.write("server.py", "from things import say as hello")
    folder.write("git/__init__.py", "")
    folder.write("git/repo.py", "")
    own = folder.run("@fake", "server.hello", "x", "-y")
    assert "--> Starting operation: things.say (x)" in own.lines
    shipped = folder.run("@fake", "server.shell", "x", "-y")
    assert "--> Starting operation: server.shell (x)" in shipped.lines


@pytest.mark.parametrize(
    "name",
    [
        "os.mkdir",
        "shutil.copytree",
        "pathlib.Path",
        "mine.remove",
        "mine.rmtree",
        "files.get_template",
        "server.operation",
    ],
)
def test_what_is_no_operation_is_not_called(folder: Folder, name: str) -> None:
    folder.write("mine.py", "from os import remove\nfrom shutil import rmtree")
    (folder.path / "kept").mkdir()
    ended = folder.run("@local", "--dry", name, "kept")
    module, _, attribute = name.partition(".")
    assert (ended.exit_code, ended.lines) == (
        1,
        [f"--> pyinfra error: No such attribute in module {module}: {attribute}"],
    )
    assert [path.name for path in folder.path.iterdir() if path.is_dir() and path.name != "__pycache__"] == ["kept"]


def test_a_function_of_the_user_is_called_for_each_host(folder: Folder) -> None:
    folder.write("more.py", "import things\ndef setup(text):\n    things.say(text)\n    things.nothing()")
    folder.write("mine.py", "from more import setup")
    ended = folder.run("-y", "@fake/a,b", "mine.setup", "x")
    assert ended.exit_code == 0
    assert [line for line in ended.lines if line.startswith("--> Starting")] == [
        "--> Starting operation: things.say (x)",
        "--> Starting operation: things.nothing",
    ]


def test_an_error_in_a_module_of_the_user_is_shown_with_its_file(folder: Folder) -> None:
    folder.write("mine.py", "import no_such_library")
    ended = folder.run("@fake", "mine.thing")
    assert ended.exit_code == 1
    assert ended.lines[0] == "--> An exception occurred in: mine.py"
    assert ended.lines[-2] == "ModuleNotFoundError: No module named 'no_such_library'"


def test_arguments_parse_as_words_numbers_json_or_text() -> None:
    command = parse("server.shell", "true", "FALSE", "-12", "0644", "1.5", "null", "[1, 2]", '{"a": 1}', "NaN", "a b")
    assert isinstance(command, CallOperation)
    assert command.args == (True, False, -12, 644, 1.5, None, [1, 2], {"a": 1}, "NaN", "a b")


def test_a_number_that_is_too_long_for_python_is_text() -> None:
    command = parse("server.shell", "1" * 5000)
    assert isinstance(command, CallOperation)
    assert command.args == ("1" * 5000,)


def test_named_arguments_are_split_at_the_first_equals_sign() -> None:
    command = parse("server.shell", "commands=a=b=c", '_env={"A": "1"}', "echo a=b")
    assert isinstance(command, CallOperation)
    assert command.kwargs == {"commands": "a=b=c", "_env": {"A": "1"}}
    assert command.args == ("echo a=b",)


def test_all_arguments_may_come_as_one_json_text() -> None:
    command = parse("server.shell", '[["echo hi"], {"_sudo": true}]')
    assert isinstance(command, CallOperation)
    assert (command.args, command.kwargs) == (("echo hi",), {"_sudo": True})
    a_list = parse("server.shell", '["a", "b"]')
    assert isinstance(a_list, CallOperation)
    assert (a_list.args, a_list.kwargs) == ((["a", "b"],), {})


def test_exec_joins_its_words() -> None:
    assert parse("exec", "echo", "a=b", "&&", "ls -l") == Execute("echo a=b && ls -l")


def test_arguments_after_a_fact_are_its_own() -> None:
    command = parse("fact", "server.Home", "files.File", "path=/etc/a=b", "server.Command", "command=id", "_sudo=true")
    assert isinstance(command, ShowFacts)
    assert [(fact.title, fact.kwargs) for fact in command.facts] == [
        ("server.Home", {}),
        ("files.File (path=/etc/a=b)", {"path": "/etc/a=b"}),
        ("server.Command (command=id, _sudo=True)", {"command": "id", "_sudo": True}),
    ]


def test_a_class_that_is_no_fact_is_none() -> None:
    with pytest.raises(CliError, match="No such attribute in module collections: OrderedDict"):
        parse("fact", "collections.OrderedDict")


def test_requests_for_facts_do_not_share_their_arguments() -> None:
    first, second = (FactRequest("a.B", object) for _ in range(2))
    first.kwargs["x"] = 1
    assert second.kwargs == {}
