"""The settings of a run: defaults, then ``config.py``, then command line options, then a deploy file's own."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, MutableMapping
from copy import copy
from difflib import get_close_matches
from functools import lru_cache
from importlib import metadata
from itertools import count
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from pyinfra.version import __version__

from .exceptions import PyinfraError
from .hiddenvalue import HiddenValue

logger = logging.getLogger("pyinfra")


class ConfigDefaults:
    """Every setting with its default."""

    # % of hosts that may fail before the run ends; None: all of them
    FAIL_PERCENT: int | float | None = None
    # Seconds a connection may take
    CONNECT_TIMEOUT: int | float = 10
    # Folder for temporary files on the hosts; None: what the host says, else DEFAULT_TEMP_DIR
    TEMP_DIR: str | None = None
    DEFAULT_TEMP_DIR: str = "/tmp"
    # How many hosts are worked on at once; 0: all
    PARALLEL: int = 0
    # A version specifier that pyinfra must meet, and requirements (a list, or a file of them); checked on assignment
    REQUIRE_PYINFRA_VERSION: str | None = None
    REQUIRE_PACKAGES: str | Iterable[str] | None = None
    # Privilege & user escalation: defaults of the global arguments of the same names
    SU_USER: str | None = None
    USE_SU_LOGIN: bool = False
    SU_SHELL: bool | str | None = False
    PRESERVE_SU_ENV: bool = False
    SU_PASSWORD: str | HiddenValue | None = None
    SUDO: bool = False
    SUDO_USER: str | None = None
    PRESERVE_SUDO_ENV: bool = False
    USE_SUDO_LOGIN: bool = False
    SUDO_PASSWORD: str | HiddenValue | None = None
    DOAS: bool = False
    DOAS_USER: str | None = None
    DZDO: bool = False
    DZDO_USER: str | None = None
    IGNORE_ERRORS: bool = False
    # The program that runs commands; None: whatever the connector's own shell is
    SHELL: str | None = "sh"
    # Show the differences of text files that change
    DIFF: bool = False
    RETRY: int = 0
    # Seconds between retries
    RETRY_DELAY: int | float = 5
    # Names of this process's environment variables that commands get, then variables of their own
    INHERIT_ENV: Iterable[str] = ()
    ENV: MutableMapping[str, Any] = {}
    # Seconds that a fact read for one operation serves the next ones; 0: never
    FACT_CACHE_SECONDS: int | float = 60


CONFIG_DEFAULTS: dict[str, Any] = {name: value for name, value in vars(ConfigDefaults).items() if name.isupper()}

# The numbers that a setting may be, from one to the other; all others may be any
_LIMITS: dict[str, tuple[int, float]] = {
    "FAIL_PERCENT": (0, 100),
    **dict.fromkeys(("CONNECT_TIMEOUT", "PARALLEL", "RETRY", "RETRY_DELAY", "FACT_CACHE_SECONDS"), (0, float("inf"))),
}


def _classes(annotation: Any) -> tuple[type, ...]:
    """The classes whose objects an annotation allows."""
    if get_origin(annotation) is UnionType:
        return tuple(cls for part in get_args(annotation) for cls in _classes(part))
    return (get_origin(annotation) or annotation,)


_CLASSES = {name: _classes(annotation) for name, annotation in get_type_hints(ConfigDefaults).items()}


def _check_value(key: str, value: Any) -> None:
    """Raise :class:`PyinfraError` unless a setting may have this value, which may be a password: it is not shown."""
    classes: Any = _CLASSES[key]
    # Text is an iterable of text, but nobody means that by it
    if not isinstance(value, classes) or (isinstance(value, str) and str not in classes):
        should_be = ConfigDefaults.__annotations__[key]
        raise PyinfraError(f"Invalid setting `{key}`: should be {should_be}, not {type(value).__name__}")
    if key in _LIMITS and value is not None:
        least, most = _LIMITS[key]
        if not least <= value <= most:
            allowed = f"{least} or more" if most == float("inf") else f"from {least} to {most}"
            raise PyinfraError(f"Invalid setting `{key}`: should be {allowed}, not {value}")


@lru_cache(maxsize=256)
def _warn_of_near_miss(name: str) -> None:
    """Say, once, that a name is nearly that of a setting: names of their own are what users may put there."""
    near = get_close_matches(name.upper(), CONFIG_DEFAULTS, n=1, cutoff=0.8)
    if near:
        logger.warning("config.%s is no setting of pyinfra's: did you mean %s?", name, near[0])


def check_pyinfra_version(version: str) -> None:
    """Raise :class:`PyinfraError` unless this pyinfra meets ``version``, a specifier such as ``>=3,<4``."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        wanted = SpecifierSet(version)
    except InvalidSpecifier as error:
        raise PyinfraError(f"REQUIRE_PYINFRA_VERSION is no version specifier: {version!r}") from error
    if not wanted.contains(__version__, prereleases=True):
        raise PyinfraError(f"pyinfra version requirement not met (requires {version}, running {__version__})")


# Comments and options (hashes) after a requirement
_NO_REQUIREMENT = re.compile(r"(?:^|\s)(?:#|--).*")


def _requirement_lines(requirements: str | Iterable[str]) -> list[str]:
    """The requirements in a list, or in the requirements file of that name."""
    if not isinstance(requirements, str):
        return list(requirements)
    try:
        with open(requirements, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise PyinfraError(f"Cannot read REQUIRE_PACKAGES file {requirements}: {error.strerror}") from error
    lines = [_NO_REQUIREMENT.sub("", line).strip() for line in text.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line and not line.startswith("-")]


def check_require_packages(requirements_config: str | Iterable[str]) -> None:
    """Raise :class:`PyinfraError` unless the installed packages meet all requirements.

    Args:
        requirements_config: requirement strings, or the path of a requirements file
    """
    from packaging.requirements import InvalidRequirement, Requirement

    if not requirements_config:
        return
    for line in _requirement_lines(requirements_config):
        try:
            requirement = Requirement(line)
        except (InvalidRequirement, TypeError) as error:
            raise PyinfraError(f"REQUIRE_PACKAGES has no valid requirement: {line!r}") from error
        if requirement.marker and not requirement.marker.evaluate():
            continue
        try:
            installed = metadata.version(requirement.name)
        except metadata.PackageNotFoundError as error:
            raise PyinfraError(f"Missing package requirement: {line} is not installed") from error
        if not requirement.specifier.contains(installed, prereleases=True):
            raise PyinfraError(f"Package requirement not met (requires {line}, installed {installed})")


_revisions = count(1)

_CHECKS = {
    "REQUIRE_PYINFRA_VERSION": check_pyinfra_version,
    "REQUIRE_PACKAGES": check_require_packages,
}


def _own(value: Any) -> Any:
    """A setting that can be changed in its place without those changing that had the same value."""
    return copy(value) if isinstance(value, (dict, list, set)) else value


class Config(ConfigDefaults):
    """The settings of one run, or of one host within it.

    ``revision`` is new with every change of any configuration, so that what was worked out from the settings can be
    kept until then: two of one revision have the same settings, also where one took the place of the other in memory.
    """

    revision: int

    def __init__(self, **kwargs: Any) -> None:
        values = self.__dict__
        values.update(CONFIG_DEFAULTS)
        values["ENV"] = dict(CONFIG_DEFAULTS["ENV"])
        values["revision"] = 0
        values["_locked"] = None
        for key, value in kwargs.items():
            setattr(self, key, value)

    def __setattr__(self, key: str, value: Any) -> None:
        if key not in CONFIG_DEFAULTS:
            _warn_of_near_miss(key)
        else:
            _check_value(key, value)
        if value is not None and key in _CHECKS:
            _CHECKS[key](value)
        self.__dict__[key] = value
        self.__dict__["revision"] = next(_revisions)

    def get_current_state(self) -> list[tuple[str, Any]]:
        """All settings as pairs, for :meth:`set_current_state`."""
        return [(key, _own(value)) for key, value in self.__dict__.items() if key.isupper()]

    def set_current_state(self, config_state: Iterable[tuple[str, Any]]) -> None:
        """Take all settings from pairs that :meth:`get_current_state` gave; settings that came later are gone."""
        values = {key: _own(value) for key, value in config_state}
        for key in [key for key in self.__dict__ if key.isupper() and key not in values]:
            del self.__dict__[key]
        self.__dict__.update(values)
        self.__dict__["revision"] = next(_revisions)

    def lock_current_state(self) -> None:
        """Remember the settings as they are now."""
        self.__dict__["_locked"] = self.get_current_state()

    def reset_locked_state(self) -> None:
        """Go back to the settings that were remembered, as at the end of a deploy file."""
        if self.__dict__["_locked"] is not None:
            self.set_current_state(self.__dict__["_locked"])

    def copy(self) -> Config:
        """A configuration of the same settings that changes on its own."""
        other = Config()
        other.__dict__.update({key: _own(value) for key, value in self.__dict__.items()})
        return other

    def command_environment(self) -> dict[str, Any]:
        """The environment variables that every command gets before its own ``_env``."""
        inherited = {name: os.environ[name] for name in self.INHERIT_ENV if name in os.environ}
        return {**inherited, **self.ENV}
