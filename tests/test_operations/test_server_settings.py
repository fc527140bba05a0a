"""Names, settings and mounts of a machine, changed for real on one that is gone afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyinfra.api import OperationError, OperationValueError
from pyinfra.api.operation import add_op
from pyinfra.facts.server import EtcHosts, Hostname, Mounts, SecurityLimits, Sysctl, Timezone
from pyinfra.operations import server
from tests.support.run import Run
from tests.support.sandbox import Sandbox


def changes_once(run: Run, operation: Any, *args: Any, **kwargs: Any) -> None:
    """Run an operation, which must change something, and again, which must not."""
    assert run.op(operation, *args, **kwargs).did_change()
    assert run.op(operation, *args, **kwargs).did_not_change()


def test_a_host_name_is_set_now_and_for_the_next_start(inside: Run, machine: Sandbox) -> None:
    changes_once(inside, server.hostname, hostname="after.example")
    assert inside.fact(Hostname) == "after.example"
    assert machine.run("cat /etc/hostname") == "after.example\n"


def test_the_file_of_the_host_name_is_set_right_even_if_the_name_is(inside: Run, machine: Sandbox) -> None:
    changes_once(inside, server.hostname, hostname="before", hostname_file="/etc/other")
    assert machine.run("cat /etc/other") == "before\n"


def test_hosts_file_entries_come_and_go_and_the_rest_stays(inside: Run, machine: Sandbox) -> None:
    machine.run(
        "printf '%s\\n' '# first' '127.0.0.1   localhost' '10.0.0.1\tdb.internal  # main' '10.0.0.1 x' > /etc/hosts"
    )
    changes_once(inside, server.etc_hosts, ip="10.0.0.1", hostnames=["db.internal", "db"])
    changes_once(inside, server.etc_hosts, ip="10.0.0.2", hostnames="web")
    lines = machine.run("cat /etc/hosts").splitlines()
    assert lines[:2] == ["# first", "127.0.0.1   localhost"]
    assert lines[2:] == ["10.0.0.1\tdb.internal db # main", "10.0.0.1 x", "10.0.0.2 web"]

    changes_once(inside, server.etc_hosts, ip="10.0.0.1", hostnames=["db.internal", "x"], present=False)
    assert inside.fact(EtcHosts) == {"127.0.0.1": ["localhost"], "10.0.0.1": ["db"], "10.0.0.2": ["web"]}
    assert "10.0.0.1 db # main" in machine.run("cat /etc/hosts")
    changes_once(inside, server.etc_hosts, ip="10.0.0.1", present=False)
    assert list(inside.fact(EtcHosts)) == ["127.0.0.1", "10.0.0.2"]


def test_a_hosts_file_that_is_not_there_is_made(inside: Run, machine: Sandbox) -> None:
    changes_once(inside, server.etc_hosts, ip="::1", hostnames="here", path="/etc/own hosts")
    assert machine.run("cat '/etc/own hosts'") == "::1 here\n"


def test_a_hosts_file_that_is_no_utf_8_is_an_error_that_leaves_it(inside: Run, machine: Sandbox) -> None:
    machine.run("printf '127.0.0.1 localhost\\n# caf\\351\\n' > /etc/hosts; cp /etc/hosts /etc/before")
    with pytest.raises(OperationError, match=r"/etc/hosts is no text in UTF-8 .* see line 2"):
        add_op(inside.state, server.etc_hosts, ip="10.0.0.1", hostnames="db")
    machine.run("cmp /etc/hosts /etc/before")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ip": "10.0.0.1"}, "No hostnames are given for 10.0.0.1"),
        ({"ip": "10.0.0.1", "hostnames": ["a b"]}, "Invalid name for a hosts file: 'a b'"),
        ({"ip": "10.0.0.1", "hostnames": ["a\n10.6.6.6 bank"]}, "Invalid name for a hosts file"),
        ({"ip": "#", "hostnames": "a"}, "Invalid address for a hosts file: '#'"),
    ],
)
def test_what_would_spoil_a_hosts_file_is_an_error(inside: Run, arguments: Any, message: str) -> None:
    with pytest.raises(OperationValueError, match=message):
        add_op(inside.state, server.etc_hosts, **arguments)


def test_a_time_zone_is_set_where_there_is_no_timedatectl(inside: Run, machine: Sandbox) -> None:
    changes_once(inside, server.timezone, timezone="America/Argentina/Ushuaia")
    assert inside.fact(Timezone) == "America/Argentina/Ushuaia"
    assert machine.run("date +%z") == "-0300\n"
    assert machine.run("cat /etc/timezone") == "America/Argentina/Ushuaia\n"


def test_a_time_zone_may_have_a_name_that_leads_to_another(inside: Run, machine: Sandbox) -> None:
    machine.run("mount -t tmpfs none /usr/share/zoneinfo; cd /usr/share/zoneinfo; mkdir Etc US America")
    machine.run("cd /usr/share/zoneinfo; touch Etc/UTC America/New_York; ln -s Etc/UTC UTC")
    machine.run("ln -s ../America/New_York /usr/share/zoneinfo/US/Eastern; ln -sf Nowhere /etc/localtime")
    for name, other in (("US/Eastern", "America/New_York"), ("UTC", "Etc/UTC")):
        changes_once(inside, server.timezone, timezone=name)
        assert inside.op(server.timezone, timezone=other).did_not_change()
    changes_once(inside, server.timezone, timezone="America/New_York")


def test_a_kernel_setting_is_set_and_kept_for_the_next_start(inside: Run, machine: Sandbox) -> None:
    key = "kernel.core_pattern"
    before = Path("/proc/sys/kernel/core_pattern").read_text().rstrip("\n")
    try:
        changes_once(inside, server.sysctl, key=key, value="core of %e", persist=True, persist_file="/etc/kept.conf")
        assert inside.fact(Sysctl, keys=[key]) == {key: "core of %e"}
        assert machine.run("cat /etc/kept.conf").split("\n")[-2] == f"{key} = core of %e"
        changes_once(inside, server.sysctl, key=key, value="core", persist=True, persist_file="/etc/kept.conf")
        assert machine.run(f"grep -c '^{key}' /etc/kept.conf") == "1\n"
    finally:
        Path("/proc/sys/kernel/core_pattern").write_text(before)


def test_a_limit_is_what_its_last_line_says(inside: Run, machine: Sandbox) -> None:
    limit = {"domain": "*", "limit_type": "soft", "item": "nofile"}
    for value in (1024, 2048, 1024):
        changes_once(inside, server.security_limit, **limit, value=value)
        assert inside.fact(SecurityLimits)[-1] == {**limit, "value": str(value)}
    changes_once(inside, server.security_limit, domain="root", limit_type="-", item="memlock", value="unlimited")


def test_a_locale_is_switched_on_and_off(inside: Run, machine: Sandbox, tmp_path: Path) -> None:
    machine.run("printf '%s\\n' '# xx_XX.UTF-8 UTF-8' '# xx_XX ISO-8859-1' '# de_DE.UTF-8 UTF-8' > /etc/locale.gen")
    # Stands for the real one, which takes its time
    tool = tmp_path / "locale-gen"
    tool.write_text("#!/bin/sh\ncp /etc/locale.gen /etc/generated\n")
    tool.chmod(0o755)
    machine.run(f"mount --bind {tool} $(command -v locale-gen)")
    assert inside.op(server.locale, locale="xx_XX.UTF-8").did_change()
    lines = ["xx_XX.UTF-8 UTF-8", "# xx_XX ISO-8859-1", "# de_DE.UTF-8 UTF-8"]
    assert machine.run("cat /etc/generated").splitlines() == lines


def test_a_locale_that_is_there_by_another_spelling_is_no_change(inside: Run) -> None:
    assert inside.op(server.locale, locale="C.UTF-8").did_not_change()
    assert inside.op(server.locale, locale="no_NO.UTF-8", present=False).did_not_change()


def test_a_locale_that_no_one_knows_is_an_error(inside: Run) -> None:
    with pytest.raises(OperationError, match=r"/etc/locale\.gen has no line for the locale yy_YY"):
        add_op(inside.state, server.locale, locale="yy_YY.UTF-8")


def test_a_file_system_is_mounted_mounted_again_with_more_and_unmounted(inside: Run, machine: Sandbox) -> None:
    path = "/home/with blanks"
    machine.run(f"mkdir '{path}'")
    what: dict[str, Any] = {"path": path, "device": "tmpfs", "fs_type": "tmpfs"}
    changes_once(inside, server.mount, **what, options=["size=1m", "mode=0750", "defaults", "nofail"])
    found = inside.fact(Mounts)[path]
    assert (found["type"], found["device"]) == ("tmpfs", "tmpfs")
    assert {"size=1024k", "mode=750"} <= set(found["options"])

    changes_once(inside, server.mount, **what, options=["size=2m", "noexec", "suid"])
    assert {"size=2048k", "noexec"} <= set(inside.fact(Mounts)[path]["options"])
    assert inside.op(server.mount, path=f"{path}/").did_not_change()
    changes_once(inside, server.mount, path=path, mounted=False)
    assert path not in inside.fact(Mounts)


def test_a_module_that_is_not_loaded_need_not_be_unloaded(inside: Run) -> None:
    assert inside.op(server.modprobe, module=["no_such_module", "nor-this"], present=False).did_not_change()
