"""What of data is a secret by its name or type, and how that is shown."""

from __future__ import annotations

from typing import Any

import pytest

from pyinfra.api import HiddenValue, MaskString
from pyinfra.api.masking import is_secret_name, masked


@pytest.mark.parametrize(
    "name",
    [
        *("pass", "PASSWD", "password", "passphrase", "secret", "Token"),
        *("ansible_become_pass", "db-passwd", "DBPASSWORD", "key_Passphrase", "client-secret", "api_TOKEN"),
    ],
)
def test_names_that_end_in_a_word_for_secrets_are_secret(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["compass", "bypass", "pass_count", "password_file", "tokens", "nontoken", "", 7])
def test_other_names_that_have_such_letters_are_not(name: Any) -> None:
    assert not is_secret_name(name)


def test_secrets_are_masked_at_any_depth_and_the_rest_is_as_it_was() -> None:
    hidden = HiddenValue("hush")
    value = {
        "user": "me",
        "token": "hush",
        "secret": "",
        "deep": [({"db_pass": 7}, MaskString("hush"), {MaskString("hush")}, frozenset([1]))],
        "hidden": hidden,
    }
    assert masked(value) == {
        "user": "me",
        "token": "***",
        "secret": "",
        "deep": [({"db_pass": "***"}, "***", {"***"}, frozenset([1]))],
        "hidden": hidden,
    }
