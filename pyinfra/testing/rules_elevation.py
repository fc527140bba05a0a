"""The contract's rules about sudo, su, doas and dzdo, and about their passwords."""

from __future__ import annotations

import secrets
from typing import Any

from pyinfra.api.command import QuoteString
from pyinfra.api.hiddenvalue import HiddenValue

from .rules import NotApplicable, expect, expect_true, rule
from .rules_commands import ODD_TEXTS, bracketed, show_variables
from .rules_session import expect_tree_ends
from .target import Target

SECTION = "Other users"


def _runs_as(target: Target, name: str) -> None:
    """A way to become another user leads to the one that it names, in a home that is theirs."""
    elevation = target.elevation(name)
    user = elevation.arguments.get(f"{name.removesuffix('_user').removesuffix('_password')}_user", "root")
    expect(target.line("id -un", **elevation.arguments), user, f"the user with {name}")


@rule(SECTION)
def sudo(target: Target) -> None:
    """``_sudo`` runs the command as root, with root's home."""
    _runs_as(target, "_sudo")
    arguments = target.elevation("_sudo").arguments
    seen = target.ok('echo "$HOME"; echo "${SUDO_USER:+by sudo}"', **arguments)
    expect(seen, [home_of(target, "root"), "by sudo"], "the home with _sudo, and whether it was sudo")


def home_of(target: Target, user: str) -> str:
    """A user's home folder."""
    words = target.line("sed -n", QuoteString(f"s/^{user}://p"), "/etc/passwd").split(":")
    return words[4]


@rule(SECTION)
def sudo_user(target: Target) -> None:
    """``_sudo_user`` is the user that sudo runs the command as, with that user's home."""
    _runs_as(target, "_sudo_user")
    elevation = target.elevation("_sudo_user")
    expect(target.line('echo "$HOME"', **elevation.arguments), home_of(target, elevation.user), "the home")


@rule(SECTION)
def use_sudo_login(target: Target) -> None:
    """``_use_sudo_login`` runs the command in a log-in shell, which begins in the user's home."""
    elevation = target.elevation("_sudo")
    seen = target.ok(
        "pwd; cat; echo it\\'s '$x'", **{**elevation.arguments, "_use_sudo_login": True, "_stdin": "input"}
    )
    expect(seen[-3:], [home_of(target, elevation.user), "input", "it's $x"], "the folder, the input and an echo")


@rule(SECTION)
def preserve_sudo_env(target: Target) -> None:
    """``_preserve_sudo_env`` keeps the variables that sudo takes away otherwise."""
    arguments = target.elevation("_sudo").arguments
    names = "env | sed -n 's/^\\([A-Za-z_][A-Za-z_0-9]*\\)=.*/\\1/p'"
    kept_anyway = set(target.ok(names, **arguments))
    lost = set(target.ok(names)) - kept_anyway - {"_", "OLDPWD", "SHLVL", "LD_LIBRARY_PATH", "LD_PRELOAD"}
    ran = target.run(names, **{**arguments, "_preserve_sudo_env": True})
    if not ran.success:
        raise NotApplicable(f"sudo refuses to keep the environment: {ran.stderr}")
    # By the sudoers file some are taken away whatever is asked for
    if not lost:
        raise NotApplicable("the log-in environment has nothing that sudo would take away")
    expect_true(lost & set(ran.stdout), f"some of the variables {sorted(lost)}", sorted(ran.stdout))


@rule(SECTION)
def su_user(target: Target) -> None:
    """``_su_user`` is the user that su runs the command as, in the shell ``_su_shell``."""
    _runs_as(target, "_su_user")
    elevation = target.elevation("_su_user")
    expect(target.line('echo "$HOME"', **elevation.arguments), home_of(target, elevation.user), "the home")
    # Where the shell does not tell, as busybox does not of its own programs, su is not told either
    if target.line("command -v sh").startswith("/"):
        seen = target.line("id -un", **{**elevation.arguments, "_su_shell": "sh"})
        expect(seen, elevation.user, "the user with a shell's name as _su_shell")


@rule(SECTION)
def use_su_login(target: Target) -> None:
    """``_use_su_login`` runs the command in a log-in shell of the user, with input and quotes as ever."""
    elevation = target.elevation("_su_user")
    arguments = {**elevation.arguments, "_use_su_login": True}
    seen = target.ok("echo \"$HOME\"; cat; echo it\\'s '$x'", **{**arguments, "_stdin": "input"})
    expect(seen[-3:], [home_of(target, elevation.user), "input", "it's $x"], "the home, the input and an echo")
    kept = {"HOME", "LOGNAME", "OLDPWD", "PATH", "PWD", "SHELL", "SHLVL", "TERM", "USER", "MAIL", "_", "LANG"}
    names = "env | sed -n 's/^\\([A-Za-z_][A-Za-z_0-9]*\\)=.*/\\1/p'"
    own = set(target.ok(names)) - kept
    plain = set(target.ok(names, **elevation.arguments)) & own
    if plain:
        left = plain & set(target.ok(names, **arguments))
        expect_true(left < plain, f"fewer of the variables {sorted(plain)}", sorted(left))


@rule(SECTION)
def preserve_su_env(target: Target) -> None:
    """``_preserve_su_env`` keeps the environment, the home in it."""
    elevation = target.elevation("_su_user")
    own = target.line('echo "$HOME"')
    if own == home_of(target, elevation.user):
        raise NotApplicable("both users have the same home")
    seen = target.line('echo "$HOME"', **{**elevation.arguments, "_preserve_su_env": True})
    expect(seen, own, "the home with _preserve_su_env")


@rule(SECTION)
def su_password(target: Target) -> None:
    """``_su_password`` answers su's question, and the command's standard input stays its own."""
    elevation = target.elevation("_su_password")
    seen = target.ok("cat; id -un", **{**elevation.arguments, "_stdin": "input"})
    expect(seen, ["input", elevation.user], "the input and the user")
    expect(target.ok("cat; echo end", **elevation.arguments), ["end"], "what cat read without _stdin")


@rule(SECTION)
def doas(target: Target) -> None:
    """``_doas`` runs the command as root, ``_doas_user`` as another user."""
    _runs_as(target, "_doas")
    _runs_as(target, "_doas_user")


@rule(SECTION)
def dzdo(target: Target) -> None:
    """``_dzdo`` runs the command as root, ``_dzdo_user`` as another user."""
    _runs_as(target, "_dzdo")
    _runs_as(target, "_dzdo_user")


def _each_elevation(target: Target) -> list[dict[str, Any]]:
    """The arguments of every way to become another user, one at least."""
    if not target.elevations:
        raise NotApplicable("there is no way to become another user on this host without asking anybody")
    return [dict(elevation.arguments) for elevation in target.elevations]


@rule(SECTION)
def elevated_commands_are_commands(target: Target) -> None:
    """As another user, arguments, input, output and exit codes are as ever."""
    variables = {f"CONTRACT_{name}": value for name, value in ODD_TEXTS.items()}
    folder = target.new_folder('it\'s "a" $folder')
    target.ok("chmod 755", QuoteString(folder))
    lines = [f"{number} {'x' * 90}" for number in range(2_000)]
    long = "a 'b' $c\n" + ("x" * 90 + "\n") * 550
    for arguments in _each_elevation(target):
        seen = target.ok(*show_variables(*variables), _env=variables, **arguments)
        expect(seen, bracketed(list(variables.values())), f"values of _env with {arguments}")
        expect(target.line("pwd", _chdir=folder, **arguments), folder, f"the folder with {arguments}")
        expect(target.ok("cat", _stdin=lines, **arguments), lines, f"what cat read with {arguments}")
        expect(target.ok("cat; echo end", **arguments), ["end"], f"what cat read without _stdin with {arguments}")
        target.expect_code(42, "exit 42", **arguments)
        ran = target.run("echo out; echo err >&2; kill -9 $$", **arguments)
        expect((ran.success, ran.stdout), (False, ["out"]), f"success and output of a killed command with {arguments}")
        expect_true("err" in ran.stderr, "err on standard error", ran.stderr)
        count = target.line("printf %s", QuoteString(long), "| wc -c", **arguments).strip()
        expect(count, str(len(long)), f"bytes that arrived with {arguments}")


@rule(SECTION)
def time_outs_reach_other_users_processes(target: Target) -> None:
    """A time-out ends the whole tree also of a command that runs as another user."""
    for arguments in _each_elevation(target):
        expect_tree_ends(target, gentle=True, **arguments)


@rule(SECTION)
def passwords_are_in_no_arguments(target: Target) -> None:
    """A password for sudo or su is in no process's arguments, nor in any output or error."""
    for arguments, password in _with_passwords(target):
        # What has it in its arguments already is not the connector's doing: the command line of pyinfra, perhaps
        before = set(_arguments_with(target, password))
        log = target.path("seen", target.shared)
        stop = target.path("stop", target.shared)
        watcher = target.line("set --", QuoteString(log), QuoteString(stop), _WATCH)
        target.renew()  # so that the password is delivered anew, while somebody watches
        try:
            during = _arguments_with(target, password, **arguments)
        finally:
            target.ok(": >", QuoteString(stop))
            target.expect_gone([watcher])
        seen = [line for line in target.ok("cat", QuoteString(log)) if password in line]
        expect(sorted({*seen, *during} - before), [], "arguments with the password")


# Notes the arguments of all processes in the file "$1", again and again until the file "$2" is there
_WATCH = r"""
(
    i=0
    while [ $i -lt 300 ] && [ ! -e "$2" ]; do
        cat /proc/[0-9]*/cmdline 2> /dev/null || ps -A -o args
        i=$((i + 1))
        sleep 0.01 2> /dev/null || sleep 1
    done | tr '\0' '\n' > "$1"
) > /dev/null 2>&1 &
echo $!"""


_ALL_ARGUMENTS = r"""
if [ -r /proc/self/cmdline ]; then
    cat /proc/[0-9]*/cmdline 2> /dev/null | tr '\0' '\n'
else
    ps -A -o args
fi"""


def _arguments_with(target: Target, password: str, **arguments: Any) -> list[str]:
    """The words of all processes' command lines that contain a password."""
    return [line for line in target.ok(_ALL_ARGUMENTS, **arguments) if password in line]


def _with_passwords(target: Target) -> list[tuple[dict[str, Any], str]]:
    """Arguments with a password in them, and the password; where sudo wants none, it is given one nevertheless."""
    found = []
    for elevation in target.elevations:
        arguments = dict(elevation.arguments)
        if arguments.get("_sudo"):
            arguments.setdefault("_sudo_password", f"unneeded {secrets.token_hex(8)}")
        passwords = [arguments[name] for name in ("_sudo_password", "_su_password") if name in arguments]
        found += [(arguments, _in_clear(password)) for password in passwords]
    if not found:
        raise NotApplicable("there is no sudo or su on this host that a password could be given to")
    return found


def _in_clear(password: Any) -> str:
    return password.unmask() if isinstance(password, HiddenValue) else str(password)


@rule(SECTION)
def password_files_are_private_and_removed(target: Target) -> None:
    """A file that holds a password can be read by its user alone, and is gone after disconnecting."""
    for arguments, _ in _with_passwords(target):
        folder = target.path("passwords", target.shared)
        target.ok("mkdir", QuoteString(folder), "&& chmod 777", QuoteString(folder))
        listed = target.ok("ls -ln", QuoteString(folder), _temp_dir=folder, **arguments)
        for line in listed:
            if not line.startswith("total"):
                expect(line.split()[0][4:10], "------", f"rights of others in {line}")
        target.renew()
        expect(target.names(folder), [], "files left after disconnecting")
