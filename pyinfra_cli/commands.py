"""What stands after INVENTORY: looked up, and checked, before anything else is loaded."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from inspect import isfunction
from types import ModuleType
from typing import Any

import click

from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.facts import FactBase, ShortFactBase
from pyinfra.local import deploy_code

from .exceptions import CliError, UnexpectedExternalError, WrappedError, unexpected_error
from .util import parse_value, split_assignment


@dataclass(frozen=True, slots=True)
class DeployFiles:
    """Deploy files to run, one after the other."""

    filenames: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CallOperation:
    """One operation, or one ``@deploy`` function, to call on every host."""

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Execute:
    """A shell command to run on every host."""

    command: str


@dataclass(frozen=True, slots=True)
class FactRequest:
    """One fact to read."""

    name: str
    fact_cls: type[Any]
    kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The fact as output names it: ``files.File (path=x)``."""
        args = ", ".join(f"{key}={value}" for key, value in self.kwargs.items())
        return f"{self.name} ({args})" if args else self.name


@dataclass(frozen=True, slots=True)
class ShowFacts:
    """Facts to read on every host and to show."""

    facts: tuple[FactRequest, ...]


@dataclass(frozen=True, slots=True)
class DebugInventory:
    """The inventory itself is to be shown."""


@dataclass(frozen=True, slots=True)
class CheckConnector:
    """The hosts' connectors are to be held to the connector contract."""


Command = DeployFiles | CallOperation | Execute | ShowFacts | DebugInventory | CheckConnector

# Commands that are one word
_WORDS: dict[str, Command] = {"debug-inventory": DebugInventory(), "check-connector": CheckConnector()}


def parse_command(words: Sequence[str], warn: Callable[[str], None], chdir: str | None = None) -> Command:
    """The command that ``words`` are.

    Args:
        words: the command line after INVENTORY
        warn: called with warnings for people
        chdir: the folder of ``--chdir``, which deploy paths may repeat

    Raises:
        CliError: a file, an operation or a fact does not exist
        click.UsageError: words are missing, or there are too many
    """
    first, rest = words[0], words[1:]
    if first == "exec":
        if not rest:
            raise click.UsageError("exec needs a command: pyinfra INVENTORY exec -- COMMAND")
        return Execute(" ".join(rest))
    if first == "fact":
        return ShowFacts(_parse_facts(rest))
    if first in _WORDS:
        if rest:
            raise click.UsageError(f"{first} takes no arguments, got: {' '.join(rest)}")
        return _WORDS[first]
    if first.endswith(".py"):
        return DeployFiles(tuple(_deploy_file(word, warn, chdir) for word in words))
    return _parse_operation(first, rest)


def repeated_folder_removed(path: str, warn: Callable[[str], None], chdir: str | None) -> str:
    """``path`` as it is from within the folder of ``--chdir``, for those who wrote it as seen from outside."""
    if chdir is None or os.path.exists(path):
        return path
    inside = os.path.relpath(os.path.normpath(path), os.path.normpath(chdir))
    if inside.split(os.sep)[0] == os.pardir or not os.path.isfile(inside):
        return path
    warn(f"Paths are relative to the folder of --chdir: using {inside} for {path}")
    return inside


def _deploy_file(word: str, warn: Callable[[str], None], chdir: str | None) -> str:
    filename = repeated_folder_removed(word, warn, chdir)
    if not filename.endswith(".py") or not os.path.isfile(filename):
        raise CliError(f"No deploy file: {word}")
    try:
        deploy_code(os.path.abspath(filename))
    except OSError as error:
        raise CliError(f"Cannot read deploy file {word}: {error.strerror}") from error
    except (SyntaxError, ValueError) as error:
        raise UnexpectedExternalError(error, filename) from error
    return filename


def import_if_there(name: str) -> ModuleType | None:
    """The module of that name, or ``None`` where there is none; errors inside it are the user's to see."""
    if not all(part.isidentifier() for part in name.split(".")):
        return None
    package, dot, _ = name.partition(".")
    try:
        if dot and package not in sys.modules and not _is_package(package):
            return None
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            return None
        raise unexpected_error(error) from error
    except PyinfraError as error:
        raise WrappedError(error) from error
    except Exception as error:
        raise unexpected_error(error) from error


def _is_package(name: str) -> bool:
    """Whether there is a package of that name, found without importing it: a host may be called like a deploy file."""
    spec = find_spec(name)
    return spec is not None and spec.submodule_search_locations is not None


def _look_up(path: str, package: str, fits: Callable[[ModuleType, Any], bool]) -> Any:
    """What ``module.attribute`` names, as it is or under ``package``; what does not fit hides nothing that does."""
    module_name, _, attribute = path.rpartition(".")
    modules = (import_if_there(module_name), import_if_there(f"{package}.{module_name}"))
    found = [module for module in modules if module is not None]
    if not found:
        raise CliError(f"No such module: {module_name}")
    for module in found:
        value = getattr(module, attribute, None)
        if value is not None and fits(module, value):
            return value
    raise CliError(f"No such attribute in module {module_name}: {attribute}")


def _is_operation(module: ModuleType, value: Any) -> bool:
    """Whether it can be called for a host: an operation, a ``@deploy``, or a function that is the user's own.

    Functions of Python and of pyinfra, which a module may just have imported, would act on this machine, and at once.
    """
    if not isfunction(value):
        return False
    owners = {name.partition(".")[0] for name in (module.__name__, value.__module__)}
    return hasattr(value, "_inner") or owners.isdisjoint({"pyinfra", *sys.stdlib_module_names})


def _is_fact(_module: ModuleType, value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, (FactBase, ShortFactBase))


def _parse_facts(words: Sequence[str]) -> tuple[FactRequest, ...]:
    if not words:
        raise click.UsageError("fact needs a fact: pyinfra INVENTORY fact module.Fact [key=value ...]")
    facts: list[FactRequest] = []
    for word in words:
        assignment = split_assignment(word)
        if assignment is None:
            module_name, _, class_name = word.rpartition(".")
            if not module_name or not class_name:
                raise CliError(f"Invalid fact: `{word}`, should be in the format `module.cls`")
            facts.append(FactRequest(word, _look_up(word, "pyinfra.facts", _is_fact)))
        elif facts:
            facts[-1].kwargs[assignment[0]] = parse_value(assignment[1])
        else:
            raise CliError(f"Invalid fact: `{word}`, should be in the format `module.cls`")
    return tuple(facts)


def _parse_operation(name: str, words: Sequence[str]) -> CallOperation:
    if not all(name.rpartition(".")[::2]):
        raise CliError(
            f"Invalid operation: `{name}`, should be a deploy file (`*.py`) or in the format `module.operation`",
        )
    function = _look_up(name, "pyinfra.operations", _is_operation)
    args, kwargs = _parse_arguments(words)
    return CallOperation(name, function, args, kwargs)


def _parse_arguments(words: Sequence[str]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and named arguments, given one by one or all in one JSON text ``[[args], {kwargs}]``."""
    if len(words) == 1 and words[0].startswith("["):
        try:
            both = json.loads(words[0])
        except ValueError:
            both = None
        if isinstance(both, list) and len(both) == 2 and isinstance(both[0], list) and isinstance(both[1], dict):
            return tuple(both[0]), both[1]
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for word in words:
        assignment = split_assignment(word)
        if assignment is None:
            args.append(parse_value(word))
        else:
            kwargs[assignment[0]] = parse_value(assignment[1])
    return tuple(args), kwargs
