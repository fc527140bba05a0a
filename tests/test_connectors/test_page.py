"""What the page about connectors shows runs: with the real thing, or where that is somewhere else, with a stand-in.

The examples of engines and daemons are run by the tests of their connectors.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.busyboxroot import make_busybox_root
from ..support.kubecluster import kubernetes_cluster
from ..support.page import PAGE, run_examples, stand_in
from ..support.rootfs import require_root_and
from ..support.sshd import SSHServer, User


def test_this_machine(tmp_path: Path) -> None:
    assert os.uname().release in run_examples("local", tmp_path)


def test_no_machine_at_all(tmp_path: Path) -> None:
    assert "[@fake/web-2]" in run_examples("fake", tmp_path)


@pytest.fixture
def reader(sshd: SSHServer, ssh_user: User, ssh_home: Path, tmp_path: Path) -> Iterator[Path]:
    """The working directory of somebody whose hosts are all one test server."""
    config = ssh_home / ".ssh" / "config"
    config.write_text(
        "Host web-1.example.com web-2.example.com web.example.com bastion\n"
        f"HostName {sshd.addresses[0]}\nPort {sshd.port}\nUser {ssh_user.name}\nIdentityFile {ssh_user.key}\n"
        f"UserKnownHostsFile {ssh_home}/known_hosts\nStrictHostKeyChecking accept-new\n"
    )
    (tmp_path / "group_data").mkdir()
    # The ssh program looks for it in the home folder that the system has for a user, whatever HOME says
    (tmp_path / "group_data" / "all.py").write_text(f"openssh_config_file = {str(config)!r}\n")
    yield tmp_path
    sshd.kill_sessions()


@pytest.mark.parametrize("connector", ["ssh", "sshconfig"])
def test_hosts_of_ssh(connector: str, reader: Path) -> None:
    said = run_examples(connector, reader)
    assert "[web-1.example.com]" in said
    assert "[web-2.example.com]" in said
    assert connector == "sshconfig" or "[@ssh/web-1.example.com]" in said


def test_the_ssh_program(reader: Path, sshd: SSHServer, ssh_user: User) -> None:
    before = sshd.log.count(f"Accepted publickey for {ssh_user.name} ")
    assert "[@openssh/web.example.com]" in run_examples("openssh", reader)
    assert sshd.log.count(f"Accepted publickey for {ssh_user.name} ") == before + 2


def test_ansibles_inventory(reader: Path) -> None:
    (reader / "hosts.ini").write_text("[web]\nweb-1.example.com\n[db]\ndb-1.example.com\n")
    said = run_examples("ansible", reader)
    assert "[web-1.example.com] Connected" in said
    assert "db-1" not in said


OUTPUT = """output "pyinfra_inventory" {
  value = { web = ["web-1.example.com"], db = ["db-1.example.com"] }
}
"""
PRINTED = """{"pyinfra_inventory": {"value": {"web": ["web-1.example.com"], "db": ["db-1.example.com"]}}}"""


def test_terraforms_output(reader: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("terraform"):
        (reader / "main.tf").write_text(OUTPUT)
        for words in (["init"], ["apply", "-auto-approve"]):
            subprocess.run(["terraform", *words], cwd=reader, check=True, capture_output=True, timeout=120)
    else:
        stand_in(reader / "bin", "terraform", f'[ "$*" = "output -json" ] && echo {PRINTED!r}')
        monkeypatch.setenv("PATH", str(reader / "bin"), prepend=":")
    said = run_examples("terraform", reader)
    assert "[@terraform/web-1.example.com] Connected" in said
    assert "db-1" not in said


def test_vagrants_machines(reader: Path, sshd: SSHServer, ssh_user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    script = f"""case $1 in
    status) echo 1700000000,web,state,running;;
    ssh-config) echo "Host $2\n  HostName {sshd.addresses[0]}\n  Port {sshd.port}\n  User {ssh_user.name}"
        echo "  IdentityFile {ssh_user.key}";;
    esac"""
    stand_in(reader / "bin", "vagrant", script)
    monkeypatch.setenv("PATH", str(reader / "bin"), prepend=":")
    assert "[@vagrant/web] Connected" in run_examples("vagrant", reader)


def test_pods(tmp_path: Path) -> None:
    with kubernetes_cluster() as cluster:
        cluster.add_pod("web-1", "shop", labels={"app": "web"})
        cluster.add_pod("db-0", "shop", ownerReferences=[{"kind": "StatefulSet", "name": "db"}])
        said = run_examples("kubernetes", tmp_path)
    assert "[@kubernetes/shop/web-1]" in said
    assert "[@kubernetes/shop/db-0]" in said


@pytest.mark.parametrize(("connector", "programs"), [("chroot", ["chroot"]), ("nspawn", ["systemd-nspawn", "nsenter"])])
def test_trees(connector: str, programs: list[str], tmp_path: Path) -> None:
    require_root_and(*programs, "busybox")
    root = make_busybox_root(tmp_path)
    stand_in(root / "bin", "apt-get", 'echo "$@" >> /etc/motd')
    run_examples(connector, tmp_path, ("srv/tree", str(root).lstrip("/")))
    assert (root / "etc" / "motd").read_text() in ("welcome\n", "install --yes openssh-server\n")


# The programs that lead into machines, with a shell of this one in their place: those that hand on words, and those
# that hand on a text
WAYS = {
    "wsl.exe": 'while [ "$1" != --exec ]; do shift; done; shift; exec "$@"',
    "multipass": 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"',
    "limactl": '[ "$1 $2 $3 $4" = "shell --workdir / web" ] && shift 4 && exec "$@"',
    "jexec": '[ "$1" = web ] && shift && exec "$@"',
    "ssh": '[ "$1" = root@bsd.example.com ] && shift && exec sh -c "$*"',
    "gcloud": '[ "$1 $2 $3 $6" = "compute ssh web --command" ] && exec sh -c "$7"',
    # Without a shell over there, but by the same rules
    "fly": '[ "$1 $2 $5" = "ssh console --command" ] && eval "exec $6"',
    "tsh": '[ "$1 $2" = "ssh root@web" ] && shift 2 && exec sh -c "$*"',
    # Who may do everything here already
    "sudo": 'while [ "$1" != sh ]; do shift; done; exec "$@"',
}


def test_whatever_has_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_root_and("unshare")
    (inventory,) = re.findall(r'^```python title="machines.py"\n(.*?)^```$', PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "machines.py").write_text(inventory)
    for name, script in WAYS.items():
        stand_in(tmp_path / "bin", name, script)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    said = run_examples("pipe", tmp_path)
    for name in ("wsl", "multipass", "lima", "jail", "far-jail", "gcloud", "fly", "teleport"):
        assert re.search(rf"^\[@pipe/{name}\] +Linux$", said, re.MULTILINE), said
    assert "lo:" in said
