"""Server facts, read from this machine, against what Python knows of it."""

from __future__ import annotations

import grp
import os
import platform
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from pyinfra.api import FactValueError
from pyinfra.facts import server
from tests.support.run import Run, connected_run


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    with connected_run() as run:
        yield run


def test_the_system_is_the_one_that_this_test_runs_on(run: Run) -> None:
    about = os.uname()
    assert run.fact(server.Kernel) == run.fact(server.Os) == about.sysname
    assert run.fact(server.KernelVersion) == run.fact(server.OsVersion) == about.release
    assert run.fact(server.Arch) == about.machine
    assert run.fact(server.Hostname) == about.nodename


def test_the_user_is_the_one_that_runs_this_test(run: Run) -> None:
    user = pwd.getpwuid(os.geteuid())
    assert run.fact(server.User) == user.pw_name
    assert run.fact(server.Home, user=user.pw_name) == user.pw_dir
    assert run.fact(server.Home) == os.environ.get("HOME", user.pw_dir)


def test_the_home_of_a_user_with_a_shell_s_syntax_for_a_name_runs_nothing(run: Run, tmp_path: Path) -> None:
    name = f"x; touch {tmp_path}/ran"
    assert run.fact(server.Home, user=name) == f"~{name}"
    assert list(tmp_path.iterdir()) == []


def test_the_path_is_the_one_of_commands(run: Run) -> None:
    assert run.fact(server.Path) == run.fact(server.Command, command="echo $PATH")


@pytest.mark.parametrize("name", ["TMPDIR", "TMP", "TEMP"])
def test_the_folder_for_temporary_files_is_one_that_can_be_written(run: Run, tmp_path: Path, name: str) -> None:
    assert run.fact(server.TmpDir, _env={"TMPDIR": "/nowhere", "TMP": "", name: str(tmp_path)}) == str(tmp_path)
    assert run.fact(server.TmpDir, _env={"TMPDIR": "/nowhere", "TMP": "/nowhere", "TEMP": "/nowhere"}) == ""


def test_a_command_s_output_is_all_its_lines(run: Run) -> None:
    assert run.fact(server.Command, command="printf 'one\\n\\nthree\\n'") == "one\n\nthree"


def test_a_program_has_its_path_and_one_that_is_not_there_has_none(run: Run) -> None:
    assert run.fact(server.Which, command="tail") == shutil.which("tail")
    assert not run.fact(server.Which, command="no such; program")


def test_the_date_is_now(run: Run) -> None:
    assert abs((run.fact(server.Date) - datetime.now(timezone.utc)).total_seconds()) < 60


def test_the_uptime_is_that_of_the_clock_since_the_start(run: Run) -> None:
    before = int(time.clock_gettime(time.CLOCK_BOOTTIME))
    assert before - 1 <= run.fact(server.Uptime) <= before + 60


def test_every_user_and_group_of_the_system_is_known(run: Run) -> None:
    # Other tests make users and groups meanwhile, but none of the system's
    groups, users = run.fact(server.Groups), run.fact(server.Users)
    assert {entry.gr_name for entry in grp.getgrall() if entry.gr_gid < 100} <= set(groups)
    for entry in (entry for entry in pwd.getpwall() if entry.pw_uid < 100):
        found = users[entry.pw_name]
        assert (found["uid"], found["gid"]) == (entry.pw_uid, entry.pw_gid)
        assert (found["home"], found["shell"]) == (entry.pw_dir or None, entry.pw_shell or None)
        if pwd.getpwuid(entry.pw_uid).pw_name != entry.pw_name:
            continue  # id takes a name for that of the first account with the same number
        ids = os.getgrouplist(entry.pw_name, entry.pw_gid)
        assert {found["group"], *found["groups"]} == {grp.getgrgid(gid).gr_name for gid in ids}


def test_keys_are_those_of_the_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "keys of 'all'"
    assert run.fact(server.AuthorizedKeys, user="root", path=str(file)) == []
    file.write_text("# mine\nssh-ed25519 AAAA me\n")
    assert run.fact(server.AuthorizedKeys, user="root", path=str(file)) == ["ssh-ed25519 AAAA me"]


def test_the_distribution_is_that_of_os_release(run: Run) -> None:
    about = platform.freedesktop_os_release()
    found = run.fact(server.LinuxDistribution)
    assert found["release_meta"]["ID"] == about["ID"]
    assert str(found["major"]) == about["VERSION_ID"].split(".")[0]
    assert run.fact(server.LinuxName) == found["name"]
    released = run.fact(server.OsRelease)
    assert {key.upper() for key in released} >= {"ID", "NAME", "VERSION_ID"}
    assert all(about[key.upper()] == value for key, value in released.items())


def kernel_mounts() -> set[str]:
    """Where something is mounted."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return {line.split()[1].encode().decode("unicode_escape") for line in lines}


def test_mounts_are_those_of_this_process(run: Run) -> None:
    before = kernel_mounts()
    mounts = run.fact(server.Mounts)
    assert before & kernel_mounts() <= set(mounts)
    assert mounts["/proc"]["type"] == "proc"
    assert all(found["options"][0] in ("rw", "ro") for found in mounts.values())


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_port_is_owned_by_the_process_that_listens(run: Run, protocol: str) -> None:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(type=kind) as listener:
        listener.bind(("127.0.0.1", 0))
        if protocol == "tcp":
            listener.listen()
        port = listener.getsockname()[1]
        name = Path("/proc/self/comm").read_text().strip()
        assert run.fact(server.Port, port=port, protocol=protocol) == (name, os.getpid())
        assert {"port": port, "ip": "127.0.0.1", "protocol": protocol, "process": name} in run.fact(server.Ports)
    assert run.fact(server.Port, port=port, protocol=protocol) in (None, (None, None))


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_ports_of_macos_are_listed_by_lsof(tmp_path: Path, protocol: str) -> None:
    if shutil.which("lsof") is None:
        pytest.skip("needs lsof")
    # What Linux has ss and netstat say
    for name, command in (("uname", "echo Darwin"), ("ss", "exit 1"), ("netstat", "exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{command}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with connected_run(FACT_CACHE_SECONDS=0, ENV=environment) as run:
        test_a_port_is_owned_by_the_process_that_listens(run, protocol)


def test_modules_are_those_of_the_kernel(run: Run) -> None:
    file = Path("/proc/modules")
    names = {line.split()[0] for line in file.read_text().splitlines()} if file.exists() else set()
    assert set(run.fact(server.KernelModules)) == names


def test_kernel_settings_are_read_by_name_and_unknown_ones_left_out(run: Run) -> None:
    value = int(Path("/proc/sys/vm/swappiness").read_text())
    assert run.fact(server.Sysctl, keys=["vm.swappiness", "no.such"]) == {"vm.swappiness": value}
    assert run.fact(server.Sysctl)["vm.swappiness"] == value


def test_a_process_is_found_by_its_id_and_among_all(run: Run) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"], stdout=-1)
    try:
        process.stdout.readline()  # type: ignore[union-attr]
        (found,) = run.fact(server.Processes, pid=process.pid).values()
        assert found["args"] == f"{sys.executable} -c import time; print(flush=True); time.sleep(60)"
        assert found["user"] == pwd.getpwuid(os.geteuid()).pw_name
        assert run.fact(server.Processes)[process.pid]["command"] == found["command"]
    finally:
        process.kill()
        process.communicate()
    assert run.fact(server.Processes, pid=process.pid) == {}


def test_a_hosts_file_has_all_names_of_an_address(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    assert run.fact(server.EtcHosts, path=str(file)) == {}
    file.write_text("# none\n10.0.0.1\ta b # c\n\n10.0.0.1 d\nfe80::1%eth0 e\n")
    assert run.fact(server.EtcHosts, path=str(file)) == {"10.0.0.1": ["a", "b", "d"], "fe80::1%eth0": ["e"]}


def test_the_load_average_has_three_times(run: Run) -> None:
    averages = run.fact(server.LoadAverage)
    assert list(averages) == [1, 5, 15]
    assert all(average >= 0 for average in averages.values())


@pytest.mark.parametrize(
    ("fact", "kind"),
    [
        (server.HasGui, bool),
        (server.Last, list),
        (server.Lastb, list),
        (server.LinuxGui, list),
        (server.Locales, list),
        (server.RebootRequired, bool),
        (server.SecurityLimits, list),
        (server.Selinux, dict),
        (server.Timezone, str),
    ],
)
def test_what_a_test_cannot_know_has_at_least_its_type(run: Run, fact: type, kind: type) -> None:
    assert isinstance(run.fact(fact), kind)


def test_the_c_locale_is_always_there(run: Run) -> None:
    assert {"C", "POSIX"} <= set(run.fact(server.Locales))


def test_macos_has_a_version_and_others_none(run: Run) -> None:
    assert run.fact(server.MacosVersion) == (platform.mac_ver()[0] or None)


def test_a_port_of_an_unknown_protocol_is_no_command(run: Run) -> None:
    with pytest.raises(FactValueError):
        run.host.get_fact(server.Port, port=80, protocol="icmp")
