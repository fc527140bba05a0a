"""@ansible shows no secrets: those of ansible-vault, and those that their names tell of, in data and in errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ansible")

from ansible.parsing.vault import VaultLib, VaultSecret

from pyinfra.api.command import MaskString
from pyinfra.api.exceptions import InventoryError
from pyinfra.api.masking import masked
from pyinfra.connectors.ansible import AnsibleInventoryConnector
from tests.support.commandline import Folder

PASSWORD = VaultSecret(b"open sesame")


def encrypted(text: str) -> str:
    """What ``ansible-vault`` makes of a text."""
    return str(VaultLib([("default", PASSWORD)]).encrypt(text, PASSWORD).decode())


def inline(text: str) -> str:
    """An encrypted value of YAML, for a line of its own key."""
    return "!vault |\n" + "".join(f"      {line}\n" for line in encrypted(text).splitlines())


@pytest.fixture(autouse=True)
def password_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_bytes(PASSWORD.bytes)
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.delenv("ANSIBLE_VAULT_IDENTITY_LIST", raising=False)
    monkeypatch.chdir(tmp_path)


def data_of(path: str = "hosts.ini", **files: str) -> dict[str, Any]:
    """What the connector yields for the only host of an inventory."""
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    ((_, data, _),) = AnsibleInventoryConnector.make_names_data(path)
    return data


def said(path: str = "hosts.ini", **files: str) -> str:
    """The error that an inventory causes."""
    with pytest.raises(InventoryError) as caught:
        data_of(path, **files)
    assert caught.value.__cause__ is None
    return str(caught.value)


# Data


def test_a_decrypted_value_is_a_secret() -> None:
    data = data_of("hosts.yml", **{"hosts.yml": f"all:\n  hosts: {{h: }}\n  vars:\n    x: {inline('hunter2')}"})
    assert data == {"x": "hunter2"}
    assert masked(data) == {"x": "***"}


@pytest.mark.parametrize(("name", "ending"), [("YAML", ".yml"), ("JSON", ".json")])
def test_all_text_of_an_encrypted_file_is_secret_and_the_rest_as_it_is(name: str, ending: str) -> None:
    variables: dict[str, Any] = {
        "db": {"login": "hunter2", "port": 5432, "tls": True, "replicas": [["hunter2", None]]},
        "since": 1.5,
    }
    data = data_of(**{"hosts.ini": "h\n", f"group_vars/all{ending}": encrypted(json.dumps(variables))})
    assert data == variables
    hidden = {"login": "***", "port": 5432, "tls": True, "replicas": [["***", None]]}
    assert masked(data) == {"db": hidden, "since": 1.5}


def test_text_of_an_encrypted_file_that_is_never_a_template_is_secret_too() -> None:
    data = data_of(**{"hosts.ini": "h\n", "host_vars/h": encrypted("ansible_user: !unsafe 'a{{'\n")})
    assert (data["ansible_user"], data["ssh_user"]) == ("a{{", "a{{")
    assert masked(data) == {"ansible_user": "***", "ssh_user": "***"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("hosts.ini", "h a=hunter2 b=7\n[g:vars]\nc=['hunter2']\n[g]\nh\n"),
        ("hosts.yml", "g: {hosts: {h: {a: hunter2, b: 7}}, vars: {c: [hunter2]}}\n"),
        ("hosts.json", '{"g": {"hosts": {"h": {"a": "hunter2", "b": 7}}, "vars": {"c": ["hunter2"]}}}'),
        ("hosts.toml", '[g.hosts.h]\na = "hunter2"\nb = 7\n[g.vars]\nc = ["hunter2"]\n'),
    ],
)
def test_an_encrypted_inventory_has_plain_names_and_secret_text(path: str, text: str) -> None:
    data = data_of(path, **{path: encrypted(text)})
    assert data == {"a": "hunter2", "b": 7, "c": ["hunter2"]}
    assert masked(data) == {"a": "***", "b": 7, "c": ["***"]}
    ((host, _, groups),) = AnsibleInventoryConnector.make_names_data(path)
    assert (host, groups) == ("h", ["@ansible", "all", "g"])
    assert not any(isinstance(name, MaskString) for name in (host, *groups))


@pytest.mark.parametrize(
    ("variables", "data"),
    [
        ("ansible_user: '{{ x }}'", {"ssh_user": "hunter2"}),
        ("ansible_user: '{{ deep.x }}-{{ x | upper }}'\ndeep: {x: '{{ x }}'}", {"ssh_user": "hunter2-HUNTER2"}),
        ("ansible_user: '{{ y }}'\ny: '{{ x }}'", {"ssh_user": "hunter2"}),
        ("ansible_user: '{{ api_token }}'\napi_token: t", {"ssh_user": "t"}),
        ("ansible_user: '{{ db.password }}'\ndb: {password: t}", {"ssh_user": "t"}),
        ("ansible_user: \"{{ lookup('env', 'API_TOKEN') }}\"", {"ssh_user": "hush"}),
        ("ansible_ssh_common_args: '-i {{ x }} -o User={{ x }}'", {"ssh_key": "hunter2", "ssh_user": "hunter2"}),
        ("ansible_connection: docker\nansible_host: '{{ x }}'", {"docker_identifier": "hunter2"}),
        ("ansible_become_user: '{{ x }}'", {"_sudo_user": "hunter2"}),
    ],
)
def test_what_a_template_makes_of_a_secret_is_secret(
    variables: str, data: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "hush")
    found = data_of(
        **{
            "hosts.ini": "h\n",
            "group_vars/all.yml": f"x: {inline('hunter2')}",
            "host_vars/h.yml": f"{variables}\n",
        }
    )
    assert {key: found[key] for key in data} == data
    assert masked({key: found[key] for key in data}) == dict.fromkeys(data, "***")


def test_what_a_template_makes_of_other_things_is_shown() -> None:
    data = data_of(**{"hosts.ini": "h ansible_user='{{ u }}' u=me ansible_port='{{ p }}' p=22\n[all:vars]\ntoken=t\n"})
    assert masked({key: data[key] for key in ("ssh_user", "ssh_port")}) == {"ssh_user": "me", "ssh_port": 22}


def test_the_command_line_shows_them_to_nobody(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    (tmp_path / "hosts.yml").write_text(
        f"all:\n  hosts: {{h: {{ansible_user: 'u-{{{{ x }}}}'}}}}\n  vars:\n    x: {inline('hunter2')}"
    )
    for arguments in (("--json",), ()):
        ended = folder.run("@ansible/hosts.yml", "debug-inventory", *arguments)
        assert (ended.exit_code, (ended.out + ended.err).count("***")) == (0, 2)
        assert "hunter2" not in ended.out + ended.err


# Errors and warnings


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ("ansible_port: '{{ x }}'", "`ansible_port` of host `h` should be a number, got '***'"),
        ("ansible_port: {token: hunter2}", "`ansible_port` of host `h` should be a number, got {'token': '***'}"),
        ("ansible_become: 'pass {{ x }}'", "`ansible_become` of host `h` should be true or false, got '***'"),
        (
            "ansible_become: yes\nansible_become_method: '{{ x }}'",
            "`ansible_become_method` of host `h` is `***`, which pyinfra cannot do",
        ),
        ("ansible_ssh_args: '-p {{ x }}'", "`ansible_ssh_args` of host `h` should have a number for port, got ***"),
        (
            "ansible_host: '{{ {}[x] }}'",
            "`ansible_host` of host `h` is a template that cannot be worked out (***): {{ {}[x] }}: write",
        ),
        (
            "ansible_host: '{{ lookup(x) }}'",
            "`ansible_host` of host `h` is a template that cannot be worked out (***): {{ lookup(x) }}: write",
        ),
        (
            "ansible_password: '{{ a hunter2'",
            "`ansible_password` of host `h` is a template that cannot be worked out (***): ***: write the value itself",
        ),
        (
            "ansible_password: 'hunter2{{ nowhere }}'",
            "`ansible_password` of host `h` is a template that cannot be worked out ('nowhere' is undefined): ***: ",
        ),
    ],
)
def test_errors_about_a_variable_show_no_secrets(variables: str, message: str) -> None:
    secret = {"hosts.ini": "h\n", "group_vars/all.yml": f"x: {inline('hunter2')}"}
    error = said(**secret, **{"host_vars/h.yml": variables})
    assert message in error
    assert "hunter2" not in error


def test_what_a_password_program_prints_before_it_fails_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Path("program")
    program.write_text("#!/bin/sh\necho hunter2; exit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(program))
    message = said(**{"hosts.ini": "web\n", "group_vars/all.yml": f"a: {inline('x')}"})
    assert "ended with exit code 3: it should print a password for ansible-vault" in message
    assert "hunter2" not in message


def test_an_error_about_a_decrypted_value_does_not_show_it() -> None:
    error = said(
        "hosts.yml", **{"hosts.yml": f"all:\n  hosts: {{h: }}\n  vars:\n    ansible_port: {inline('hunter2')}"}
    )
    assert error == "hosts.yml line 4: `ansible_port` of host `h` should be a number, got '***'"


def test_an_encrypted_template_is_in_no_error() -> None:
    error = said(**{"hosts.ini": "h\n", "host_vars/h": encrypted("ansible_host: \"{{ 'hunter2' | nope }}\"\n")})
    assert "`ansible_host` of host `h` is a template that cannot be worked out (***): ***: write the value its" in error


def test_warnings_show_no_secrets(caplog: pytest.LogCaptureFixture) -> None:
    variables = "ansible_ssh_args: '-{{ x }}'\nansible_become_flags: '--{{ x }}'\n"
    hosts = "h\nw ansible_connection='a.{{ x }}'\n"
    data_of(**{"hosts.ini": hosts, "group_vars/all.yml": f"x: {inline('hunter2')}", "host_vars/h.yml": variables})
    *messages, left_out = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    assert all("` has ***, which " in message for message in messages)
    assert "`ansible_connection` is `***`, which no connector here can do" in left_out


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("group_vars/all.yml", "- hunter2\n", "should be a mapping of variables, got ['***']"),
        (
            "group_vars/all.yml",
            "a: 1\nx: *hunter2\n",
            "line 2: no valid YAML: see `ansible-vault view group_vars/",
        ),
        ("group_vars/all.yml", "x: !!int hunter2\n", "is no valid YAML: see `ansible-vault view group_vars/all.yml`"),
        ("hosts.yml", "all: {hosts: [hunter2]}\n", "got ['***']: write each as a key, `***:`, without a dash"),
        ("hosts.yml", "all: {hosts: {h: [hunter2]}}\n", "should have a mapping of variables, got ['***']"),
        ("hosts.yml", "all: hunter2\n", "group `all` should be a mapping, got '***'"),
        ("hosts.yml", "all: {vars: {ansible_group_priority: hunter2}}\n", "should be a number, got '***'"),
        ("hosts.ini", "h a='hunter2\n", "line 1: cannot split this into words (No closing quotation): ***"),
        ("hosts.ini", "h hunter2\n", "line 1: after a host come variables as key=value, got `***`"),
        ("hosts.ini", "[all:vars]\nhunter2\n", "line 2: [all:vars] has lines of the form key=value, got `***`"),
    ],
)
def test_errors_about_an_encrypted_file_show_nothing_of_it(path: str, text: str, message: str) -> None:
    inventory = path if path.startswith("hosts") else "hosts.ini"
    error = said(inventory, **{"hosts.ini": "h\n", path: encrypted(text)})
    assert message in error
    assert "hunter2" not in error


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("hosts.ini", "h a=1 db_password='hunter2\n", "into words (No closing quotation): h a=1 db_password ***"),
        ("hosts.ini", "h db_password=a hunter2\n", "after a host come variables as key=value, got `***`"),
        ("hosts.ini", "[g]\n[g:vars]\ntoken: hunter2\n", "has lines of the form key=value, got `token ***`"),
        ("hosts.ini", "[g:children]\ntoken: hunter2\n", "has one group name on each line, got `token ***`"),
        ("hosts.yml", "db_password: hunter2\n", "group `db_password` should be a mapping, got '***'"),
        ("hosts.yml", "all: {hosts: {h: [{token: hunter2}]}}\n", "a mapping of variables, got [{'token': '***'}]"),
    ],
)
def test_errors_about_other_files_show_nothing_that_its_name_says_is_secret(path: str, text: str, message: str) -> None:
    error = said(path, **{path: text})
    assert message in error
    assert "hunter2" not in error
