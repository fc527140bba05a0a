"""Secrets as values: what is made of them, and what people see."""

from __future__ import annotations

import copy
import pickle
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from io import StringIO
from typing import Any

import pytest
from jinja2 import Environment, pass_environment

from pyinfra.api import FactBase, FactError, FunctionCommand, HiddenValue, MaskString, QuoteString, StringCommand
from pyinfra.api.exceptions import FactProcessError
from pyinfra.api.hiddenvalue import holds_secret, mask_like, reveal, shown
from pyinfra.api.templates import secrets_collected
from pyinfra.api.util import get_kwargs_str, get_template
from pyinfra.connectors.util import CommandOutput, OutputLine
from tests.support.engine import Cat, Engine, Number, write_unless_there

SECRET = MaskString(" S3 cret ")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (str, " S3 cret "),
        (lambda secret: secret + "x", " S3 cret x"),
        (lambda secret: "x" + secret, "x S3 cret "),
        (lambda secret: secret % (), " S3 cret "),
        (lambda secret: "<%s>" % secret, "< S3 cret >"),  # noqa: UP031 (that is what is tested)
        (lambda secret: secret[1:3], "S3"),
        (lambda secret: secret.strip(), "S3 cret"),
        (lambda secret: secret.replace("S3", "x").lower(), " x cret "),
        (lambda secret: secret.format(), " S3 cret "),
        (lambda secret: secret.split()[1], "cret"),
        (lambda secret: secret.partition("3")[2], " cret "),
        (lambda secret: mask_like(f"<{secret}>", "x", secret), "< S3 cret >"),
        (copy.deepcopy, " S3 cret "),
        (lambda secret: pickle.loads(pickle.dumps(secret)), " S3 cret "),
    ],
)
def test_text_made_of_a_secret_is_a_secret(make: Callable[[MaskString], Any], text: str) -> None:
    made = make(SECRET)
    assert made == text
    assert isinstance(made, MaskString)
    assert StringCommand(QuoteString(made)).get_masked_value() == shown(made) == "***"


def test_what_a_secret_cannot_be_added_to_is_an_error() -> None:
    with pytest.raises(TypeError):
        SECRET + 1  # type: ignore[operator]
    with pytest.raises(TypeError):
        1 + SECRET  # type: ignore[operator]
    assert type(mask_like("plain", "x", 1)) is str


def test_the_text_of_values_shows_no_secrets() -> None:
    values = [SECRET, {"a": (SECRET, HiddenValue("S3 cret"))}]
    texts = [
        f"{SECRET!r}",
        shown(values),
        get_kwargs_str({"a": SECRET, "b": values}),
        repr(FunctionCommand(len, (SECRET,), {"b": values})),
    ]
    assert not any("cret" in text for text in texts)
    assert texts[2].startswith("a=***, b=[MaskString(***), ")


def test_hidden_values_are_revealed_as_secrets_at_any_depth_and_the_rest_is_the_same() -> None:
    plain = {"a": [1, ("x", {"y"})]}
    assert reveal(plain) is plain
    revealed = reveal({"a": [1, (HiddenValue("x"),)], "b": plain})
    assert revealed == {"a": [1, ("x",)], "b": plain}
    assert revealed["b"] is plain
    assert isinstance(revealed["a"][1][0], MaskString)


@pytest.mark.parametrize(
    ("value", "holds"),
    [(SECRET, True), ({"a": [(HiddenValue("x"),)]}, True), ({SECRET}, True), ([1, "x", {"a": None}], False)],
)
def test_containers_are_looked_through_for_secrets(value: Any, holds: bool) -> None:
    assert holds_secret(value) is holds


class Thing:
    """What a template may find secrets in."""

    secret = HiddenValue("hush")
    deep = {"list": [HiddenValue("hush")], "one": MaskString("hush")}

    def call(self) -> HiddenValue:
        return self.secret

    def __iter__(self) -> Iterator[HiddenValue]:
        return iter([self.secret])


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("{{ hidden }}", "hush"),
        ("{{ masked }}", "hush"),
        ("{{ hidden | upper }}", "HUSH"),
        ("{{ 'x' ~ hidden }}", "xhush"),
        ("{{ hidden == 'hush' }}", "True"),
        ("{{ '%s!' | format(hidden) }}", "hush!"),
        ("{% set same = hidden %}{{ same ~ '!' }}", "hush!"),
        ("{{ listed | join(',') }}", "hush,hush"),
        ("{{ listed }}", "['hush', 'hush']"),
        ("{{ [hidden, masked] }}", "['hush', 'hush']"),
        ("{{ thing.secret ~ '' }}", "hush"),
        ("{{ thing.deep.list[0] ~ thing['deep']['one'] }}", "hushhush"),
        ("{{ thing.deep }}", "{'list': ['hush'], 'one': 'hush'}"),
        ("{{ thing.call() ~ '' }}", "hush"),
        ("{% for each in thing %}{{ each }}{% endfor %}", "hush"),
        ("{{ [thing] | map(attribute='secret') | join }}", "hush"),
        ("{{ hidden | tojson }}", '"hush"'),
        ("{% macro shout(it) %}{{ it ~ '!' }}{% endmacro %}{{ shout(thing.secret) }}", "hush!"),
    ],
)
def test_a_template_has_secrets_in_clear(text: str, rendered: str) -> None:
    hidden, masked = HiddenValue("hush"), MaskString("hush")
    values = {"hidden": hidden, "masked": masked, "listed": [hidden, masked], "thing": Thing()}
    for settings in (None, {"trim_blocks": True}):
        with secrets_collected() as secrets:
            assert get_template(StringIO(text), settings).render(values) == rendered
        assert set(secrets) == {"hush"}
    assert values["listed"] == [hidden, masked]


def test_a_template_s_own_settings_get_secrets_in_clear_too() -> None:
    @pass_environment
    def finalize(environment: Environment, value: Any) -> str:
        return f"<{value}>{environment.autoescape}"

    settings = {"finalize": finalize, "autoescape": True}
    template = get_template(StringIO("{{ secret }} {{ secret | e }}"), settings)
    assert template.render(secret=HiddenValue("a&b")) == "&lt;a&amp;b&gt;True &lt;a&amp;amp;b&gt;True"


class Users(FactBase[str]):
    """A fact with secrets in its output."""

    has_secret_output = True

    def command(self) -> str:
        return "users"


class SecretNumber(Number):
    """A number that nobody should see."""

    has_secret_output = True


def printed_outputs(engine: Engine, read: Callable[[], object]) -> list[bool]:
    """Whether the output of each command that reads facts is printed, where that of facts is."""
    printed = []
    run = engine.connector().run_shell_command

    def watch(command: StringCommand, print_output: bool, print_input: bool, **arguments: Any) -> Any:
        printed.append(print_output)
        return run(command, print_output, print_input, **arguments)

    engine.connector().run_shell_command = watch  # type: ignore[method-assign]
    engine.state.print_fact_output = True
    read()
    return printed


def test_the_output_of_facts_is_printed_but_for_those_with_secrets() -> None:
    engine = Engine()
    outputs = printed_outputs(
        engine,
        lambda: [
            engine.host().get_fact(Cat, path="/f"),
            engine.host().get_fact(Cat, path=MaskString("/f")),
            engine.host().get_fact(Users),
        ],
    )
    assert outputs == [True, False, False]


def test_the_output_of_facts_that_an_operation_with_secrets_reads_is_not_printed() -> None:
    for text, is_printed in (("x", True), (MaskString("x"), False), (HiddenValue("x"), False)):
        engine = Engine()
        outputs = printed_outputs(engine, partial(engine.add, write_unless_there, path="/f", text=text))
        assert outputs == [is_printed]


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [("/f", "x", "hush"), (MaskString("/f"), "x", "***"), ("/f", MaskString("x"), "***")],
)
def test_the_values_of_facts_are_told_but_for_those_found_by_secrets(path: str, text: str, value: str) -> None:
    engine = Engine(script={"cat /f": "hush"})
    events = engine.record("host_fact_value")
    engine.add(write_unless_there, path=path, text=text)
    assert events == [("host_fact_value", engine.host(), "engine.Cat", f"path={shown(path)}", value)]


def test_a_fact_with_secrets_that_fails_tells_only_its_standard_error() -> None:
    output = CommandOutput([OutputLine("stdout", "root:hash"), OutputLine("stderr", "no way")])
    engine = Engine()
    engine.connector().answer = lambda _: (False, output)  # type: ignore[method-assign]
    events = engine.record("host_fact_error")
    with pytest.raises(FactError):
        engine.host().get_fact(Users)
    assert [event[4].output_lines for event in events] == [["no way"]]


def test_what_is_wrong_with_secret_output_says_nothing_of_it() -> None:
    engine = Engine(script={"count": "hush"})
    events = engine.record("host_fact_error")
    with pytest.raises(FactProcessError) as caught:
        engine.host().get_fact(SecretNumber)
    assert str(caught.value) == "Fact test_secrets.SecretNumber: cannot understand the output: ValueError"
    assert "hush" not in "".join(traceback.format_exception(caught.value))
    assert events[0][5] is caught.value
    with pytest.raises(FactProcessError, match="'hush'"):
        engine.host().get_fact(Number)
