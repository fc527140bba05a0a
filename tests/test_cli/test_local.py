"""What deploy code does on this machine: other files and shell commands."""

from __future__ import annotations

import pytest

from pyinfra import local
from pyinfra.api import MaskString, StringCommand
from pyinfra.api.exceptions import PyinfraError
from tests.support.commandline import Folder


def test_included_files_are_named_by_their_paths(folder: Folder) -> None:
    folder.write("deploy.py", "from pyinfra import local\nlocal.include('tasks/a.py')")
    folder.write("tasks/a.py", "from pyinfra import local\nimport things\nthings.say('x')\nlocal.include('./b.py')")
    folder.write("tasks/b.py", "import things\nthings.say(name='Op', text='y')")
    ended = folder.run("-y", "@fake", "deploy.py")
    assert ended.exit_code == 0
    assert ended.after("Results:")[1:3] == [
        "    tasks/a.py | things.say (x)    1       1         -       -",
        "    tasks/a.py | tasks/b.py | Op   1       1         -       -",
    ]


def test_data_of_an_include_rank_lowest_and_end_with_it(folder: Folder) -> None:
    folder.write(
        "deploy.py",
        """
        from pyinfra import host, local
        import things
        local.include("part.py", data={"a": "included", "b": "included"})
        things.say(str(host.data.get("a")))
        """,
    )
    folder.write("part.py", "from pyinfra import host\nimport things\nthings.say(f'{host.data.a} {host.data.b}')")
    folder.write("group_data/all.py", "b = 'group'")
    ended = folder.run("-y", "@fake", "deploy.py")
    assert "--> Starting operation: part.py | things.say (included group)" in ended.lines
    assert "--> Starting operation: things.say (None)" in ended.lines


def test_what_an_included_file_configures_reaches_its_operations_and_ends_with_it(folder: Folder) -> None:
    folder.write("deploy.py", "from pyinfra import local\nimport things\nlocal.include('part.py')\nthings.say('after')")
    folder.write("part.py", "from pyinfra import config\nimport things\nconfig.SUDO = True\nthings.say('within')")
    ended = folder.run("--json", "--debug-operations", "@fake", "deploy.py")
    (by_hash,) = ended.json["operations"].values()
    sudo = {ended.json["op_meta"][key]["args"][0]: data["global_arguments"]["_sudo"] for key, data in by_hash.items()}
    assert sudo == {"within": True, "after": False}


def test_the_same_file_included_twice_gives_operations_of_their_own(folder: Folder) -> None:
    folder.write("deploy.py", "from pyinfra import local\nfor n in range(2):\n    local.include('part.py')")
    folder.write("part.py", "import things\nthings.say('x')")
    ended = folder.run("-y", "@fake/a,b", "deploy.py")
    assert ended.after("Results:")[-1].split() == ["Grand", "total", "4", "4", "-", "-"]


def test_a_file_to_include_that_is_not_there_is_an_error(folder: Folder) -> None:
    folder.write("deploy.py", "from pyinfra import local\nlocal.include('./missing.py')")
    ended = folder.run("-y", "@fake", "deploy.py")
    assert ended.exit_code == 1
    assert "--> pyinfra error in deploy.py line 2: No file to include: ./missing.py" in ended.lines[-1]


def test_including_is_for_the_command_line() -> None:
    with pytest.raises(PyinfraError, match="in API mode use add_deploy"):
        local.include("deploy.py")


def test_a_local_command_gives_its_output() -> None:
    assert local.shell("echo one; echo two") == "one\ntwo"
    assert local.shell("echo one; echo two", splitlines=True) == ["one", "two"]
    assert local.shell(["echo one", "echo two"]) == "one\ntwo"


def test_a_local_command_that_fails_is_an_error_unless_ignored() -> None:
    with pytest.raises(PyinfraError) as caught:
        local.shell("echo fine; echo bad >&2; exit 3")
    assert str(caught.value) == "Local command failed: echo fine; echo bad >&2; exit 3\nbad"
    assert local.shell("echo fine; exit 3", ignore_errors=True) == "fine"


@pytest.mark.parametrize(
    "secret", [MaskString("echo hush; exit 3"), StringCommand("echo", MaskString("hush"), "; exit 3")]
)
def test_secret_local_commands_are_shown_masked(monkeypatch: pytest.MonkeyPatch, secret: str | StringCommand) -> None:
    shown: list[str] = []
    monkeypatch.setattr(local, "echo", lambda message, **_: shown.append(message))
    with pytest.raises(PyinfraError) as caught:
        local.shell(secret, print_input=True)
    assert "hush" not in f"{caught.value}{shown}"
    assert local.shell(secret, ignore_errors=True) == "hush"


def test_local_commands_can_be_shown(folder: Folder) -> None:
    folder.write("deploy.py", "from pyinfra import local\nlocal.shell('echo out', print_input=True, print_output=True)")
    ended = folder.run("-y", "@fake", "deploy.py")
    assert "localhost: >>> echo out" in ended.lines
    assert "localhost: out" in ended.lines
    assert ended.out == ""


def test_facts_read_before_a_local_command_are_read_again(folder: Folder) -> None:
    folder.write(
        "deploy.py",
        """
        from pyinfra import local
        import things
        things.read("x")
        things.read("x")
        local.shell("true")
        things.read("x")
        """,
    )
    ended = folder.run("-v", "--dry", "@fake", "deploy.py")
    loaded = [line for line in ended.lines if "Loaded fact" in line]
    assert loaded == [
        "    [@fake] Loaded fact things.Word (word=x)",
        "    [@fake] Loaded fact (read before) things.Word (word=x)",
        "    [@fake] Loaded fact things.Word (word=x)",
    ]
