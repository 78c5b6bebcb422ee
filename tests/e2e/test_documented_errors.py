"""A method refuses odd values with an error that `docs/rpc.md` names for it, and goes on to answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from regend.errors import RegendError
from regend.rpc.client import Client
from regend.rpc.schema import METHODS
from tests.e2e.rig import daemon

TEXTS = (
    "",
    " ",
    "a",
    "\0",
    "a\0b",
    "/",
    "/nowhere",
    "x" * 5_000,
    "/" + "é" * 3_000,
    "../..",
    "[",
    "!",
    '"',
    "lang:",
    "\u202e",
)
ODD: tuple[Any, ...] = (
    *TEXTS, *([text] for text in TEXTS), None, True, 0, -1, 1 << 31, (1 << 64) - 1,
    0.0, -0.0, float("nan"), float("inf"),
    [], {}, ["a"] * 65, [None], [[]], [{}], [{"path": "a", "text": ""}], [{"path": "/nowhere", "text": "\0"}], b"\xff",
)  # fmt: skip
ROOT_ONLY = ("remove", "reindex")
LEFT_OUT = {"stop", "add", "flush"}
"""Methods that end the daemon, take what they are given, or may wait long."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Path]]:
    root = tmp_path_factory.mktemp("tree")
    (root / "apple.py").write_text("def apple():\n    return 'apple pie'\n")
    with daemon() as subject:
        subject.start(root).flush()
        with Client(subject.socket) as client:
            yield client, root


@pytest.mark.parametrize("name", sorted(METHODS.keys() - LEFT_OUT))
def test_odd_values_are_refused_as_documented(served: tuple[Client, Path], name: str) -> None:
    client, root = served
    usual: dict[str, Any] = {
        "query": "apple",
        "name": "apple",
        "file": f"{root}/apple.py",
        "root": str(root),
        "line": 1,
    }
    usual |= {"topics": [], "timeout_s": 5}
    method = METHODS[name]
    names = {field.name for field in fields(method.request)}
    for field in sorted(names):
        for value in ODD:
            given = {key: usual[key] for key in usual.keys() & names} | {field: value}
            if name in ROOT_ONLY and field != "path":
                given["path"] = "/nowhere"
            try:
                answer = client.call(name, **given)
            except RegendError as error:
                assert error.code in {"invalid_params", *method.errors}, (given, error)
                assert len(str(error)) > 20, (given, error)
            else:
                assert answer.keys() == {field.name for field in fields(method.response)}, given
    assert client.call("list")["roots"]
