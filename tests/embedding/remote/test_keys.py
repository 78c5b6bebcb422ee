"""Keys come from a private file, the keyring or the environment, and show nowhere."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from regend.config import EmbeddingConfig
from regend.embedding.remote.keys import KeySource
from regend.embedding.remote.provider import HttpProvider
from regend.errors import ConfigError, EmbeddingError, ProviderUnavailableError
from tests.embedding.server import serving

SECRET = "sk-very-secret"


def source(preset_env: str = "", **config: Any) -> KeySource:
    return KeySource(EmbeddingConfig(**config), preset_env, "Server")


def key_file(tmp_path: Path, content: bytes = SECRET.encode() + b"\n", mode: int = 0o600) -> str:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


async def test_no_key() -> None:
    assert await source().key() == "" and not source().is_named


async def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", f" {SECRET}\n")
    assert await source(api_key_env="TEST_KEY").key() == SECRET
    assert await source("TEST_KEY").key() == SECRET, "a preset names one, too"


@pytest.mark.parametrize("value", [None, "", "  ", "schlüssel", "a\nb"])
async def test_an_environment_without_a_usable_key(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("TEST_KEY", value)
    with pytest.raises(ProviderUnavailableError, match="needs a key, but the variable TEST_KEY") as caught:
        await source(api_key_env="TEST_KEY").key()
    assert caught.value.kind == "key"


async def test_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "other")
    keys = source("TEST_KEY", api_key_file=key_file(tmp_path))
    assert await keys.key() == SECRET
    key_file(tmp_path, b"sk-new")
    assert await keys.key() == "sk-new", "a changed file is read again"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
async def test_a_file_that_others_may_read(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ProviderUnavailableError, match="chmod 600") as caught:
        await source(api_key_file=key_file(tmp_path, mode=mode)).key()
    assert SECRET not in str(caught.value)


async def test_files_that_are_none(tmp_path: Path) -> None:
    key_file(tmp_path)
    (tmp_path / "link").symlink_to("key")
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "empty").touch(0o600)
    for name in ("missing", "link", "fifo", "empty", "."):
        with pytest.raises(ProviderUnavailableError, match="needs a key, but the file") as caught:
            await source(api_key_file=str(tmp_path / name)).key()
        assert caught.value.kind == "key"


class Keyring(types.ModuleType):
    """Stands in for the package, whose backends are not on every machine."""

    def __init__(self, passwords: dict[tuple[str, str], str]) -> None:
        super().__init__("keyring")
        self.passwords = passwords
        self.asked = 0

    def get_password(self, service: str, user: str) -> str | None:
        self.asked += 1
        if not self.passwords:
            raise RuntimeError("the bus is gone, sk-very-secret")
        return self.passwords.get((service, user))


async def test_from_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = Keyring({("regend", "voyage"): SECRET})
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    keys = source(api_key_keyring="regend/voyage")
    assert [await keys.key(), await keys.key()] == [SECRET] * 2 and keyring.asked == 1
    keys.denied()
    assert await keys.key() == SECRET and keyring.asked == 2
    with pytest.raises(ProviderUnavailableError, match="entry regend/other is empty"):
        await source(api_key_keyring="regend/other").key()


async def test_a_keyring_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", Keyring({}))
    with pytest.raises(ProviderUnavailableError, match="does not answer: RuntimeError") as caught:
        await source(api_key_keyring="a/b").key()
    assert SECRET not in str(caught.value)


def test_a_keyring_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match=r"install `regend\[keyring\]`"):
        source(api_key_keyring="regend/voyage")


@pytest.mark.parametrize("entry", ["regend", "/user", "service/"])
def test_a_keyring_entry_has_two_parts(entry: str) -> None:
    with pytest.raises(ConfigError, match="service/user"):
        source(api_key_keyring=entry)


def test_a_key_is_never_sent_in_clear() -> None:
    config = EmbeddingConfig(provider="http", urls=("http://embeddings.example.com/v1",), model="m", api_key_env="X")
    with pytest.raises(ConfigError, match="in clear; use https"):
        HttpProvider(config)
    HttpProvider(EmbeddingConfig(provider="http", urls=("http://embeddings.example.com/v1",), model="m"))


async def test_the_key_of_a_preset_goes_to_its_own_server_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    async with serving() as server:
        provider = HttpProvider(server.config("openai", api_key_env=""))
        await provider.embed(["a"], "document")
        await provider.close()
        assert all("Authorization" not in headers for headers in server.headers)


async def test_the_key_shows_nowhere(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TEST_KEY", SECRET)
    async with serving() as server:
        provider = HttpProvider(server.config(api_key_env="TEST_KEY"))
        await provider.embed(["a"], "document")
        assert server.headers[-1]["Authorization"] == f"Bearer {SECRET}"
        server.answer(lambda _: web.Response(status=401, text=f"wrong key: {SECRET}!"))
        with pytest.raises(EmbeddingError) as caught:
            await provider.embed(["a"], "document")
        shown = [str(caught.value), repr(caught.value), repr(provider), str(vars(provider)), repr(provider.info)]
        shown += [str(provider.status()), capsys.readouterr().out]
        assert not any("secret" in text for text in shown)
        await provider.close()
