"""Lines and messages: however a stream is cut, the same lines come out; whatever a line holds, there is an answer."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from regend.mcp.messages import FaultError, Lines, Notification, Reply, Request, encoded, messages

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error"])


@given(st.lists(st.binary(max_size=12)), st.integers(1, 7))
def test_lines_do_not_depend_on_the_cuts(parts: list[bytes], step: int) -> None:
    stream = b"\n".join(parts) + b"\n"
    pieces, whole = Lines(8), Lines(8)
    cut = [line for at in range(0, len(stream), step) for line in pieces.feed(stream[at : at + step])]
    assert cut == list(whole.feed(stream))
    limits = [None if len(part) > 8 else part.strip() for line in parts for part in line.split(b"\n")]
    assert cut == [line for line in limits if line != b""]


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(KEYS, JSON | st.just("2.0")) | JSON)
def test_every_line_is_a_message_or_a_fault(value: object) -> None:
    for message in messages(encoded({"x": value})[:-1]), messages(_line(value)):
        for found in message:
            assert isinstance(found, (Request, Notification, Reply, FaultError))


def _line(value: object) -> bytes:
    return json.dumps(value).encode()


def test_bytes_of_file_names_become_readable() -> None:
    line = encoded({"id": 1, "result": {"a\udcff": ["b\udcfe", "ü"]}})
    assert line == '{"jsonrpc":"2.0","id":1,"result":{"a\ufffd":["b\ufffd","ü"]}}\n'.encode()
