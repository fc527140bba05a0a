"""Whether a server's host key is the right one, by the mode that the user has chosen."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable

from pyinfra.api.exceptions import ConnectError
from pyinfra.api.output import paused

from .knownhosts import (
    DEFAULT_PORT,
    KnownHosts,
    KnownKey,
    RevokedKeysError,
    fingerprint,
    lookup_name,
    revoked_keys,
    rsa_bits,
)
from .sshtarget import Target

_KINDS_OF_RSA = ("rsa-sha2-512", "rsa-sha2-256")
# Answers given in this run, so that one host twice asks once
_answers: dict[tuple[str, bytes], bool] = {}
_asking = threading.RLock()


def _known_hosts(target: Target) -> KnownHosts:
    return KnownHosts(target.known_hosts, target.global_known_hosts)


def _name_of(target: Target) -> str:
    return target.host_key_name or target.host


def _port_of(target: Target) -> int:
    # An alias stands for itself, whatever the port
    return DEFAULT_PORT if target.host_key_name else target.port


def _find(target: Target) -> tuple[list[KnownKey], list[KnownKey]]:
    """What is known of a server, and at a port other than 22 what is known of its host without a port."""
    known_hosts, name, port = _known_hosts(target), _name_of(target), _port_of(target)
    try:
        return known_hosts.find(name, port), known_hosts.find(name, DEFAULT_PORT) if port != DEFAULT_PORT else []
    except OSError as error:
        raise ConnectError(f"Host key error: cannot read a file of known hosts ({error})") from error


def order_host_key_kinds(target: Target, kinds: Iterable[str]) -> tuple[str, ...]:
    """Kinds of host keys in order of preference: those that are known for the server first.

    A server that has several keys would else show one that nobody has recorded.
    """
    known = {key.kind for found in _find(target) for key in found if not key.marker}
    if "ssh-rsa" in known:
        known.update(_KINDS_OF_RSA)
    return tuple(sorted(kinds, key=lambda kind: kind not in known))


def check_host_key(target: Target, kind: str, blob: bytes) -> None:
    """Raise :class:`ConnectError` unless the server may be trusted; record its key where that is wanted."""
    _check_configured(target, kind, blob)
    found, without_port = _find(target)
    for known in (*found, *without_port):
        if known.marker == "@revoked" and known.blob == blob:
            raise ConnectError(
                f"Host key error: the key of {target.host} ({fingerprint(blob)}) is revoked in {known.place}; "
                "give the server a new one, and do not trust it until then"
            )
    plain = [known for known in found if not known.marker]
    if any(known.blob == blob for known in plain):
        return
    if plain:
        raise ConnectError(_words_for_changed(target, plain, kind, blob))
    # As in OpenSSH a line without a port means every port where its key fits; another key is another server's
    if any(known.blob == blob and not known.marker for known in without_port):
        return
    place = next((known.place for known in (*found, *without_port) if known.marker == "@cert-authority"), None)
    if place is not None:
        raise ConnectError(
            f"Host key error: {target.host} is to be known by a certificate ({place}), which cannot be checked here; "
            f"use @openssh/{target.host}, which runs the ssh program itself"
        )
    _meet(target, _known_hosts(target), kind, blob)


def _check_configured(target: Target, kind: str, blob: bytes) -> None:
    """Raise :class:`ConnectError` for a key that the configuration refuses, whatever is known of it."""
    for path in target.revoked_host_keys:
        try:
            is_revoked = blob in revoked_keys(path)
        except RevokedKeysError as error:
            raise ConnectError(
                f"Host key error: no server is trusted while its key is not known not to be revoked: {error} "
                f"(RevokedHostKeys); mend it, or use @openssh/{target.host}, which runs the ssh program itself"
            ) from error
        if is_revoked:
            raise ConnectError(
                f"Host key error: the key of {target.host} ({kind} {fingerprint(blob)}) is revoked in {path} "
                "(RevokedHostKeys); give the server a new one, and do not trust it until then"
            )
    bits = rsa_bits(blob)
    if bits is not None and bits < target.required_rsa_size:
        raise ConnectError(
            f"Host key error: the key of {target.host} ({kind} {fingerprint(blob)}) has {bits} bits, fewer than "
            f"RequiredRSASize ({target.required_rsa_size}); give the server a longer one"
        )


def _words_for_changed(target: Target, known: list[KnownKey], kind: str, blob: bytes) -> str:
    first = known[0]
    name = lookup_name(_name_of(target), _port_of(target))
    return (
        f"Host key error: the key of {target.host} has changed: it shows {kind} {fingerprint(blob)}, known is "
        f"{first.kind} {fingerprint(first.blob)} ({first.place}). Somebody may be listening in. If the change is "
        f"right, remove the old key: ssh-keygen -f {first.path} -R '{name}'"
    )


def _meet(target: Target, known_hosts: KnownHosts, kind: str, blob: bytes) -> None:
    """Decide about a server that nobody has seen yet."""
    mode = target.host_key_mode
    if mode in {"no", "off"}:
        return
    file = known_hosts.paths[0] if known_hosts.paths else os.devnull
    what = f"{kind} {fingerprint(blob)}"
    if mode == "yes":
        raise ConnectError(
            f"Host key error: no key is known for {target.host}, it shows {what}. If that is right, add it to {file} "
            "(ssh-keyscan shows it), or set ssh_strict_host_key_checking to accept-new"
        )
    if mode == "ask" and not _ask(target, what, blob):
        raise ConnectError(f"Host key error: the key of {target.host} ({what}) was not accepted")
    try:
        known_hosts.add(_name_of(target), _port_of(target), kind, blob, hashed=target.hash_known_hosts)
    except OSError as error:
        raise ConnectError(
            f"Host key error: cannot add the key of {target.host} to {file} ({error}); "
            "ssh_known_hosts_file names another file"
        ) from error


def _ask(target: Target, what: str, blob: bytes) -> bool:
    """Ask the user about a key, once."""
    # Prompts come one at a time: nothing else runs while this one waits
    with _asking:
        key = (target.host, blob)
        if key not in _answers:
            if not sys.stdin.isatty():
                raise ConnectError(
                    f"Host key error: no key is known for {target.host}, it shows {what}, and nobody is there to ask; "
                    "set ssh_strict_host_key_checking to accept-new, or add the key"
                )
            with paused():
                sys.stderr.write(f"No key is known for {target.host}, it shows {what}. Trust it? [y/N] ")
                sys.stderr.flush()
                _answers[key] = sys.stdin.readline().strip().lower() in {"y", "yes"}
        return _answers[key]
