"""~/.ssh/config, as OpenSSH reads it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pyinfra.connectors.sshconfig import SSHConfig, load_ssh_config
from pyinfra.connectors.sshconfiglines import SSHConfigError
from pyinfra.connectors.sshoptions import ALIASES, FOLLOWED, LACKING, WITHOUT_EFFECT, is_known, left_out
from pyinfra.connectors.sshtarget import resolve_target


@pytest.fixture
def config(ssh_home: Path) -> Callable[[str], SSHConfig]:
    def write(text: str) -> SSHConfig:
        path = ssh_home / ".ssh" / "config"
        path.write_text(text)
        return load_ssh_config()

    return write


def test_the_first_value_wins_and_names_are_replaced(config: Callable[[str], SSHConfig]) -> None:
    settings = config(
        """
        # a comment
        Host web-* !web-3
            HostName = %h.example.com
            Port 2222
            User "deploy"
        Host *
            Port 22
            ConnectTimeout 1m30s
        """
    ).lookup("web-1")
    assert (settings.host_name, settings.port, settings.user) == ("web-1.example.com", 2222, "deploy")
    assert settings.connect_timeout == 90


def test_a_negated_pattern_takes_a_host_out(config: Callable[[str], SSHConfig]) -> None:
    assert config("Host web-* !web-3\n Port 2222\n").lookup("web-3").port is None


def test_identity_files_add_up_with_home_and_tokens_replaced(
    config: Callable[[str], SSHConfig], ssh_home: Path
) -> None:
    settings = config(
        """
        Host a
            IdentityFile ~/.ssh/one
            IdentityFile "%d/with space"
        Host *
            IdentityFile /keys/%r@%n
            CertificateFile ~/.ssh/one-cert.pub
            IdentitiesOnly yes
            IdentityAgent %d/agent
        """
    ).lookup("a", "bob")
    assert settings.identity_files == (f"{ssh_home}/.ssh/one", f"{ssh_home}/with space", "/keys/bob@a")
    assert settings.certificate_files == (f"{ssh_home}/.ssh/one-cert.pub",)
    assert settings.identities_only
    assert settings.identity_agent == f"{ssh_home}/agent"


def test_match_looks_at_the_replaced_host_name_and_the_user(config: Callable[[str], SSHConfig]) -> None:
    parsed = config(
        """
        Host a
            HostName a.example.com
        Match host *.example.com user bob
            Port 1
        Match originalhost a !user bob
            Port 2
        Match all
            Port 3
        """
    )
    assert parsed.lookup("a", "bob").port == 1
    assert parsed.lookup("a", "eve").port == 2
    assert parsed.lookup("b", "eve").port == 3


def test_included_files_count_only_inside_a_block_that_applies(
    config: Callable[[str], SSHConfig], ssh_home: Path
) -> None:
    (ssh_home / ".ssh" / "conf.d").mkdir()
    (ssh_home / ".ssh" / "conf.d" / "one").write_text("Port 1\nHost b\n User bob\n")
    parsed = config("Host a\n Include conf.d/*\n ProxyJump j\nHost *\n Port 9\n")
    assert parsed.lookup("a").port == 1
    assert parsed.lookup("a").proxy_jump == ("j",)
    assert parsed.lookup("b").port == 9
    assert parsed.lookup("b").user is None


def test_files_that_include_each_other_are_an_error(config: Callable[[str], SSHConfig]) -> None:
    with pytest.raises(SSHConfigError, match="include each other"):
        config("Include config\n")


def test_proxy_jump_lists_hops_and_none_means_none(config: Callable[[str], SSHConfig]) -> None:
    parsed = config("Host a\n ProxyJump none\nHost *\n ProxyJump u@j1:22, j2\n")
    assert parsed.lookup("a").proxy_jump == ()
    assert parsed.lookup("b").proxy_jump == ("u@j1:22", "j2")


def test_of_jump_and_command_the_first_one_counts(config: Callable[[str], SSHConfig]) -> None:
    parsed = config("Host a\n ProxyCommand nc %h %p\nHost *\n ProxyJump j\n Port 2222\n")
    assert parsed.lookup("a").proxy_command == "nc a 2222"
    assert parsed.lookup("a").proxy_jump == ()
    assert parsed.lookup("b").proxy_command is None


def test_several_known_hosts_files(config: Callable[[str], SSHConfig], ssh_home: Path) -> None:
    settings = config("UserKnownHostsFile ~/a /b\nStrictHostKeyChecking ask\nHashKnownHosts yes\n").lookup("h")
    assert settings.known_hosts_files == (f"{ssh_home}/a", "/b")
    assert settings.strict_host_key_checking == "ask"
    assert settings.hash_known_hosts


@pytest.mark.parametrize(
    "line",
    [
        *('Match host a exec "true"', "GSSAPIAuthentication yes", "PKCS11Provider /lib/x.so"),
        *("KnownHostsCommand /bin/x", "VerifyHostKeyDNS yes", "VerifyHostKeyDNS ask", "CanonicalizeHostname always"),
        *("CheckHostIP yes", "HostbasedAuthentication yes", "AddressFamily inet6", "SetEnv A=b", "Prot 22"),
    ],
)
def test_what_cannot_be_done_is_a_warning_that_names_openssh(config: Callable[[str], SSHConfig], line: str) -> None:
    config(f"{line}\n Port 7\n")
    _, warnings = resolve_target("a", {}, 10)
    assert len(warnings) == 1
    assert "config line 1" in warnings[0]
    assert "@openssh/a" in warnings[0]


def test_what_cannot_be_done_on_the_way_is_a_warning_about_the_host(config: Callable[[str], SSHConfig]) -> None:
    config("Host a b\n ProxyJump j\nHost j\n KnownHostsCommand /bin/x\n")
    _, warnings = resolve_target("a", {}, 10)
    assert len(warnings) == 1
    assert "config line 4" in warnings[0]
    assert "@openssh/a" in warnings[0]


@pytest.mark.parametrize(
    "line",
    [
        *("VerifyHostKeyDNS no", "CanonicalizeHostname no", "AddressFamily any", "PKCS11Provider none"),
        *("ControlMaster auto", "SendEnv LANG LC_*", "LogLevel QUIET", "Protocol 2", "UseKeychain yes"),
        "IgnoreUnknown Other,New*\nNewest yes",
    ],
)
def test_what_makes_no_difference_is_no_noise(config: Callable[[str], SSHConfig], line: str) -> None:
    assert config(f"{line}\n").lookup("a").warnings == []


@pytest.mark.skipif(shutil.which("ssh") is None, reason="needs the ssh program")
def test_the_settings_of_the_ssh_program_are_known() -> None:
    shown = subprocess.run(["ssh", "-G", "-F", "none", "a"], check=True, capture_output=True, text=True).stdout
    keywords = {line.split()[0].lower() for line in shown.splitlines()}
    assert len(keywords) > 40
    assert {keyword for keyword in keywords if not is_known(ALIASES.get(keyword, keyword))} == set()


def test_each_setting_is_followed_or_lacking_or_neither() -> None:
    kinds = [FOLLOWED, set(LACKING), WITHOUT_EFFECT, set(ALIASES)]
    assert sum(map(len, kinds)) == len(set().union(*kinds))


@pytest.mark.parametrize(
    ("text", "authentications"),
    [
        ("", ("publickey", "password", "keyboard-interactive")),
        (
            "PreferredAuthentications gssapi-with-mic,keyboard-interactive,publickey",
            ("keyboard-interactive", "publickey"),
        ),
        ("PubkeyAuthentication no\nKbdInteractiveAuthentication no", ("password",)),
        ("PasswordAuthentication no\nChallengeResponseAuthentication no", ("publickey",)),
        ("PubkeyAuthentication host-bound", ("publickey", "password", "keyboard-interactive")),
    ],
)
def test_ways_to_log_in_are_chosen(config: Callable[[str], SSHConfig], text: str, authentications: tuple[str]) -> None:
    assert config(f"{text}\n").lookup("a").authentications == authentications


@pytest.mark.parametrize(
    ("listed", "left"),
    [("b,d", ["a", "c"]), ("-b,c*", ["b", "c"]), ("+d", []), ("^c", []), ("x", ["a", "b", "c"])],
)
def test_lists_of_algorithms_leave_some_out(listed: str, left: list[str]) -> None:
    assert left_out(["a", "b", "c"], listed) == left


def test_the_block_of_a_program_does_not_apply(config: Callable[[str], SSHConfig]) -> None:
    assert config('Match exec "true"\n Port 7\n').lookup("a").port is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Port many\n", "'many' is no number"),
        ("Port 65536\n", "65536 is no port"),
        ("IdentitiesOnly maybe\n", "'maybe' is neither yes nor no"),
        ("RefuseConnection moved to b\n", "moved to b"),
        ("ConnectTimeout soon\n", "'soon' is no time"),
        ("Host\n", "Host has no value"),
        ("= x\n", "no setting with a value"),
        ('User "bob\n', "quotation mark"),
        ("Match host\n", "Match host needs a value"),
        ("Match weather fine\n", "unknown criterion"),
    ],
)
def test_a_wrong_line_is_named(config: Callable[[str], SSHConfig], text: str, words: str) -> None:
    with pytest.raises(SSHConfigError, match=rf"config line 1: .*{words}"):
        config(text).lookup("a")


def shown_by_ssh(path: Path, name: str, keyword: str) -> str:
    """What the ssh program makes of a setting in a file."""
    argv = ["ssh", "-G", "-F", str(path), "--", name]
    shown = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    return dict(line.split(" ", 1) for line in reversed(shown.splitlines()))[keyword]


@pytest.mark.skipif(shutil.which("ssh") is None, reason="needs the ssh program")
@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("User x # 19\" rack, Ann's", "x"),
        ("User x#y", "x#y"),
        ("User 'a b'", "a b"),
        ("User a\\ b", "a b"),
        ('User "a \\"b"', 'a "b'),
        ("User it\\'s", "it's"),
        (r"User a\\b\n", r"a\b\n"),
        (r'User "a\n\\"', "a\\n\\"),
        ("User 'a'\"b\"c", "abc"),
        ("User 'a\"b'", 'a"b'),
        ("User=x", "x"),
    ],
)
def test_words_are_taken_as_ssh_takes_them(
    config: Callable[[str], SSHConfig], ssh_home: Path, line: str, value: str
) -> None:
    assert config(f"{line}\n").lookup("h").user == value
    assert shown_by_ssh(ssh_home / ".ssh" / "config", "h", "user") == value


@pytest.mark.skipif(shutil.which("ssh") is None, reason="needs the ssh program")
@pytest.mark.parametrize(
    ("block", "name", "applies"),
    [
        *(("Host h", "h", True), ("Host H", "h", False), ("Host h", "H", False), ("Host a[bc]", "ab", False)),
        *(
            ("Host a?", "ab", True),
            ("Host a* !ab", "ab", False),
            ("Host a*,ab", "ab", False),
            ("Host 'h' # x", "h", True),
        ),
        *(("Match host H", "h", True), ("Match host h", "H", True), ("Match originalhost H", "h", True)),
        *(("Match user ANN", "h", False), ("Match user ann", "h", True)),
    ],
)
def test_hosts_are_meant_as_ssh_means_them(
    config: Callable[[str], SSHConfig], ssh_home: Path, block: str, name: str, applies: bool
) -> None:
    parsed = config(f"User ann\n{block}\n Port 7\n")
    assert (parsed.lookup(name).port == 7) == applies
    assert (shown_by_ssh(ssh_home / ".ssh" / "config", name, "port") == "7") == applies
    if block.startswith("Host"):
        assert parsed.names_host(name) == applies


def test_commands_stand_as_they_are_and_folders_are_no_files(
    config: Callable[[str], SSHConfig], ssh_home: Path
) -> None:
    (ssh_home / ".ssh" / "conf.d" / "folder").mkdir(parents=True)
    (ssh_home / ".ssh" / "conf.d" / "one").write_text("Port 7\n")
    command = 'sh -c "echo \\"it\'s\\"" # and "more'
    settings = config(f'Include conf.d/*\nProxyCommand {command}\nLocalCommand echo "\n').lookup("h")
    assert (settings.port, settings.proxy_command) == (7, command)
    assert config("ProxyJump a,b # the way\n").lookup("h").proxy_jump == ("a", "b")


def test_a_user_on_the_way_may_have_an_at_sign(config: Callable[[str], SSHConfig]) -> None:
    config("ProxyJump me@corp@bastion:2200\n")
    jump = resolve_target("h", {}, 10)[0].jump
    assert jump is not None
    assert (jump.user, jump.host, jump.port) == ("me@corp", "bastion", 2200)


def test_a_file_is_read_again_after_a_change(config: Callable[[str], SSHConfig]) -> None:
    first = config("Port 1\n")
    assert load_ssh_config() is first
    assert config("Port 12\n").lookup("a").port == 12


def test_names_of_hosts_are_known_without_those_that_are_all_hosts(config: Callable[[str], SSHConfig]) -> None:
    parsed = config("Host web-*\n Port 1\nHost *\n Port 2\n")
    assert parsed.names_host("web-1")
    assert not parsed.names_host("db")
