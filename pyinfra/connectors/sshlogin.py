"""Logging in to SSH servers with paramiko: in few round trips, for many hosts at once, shared between those who can.

The round trips of a log-in: one for TCP, two for the key exchange, and one in which the service request, the
authentication and the first channel are asked for together (RFC 4252, section 6, provides for messages that follow an
authentication request).
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import gevent

from pyinfra.api.exceptions import ConnectError

from .sshcredentials import Credential, Credentials
from .sshhostkey import check_host_key, order_host_key_kinds
from .sshkeys import agent_socket, forward_agent
from .sshpipe import Bell, ChannelPipe, call_blocking
from .sshreach import NobodyAnswersError, ProxyCommand, describe_error, open_socket
from .sshtarget import Target
from .sshtransport import (
    ask_for_life,
    auth_handler_class,
    disabled_algorithms,
    load_paramiko,
    packetizer_class,
    transport_class,
)

if TYPE_CHECKING:
    from paramiko import Transport

# A window this wide keeps a fast and long line busy; it is also the most that one slow reader holds in memory
WINDOW_SIZE = 1 << 24
PACKET_SIZE = 1 << 17
# Seconds. A hundred log-ins at once may keep a small machine busy for longer than a connection takes
BANNER_SECONDS = 15.0
HANDSHAKE_SECONDS = 60.0
AUTH_SECONDS = 60.0
CHANNEL_SECONDS = 60.0
# How long a ProxyCommand may take to end behind its connection, to tell why
_PROXY_SECONDS = 0.5
# How often paramiko's thread looks up from waiting for bytes
_WAKE_SECONDS = 1.0
_DELAYED_COMPRESSION = "zlib@openssh.com"
# How long a server may take to make room for another channel after the end of one
_TIDY_SECONDS = 0.5


class Connection:
    """A log-in to an SSH server, open until :meth:`close`.

    Args:
        target: the server
        is_for_jumps: whether other connections go through it, instead of sessions

    Raises:
        NobodyAnswersError: there is no SSH server, or no way to it
        ConnectError: its key, or its refusal of ours
    """

    def __init__(self, target: Target, *, is_for_jumps: bool = False) -> None:
        self.target = target
        self.why_lost: str | None = None
        self._jump: Connection | None = None
        self._proxy: ProxyCommand | None = None
        self._timer: Any = None
        self._silent_turns = 0
        self._packets_seen = 0
        self._channel_closed = 0.0
        self._early_channel: Any = None
        self._is_for_jumps = is_for_jumps
        try:
            self._connect()
        except BaseException:
            self.close()
            raise

    transport: Transport | None = None

    # Connecting

    def _connect(self) -> None:
        credentials = Credentials(self.target)
        for is_last in (False, True):
            self._shake_hands()
            if self._log_in(credentials, eagerly=not is_last):
                break
            self._close_transport()
            if is_last or not credentials.may_have_more:
                if credentials.was_cut_off and not credentials.has_answers:
                    raise self._nobody_answers("the server closed the connection during the log-in")
                raise credentials.error()
        if self.target.alive_seconds > 0:
            self._watch()

    def _open_transport_socket(self) -> Any:
        target = self.target
        if target.sock is not None:
            return target.sock
        try:
            if target.jump is not None:
                if self._jump is None:
                    self._jump = share_connection(target.jump)
                return self._jump.open_channel("direct-tcpip", (target.host, target.port), target.timeout)
            if target.proxy_command is not None:
                self._proxy = ProxyCommand(target.proxy_command, str(target))
                return self._proxy.socket
            return open_socket(target.host, target.port, target.timeout, target.bind_address)
        except TimeoutError:
            raise self._nobody_answers(f"no answer within {target.timeout:g}s") from None
        except OSError as error:
            if error.strerror is None:  # a jump host's, which says whom it could not reach
                raise NobodyAnswersError(f"Could not connect ({error})") from error
            raise self._nobody_answers(error.strerror) from error

    def _nobody_answers(self, why: str) -> NobodyAnswersError:
        """What to say of a server that could not be reached: its address can be another than the host's name."""
        where = f"{self.target.host} port {self.target.port}"
        return NobodyAnswersError(f"Could not connect ({where}: {self._and_what_the_proxy_says(why)})")

    def _and_what_the_proxy_says(self, why: str) -> str:
        """Why there is no connection, with what a ``ProxyCommand`` tells of it."""
        said = "" if self._proxy is None else self._proxy.describe_end(_PROXY_SECONDS)
        return f"{why}; {said}" if said else why

    def _shake_hands(self) -> None:
        """Connect, exchange keys, and look at the server's."""
        paramiko = load_paramiko()
        connected = self._open_transport_socket()
        target = self.target
        try:
            transport = transport_class()(
                connected,
                default_window_size=WINDOW_SIZE,
                default_max_packet_size=PACKET_SIZE,
                disabled_algorithms=disabled_algorithms(target),
                packetizer_class=packetizer_class(),
            )
        except BaseException:
            connected.close()
            raise
        self.transport = transport
        transport.sock.settimeout(_WAKE_SECONDS)
        transport.banner_timeout = target.banner_timeout or max(target.timeout, BANNER_SECONDS)
        transport.handshake_timeout = HANDSHAKE_SECONDS
        options = transport.get_security_options()
        options.key_types = order_host_key_kinds(target, options.key_types)
        # One pass of a cipher that authenticates costs half of a cipher and a digest
        options.ciphers = tuple(sorted(options.ciphers, key=lambda name: "gcm" not in name))
        if target.compression:
            transport.use_compression()
        bell = Bell()
        try:
            transport.start_client(event=bell)
            if not bell.wait(transport.banner_timeout + HANDSHAKE_SECONDS):
                raise self._nobody_answers("the server did not complete the key exchange")
        finally:
            bell.close()
        if not transport.is_active():
            error = transport.get_exception()
            if isinstance(error, paramiko.IncompatiblePeer):
                raise ConnectError(f"SSH error ({error}); use @openssh/{target.host}, which knows more algorithms")
            raise self._nobody_answers(describe_error(error) or "the server closed the connection")
        key = transport.get_remote_server_key()
        check_host_key(target, key.get_name(), key.asbytes())

    # Logging in

    def _log_in(self, credentials: Credentials, *, eagerly: bool) -> bool:
        """Try the credentials that are left; tells whether one was taken. Without, the connection may be gone."""
        transport = self._active()
        # A server that compresses once the log-in is done takes nothing behind it that is not compressed
        eagerly = eagerly and transport.local_compression != _DELAYED_COMPRESSION
        for credential in credentials:
            is_eager = eagerly and credential.is_likely and not self._is_for_jumps
            if self._try(credential, credentials, is_eager):
                return True
            if not transport.is_active():
                return False
        return False

    def _try(self, credential: Credential, credentials: Credentials, is_eager: bool) -> bool:
        import paramiko

        transport = self._active()
        bell = Bell()
        try:
            handler = auth_handler_class()(transport, credentials.is_first_on(transport))
            transport.auth_handler = handler
            credential.ask(handler, self.target.user, bell)
            if is_eager:
                self._early_channel = gevent.spawn(self._quietly_open_session)
            if not bell.wait(self.target.auth_timeout or AUTH_SECONDS):
                raise ConnectError(f"Authentication error (no answer from {self.target})")
        except (paramiko.SSHException, OSError, EOFError) as error:
            if transport.is_active():
                # An agent's, or a library's: the server has not been asked
                credentials.failed(credential, error)
                return False
        finally:
            bell.close()
        if transport.is_authenticated():
            return True
        self._forget_early_channel(transport)
        if transport.is_active() or handler.has_refused or transport.has_taken_leave:  # type: ignore[attr-defined]
            credentials.refused(credential, transport.get_exception())
        else:
            credentials.cut_off(credential)
        return False

    def _forget_early_channel(self, transport: Transport) -> None:
        """Nobody will answer the request for a channel that came with a refused log-in."""
        if self._early_channel is not None:
            self._early_channel = None
            for event in list(transport.channel_events.values()):
                event.set()

    def _active(self) -> Transport:
        if self.transport is None or not self.transport.is_active():
            raise ConnectError(self.describe_loss())
        return self.transport

    def describe_loss(self) -> str:
        """Why there is no connection any more, in words."""
        if self.why_lost is None and self.transport is not None:
            error = self.transport.saved_exception
            self.why_lost = self._and_what_the_proxy_says(describe_error(error) or "the other side closed it")
        return f"Connection to {self.target} lost ({self.why_lost or 'closed'})"

    # Channels

    def _quietly_open_session(self) -> Any:
        try:
            return self._open("session", None, CHANNEL_SECONDS)
        except Exception as error:  # for the greenlet that asks for it
            return error

    def open_session(self) -> Any:
        """A session channel, with nothing requested on it.

        Raises:
            ConnectError: the connection is lost
            OSError: the server allows no more of them
        """
        early, self._early_channel = self._early_channel, None
        channel: Any = self._open_session_patiently() if early is None else early.get()
        if isinstance(channel, Exception):
            raise channel
        if self.target.forward_agent and not self._is_for_jumps:
            path = self.target.forward_agent if isinstance(self.target.forward_agent, str) else None
            agent = path or agent_socket(self.target.agent)
            if agent is not None:
                channel.request_forward_agent(forward_agent(agent))
        return channel

    def _open_session_patiently(self) -> Any:
        # A server that is told of a channel's end and asked for another one in one breath may not have tidied up yet
        while True:
            try:
                return self.open_channel("session")
            except OSError:
                if time.monotonic() - self._channel_closed > _TIDY_SECONDS:
                    raise
                gevent.sleep(_TIDY_SECONDS / 10)

    def open_pipe(self, terminal: bool = False) -> ChannelPipe:
        """The same as a pipe."""
        return ChannelPipe(self.open_session(), terminal, self.describe_loss, self._note_close)

    def _note_close(self) -> None:
        self._channel_closed = time.monotonic()

    def open_channel(self, kind: str, address: tuple[str, int] | None = None, timeout: float | None = None) -> Any:
        """A channel of any kind; the errors are those of :meth:`open_session`."""
        return self._open(kind, address, timeout or self.target.channel_timeout or CHANNEL_SECONDS)

    def _open(self, kind: str, address: tuple[str, int] | None, timeout: float) -> Any:
        from paramiko import ChannelException, SSHException

        transport = self._active()
        source = ("127.0.0.1", 0) if address is not None else None
        try:
            return call_blocking(transport.open_channel, kind, address, source, timeout=timeout)
        except ChannelException as error:
            what = f"{address[0]} port {address[1]} through it" if address else "another channel"
            raise OSError(f"{self.target} refuses {what}: {error.text or error.code}") from error
        except (SSHException, EOFError) as error:
            if transport.is_active():
                raise OSError(f"{self.target}: {error}") from error
            raise ConnectError(self.describe_loss()) from error

    # Keeping alive

    def _watch(self) -> None:
        """Ask the server for a sign of life when it has been silent, and give up on it in the end."""
        seconds = self.target.alive_seconds
        self._timer = gevent.get_hub().loop.timer(seconds, seconds, ref=False)
        self._timer.start(self._look_for_life)

    def _look_for_life(self) -> None:
        transport = self.transport
        if transport is None or not transport.is_active():
            self._stop_watching()
            return
        packets = transport.packetizer.packets_read  # type: ignore[attr-defined]
        if packets != self._packets_seen:
            self._packets_seen, self._silent_turns = packets, 0
            return
        self._silent_turns += 1
        if self._silent_turns > self.target.alive_count:
            silence = self.target.alive_seconds * self.target.alive_count
            self.why_lost = f"no answer for {silence:g}s"
            # In a greenlet of its own, as this one is the loop's
            gevent.spawn(self._close_transport)
            return
        gevent.spawn(call_blocking, ask_for_life, transport)

    def _stop_watching(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
            timer.close()

    # The end

    def _close_transport(self) -> None:
        transport = self.transport
        if transport is not None:
            # Wakes paramiko's thread, which may be waiting for bytes
            with suppress(OSError, AttributeError, EOFError):
                transport.sock.shutdown(socket.SHUT_RDWR)
            with suppress(OSError, EOFError):
                transport.close()
        proxy, self._proxy = self._proxy, None
        if proxy is not None:
            proxy.end()

    def close(self) -> None:
        """Log out; whatever runs on channels of this connection loses them."""
        self._stop_watching()
        self._close_transport()
        jump, self._jump = self._jump, None
        if jump is not None:
            release_connection(jump)


# Connections that several hosts share


class _Shared:
    """A connection under way or open, and how many use it."""

    def __init__(self, target: Target) -> None:
        self.users = 0
        self.made = gevent.spawn(self._make, target)

    @staticmethod
    def _make(target: Target) -> Connection | Exception:
        try:
            return connect_with_retries(target, 0, 0, 0, is_for_jumps=True)
        except Exception as error:  # for each of those who wait for it
            return error


_shared: dict[Target, _Shared] = {}


def share_connection(target: Target) -> Connection:
    """The connection to a jump host, logged in to once for all that go through it; errors name it."""
    shared = _shared.get(target)
    if shared is None or (shared.made.ready() and not _is_alive(shared.made.value)):
        shared = _shared[target] = _Shared(target)
    shared.users += 1
    try:
        made = shared.made.get()
    except BaseException:  # who waits is told to stop
        shared.users -= 1
        raise
    if isinstance(made, Connection):
        return made
    shared.users -= 1
    if _shared.get(target) is shared:
        del _shared[target]
    raise type(made)(f"Jump host {target}: {made}") if isinstance(made, ConnectError) else made


def _is_alive(made: Any) -> bool:
    return isinstance(made, Connection) and made.transport is not None and made.transport.is_active()


def release_connection(connection: Connection) -> None:
    """Give back what :func:`share_connection` gave; the last one closes it."""
    shared = _shared.get(connection.target)
    if shared is None or shared.made.value is not connection:
        connection.close()
        return
    shared.users -= 1
    if shared.users == 0:
        del _shared[connection.target]
        connection.close()


def connect_with_retries(
    target: Target, retries: int, min_delay: float, max_delay: float, *, is_for_jumps: bool = False
) -> Connection:
    """Log in, and try again ``retries`` times where nobody answers, after random delays of so many seconds."""
    import random

    left = max(retries, target.attempts - 1)
    while True:
        try:
            return Connection(target, is_for_jumps=is_for_jumps)
        except NobodyAnswersError:
            if left <= 0:
                raise
        left -= 1
        gevent.sleep(random.uniform(min_delay, max(min_delay, max_delay)))
