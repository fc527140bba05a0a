"""@ansible: hosts that are reached through others are hosts of @openssh, and go that way."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from pyinfra.api.command import MaskString
from pyinfra.connectors.ansible import AnsibleInventoryConnector
from tests.support.hosts import connected_host, made_connector
from tests.support.sshd import SSHServer, User

from .test_session_shells import run


def reached(folder: Path, variables: str) -> tuple[str, dict[str, Any]]:
    """What one host's variables amount to, beside themselves."""
    (folder / "hosts.ini").write_text(f"web {variables}\n")
    ((name, data, _),) = AnsibleInventoryConnector.make_names_data(str(folder / "hosts.ini"))
    return name, {key: value for key, value in data.items() if not key.startswith("ansible_")}


def settings(folder: Path, data: dict[str, Any]) -> dict[str, str]:
    """What ssh makes of the data."""
    connector = made_connector("@openssh/web", **{**data, "openssh_config_file": "/dev/null"})
    argv = ["ssh", "-G", *connector._options(), "-F", str(connector._write_config(folder)), "--", data["ssh_hostname"]]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ("ansible_ssh_common_args='-J me@bastion:2200'", {"proxyjump": "me@bastion:2200"}),
        ("ansible_ssh_extra_args='-o ProxyJump=one,two'", {"proxyjump": "one,two"}),
        (
            "ansible_ssh_common_args='-o ProxyCommand=\"ssh -W %h:%p -q bastion\"'",
            {"proxycommand": "ssh -W %h:%p -q bastion"},
        ),
        # Whatever the user's configuration says
        ("ansible_ssh_args='-o ProxyJump=none'", {"proxyjump": "none"}),
        ("ansible_connection=paramiko ansible_paramiko_proxy_command='nc b 22'", {"proxycommand": "nc b 22"}),
        ("ansible_connection=libssh ansible_libssh_proxy_command='nc b 22'", {"proxycommand": "nc b 22"}),
        (
            "ansible_host=10.0.0.7 ansible_port=2222 ansible_user=ann ansible_private_key_file=/k "
            "ansible_ssh_transfer_method=scp ansible_host_key_checking=no ansible_ssh_common_args='-J b -l bob -C "
            "-o ControlMaster=auto -o ControlPath=/c -o LogLevel=QUIET -o ServerAliveInterval=7 -o Ciphers=aes256-ctr'",
            {
                "proxyjump": "b",
                "hostname": "10.0.0.7",
                "port": "2222",
                "user": "ann",
                "identityfile": "/k",
                "stricthostkeychecking": "false",
                "compression": "yes",
                "controlmaster": "false",
                "loglevel": "INFO",
                "serveraliveinterval": "7",
                "ciphers": "aes256-ctr",
            },
        ),
    ],
)
def test_a_way_through_others_is_kept(
    variables: str, expected: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name, data = reached(tmp_path, variables)
    assert name == "@openssh/web"
    seen = settings(tmp_path, data)
    # Of `none`, and of a jump and a command, ssh shows the one that counts
    assert {key: seen.get(key, "none") for key in expected} == expected
    assert caplog.records == []


def test_what_ansible_does_not_look_at_changes_no_way(tmp_path: Path) -> None:
    assert reached(tmp_path, "ansible_paramiko_proxy_command='nc b 22'") == ("web", {})


def test_a_secret_in_the_way_stays_one(tmp_path: Path) -> None:
    command = "proxy {{ proxy_password }}"
    _, data = reached(tmp_path, f"proxy_password=hush ansible_ssh_common_args='-o ProxyCommand=\"{command}\"'")
    (line,) = data["openssh_options"]
    assert isinstance(line, MaskString)
    assert settings(tmp_path, data)["proxycommand"] == "proxy hush"


def test_a_host_behind_a_real_jump_host_is_reached_through_it(
    sshd: SSHServer, ssh_user: User, ssh_home: Path, tmp_path: Path
) -> None:
    jump_user = sshd.add_user()
    config = tmp_path / "config"
    config.write_text(
        f"Host bastion\nHostName 127.0.0.2\nPort {sshd.port}\nUser {jump_user.name}\nIdentityFile {jump_user.key}\n"
        "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n"
    )
    name, data = reached(
        tmp_path,
        f"ansible_host=127.0.0.1 ansible_port={sshd.port} ansible_user={ssh_user.name} "
        f"ansible_private_key_file={ssh_user.key} "
        f"ansible_ssh_common_args='-F {config} -o UserKnownHostsFile=/dev/null -o ProxyJump=bastion'",
    )
    with connected_host(name, **data, ssh_allow_agent=False) as host:
        assert run(host, "id -un")[1].stdout == ssh_user.name
    assert sshd.log.count(f"Accepted publickey for {jump_user.name} ") == 1
