"""Change detection in deploy files: the facts of all operations together, the results as if each were asked alone."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from pyinfra.api.exceptions import OperationError
from pyinfra.api.reading import FactReadError

from ..support.deploys import Deploys
from ..support.engine import Engine, Failed
from .test_readahead import Batches, same

_OPERATIONS = """\
from pyinfra.api.exceptions import OperationError, OperationValueError
from tests.test_api.test_readahead import line, own

@own
def refuse(path, error=OperationError):
    if host.get_fact(Cat, path=path):
        raise error(f"{path} is not empty")
    yield "fill it"

@own
def refuse_at_once(path):
    raise OperationError(f"{path} is no path")
    yield "never"

"""


def detected(engine: Engine) -> list[bool | None]:
    """What is known of each operation of the first host, in order."""
    ops = engine.state.ops[engine.host()]
    return [op_data.operation_meta._maybe_change for op_data in ops.values()]


def run(deploys: Deploys, engine: Engine, code: str) -> Batches:
    """Run deploy code; the round trips that it took."""
    batches = Batches(engine)
    deploys.run(engine, _OPERATIONS + code)
    return batches


def lines_of(error: BaseException) -> list[str | None]:
    """The lines of code that an error's traceback shows."""
    return [frame.line for frame in traceback.extract_tb(error.__traceback__)]


def test_the_facts_of_a_deploy_files_operations_are_read_in_one_round_trip(deploys: Deploys) -> None:
    engine = Engine(script=same("/a", "/b"))
    batches = run(deploys, engine, "line('/a')\nline('/c')\nline('/b')\n")
    assert batches.seen == [["cat /a", "cat /c", "cat /b"]]
    assert detected(engine) == [False, True, False]
    meta = engine.state.meta[engine.host()]
    assert (meta.ops, meta.ops_change, meta.ops_no_change) == (3, 1, 2)


def test_an_included_files_operations_share_the_round_trip(deploys: Deploys) -> None:
    deploys.write("inner.py", _OPERATIONS + "line('/b')\n")
    engine = Engine(script=same("/a", "/b"))
    batches = run(deploys, engine, "line('/a')\nlocal.include('inner.py')\n")
    assert batches.seen == [["cat /a", "cat /b"]]
    assert detected(engine) == [False, False]


def test_who_asks_whether_an_operation_will_change_something_is_told_at_once(deploys: Deploys) -> None:
    engine = Engine(script=same("/a"))
    code = "a = line('/a')\nb = line('/b')\nhost.data.asked = (a.will_change, b.will_change)\nline('/c')\n"
    batches = run(deploys, engine, code)
    assert engine.host().data.asked == (False, True)
    assert batches.seen == [["cat /a", "cat /b"], ["cat /c"]]


@pytest.mark.parametrize("change", ["host.run_shell_command('edit /a')", "local.shell('true')"])
def test_what_may_change_the_host_meanwhile_waits_for_the_detection(deploys: Deploys, change: str) -> None:
    engine = Engine(script=same("/a", "/b"))
    batches = run(deploys, engine, f"line('/a')\n{change}\nline('/b')\n")
    assert batches.seen == [["cat /a"], ["cat /b"]]


def test_an_error_after_a_fact_has_the_line_of_its_call(deploys: Deploys) -> None:
    engine = Engine(script=same("/a", "/b", "/c"))
    with pytest.raises(OperationError, match="/a is not empty") as caught:
        run(deploys, engine, "line('/b')\nrefuse('/a')\nline('/c')\n")
    assert "refuse('/a')" in lines_of(caught.value)


def test_an_error_that_needs_no_fact_ends_the_file_where_it_is(deploys: Deploys) -> None:
    engine = Engine(script=same("/a"))
    code = "line('/a')\nhost.data.before = 1\nrefuse_at_once('x')\nhost.data.after = 1\n"
    with pytest.raises(OperationError, match="x is no path"):
        run(deploys, engine, code)
    assert (engine.host().data.get("before"), engine.host().data.get("after")) == (1, None)


_OF_ANOTHER_PACKAGE = """\
@operation()
def refuse_too(path):
    if host.get_fact(Cat, path=path):
        raise OperationError(f"{path} is not empty")
    yield "fill it"

"""


@pytest.mark.parametrize("refuse", ["refuse", "refuse_too"])
def test_what_cannot_be_done_yet_counts_as_a_change_after_one(deploys: Deploys, refuse: str) -> None:
    engine = Engine(script={"cat /a": "x", "write /b": lambda host: host.connector.script.update({"cat /a": ""})})
    run(deploys, engine, f"{_OF_ANOTHER_PACKAGE}line('/b')\n{refuse}('/a')\n")
    assert detected(engine) == [True, True]
    engine.run()
    assert engine.calls() == ["write /b", "fill it"]


@pytest.mark.parametrize("refuse", ["refuse", "refuse_too"])
def test_what_cannot_be_done_is_an_error_where_nothing_changes_before(deploys: Deploys, refuse: str) -> None:
    with pytest.raises(OperationError, match="/a is not empty"):
        run(deploys, Engine(script=same("/a", "/b")), f"{_OF_ANOTHER_PACKAGE}line('/b')\n{refuse}('/a')\nline('/c')\n")


@pytest.mark.parametrize("mistake", ["refuse_at_once('/a')", "refuse('/a', OperationValueError)"])
def test_a_wrong_call_is_an_error_whatever_changes_before(deploys: Deploys, mistake: str) -> None:
    with pytest.raises(OperationError, match="/a is n"):
        run(deploys, Engine(script=same("/a")), f"line('/b')\n{mistake}\n")


def test_operations_of_other_packages_are_asked_at_once(deploys: Deploys) -> None:
    engine = Engine(script={"cat /a": "x"})
    batches = run(deploys, engine, "line('/b')\nwrite_unless_there('/a', 'x')\n")
    assert batches.seen == [["cat /a"], ["cat /b"]]
    assert detected(engine) == [True, False]


def test_a_fact_that_fails_fails_the_host_with_the_line_of_the_call(deploys: Deploys) -> None:
    engine = Engine(script={"cat /a": Failed("no disk")})
    with pytest.raises(FactReadError) as caught:
        run(deploys, engine, "line('/a')\n")
    assert "line('/a')" in lines_of(caught.value)


@pytest.mark.parametrize("setting", ["print_fact_info", "print_noop_info", "print_fact_input", "print_fact_output"])
def test_nothing_waits_where_facts_or_no_ops_are_shown(deploys: Deploys, setting: str) -> None:
    engine = Engine(script=same("/a", "/b"))
    setattr(engine.state, setting, True)
    batches = run(deploys, engine, "line('/a')\nline('/b')\n")
    assert batches.seen == [["cat /a"], ["cat /b"]]


def test_operations_without_facts_are_known_when_they_are_called(deploys: Deploys) -> None:
    engine = Engine()
    seen: list[Any] = []
    engine.host().data.see = seen.append
    batches = run(deploys, engine, "meta = commands('one')\nhost.data.see(meta._maybe_change)\n")
    assert seen == [True]
    assert batches.seen == []


def test_without_change_detection_nothing_is_read(deploys: Deploys) -> None:
    engine = Engine(check=False)
    batches = run(deploys, engine, "line('/a')\n")
    assert batches.seen == []
    assert detected(engine) == [None]
