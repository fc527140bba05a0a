"""@ansible: the hosts that it yields, what connection variables amount to, and what is wrong with inventories."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyinfra.api import Inventory, InventoryError
from pyinfra.connectors.ansible import AnsibleInventoryConnector

Yields = list[tuple[str, dict[str, Any], list[str]]]
Read = Callable[..., Yields]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Writes files into the working directory and gives what the connector yields for one of them."""
    monkeypatch.chdir(tmp_path)
    for name in ("ANSIBLE_VAULT_PASSWORD_FILE", "ANSIBLE_VAULT_IDENTITY_LIST"):
        monkeypatch.delenv(name, raising=False)

    def read(text: str | None = None, path: str = "hosts.ini", **files: str) -> Yields:
        for name, content in {path: text, **files}.items():
            if content is not None:
                Path(name).parent.mkdir(parents=True, exist_ok=True)
                Path(name).write_text(content)
        return list(AnsibleInventoryConnector.make_names_data(path))

    return read


@pytest.fixture
def said(read: Read) -> Callable[..., str]:
    """The error that an inventory causes."""

    def said(*arguments: Any, **files: str) -> str:
        with pytest.raises(InventoryError) as caught:
            read(*arguments, **files)
        return str(caught.value)

    return said


def data_of(read: Read, variables: str, name: str = "web") -> dict[str, Any]:
    """What one host's variables amount to, beside themselves."""
    ((_, data, _),) = read(f"{name} {variables}\n")
    return {key: value for key, value in data.items() if not key.startswith("ansible_")}


# Names, groups and data


def test_hosts_come_with_all_variables_and_groups_from_the_outermost_inwards(read: Read) -> None:
    yielded = read(
        "[web]\nweb-[1:2] own=1\n[site:children]\nweb\n[site:vars]\nport=80\n",
        **{"host_vars/web-2.yml": "own: {a: [1]}\n"},
    )
    groups = ["@ansible", "all", "site", "web"]
    assert yielded == [("web-1", {"port": 80, "own": 1}, groups), ("web-2", {"port": 80, "own": {"a": [1]}}, groups)]


def test_an_inventory_of_pyinfra_has_them_all(read: Read) -> None:
    read("lonely\n[web]\nw1 ansible_host=10.0.0.1\n[box]\nb1 ansible_connection=docker\n")
    inventory = Inventory((["@ansible/hosts.ini"], {}), web=([], {"from_pyinfra": 1}))
    assert list(inventory.hosts) == ["lonely", "w1", "@docker/b1"]
    assert {host.name: host.connector_cls.__name__ for host in inventory} == {
        "lonely": "SSHConnector",
        "w1": "SSHConnector",
        "@docker/b1": "DockerConnector",
    }
    assert inventory.get_host("w1").data.dict() == {
        "ansible_host": "10.0.0.1",
        "ssh_hostname": "10.0.0.1",
        "from_pyinfra": 1,
    }
    assert [host.name for host in inventory.get_group("ungrouped")] == ["lonely"]


def test_absolute_paths_and_home_folders_are_found(read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read("a\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir("/")
    for path in (f"{tmp_path}/hosts.ini", "~/hosts.ini"):
        assert [name for name, _, _ in AnsibleInventoryConnector.make_names_data(path)] == ["a"]


def test_templates_in_data_stay_as_they_are(read: Read) -> None:
    assert data_of(read, 'url="http://{{ name }}/"') == {"url": "http://{{ name }}/"}


# Connection variables


@pytest.mark.parametrize(
    ("variables", "data"),
    [
        ("ansible_host=h ansible_port=22", {"ssh_hostname": "h", "ssh_port": 22}),
        ("ansible_port='\"2200\"'", {"ssh_port": 2200}),
        ("ansible_ssh_host=new ansible_host=old ansible_ssh_port=1", {"ssh_hostname": "new", "ssh_port": 1}),
        ("ansible_user=1000 ansible_password=p", {"ssh_user": "1000", "ssh_password": "p"}),
        ("ansible_ssh_user=u ansible_ssh_pass=p", {"ssh_user": "u", "ssh_password": "p"}),
        ("ansible_ssh_private_key_file=~/.ssh/k", {"ssh_key": "~/.ssh/k"}),
        ("ansible_private_key_file=k ansible_private_key_passphrase=p", {"ssh_key": "k", "ssh_key_password": "p"}),
        ("ansible_host= ansible_port=", {}),
        ("ansible_connection=smart ansible_user=u", {"ssh_user": "u"}),
        ("ansible_connection=ansible.builtin.paramiko_ssh", {}),
        ("ansible_host_key_checking=false", {"ssh_strict_host_key_checking": "no"}),
        ("ansible_ssh_host_key_checking=True", {}),
        ("ansible_ssh_transfer_method=scp", {"ssh_file_transfer_protocol": "scp"}),
        (
            "ansible_ssh_transfer_method=sftp ansible_ssh_retries=3",
            {"ssh_file_transfer_protocol": "sftp", "ssh_connect_retries": 3},
        ),
        ("ansible_ssh_transfer_method=smart", {}),
        (
            "ansible_ssh_common_args='-o StrictHostKeyChecking=No -oUserKnownHostsFile=/dev/null -C'",
            {"ssh_strict_host_key_checking": "no", "ssh_known_hosts_file": "/dev/null"},
        ),
        (
            "ansible_ssh_extra_args='-i k -p 2200 -l u -A -F f -o \"HostName x\" -q -o ControlMaster=auto'",
            {
                "ssh_key": "k",
                "ssh_port": 2200,
                "ssh_user": "u",
                "ssh_forward_agent": True,
                "ssh_config_file": "f",
                "ssh_hostname": "x",
            },
        ),
        ("ansible_ssh_common_args='-i other -p 1' ansible_ssh_private_key_file=k", {"ssh_key": "k", "ssh_port": 1}),
        ("ansible_shell_executable=/bin/bash", {"_shell_executable": "/bin/bash"}),
        ("ansible_become=yes", {"_sudo": True}),
        ("ansible_become=False", {"_sudo": False}),
        (
            "ansible_become=1 ansible_become_user=app ansible_become_pass=p",
            {"_sudo": True, "_sudo_user": "app", "_sudo_password": "p"},
        ),
        ("ansible_become_password=a ansible_sudo_pass=b", {"_sudo_password": "b"}),
        (
            "ansible_become=true ansible_become_flags='-H -iE'",
            {"_sudo": True, "_use_sudo_login": True, "_preserve_sudo_env": True},
        ),
        ("ansible_become=t ansible_become_method=su", {"_su_user": "root"}),
        (
            "ansible_become=t ansible_become_method=ansible.builtin.su ansible_become_user=app ansible_su_pass=p",
            {"_su_user": "app", "_su_password": "p"},
        ),
        ("ansible_become_method=su ansible_become_user=app", {}),
        ("ansible_become=t ansible_become_method=doas ansible_become_user=app", {"_doas": True, "_doas_user": "app"}),
        ("ansible_become=t ansible_become_method=dzdo", {"_dzdo": True}),
    ],
)
def test_connection_variables_become_data(variables: str, data: dict[str, Any], read: Read) -> None:
    assert data_of(read, variables) == data


@pytest.mark.parametrize(
    ("line", "name", "data"),
    [
        ("localhost ansible_connection=local", "@local", {}),
        ("build ansible_connection=ansible.builtin.local ansible_become=yes", "@local/build", {"_sudo": True}),
        ("box ansible_connection=docker", "@docker/box", {"docker_identifier": "box"}),
        (
            "box ansible_connection=community.docker.docker_api ansible_host=c1 ansible_user=app",
            "@docker/box",
            {"docker_identifier": "c1", "docker_user": "app"},
        ),
        (
            "box ansible_connection=containers.podman.podman ansible_podman_host=c1",
            "@podman/box",
            {"docker_identifier": "c1"},
        ),
        ("/srv/tree ansible_connection=chroot", "@chroot//srv/tree", {"chroot_directory": "/srv/tree"}),
        (
            "i1 ansible_connection=community.general.incus ansible_incus_remote=far ansible_incus_project=p",
            "@incus/i1",
            {"incus_instance": "i1", "incus_remote": "far", "incus_project": "p"},
        ),
        ("i1 ansible_connection=lxd ansible_host=i2", "@lxd/i1", {"lxd_instance": "i2"}),
        (
            "p ansible_connection=kubernetes.core.kubectl ansible_kubectl_pod=web-0 ansible_kubectl_container=c",
            "@kubernetes/p",
            {"kubernetes_pod": "web-0", "kubernetes_container": "c"},
        ),
    ],
)
def test_other_connections_are_hosts_of_other_connectors(
    line: str, name: str, data: dict[str, Any], read: Read
) -> None:
    ((yielded, found, _),) = read(f"{line}\n")
    assert yielded == name
    assert {key: value for key, value in found.items() if not key.startswith("ansible_")} == data


def test_hosts_that_no_connector_reaches_are_left_out_with_one_warning(
    read: Read, caplog: pytest.LogCaptureFixture
) -> None:
    yielded = read(
        "[linux]\nweb\n[windows]\nw[1:2] ansible_become_method=runas ansible_become=yes\n"
        "[windows:vars]\nansible_connection=winrm\n"
    )
    assert [name for name, _, _ in yielded] == ["web"]
    (record,) = caplog.records
    message = record.getMessage()
    assert message.startswith(
        "hosts.ini line 6: `ansible_connection` is `winrm`, which no connector here can do (there are: ssh, local, "
    )
    assert message.endswith("): these hosts are left out: w1, w2")


def test_templates_in_connection_variables_are_worked_out(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_PASSWORD", "secret")
    yielded = read(
        "all:\n"
        "  hosts: {web-1.example.com: {number: 7, net: {lan: '{{ base }}.{{ number }}'}}}\n"
        "  vars:\n"
        "    base: 10.0.0\n"
        "    port_base: 2200\n"
        "    ansible_host: '{{ net.lan }}'\n"
        "    ansible_port: '{{ port_base + number }}'\n"
        "    ansible_user: \"{{ 'admin' if 'web' in group_names else 'guest' }}\"\n"
        "    ansible_become: '{{ number > 5 }}'\n"
        "    ansible_become_password: \"{{ lookup('env', 'DEPLOY_PASSWORD') }}\"\n"
        "    ansible_ssh_private_key_file: '{{ inventory_dir }}/keys/{{ inventory_hostname_short }}'\n"
        "    ansible_password: !unsafe '{{'\n"
        "web: {hosts: {web-1.example.com: }}\n",
        "hosts.yml",
    )
    data = yielded[0][1]
    assert data["ansible_host"] == "{{ net.lan }}"
    assert {key: value for key, value in data.items() if key.startswith(("ssh_", "_"))} == {
        "ssh_hostname": "10.0.0.7",
        "ssh_port": 2207,
        "ssh_user": "admin",
        "ssh_password": "{{",
        "ssh_key": f"{Path.cwd()}/keys/web-1",
        "_sudo": True,
        "_sudo_password": "secret",
    }


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            "ansible_become=yes ansible_become_method=runas",
            "`ansible_become_method` of host `web` is `runas`, which pyinfra cannot do; there are: sudo, su",
        ),
        (
            "ansible_ssh_transfer_method=ftp",
            "`ansible_ssh_transfer_method` of host `web` is `ftp`, which is none of sftp, scp, piped, smart",
        ),
        ("ansible_port=http", "`ansible_port` of host `web` should be a number, got 'http'"),
        ("ansible_become=maybe", "`ansible_become` of host `web` should be true or false, got 'maybe'"),
        ("ansible_password=[1]", "`ansible_password` of host `web` should be text, got a list"),
        ('ansible_ssh_common_args="-o \'x"', "`ansible_ssh_common_args` of host `web` cannot be split into words: "),
        ("ansible_ssh_common_args='-p'", "`ansible_ssh_common_args` of host `web` ends with -p, which needs a value"),
        ("ansible_ssh_args=-pabc", "`ansible_ssh_args` of host `web` should have a number for port, got 'abc'"),
        (
            'ansible_host="{{ nowhere }}"',
            "`ansible_host` of host `web` is a template that cannot be worked out "
            "('nowhere' is undefined): {{ nowhere }}: write the value itself",
        ),
        (
            'ansible_host="{{ ansible_host }}"',
            "`ansible_host` of host `web` is a template that cannot be worked out (it ",
        ),
        (
            'ansible_host="{{ x | ipaddr }}"',
            "`ansible_host` of host `web` is a template that cannot be worked out (No ",
        ),
        (
            "ansible_host=\"{{ lookup('file', 'x') }}\"",
            "`ansible_host` of host `web` is a template that cannot be worked ",
        ),
    ],
)
def test_variables_that_nothing_can_be_made_of_are_errors_with_their_place(
    variables: str, message: str, said: Callable[..., str]
) -> None:
    assert said(f"\n[g]\nweb {variables}\n").startswith(f"hosts.ini line 3: {message}")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ("ansible_ssh_common_args='-o Ciphers=x'", "has ciphers, which host data cannot say: put it in ~/.ssh/config"),
        ("ansible_ssh_args='-w 0'", "has -w, which host data cannot say: put it in ~/.ssh/config"),
        ("ansible_timeout=30", "means nothing to @ssh: ignored; CONNECT_TIMEOUT in config.py says it for all hosts"),
        # What is ignored need not be worked out
        ("ansible_private_key='{{ nowhere }}'", "means nothing to @ssh: ignored"),
        ("ansible_connection=docker ansible_docker_extra_args='-H x'", "means nothing to @docker: ignored"),
        ("ansible_become=y ansible_become_flags=-k", "has -k, which no global argument does: ignored"),
        (
            "ansible_become=y ansible_become_method=doas ansible_become_pass=p",
            "is for doas, which gets no password from",
        ),
    ],
)
def test_variables_without_a_counterpart_are_warned_of_once(
    variables: str, message: str, read: Read, caplog: pytest.LogCaptureFixture
) -> None:
    # The second host has it from the same place
    read(f"web[1:2] {variables}\n")
    (record,) = caplog.records
    assert record.getMessage().startswith("hosts.ini line 1: `ansible_")
    assert message in record.getMessage()


# Variables that are called like data of connectors


def test_a_variable_does_not_change_how_a_host_is_reached_by_its_name_alone(
    read: Read, caplog: pytest.LogCaptureFixture
) -> None:
    usual = 'sshd_port: 1\nssh_port: "2222"\nssh_user: web\nssh_key: ssh-ed25519 AAAA me\nshell_session: no\n'
    read("h[1:2]\n", **{"group_vars/all.yml": usual})
    caplog.clear()
    inventory = Inventory((["@ansible/hosts.ini"], {"ssh_port": 22}))
    assert [host.data.dict() for host in inventory] == [{"sshd_port": 1, "ssh_port": 22}] * 2
    # Once for both hosts
    assert [record.getMessage().partition(",")[0] for record in caplog.records] == [
        "group_vars/all.yml line 2: `ssh_port` is left out of host data",
        "group_vars/all.yml line 3: `ssh_user` is left out of host data",
        "group_vars/all.yml line 4: `ssh_key` is left out of host data",
        "group_vars/all.yml line 5: `shell_session` is left out of host data",
    ]
    assert "since @ssh would connect by it, which Ansible does not: rename it" in caplog.text


def test_data_of_other_connectors_than_the_hosts_own_are_variables_like_any_other(
    read: Read, caplog: pytest.LogCaptureFixture
) -> None:
    yielded = read(
        "web\nbox ansible_connection=docker\nlocalhost ansible_connection=local\n",
        **{"group_vars/all": "docker_user: app\nssh_port: 2222\nincus_remote: r\n"},
    )
    variables = {"docker_user": "app", "ssh_port": 2222, "incus_remote": "r"}
    left_out = [variables.keys() - data.keys() for _, data, _ in yielded]
    assert left_out == [{"ssh_port"}, {"docker_user"}, set()]
    assert len(caplog.records) == 2


def test_connection_variables_can_be_made_of_such_variables(read: Read, caplog: pytest.LogCaptureFixture) -> None:
    variables = (
        'ssh_port: "2222"\nansible_port: "{{ ssh_port }}"\nssh_user: "{{ me }}"\nansible_user: "{{ ssh_user }}"\n'
    )
    ((_, data, _),) = read("h me=you\n", **{"host_vars/h.yml": variables})
    assert (data["ssh_port"], data["ssh_user"]) == (2222, "you")
    assert caplog.records == []


def test_a_connection_variable_that_says_something_else_wins_and_is_warned_of(
    read: Read, caplog: pytest.LogCaptureFixture
) -> None:
    assert data_of(read, "ssh_port=2222 ansible_port=22") == {"ssh_port": 22}
    assert "hosts.ini line 1: `ssh_port` is left out of host data" in caplog.text


# What is wrong with inventories


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[g:children]\nnope\n", "line 2: there is no group `nope`, which [g:children] names: add a section [nope]"),
        ("\n[nope:vars]\na=1\n", "line 2: there is no group `nope`, which [nope:vars] names: add a section [nope]"),
        ("[g:foo]\n", "line 1: sections are [GROUP], [GROUP:children] or [GROUP:vars], got [g:foo]"),
        ("[g h]\n", "line 1: [g h] is no section: they are [GROUP], [GROUP:children] and [GROUP:vars]"),
        ("[g]\nh\n[web\nw\n", "line 3: [web is no section: they are [GROUP], [GROUP:children] and [GROUP:vars]"),
        ("h[1:3.ex\n", "line 1: host `h[1:3.ex` has a bracket without its counterpart; ranges look like [01:20], [a:f"),
        # Ansible takes it for h[1:3]
        ("h]1:3[\n", "line 1: host `h]1:3[` has a bracket without its counterpart; ranges look like [01:20], [a:f], "),
        ("[g]\n[g:vars]\nx\n", "line 3: [g:vars] has lines of the form key=value, got `x`"),
        ("[g:children]\na b\n", "line 2: [g:children] has one group name on each line, got `a b`"),
        ("host novalue\n", "line 1: after a host come variables as key=value, got `novalue`"),
        ('host a="x\n', 'line 1: cannot split this into words (No closing quotation): host a="x'),
        ("host:\n", "line 1: host `host:` ends with a colon: leave it out, or write a port after it"),
        (
            "h[01:100]\n",
            "line 1: range [01:100] of `h[01:100]` should have as many digits at its end as at its beginning",
        ),
        ("h[1:]\n", "line 1: range [1:] of `h[1:]` has no end; ranges look like [01:20], [a:f], [1:9:2]"),
        ("h[1-2]\n", "line 1: range [1-2] of `h[1-2]` should have a beginning and an end, and a step at most"),
        ("h[1:x]\n", "line 1: range [1:x] of `h[1:x]` should be between two numbers or two letters"),
        ("h[1:3:0]\n", "line 1: range [1:3:0] of `h[1:3:0]` should have a number above 0 as its step"),
        ("[a:children]\nb\n[b:children]\na\n", "line 4: group `a` cannot be in group `b`, which is in it or is it"),
        ("[a]\n[a:children]\na\n", "line 3: group `a` cannot be in group `a`, which is in it or is it"),
        (
            "[a]\n[a:vars]\nansible_group_priority=high\n",
            "line 3: `ansible_group_priority` of group `a` should be a number, got 'high'",
        ),
    ],
)
def test_errors_of_ini_have_their_line(text: str, message: str, said: Callable[..., str]) -> None:
    assert said(text).startswith(f"hosts.ini {message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "all:\n  hosts: [a, b]\n",
            "line 2: `hosts` of group `all` should be a mapping by name, got ['a', 'b']: write each",
        ),
        ("all:\n  hosts:\n    a: [1]\n", "line 3: host `a` should have a mapping of variables, got [1]"),
        ("all:\n  vars: x\n", "line 2: should be a mapping of variables, got 'x'"),
        ("all: [x]\n", "line 1: group `all` should be a mapping, got ['x']"),
        ("all:\n  children:\n    1: {}\n", "line 3: a name should be text, put 1 in quotation marks"),
        ("all:\n  hosts:\n    10: {}\n", "line 3: a name should be text, put 10 in quotation marks"),
        ("all:\n  hosts:\n    'h[1:]':\n", "line 3: range [1:] of `h[1:]` has no end"),
        (
            "a: {children: {b: {children:\n {a: }}}}\n",
            "line 1: group `b` cannot be in group `a`, which is in it or is it",
        ),
        ("all:\n  hosts: {a: }\n bad\n", "line 3: no valid YAML: "),
        ("all:\n  hosts: !nope x\n", "line 2: no valid YAML: could not determine a constructor for the tag '!nope'"),
        (
            "\nplugin: aws_ec2\n",
            "line 2: this configures Ansible's inventory plugin aws_ec2, which only Ansible can run: `",
        ),
        (
            "all:\n  vars:\n    p: !vault |\n      $ANSIBLE_VAULT;1.2;AES256;prod\n      3031\n",
            "line 3: this text of ansible-vault is damaged: encrypt it anew",
        ),
        (
            "all:\n  vars:\n    p: !vault $ANSIBLE_VAULT;9.9\n",
            "line 3: this begins with `$ANSIBLE_VAULT;9.9`: of ansible-v",
        ),
    ],
)
def test_errors_of_yaml_have_their_line(text: str, message: str, said: Callable[..., str]) -> None:
    assert said(text, "hosts.yml").startswith(f"hosts.yml {message}")


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n", "{}\n"])
def test_yaml_that_has_no_groups_is_an_error(text: str, said: Callable[..., str]) -> None:
    assert said(text, "hosts.yml").startswith("hosts.yml: should be a mapping of groups, such as `all:` with `hosts:`")


def test_other_files_and_folders_that_are_no_inventories_are_errors(
    said: Callable[..., str], read: Read, tmp_path: Path
) -> None:
    assert said(None, "gone/hosts") == f"No Ansible inventory: {tmp_path}/gone/hosts does not exist"
    assert said("# nothing\n", "empty") == "The Ansible inventory empty has no hosts"
    assert said('{"a": }', "x.json").startswith("x.json is no valid JSON: ")
    assert said("h\n", **{"host_vars/h.yml": "- 1\n"}) == "host_vars/h.yml: should be a mapping of variables, got [1]"
    assert said("h\n", **{"host_vars/h.yml": "a: 1\nb: {\n"}).startswith("host_vars/h.yml line 3: no valid YAML: ")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert said(None, "binary").startswith("binary is not UTF-8")
    assert said("#!/bin/sh\necho {}\n", "program").endswith(
        "if it is a program that prints an inventory: chmod +x program"
    )


def test_a_file_that_cannot_be_read_is_an_error(said: Callable[..., str]) -> None:
    assert said(None, "/proc/self/mem") == "Cannot read /proc/self/mem: Input/output error"


def test_braces_can_be_yaml_that_is_no_json(read: Read) -> None:
    assert read("{all: {hosts: {h: }}}", "hosts")[0][0] == "h"


@pytest.mark.parametrize("name", [None, ""])
def test_a_path_is_needed(name: str | None) -> None:
    with pytest.raises(InventoryError, match=r"@ansible needs a path: @ansible/hosts\.ini"):
        list(AnsibleInventoryConnector.make_names_data(name))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("echo oops >&2; exit 3", "ended with exit code 3\noops"),
        ("echo no json", "is no valid JSON (Expecting value: line 1 column 1 (char 0))"),
        ("echo '[]'", "should be a JSON object of groups, got []"),
        ("echo '{\"a\": 1}'", "group `a` should be an object or a list, got 1"),
        ('echo \'{"a": {"hosts": "h"}}\'', "`hosts` of group `a` should be a list of names, got 'h'"),
        ('echo \'{"a": {"vars": [1]}}\'', "should be a mapping of variables, got [1]"),
        ('echo \'{"_meta": [], "a": ["h"]}\'', "`_meta` should be an object with `hostvars` by host, got []"),
    ],
)
def test_what_a_program_prints_wrongly_is_an_error_that_names_it(
    body: str, message: str, said: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "program").write_text(f"#!/bin/sh\n{body}\n")
    (tmp_path / "program").chmod(0o755)
    error = said(None, "program")
    assert f"{tmp_path}/program --list" in error
    assert message in error


def test_what_a_program_prints_before_it_fails_is_not_shown(said: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "program").write_text('#!/bin/sh\necho \'{"key": "hunter2"}\'; exit 3\n')
    (tmp_path / "program").chmod(0o755)
    assert said(None, "program").endswith("ended with exit code 3")


def test_a_program_without_its_interpreter_is_an_error(said: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "program").write_text("#!/no/such/interpreter\n")
    (tmp_path / "program").chmod(0o755)
    assert "can its interpreter be found?" in said(None, "program")


def test_a_file_that_is_no_program_is_read_even_if_it_could_be_run(read: Read, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("a\n")
    (tmp_path / "hosts").chmod(0o755)
    assert [name for name, _, _ in read(None, "hosts")] == ["a"]


def test_ranges_that_are_empty_are_warned_of(read: Read, caplog: pytest.LogCaptureFixture) -> None:
    assert [name for name, _, _ in read("a\nh[3:1]\n")] == ["a"]
    assert "hosts.ini line 2: range [3:1] of `h[3:1]` is empty" in caplog.text


def test_keys_that_groups_do_not_have_are_warned_of(read: Read, caplog: pytest.LogCaptureFixture) -> None:
    read("all:\n  hosts: {a: }\n  host: {b: }\n", "hosts.yml")
    assert "hosts.yml line 3: `host` of group `all` is none of vars, children and hosts: ignored" in caplog.text


# Libraries and passwords


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Hides a library."""

    def without(library: str) -> None:
        real = builtins.__import__

        def find(name: str, *arguments: Any, **keywords: Any) -> Any:
            if name == library:
                raise ImportError(name)
            return real(name, *arguments, **keywords)

        monkeypatch.setattr(builtins, "__import__", find)

    return without


def test_yaml_without_a_library_for_it_says_what_to_install(
    said: Callable[..., str], without: Callable[[str], None]
) -> None:
    without("yaml")
    message = "is YAML, which needs a library: install PyYAML: pip install pyyaml, or pyinfra[ansible]"
    assert said("a: {}\n", "hosts.yml") == f"hosts.yml {message}"
    assert said("h\n", **{"group_vars/all": "x: 1\n"}) == f"group_vars/all {message}"


def test_toml_without_a_library_for_it_says_what_to_do(
    said: Callable[..., str], without: Callable[[str], None]
) -> None:
    without("tomllib")
    assert said("[all]\n", "hosts.toml") == "hosts.toml: TOML needs Python 3.11 or newer: write this as YAML"


def test_ini_and_json_need_no_library(read: Read, without: Callable[[str], None]) -> None:
    without("yaml")
    assert read("h\n", **{"host_vars/h.json": '{"x": 1}'})[0][1] == {"x": 1}
