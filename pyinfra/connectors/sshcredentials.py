"""What a user shows an SSH server: keys, certificates, agents and passwords, one after the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from pyinfra.api.exceptions import ConnectError

from .knownhosts import rsa_bits
from .sshconfig import AUTHENTICATIONS
from .sshkeys import agent_keys, agent_socket, default_key_files, find_key_file, load_key, public_blob
from .sshoptions import left_out
from .sshtarget import Target

# What an RSA key signs with
_RSA = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")


class Credential:
    """One way to log in."""

    def __init__(self, words: str, method: str, ask: Callable[[Any, str, Any], None], is_likely: bool = False) -> None:
        self.words = words
        self.method = method
        self.ask = ask
        # Whether it is worth asking for a channel together with the log-in
        self.is_likely = is_likely


class Credentials:
    """A target's credentials, one after the other, and what became of them."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._allowed: set[str] | None = None
        self._tried: list[str] = []
        self._problems: list[str] = []
        self._seen: set[bytes] = set()
        self._asked_on: Any = None
        # Whether the password was told to whoever asked questions
        self._has_answered = False
        self._password_is_spent = False
        # Of a kind that the server did not take when it was their turn: it may want them behind another one
        self._not_yet: list[Credential] = []
        self._again: list[Credential] = []
        self.may_have_more = True
        # Whether the server ended the connection instead of answering
        self.was_cut_off = False
        self._all = self._generate()

    def __iter__(self) -> Iterator[Credential]:
        while True:
            credential = self._again.pop(0) if self._again else next(self._all, None)
            if credential is None:
                break
            if self._allowed is None or credential.method in self._allowed or credential.method == "none":
                yield credential
            else:
                self._not_yet.append(credential)
        self.may_have_more = False

    def is_first_on(self, transport: Any) -> bool:
        """Whether nothing has been asked of this transport yet."""
        is_first = self._asked_on is not transport
        self._asked_on = transport
        return is_first

    def refused(self, credential: Credential, error: Exception | None) -> None:
        """Remember that the server did not take one, and which kinds it would take."""
        import paramiko

        if isinstance(error, paramiko.ssh_exception.PartialAuthentication):
            self._allowed = set(error.allowed_types)
            self._again, self._not_yet = self._not_yet, []
            self._has_answered = False
            return
        if isinstance(error, paramiko.BadAuthenticationType):
            self._allowed = set(error.allowed_types)
            self._not_yet.append(credential)
        elif credential.method == "password" or self._has_answered:
            self._password_is_spent = True
        elif error is not None and not isinstance(error, EOFError) and str(error):
            self._problems.append(f"{credential.words}: {error}")
        if credential.method != "none":
            self._tried.append(credential.words)

    def failed(self, credential: Credential, error: Exception) -> None:
        """Remember that one could not be shown to the server."""
        self._problems.append(f"{credential.words}: {error or type(error).__name__}")

    def cut_off(self, credential: Credential) -> None:
        """Remember that the server ended the connection and did not say what it thinks of one."""
        self.was_cut_off = True
        self._password_is_spent = self._password_is_spent or credential.method == "password" or self._has_answered
        self._problems.append(f"{credential.words}: the server closed the connection")

    @property
    def has_answers(self) -> bool:
        """Whether the server has refused any."""
        return bool(self._tried) or self._allowed is not None

    def error(self) -> ConnectError:
        """What to tell the user."""
        tried = f"{', '.join(dict.fromkeys(self._tried))} refused" if self._tried else "no key and no password to try"
        off = [name for name in AUTHENTICATIONS if name not in self._target.authentications]
        if off and not self._tried:
            tried += f", without {', '.join(off)}, which the SSH configuration leaves out"
        text = "; ".join([f"{self._target}: {tried}", *self._problems])
        if self._allowed:
            text += f"; the server takes {', '.join(sorted(self._allowed))}"
        return ConnectError(f"Authentication error ({text}); see ssh_user, ssh_key and ssh_password")

    def _generate(self) -> Iterator[Credential]:
        target = self._target
        has_some = False
        for method in target.authentications:
            for credential in self._keys() if method == "publickey" else self._password(method):
                has_some = True
                yield credential
        if not has_some:
            yield Credential("none", "none", lambda handler, user, bell: handler.auth_none(user, bell))

    def _password(self, method: str) -> Iterator[Credential]:
        # Servers that leave passwords to PAM may ask for them by questions alone. One that has refused it, or has hung
        # up on it, would count the same answer as another wrong one
        password = self._target.password
        if password is not None and not self._password_is_spent:
            ask = _asking_by_password(password) if method == "password" else self._answering(password)
            yield Credential("password", method, ask, is_likely=method == "password")

    def _answering(self, password: str) -> Callable[[Any, str, Any], None]:
        """Answers a question for a password, which is all that is asked by most servers."""

        def answer(title: str, instructions: str, fields: list[Any]) -> list[str]:
            self._has_answered = self._has_answered or bool(fields)
            return [password for _ in fields]

        return lambda handler, user, bell: handler.auth_interactive(user, answer, bell)

    def _keys(self) -> Iterator[Credential]:
        target = self._target
        agent = agent_socket(target.agent) if target.allow_agent else None
        in_agent = {key.asbytes(): key for key in agent_keys(agent)} if agent else {}
        if target.pkey is not None:
            yield from self._key(target.pkey, "the given key", is_likely=True)
        named = [(path, True) for path in target.key_files]
        if not target.key_files:
            named += [(path, False) for path in target.identity_files]
        for path, must_exist in named:
            yield from self._file(path, in_agent, must_exist)
        if not target.identities_only:
            for key in in_agent.values():
                yield from self._key(key, f"key {key.comment or key.get_name()} of the agent")
        if target.look_for_keys and not named:
            for path in default_key_files():
                yield from self._file(path, in_agent, False, ask=False)

    def _file(self, path: str, in_agent: dict[bytes, Any], must_exist: bool, ask: bool = True) -> Iterator[Credential]:
        full_path = os.path.expanduser(path)
        blob = public_blob(full_path)
        if blob in in_agent and not os.path.isfile(f"{full_path}-cert.pub") and not self._target.certificate_files:
            # No passphrase is needed
            yield from self._key(in_agent[blob], f"key {path}", is_likely=True)
            return
        try:
            found = find_key_file(path)
        except ConnectError:
            if must_exist:
                raise
            return
        try:
            key = load_key(found, self._target.key_password, ask=ask)
        except ConnectError as error:
            if must_exist:
                raise
            self._problems.append(str(error))
            return
        for certificate in self._target.certificate_files:
            with suppress(ConnectError):
                certified = load_key(found, self._target.key_password, certificate=certificate)
                yield from self._key(certified, f"certificate {certificate}")
        yield from self._key(key, f"key {path}", is_likely=True)

    def _key(self, key: Any, words: str, is_likely: bool = False) -> Iterator[Credential]:
        certificate = getattr(key, "public_blob", None)
        identity = certificate.key_blob if certificate is not None else key.asbytes()
        if identity in self._seen:
            return
        self._seen.add(identity)
        why_not = self._why_not(key)
        if why_not:
            self._problems.append(f"{words}: {why_not}")
            return
        yield Credential(words, "publickey", _asking_by_key(key), is_likely)

    def _why_not(self, key: Any) -> str | None:
        """Why the configuration leaves a key out, if it does."""
        kind = key.get_name().removesuffix("-cert-v01@openssh.com")
        bits = rsa_bits(key.asbytes())
        if bits is not None and bits < self._target.required_rsa_size:
            return f"its {bits} bits are fewer than RequiredRSASize"
        names = _RSA if kind == "ssh-rsa" else (kind,)
        lists = [listed for of, listed in self._target.algorithms if of == "pubkeys"]
        if any(len(left_out(names, listed)) == len(names) for listed in lists):
            return f"PubkeyAcceptedAlgorithms leaves {kind} out"
        return None


def _asking_by_key(key: Any) -> Callable[[Any, str, Any], None]:
    return lambda handler, user, bell: handler.auth_publickey(user, key, bell)


def _asking_by_password(password: str) -> Callable[[Any, str, Any], None]:
    return lambda handler, user, bell: handler.auth_password(user, password, bell)
