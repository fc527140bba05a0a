"""What operations yield and connectors run: commands, and the values inside them.

A command keeps its parts apart until it is rendered, so that values are quoted by construction and secrets are
masked wherever people can see them: ``str()`` of a command is its masked text, only connectors ask for the raw one.
"""

from __future__ import annotations

import inspect
import itertools
import re
import shlex
from collections.abc import Callable, Iterable
from functools import lru_cache
from os import fspath
from string import Formatter
from typing import IO, TYPE_CHECKING, Any

from typing_extensions import Unpack

from .arguments import Environment
from .exceptions import OperationValueError
from .hiddenvalue import MASK, HiddenValue
from .hiddenvalue import MaskString as MaskString
from .util import file_text

if TYPE_CHECKING:
    from pathlib import PurePath

    from .arguments import ConnectorArguments
    from .host import Host
    from .state import State


class QuoteString:
    """A value that reaches the shell as one word, whatever is in it."""

    obj: str | StringCommand | HiddenValue

    def __init__(self, obj: str | StringCommand | HiddenValue | PurePath) -> None:
        self.obj = obj if isinstance(obj, (str, StringCommand, HiddenValue)) else fspath(obj)

    def quote(self, text: str) -> str:
        """``text`` as a word of POSIX ``sh``."""
        return shlex.quote(text)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.obj!r})"


class QuotePath(QuoteString):
    """A path that reaches the shell as one word, but for a leading ``~`` or ``~user``, which the shell expands.

    A leading dash gets ``./`` before it, so that no program takes the path for an option.
    """

    def quote(self, text: str) -> str:
        """``text`` quoted after its home folder, if it names one."""
        if text.startswith("-"):
            return shlex.quote(f"./{text}")
        if not text.startswith("~"):
            return shlex.quote(text)
        home, slash, rest = text.partition("/")
        if not home[1:].replace("-", "").replace("_", "").replace(".", "").isalnum() and home != "~":
            return shlex.quote(text)
        return f"{home}{slash}{shlex.quote(rest) if rest else ''}"


# What would end a word in double quotes early: a quote, and a backslash that would escape the closing one
_DOUBLE_QUOTE_ENDS = re.compile(r'\\.|"|\\$', re.DOTALL)


class InterpolatedString(QuoteString):
    """A value that reaches the shell as one word, in which the shell expands variables and commands."""

    def quote(self, text: str) -> str:
        """``text`` in double quotes; what it escapes itself stays as it is."""
        inner = _DOUBLE_QUOTE_ENDS.sub(lambda found: found[0] if len(found[0]) == 2 else f"\\{found[0]}", text)
        return f'"{inner}"'


def _render(bit: Any, masked: bool) -> str:
    """One part of a command as text, quoted and masked as its type says."""
    if isinstance(bit, MaskString):
        # Not the secret's own str(), which is one as well
        return MASK if masked else str.__str__(bit)
    if isinstance(bit, str):
        return bit
    if isinstance(bit, StringCommand):
        return bit.get_masked_value() if masked else bit.get_raw_value()
    if isinstance(bit, QuoteString):
        inner = bit.obj
        if masked and (isinstance(inner, (MaskString, HiddenValue))):
            return _render(inner, True)
        return bit.quote(_render(inner, masked))
    if isinstance(bit, HiddenValue):
        return bit.masked_value if masked else bit.unmask()
    return str(bit)


class PyinfraCommand:
    """Something to do on a host, with the connector arguments (``_sudo`` …) that differ from its operation's."""

    connector_arguments: ConnectorArguments

    def __init__(self, **arguments: Unpack[ConnectorArguments]) -> None:
        self.connector_arguments = arguments

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> Any:
        """Do it on ``host``; what comes back is ``(success, CommandOutput)`` or a bare success."""
        raise NotImplementedError


def _merged(command: PyinfraCommand, connector_arguments: ConnectorArguments) -> ConnectorArguments:
    """An operation's connector arguments, overridden by those of one of its commands."""
    own = command.connector_arguments
    if not own:
        return connector_arguments
    merged: ConnectorArguments = {**connector_arguments, **own}
    outer = connector_arguments.get("_env")
    if "_env" in own and isinstance(outer, Environment):
        merged["_env"] = Environment(outer.base, own["_env"])
    return merged


class StringCommand(PyinfraCommand):
    """A shell command made of parts, joined by ``_separator``.

    Parts are plain text (shell syntax), :class:`QuoteString` (values), :class:`MaskString` and
    :class:`HiddenValue` (secrets), further commands, or anything with a ``str()``.
    """

    def __init__(self, *bits: Any, _separator: str = " ", **arguments: Unpack[ConnectorArguments]) -> None:
        super().__init__(**arguments)
        self.bits = bits
        self.separator = _separator

    def __str__(self) -> str:
        return self.get_masked_value()

    def __repr__(self) -> str:
        return f"StringCommand({self.get_masked_value()})"

    def get_raw_value(self) -> str:
        """The text that the host's shell gets, secrets in clear.

        Raises:
            OperationValueError: there is a NUL byte in it, which no shell takes
        """
        text = self.separator.join([_render(bit, masked=False) for bit in self.bits])
        if "\0" in text:
            raise OperationValueError(f"A shell command cannot hold a NUL byte: {self.get_masked_value()!r}")
        return text

    def get_masked_value(self) -> str:
        """The text to show: secrets are masked."""
        return self.separator.join([_render(bit, masked=True) for bit in self.bits])

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> Any:
        """Run it on ``host``; returns ``(success, CommandOutput)``."""
        return host.run_shell_command(
            self,
            print_output=state.print_output,
            print_input=state.print_input,
            **_merged(self, connector_arguments),
        )


def _file_text(file: Any) -> str:
    """A path, or a file object by its name or its content: not by its address, which says nothing to anybody."""
    if not hasattr(file, "read"):
        return str(file)
    name = getattr(file, "name", None)
    if isinstance(name, str):
        return name
    return file_text(file)


class _FileCommand(PyinfraCommand):
    """A file to be copied between this machine and the host, by one of the host's methods."""

    _method: str
    _label: str

    def __init__(
        self,
        src: str | IO[Any],
        dest: str | IO[Any],
        remote_temp_filename: str | None = None,
        **kwargs: Unpack[ConnectorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.src = src
        self.dest = dest
        self.remote_temp_filename = remote_temp_filename

    def __repr__(self) -> str:
        return f"{self._label}({_file_text(self.src)}, {_file_text(self.dest)})"

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> Any:
        """Copy it; returns whether that went well."""
        copy = getattr(host, self._method)
        return copy(
            self.src,
            self.dest,
            remote_temp_filename=self.remote_temp_filename,
            print_output=state.print_output,
            print_input=state.print_input,
            **_merged(self, connector_arguments),
        )


class FileUploadCommand(_FileCommand):
    """A local file (``src``: a path or file object), to be written to the path ``dest`` on the host."""

    _method = "put_file"
    _label = "FileUploadCommand"


class FileDownloadCommand(_FileCommand):
    """A file on the host (``src``: its path), to be written to a local path or file object ``dest``."""

    _method = "get_file"
    _label = "FileDownloadCommand"


def _context_parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """Which of ``state`` and ``host`` a callback has as parameters."""
    try:
        return _known_context_parameters(function)
    except TypeError:  # it has no hash
        return _known_context_parameters.__wrapped__(function)


@lru_cache(maxsize=256)
def _known_context_parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some builtins have no signature
        return ()
    return tuple(name for name in ("state", "host") if name in parameters)


class FunctionCommand(PyinfraCommand):
    """A Python function to call while the operations run, here and not on the host."""

    def __init__(
        self,
        function: Callable[..., Any],
        args: Iterable[Any],
        func_kwargs: dict[str, Any],
        **kwargs: Unpack[ConnectorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.function = function
        self.args = args
        self.kwargs = func_kwargs

    def __repr__(self) -> str:
        name = getattr(self.function, "__name__", self.function)
        return f"FunctionCommand({name}, {self.args}, {self.kwargs})"

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> Any:
        """Call it; only a returned ``False`` is a failure. ``_timeout`` seconds are the most it may take."""
        import gevent

        context = {"state": state, "host": host}
        given = {name: context[name] for name in _context_parameters(self.function) if name not in self.kwargs}
        seconds = _merged(self, connector_arguments).get("_timeout")
        # No Exception, so that nothing that the function calls takes it for an error of its own
        timeout = gevent.Timeout(seconds)
        try:
            with timeout:
                return self.function(*self.args, **{**self.kwargs, **given}) is not False
        except gevent.Timeout as raised:
            if raised is not timeout:
                raise
            raise TimeoutError(f"Function timed out after {seconds}s") from None


class RsyncCommand(PyinfraCommand):
    """A local folder to be copied to the host by ``rsync``."""

    def __init__(self, src: str, dest: str, flags: Iterable[str], **kwargs: Unpack[ConnectorArguments]) -> None:
        super().__init__(**kwargs)
        self.src = src
        self.dest = dest
        self.flags = flags

    def __repr__(self) -> str:
        return f"RsyncCommand({self.src}, {self.dest}, {self.flags})"

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> Any:
        """Copy it; returns whether that went well."""
        return host.rsync(
            self.src,
            self.dest,
            self.flags,
            print_output=state.print_output,
            print_input=state.print_input,
            **_merged(self, connector_arguments),
        )


def make_formatted_string_command(string: str, *args: Any, **kwargs: Any) -> StringCommand:
    """A command from a :meth:`str.format` template, with every value quoted.

    The template is split into words first, so ``"cat /{0}/{1}"`` with ``"etc"`` and ``"passwd"`` gives
    ``cat /etc/passwd``, and quotes around words of the template vanish.
    """
    formatter = Formatter()
    automatic = itertools.count()
    words = []
    for word in shlex.split(string):
        bits: list[Any] = []
        for literal, field, spec, conversion in formatter.parse(word):
            bits.append(literal)
            if field is None:
                continue
            value, _ = formatter.get_field(field or str(next(automatic)), args, kwargs)
            if not isinstance(value, (MaskString, HiddenValue, StringCommand)):
                value = formatter.format_field(formatter.convert_field(value, conversion), spec or "")
            bits.append(QuoteString(value))
        words.append(StringCommand(*bits, _separator=""))
    return StringCommand(*words)
