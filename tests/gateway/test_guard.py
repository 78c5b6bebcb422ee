"""Who may ask: loopback hosts, the gateway's own origin, and the holder of the token; the rest is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from regend.errors import ConfigError, RpcError
from regend.gateway.guard import Guard
from regend.gateway.settings import Address, parse_address

GUARD = Guard("t" * 43, "regend-token-7433")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:7433", "localhost", "LOCALHOST:1", "[::1]:7433", "127.8.8.8:80"]
)
def test_hosts_of_this_machine(host: str) -> None:
    GUARD.check_place(host, {})
    GUARD.check_place(host, {"Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"})


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:7433", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "0.0.0.0",
     "127.0.0.1@evil.example", "evil.example/127.0.0.1", "[::2]", "localhost:port", "127.0.0.1 ", "[::1", "2130706433"],
)  # fmt: skip
def test_other_hosts(host: str) -> None:
    """A name that an attacker's name server may have pointed to loopback."""
    with pytest.raises(RpcError) as caught:
        GUARD.check_place(host, {})
    assert caught.value.code == "wrong_host"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1:8000"},
        {"Origin": "https://127.0.0.1:7433"},
        {"Origin": "http://127.0.0.1:7433.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_other_origins(headers: dict[str, str]) -> None:
    with pytest.raises(RpcError) as caught:
        GUARD.check_place("127.0.0.1:7433", headers)
    assert caught.value.code == "wrong_origin"


def test_the_token_counts_in_the_header_and_in_the_cookie() -> None:
    GUARD.check_token({"Authorization": f"Bearer {GUARD.token}"}, {})
    GUARD.check_token({"Authorization": f"bearer  {GUARD.token}"}, {})
    GUARD.check_token({}, {GUARD.cookie: GUARD.token})
    for headers, cookies in (
        ({}, {}),
        ({"Authorization": GUARD.token}, {}),
        ({"Authorization": f"Basic {GUARD.token}"}, {}),
        ({"Authorization": "Bearer "}, {}),
        ({"Authorization": f"Bearer {GUARD.token[:-1]}"}, {}),
        ({"Authorization": f"Bearer {GUARD.token}x"}, {}),
        ({"Authorization": "Bearer \udcff"}, {}),
        ({"Authorization": "Bearer wrong"}, {GUARD.cookie: GUARD.token}),
        ({}, {"regend-token": GUARD.token}),
        ({}, {GUARD.cookie: "é" * 43}),
    ):
        with pytest.raises(RpcError) as caught:
            GUARD.check_token(headers, cookies)
        assert caught.value.code == "unauthorized"


def test_addresses() -> None:
    assert parse_address("127.0.0.1:7433") == Address(host="127.0.0.1", port=7433)
    assert parse_address("[::1]:80") == Address(host="::1", port=80)
    assert parse_address("localhost:0") == Address(host="localhost", port=0)
    assert parse_address("/run/x.sock") == Address(path=Path("/run/x.sock"))
    assert parse_address("") is None


@pytest.mark.parametrize(
    "listen",
    ["0.0.0.0:80", "[::]:80", "example.org:80", "192.168.1.1:80", "127.0.0.1", "7433", "127.0.0.1:", "127.0.0.1:65536",
     "127.0.0.1:-1", "127.0.0.1:1e3", ":80", "localhost:²", "run/x.sock", "~no-such-user/x"],
)  # fmt: skip
def test_addresses_that_others_could_reach_and_those_that_are_none(listen: str) -> None:
    with pytest.raises(ConfigError, match=r"`http\.listen` is"):
        parse_address(listen)
