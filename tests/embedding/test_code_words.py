"""The model's words are those of `split_identifier`, and numbers are found again whatever the block."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regend.chunking.tokens import split_identifier
from regend.embedding.code_words import _BASE, MAX_TEXT_BYTES, MAX_WORD_BYTES, blocks, words_of
from regend.embedding.vocabulary import Vocabulary


def plain_words(text: str) -> list[str]:
    """The words of a text, found slowly: runs of letters and digits, apart at case changes and digits."""
    found: list[str] = []
    for run in re.findall(r"[A-Za-z0-9]+", text):
        found += split_identifier(run)
    return [word for word in found if len(word) <= MAX_WORD_BYTES]


def word_hash(word: str) -> int:
    """The hash of one lower-case word, found slowly."""
    total = 0
    for byte in word.encode():
        total = (total * _BASE + byte + 1) % (1 << 64)
    return total


def key(word: str) -> np.uint64:
    return np.uint64(word_hash(word))


@pytest.mark.parametrize(
    "text",
    [
        "parseHTTPHeader",
        "max_size_2 = HTTPServer(sha256)",
        "XMLHttpRequest2 getURL a1B2c3",
        "x",
        "A",
        "",
        "  \n\t",
        "snake_case SCREAMING_SNAKE kebab-case dotted.path.Name",
    ],
)
def test_words_are_those_of_identifiers(text: str) -> None:
    words = words_of([text.encode()])
    assert words.hashes.tolist() == [word_hash(word) for word in plain_words(text)]


@given(st.lists(st.text(st.sampled_from("abzABZ019_-. \n({"), max_size=40), min_size=1, max_size=5))
def test_words_do_not_depend_on_their_neighbours(texts: list[str]) -> None:
    together = words_of([text.encode() for text in texts])
    for number, text in enumerate(texts):
        alone = words_of([text.encode()])
        assert together.hashes[together.text == number].tolist() == alone.hashes.tolist()
        assert together.pair_hashes[together.pair_text == number].tolist() == alone.pair_hashes.tolist()
        assert alone.hashes.tolist() == [word_hash(word) for word in plain_words(text)]


@pytest.mark.parametrize("text", ["hostName", "host_name", "HostName", "host name", "HOST-NAME", "host.name"])
def test_a_pair_has_the_hash_of_its_words_written_together(text: str) -> None:
    assert words_of([text.encode()]).pair_hashes.tolist() == [word_hash("hostname")]


@pytest.mark.parametrize("text", ["host, name", "host()name", "host  name", "host", ""])
def test_words_that_are_apart_are_no_pair(text: str) -> None:
    assert words_of([text.encode()]).pair_hashes.tolist() == []


def test_runs_of_encoded_data_are_no_words() -> None:
    long = "a" * (MAX_WORD_BYTES + 1)
    assert words_of([f"one {long} two".encode()]).hashes.tolist() == [word_hash("one"), word_hash("two")]


def test_letters_beyond_ascii_make_words() -> None:
    assert words_of(["größe 数据".encode()]).hashes.tolist() == [word_hash("größe"), word_hash("数据")]


@given(st.lists(st.integers(0, 70_000), min_size=1, max_size=8))
def test_blocks_hold_every_text_once_and_in_order(sizes: list[int]) -> None:
    texts = ["x" * size for size in sizes]
    numbers: list[int] = []
    for first, block in blocks(texts):
        numbers += range(first, first + len(block))
        assert [len(raw) for raw in block] == [min(MAX_TEXT_BYTES, len(texts[first + i])) for i in range(len(block))]
    assert numbers == list(range(len(texts)))


def test_a_vocabulary_finds_its_words_and_no_others() -> None:
    known = [f"word{number}" for number in range(20_000)]
    vocabulary = Vocabulary(np.array([word_hash(word) for word in known], np.uint64), buckets=16)
    hashes = np.array([word_hash(word) for word in known] + [word_hash(f"other{n}") for n in range(20_000)], np.uint64)
    found = vocabulary.find(hashes)
    assert found[:20_000].tolist() == list(range(1, 20_001))
    assert not found[20_000:].any()


def test_a_bag_counts_words_pairs_and_buckets() -> None:
    vocabulary = Vocabulary(np.array([key("host"), key("name"), key("hostname")], np.uint64), buckets=4)
    bag = vocabulary.bag([b"hostName host zebra", b"", b"name"])
    assert bag.start.tolist() == [0, 4, 4, 5]
    assert bag.ids[:3].tolist() == [0, 1, 2]
    assert bag.counts[:3].tolist() == [2, 1, 1]
    assert 3 <= bag.ids[3] < 7, "an unknown word falls into a bucket"
    assert bag.ids[4] == 1


def test_too_many_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="65536"):
        Vocabulary(np.arange(60_000, dtype=np.uint64), buckets=8_192)
