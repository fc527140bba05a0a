"""Jinja2 templates, and where they went wrong."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable
from io import StringIO
from typing import IO, Any

from pyinfra import host, inventory, state
from pyinfra.api import OperationError, operation
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.hiddenvalue import MaskString
from pyinfra.api.util import get_file_io, get_template

from . import Commands, of_files
from .paths import report_no_change
from .uploads import local_path, no_file, put_file

# What Jinja2 calls the file of a template that it got as text
_UNNAMED = "<template>"


@operation()
@of_files
def template(
    src: str | IO[Any],
    dest: str,
    user: str | None = None,
    group: str | None = None,
    mode: int | str | None = None,
    create_remote_dir: bool = True,
    jinja_env_kwargs: dict[str, Any] | None = None,
    **data: Any,
) -> Commands:
    """Have a file on the host with what a Jinja2 template makes of data.

    Args:
        src: the local template, or a file object
        dest: the file on the host, which has no name of its own in a folder
        user, group, mode: its owner and mode
        create_remote_dir: make the folder for it, with the same owner
        jinja_env_kwargs: settings of :class:`jinja2.Environment`
        data: values for the template, besides ``host``, ``state`` and ``inventory``

    The file has secrets (:class:`~pyinfra.api.MaskString`, :class:`~pyinfra.api.HiddenValue`) in clear.

    .. code:: python

        files.template(name="Configure", src="templates/app.conf.j2", dest="/etc/app.conf", port=8080)
    """
    source = src if hasattr(src, "read") else local_path(src, True, "src")
    if isinstance(source, str) and not os.path.isfile(source):
        raise no_file(source)
    content, secrets = _render(source, jinja_env_kwargs, data)
    secrets = [*secrets, *data.values()]
    yield from report_no_change(
        put_file(
            StringIO(content),
            dest,
            user,
            group,
            mode,
            create_remote_dir,
            secrets=secrets,
            nameless="a template" if isinstance(source, str) else "a file-like object",
        )
    )


def _render(
    source: str | IO[Any], jinja_env_kwargs: dict[str, Any] | None, data: dict[str, Any]
) -> tuple[str, list[MaskString]]:
    """The text that a template makes of ``data``, besides ``host``, ``state`` and ``inventory``, and the secrets in it.

    Args:
        source: the template: a local file or file object
        jinja_env_kwargs: settings of :class:`jinja2.Environment`
        data: values by name

    Raises:
        OperationError: the template or its data is wrong; the message has the line, with its neighbours
    """
    # Only where there is a template to be rendered, Jinja2 is loaded
    from pyinfra.api.templates import secrets_collected

    values = {"host": host, "state": state, "inventory": inventory, **data}
    with secrets_collected() as secrets:
        try:
            return get_template(source, jinja_env_kwargs).render(values), list(map(MaskString, secrets))
        except PyinfraError:
            raise
        except Exception as error:
            raise OperationError(_explain(source, error, secrets)) from error


def _explain(source: str | IO[Any], error: Exception, secrets: Iterable[str]) -> str:
    name = source if isinstance(source, str) else "file object"
    message = str(error) or type(error).__name__
    for secret in filter(None, secrets):
        message = message.replace(secret, "***")
    line = _line_in_template(error)
    if line is None:
        return f"Error in template: {name}: {message}"
    with get_file_io(source, "r") as file:
        lines = [text.rstrip("\r\n") for text in file.readlines()[max(line - 2, 0) : line + 1]]
    around = "\n".join(["...", *lines, "..."])
    return f"Error in template: {name} (L{line}): {message}\n{around}"


def _line_in_template(error: Exception) -> int | None:
    """The line of the template itself, not of one that it includes, that an error came from."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == _UNNAMED:
            return frame.lineno
    # Syntax errors have no frame; the name is that of an included template
    return None if getattr(error, "name", None) else getattr(error, "lineno", None)
