"""The simple rankings, on chunks small enough to rank by hand."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.baselines import IndexedChunk, bm25, matching_words, vectors_alone
from regend.embedding.base import ModelInfo, Task
from tests.embedding.hashing import HashingEncoder

CHUNKS = [
    IndexedChunk("a.py", "", "retry the request"),
    IndexedChunk("b.py", "", "retry retry retry"),
    IndexedChunk("c.py", "", "close the socket"),
    IndexedChunk("c.py", "", "retry the request after close"),
]


def test_bm25_takes_the_best_chunk_of_each_file_and_knows_no_path() -> None:
    assert bm25(CHUNKS, ["retry request"]) == [["a.py", "c.py", "b.py"]]
    assert bm25(CHUNKS, ["socket", "py", "retry"], top=1) == [["c.py"], [], ["b.py"]]


def test_bm25_by_hand() -> None:
    """The chunk with the rare word comes before an equally long one with the common word."""
    chunks = [
        IndexedChunk("x", "", "common alpha"),
        IndexedChunk("y", "", "common rare"),
        IndexedChunk("z", "", "common"),
    ]
    assert bm25(chunks, ["common rare"]) == [["y", "z", "x"]]
    assert math.log(1 + (3 - 1 + 0.5) / 1.5) > math.log(1 + (3 - 3 + 0.5) / 3.5)


class Axes:
    """Encodes a text as the axis that its first letter names."""

    info = ModelInfo("axes", 3, True, "For tests.")

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    def encode(self, texts: Sequence[str], task: Task) -> npt.NDArray[np.float32]:
        self.tasks.append(task)
        return np.eye(3, dtype=np.float32)[["xyz".index(text[0]) for text in texts]]


def test_vectors_take_any_encoder_and_embed_the_symbol_too() -> None:
    encoder = Axes()
    chunks = [IndexedChunk("1", "", "x"), IndexedChunk("2", "y", "x"), IndexedChunk("3", "", "z")]
    assert vectors_alone(encoder, chunks, ["x", "yes"], top=1) == [["1"], ["2"]]
    assert set(encoder.tasks) == {"document", "query"}
    assert vectors_alone(encoder, chunks, []) == []
    assert vectors_alone(encoder, [], ["x"]) == [[]]


def test_vectors_with_the_stand_in() -> None:
    assert vectors_alone(HashingEncoder(), CHUNKS, ["close socket"])[0][0] == "c.py"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("close the socket", ["c.py"]),
        ("Retry request", ["a.py", "c.py", "b.py"]),
        ("etr", ["b.py", "a.py", "c.py"]),
        ("absent", []),
    ],
)
def test_matching_words(query: str, expected: list[str]) -> None:
    assert matching_words(CHUNKS, [query]) == [expected]
