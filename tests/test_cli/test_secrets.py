"""Secrets in what the command line shows."""

from __future__ import annotations

import pytest

from tests.support.commandline import Folder

DEPLOY = """
    from pyinfra.api import HiddenValue, MaskString
    from pyinfra.operations import files, server

    server.shell(commands=["true " + MaskString("hush"), MaskString("true hush")], _env={"A": MaskString("hush")})
    server.shell(HiddenValue("true hush"))
    files.line(path="made", line="^pw=", replace=MaskString("pw=hush"))
    files.line(path="made", line=MaskString("^.*hush$"), replace=HiddenValue("pw=hush2"))
    files.block(path="made", content=["x", MaskString("hush")])
    files.replace(path="made", text=MaskString("hush2"), replace=MaskString("hush3"))
    files.line(path="made", line=MaskString("hush3"))
    server.shell(MaskString("exit 3; hush"))
"""


@pytest.mark.parametrize("options", [("-y", "-vv"), ("--dry", "--diff", "-vv"), ("--json",), ("--json", "-y")])
def test_secrets_among_arguments_are_shown_nowhere(folder: Folder, options: tuple[str, ...]) -> None:
    folder.write("made", "pw=old\n")
    folder.write("deploy.py", DEPLOY)
    ended = folder.run(*options, "@local", "deploy.py")
    assert "hush" not in ended.err + ended.out
    assert "server.shell (***)" in ended.err or ended.json["plan"][1]["args"] == ["*MASKED*"]
    if "-y" in options:
        assert (folder.path / "made").read_text().startswith("pw=hush3\n# BEGIN")


@pytest.mark.parametrize("option", ["--debug-facts", "--debug-operations"])
def test_what_debugging_shows_has_no_secrets_either(folder: Folder, option: str) -> None:
    folder.write("made", "pw=hush\n")
    folder.write("deploy.py", DEPLOY)
    for json in ((), ("--json",)):
        ended = folder.run(*json, option, "@local", "deploy.py")
        assert ended.exit_code == 0
        assert "hush" not in ended.err + ended.out


def test_the_hashes_of_passwords_are_shown_to_who_asks_for_them_and_in_no_log(folder: Folder) -> None:
    line = "me:x:1:1::/:/bin/sh|me|me||$y$hash"
    folder.write(
        "hosts.py",
        f"""
        from re import compile
        all = [("@fake", {{"fake_responses": {{"for i in": "{line}"}}}})]
        """,
    )
    folder.write(
        "deploy.py",
        """
        from pyinfra import host
        from pyinfra.facts.server import Users
        assert host.get_fact(Users)["me"]["password"] == "$y$hash"
        """,
    )
    ended = folder.run("-vvv", "-y", "hosts.py", "deploy.py")
    assert ended.exit_code == 0
    assert "Loaded fact server.Users" in ended.err
    assert "hash" not in ended.err
    debugged = folder.run("--json", "--debug-facts", "hosts.py", "deploy.py")
    asked = folder.run("--json", "hosts.py", "fact", "server.Users")
    passwords = [ended.json["server.Users"]["@fake"]["me"]["password"] for ended in (debugged, asked)]
    assert passwords == ["***", "$y$hash"]
