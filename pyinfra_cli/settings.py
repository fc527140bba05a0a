"""The configuration and the override data of a run: defaults, then ``config.py``, then options."""

from __future__ import annotations

import logging
import os
from typing import Any

import click

from pyinfra.api.config import Config
from pyinfra.context import ctx_config

from .exceptions import CliError
from .files import execute_file
from .options import Options
from .prompt import ask_secret
from .terminal import Terminal
from .util import parse_value

logger = logging.getLogger("pyinfra")

# Options and the settings that they are
_SETTINGS = {
    "sudo": "SUDO",
    "use_sudo_login": "USE_SUDO_LOGIN",
    "su_user": "SU_USER",
    "dzdo": "DZDO",
    "parallel": "PARALLEL",
    "fail_percent": "FAIL_PERCENT",
    "diff": "DIFF",
    "retry": "RETRY",
    "retry_delay": "RETRY_DELAY",
}
# Options that say more about another one
_NEED = {"sudo_user": ("sudo", "SUDO_USER"), "dzdo_user": ("dzdo", "DZDO_USER")}
_SSH_DATA = ("ssh_user", "ssh_port", "ssh_key", "ssh_key_password", "ssh_password")


def load_config(options: Options) -> Config:
    """The configuration, and the context's from now on.

    Raises:
        CliError: the file that ``--config`` names does not exist
    """
    config = Config()
    ctx_config.set_base(config)
    if os.path.isfile(options.config):
        execute_file(options.config)
    elif "config" in options.given:
        raise CliError(f"No config file: {options.config}")
    return config


def apply_options(options: Options, config: Config, terminal: Terminal) -> None:
    """Set what options say; those that were not given leave the configuration as it is."""
    for option, key in _SETTINGS.items():
        if option in options.given:
            setattr(config, key, getattr(options, option))
    for option, (needed, key) in _NEED.items():
        if option not in options.given:
            continue
        if getattr(options, needed):
            setattr(config, key, getattr(options, option))
        else:
            names = (f"--{option.replace('_', '-')}", f"--{needed}")
            logger.warning(f"{names[0]} has no effect without {names[1]}")
    if "shell_executable" in options.given:
        config.SHELL = None if options.shell_executable in ("None", "") else options.shell_executable
    if options.same_sudo_password:
        config.SUDO_PASSWORD = ask_secret(terminal, "sudo password:")


def override_data(options: Options, terminal: Terminal) -> dict[str, Any]:
    """The data of ``--data`` and of the SSH options.

    Raises:
        click.UsageError: a ``--data`` is no ``KEY=VALUE``
    """
    data: dict[str, Any] = {}
    for text in options.data:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise click.UsageError(f"Invalid --data: `{text}`, should be in the format `key=value`")
        data[key] = parse_value(value)
    data.update({key: getattr(options, key) for key in _SSH_DATA if key in options.given})
    if options.ssh_password_prompt:
        data["ssh_password"] = ask_secret(terminal, "SSH password:")
    return data
