"""The scan finds keys, tokens and random strings, and leaves ordinary code alone. All secrets here are made up."""

from __future__ import annotations

import random
import re
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regend.daemon.secret_scan import _MARKS, _NAMED, _NAMES, entropy_bits, secret_in

RANDOM = random.Random(7)
BASE64 = string.ascii_letters + string.digits + "+/"


def letters(count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(RANDOM.choices(alphabet, k=count))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("-----BEGIN " + "RSA PRIVATE KEY-----\nMIIE", "private key"),
        ("-----BEGIN " + "OPENSSH PRIVATE KEY-----", "private key"),
        ("-----BEGIN " + "PRIVATE KEY-----", "private key"),
        ("aws = '" + "AKIA" + letters(16, string.ascii_uppercase) + "'", "AWS key"),
        ("gh" + "p_" + letters(36), "GitHub token"),
        ("github_" + "pat_" + letters(60), "GitHub token"),
        ("gl" + "pat-" + letters(20), "GitLab token"),
        ("xox" + "b-1234567890-" + letters(24), "Slack token"),
        ("AI" + "za" + letters(35), "Google key"),
        ("AccountKey=" + letters(86) + "==", "Azure key"),
        ("sk_" + "live_" + letters(24), "Stripe key"),
        ("sk-" + "proj-" + letters(40), "API key"),
        ("sk-" + "ant-" + letters(40), "API key"),
        ("hf" + "_" + letters(34, string.ascii_letters), "API key"),
        ("//host/:_authToken" + "=" + letters(36), "npm token"),
        ("ey" + "J" + letters(20) + ".eyJ" + letters(40) + "." + letters(30), "JSON web token"),
        ("postgres://admin:" + "hunter2secret" + "@db.internal/app", "password in a URL"),
        ("password = 'Tr0ub4dor&" + "3xyz'", "value of a secret's name"),
        ("api_key: " + letters(20) + "7", "value of a secret's name"),
        ('CLIENT_SECRET="' + letters(30) + '1"', "value of a secret's name"),
        ('{"dbPassword": "' + letters(14) + '9"}', "value of a secret's name"),
        ("export DEPLOY_TOKEN=" + letters(32, string.hexdigits[:16]), "value of a secret's name"),
        ("blob = '" + "aG9w3Kd8Zq1LmX7vBt5RyU2nPc6EfJs4WhTi0oQA9gYb" + "'", "random-looking string"),
    ],
)
def test_secrets(text: str, kind: str) -> None:
    assert secret_in(f"def f():\n    {text}\n    return 1") == kind


@pytest.mark.parametrize(
    "text",
    [
        "",
        "password = get_password(user)",
        "password = os.environ['DATABASE_PASSWORD']",
        "token = tokens[position + 1]",
        'password = "changeme-please-1"',
        "api_key = '<your-api-key-1>'",
        'secret = "${SECRET_FROM_VAULT_2}"',
        "token_type = regend.core.tokens_2",
        "postgres://user:${DB_PASSWORD}@host/db",
        "http://user:password-example@host/",
        "sha256 = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b",
        "id = '123e4567-e89b-12d3-a456-426614174000'",
        "AbstractSingletonProxyFactoryBeanConfigurationManagerImplementation2000",
        "/usr/lib/python3/dist-packages/numpy/core/include/numpy/arrayobject.h",
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/",
        "-----BEGIN CERTIFICATE-----",
        "if password is None or len(password) < 12:",
    ],
)
def test_ordinary_code(text: str) -> None:
    assert secret_in(text) == ""


def test_most_random_strings_are_found() -> None:
    found = sum(bool(secret_in(f"x = '{letters(40, BASE64)}'")) for _ in range(500))
    assert found > 450


def test_this_repository_holds_none() -> None:
    sources = Path(__file__).parents[2] / "regend"
    assert {path.name: kind for path in sources.rglob("*.py") if (kind := secret_in(path.read_text()))} == {
        "secret_scan.py": "private key"  # It says what it looks for.
    }


@given(st.text(max_size=500))
def test_any_text(text: str) -> None:
    assert isinstance(secret_in(text), str)


@pytest.mark.parametrize(("text", "bits"), [("", 0.0), ("aaaa", 0.0), ("abab", 1.0), ("abcd", 2.0)])
def test_entropy(text: str, bits: float) -> None:
    assert entropy_bits(text) == bits


@given(st.data(), st.sampled_from(_MARKS))
def test_what_every_secret_of_a_kind_holds(
    data: st.DataObject, mark: tuple[str, tuple[str, ...], re.Pattern[str]]
) -> None:
    _, held, pattern = mark
    text = data.draw(st.from_regex(pattern))
    assert any(part in text for part in held), "its pattern would not be asked"


@given(st.from_regex(_NAMED))
def test_what_every_named_value_holds(text: str) -> None:
    assert any(name in text.casefold() for name in _NAMES)
