"""``--new-connector``: a package with a connector that works as it is."""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import click

from pyinfra.api.connectors import get_all_connectors

from .exceptions import CliError
from .new_connector_files import KINDS, package_files
from .terminal import Terminal

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_LONGEST_NAME = 40


def write_package(name: str, kind: str | None, parent: str | None = None) -> None:
    """Write a package for a connector and say what to do with it.

    Args:
        name: what stands after the ``@``
        kind: ``inventory``, ``execution`` (the default) or ``both``
        parent: the folder for the package's folder; the working directory by default

    Raises:
        click.BadParameter: the name or the kind is none
        CliError: name, module or folder are taken, or the folder cannot be written
    """
    kind = "execution" if kind is None else kind
    if kind not in KINDS:
        raise click.BadParameter(f"{kind!r} is none of {', '.join(KINDS)}", param_hint="--kind")
    _check_name(name)
    module = f"pyinfra_{name.replace('-', '_')}"
    _check_is_free(name, module)
    folder = Path(parent or ".") / f"pyinfra-{name}"
    files = package_files(name, module, kind)
    _write_all(folder, files)

    terminal = Terminal()
    terminal.stage(f"Written: {terminal.style(str(folder), bold=True)}")
    for path in files:
        terminal.line(f"    {path}")
    terminal.line()
    terminal.stage("It works as it is:")
    target = "debug-inventory" if kind == "inventory" else "exec -- echo hello"
    place = str(folder if folder.is_absolute() else f"./{folder}")
    terminal.line(f"    {shlex.join(['pip', 'install', '-e', f'{place}[test]'])}")
    terminal.line(f"    pyinfra @{name} {target}")
    terminal.line(f"    {shlex.join(['python', '-m', 'pytest', place])}")
    terminal.line()
    terminal.line(f"    {folder}/README.md says where to go on.")
    terminal.close()


def _check_name(name: str) -> None:
    """See that a name can be a connector's, a package's and a module's."""
    hint = "--new-connector"
    if name.startswith("@"):
        raise click.BadParameter(f"{name!r}: without the @, please", param_hint=hint)
    if re.match(r"pyinfra[-_]", name):
        raise click.BadParameter(
            f"{name!r}: NAME is what stands after the @; pyinfra- is put before it for the package", param_hint=hint
        )
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise click.BadParameter(
            f"{name!r}: a connector's name begins with a letter and has small letters, digits, and single - or _ "
            f"between them, at most {_LONGEST_NAME} together, such as my-cloud",
            param_hint=hint,
        )


def _check_is_free(name: str, module: str) -> None:
    """See that nobody has the connector's or the module's name already."""
    claims = get_all_connectors().entry_points.get(name)
    if claims:
        owners = " and ".join(claim.dist.name if claim.dist else claim.value for claim in claims)
        raise CliError(f"There is a connector @{name} already, of {owners}: choose another name, or uninstall that")
    if find_spec(module) is not None:
        raise CliError(f"There is a module {module} already, so no package can have that name: choose another one")


def _write_all(folder: Path, files: dict[str, str]) -> None:
    """Write files into a new folder, all of them or none."""
    try:
        # Whoever makes it has it: nothing that is there already is touched, not even an empty folder
        folder.mkdir()
    except FileExistsError as error:
        raise CliError(
            f"{folder} is there already, and nothing is overwritten: choose another name or folder"
        ) from error
    except OSError as error:
        raise CliError(f"Cannot make {folder}: {error.strerror}") from error
    beside: Path | None = None
    try:
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        beside.chmod(folder.stat().st_mode)
        for name, text in files.items():
            path = beside / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        beside.rename(folder)
    except BaseException as error:
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)
        # Only while it is empty: what somebody else has put in there meanwhile is theirs
        with suppress(OSError):
            folder.rmdir()
        if isinstance(error, OSError):
            raise CliError(f"Cannot write {folder}: {error.strerror}") from error
        raise
