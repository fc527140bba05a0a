"""The commands for systems that the tests don't run on, as a fake host gets them."""

from __future__ import annotations

import shlex
import subprocess
from contextlib import AbstractContextManager
from typing import Any

import pytest

from pyinfra.api import OperationError, OperationTypeError
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.facts.files import STAT_COMMANDS
from pyinfra.operations import server
from tests.support.run import Run, connected_run

FREEBSD = {"uname -s": "FreeBSD"}
OPENBSD = {"uname -s": "OpenBSD", "command -v useradd": "/usr/sbin/useradd"}
LINUX = {"uname -s": "Linux"}
STAT = shlex.split(STAT_COMMANDS[0])
BOB = "bob:x:1001:1001:Bob:/home/bob:/bin/sh|bob|bob audio||*"


def fake_run(responses: dict[str, str]) -> AbstractContextManager[Run]:
    """A run with a fake host that answers like this, at once."""
    return connected_run("@fake/x", {"fake_responses": responses, "fake_delay": 0, "fake_delay_jitter": 0})


def commands_of(responses: dict[str, str], operation: Any, **kwargs: Any) -> list[str]:
    """What an operation does on a fake host, questions for facts left out."""
    with fake_run(responses) as run:
        return [str(command) for command in run.op(operation, **kwargs)._commands or ()]


@pytest.mark.parametrize(
    ("responses", "command"),
    [
        (FREEBSD, "pw groupadd -n app -g 1500"),
        (OPENBSD, "groupadd -g 1500 app"),
        (LINUX, "groupadd -r app --gid 1500"),
    ],
)
def test_a_group_is_made_by_the_tool_of_the_system(responses: dict[str, str], command: str) -> None:
    assert commands_of(responses, server.group, group="app", system=True, gid=1500) == [command]


def test_a_user_of_openbsd_is_made_without_long_options() -> None:
    made = commands_of(OPENBSD, server.user, user="bob", uid=1001, system=True, create_home=True, ensure_home=False)
    assert made == ["useradd -d /home/bob -u 1001 -m bob"]


@pytest.mark.parametrize(
    ("system", "append", "command"),
    [
        ("Linux", True, "usermod -a -G video bob"),
        ("Linux", False, "usermod -G video bob"),
        ("OpenBSD", True, "usermod -G video bob"),
        ("OpenBSD", False, "usermod -S video bob"),
        ("NetBSD", True, "usermod -G video bob"),
        ("FreeBSD", True, "pw usermod -n bob -a -G video"),
        ("FreeBSD", False, "pw usermod -n bob -G video"),
    ],
)
def test_groups_are_added_or_set_by_the_option_of_the_system(system: str, append: bool, command: str) -> None:
    responses = {"uname -s": system, "/etc/passwd": BOB, "command -v usermod": "/usr/sbin/usermod"}
    arguments: dict[str, Any] = {"user": "bob", "groups": ["video"], "ensure_home": False}
    assert commands_of(responses, server.user, append=append, **arguments) == [command]


def test_a_password_is_the_standard_input_of_freebsd_s_tool() -> None:
    responses = {**FREEBSD, "/etc/passwd": BOB}
    changed = commands_of(responses, server.user, user="bob", password="$6$new", comment="Bob B", ensure_home=False)
    assert changed == ["echo '$6$new' | pw usermod -n bob -H 0 -c 'Bob B'"]


def test_a_missing_tool_of_alpine_is_named_with_its_package() -> None:
    responses = {**LINUX, "-release": '/etc/os-release\nNAME="Alpine Linux"\nID=alpine\n---'}
    message = "useradd is not installed: it is in the package shadow"
    with fake_run(responses) as run, pytest.raises(OperationError, match=message):
        add_op(run.state, server.user, user="bob")


@pytest.mark.parametrize(
    ("responses", "commands"),
    [
        ({**FREEBSD}, ["hostname web", "sysrc hostname=web"]),
        ({**LINUX, "command -v hostnamectl": "/bin/hostnamectl"}, ["hostnamectl set-hostname web"]),
        ({"uname -s": "NetBSD"}, ["hostname web", "/etc/myname"]),
    ],
)
def test_a_host_name_is_kept_where_the_system_looks_for_it(responses: dict[str, str], commands: list[str]) -> None:
    # A fake host has no /etc, which is made for the file
    run = [command for command in commands_of(responses, server.hostname, hostname="web") if "mkdir" not in command]
    assert len(run) == len(commands)
    assert all(part in command for part, command in zip(commands, run, strict=True))


def test_a_system_whose_file_for_its_name_is_not_known_is_an_error() -> None:
    with fake_run({"uname -s": "Darwin"}) as run:
        add_op(run.state, server.hostname, hostname="web")
        with pytest.raises(PyinfraError):
            run_ops(run.state)
        (failure,) = run.state.failures
        assert "name it as hostname_file" in str(failure.error)


def test_a_time_zone_is_set_by_timedatectl_only_where_systemd_runs() -> None:
    responses = {**LINUX, "command -v timedatectl": "/bin/timedatectl"}
    by_hand = ["ln -sf /usr/share/zoneinfo/Asia/Tokyo /etc/localtime", "echo Asia/Tokyo > /etc/timezone"]
    assert commands_of(responses, server.timezone, timezone="Asia/Tokyo") == by_hand
    folder = subprocess.run([*STAT, "/"], capture_output=True, text=True, check=True).stdout
    responses["/run/systemd/system"] = folder
    assert commands_of(responses, server.timezone, timezone="Asia/Tokyo") == ["timedatectl set-timezone Asia/Tokyo"]


def test_a_file_system_of_a_bsd_is_mounted_again_with_its_own_option() -> None:
    responses = {**FREEBSD, "mount -v": "/dev/ada0p3 on /data (ufs, local)"}
    assert commands_of(responses, server.mount, path="/data", options=["noatime"]) == ["mount -u -o noatime /data"]


def test_a_device_that_is_mounted_elsewhere_counts_but_not_a_name_that_is_no_device() -> None:
    mountinfo = "30 1 8:1 / /mnt rw - ext4 /dev/sda1 rw\n31 1 0:40 / /run rw - tmpfs tmpfs rw"
    responses = {**LINUX, "mountinfo": mountinfo}
    assert commands_of(responses, server.mount, path="/data", device="/dev/sda1") == []
    made = commands_of(responses, server.mount, path="/data", device="tmpfs", fs_type="tmpfs")
    assert made == ["mount -t tmpfs tmpfs /data"]


def test_modules_are_known_by_either_dash() -> None:
    modules = "nf_tables 356352 0 - Live 0x0"
    responses = {**LINUX, "/proc/modules": modules}
    assert commands_of(responses, server.modprobe, module="nf-tables") == []
    assert commands_of(responses, server.modprobe, module=["nf-tables", "tun"], force=True) == ["modprobe -f -a tun"]
    assert commands_of(responses, server.modprobe, module="nf-tables", present=False) == ["modprobe -r -a nf-tables"]


@pytest.mark.parametrize(
    ("operation", "arguments", "name"),
    [
        (server.user, {"user": "bob", "groups": "docker"}, "groups"),
        (server.mount, {"path": "/data", "options": "ro"}, "options"),
    ],
)
def test_text_in_the_place_of_a_list_is_an_error_that_says_so(operation: Any, arguments: Any, name: str) -> None:
    with fake_run({}) as run, pytest.raises(OperationTypeError, match=f"`{name}` must be a list"):
        add_op(run.state, operation, **arguments)
