"""The codec turns bytes into messages however they are cut, and turns anything else into `ProtocolError`, cheaply."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import regend.errors
from regend.errors import ProtocolError, RegendError, RootError, RpcError
from regend.rpc.codec import (
    CLIENT_LIMITS,
    MAX_ID,
    SERVER_LIMITS,
    Decoder,
    Limits,
    Notification,
    Request,
    Response,
    encode_notification,
    encode_request,
    encode_response,
    error_from_wire,
    error_to_wire,
)

SMALL = Limits(max_message_bytes=100, max_items=16, max_depth=4)

text = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | text
values = st.recursive(scalars, lambda v: st.lists(v, max_size=4) | st.dictionaries(text, v, max_size=4), max_leaves=12)
messages = st.one_of(
    st.builds(Request, st.integers(0, MAX_ID), text, st.lists(values, max_size=2)),
    st.builds(Response, st.integers(0, MAX_ID), values, values),
    st.builds(Notification, text, st.lists(values, max_size=2)),
)
ROOMY = Limits(max_message_bytes=1 << 20, max_items=256, max_depth=64)


def encode(message: Any) -> bytes:
    kind = {Request: 0, Response: 1, Notification: 2}[type(message)]
    return msgpack.packb([kind, *message])


def decode(data: bytes, limits: Limits = SERVER_LIMITS) -> list[Any]:
    decoder = Decoder(limits)
    decoder.feed(data)
    return list(decoder)


@settings(max_examples=150, deadline=None)
@given(st.lists(messages, max_size=5), st.lists(st.integers(0, 400), max_size=8))
def test_messages_survive_however_the_stream_is_cut(sent: list[Any], cuts: list[int]) -> None:
    stream = b"".join(map(encode, sent))
    places = sorted({0, len(stream), *(c for c in cuts if c < len(stream))})
    decoder = Decoder(ROOMY)
    got: list[Any] = []
    for start, end in itertools.pairwise(places):
        decoder.feed(stream[start:end])
        got += decoder
    assert got == sent
    assert not decoder.partial


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_messages_or_a_protocol_error(data: bytes) -> None:
    try:
        for message in decode(data):
            assert isinstance(message, (Request, Response, Notification))
    except ProtocolError as error:
        assert str(error).endswith((".", "request."))


@settings(max_examples=150, deadline=None)
@given(messages, st.integers(0, 10_000), st.integers(0, 255))
def test_a_changed_byte_gives_messages_or_a_protocol_error(message: Any, place: int, byte: int) -> None:
    data = bytearray(encode(message))
    data[place % len(data)] = byte
    try:
        decode(bytes(data), ROOMY)
    except ProtocolError:
        pass


def test_our_encoders_make_what_the_decoder_reads() -> None:
    stream = encode_request(1, "a", {"k": 1}) + encode_request(2, "b") + encode_response(1, None, {"x": [1]})
    stream += encode_notification("state", {"root": "/r"})
    expected = [
        Request(1, "a", [{"k": 1}]),
        Request(2, "b", []),
        Response(1, None, {"x": [1]}),
        Notification("state", [{"root": "/r"}]),
    ]
    assert decode(stream) == expected


def test_a_partial_message_is_known_as_such() -> None:
    data = encode_request(1, "search", {"query": "x"})
    decoder = Decoder()
    assert not decoder.partial
    decoder.feed(data + data[:3])
    assert decoder.next() is not None
    assert decoder.next() is None
    assert decoder.partial
    decoder.feed(data[3:])
    assert decoder.next() is not None
    assert decoder.next() is None
    assert not decoder.partial


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"a": 1}, "array"),
        ([], "array"),
        ([3, 1, "m", []], "type"),
        ([True, 1, "m", []], "type"),
        (["0", 1, "m", []], "type"),
        ([0, 1, "m"], "4 elements"),
        ([2, "m", [], 1], "3 elements"),
        ([0, -1, "m", []], "id"),
        ([0, MAX_ID + 1, "m", []], "id"),
        ([0, 1.0, "m", []], "id"),
        ([0, True, "m", []], "id"),
        ([0, 1, 7, []], "method"),
        ([0, 1, None, []], "method"),
        ([0, 1, "m", {}], "parameters"),
        ([0, 1, "m", None], "parameters"),
        ([0, 1, "m", [{1: 2}]], "MessagePack"),
        ([0, 1, "m", [[[[[[[[[1]]]]]]]]]], "nested"),
    ],
)
def test_what_is_no_message_is_named(message: object, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        decode(msgpack.packb(message))


def test_a_method_may_come_as_bytes() -> None:
    assert decode(msgpack.packb([0, 1, b"status", []])) == [Request(1, "status", [])]


def peak_bytes(data: bytes, limits: Limits) -> int:
    tracemalloc.start()
    try:
        decoder = Decoder(limits)
        with pytest.raises(ProtocolError):
            for piece in itertools.chain([data], itertools.repeat(b"x" * 4096, 2 * limits.max_message_bytes // 4096)):
                decoder.feed(piece)
                assert decoder.next() is None
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "bomb",
    [
        pytest.param(b"\xdd\x7f\xff\xff\xff", id="an array of 2 billion"),
        pytest.param(b"\xdf\x7f\xff\xff\xff", id="a map of 2 billion"),
        pytest.param(b"\xc6\xff\xff\xff\xff", id="4 GB of bytes"),
        pytest.param(b"\xdb\xff\xff\xff\xff", id="a string of 4 GB"),
        pytest.param(b"\xdc\xff\xff" * 1_000, id="arrays of 65,535, nested"),
        pytest.param(b"\xdc\x01\x00" * 1_500, id="arrays of 256, nested"),
        pytest.param(b"\x91" * 2_000, id="arrays of one, nested"),
        pytest.param(b"\x81\xa1a" * 2_000, id="maps of one, nested"),
        pytest.param(b"\xc9\xff\xff\xff\xff\x01", id="an extension of 4 GB"),
    ],
)
def test_a_bomb_costs_little_memory(bomb: bytes) -> None:
    assert peak_bytes(bomb, SERVER_LIMITS) < 8 << 20


def test_a_message_in_small_pieces_cannot_grow_beyond_its_limit() -> None:
    decoder = Decoder(SMALL)
    decoder.feed(b"\x94\x00\x01\xa1m\x9f")
    with pytest.raises(ProtocolError, match="100 bytes"):
        for _ in range(50):
            decoder.feed(b"\xaa0123456789")
            assert decoder.next() is None


def test_a_message_of_the_exact_limit_passes_and_one_byte_more_does_not() -> None:
    def message(size: int) -> bytes:
        frame = len(msgpack.packb([0, 1, "m", ["x" * 60]]))
        return msgpack.packb([0, 1, "m", ["x" * (60 + size - frame)]])

    assert len(message(100)) == 100
    assert len(decode(message(100), SMALL)) == 1
    with pytest.raises(ProtocolError, match="100 bytes"):
        decode(message(101), SMALL)


def test_many_messages_at_once_are_not_one_large_message() -> None:
    data = encode_request(1, "m", {"a": "x" * 50})
    assert len(decode(data * 1_000, SMALL)) == 1_000


def test_a_full_page_of_results_passes_the_clients_limits() -> None:
    results = [{"path": f"{n}.py", "snippet": "x" * 2_000, "explain": {"a": {"value": 1.0}}} for n in range(1_000)]
    assert decode(encode_response(1, None, {"results": results}), CLIENT_LIMITS)[0].result["results"] == results


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        ("caf\xe9/\N{SNOWMAN}", "caf\xe9/\N{SNOWMAN}"),
        ("caf\udce9.py", "caf\udce9.py"),  # A Latin-1 file name as `os.fsdecode` gives it.
        ("a\ud800b", "a?b"),
        ("\udc41", "?"),
        ("\udcff\ud800\udc80", "\udcff?\udc80"),
    ],
)
def test_strings_that_are_not_text_go_over_the_wire(sent: str, received: str) -> None:
    assert decode(encode_request(1, "m", {"path": sent})) == [Request(1, "m", [{"path": received}])]


def test_a_surrogate_escaped_name_is_the_files_own_bytes_on_the_wire() -> None:
    assert b"\xa8caf\xe9.txt" in encode_request(1, "m", {"p": "caf\udce9.txt"})


def test_every_error_class_comes_back_as_itself() -> None:
    classes = [c for c in vars(regend.errors).values() if isinstance(c, type) and issubclass(c, RegendError)]
    assert len(classes) > 15
    for cls in classes:
        back = error_from_wire(error_to_wire(cls("what, which, remedy")))
        assert (type(back), str(back), back.code) == (cls, "what, which, remedy", cls.code)


def test_an_unknown_code_becomes_an_rpc_error_with_it() -> None:
    back = error_from_wire({"code": "brand_new", "message": "m", "data": {"n": 1}})
    assert isinstance(back, RpcError)
    assert (back.code, str(back), back.data) == ("brand_new", "m", {"n": 1})


@pytest.mark.parametrize("odd", ["plain text", 7, None, [], {}, {"code": 5}, {"message": None}])
def test_an_odd_error_is_still_an_error(odd: object) -> None:
    assert isinstance(error_from_wire(odd), RegendError)


def test_an_rpc_errors_code_and_data_cross_the_wire() -> None:
    assert error_to_wire(RpcError("late", code="timeout", data=[1])) == {
        "code": "timeout",
        "message": "late",
        "data": [1],
    }
    assert error_to_wire(RootError("gone")) == {"code": "root_error", "message": "gone", "data": None}
