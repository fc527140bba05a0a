"""``@incus`` and ``@lxd``: names, lists, what can be wrong, and a real LXD with instances that hold BusyBox."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from pyinfra.api import Inventory
from pyinfra.api.exceptions import ConnectError, ConnectorDataTypeError, InventoryError
from pyinfra.connectors import incus
from pyinfra.connectors.incus import IncusConnector, LXDConnector
from pyinfra.connectors.util import CommandOutput, OutputLine
from pyinfra.testing.contract import ConnectorContract

from ..support.commandline import Folder
from ..support.hosts import connected_host, made_connector, why_not
from ..support.lxd import LXDServer, can_run_lxd, start_lxd
from ..support.page import run_examples, stand_in
from .test_chroot import WITHOUT_TOOLS
from .test_session_shells import run

# Names and data


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("web", {"instance": "web"}),
        ("far:web", {"remote": "far", "instance": "web"}),
        ("shop/web", {"project": "shop", "instance": "web"}),
        ("far:shop/web", {"remote": "far", "project": "shop", "instance": "web"}),
    ],
)
def test_a_name_may_have_a_remote_and_a_project(name: str, data: dict[str, str]) -> None:
    for connector_cls, prefix in ((IncusConnector, "incus"), (LXDConnector, "lxd")):
        expected = {f"{prefix}_{key}": value for key, value in data.items()}
        assert list(connector_cls.make_names_data(name)) == [(f"@{prefix}/{name}", expected, [f"@{prefix}"])]


def test_an_empty_name_is_an_error() -> None:
    with pytest.raises(InventoryError, match=r"@lxd/ needs an instance, \[REMOTE:\]\[PROJECT/\]NAME"):
        list(LXDConnector.make_names_data(""))


def test_data_become_options_of_exec() -> None:
    connector = made_connector("@incus/far:shop/web", incus_user=1000, incus_group=0)
    options = ["--project", "shop", "--user", "1000", "--group", "0", "--", "far:web"]
    assert connector.shell_argv()[:10] == ["incus", "exec", "-T", *options][:10]
    assert connector.terminal_argv()[:11] == ["incus", "exec", "-t", *options]
    assert connector.program_argv("show 'a b'") == ["incus", "exec", "-T", *options, "show", "a b"]
    with pytest.raises(ConnectorDataTypeError, match="`lxd_user` = 'root', expected int"):
        made_connector("@lxd/web", lxd_user="root")


# Lists


def an_instance(name: str, status: str = "Running", **changes: Any) -> dict[str, Any]:
    return {"name": name, "status": status, "project": "default", "profiles": ["default"], **changes}


def scripted(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]) -> None:
    """A program that answers command lines with JSON, or fails with a text."""

    def answer(command: str, timeout: int) -> tuple[int, CommandOutput]:
        said = answers[command]
        if isinstance(said, TimeoutError):
            raise said
        if isinstance(said, str):
            return 1, CommandOutput([OutputLine("stderr", said)])
        return 0, CommandOutput([OutputLine("stdout", json.dumps(said))])

    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(incus, "run_local_process", answer)


def test_alone_it_is_all_that_runs_on_all_remotes_that_run_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    remotes = {
        "local": {"Protocol": ""},
        "far": {"Protocol": "incus", "Public": False},
        "images": {"Protocol": "simplestreams", "Public": True},
        "mirror": {"Protocol": "incus", "Public": True},
    }
    scripted(
        monkeypatch,
        {
            "incus remote list --format json": remotes,
            "incus list --all-projects --format json -- local:": [
                an_instance("web", profiles=["default", "tall"]),
                an_instance("old", "Stopped"),
                an_instance("web", project="shop"),
            ],
            "incus list --all-projects --format json -- far:": [an_instance("db", "RUNNING", profiles=None)],
        },
    )
    local = {"incus_remote": "local", "incus_project": "default", "incus_instance": "web"}
    far = {"incus_remote": "far", "incus_project": "default", "incus_instance": "db"}
    assert list(IncusConnector.make_names_data()) == [
        ("@incus/web", local, ["@incus", "project_default", "profile_default", "profile_tall", "remote_local"]),
        (
            "@incus/shop/web",
            {**local, "incus_project": "shop"},
            ["@incus", "project_shop", "profile_default", "remote_local"],
        ),
        ("@incus/far:db", far, ["@incus", "project_default", "remote_far"]),
    ]
    assert [name for name, _, _ in IncusConnector.make_names_data("far:")] == ["@incus/far:db"]


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (
            'Error: Get "http://unix.socket/1.0": dial unix /x/unix.socket: connect: no such file or directory',
            "systemctl start lxd",
        ),
        ("Error: dial unix /x/unix.socket: connect: permission denied", "add it to the group lxd"),
        ("Error: Get https://10.0.0.1:8443: dial tcp 10.0.0.1:8443: connect: connection refused", "lxc remote list"),
        ('Error: The remote "far" doesn\'t exist', "`lxc remote add` adds one"),
    ],
)
def test_a_list_that_cannot_be_had_is_an_error(said: str, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, {"lxc list --all-projects --format json -- far:": said})
    with pytest.raises(InventoryError) as error:
        list(LXDConnector.make_names_data("far:"))
    assert said.removeprefix("Error: ") in str(error.value)
    assert advice in str(error.value)


def test_what_else_does_not_exist_is_no_remote() -> None:
    said = """Error: Storage pool "x" doesn't exist"""
    assert LXDConnector._explained(said) == """Storage pool "x" doesn't exist"""


DEAD = 'Error: Get "https://10.0.0.1:8443": dial tcp 10.0.0.1:8443: connect: no route to host'


@pytest.mark.parametrize("said", [DEAD, TimeoutError()])
def test_a_remote_that_does_not_answer_is_left_out_with_a_warning_that_names_it(
    said: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers = {
        "lxc remote list --format json": {"dead": {"Protocol": "lxd"}, "local": {"Protocol": ""}},
        "lxc list --all-projects --format json -- dead:": said,
        "lxc list --all-projects --format json -- local:": [an_instance("web")],
    }
    scripted(monkeypatch, answers)
    assert [name for name, _, _ in LXDConnector.make_names_data()] == ["@lxd/web"]
    (message,) = caplog.messages
    assert message.startswith("The instances of the remote dead are left out: @lxd: `lxc list ")
    assert "10.0.0.1" in message or "60 seconds" in message
    # Where none answers there is nothing to go on with
    answers["lxc list --all-projects --format json -- local:"] = DEAD
    with pytest.raises(InventoryError, match=r"`lxc list .* dead:` "):
        list(LXDConnector.make_names_data())
    with pytest.raises(InventoryError, match=r"`lxc list .* dead:` "):
        list(LXDConnector.make_names_data("dead:"))


def test_a_program_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InventoryError, match="The program incus is not in PATH on this machine: install"):
        list(IncusConnector.make_names_data())
    assert "The program lxc is not in PATH on this machine: install the client of lxd" in why_not("@lxd/web")


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("Error: Project not found", "incus project list"),
        ("Error: VM agent isn't currently running", "install and start the agent in the virtual machine web"),
        ("Error: Instance is frozen", "`incus start web` starts it"),
        ("Error: something else", "shell_session = False"),
    ],
)
def test_what_exec_says_comes_with_advice(
    said: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "incus"
    fake.write_text(f'#!/bin/sh\ncat >&2 <<"E"\n{said}\nE\nexit 1\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    message = why_not("@incus/web")
    assert said.removeprefix("Error: ") in message
    assert advice in message
    if "incus start" in advice:
        assert "`incus start --project shop far:web` starts it" in why_not("@incus/far:shop/web")


# A real LXD


@pytest.fixture(scope="module")
def lxd() -> Iterator[LXDServer]:
    if not can_run_lxd():
        pytest.skip("needs root, and Debian's packages lxd and lxd-client")
    server = start_lxd()
    try:
        server.run("project", "create", "shop", "-c", "features.images=false", "-c", "features.profiles=false")
        server.add_instance("web")
        server.add_instance("web", project="shop")
        server.add_instance("idle", start=False)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in server.environment.items():
                patch.setenv(name, value)
            yield server
    finally:
        server.close()


@pytest.mark.usefixtures("lxd")
def test_all_instances_that_run_are_listed_in_groups() -> None:
    inventory = Inventory((["@lxd"], {}))
    assert sorted(host.name for host in inventory) == ["@lxd/shop/web", "@lxd/web"]
    assert [host.name for host in inventory.get_group("project_shop")] == ["@lxd/shop/web"]
    assert len(inventory.get_group("remote_local")) == 2
    assert len(inventory.get_group("profile_default")) == 2
    assert sorted(name for name, _, _ in LXDConnector.make_names_data("local:")) == ["@lxd/shop/web", "@lxd/web"]


@pytest.mark.usefixtures("lxd")
def test_the_command_line_limits_all_to_a_group(tmp_path: Path) -> None:
    ended = Folder(tmp_path).run(
        "@lxd", "--limit", "project_shop", "exec", "--", "cat", "/etc/hostname", "||", "hostname"
    )
    assert ended.exit_code == 0, ended.err
    assert "[@lxd/shop/web]" in ended.err
    assert "[@lxd/web]" not in ended.err


@pytest.mark.usefixtures("lxd")
def test_instances_of_one_name_in_two_projects_are_two() -> None:
    for name in ("@lxd/web", "@lxd/local:shop/web"):
        with connected_host(name) as host:
            assert run(host, f"test ! -e /root/name && echo {name} > /root/name")[0]
    with connected_host("@lxd/shop/web", lxd_user=65534) as host:
        assert run(host, "id -u")[1].stdout == "65534"


@pytest.mark.usefixtures("lxd")
def test_incus_is_spoken_to_in_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Debian 12 has no Incus. Its client is LXD's under another name, as far as this goes
    (tmp_path / "incus").symlink_to(shutil.which("lxc") or "lxc")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with connected_host("@incus/web") as host:
        assert run(host, "cat; hostname", _stdin="in")[1].stdout_lines == ["in", "web"]


def test_an_instance_that_is_not_there_or_does_not_run_is_told(lxd: LXDServer) -> None:
    assert why_not("@lxd/none") == (
        "Instance not found; `lxc list --all-projects` shows the instances: a name may be [REMOTE:][PROJECT/]NAME"
    )
    assert why_not("@lxd/idle") == "Instance is not running; `lxc start idle` starts it"
    assert "`lxc remote list` shows the remotes" in why_not("@lxd/far:web")
    assert why_not("@lxd/none/web").startswith("Instance not found; ")
    lxd.add_instance("db", project="shop", start=False)
    advice = why_not("@lxd/shop/db").partition("`lxc ")[2].partition("`")[0]
    lxd.run(*advice.split())
    with connected_host("@lxd/shop/db") as host:
        assert run(host, "hostname")[1].stdout == "db"
    lxd.run("delete", "--force", "--project", "shop", "db")
    for name in ("--help", "-h", "far:--help"):
        assert "; `lxc " in why_not(f"@lxd/{name}")


def test_a_daemon_that_does_not_run_is_told(lxd: LXDServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LXD_DIR", str(tmp_path))
    assert "the daemon does not answer: start it (systemctl start lxd)" in why_not("@lxd/web")


def test_an_instance_without_a_shell_is_told(lxd: LXDServer) -> None:
    lxd.add_instance("bare")
    (lxd.root_of("bare") / "bin" / "sh").unlink()
    assert "there is no shell (sh) in bare: install one" in why_not("@lxd/bare")
    with connected_host("@lxd/bare", shell_session=False) as host:
        assert run(host, "echo 'a  b'")[1].stdout == "a  b"
    lxd.run("delete", "--force", "bare")


def test_an_instance_that_stops_in_the_middle_is_told(lxd: LXDServer) -> None:
    lxd.add_instance("short")
    with connected_host("@lxd/short") as host:
        stopping = gevent.spawn_later(0.5, lxd.run, "stop", "--force", "short")
        with pytest.raises(ConnectError, match="Instance is not running; `lxc start short` starts it"):
            run(host, "sleep 60")
        stopping.get(timeout=60)


@pytest.mark.usefixtures("lxd")
def test_signals_to_its_own_process_group_do_not_leave_the_instance() -> None:
    with connected_host("@lxd/web") as host:
        assert not run(host, "kill 0; sleep 5", _shell_executable=None)[0]
        assert run(host, "echo here")[1].stdout == "here"


@pytest.mark.parametrize("connector", ["lxd", "incus"])
def test_the_examples_on_the_page_run(
    lxd: LXDServer, connector: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(lxd.root_of("web") / "bin", "apt-get", 'echo "$@" > /root/installed')
    stand_in(tmp_path / "bin", "incus", 'exec lxc "$@"')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    if connector == "lxd":
        lxd.add_instance("db", project="shop")
        lxd.run("remote", "add", "far", f"unix://{lxd.folder}/lxd/unix.socket")
    try:
        said = run_examples(connector, tmp_path)
    finally:
        if connector == "lxd":
            lxd.run("delete", "--force", "--project", "shop", "db")
            lxd.run("remote", "remove", "far")
    if connector == "incus":
        assert (lxd.root_of("web") / "root" / "installed").read_text() == "install --yes nginx\n"
    else:
        assert "[@lxd/far:shop/db] Success" in said
        assert "[@lxd/web]" in said


@pytest.mark.usefixtures("lxd")
class TestContract(ConnectorContract):
    """In an instance that runs."""

    inventory = "@lxd/web"
    may_not_apply = WITHOUT_TOOLS
