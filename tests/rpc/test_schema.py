"""The schema is complete and consistent, and requests check their values."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

import msgspec
import pytest

from regend.rpc import operation_messages as ops
from regend.rpc import query_messages as asks
from regend.rpc.schema import ERRORS, METHODS, NOTIFICATIONS
from tests.rpc.scripted import ROOT, Script

SAMPLES: dict[str, dict[str, Any]] = {
    "search": {"query": "x", "explain": True},
    "symbols": {"name": "push"},
    "related": {"file": f"{ROOT}/a.py", "line": 3},
    "outline": {"file": f"{ROOT}/a.py"},
    "files": {"root": ROOT},
    "add": {"path": "/src/other"},
    "remove": {"path": ROOT},
    "reindex": {"path": ROOT},
    "why": {"file": "a.log"},
}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_well_formed(name: str) -> None:
    method = METHODS[name]
    assert method.name == name
    assert method.doc.endswith(".")
    assert set(method.errors) <= set(ERRORS)
    for cls in (method.request, method.response):
        assert is_dataclass(cls)
        assert cls.__dataclass_params__.frozen
        assert hasattr(cls, "__slots__")
        assert all(item.metadata["doc"] for item in fields(cls))
    assert all(item.name in get_type_hints(method.request) for item in fields(method.request))


def test_every_topic_has_a_payload() -> None:
    assert tuple(NOTIFICATIONS) == ops.TOPICS


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("hello", "subscribe", "unsubscribe")])
async def test_a_response_survives_the_wire_as_its_dataclass(name: str) -> None:
    request = msgspec.convert(SAMPLES.get(name, {}), METHODS[name].request, strict=True)
    response = await Script().handlers()[name](None, request)  # type: ignore[arg-type]
    wire = msgspec.msgpack.decode(msgspec.msgpack.encode(response))
    assert msgspec.convert(wire, METHODS[name].response, strict=True) == response


@pytest.mark.parametrize(
    ("cls", "values", "word"),
    [
        (asks.SearchRequest, {"query": "x", "k": 0}, "k"),
        (asks.SearchRequest, {"query": "x", "k": 1001}, "k"),
        (asks.SearchRequest, {"query": "x", "context": -1}, "context"),
        (asks.RelatedRequest, {"file": "x", "line": -1}, "`line` is -1; it must be at least 0$"),
        (ops.FlushRequest, {"timeout_s": -0.1}, "timeout_s"),
        (ops.FlushRequest, {"timeout_s": float("nan")}, "timeout_s"),
        (ops.FlushRequest, {"timeout_s": float("inf")}, "timeout_s"),
        (ops.FilesRequest, {"root": "/r", "state": "lost"}, "state"),
        (ops.FilesRequest, {"root": "/r", "limit": 10_001}, "limit"),
        (ops.SubscribeRequest, {"topics": ("index", "weather")}, "weather"),
        (ops.HelloRequest, {"errors": "xml"}, "errors"),
    ],
)
def test_a_value_out_of_range_is_named(cls: type, values: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        cls(**values)


def test_the_limits_themselves_are_allowed() -> None:
    assert asks.SearchRequest("x", k=1).k == 1
    assert asks.SearchRequest("x", k=1_000, context=1_000).k == 1_000
    assert ops.FlushRequest(timeout_s=0).timeout_s == 0
