"""paramiko, loaded late, with what it lacks for sessions: three of its classes, extended.

It knows nothing of programs that end by a signal, does not count what it reads, and spends a round trip on asking for
a service that is never refused.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import cache
from typing import Any

from pyinfra.api.exceptions import ConnectError

from .sshoptions import left_out
from .sshpipe import handle_channel_request
from .sshtarget import Target

_MOST_FILES = 1 << 16


def load_paramiko() -> Any:
    """paramiko, imported without the half of its time that goes into a library it needs for ``Match exec`` alone."""
    import importlib.util
    import sys

    if "paramiko" not in sys.modules and "invoke" not in sys.modules:
        spec = importlib.util.find_spec("invoke")
        if spec is not None and spec.loader is not None:
            loader = importlib.util.LazyLoader(spec.loader)
            spec.loader = loader
            module = importlib.util.module_from_spec(spec)
            sys.modules["invoke"] = module
            loader.exec_module(module)
    import paramiko

    logger = logging.getLogger("paramiko")
    if not logger.handlers:
        # Without any handler Python would print what paramiko logs, tracebacks and all
        logger.addHandler(logging.NullHandler())
    _raise_open_files_limit()
    return paramiko


@cache
def _raise_open_files_limit() -> None:
    """Let the process hold as many connections as the system allows it."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


_classes: dict[str, Any] = {}


def transport_class() -> Any:
    """A transport that hears of programs that ended by a signal, and sends nothing on a channel that it has closed.

    ``has_taken_leave`` tells whether the other side has said that it ends the connection, as after refused log-ins.

    Who writes to a channel looks first whether it is open, and then sends: in between, the other side may have closed
    it, and been answered. OpenSSH ends the whole connection over data for a channel that is gone.
    """
    if "transport" not in _classes:
        import paramiko
        from paramiko.common import (
            MSG_CHANNEL_CLOSE,
            MSG_CHANNEL_EOF,
            MSG_CHANNEL_REQUEST,
            MSG_CHANNEL_WINDOW_ADJUST,
        )

        class SessionTransport(paramiko.Transport):
            _channel_handler_table = {
                **paramiko.Transport._channel_handler_table,  # type: ignore[attr-defined]
                MSG_CHANNEL_REQUEST: handle_channel_request,
            }

            def __init__(self, *args: Any, **kwargs: Any) -> None:
                # The other side's numbers of channels that we have closed, until they are used again
                self._closed_numbers: set[bytes] = set()
                self.has_taken_leave = False
                super().__init__(*args, **kwargs)

            def _parse_disconnect(self, message: Any) -> None:
                self.has_taken_leave = True
                super()._parse_disconnect(message)  # type: ignore[misc]

            def _send_message(self, data: Any) -> None:
                """Send a message; user messages come one at a time."""
                head = data.asbytes()[:5]
                kind, number = head[0], head[1:]
                if kind == MSG_CHANNEL_CLOSE:
                    self._closed_numbers.add(number)
                elif kind == MSG_CHANNEL_REQUEST:
                    self._closed_numbers.discard(number)
                elif MSG_CHANNEL_WINDOW_ADJUST <= kind <= MSG_CHANNEL_EOF and number in self._closed_numbers:
                    return
                super()._send_message(data)  # type: ignore[misc]

        _classes["transport"] = SessionTransport
    return _classes["transport"]


def packetizer_class() -> Any:
    """A packetizer that counts what it reads."""
    if "packetizer" not in _classes:
        from paramiko.packet import Packetizer

        class CountingPacketizer(Packetizer):
            packets_read = 0

            def read_message(self) -> Any:
                message = super().read_message()
                self.packets_read += 1
                return message

        _classes["packetizer"] = CountingPacketizer
    return _classes["packetizer"]


def auth_handler_class() -> Any:
    """An authentication that does not wait for the service it needs to be granted: it never is refused.

    ``has_refused`` tells whether the server has refused what it was shown.
    """
    if "auth" not in _classes:
        from paramiko import Message
        from paramiko.auth_handler import AuthHandler

        class EagerAuthHandler(AuthHandler):
            def __init__(self, transport: Any, asks_for_service: bool) -> None:
                super().__init__(transport)
                self.asks_for_service = asks_for_service
                self.has_refused = False

            def _request_auth(self) -> None:
                if self.asks_for_service:
                    super()._request_auth()  # type: ignore[misc]
                grant = Message()
                grant.add_string("ssh-userauth")
                grant.rewind()
                super()._parse_service_accept(grant)  # type: ignore[misc]

            def _parse_service_accept(self, message: Any) -> None:
                """The answer to what has been taken for granted."""

            def _parse_userauth_failure(self, message: Any) -> None:
                self.has_refused = True
                super()._parse_userauth_failure(message)  # type: ignore[misc]

        _classes["auth"] = EagerAuthHandler
    return _classes["auth"]


def disabled_algorithms(target: Target) -> dict[str, list[str]]:
    """The algorithms that paramiko is to do without, by their kind.

    Raises:
        ConnectError: none of a kind is left
    """
    import paramiko

    disabled: dict[str, list[str]] = {kind: list(names) for kind, names in (target.disabled_algorithms or {}).items()}
    for kind, listed in target.algorithms:
        names = getattr(paramiko.Transport, f"_preferred_{kind}")
        without = left_out(names, listed)
        # Of keys to log in with, those that are left out are not tried at all
        if len(without) == len(names) and kind != "pubkeys":
            raise ConnectError(
                f"SSH error (of the {kind} in the SSH configuration, {listed}, none is known here); use "
                f"@openssh/{target.host}, which knows more algorithms"
            )
        disabled.setdefault(kind, []).extend(without)
    return disabled


def ask_for_life(transport: Any) -> None:
    """Send a request that every server answers, with a refusal at least."""
    from paramiko import Message
    from paramiko.common import cMSG_GLOBAL_REQUEST

    message = Message()
    message.add_byte(cMSG_GLOBAL_REQUEST)
    message.add_string("keepalive@openssh.com")
    message.add_boolean(True)
    with suppress(Exception):
        transport._send_user_message(message)
