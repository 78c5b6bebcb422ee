"""How servers are asked and how they answer: one dialect per API. No IO.

Answers are decoded in two steps: the frame first, with vectors left as raw bytes, then one vector at a time. So a large
answer never holds the interpreter for longer than one vector takes, and queries go on meanwhile.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from regend.embedding.base import Matrix, Task
from regend.errors import ProviderRejectedError, ProviderUnavailableError, count_text

_NOT_FINITE = (b"NaN", b"Infinity")
_LONGEST_COUNT = 8
"""Digits of a count of tokens that is believed; a larger one would hold up all requests."""


@dataclass(frozen=True, slots=True)
class Form:
    """The form of requests that a server takes; the probe finds it out.

    Attributes:
        encoding: ``base64`` or ``float``, where the dialect has the choice.
        tasks: tell it whether texts are documents or queries.
        dim: ask for vectors of this length; 0: its own.
    """

    encoding: str = "float"
    tasks: bool = False
    dim: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer: one row per text, in order and not normalised; and tokens used, 0 if not told."""

    vectors: Matrix
    tokens: int


class _Item(msgspec.Struct):
    embedding: msgspec.Raw
    index: int | None = None


class _OpenAi(msgspec.Struct):
    data: list[_Item]
    usage: Any = None


class _Ollama(msgspec.Struct):
    embeddings: list[msgspec.Raw]
    prompt_eval_count: Any = None


@dataclass(frozen=True, slots=True)
class Dialect:
    """One API.

    Attributes:
        path: appended to the base URL.
        body: makes the request from (model, texts, task, form).
        base64: knows `Form.encoding`.
        frame: decodes an answer, leaving vectors raw, to (rows with their stated index, tokens).
        row: decodes one vector.
    """

    path: str
    body: Callable[[str, Sequence[str], Task, Form], dict[str, Any]]
    frame: Callable[[bytes], tuple[list[tuple[int | None, msgspec.Raw]], int]]
    row: Callable[[msgspec.Raw], Matrix]
    base64: bool = False


def parse(dialect: Dialect, raw: bytes, headers: Mapping[str, str], count: int, who: str) -> Answer:
    """Decode an answer for `count` texts.

    Raises:
        ProviderUnavailableError: it is not JSON.
        ProviderRejectedError: it does not fit the request; `kind` says how.
    """
    try:
        rows, tokens = dialect.frame(raw)
    except msgspec.ValidationError as error:
        raise ProviderRejectedError(f"{who} sent an answer of another shape: {error}.", "shape") from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        if any(word in raw for word in _NOT_FINITE):
            raise ProviderRejectedError(
                f"{who} returned a vector that is not finite; the model or server is faulty.", "not_finite"
            ) from error
        raise ProviderUnavailableError(f"{who} sent an answer that is not JSON: {error}.", kind="not_json") from error
    if len(rows) != count:
        raise ProviderRejectedError(
            f"{who} returned {count_text(len(rows), 'vector')} for {count_text(count, 'text')}; the server is faulty.",
            "count",
        )
    vectors: dict[int, Matrix] = {}
    for position, (stated, row) in enumerate(rows):
        index = position if stated is None else stated
        if not 0 <= index < count or index in vectors:
            raise ProviderRejectedError(f"{who} returned vectors with wrong indexes; the server is faulty.", "order")
        try:
            vectors[index] = dialect.row(row)
        except (ValueError, msgspec.MsgspecError) as error:
            raise ProviderRejectedError(f"{who} returned a vector that cannot be read: {error}.", "encoding") from error
    lengths = {len(vector) for vector in vectors.values()}
    if len(lengths) > 1:
        raise ProviderRejectedError(
            f"{who} returned vectors of different lengths {sorted(lengths)}; the server is faulty.", "dimension"
        )
    stacked = np.stack([vectors[index] for index in range(count)]) if count else np.zeros((0, 0), np.float32)
    return Answer(stacked, tokens or _tokens_told(headers))


def _tokens_told(headers: Mapping[str, str]) -> int:
    """Read the tokens used from the header of text-embeddings-inference."""
    told = headers.get("x-compute-tokens", "")
    return _token_count(int(told)) if told.isascii() and told.isdigit() and len(told) <= _LONGEST_COUNT else 0


def _token_count(told: object) -> int:
    """Return the tokens that a server says it used; 0 where that is no count: the vectors beside it are good."""
    return int(told) if isinstance(told, int | float) and 0 < told < 10**_LONGEST_COUNT else 0


_numbers = msgspec.json.Decoder(list[float])
_nested = msgspec.json.Decoder(list[list[float]])
_string = msgspec.json.Decoder(str)


def _row(raw: msgspec.Raw) -> Matrix:
    """Decode a list of numbers, or float32 little-endian in base64."""
    if bytes(memoryview(raw)[:1]) == b'"':
        return np.frombuffer(base64.b64decode(_string.decode(raw), validate=True), "<f4").astype(np.float32)
    with np.errstate(over="ignore"):  # Infinity is refused later, with a clearer message.
        return np.asarray(_numbers.decode(raw), np.float32)


def _pooled_row(raw: msgspec.Raw) -> Matrix:
    """Decode llama-server's list of one list. Several lists are one per token, where no pooling was set."""
    rows = _nested.decode(raw)
    if len(rows) != 1:
        raise ValueError(f"{len(rows)} vectors for one text; start llama-server with `--pooling mean`")
    with np.errstate(over="ignore"):
        return np.asarray(rows[0], np.float32)


_openai = msgspec.json.Decoder(_OpenAi)
_ollama = msgspec.json.Decoder(_Ollama)
_plain = msgspec.json.Decoder(list[msgspec.Raw])
_items = msgspec.json.Decoder(list[_Item])


def _openai_frame(raw: bytes) -> tuple[list[tuple[int | None, msgspec.Raw]], int]:
    answer = _openai.decode(raw)
    used = answer.usage.get("total_tokens") if isinstance(answer.usage, dict) else None
    return [(item.index, item.embedding) for item in answer.data], _token_count(used)


def _ollama_frame(raw: bytes) -> tuple[list[tuple[int | None, msgspec.Raw]], int]:
    answer = _ollama.decode(raw)
    return [(None, row) for row in answer.embeddings], _token_count(answer.prompt_eval_count)


def _openai_body(model: str, texts: Sequence[str], task: Task, form: Form) -> dict[str, Any]:
    body = {"model": model, "input": list(texts), "encoding_format": form.encoding}
    return body | ({"dimensions": form.dim} if form.dim else {})


def _voyage_body(model: str, texts: Sequence[str], task: Task, form: Form) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "input": list(texts), "truncation": False}
    if form.encoding == "base64":
        body["encoding_format"] = "base64"
    if form.tasks:
        body["input_type"] = task
    return body | ({"output_dimension": form.dim} if form.dim else {})


def _ollama_body(model: str, texts: Sequence[str], task: Task, form: Form) -> dict[str, Any]:
    # Cut here, at a line and reported, rather than there, silently.
    body = {"model": model, "input": list(texts), "truncate": False}
    return body | ({"dimensions": form.dim} if form.dim else {})


def _tei_body(model: str, texts: Sequence[str], task: Task, form: Form) -> dict[str, Any]:
    return {"inputs": list(texts), "normalize": True, "truncate": False}


def _llama_body(model: str, texts: Sequence[str], task: Task, form: Form) -> dict[str, Any]:
    return {"content": list(texts)}


DIALECTS: dict[str, Dialect] = {
    "openai": Dialect("/embeddings", _openai_body, _openai_frame, _row, base64=True),
    "voyage": Dialect("/embeddings", _voyage_body, _openai_frame, _row, base64=True),
    "ollama": Dialect("/api/embed", _ollama_body, _ollama_frame, _row),
    "tei": Dialect("/embed", _tei_body, lambda raw: ([(None, row) for row in _plain.decode(raw)], 0), _row),
    "llama-server": Dialect(
        "/embedding", _llama_body, lambda raw: ([(i.index, i.embedding) for i in _items.decode(raw)], 0), _pooled_row
    ),
}
"""Dialects by the name that presets use."""
