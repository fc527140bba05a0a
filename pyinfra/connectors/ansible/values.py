"""Variables that Ansible itself looks at: read by any of their names, templates in them worked out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pyinfra import logger
from pyinfra.api.command import MaskString
from pyinfra.api.exceptions import InventoryError
from pyinfra.api.masking import MASK, is_secret_name, masked

from .model import UnsafeText, Variable

if TYPE_CHECKING:
    from jinja2 import Environment

_YES = ("y", "yes", "on", "1", "true", "t", "1.0")
_NO = ("n", "no", "off", "0", "false", "f", "0.0")
# Templates in the values that a template names, and in those that these name
_MOST_NESTED = 30


class HostVariables:
    """A host's variables, for questions by name.

    Args:
        host: its name, for errors
        variables: all of them
        about: what templates can name as well: ``inventory_hostname``, ``group_names`` …
        warned: shared by the hosts of an inventory, so that there is one warning for all that a group makes
    """

    def __init__(
        self, host: str, variables: Mapping[str, Variable], about: Mapping[str, Any], warned: set[str] | None = None
    ) -> None:
        self.host = host
        self._variables = variables
        self._about = about
        self._warned = set() if warned is None else warned
        self._environment: Environment | None = None
        self._depth = 0
        # Whether a secret has come into the template that is being worked out
        self._has_secret = False

    def plain(self) -> dict[str, Any]:
        """All variables as they are written."""
        return {name: variable.value for name, variable in self._variables.items()}

    def wrong(self, names: tuple[str, ...], message: str) -> InventoryError:
        """An error about one of these variables, the one that is set."""
        return InventoryError(self.about_one(names, f"of host `{self.host}` {message}"))

    def warn(self, names: tuple[str, ...], message: str) -> None:
        """Warn about one of these variables, the one that is set: once for each place that sets it."""
        text = self.about_one(names, message)
        if text not in self._warned:
            self._warned.add(text)
            logger.warning("%s", text)

    def shown(self, names: tuple[str, ...], part: str) -> str:
        """A part of the text of one of these variables, the one that is set, as messages may have it."""
        return MASK if isinstance(self.get(*names), MaskString) else part

    def about_one(self, names: tuple[str, ...], message: str) -> str:
        """A message about one of these variables, the one that is set, with its place."""
        name = self._name_of(names) or names[0]
        place = f"{self._variables[name].place}: " if name in self._variables else ""
        return f"{place}`{name}` {message}"

    def _name_of(self, names: tuple[str, ...]) -> str | None:
        """Which of the names counts: the last that has a value."""
        for name in reversed(names):
            if name in self._variables and self._variables[name].value not in (None, ""):
                return name
        return None

    def is_set(self, *names: str) -> bool:
        """Whether one of these names has a value; templates are not worked out."""
        return self._name_of(names) is not None

    def get(self, *names: str) -> Any:
        """The value of the last of these names that has one, or ``None``; of a template with secrets, a secret."""
        name = self._name_of(names)
        if name is None:
            return None
        value = self._variables[name].value
        if not is_template(value):
            return value
        try:
            rendered = self._render(value)
        except Exception as error:
            # Templates can raise anything
            raise self._template_error(name, value, error) from None
        return None if rendered == "" else rendered

    def text(self, *names: str) -> str | None:
        """The value as text, a :class:`MaskString` if it is a secret."""
        value = self.get(*names)
        if isinstance(value, (list, dict)):
            raise self.wrong(names, f"should be text, got a {type(value).__name__}")
        return value if value is None or isinstance(value, MaskString) else str(value)

    def number(self, *names: str) -> int | None:
        """The value as a number."""
        value = self.get(*names)
        try:
            return None if value is None else int(value)
        except (TypeError, ValueError):
            raise self.wrong(names, f"should be a number, got {masked(value)!r}") from None

    def truth(self, *names: str) -> bool | None:
        """The value as true or false, in any of the words that Ansible has for these."""
        value = self.get(*names)
        if value is None or isinstance(value, bool):
            return value
        word = str(value).strip().lower()
        if word not in (*_YES, *_NO):
            raise self.wrong(names, f"should be true or false, got {masked(value)!r}")
        return word in _YES

    # Templates

    def _render(self, template: str) -> str:
        if self._environment is None:
            self._environment = self._make_environment()
        if self._depth >= _MOST_NESTED:
            raise RecursionError("it names itself")
        if self._depth == 0:
            self._has_secret = False
        self._has_secret |= isinstance(template, MaskString)
        self._depth += 1
        try:
            # Plain text, of which Jinja2 makes literals by repr()
            rendered = self._environment.from_string(str.__str__(template)).render()
            # Of a value inside another one that is a template
            rendered = self._render(rendered) if is_template(rendered) else rendered
            return MaskString(rendered) if self._has_secret else rendered
        finally:
            self._depth -= 1

    def _template_error(self, name: str, template: str, error: Exception) -> InventoryError:
        from jinja2 import UndefinedError

        is_secret = is_secret_name(name)
        # Of a password with braces in it, syntax errors quote a part; what is undefined people have to know
        why = MASK if self._has_secret or (is_secret and not isinstance(error, UndefinedError)) else error
        shown = MASK if is_secret or isinstance(template, MaskString) else template
        return self.wrong((name,), f"is a template that cannot be worked out ({why}): {shown}: write the value itself")

    def _value_for_template(self, name: str) -> Any:
        value = self._variables[name].value
        self._has_secret |= is_secret_name(name) or masked(value) != value
        return self._render(value) if is_template(value) else value

    def _lookup(self, plugin: str, *terms: str, **_: Any) -> str:
        """The one lookup of Ansible's that connection variables are often made with."""
        if plugin.rpartition(".")[2] != "env":
            raise LookupError(f"no lookup but `env`, got `{plugin}`")
        self._has_secret |= any(map(is_secret_name, terms))
        return ",".join(os.environ.get(term, "") for term in terms)

    def _make_environment(self) -> Environment:
        from jinja2 import StrictUndefined
        from jinja2.runtime import Context
        from jinja2.sandbox import SandboxedEnvironment

        outer = self

        class VariablesContext(Context):
            def resolve_or_missing(self, key: str) -> Any:
                if key in outer._variables:
                    return outer._value_for_template(key)
                if key in outer._about:
                    return outer._about[key]
                return super().resolve_or_missing(key)

        environment = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
        environment.context_class = VariablesContext
        environment.globals["lookup"] = self._lookup
        return environment


def is_template(value: Any) -> bool:
    """Whether a value is text that Ansible would work out."""
    return isinstance(value, str) and not isinstance(value, UnsafeText) and ("{{" in value or "{%" in value)
