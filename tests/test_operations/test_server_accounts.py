"""Users and groups, made, changed and removed with the real tools, on a machine that is gone afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyinfra.api import HiddenValue, MaskString, OperationError
from pyinfra.api.operation import add_op
from pyinfra.facts.server import AuthorizedKeys, Groups, Users
from pyinfra.operations import server
from pyinfra.operations.machine.accounts import Account
from tests.support.run import Run
from tests.support.sandbox import Sandbox

USER = "pyinfra-test"
HASH = "$6$salt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"


def changes_once(run: Run, operation: Any, *args: Any, **kwargs: Any) -> None:
    """Run an operation, which must change something, and again, which must not."""
    assert run.op(operation, *args, **kwargs).did_change()
    assert run.op(operation, *args, **kwargs).did_not_change()


def test_a_group_is_made_with_its_id_and_removed(inside: Run, machine: Sandbox) -> None:
    changes_once(inside, server.group, group=USER, gid=7654)
    assert machine.run(f"getent group {USER}") == f"{USER}:x:7654:\n"
    changes_once(inside, server.group, group=USER, present=False)
    assert USER not in inside.fact(Groups)


def test_a_group_of_the_system_has_a_low_id(inside: Run, machine: Sandbox) -> None:
    changes_once(inside, server.group, group=USER, system=True)
    assert int(machine.run(f"getent group {USER}").split(":")[2]) < 1000


def test_a_user_is_made_as_wanted_and_changed_and_removed(inside: Run, machine: Sandbox) -> None:
    inside.op(server.group, group="extra")
    wanted: dict[str, Any] = {
        "user": USER,
        "shell": "/bin/sh",
        "groups": ["audio", "extra"],
        "uid": 7655,
        "comment": "Test; user 'one'",
        "password": HASH,
    }
    changes_once(inside, server.user, **wanted)
    made = inside.fact(Users)[USER]
    assert (made["home"], made["shell"], made["uid"]) == (f"/home/{USER}", "/bin/sh", 7655)
    assert (made["comment"], made["password"]) == ("Test; user 'one'", HASH)
    assert (made["group"], set(made["groups"])) == (USER, {"audio", "extra"})
    assert machine.run(f"stat -c '%U %G' /home/{USER}") == f"{USER} {USER}\n"

    changes_once(inside, server.user, user=USER, groups=["video"], append=True)
    assert set(inside.fact(Users)[USER]["groups"]) == {"audio", "extra", "video"}
    changes_once(inside, server.user, user=USER, groups=["video"])
    assert inside.fact(Users)[USER]["groups"] == ["video"]
    changes_once(inside, server.user, user=USER, group="extra", shell="/bin/bash", comment="", password="!")
    changed = inside.fact(Users)[USER]
    assert (changed["group"], changed["shell"], changed["comment"]) == ("extra", "/bin/bash", None)
    assert changed["password"] == "!"
    # Naming the primary group among the others asks for nothing more
    assert inside.op(server.user, user=USER, groups=["video", "extra"]).did_not_change()

    changes_once(inside, server.user, user=USER, present=False)
    assert USER not in inside.fact(Users)
    assert machine.run("ls /home") == f"{USER}\n"


def test_a_new_user_joins_the_groups_that_are_to_be_added(inside: Run) -> None:
    changes_once(inside, server.user, user=USER, groups=["audio", "video"], append=True, ensure_home=False)
    assert set(inside.fact(Users)[USER]["groups"]) == {"audio", "video"}


def test_a_user_whose_group_is_there_already_joins_it(inside: Run) -> None:
    inside.op(server.group, group=USER)
    changes_once(inside, server.user, user=USER, ensure_home=False)
    assert inside.fact(Users)[USER]["group"] == USER


def test_a_user_of_the_system_has_a_low_id_and_may_share_one(inside: Run) -> None:
    changes_once(inside, server.user, user=USER, system=True, ensure_home=False)
    uid = inside.fact(Users)[USER]["uid"]
    assert uid < 1000
    changes_once(inside, server.user, user=f"{USER}-2", uid=uid, unique=False, ensure_home=False)
    assert inside.fact(Users)[f"{USER}-2"]["uid"] == uid


def test_users_whose_names_differ_by_a_dot_are_told_apart(inside: Run, machine: Sandbox) -> None:
    for name, uid in (("axb", 7001), ("a.b", 7002)):
        machine.run(f"echo '{name}:x:{uid}:{uid}::/home/{name}:/bin/sh' >> /etc/passwd")
        machine.run(f"echo '{name}:hash of {name}:19000:0:99999:7:::' >> /etc/shadow")
        machine.run(f"echo '{name}:x:{uid}:' >> /etc/group")
    users = inside.fact(Users)
    for name, uid in (("axb", 7001), ("a.b", 7002)):
        assert (users[name]["uid"], users[name]["group"], users[name]["password"]) == (uid, name, f"hash of {name}")


def test_a_home_made_by_useradd_has_what_new_users_get(inside: Run, machine: Sandbox) -> None:
    machine.run("echo hello > /etc/skel/greeting")
    changes_once(inside, server.user, user=USER, create_home=True)
    assert machine.run(f"cat /home/{USER}/greeting") == "hello\n"


def test_a_home_that_is_a_file_is_an_error(inside: Run, machine: Sandbox) -> None:
    machine.run("touch /home/file")
    with pytest.raises(OperationError, match="/home/file exists and is not a directory"):
        add_op(inside.state, server.user, user=USER, home="/home/file")


def test_a_home_behind_a_link_is_left_alone(inside: Run, machine: Sandbox) -> None:
    machine.run("mkdir /home/real; ln -s real /home/link")
    changes_once(inside, server.user, user=USER, home="/home/link")
    assert machine.run("stat -c %U /home/real") == "root\n"


def test_a_password_that_is_hidden_is_set_and_not_shown(inside: Run) -> None:
    secret = HiddenValue(HASH)
    meta = inside.op(server.user, user=USER, password=secret, ensure_home=False)
    assert HASH not in repr(meta._commands)
    assert inside.fact(Users)[USER]["password"] == HASH
    assert inside.op(server.user, user=USER, password=secret, ensure_home=False).did_not_change()
    assert inside.op(server.user, user=USER, password=MaskString(HASH), ensure_home=False).did_not_change()


def test_a_machine_without_useradd_is_an_error_that_says_so(inside: Run, machine: Sandbox, tmp_path: Path) -> None:
    machine.run(f"mount --bind {tmp_path}/empty $(command -v useradd)")
    with pytest.raises(OperationError, match="useradd is not installed"):
        add_op(inside.state, server.user, user=USER)


def test_keys_are_added_each_once_and_others_stay(inside: Run, machine: Sandbox, tmp_path: Path) -> None:
    inside.op(server.user, user=USER)
    file = tmp_path / "team.pub"
    file.write_text("# the team\nssh-ed25519 AAAA2 two\n\nssh-ed25519 AAAA3 three")
    odd = 'command="printf \\"a*b\\"" ssh-ed25519 AAAA4 four'
    machine.run(f"mkdir /home/{USER}/.ssh; printf 'ssh-rsa AAAA0 zero' > /home/{USER}/.ssh/authorized_keys")

    keys = ["ssh-rsa AAAA1 one", str(file), odd, "ssh-rsa AAAA1 one"]
    changes_once(inside, server.user_authorized_keys, user=USER, public_keys=keys, group=USER)
    path = f"/home/{USER}/.ssh/authorized_keys"
    expected = ["ssh-rsa AAAA0 zero", "ssh-rsa AAAA1 one", "ssh-ed25519 AAAA2 two", "ssh-ed25519 AAAA3 three", odd]
    assert machine.run(f"cat {path}").splitlines() == expected
    owned = f"{USER} {USER}"
    assert machine.run(f"stat -c '%a %U %G' {path} /home/{USER}/.ssh") == f"600 {owned}\n700 {owned}\n"


def test_keys_that_are_not_named_go_if_asked(inside: Run, machine: Sandbox) -> None:
    changes_once(inside, server.user, user=USER, public_keys=["ssh-rsa AAAA1 one", "ssh-rsa AAAA2 two"])
    changes_once(inside, server.user, user=USER, public_keys="ssh-rsa AAAA2 two", delete_keys=True)
    path = f"/home/{USER}/.ssh/authorized_keys"
    assert inside.fact(AuthorizedKeys, user=USER) == ["ssh-rsa AAAA2 two"]
    assert machine.run(f"stat -c '%a %U %G' {path}") == f"600 {USER} {USER}\n"


def test_a_part_of_another_key_is_a_key_of_its_own(inside: Run) -> None:
    inside.op(server.user, user=USER, public_keys="ssh-rsa AAAA1 one and more")
    changes_once(inside, server.user, user=USER, public_keys="ssh-rsa AAAA1 one")
    assert inside.fact(AuthorizedKeys, user=USER) == ["ssh-rsa AAAA1 one and more", "ssh-rsa AAAA1 one"]


def test_keys_can_be_kept_in_another_file(inside: Run, machine: Sandbox) -> None:
    inside.op(server.user, user=USER)
    place = {"authorized_key_directory": "/etc/ssh/keys", "authorized_key_filename": USER}
    changes_once(inside, server.user_authorized_keys, user=USER, public_keys="ssh-rsa AAAA1 one", **place)
    assert machine.run(f"cat /etc/ssh/keys/{USER}").split("\n")[-2:] == ["ssh-rsa AAAA1 one", ""]


def test_a_key_file_that_is_not_there_is_an_error_that_names_it(inside: Run) -> None:
    with pytest.raises(OperationError, match=r"There is no file keys/nobody\.pub"):
        add_op(inside.state, server.user_authorized_keys, user="root", public_keys="keys/nobody.pub")


def test_a_key_file_may_be_a_path_object(inside: Run, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("ssh-rsa AAAA1 one\n")
    (tmp_path / "two.pub").write_text("ssh-rsa AAAA2 two\n")
    inside.op(server.user, user=USER)
    changes_once(inside, server.user_authorized_keys, user=USER, public_keys=tmp_path / "one")
    changes_once(inside, server.user_authorized_keys, user=USER, public_keys=[tmp_path / "two.pub"])
    assert inside.fact(AuthorizedKeys, user=USER) == ["ssh-rsa AAAA1 one", "ssh-rsa AAAA2 two"]
    with pytest.raises(OperationError, match=f"There is no file {tmp_path}/three"):
        add_op(inside.state, server.user_authorized_keys, user=USER, public_keys=tmp_path / "three")


def test_a_key_file_that_is_no_utf_8_is_an_error_that_names_it(inside: Run, tmp_path: Path) -> None:
    (tmp_path / "k.pub").write_bytes(b"ssh-rsa AAAA1 caf\xe9\n")
    with pytest.raises(OperationError, match=rf"{tmp_path}/k\.pub is no file of public keys: it is no text in UTF-8"):
        add_op(inside.state, server.user_authorized_keys, user="root", public_keys=str(tmp_path / "k.pub"))


def test_only_what_differs_of_a_user_is_a_change() -> None:
    existing = {"home": "/h", "shell": "/bin/sh", "group": "g", "groups": ["a"], "comment": None, "password": "x"}
    same = Account("u", home="/h", shell="/bin/sh", group="g", groups=("a", "g"), comment="", password="x")
    assert same.get_changes(existing) is None
    other = Account("u", home="/h", shell="/bin/ksh", groups=("a", "b"), append=True)
    assert other.get_changes(existing) == Account("u", shell="/bin/ksh", groups=("a", "b"), append=True)
