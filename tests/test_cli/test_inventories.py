"""INVENTORY in all its forms, groups and data."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.commandline import Ended, Folder


def listed(ended: Ended) -> dict[str, Any]:
    """Hosts with their groups and data."""
    assert ended.exit_code == 0, ended.err
    return {host["name"]: (host["groups"], host["data"]) for host in ended.json}


def test_groups_of_a_file_are_its_public_lists(folder: Folder) -> None:
    folder.write(
        "hosts.py",
        """
        import os
        web = ["@fake/a", ("@fake/b", {"port": 80})]
        db = (["@fake/c"], {"engine": "x"})
        _private = ["@fake/d"]
        number = 5
        text = "@fake/e"
        names = ("@fake/f", "@fake/g")
        """,
    )
    ended = folder.run("hosts.py", "debug-inventory", "--json")
    assert listed(ended) == {
        "@fake/a": (["web", "hosts", "@fake"], {}),
        "@fake/b": (["web", "hosts", "@fake"], {"port": 80}),
        "@fake/c": (["db", "hosts", "@fake"], {"engine": "x"}),
    }


def test_secrets_are_shown_to_nobody(folder: Folder) -> None:
    folder.write(
        "hosts.py",
        """
        from pyinfra.api import HiddenValue, MaskString
        databases = {"databases": [{"PASSWORD": "tr0ub4dor", "port": 1}]}
        secrets = {"ssh_password": "tr0ub4dor", "_sudo_password": "", "ansible_become_pass": "tr0ub4dor"}
        hush = MaskString("tr0ub4dor")
        typed = {"hidden": HiddenValue("tr0ub4dor"), "key": hush, "in_set": {hush}}
        web = [("@fake/a", {**secrets, **databases, **typed})]
        """,
    )
    data = {
        "ssh_password": "***",
        "_sudo_password": "",
        "ansible_become_pass": "***",
        "databases": [{"PASSWORD": "***", "port": 1}],
        "hidden": "*MASKED*",
        "key": "***",
        "in_set": ["***"],
    }
    assert listed(folder.run("hosts.py", "debug-inventory", "--json"))["@fake/a"][1] == data
    shown = folder.run("hosts.py", "debug-inventory")
    assert "tr0ub4dor" not in shown.err
    assert shown.err.count("***") == 5


def test_items_that_are_none_are_shown_without_their_secrets(folder: Folder) -> None:
    folder.write("hosts.py", "web = [('@fake/a', {'ssh_password': 'hunter2'}, 'web')]\nall = ['@fake/b']")
    shown = folder.run("hosts.py", "debug-inventory").err
    assert "hosts are names or (name, data) tuples, got ('@fake/a', {'ssh_password': '***'}, 'web')" in shown


def test_groups_of_a_function_that_are_none_are_shown_without_their_secrets(folder: Folder) -> None:
    folder.write("places.py", "def made(): return {'web': [('@fake/a', {'ssh_password': 'hunter2'}, 1)]}")
    last = folder.run("places.made", "debug-inventory").lines[-1]
    assert last.endswith("got 'web': [('@fake/a', {'ssh_password': '***'}, 1)]")


def test_people_read_groups_and_data_on_standard_error(folder: Folder) -> None:
    folder.write("hosts.py", "web = ['@fake/a', ('@fake/long', {'port': 80})]")
    ended = folder.run("hosts.py", "debug-inventory")
    assert (ended.exit_code, ended.out) == (0, "")
    assert ended.err.splitlines() == [
        "--> Loading config...",
        "--> Loading inventory...",
        "",
        "[@fake/a]    ",
        "--> Groups: web, hosts, @fake",
        "--> Data:",
        "{}",
        "",
        "[@fake/long] ",
        "--> Groups: web, hosts, @fake",
        "--> Data:",
        "{",
        '    "port": 80',
        "}",
        "--> Disconnecting from hosts...",
    ]


def test_all_is_the_whole_list_and_no_group(folder: Folder) -> None:
    folder.write("hosts.py", "all = (['@fake/a'], {'x': 1})\nweb = ['@fake/a', '@fake/nobody']")
    ended = folder.run("hosts.py", "debug-inventory", "--json")
    assert listed(ended) == {"@fake/a": (["web", "hosts", "@fake"], {"x": 1})}


def test_later_groups_win_in_host_data_and_the_items_of_all_win_over_them(folder: Folder) -> None:
    folder.write(
        "hosts.py",
        """
        all = [("@fake", {"c": "all"})]
        one = [("@fake", {"a": "one", "b": "one", "c": "one"})]
        two = [("@fake", {"b": "two", "c": "two"})]
        """,
    )
    ended = folder.run("hosts.py", "debug-inventory", "--json")
    assert listed(ended)["@fake"][1] == {"a": "one", "b": "two", "c": "all"}


def test_a_group_with_a_bad_item_is_ignored_with_a_warning(folder: Folder) -> None:
    folder.write("hosts.py", "good = ['@fake/a']\nbad = ['@fake/b', 5]")
    ended = folder.run("hosts.py", "debug-inventory", "--json")
    assert list(listed(ended)) == ["@fake/a"]
    assert 'Ignoring host group "bad"' in ended.err
    assert "got 5" in ended.err


@pytest.mark.parametrize("source", ["number = 1", "groups = ['@fake', None]", ""])
def test_a_file_without_groups_has_no_hosts_and_that_is_no_error(folder: Folder, source: str) -> None:
    folder.write("hosts.py", source)
    ended = folder.run("hosts.py", "things.say", "x", "--json")
    assert (ended.exit_code, ended.json) == (0, {"plan": [], "results": None})
    assert "No host groups in inventory file hosts.py" in ended.err


def test_names_are_separated_by_commas_and_connectors_may_take_commas(folder: Folder) -> None:
    folder.write("group_data/@fake.py", "kind = 'made up'")
    ended = folder.run("@fake/a,b, somewhere.example,@fake/c", "debug-inventory", "--json")
    assert list(listed(ended)) == ["@fake/a", "@fake/b", "@fake/somewhere.example", "@fake/c"]
    assert listed(ended)["@fake/b"] == (["@fake"], {"kind": "made up"})
    plain = folder.run("one.example,two.example", "debug-inventory", "--json")
    assert listed(plain) == {"one.example": ([], {}), "two.example": ([], {})}


def test_a_function_returns_groups_without_a_group_of_the_file(folder: Folder) -> None:
    folder.write("group_data/web.py", "from_file = True")
    folder.write(
        "package/places.py",
        """
        def made():
            return {"web": (["@fake/a"], {"x": 1}), "db": [("@fake/b", {"y": 2})]}
        some = ["@fake/c", "@fake/d"]
        """,
    )
    for source in ("package.places.made", "package.places:made"):
        ended = folder.run(source, "debug-inventory", "--json")
        assert listed(ended) == {"@fake/a": (["web", "@fake"], {"x": 1}), "@fake/b": (["db", "@fake"], {"y": 2})}
    assert list(listed(folder.run("package.places:some", "debug-inventory", "--json"))) == ["@fake/c", "@fake/d"]


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("a_list_by_function", "Invalid inventory function places:a_list_by_function: should return a dict of groups"),
        ("a_number", "Invalid inventory places:a_number: should be a list of names"),
        ("missing", "No such attribute in module places: missing"),
    ],
)
def test_an_attribute_of_another_kind_is_an_error(folder: Folder, attribute: str, message: str) -> None:
    folder.write("places.py", "def a_list_by_function():\n    return ['@fake']\na_number = 5")
    ended = folder.run(f"places:{attribute}", "debug-inventory")
    assert ended.exit_code == 1
    assert message in ended.lines[-1]


def test_an_error_in_an_inventory_function_shows_its_file(folder: Folder) -> None:
    folder.write("places.py", "def broken():\n    return {}['x']")
    ended = folder.run("places:broken", "debug-inventory")
    assert ended.exit_code == 1
    assert "--> An exception occurred in: places.py" in ended.lines
    assert ended.lines[-2] == "KeyError: 'x'"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("needs", "should take no arguments: missing a required argument: 'a'"),
        ("dir", "should return a dict of groups"),
        ("iter", "TypeError: iter expected at least 1 argument, got 0"),
        ("loads", "should take no arguments: missing a required argument: 's'"),
    ],
)
def test_a_function_that_is_no_inventory_function_is_named(folder: Folder, function: str, message: str) -> None:
    folder.write("places.py", "from builtins import dir, iter\nfrom json import loads\ndef needs(a): return {}")
    ended = folder.run(f"places.{function}", "debug-inventory")
    assert ended.exit_code == 1
    assert ended.lines[-1].startswith(f"--> pyinfra error: Invalid inventory function places.{function}: {message}")


@pytest.mark.parametrize("source", ["D:/x.py", "no-such-host.invalid", "missing.py", "a:b"])
def test_a_name_that_is_nothing_gives_a_warning_and_no_hosts(folder: Folder, source: str) -> None:
    ended = folder.run(source, "things.say", "x")
    assert (ended.exit_code, ended.out) == (0, "")
    assert f"No inventory file or host `{source}`" in ended.err
    assert "--> Connecting to hosts..." not in ended.lines


def test_a_host_is_no_attribute_of_a_file_that_is_called_like_its_first_part(folder: Folder) -> None:
    folder.write("deploy.py", "import things\nthings.say('x')")
    ended = folder.run("deploy.example.invalid", "deploy.py")
    assert (ended.exit_code, ended.out) == (0, "")
    assert "No inventory file or host `deploy.example.invalid`" in ended.err


def test_what_can_be_no_name_is_told_without_a_traceback(folder: Folder) -> None:
    ended = folder.run("web..example", "exec", "--", "true")
    assert ended.exit_code == 0
    assert "No inventory file or host `web..example`" in ended.err
    assert "Traceback" not in ended.err


def test_an_address_and_a_name_with_an_address_as_data_are_hosts(folder: Folder) -> None:
    assert list(listed(folder.run("127.0.0.1", "debug-inventory", "--json"))) == ["127.0.0.1"]
    named = folder.run("my-name", "debug-inventory", "--json", "--data", "ssh_hostname=10.0.0.1")
    assert listed(named) == {"my-name": ([], {"ssh_hostname": "10.0.0.1"})}


def test_a_name_in_the_ssh_configuration_is_a_host(folder: Folder) -> None:
    folder.write(".ssh/config", "Host my-alias\n  HostName 10.0.0.1\n")
    home = str(folder.path)
    assert list(listed(folder.run("my-alias", "debug-inventory", "--json", HOME=home))) == ["my-alias"]
    assert folder.run("other-alias", "debug-inventory", "--json", HOME=home).json == []


def test_group_data_comes_from_all_places_and_the_later_wins(folder: Folder) -> None:
    folder.write("group_data/web.py", "a = b = c = d = 'here'")
    folder.write("sub/group_data/web.py", "b = c = d = 'beside'")
    folder.write("more/web.py", "c = d = 'folder'")
    folder.write("single/web.py", "d = 'file'")
    folder.write("sub/hosts.py", "web = (['@fake'], {'a': 'inline', 'e': 'inline'})")
    ended = folder.run(
        "sub/hosts.py",
        "debug-inventory",
        "--json",
        "--group-data",
        "more",
        "--group-data",
        "single/web.py",
    )
    assert listed(ended)["@fake"][1] == {"a": "here", "b": "beside", "c": "folder", "d": "file", "e": "inline"}


def test_levels_of_data_win_in_their_order(folder: Folder) -> None:
    folder.write("group_data/all.py", "a = b = c = d = e = 'all'")
    folder.write("group_data/web.py", "b = c = d = e = 'web'")
    folder.write("group_data/hosts.py", "c = d = e = 'file group'")
    folder.write("hosts.py", "web = [('@fake', {'d': 'host', 'e': 'host'})]")
    ended = folder.run("hosts.py", "debug-inventory", "--json", "--data", "e=override")
    assert listed(ended)["@fake"][1] == {"a": "all", "b": "web", "c": "file group", "d": "host", "e": "override"}


def test_imports_are_no_data_but_what_is_given_a_value_is(folder: Folder) -> None:
    folder.write("group_data/base.py", "")
    folder.write("shared.py", "one = 1\ntwo = 2\nthree = 3")
    folder.write(
        "group_data/all.py",
        """
        import os
        from shared import one, two
        two = two * 10
        _sudo = True
        _helper = 5
        own = os.sep
        """,
    )
    folder.write("group_data/@fake.py", "from shared import *\nthree = 'own'")
    ended = folder.run("@fake", "debug-inventory", "--json", "--group-data", "group_data")
    assert listed(ended)["@fake"][1] == {"two": 20, "_sudo": True, "own": "/", "three": "own"}


def test_group_data_may_be_in_any_encoding_that_python_reads(folder: Folder) -> None:
    marked = "\ufefffrom os import path\nstreet = 'Stra\u00dfe'"
    folder.write("group_data/all.py", "").write_bytes(marked.encode())
    old = "# coding: latin-1\nfrom os import path\nplace = 'K\u00f6ln'"
    folder.write("group_data/@fake.py", "").write_bytes(old.encode("latin-1"))
    data = listed(folder.run("@fake", "debug-inventory", "--json"))["@fake"][1]
    assert data == {"street": "Stra\u00dfe", "place": "K\u00f6ln"}


def test_files_may_have_dataclasses_whose_types_are_text(folder: Folder) -> None:
    text = """
        from __future__ import annotations
        from dataclasses import asdict, dataclass

        @dataclass
        class Site:
            port: int = 80

        """
    folder.write("hosts.py", f"{text}web = [('@fake', asdict(Site()))]")
    folder.write("group_data/logging.py", f"{text}site = Site(81)")
    folder.write("group_data/web.py", f"{text}site = Site(82)")
    data = listed(folder.run("hosts.py", "debug-inventory", "--json"))["@fake"][1]
    assert (data["port"], data["site"]) == (80, {"port": 82})


@pytest.mark.parametrize("name", ["self", "names_data", "override_data"])
def test_a_name_that_no_group_can_have_is_told(folder: Folder, name: str) -> None:
    folder.write(f"group_data/{name}.py", "x = 1")
    from_data = folder.run("@fake", "debug-inventory")
    folder.write("hosts.py", f"{name} = ['@fake']")
    from_file = folder.run("hosts.py", "debug-inventory")
    for ended in (from_data, from_file):
        assert ended.exit_code == 1
        assert ended.lines[-1].startswith(f"--> pyinfra error: No group can be called `{name}`")


def test_a_list_of_names_decides_what_is_data(folder: Folder) -> None:
    folder.write("group_data/all.py", "from os.path import sep, pardir\n__all__ = ['sep', '_x']\n_x = 1\ny = 2")
    assert listed(folder.run("@fake/a,b", "debug-inventory", "--json"))["@fake/a"][1] == {"sep": "/", "_x": 1}


def test_group_data_may_import_the_inventory(folder: Folder) -> None:
    folder.write("group_data/all.py", "from pyinfra import inventory\nknown = 'inventory' in globals()")
    assert listed(folder.run("@fake", "debug-inventory", "--json"))["@fake"][1] == {"known": True}


def test_group_data_that_is_not_there_is_an_error(folder: Folder) -> None:
    ended = folder.run("@fake", "debug-inventory", "--group-data", "nowhere")
    assert ended.exit_code == 1
    assert ended.lines[-1] == "--> pyinfra error: No group data: nowhere is neither a folder nor a file"


def test_an_error_in_an_inventory_file_shows_its_line(folder: Folder) -> None:
    folder.write("hosts.py", "from pyinfra.api import InventoryError\n\nraise InventoryError('not today')")
    ended = folder.run("hosts.py", "debug-inventory")
    assert ended.exit_code == 1
    assert ended.lines[-1] == "--> pyinfra error in hosts.py line 3: not today"


def test_an_unknown_connector_is_an_error(folder: Folder) -> None:
    ended = folder.run("@nothing/x", "exec", "--", "true")
    assert ended.exit_code == 1
    assert ended.lines == [
        "--> Loading config...",
        "--> Loading inventory...",
        "--> pyinfra error: Invalid connector: nothing",
    ]


HOSTS = "web = ['@fake/web-1', '@fake/web-2']\ndb = ['@fake/db-1', '@fake/odd[1]']"


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("--limit", "web"), ["@fake/web-1", "@fake/web-2"]),
        (("--limit", "@fake/web-2"), ["@fake/web-2"]),
        (("--limit", "*-1"), ["@fake/web-1", "@fake/db-1"]),
        (("--limit", "db", "--limit", "*web-2"), ["@fake/web-2", "@fake/db-1", "@fake/odd[1]"]),
        (("--limit", "@fake/odd[1]"), ["@fake/odd[1]"]),
        (("--exclude", "web"), ["@fake/db-1", "@fake/odd[1]"]),
        (("--limit", "web", "--exclude", "*-1"), ["@fake/web-2"]),
    ],
)
def test_limits_choose_by_group_name_or_glob(folder: Folder, words: tuple[str, ...], names: list[str]) -> None:
    folder.write("hosts.py", HOSTS)
    ended = folder.run("hosts.py", *words, "things.say", "x", "-y", "--json")
    assert ended.json["results"]["operations"][0]["success"] == names


@pytest.mark.parametrize("option", ["--limit", "--exclude"])
def test_a_pattern_without_matches_is_a_warning(folder: Folder, option: str) -> None:
    folder.write("hosts.py", HOSTS)
    ended = folder.run("hosts.py", option, "nobody", "things.say", "x", "-y")
    assert ended.exit_code == 0
    assert f"    No host matches found for {option} pattern: nobody" in ended.lines


def test_a_host_outside_the_limit_connects_when_it_is_asked_for_a_fact(folder: Folder) -> None:
    folder.write("hosts.py", "all = ['@fake/a', '@fake/b']")
    folder.write(
        "deploy.py",
        """
        from pyinfra import inventory
        from things import Word, say
        inventory.get_host("@fake/b").get_fact(Word, word="two")
        say("x")
        """,
    )
    ended = folder.run("hosts.py", "deploy.py", "-y", "--limit", "@fake/a")
    assert ended.exit_code == 0
    assert "    [@fake/b] Connected (to load fact: things.Word (word=two))" in ended.lines
    assert "    [@fake/b] Success" not in ended.lines
