"""Settings: defaults, checks on assignment, and going back to what they were."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pyinfra.api import Config, HiddenValue
from pyinfra.api.config import check_pyinfra_version, check_require_packages
from pyinfra.api.exceptions import PyinfraError
from pyinfra.version import __version__

DEFAULTS: dict[str, Any] = {
    "FAIL_PERCENT": None,
    "CONNECT_TIMEOUT": 10,
    "TEMP_DIR": None,
    "DEFAULT_TEMP_DIR": "/tmp",
    "PARALLEL": 0,
    "REQUIRE_PYINFRA_VERSION": None,
    "REQUIRE_PACKAGES": None,
    "SU_USER": None,
    "USE_SU_LOGIN": False,
    "SU_SHELL": False,
    "PRESERVE_SU_ENV": False,
    "SU_PASSWORD": None,
    "SUDO": False,
    "SUDO_USER": None,
    "PRESERVE_SUDO_ENV": False,
    "USE_SUDO_LOGIN": False,
    "SUDO_PASSWORD": None,
    "DOAS": False,
    "DOAS_USER": None,
    "DZDO": False,
    "DZDO_USER": None,
    "IGNORE_ERRORS": False,
    "SHELL": "sh",
    "DIFF": False,
    "RETRY": 0,
    "RETRY_DELAY": 5,
    "INHERIT_ENV": (),
    "ENV": {},
    "FACT_CACHE_SECONDS": 60,
}


def test_every_setting_has_its_default() -> None:
    assert dict(Config().get_current_state()) == DEFAULTS


def test_settings_are_given_or_assigned() -> None:
    config = Config(SUDO=True)
    config.SUDO_USER = "me"
    assert (config.SUDO, config.SUDO_USER, Config().SUDO) == (True, "me", False)


@pytest.mark.parametrize(
    "settings",
    [
        {"SUDO": 1},
        {"SUDO_USER": 7},
        {"PARALLEL": "x"},
        {"PARALLEL": -1},
        {"CONNECT_TIMEOUT": None},
        {"FAIL_PERCENT": 101},
        {"RETRY_DELAY": -0.5},
        {"ENV": ["A=1"]},
        {"INHERIT_ENV": 5},
    ],
)
def test_a_value_that_a_setting_cannot_have_is_an_error_on_assignment(settings: dict[str, Any]) -> None:
    ((key, value),) = settings.items()
    config = Config()
    with pytest.raises(PyinfraError, match=f"^Invalid setting `{key}`: should be "):
        setattr(config, key, value)
    assert getattr(config, key) == DEFAULTS[key]


@pytest.mark.parametrize(
    "settings",
    [
        {"FAIL_PERCENT": 33.3},
        {"CONNECT_TIMEOUT": 0.5},
        {"SHELL": None},
        {"SU_SHELL": "bash"},
        {"ENV": os.environ},
        {"INHERIT_ENV": ["A"]},
        {"SUDO_PASSWORD": HiddenValue("x")},
    ],
)
def test_a_setting_may_be_of_any_of_its_types(settings: dict[str, Any]) -> None:
    ((key, value),) = settings.items()
    assert getattr(Config(**settings), key) is value


def test_the_error_about_a_password_does_not_show_it() -> None:
    with pytest.raises(PyinfraError) as caught:
        Config(SUDO_PASSWORD=b"hush")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("requirement", ["~=3.0", ">=3,<4", f"=={__version__}", ">=1"])
def test_deploys_ask_for_versions_that_this_one_meets(requirement: str) -> None:
    settings = dict(Config(REQUIRE_PYINFRA_VERSION=requirement).get_current_state())
    assert settings["REQUIRE_PYINFRA_VERSION"] == requirement


def test_a_version_that_is_not_met_is_an_error_on_assignment() -> None:
    config = Config()
    with pytest.raises(PyinfraError) as caught:
        config.REQUIRE_PYINFRA_VERSION = ">=100"
    assert str(caught.value) == f"pyinfra version requirement not met (requires >=100, running {__version__})"
    assert config.REQUIRE_PYINFRA_VERSION is None
    with pytest.raises(PyinfraError, match="running"):
        Config(REQUIRE_PYINFRA_VERSION="<1")
    with pytest.raises(PyinfraError, match="is no version specifier: 'latest'"):
        check_pyinfra_version("latest")


@pytest.mark.parametrize(
    "requirements",
    [[], ["gevent"], ("gevent>1",), ["gevent>=20,<99", "click"], ["nowhere; python_version < '3'"], ""],
)
def test_packages_that_are_installed_meet_their_requirements(requirements: Any) -> None:
    Config(REQUIRE_PACKAGES=requirements)


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        ("no-such-package-at-all", "Missing package requirement: no-such-package-at-all is not installed"),
        ("gevent>900", "Package requirement not met \\(requires gevent>900, installed "),
        ("not a requirement", "REQUIRE_PACKAGES has no valid requirement: 'not a requirement'"),
    ],
)
@pytest.mark.parametrize("in_file", [False, True])
def test_a_requirement_that_is_not_met_is_an_error(
    requirement: str,
    message: str,
    in_file: bool,
    tmp_path: Path,
) -> None:
    requirements: Any = ["gevent", requirement]
    if in_file:
        path = tmp_path / "requirements.txt"
        path.write_text("\n".join(requirements))
        requirements = str(path)
    with pytest.raises(PyinfraError, match=message):
        Config(REQUIRE_PACKAGES=requirements)


def test_a_requirements_file_may_have_comments_options_and_hashes(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(
        "# all we need\n"
        "-r other.txt\n"
        "--index-url https://example.org\n"
        "\n"
        "gevent>1  # greenlets\n"
        "click>1 \\\n"
        "    --hash=sha256:abc \\\n"
        "    --hash=sha256:def\n"
        "jinja2 @ https://example.org/jinja2.zip#egg=jinja2\n",
    )
    check_require_packages(str(path))
    with pytest.raises(PyinfraError, match=r"Cannot read REQUIRE_PACKAGES file .*nowhere.txt: No such file"):
        check_require_packages(str(tmp_path / "nowhere.txt"))


def test_a_copy_changes_on_its_own() -> None:
    config = Config(SUDO=True, ENV={"A": "1"})
    copy = config.copy()
    copy.SUDO = False
    copy.ENV["B"] = "2"
    assert (config.SUDO, config.ENV) == (True, {"A": "1"})
    assert (copy.SUDO, copy.ENV) == (False, {"A": "1", "B": "2"})
    assert Config().ENV == {}


def test_locked_settings_come_back() -> None:
    config = Config(SUDO=True)
    config.lock_current_state()
    config.SUDO = False
    config.NEW = "added"
    config.reset_locked_state()
    assert config.SUDO is True
    assert not hasattr(config, "NEW")
    other = Config(SUDO=True)
    other.reset_locked_state()
    assert other.SUDO is True


def test_settings_can_be_taken_away_and_put_back() -> None:
    config = Config()
    before = config.get_current_state()
    config.SHELL = "bash"
    config.set_current_state(before)
    assert config.SHELL == "sh"


def test_every_change_makes_a_new_revision() -> None:
    config, other = Config(), Config()
    seen = {config.revision}
    config.SUDO = True
    other.SUDO = True
    seen |= {config.revision, other.revision}
    assert len(seen) == 3


def test_variables_are_inherited_by_name_and_then_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "inherited")
    monkeypatch.delenv("NOT_HERE", raising=False)
    config = Config(INHERIT_ENV=["HERE", "NOT_HERE"], ENV={"OWN": "1"})
    assert config.command_environment() == {"HERE": "inherited", "OWN": "1"}


def test_text_is_no_list_of_names() -> None:
    with pytest.raises(PyinfraError, match=r"Invalid setting `INHERIT_ENV`: should be Iterable\[str\], not str"):
        Config(INHERIT_ENV="PATH")


def test_a_requirement_that_is_no_text_is_told() -> None:
    with pytest.raises(PyinfraError, match="REQUIRE_PACKAGES has no valid requirement: 5"):
        Config(REQUIRE_PACKAGES=[5])


def test_settings_that_are_changed_in_their_place_end_with_the_deploy_file_too() -> None:
    config = Config(ENV={"A": "1"}, INHERIT_ENV=["PATH"])
    config.lock_current_state()
    for _ in range(2):
        config.ENV["B"] = "2"
        config.INHERIT_ENV.append("HOME")  # type: ignore[attr-defined]
        copied = config.copy()
        copied.INHERIT_ENV.append("LANG")  # type: ignore[attr-defined]
        assert config.INHERIT_ENV == ["PATH", "HOME"]
        config.reset_locked_state()
        assert (config.ENV, config.INHERIT_ENV) == ({"A": "1"}, ["PATH"])
