"""URLs of shared stores: nothing leaves the machine without TLS, and no password is shown."""

from __future__ import annotations

import itertools
from urllib.parse import quote, urlsplit

import pytest

from regend.errors import ConfigError
from regend.sharing.address import parse_address


@pytest.mark.parametrize(
    ("url", "tls", "shown"),
    [
        ("postgresql://ada:pw@db.example.org/regend", "verify-full", "postgresql://db.example.org/regend"),
        ("postgres://db.example.org:6432/r?sslmode=require", "require", "postgresql://db.example.org:6432/r"),
        ("postgresql://ada@127.0.0.1:5432/r", "", "postgresql://127.0.0.1:5432/r"),
        ("postgresql://ada@127.0.0.1/r?sslmode=disable", "", "postgresql://127.0.0.1/r"),
        ("postgresql://ada@localhost/r?sslmode=verify-full", "verify-full", "postgresql://localhost/r"),
        ("postgresql://ada@[::1]:5432/r", "", "postgresql://[::1]:5432/r"),
        ("postgresql:///r?host=/run/postgresql", "", "postgresql:///run/postgresql/r"),
        ("postgresql://%2Frun%2Fpostgresql/r", "", "postgresql:///run/postgresql/r"),
        # One host of several that is elsewhere is enough.
        ("postgresql://localhost,db.example.org/r", "verify-full", "postgresql://localhost,db.example.org/r"),
        ("postgresql://localhost/r?host=db.example.org", "verify-full", "postgresql://localhost,db.example.org/r"),
        ("postgresql://localhost/r?hostaddr=192.0.2.1", "verify-full", "postgresql://localhost,192.0.2.1/r"),
        ("postgresql://[2001:db8::1]/r", "verify-full", "postgresql://[2001:db8::1]/r"),
        ("postgresql://localhost.example.org/r", "verify-full", "postgresql://localhost.example.org/r"),
    ],
)
def test_tls_is_required_off_the_machine(url: str, tls: str, shown: str) -> None:
    address = parse_address(url)
    assert (address.kind, address.tls, address.shown, address.url) == ("postgresql", tls, shown, url)


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "", "REQUIRE"])
def test_modes_that_allow_plain_text_are_refused(mode: str) -> None:
    url = f"postgresql://ada:pw@db.example.org/r?sslmode={mode}"
    if not mode:
        assert parse_address(url).tls == "verify-full"
        return
    with pytest.raises(ConfigError, match="TLS") as refusal:
        parse_address(url)
    assert "pw" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "", "db.example.org", "mysql://db/r", "postgresql:///r", "postgresql://?service=x", "postgresql://h/r?service=x",
        "sqlite://shared.db", "sqlite:///", "sqlite:shared.db", "postgresql://[::1/r",
    ],
)  # fmt: skip
def test_what_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"shared\.url"):
        parse_address(url)


def test_a_file() -> None:
    assert parse_address("sqlite:///srv/my%20pools/shared.db").path == "/srv/my pools/shared.db"


_PIECES = (
    "S3cret",
    "/S3cret",
    "?S3cret",
    "#S3cret",
    "@S3cret",
    ":S3cret",
    "[S3cret",
    "%2FS3cret",
    "1",
    "1/S3cret",
    "1?S3cret",
    "\u2100S3cret",
)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "mysql", "sqlite"])
@pytest.mark.parametrize("rest", ["db.example.org/r", "localhost:5432/r?sslmode=disable", "[::1]/r", "[::1/r", "/r"])
def test_no_spelling_of_a_password_is_shown(scheme: str, rest: str) -> None:
    for parts in itertools.product(_PIECES, _PIECES):
        if "S3cret" not in (password := "".join(parts)):
            continue
        for written in (password, quote(password, safe="")):
            for user in ("ada", "ada/S3cret", "ada@S3cret"):
                try:
                    address = parse_address(f"{scheme}://{user}:{written}@{rest}")
                except ConfigError as refusal:
                    assert "S3cret" not in str(refusal)
                else:
                    assert "S3cret" not in address.shown
                    assert urlsplit(address.url).hostname in ("db.example.org", "localhost", "::1", None)
