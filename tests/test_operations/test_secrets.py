"""Secrets among the arguments of operations: in clear for the host, and nowhere else."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyinfra.api import BaseStateCallback, HiddenValue, MaskString, OperationError
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.api.output import set_echo
from pyinfra.facts.files import FindInFile
from pyinfra.operations import files, server
from tests.support.names import settles
from tests.support.run import Run, connected_run
from tests.support.sandbox import Sandbox

# With what sed, grep, awk and shells take for their own
WORD = "s3kr1t"
TEXT = f'{WORD}/"x" & it\'s [y]\\z'
SECRETS = [MaskString(TEXT), HiddenValue(TEXT)]


class _Everything(BaseStateCallback):
    """Keeps the text of all that a run tells of."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        if name.startswith(("host_", "operation_")):
            return lambda state, *details: self.texts.extend(f"{detail}{detail!r}" for detail in details)
        return super().__getattribute__(name)


class Watched(Run):
    """A run of which everything that is shown is kept."""

    def __init__(self, run: Run, caplog: pytest.LogCaptureFixture) -> None:
        super().__init__(run.state)
        self.caplog = caplog
        self.events = _Everything()
        self.echoed: list[str] = []
        self.state.add_callback_handler(self.events)
        self.state.print_input = self.state.print_fact_input = self.state.print_fact_output = True

    @property
    def shown(self) -> str:
        """All that people could see so far."""
        titles = [str(argument) for op_meta in self.state.op_meta.values() for argument in op_meta.args]
        failures = [f"{failure.command} {failure.error_text}" for failure in self.state.failures]
        return "\n".join([*titles, *self.events.texts, *self.echoed, *self.caplog.messages, *failures])


@pytest.fixture
def run(caplog: pytest.LogCaptureFixture) -> Iterator[Watched]:
    caplog.set_level(logging.INFO, "pyinfra")
    with connected_run(DIFF=True) as run:
        watched = Watched(run, caplog)
        set_echo(lambda message=None, **_: watched.echoed.append(str(message)))
        try:
            yield watched
        finally:
            set_echo(lambda *_, **__: None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a file"
    path.write_text("one\ntwo\n")
    path.chmod(0o644)
    return path


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("arguments", [{}, {"ensure_newline": True, "backup": True}])
def test_a_secret_line_is_added_found_again_and_removed(
    run: Watched, path: Path, secret: Any, arguments: dict[str, Any]
) -> None:
    settles(run, files.line, path=str(path), line=secret, escape_regex_characters=True, **arguments)
    assert path.read_text() == f"one\ntwo\n{TEXT}\n"
    settles(run, files.line, path=str(path), line=secret, escape_regex_characters=True, present=False)
    assert path.read_text() == "one\ntwo\n"
    assert WORD not in run.shown


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_line_takes_another_s_place(run: Watched, path: Path, secret: Any) -> None:
    settles(run, files.line, path=str(path), line="^two$", replace=secret)
    assert path.read_text() == f"one\n{TEXT}\n"
    settles(run, files.line, path=str(path), line=f"^{WORD[0]}", replace=MaskString("new"))
    assert path.read_text() == "one\nnew\n"
    assert WORD not in run.shown
    assert "sed -i" in run.shown


@pytest.mark.parametrize("interpolates", [True, False])
def test_a_secret_text_is_replaced_by_another(run: Watched, path: Path, interpolates: bool) -> None:
    path.write_text(f"x={WORD}\n")
    old, new = MaskString(f"x={WORD}"), MaskString(f"{WORD}2")
    run.op(files.replace, path=str(path), text=old, replace=new, interpolate_variables=interpolates)
    assert path.read_text() == f"{WORD}2\n"
    run.op(files.replace, path=str(path), text=MaskString(f"{WORD}3"), replace=HiddenValue("y"))
    assert WORD not in run.shown


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("arguments", [{}, {"line": "^two", "before": True}])
def test_a_block_with_a_secret_is_added_changed_and_removed(
    run: Watched, path: Path, secret: Any, arguments: dict[str, Any]
) -> None:
    for content in (secret, ["plain", secret]):
        settles(run, files.block, path=str(path), content=content, **arguments)
        assert TEXT in path.read_text().split("\n")
    settles(run, files.block, path=str(path), content=["no more", MaskString("secret")])
    settles(run, files.block, path=str(path), present=False)
    settles(run, files.block, path=str(path.parent / "made"), content=secret)
    assert path.read_text() == "one\ntwo\n"
    assert WORD not in run.shown


def test_a_secret_marker_of_a_block_is_not_shown(run: Watched, path: Path) -> None:
    marker = MaskString(f"# {{mark}} {WORD}")
    settles(run, files.block, path=str(path), content="x", marker=marker)
    settles(run, files.block, path=str(path), content="y", marker=marker)
    settles(run, files.block, path=str(path), present=False, marker=marker)
    assert WORD not in run.shown


@pytest.mark.parametrize("make", [MaskString, HiddenValue])
def test_secret_commands_run(run: Watched, path: Path, make: Any) -> None:
    command = f"echo {WORD} >> '{path}'"
    for commands in (make(command), [make(command), "true"]):
        run.op(server.shell, commands=commands)
    assert path.read_text() == f"one\ntwo\n{WORD}\n{WORD}\n"
    assert WORD not in run.shown


def test_text_that_is_made_of_a_secret_is_one(run: Watched, path: Path) -> None:
    run.op(server.shell, commands="echo " + MaskString(WORD) + f" >> '{path}'")
    assert path.read_text().endswith(f"{WORD}\n")
    assert WORD not in run.shown


@pytest.mark.parametrize("make", [MaskString, HiddenValue])
def test_a_failed_secret_command_is_told_masked(run: Watched, make: Any) -> None:
    add_op(run.state, server.shell, commands=[make(f"false {WORD}")])
    with pytest.raises(PyinfraError):
        run_ops(run.state)
    (failure,) = run.state.failures
    assert failure.command == "***"
    assert WORD not in run.shown


@pytest.mark.parametrize("secret", SECRETS)
def test_a_script_gets_secrets_as_they_are(run: Watched, tmp_path: Path, secret: Any) -> None:
    script = tmp_path / "script.sh"
    script.write_text('#!/bin/sh\nfor word in "$@"; do echo "$word"; done > "$0.out"\n')
    meta = run.op(server.script, src=str(script), args=("plain", secret))
    uploaded = run.state.ops[run.host][meta._hash or ""].operation_meta._commands
    assert uploaded is not None
    out = uploaded[-1].get_raw_value().split(" ")[0] + ".out"
    assert Path(out).read_text() == f"plain\n{TEXT}\n"
    assert WORD not in run.shown


@pytest.mark.parametrize("secret", SECRETS)
def test_a_template_has_secrets_in_clear_and_its_differences_have_none(run: Watched, path: Path, secret: Any) -> None:
    text = io.StringIO("given {{ given }}\ndeep {{ deep.of[0] }}\nfound {{ find() }}\n")
    found = HiddenValue(f"{WORD}-of-another-host")
    settles(run, files.template, src=text, dest=str(path), given=secret, deep={"of": [secret]}, find=lambda: found)
    assert path.read_text() == f"given {TEXT}\ndeep {TEXT}\nfound {WORD}-of-another-host\n"
    assert "+ found ***" in run.shown
    assert WORD not in run.shown


@pytest.mark.parametrize("secret", SECRETS)
def test_an_error_in_a_template_shows_no_secrets(run: Watched, path: Path, secret: Any) -> None:
    def fail(value: str) -> None:
        raise ValueError(f"what is {value}")

    text = io.StringIO("{{ fail(secret) }}")
    with pytest.raises(OperationError) as caught:
        add_op(run.state, files.template, src=text, dest=str(path), fail=fail, secret=secret)
    assert str(caught.value).startswith("Error in template: file object (L1): what is ***\n")


def test_a_fact_that_is_asked_for_by_a_secret_is_not_shown(run: Watched, path: Path) -> None:
    path.write_text(f"pw={WORD}\n")
    assert run.fact(FindInFile, path=str(path), pattern=MaskString(f"pw={WORD}")) == [f"pw={WORD}"]
    assert f"path={path}, pattern=***" in run.shown
    assert WORD not in run.shown


def test_mount_options_may_be_secret(inside: Run, machine: Sandbox) -> None:
    machine.run("mkdir /home/data")
    options = ["size=1m", MaskString("uid=4242")]
    meta = inside.op(server.mount, path="/home/data", device="none", fs_type="tmpfs", options=options)
    assert "uid=4242" in machine.run("grep /home/data /proc/mounts")
    assert meta._commands is not None
    assert str(meta._commands[0]) == "mount -t tmpfs -o *** none /home/data"
