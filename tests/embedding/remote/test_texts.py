"""Texts are counted as well as can be, and cut at a boundary where they are too long."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regend.chunking.tokens import estimate_tokens
from regend.embedding.remote.texts import TokenCounter, cut_at_boundary
from regend.errors import ConfigError

needs_tokenizers = pytest.mark.skipif(
    importlib.util.find_spec("tokenizers") is None, reason="the extra `tokens` (package tokenizers) is not installed"
)


@pytest.mark.parametrize(
    ("text", "chars", "kept"),
    [
        ("short", 10, "short"),
        ("one\ntwo\nthree", 8, "one\ntwo"),
        ("one\ntwo\nthree", 7, "one\ntwo"),
        ("a\nlong line without a break", 12, "a\nlong line"),
        ("unbroken" * 5, 12, "unbrokenunbr"),
        ("\n" * 9, 4, "\n" * 4),
    ],
)
def test_cut(text: str, chars: int, kept: str) -> None:
    assert cut_at_boundary(text, chars) == kept


@given(st.text(max_size=300), st.integers(1, 100))
def test_a_cut_is_a_beginning_and_keeps_half(text: str, chars: int) -> None:
    kept = cut_at_boundary(text, chars)
    assert text.startswith(kept) and len(kept) <= chars
    assert len(kept) >= min(len(text), chars // 2)


def test_estimates_follow_the_scale() -> None:
    counter = TokenCounter()
    text = "alpha beta gamma"
    prepared, was_cut = counter.prepare(text, 0)
    assert (prepared.text, prepared.tokens, was_cut) == (text, estimate_tokens(text), False)
    counter.scale.learn(100, 200)
    prepared, _ = counter.prepare(text, 0)
    assert prepared.tokens == 2 * estimate_tokens(text) and prepared.estimate == estimate_tokens(text)
    assert not counter.is_exact


@given(st.text(min_size=1, max_size=2_000), st.integers(1, 200), st.floats(0.5, 3.0))
def test_what_is_cut_fits(text: str, limit: int, factor: float) -> None:
    counter = TokenCounter()
    counter.scale.learn(1_000, 1_000 * factor)
    prepared, was_cut = counter.prepare(text, limit)
    assert text.startswith(prepared.text) and was_cut == (len(prepared.text) < len(text))
    assert prepared.tokens <= limit or len(prepared.text) <= 1


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ConfigError, match=r"`embedding.tokenizer` needs .* install `regend\[tokens\]`"):
        TokenCounter("/somewhere/tokenizer.json")


def word_tokenizer(path: Path) -> str:
    """A tokenizer.json that takes words apart by white space and frames them as BERT does."""
    import tokenizers
    from tokenizers import models, pre_tokenizers, processors

    words = {word: n for n, word in enumerate(["[UNK]", "[CLS]", "[SEP]"])}
    made = tokenizers.Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    made.enable_truncation(8)
    made.save(str(path))
    return str(path)


@needs_tokenizers
def test_exact_counts(tmp_path: Path) -> None:
    counter = TokenCounter(word_tokenizer(tmp_path / "tokenizer.json"))
    prepared, was_cut = counter.prepare("one two three " * 10, 0)
    assert counter.is_exact and prepared.tokens == prepared.estimate == 32 and not was_cut
    text = "\n".join(f"line {n} of text" for n in range(20))
    prepared, was_cut = counter.prepare(text, 30)
    assert was_cut and prepared.text == "\n".join(f"line {n} of text" for n in range(7)) and prepared.tokens == 30
    assert counter.prepare(text, 2)[0].text == ""


@needs_tokenizers
def test_a_tokenizer_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"is not a tokenizer\.json"):
        TokenCounter(str(tmp_path / "tokenizer.json"))


@needs_tokenizers
def test_token_numbers_are_the_same_one_by_one_and_on_all_cores(tmp_path: Path) -> None:
    path = word_tokenizer(tmp_path / "tokenizer.json")
    counter, framed = TokenCounter(path), 2

    @given(st.lists(st.text("ab \n", max_size=60), max_size=6), st.integers(0, 12))
    def check(texts: list[str], limit: int) -> None:
        rows = counter.ids(texts, limit, on_all_cores=True)
        assert rows == [counter.ids([text], limit)[0] for text in texts]
        for text, row in zip(texts, rows, strict=True):
            assert len(row) == int(counter.prepare(text, limit)[0].tokens)
            assert len(row) <= limit or not limit or len(row) == framed > limit, "only what frames a text remains"
            assert limit or len(row) == len(text.split()) + framed

    check()
