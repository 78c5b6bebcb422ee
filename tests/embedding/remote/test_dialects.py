"""Each dialect asks as its API wants, and every way an answer can be wrong has its kind of error."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from regend.embedding.remote.dialects import DIALECTS, Form, parse
from regend.errors import EmbeddingError, ProviderRejectedError, ProviderUnavailableError
from tests.embedding.server import items, vectors_of

TEXTS = ["def one(): pass", "def two(): pass", "def three(): pass"]
EXPECTED = np.asarray(vectors_of(TEXTS), np.float32)
Item = dict[str, Any]


def read(raw: bytes | str, dialect: str = "openai", headers: dict[str, str] | None = None, count: int = 3) -> Any:
    return parse(DIALECTS[dialect], raw if isinstance(raw, bytes) else raw.encode(), headers or {}, count, "Server")


def data(change: Callable[[list[Item]], Any] = lambda data: data) -> str:
    return json.dumps({"data": change(items(TEXTS))})


def with_number(value: Any) -> str:
    """Right but for one number of the second vector."""

    def change(data: list[Item]) -> list[Item]:
        data[1]["embedding"][3] = value
        return data

    return data(change)


@pytest.mark.parametrize(
    ("dialect", "form", "expected"),
    [
        ("openai", Form("float"), {"model": "m", "input": ["t"], "encoding_format": "float"}),
        ("openai", Form("base64", dim=8), {"model": "m", "input": ["t"], "encoding_format": "base64", "dimensions": 8}),
        ("voyage", Form("float"), {"model": "m", "input": ["t"], "truncation": False}),
        (
            "voyage",
            Form("base64", tasks=True, dim=8),
            {
                "model": "m", "input": ["t"], "truncation": False, "encoding_format": "base64", "input_type": "query",
                "output_dimension": 8,
            },
        ),
        ("ollama", Form(dim=8), {"model": "m", "input": ["t"], "truncate": False, "dimensions": 8}),
        ("ollama", Form(), {"model": "m", "input": ["t"], "truncate": False}),
        ("tei", Form(), {"inputs": ["t"], "normalize": True, "truncate": False}),
        ("llama-server", Form(), {"content": ["t"]}),
    ],
)  # fmt: skip
def test_requests(dialect: str, form: Form, expected: dict[str, Any]) -> None:
    assert DIALECTS[dialect].body("m", ["t"], "query", form) == expected


@pytest.mark.parametrize(
    ("dialect", "answer", "tokens"),
    [
        ("openai", {"data": items(TEXTS)}, 0),
        ("openai", {"data": items(TEXTS)[::-1], "usage": {"prompt_tokens": 3, "total_tokens": 7}}, 7),
        ("openai", {"data": [{"embedding": i["embedding"]} for i in items(TEXTS)], "object": "list"}, 0),
        ("openai", {"data": items(TEXTS, as_base64=True)}, 0),
        ("voyage", {"data": items(TEXTS), "usage": {"total_tokens": 5}}, 5),
        ("ollama", {"embeddings": vectors_of(TEXTS), "prompt_eval_count": 9}, 9),
        ("tei", vectors_of(TEXTS), 0),
        ("llama-server", [{"index": n, "embedding": [v]} for n, v in enumerate(vectors_of(TEXTS))], 0),
        ("llama-server", [{"index": 2 - n, "embedding": [v]} for n, v in enumerate(vectors_of(TEXTS[::-1]))], 0),
    ],
)
def test_right_answers(dialect: str, answer: Any, tokens: int) -> None:
    got = read(json.dumps(answer), dialect)
    np.testing.assert_allclose(got.vectors, EXPECTED, atol=1e-6)
    assert got.vectors.dtype == np.float32 and got.tokens == tokens


@pytest.mark.parametrize(("told", "tokens"), [("12", 12), ("", 0), ("-3", 0), ("x", 0), ("٣", 0), ("9" * 5_000, 0)])
def test_tokens_in_a_header(told: str, tokens: int) -> None:
    assert read(json.dumps(vectors_of(TEXTS)), "tei", {"x-compute-tokens": told}).tokens == tokens


@pytest.mark.parametrize("dialect", ["openai", "voyage", "ollama"])
def test_a_count_of_tokens_that_is_none_spoils_no_vectors(dialect: str) -> None:
    for told, tokens in ((None, 0), (12.0, 12), ("12", 0), ([], 0), ({}, 0), (-1, 0), (10**30, 0), (1e300, 0)):
        counted = {"usage": {"total_tokens": told}, "prompt_eval_count": told}
        got = read(json.dumps({"data": items(TEXTS), "embeddings": vectors_of(TEXTS)} | counted), dialect)
        assert len(got.vectors) == len(TEXTS) and got.tokens == tokens, told
    for usage in (None, [], "x", 3):
        assert read(json.dumps({"data": items(TEXTS), "usage": usage})).tokens == 0


def test_no_texts() -> None:
    assert read("[]", "tei", count=0).vectors.shape[0] == 0


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (data(lambda d: d[:-1]), "count"),
        (data(lambda d: d + d[:1]), "count"),
        (data(lambda d: []), "count"),
        (data(lambda d: None), "shape"),
        ("[1, 2]", "shape"),
        ("{}", "shape"),
        ("[" * 100_000, "shape"),
        ('{"error": {"message": "no"}}', "shape"),
        (data(lambda d: [1, 2, 3]), "shape"),
        (data(lambda d: [d[0] | {"index": "0"}, *d[1:]]), "shape"),
        (data(lambda d: [d[0], d[0], d[2]]), "order"),
        (data(lambda d: [d[0] | {"index": -1}, *d[1:]]), "order"),
        (data(lambda d: [d[0] | {"index": 3}, *d[1:]]), "order"),
        (data(lambda d: [d[0] | {"embedding": d[0]["embedding"][:-1]}, *d[1:]]), "dimension"),
        (data(lambda d: [d[0] | {"embedding": "AAAA"}, *d[1:]]), "encoding"),
        (data(lambda d: [d[0] | {"embedding": "!"}, *d[1:]]), "encoding"),
        (data(lambda d: [d[0] | {"embedding": "AAAAAAA="}, *d[1:]]), "encoding"),
        (data(lambda d: [d[0] | {"embedding": "é"}, *d[1:]]), "encoding"),
        (data(lambda d: [d[0] | {"embedding": None}, *d[1:]]), "encoding"),
        (data(lambda d: [d[0] | {"embedding": [[1.0]] * 256}, *d[1:]]), "encoding"),
        (with_number("x"), "encoding"),
        (with_number(math.nan), "not_finite"),
        (with_number(-math.inf), "not_finite"),
    ],
)
def test_wrong_answers_blame_the_server_for_these_texts(raw: str, kind: str) -> None:
    with pytest.raises(ProviderRejectedError, match=r"^Server ") as caught:
        read(raw)
    assert caught.value.kind == kind


@pytest.mark.parametrize("value", [1e300, 10**400, -(10**400)])
def test_numbers_beyond_float32_are_not_finite_or_unreadable(value: Any) -> None:
    try:
        vectors = read(with_number(value)).vectors
    except EmbeddingError as error:
        assert error.kind == "encoding"
    else:
        assert not np.isfinite(vectors[1, 3])


def test_nan_in_base64_comes_through_to_be_refused_by_the_checks() -> None:
    nan = base64.b64encode(np.full(256, np.nan, "<f4").tobytes()).decode()
    assert np.isnan(read(data(lambda d: [d[0] | {"embedding": nan}, *d[1:]])).vectors[0]).all()


@pytest.mark.parametrize("raw", [data()[: len(data()) // 2], '{"data": [', "", "<html>", b"\xff\xfe", '{"data": []} x'])
def test_what_is_not_json_may_pass(raw: str | bytes) -> None:
    with pytest.raises(ProviderUnavailableError) as caught:
        read(raw)
    assert caught.value.kind == "not_json"


def test_llama_server_without_pooling() -> None:
    answer = [{"index": n, "embedding": [v, v]} for n, v in enumerate(vectors_of(TEXTS))]
    with pytest.raises(ProviderRejectedError, match="--pooling mean") as caught:
        read(json.dumps(answer), "llama-server")
    assert caught.value.kind == "encoding"
