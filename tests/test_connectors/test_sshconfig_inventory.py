"""@sshconfig: the hosts of ~/.ssh/config."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyinfra.api import Inventory, InventoryError
from pyinfra.connectors.sshconfiginventory import SSHConfigInventoryConnector

CONFIG = """\
Include more/*.conf
Host web-1 web-2 "db 1"
    HostName %h.example.com
Host web-* !web-3
    User deploy
Host web-?? *.example.com
Host both both2 !both2
Match host web-9
    Port 22
Host WEB-5 web-1
Host *
    Include late.conf
"""


@pytest.fixture
def config(ssh_home: Path) -> Path:
    path = ssh_home / ".ssh" / "config"
    path.write_text(CONFIG)
    (ssh_home / ".ssh" / "more").mkdir()
    (ssh_home / ".ssh" / "more" / "a.conf").write_text("Host first\n")
    (ssh_home / ".ssh" / "late.conf").write_text("Host last\n")
    return path


def names(pattern: str | None = None) -> list[str]:
    return [name for name, _, _ in SSHConfigInventoryConnector.make_names_data(pattern)]


def test_hosts_are_the_names_without_wildcards_those_of_included_files_too(config: Path) -> None:
    assert list(SSHConfigInventoryConnector.make_names_data()) == [
        (name, {}, ["@sshconfig"]) for name in ("first", "web-1", "web-2", "db 1", "both", "WEB-5", "last")
    ]


def test_a_pattern_chooses_among_them(config: Path) -> None:
    assert names("web-*") == ["web-1", "web-2", "WEB-5"]
    assert names("*t") == ["first", "last"]
    assert names("web-1") == ["web-1"]


def test_they_are_ssh_hosts_of_that_name(config: Path) -> None:
    (host,) = Inventory((["@sshconfig/web-1"], {}))
    assert (host.name, host.groups, host.connector_cls.__name__) == ("web-1", ["@sshconfig"], "SSHConnector")


def test_a_pattern_that_no_host_matches_is_an_error_that_names_those_there_are(config: Path) -> None:
    for pattern in ("nope", "", "web-3"):
        with pytest.raises(InventoryError) as caught:
            names(pattern)
        assert str(caught.value) == (
            f"No host in ~/.ssh/config matches `{pattern}`; its `Host` lines name: "
            "first, web-1, web-2, db 1, both, WEB-5, last"
        )


def test_a_file_that_is_missing_or_wrong_is_an_error(ssh_home: Path) -> None:
    with pytest.raises(InventoryError, match=r"There is no .*/\.ssh/config: @sshconfig lists the hosts of its `Host` "):
        names()
    (ssh_home / ".ssh" / "config").write_text("Host a\nPort\n")
    with pytest.raises(InventoryError, match=r"Cannot read the SSH configuration ~/\.ssh/config: .*config line 2: "):
        names()
