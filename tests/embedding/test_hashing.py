"""Feature hashing: the same bits in every process, close where words are shared, and never a zero vector."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.embedding.hashing import DIM, HashingEncoder

ENCODER = HashingEncoder()


def one(text: str) -> np.ndarray:
    return ENCODER.encode([text], "document")[0]


@given(st.lists(st.text(max_size=300), min_size=1, max_size=8))
def test_unit_and_the_same_alone(texts: list[str]) -> None:
    vectors = ENCODER.encode(texts, "document")
    assert vectors.dtype == np.float32 and vectors.shape == (len(texts), DIM)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    for text, row in zip(texts, vectors, strict=True):
        assert one(text).tobytes() == row.tobytes()


def test_the_same_bits_in_another_process() -> None:
    texts = ["def parse_header(line): return line", "größe 你好", "", "a b a b c"]
    code = (
        "import sys, hashlib; from tests.embedding.hashing import HashingEncoder;"
        "print(hashlib.sha256(HashingEncoder().encode(eval(sys.argv[1]), 'document').tobytes()).hexdigest())"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code, repr(texts)],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert done.stdout.strip() == sha256(ENCODER.encode(texts, "document").tobytes()).hexdigest()


def test_the_bits_of_this_version_are_fixed() -> None:
    """Stored vectors of `hashing-256-v1` must stay comparable: a change of method needs a new model id."""
    assert ENCODER.info.model_id == "hashing-256-v1"
    vector = one("alpha beta alpha")
    places = {int(n): round(float(vector[n]), 3) for n in np.flatnonzero(vector)}
    assert places == {99: 0.535, 106: -0.756, 124: 0.267, 129: -0.267}


@pytest.mark.parametrize(
    ("query", "near", "far"),
    [
        ("parse the http header", "def parseHttpHeader(raw):\n    return raw", "class TreeNode:\n    left = None"),
        ("tree node", "class TreeNode:\n    left = None", "def parseHttpHeader(raw):\n    return raw"),
        ("open socket", "open_socket(address)", "socket_pool = []\nfiles_open = 3"),
    ],
)
def test_shared_words_are_close(query: str, near: str, far: str) -> None:
    assert float(one(query) @ one(near)) > float(one(query) @ one(far))


def test_unrelated_texts_are_far() -> None:
    rng = np.random.default_rng(1)
    words = ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 8)) for _ in range(4_000)]
    vectors = ENCODER.encode([" ".join(words[n : n + 40]) for n in range(0, 4_000, 40)], "document")
    cosines = (vectors @ vectors.T)[~np.eye(len(vectors), dtype=bool)]
    assert abs(float(cosines.mean())) < 0.01 and float(np.abs(cosines).max()) < 0.4


def test_texts_without_words_are_alike() -> None:
    assert one("").tobytes() == one(" \n+-*/ ").tobytes()
    assert float(one("")[0]) == 1.0
