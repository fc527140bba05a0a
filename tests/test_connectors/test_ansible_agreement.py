"""Inventories of Ansible, compared with what ``ansible-inventory --list`` makes of them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ansible")

from pyinfra.api.exceptions import InventoryError
from pyinfra.connectors.ansible.sources import VariableFiles, host_variables, load_inventory

ANSIBLE_INVENTORY = Path(sys.executable).parent / "ansible-inventory"

Tree = tuple[dict[str, dict[str, Any]], dict[str, dict[str, list[str]]]]


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if text.startswith("#!"):
            path.chmod(0o755)


def without_empty(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, list[str]]]:
    """Groups that have something in them; that hosts are in ``all`` too is not worth a word."""
    found = {}
    for name, group in groups.items():
        hosts = [] if name == "all" else group.get("hosts", [])
        members = {"hosts": sorted(hosts), "children": sorted(group.get("children", []))}
        if any(members.values()):
            found[name] = members
    # ansible-inventory names empty groups as children, and says no more of them
    return found


def ask_ansible(path: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    home = path.parent
    return subprocess.run(
        [ANSIBLE_INVENTORY, "-i", str(path), "--list"],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", **environ},
        # No ansible.cfg but the system's
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def says_ansible(path: Path, **environ: str) -> Tree:
    process = ask_ansible(path, **environ)
    assert process.returncode == 0, process.stderr
    assert "Failed to parse" not in process.stderr, process.stderr
    # How it shows text that is never a template
    listed = json.loads(
        process.stdout,
        object_hook=lambda found: found["__ansible_unsafe"] if [*found] == ["__ansible_unsafe"] else found,
    )
    return listed.pop("_meta")["hostvars"], without_empty(listed)


def says_pyinfra(path: Path) -> Tree:
    inventory = load_inventory(str(path))
    files = VariableFiles(str(path))
    variables = {
        host: {key: each.value for key, each in host_variables(host, inventory, files).items()}
        for host in inventory.hosts
    }
    groups = {
        name: {"hosts": [*group.hosts], "children": [*group.children]} for name, group in inventory.groups.items()
    }
    # JSON has no tuples and no dates
    as_json = json.loads(json.dumps(variables, default=lambda value: value.isoformat()))
    return {host: found for host, found in as_json.items() if found}, without_empty(groups)


def assert_agreement(path: Path, **environ: str) -> None:
    hosts, groups = says_pyinfra(path)
    ansible_hosts, ansible_groups = says_ansible(path, **environ)
    assert hosts == ansible_hosts
    assert groups == ansible_groups
    assert groups


INI = """\
; comments of two sorts
# and no section: these are ungrouped
solo:2222 x=1 y="two words" z='a=b' # comment
web[01:03].example.com:22 list=[1,2] d="{'a': 1}" t=True f=true n=None o=0o17 p=017 e= h=1_000 k="1" s='"1"' tu=(1,2)
db[a:c] tpl="{{ foo }}" w=a@b cut=before#after gone=1
m[1:10:3]
c[1:2]-[a:b] x=1.50
up[Y:Z]
mixed[y:B]
from-zero[:2]
[::1]:2200
2001:db8::1
[fe80::1:3]:44 k=v
under_score:22
trailing.dot.:22
a/b:22
user@host:22
-dash:22
three.four.:x
üml:22
  indented   x=1

[g1]
solo
web01.example.com  k2=v2   k3="it's"
g.x

[g1:vars]
a=1
b = two words
c = "quoted"
d = [1, 2]
e = a # no comment
g =
h = 1 = 2
i =  'single'
l = "{{ x }}"
n = 1;2
empty=
big = 123456789012345678901234567890
backslash = C:\\dir
bytes = b'x'
neg = -5
expr = 1+2
dict = {'a': [1, {'b': None}]}
TRUE = TRUE
no = no

[par:children]
g1
later  # comes below

[later]
late

[par:vars]
v=par
[later:vars]
v=later
[all:vars]
everywhere=1
[empty]
[g4]  # comment
x.y x=1
[ungrouped]
lonely
"""

YAML = """\
all:
  hosts:
    top:
    "web[1:2]:22": {x: 1}
  vars:
    {v: all, d: 2024-01-02, dt: 2024-01-02 03:04:05, oct: 0755, on_: yes, n: ~, f: 1e3, f2: 1.5, s: "1", t: 12:30,
     u: !unsafe "{{", ul: !unsafe [1, "{{"], um: !unsafe {a: "{%"}}
  children:
    one_host:
      hosts: justone
    empty:
    par:
      children:
        kid:
          hosts: {k1: , shared: {at: kid}}
          vars: {ansible_group_priority: 3, w: kid, nested: {a: [1, {b: c}]}}
        other:
          hosts: {shared: }
          vars: {w: other}
      vars: &common {w: par}
    one_child:
      children: kid2
    weird:
      hosts: {z: {a: b}}
      vars:
    ungrouped: {hosts: {un: }}
elsewhere:
  hosts: {l1: null, k1: {again: true}}
  vars: {<<: *common, merged: 1}
  children: {}
"""

# A port behind a name counts where the host is named first
PORTS = """\
[a]
h:22
k
m x=1
own ansible_port=33
both:22 ansible_port=33
r[1:2]:22
[b]
h:33
k:44
m:55 x=2
own:44
both:44
r[1:3]:33
"""

PORTS_YAML = """\
a: {hosts: {"h:22": , k: , m: {x: 1}, own: {ansible_port: 33}, "both:22": {ansible_port: 33}, "r[1:2]:22": }}
b: {hosts: {"h:33": , "k:44": , "m:55": {x: 2}, "own:44": , "both:44": , "r[1:3]:33": }}
"""

TOML = """\
[all.vars]
a = 1
d = 2024-01-02
[web]
children = ["apache"]
vars = {x = 1}
[apache.hosts]
"t[1:2]" = {}
[apache.hosts.t3]
y = 2
"""

PRINTS_ALL = """\
#!/bin/sh
cat <<END
{"_meta": {"hostvars": {"nowhere": {"x": 1}, "h1": {"y": 2, "list": [1, "1"]}}},
 "a": {"hosts": ["h1", "h2[1:3]", "h3:22"], "vars": {"x": 1, "ansible_group_priority": 5}, "children": ["b"]},
 "b": {"hosts": ["h4"]},
 "all": {"children": ["a", "ungrouped"], "vars": {"everywhere": 1}}}
END
"""

PRINTS_ONE_BY_ONE = """\
#!/bin/sh
if [ "$1" = --list ]; then
    echo '{"a": ["h1", "h2"], "b": {"hosts": ["h1"], "vars": {"x": 1}, "children": ["a"]}, "c": {"y": 2}, "d": {}}'
elif [ "$2" = h1 ]; then
    echo '{"own": "h1"}'
fi
"""

# What wins depends on the depth of groups, on priorities, on names, and on where a variable is set
PRECEDENCE = {
    "hosts": """\
[bottom]
h1 both=host
h2
[left:children]
bottom
[right:children]
bottom
[a_first]
h1
[z_last]
h1
[a_first:vars]
depth=a_first
name=a_first
priority=a_first
ansible_group_priority=10
[z_last:vars]
depth=z_last
name=z_last
priority=z_last
[left:vars]
depth=left
side=left
[right:vars]
depth=right
side=right
[bottom:vars]
depth=bottom
file=inline
both=bottom
[all:vars]
depth=all
file=inline all
only_all=1
""",
    "group_vars/all.yml": "file: all\ndepth_in_file: all\n",
    "group_vars/bottom": "depth_in_file: bottom\n",
    "group_vars/left.json": '{"depth_in_file": "left", "side": "left in file"}',
    "host_vars/h1.yaml": "both: host_vars\n",
    "host_vars/h2/one.yml": "order: one\none: 1\n",
    "host_vars/h2/two.yml": "order: two\n",
}

FOLDER = {
    **{name: name.replace(".", "").replace("~", "") + "\n" for name in ("a.ini", "b.cfg", "c.txt", "d.md", "e.bak")},
    **{name: name.replace(".", "").replace("~", "") + "\n" for name in ("f.orig", "g.retry", "h~", ".hidden", "q.rst")},
    **{
        name: name.replace(".", "") + "\n" for name in ("r.pyc", "s.swp", "t.py", "u.rpm", "o.conf", "prod.example.com")
    },
    "01-ini": "[shared]\nh1 who=first\n[shared:vars]\nset=first\n",
    "02.yml": "shared: {hosts: {h1: {who: second}, h2: }, vars: {set: second}}\n",
    "03-yaml": "# a comment\n---\nshared: {hosts: {h3: }}\n",
    "04.json": '{"\\u0073hared": {\n\t"hosts": {"h4": {"f": 1e3}}}}',
    "05.sh": PRINTS_ALL,
    "06-children": "[shared]\n[above:children]\nshared\n",
    "07-keys": "quoted: {hosts: {h7: }}\n",
    "sub/deeper/hosts": "[shared]\nh5\n",
    "sub/group_vars/all.yml": "not_read: 1\n",
    "group_vars/all/one.yml": "x: 1\norder: one\n",
    "group_vars/all/two": "y: 1\norder: two\n",
    "group_vars/all/three.txt": "not_read: 1\n",
    "group_vars/all/deep/w.yml": "w: 1\n",
    "group_vars/all/deep.d/w.yml": "not_read: 1\n",
    "group_vars/all/.h.yml": "not_read: 1\n",
    "group_vars/all/t.yml~": "not_read: 1\n",
    "group_vars/shared": "ending: none\n",
    "group_vars/shared.yml": "ending: yml\n",
    "group_vars/above.yml/one.yml": "above: 1\n",
    "group_vars/above.json": '{"not_read": 1}',
    "group_vars/nobody.yml": "not_read: 1\n",
    "host_vars/h1.json": '{"own": [1, 1.5, null]}',
    "host_vars/h2.yaml": "",
}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hosts.ini", INI),
        ("hosts", INI),
        ("hosts.yml", YAML),
        ("hosts", YAML),
        ("hosts.ini", PORTS),
        ("hosts.yml", PORTS_YAML),
        ("hosts.toml", TOML),
        ("inventory.sh", PRINTS_ALL),
        ("inventory.sh", PRINTS_ONE_BY_ONE),
    ],
)
def test_a_file_says_the_same_to_ansible(name: str, text: str, tmp_path: Path) -> None:
    write(tmp_path, {name: text})
    assert_agreement(tmp_path / name)


@pytest.mark.parametrize(
    "line", ["[web", "[web x=1", "web[1:3.ex", "web[1:2]-[a", "h[:22", "[fe80::1", "h][1:2]", "h[1:2]][3:4]"]
)
def test_a_bracket_without_its_counterpart_is_an_error_as_for_ansible(line: str, tmp_path: Path) -> None:
    write(tmp_path, {"hosts.ini": f"[db]\ndb1\n{line}\nweb1\n", "hosts.yml": f"db: {{hosts: {{db1: , '{line}': }}}}\n"})
    for name, place in (("hosts.ini", "hosts.ini line 3: "), ("hosts.yml", "hosts.yml line 1: ")):
        assert "Failed to parse inventory" in ask_ansible(tmp_path / name).stderr
        with pytest.raises(InventoryError, match=f"^{tmp_path}/{place}"):
            load_inventory(str(tmp_path / name))


def test_the_variable_that_counts_is_the_same_for_ansible(tmp_path: Path) -> None:
    write(tmp_path, PRECEDENCE)
    assert_agreement(tmp_path / "hosts")


def test_a_folder_says_the_same_to_ansible(tmp_path: Path) -> None:
    write(tmp_path / "inventory", FOLDER)
    assert_agreement(tmp_path / "inventory")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_groups_at_random_say_the_same_to_ansible(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    names = [f"g{number}" for number in range(12)]
    chance.shuffle(names)
    lines = []
    for position, name in enumerate(names):
        lines += [f"[{name}]", *(f"h{number} own{number}={position}" for number in chance.sample(range(20), 4))]
        # Down this list only, so that there are no circles
        below = names[position + 1 :]
        lines += [f"[{name}:children]", *chance.sample(below, min(len(below), chance.randint(0, 3)))]
        lines += [f"[{name}:vars]", *(f"v{number}={name}" for number in chance.sample(range(8), 4))]
        if chance.random() < 0.4:
            lines.append(f"ansible_group_priority={chance.randint(0, 5)}")
    files = {f"group_vars/{name}.yml": f"v{chance.randint(0, 8)}: file {name}\n" for name in chance.sample(names, 4)}
    write(tmp_path, {"hosts": "\n".join(lines), **files})
    assert_agreement(tmp_path / "hosts")


def test_what_ansible_inventory_has_printed_is_an_inventory(tmp_path: Path) -> None:
    write(tmp_path, {"hosts": INI})
    hosts, groups = says_ansible(tmp_path / "hosts")
    listed = {name: {key: members for key, members in group.items() if members} for name, group in groups.items()}
    (tmp_path / "printed.json").write_text(json.dumps({"_meta": {"hostvars": hosts}, **listed}))
    assert says_pyinfra(tmp_path / "printed.json") == (hosts, groups)


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Texts that ``ansible-vault`` has encrypted, by vault id."""
    folder = tmp_path_factory.mktemp("vault")
    texts = {}
    for label, password in (("default", "secret one"), ("prod", "secret two")):
        (folder / label).write_text(f"{password}\n")
        plain = folder / f"{label}.yml"
        plain.write_text(f"from_{label}: 'ünder {label}'\nnumber: 1\n")
        subprocess.run(
            [
                ANSIBLE_INVENTORY.parent / "ansible-vault",
                "encrypt",
                "--vault-id",
                f"{label}@{folder / label}",
                str(plain),
            ],
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
        texts[label] = plain.read_text()
    texts["folder"] = str(folder)
    return texts


def test_files_that_ansible_vault_has_encrypted_say_the_same(
    encrypted: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        tmp_path, {"hosts": "[g]\nh\n", "group_vars/g.yml": encrypted["prod"], "host_vars/h.yml": encrypted["default"]}
    )
    identities = f"default@{encrypted['folder']}/default,prod@{encrypted['folder']}/prod"
    monkeypatch.setenv("ANSIBLE_VAULT_IDENTITY_LIST", identities)
    assert_agreement(tmp_path / "hosts", ANSIBLE_VAULT_IDENTITY_LIST=identities)
    assert says_pyinfra(tmp_path / "hosts")[0]["h"]["from_prod"] == "ünder prod"


def test_a_password_of_ansible_vault_can_come_from_a_program(
    encrypted: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inline = "\n".join(f"    {line}" for line in encrypted["default"].splitlines())
    write(tmp_path, {"hosts": "h\n", "host_vars/h.yml": f"plain: 1\nhidden: !vault |\n{inline}\n"})
    write(tmp_path, {"password.sh": "#!/bin/sh\necho 'secret one'\n"})
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(tmp_path / "password.sh"))
    hosts, _ = says_pyinfra(tmp_path / "hosts")
    assert hosts["h"] == {"plain": 1, "hidden": "from_default: 'ünder default'\nnumber: 1\n"}


def test_without_the_password_of_ansible_vault_the_error_says_what_to_set(
    encrypted: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inline = "\n".join(f"    {line}" for line in encrypted["prod"].splitlines())
    write(tmp_path, {"hosts": "h\n", "host_vars/h.yml": f"plain: 1\nhidden: !vault |\n{inline}\n"})
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE", raising=False)
    monkeypatch.delenv("ANSIBLE_VAULT_IDENTITY_LIST", raising=False)
    for environ, why in (
        ({}, "set the environment variable ANSIBLE_VAULT_PASSWORD_FILE to a file with the password"),
        (
            {"ANSIBLE_VAULT_PASSWORD_FILE": f"{encrypted['folder']}/default"},
            "none of the passwords that ANSIBLE_VAULT_",
        ),
        (
            {"ANSIBLE_VAULT_PASSWORD_FILE": "/nowhere"},
            "Cannot read a password of ansible-vault, see ANSIBLE_VAULT_PASS",
        ),
    ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(InventoryError) as caught:
            says_pyinfra(tmp_path / "hosts")
        assert why in str(caught.value)
        assert "host_vars/h.yml line 2" in str(caught.value) or "/nowhere" in str(caught.value)


def test_toml_that_cannot_be_understood_is_an_error_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, {"hosts.toml": "[all]\nx\n"})
    with pytest.raises(InventoryError, match=r"hosts\.toml is no valid TOML: .*line 2"):
        load_inventory(str(tmp_path / "hosts.toml"))
