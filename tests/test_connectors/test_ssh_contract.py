"""The connector contract over SSH, as an ordinary user of a real server."""

from __future__ import annotations

from typing import ClassVar

import pytest

from pyinfra.testing.contract import ConnectorContract
from tests.support.sshd import SSHServer, can_run_sshd, start_sshd
from tests.support.sshhosts import ssh_data


class TestSSH(ConnectorContract):
    inventory = "@ssh/127.0.0.1"
    server: ClassVar[SSHServer]

    @classmethod
    def setup_class(cls) -> None:
        if not can_run_sshd():
            pytest.skip("needs root and OpenSSH's server")
        cls.server = start_sshd()
        try:
            cls.data = ssh_data(cls.server, cls.server.add_user(), ssh_strict_host_key_checking="no")
            super().setup_class()
        except BaseException:
            cls.server.close()
            raise

    @classmethod
    def teardown_class(cls) -> None:
        try:
            super().teardown_class()
        finally:
            cls.server.close()
