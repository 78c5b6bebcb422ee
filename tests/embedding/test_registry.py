"""Providers and local encoders are found by name, and a wrong name says which there are."""

from __future__ import annotations

import subprocess
import sys

import pytest

from regend.config import EmbeddingConfig
from regend.embedding.registry import local_encoder, open_provider
from regend.errors import ConfigError


async def unused(texts: object) -> object:
    raise AssertionError


def test_the_default_is_the_built_in_model() -> None:
    provider = open_provider(EmbeddingConfig(), unused)
    assert provider.info == local_encoder().info
    assert "static" in provider.info.model_id and provider.info.local


def test_unknown_names() -> None:
    with pytest.raises(ConfigError, match=r"'magic'.*builtin, onnx, http"):
        open_provider(EmbeddingConfig(provider="magic"), unused)


def test_the_builtin_provider_does_not_load_aiohttp() -> None:
    code = (
        "import sys; from regend.embedding.registry import open_provider; from regend.config import EmbeddingConfig;"
        "open_provider(EmbeddingConfig(), None); print('aiohttp' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
