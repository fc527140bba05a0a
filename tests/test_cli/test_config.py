"""Settings: ``config.py``, options, and what deploy files change."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.commandline import Ended, Folder


def arguments_of(ended: Ended) -> dict[str, dict[str, Any]]:
    """The global arguments of each operation on the first host, by the operation's name."""
    assert ended.exit_code == 0, ended.err
    host = next(iter(ended.json["operations"]))
    return {
        ended.json["op_meta"][op_hash]["names"][0]: data["global_arguments"]
        for op_hash, data in ended.json["operations"][host].items()
    }


def recorded(folder: Folder, *words: str) -> dict[str, dict[str, Any]]:
    """What :func:`arguments_of` says of a run of these words that ends after preparing."""
    return arguments_of(folder.run("--json", "--debug-operations", *words))


def test_the_file_of_the_working_directory_sets_the_configuration(folder: Folder) -> None:
    folder.write("config.py", "from pyinfra import config\nconfig.SUDO = True\nconfig.RETRY = 3")
    (arguments,) = recorded(folder, "@fake", "things.say", "x").values()
    assert (arguments["_sudo"], arguments["_retries"]) == (True, 3)


def test_another_file_can_be_named_and_must_be_there(folder: Folder) -> None:
    folder.write("other.py", "from pyinfra import config\nconfig.SU_USER = 'who'")
    (arguments,) = recorded(folder, "--config", "other.py", "@fake", "things.say", "x").values()
    assert arguments["_su_user"] == "who"
    missing = folder.run("--config", "no.py", "@fake", "things.say", "x")
    assert missing.exit_code == 1
    assert missing.lines[-1] == "--> pyinfra error: No config file: no.py"


def test_options_win_over_the_file_only_where_they_are_given(folder: Folder) -> None:
    folder.write(
        "config.py", "from pyinfra import config\nconfig.RETRY = 3\nconfig.RETRY_DELAY = 9\nconfig.SHELL = 'ksh'"
    )
    (plain,) = recorded(folder, "@fake", "things.say", "x").values()
    assert (plain["_retries"], plain["_retry_delay"], plain["_shell_executable"]) == (3, 9, "ksh")
    (given,) = recorded(folder, "--retry", "1", "--shell-executable", "bash", "@fake", "things.say", "x").values()
    assert (given["_retries"], given["_retry_delay"], given["_shell_executable"]) == (1, 9, "bash")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--sudo",), {"_sudo": True, "_sudo_user": None}),
        (("--sudo", "--sudo-user", "u", "--use-sudo-login"), {"_sudo_user": "u", "_use_sudo_login": True}),
        (("--su-user", "u"), {"_su_user": "u"}),
        (("--dzdo", "--dzdo-user", "u"), {"_dzdo": True, "_dzdo_user": "u"}),
        (("--use-sudo-password",), {"_sudo": False, "_sudo_password": None}),
        (("--shell-executable", "None"), {"_shell_executable": None}),
        (("--parallel", "3"), {"_parallel": 3}),
    ],
)
def test_options_become_global_arguments(folder: Folder, words: tuple[str, ...], expected: dict[str, Any]) -> None:
    (arguments,) = recorded(folder, *words, "@fake", "things.say", "x").values()
    assert {key: arguments[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("config.SUDO = 5", "Invalid setting `SUDO`: should be bool, not int"),
        ("config.PARALLEL = 'x'", "Invalid setting `PARALLEL`: should be int, not str"),
        ("config.RETRY = -1", "Invalid setting `RETRY`: should be 0 or more, not -1"),
    ],
)
def test_a_value_that_a_setting_cannot_have_is_told_with_its_line(folder: Folder, line: str, message: str) -> None:
    folder.write("config.py", f"from pyinfra import config\n{line}")
    ended = folder.run("-y", "@fake", "things.say", "x")
    assert ended.exit_code == 1
    assert ended.lines[-1] == f"--> pyinfra error in config.py line 2: {message}"


def test_a_name_that_is_nearly_a_settings_is_told_and_names_of_ones_own_are_not(folder: Folder) -> None:
    folder.write("config.py", "from pyinfra import config\nconfig.SUDOO = True\nconfig.REGION = 'eu'\nconfig.retry = 2")
    ended = folder.run("-y", "@fake", "things.say", "x")
    assert ended.exit_code == 0
    assert [line.strip() for line in ended.lines if "config." in line and "-->" not in line] == [
        "config.SUDOO is no setting of pyinfra's: did you mean SUDO?",
        "config.retry is no setting of pyinfra's: did you mean RETRY?",
    ]


@pytest.mark.parametrize("tool", ["sudo", "dzdo"])
def test_a_user_without_the_tool_is_a_warning(folder: Folder, tool: str) -> None:
    ended = folder.run("--json", "--debug-operations", f"--{tool}-user", "u", "@fake", "things.say", "x")
    (arguments,) = arguments_of(ended).values()
    assert arguments[f"_{tool}_user"] is None
    assert f"    --{tool}-user has no effect without --{tool}" in ended.lines


def test_ssh_options_are_data_of_all_hosts(folder: Folder) -> None:
    ended = folder.run(
        "--json", "--user", "u", "--port", "23", "--key", "k", "--key-password", "p", "--password", "q", "a,b",
        "debug-inventory",
    )  # fmt: skip
    expected = {"ssh_user": "u", "ssh_port": 23, "ssh_key": "k", "ssh_key_password": "***", "ssh_password": "***"}
    assert [host["data"] for host in ended.json] == [expected, expected]


def test_data_of_the_command_line_parse_as_arguments_do(folder: Folder) -> None:
    ended = folder.run("--json", "--data", "a=1", "--data", "b=x=y", "--data", "c=[true]", "@fake", "debug-inventory")
    assert ended.json[0]["data"] == {"a": 1, "b": "x=y", "c": [True]}


def test_what_a_deploy_file_changes_ends_with_it_and_is_the_hosts_own(folder: Folder) -> None:
    folder.write(
        "one.py",
        """
        from pyinfra import config, host
        import things
        if host.name == "@fake/a":
            config.SUDO = True
        things.say(name="one", text="x")
        """,
    )
    folder.write(
        "two.py",
        "from pyinfra import config\nimport things\nconfig.SUDO_USER = 'u'\nthings.say(name='two', text='x')",
    )
    ended = folder.run("--json", "--debug-operations", "@fake/a,b", "one.py", "two.py")
    by_host = {
        host: [(data["global_arguments"]["_sudo"], data["global_arguments"]["_sudo_user"]) for data in hashes.values()]
        for host, hashes in ended.json["operations"].items()
    }
    assert by_host == {"@fake/a": [(True, None), (False, "u")], "@fake/b": [(False, None), (False, "u")]}


def test_a_share_of_failures_can_be_configured(folder: Folder) -> None:
    folder.write("config.py", "from pyinfra import config\nconfig.FAIL_PERCENT = 10")
    folder.write("hosts.py", "all = [('@fake/a', {'fake_responses': {'exit 3': {'success': False}}}), '@fake/b']")
    ended = folder.run("-y", "hosts.py", "things.fail")
    assert ended.lines[-1] == "--> pyinfra error: Over 10% of hosts failed (50%)"
