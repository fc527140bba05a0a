"""What server facts make of the output of systems that the tests don't run on, and of odd output."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from pyinfra.api import FactValueError
from pyinfra.facts import server
from pyinfra.facts.machine.distribution import split_release_files
from pyinfra.facts.machine.processes import get_ps_command


def lines(text: str) -> list[str]:
    """The lines of a text, without the empty first one."""
    return text.removeprefix("\n").splitlines()


def test_a_date_has_the_offset_that_the_host_says() -> None:
    date = server.Date().process(["2024-02-29T23:59:58-0330"])
    assert date == datetime(2024, 2, 29, 23, 59, 58, tzinfo=timezone(-timedelta(hours=3, minutes=30)))


@pytest.mark.parametrize(
    ("output", "seconds"),
    [
        (["350735.47 234388.90"], 350735),
        (["1000", "400"], 600),
        (["1000", "sysctl: unknown oid"], None),
        ([""], None),
    ],
)
def test_an_uptime_that_is_not_told_is_none(output: list[str], seconds: int | None) -> None:
    assert server.Uptime().process(output) == seconds


def test_a_time_zone_without_a_name_is_none() -> None:
    assert server.Timezone().process(["/etc/localtime"]) is None
    assert server.Timezone().process(["America/Argentina/Ushuaia"]) == "America/Argentina/Ushuaia"


def test_mounts_of_freebsd_have_their_type_among_the_options() -> None:
    output = lines("""
/dev/ada0p2 on / (ufs, local, journaled soft-updates, writes: sync 12 async 34, fsid 0123abcd)
devfs on /dev (devfs)
//me@nas/share on /mnt/with (blanks) (smbfs, nodev)
""")
    assert server.Mounts().process(output) == {
        "/": {"device": "/dev/ada0p2", "type": "ufs", "options": ["local", "journaled soft-updates"]},
        "/dev": {"device": "devfs", "type": "devfs", "options": []},
        "/mnt/with (blanks)": {"device": "//me@nas/share", "type": "smbfs", "options": ["nodev"]},
    }


def test_of_two_mounts_on_one_point_the_upper_counts() -> None:
    output = lines("""
30 1 8:1 / /mnt rw - ext4 /dev/sda1 rw
31 30 0:40 / /mnt ro,nosuid shared:7 master:2 - tmpfs none rw,size=1024k
""")
    options = ["ro", "nosuid", "size=1024k"]
    assert server.Mounts().process(output) == {"/mnt": {"device": "none", "type": "tmpfs", "options": options}}


def test_ports_are_read_from_netstat() -> None:
    output = lines("""
tcp        0      0 127.0.0.1:5432          0.0.0.0:*               LISTEN      812/postgres
tcp6       0      0 :::22                   :::*                    LISTEN      -
udp        0      0 0.0.0.0:68              0.0.0.0:*                           99/dhclient
""")
    assert server.Ports().process(output) == [
        {"port": 5432, "ip": "127.0.0.1", "protocol": "tcp", "process": "postgres"},
        {"port": 22, "ip": "::", "protocol": "tcp6", "process": None},
        {"port": 68, "ip": "0.0.0.0", "protocol": "udp", "process": "dhclient"},
    ]


def test_a_port_has_the_owner_of_the_first_socket_that_tells() -> None:
    output = lines("""
LISTEN 0 128 0.0.0.0:80 0.0.0.0:*
LISTEN 0 128 [::]:80 [::]:* users:(("caddy",pid=77,fd=3))
""")
    assert server.Port().process(output) == ("caddy", 77)


def test_a_port_of_another_protocol_is_an_error_that_names_the_two() -> None:
    with pytest.raises(FactValueError, match="'sctp', must be tcp or udp"):
        server.Port().command(80, "sctp")


def test_modules_of_linux_have_size_users_and_state() -> None:
    output = ["nf_tables 356352 3 nft_ct,nft_chain_nat, Live 0x0000000000000000", "loop 40960 0 - Loading 0x0 (OE)"]
    assert server.KernelModules().process(output) == {
        "nf_tables": {"size": 356352, "instances": 3, "state": "Live"},
        "loop": {"size": 40960, "instances": 0, "state": "Loading"},
    }


def test_a_distribution_has_the_short_name_of_its_id() -> None:
    output = lines("""
/etc/os-release
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
---
""")
    found = server.LinuxDistribution().process(output)
    assert (found["name"], found["major"], found["minor"]) == ("Debian", 12, None)
    assert found["release_meta"]["CODENAME"] == "bookworm"
    assert server.LinuxName().process_data(found) == "Debian"


def test_a_distribution_without_os_release_is_told_by_its_release_file() -> None:
    output = ["/etc/redhat-release", "Red Hat Enterprise Linux Server release 6.10 (Santiago)", "---"]
    assert server.LinuxDistribution().process(output) == {
        "name": "Red Hat Enterprise Linux Server",
        "major": 6,
        "minor": 10,
        "release_meta": {},
    }


def test_os_release_is_read_as_a_shell_would() -> None:
    output = ["# comment", "NAME='It'\\''s Linux'", 'PRETTY_NAME="A \\"B\\" C"', "ID=its", "", 'BROKEN="x']
    expected = {"name": "It's Linux", "pretty_name": 'A "B" C', "id": "its", "broken": "x"}
    assert server.OsRelease().process(output) == expected


def test_kernel_settings_are_numbers_lists_or_text_on_every_system() -> None:
    output = lines("""
net.ipv4.ip_local_port_range = 32768\t60999
net.ipv4.tcp_available_congestion_control = reno cubic
kern.maxfiles: 12288
hw.model=Some CPU: fast = yes
vm.overcommit_ratio = -5
kernel.domainname =
no setting
""")
    assert server.Sysctl().process(output) == {
        "net.ipv4.ip_local_port_range": [32768, 60999],
        "net.ipv4.tcp_available_congestion_control": "reno cubic",
        "kern.maxfiles": 12288,
        "hw.model": "Some CPU: fast = yes",
        "vm.overcommit_ratio": -5,
        "kernel.domainname": "",
    }


def test_only_the_named_kernel_settings_are_asked_for_each_as_one_word() -> None:
    command = server.Sysctl().command(keys=["vm.swappiness", "a; b"])
    assert command.get_raw_value() == "sysctl vm.swappiness 'a; b' 2>/dev/null || true"


def test_comments_and_empty_lines_are_no_keys() -> None:
    output = ["# laptop", "", "  ssh-ed25519 AAAA me@laptop ", 'from="10.0.0.1" ssh-rsa BBBB']
    assert server.AuthorizedKeys().process(output) == ["ssh-ed25519 AAAA me@laptop", 'from="10.0.0.1" ssh-rsa BBBB']


def test_keys_are_looked_for_in_the_home_of_their_user() -> None:
    assert server.AuthorizedKeys().command("bob").get_raw_value().startswith("cat ~bob/.ssh/authorized_keys ")
    assert server.AuthorizedKeys().command("$(id)").get_raw_value().startswith("cat '~$(id)/.ssh/authorized_keys' ")


def test_lines_that_are_no_users_are_passed_over() -> None:
    output = [
        "axb:x:1:1::/h:/bin/sh",
        "a.b:x:7:8:A | B:/home/ab:/bin/sh|staff|staff wheel||!",
        "broken|x|y|z|",
    ]
    users = server.Users().process(output)
    assert list(users) == ["a.b"]
    assert users["a.b"]["comment"] == "A | B"
    assert (users["a.b"]["uid"], users["a.b"]["gid"], users["a.b"]["groups"]) == (7, 8, ["wheel"])


def test_a_log_in_without_a_name_and_starts_of_the_machine_are_records_too() -> None:
    output = lines("""
         ssh:notty    10.0.0.9         Mon Mar  3 01:02:03 2025 - Mon Mar  3 01:02:03 2025  (00:00)
runlevel (to lvl 5)   6.1.0-1-amd64    Mon Mar  3 01:00:00 2025   still running
shutdown system down  6.1.0-1-amd64    Sun Mar  2 23:00:00 2025 - Mon Mar  3 00:59:00 2025  (01:59)

btmp begins Mon Mar  3 01:00:00 2025
""")
    records = server.Last().process(output)
    assert [(record["user"], record["tty"], record["host"]) for record in records] == [
        ("", "ssh:notty", "10.0.0.9"),
        ("runlevel", "(to lvl 5)", "6.1.0-1-amd64"),
        ("shutdown", "system down", "6.1.0-1-amd64"),
    ]
    assert records[1]["time"] == "Mon Mar 3 01:00:00 2025 still running"


def test_the_status_of_selinux_that_is_not_told_is_none() -> None:
    assert server.Selinux().process(["SELinux status:                 disabled"]) == {"mode": "disabled"}
    assert server.Selinux().process(["something else"]) == {"mode": None}


def test_desktops_are_known_by_their_sessions() -> None:
    desktops = server.LinuxGui().process(["/usr/bin/gnome-session", "/usr/bin/dbus-run-session"])
    assert desktops == ["GNOME"]
    assert server.HasGui().process_data(desktops) is True
    assert server.HasGui().process_data([]) is False


def test_a_load_average_is_read_from_uptime_in_any_locale() -> None:
    linux = ["0.00 1.25 10.03 3/512 4711"]
    macos = ["10:00  up 3 days,  2 users, load averages: 1.50 2.25 3.00"]
    german = [" 10:00:00 up 3 days,  2 users,  load average: 0,50, 1,25, 2,00"]
    assert server.LoadAverage().process(linux) == {1: 0.0, 5: 1.25, 15: 10.03}
    assert server.LoadAverage().process(macos) == {1: 1.5, 5: 2.25, 15: 3.0}
    assert server.LoadAverage().process(german) == {1: 0.5, 5: 1.25, 15: 2.0}


def test_names_of_processes_may_have_blanks_and_overflow_their_column() -> None:
    output = lines("""
   10 root     S     0.0  0.0 tmux: server    tmux new -s main
   11 root     I<    0.0  0.0 kworker/0:0H-events_highpri [kworker/0:0H-events_highpri]
   12 bob      R+    101  0.1 cat             cat  two  blanks
""")
    found = server.Processes().process(output)
    assert [(item["command"], item["args"]) for item in found.values()] == [
        ("tmux: server", "tmux new -s main"),
        ("kworker/0:0H-events_highpri", "[kworker/0:0H-events_highpri]"),
        ("cat", "cat  two  blanks"),
    ]
    assert found[12]["cpu_percent"] == 101.0


def test_processes_of_busybox_are_named_after_their_program() -> None:
    output = lines("""
PID   USER     VSZ  STAT ARGS
    1 root      1744 S    /bin/sh -c sleep 9
    2 root         0 SW<  [kthreadd]
""")
    found = server.Processes().process(output)
    assert (found[1]["command"], found[1]["state"], found[1]["args"]) == ("sh", "S", "/bin/sh -c sleep 9")
    assert (found[2]["command"], found[2]["state"]) == ("kthreadd", "SW<")


def test_busybox_beside_another_ps_is_asked_last() -> None:
    assert (
        get_ps_command("Linux", "/bin/busybox", 5) == "LANG=C ps -o pid,user,vsz,stat,args | awk 'NR == 1 || $1 == 5'"
    )
    both = get_ps_command("Linux", "/usr/bin/busybox", None)
    assert both.split(" 2>/dev/null || ") == [
        get_ps_command("Linux", None, None),
        get_ps_command("Linux", "/bin/busybox", None),
    ]


def test_limits_that_are_commented_out_or_lack_a_field_do_not_count() -> None:
    output = ["#root hard core 1", "root hard core", "@dev - nproc 20 # many", "* soft nofile 10"]
    assert server.SecurityLimits().process(output) == [
        {"domain": "@dev", "limit_type": "-", "item": "nproc", "value": "20"},
        {"domain": "*", "limit_type": "soft", "item": "nofile", "value": "10"},
    ]


def test_a_release_file_without_a_newline_at_its_end_ends_there() -> None:
    output = lines("""
/etc/lsb-release
DISTRIB_ID=Mint---
/etc/os-release
ID=debian
VERSION_ID="12"---
/etc/other-release
Other release 3.1
---
""")
    assert split_release_files(output) == {
        "/etc/lsb-release": ["DISTRIB_ID=Mint"],
        "/etc/os-release": ["ID=debian", 'VERSION_ID="12"'],
        "/etc/other-release": ["Other release 3.1"],
    }
    found = server.LinuxDistribution().process(output)
    assert (found["name"], found["major"]) == ("Debian", 12)
    assert split_release_files([]) == {}


def test_the_ports_of_lsof_are_those_that_are_listened_on() -> None:
    output = lines("""
COMMAND                PID USER   FD   TYPE             DEVICE SIZE/OFF NODE NAME
Google\\x20Chrome\\x20H  812 me     27u  IPv4 0x8d1c2a3b4c5d6e7f      0t0  UDP 192.168.1.5:61000->142.250.1.1:443
Control\\x20Center      401 me      9u  IPv6 0x8d1c2a3b4c5d6e7a      0t0  TCP *:5000 (LISTEN)
mDNSResponder          280 root    7u  IPv4 0x8d1c2a3b4c5d6e7b      0t0  UDP *:5353
""")
    assert server.Ports().process(output) == [
        {"port": 5000, "ip": "*", "protocol": "tcp", "process": "Control Center"},
        {"port": 5353, "ip": "*", "protocol": "udp", "process": "mDNSResponder"},
    ]


def test_shares_of_processes_may_have_a_decimal_comma() -> None:
    found = server.Processes().process(["    1 root     Ss    0,5  1,2 init            /sbin/init"])
    assert (found[1]["cpu_percent"], found[1]["mem_percent"]) == (0.5, 1.2)


def test_users_whose_names_match_others_are_told_apart() -> None:
    names = ("axb", "a.b", "a..", "x")
    entries = {name: f"{name}:x:{uid}:{uid}::/home/{name}:/bin/sh" for uid, name in enumerate(names)}
    output = [
        f"{entries['axb']}|g1|g1|axb  Sat Jun 5 12:03:23 +0000 2021|hash of axb",
        # The files need not be in one order
        *(entries["axb"], f"{entries['a.b']}|g2|g2 h|**Never logged in**|hash of a.b", "hash of axb"),
        *(entries["axb"], entries["a.b"], f"{entries['a..']}|g3|g3||hash of axb", "hash of a..", "hash of a.b"),
        f"{entries['x']}|g4|g4||",
    ]
    users = server.Users().process(output)
    assert list(users) == ["axb", "a.b", "a..", "x"]
    assert {name: user["password"] for name, user in users.items()} == {
        **{name: f"hash of {name}" for name in ("axb", "a.b", "a..")},
        "x": "",
    }
    assert {name: (user["uid"], user["group"]) for name, user in users.items()} == {
        "axb": (0, "g1"), "a.b": (1, "g2"), "a..": (2, "g3"), "x": (3, "g4"),
    }  # fmt: skip
    assert users["a.b"]["groups"] == ["h"]
    assert users["axb"]["login_time"] is not None
