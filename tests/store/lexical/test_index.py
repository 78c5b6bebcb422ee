"""The lexical index finds terms by field, honours filters, survives crashes, and is rebuilt when it is damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from regend.store.base import Hit, LexicalQuery
from regend.store.envelope import parse_signed, signed
from regend.store.lexical.docs import document
from regend.store.lexical.index import LexicalIndex, LexicalWriteError
from regend.store.lexical.search import lexical_search
from regend.types import doc_id

COUNT = 3_000
DOCS = [
    document(i // 3, i % 3, f"common word{i % 50} only{i}", f"outer method{i % 7}", f"src dir{i % 11}")
    for i in range(COUNT)
]
ENTRIES = frozenset(range(COUNT // 3))


def build(directory: Path) -> LexicalIndex:
    index = LexicalIndex(directory)
    index.rebuild(DOCS, generation=5)
    return index


def search(
    index: LexicalIndex,
    *terms: str,
    limit: int = 10,
    allow: frozenset[int] | None = None,
    live: frozenset[int] = ENTRIES,
    **boosts: float,
) -> list[Hit]:
    share = 1.0 if allow is None else len(allow) / len(ENTRIES)
    return lexical_search(index.view(), LexicalQuery(terms, **boosts), limit, allow, share, live.__contains__)


def docs(hits: list[Hit]) -> list[int]:
    return [hit.doc for hit in hits]


def test_terms_are_found_in_each_field_and_boosts_count(tmp_path: Path) -> None:
    index = build(tmp_path)
    assert docs(search(index, "only1234")) == [doc_id(411, 1)]
    assert len(search(index, "method3", limit=1000)) == len(range(3, COUNT, 7))
    assert search(index, "method3", symbol=0.0) == []
    assert search(index, "only7", body=3.0)[0].score == pytest.approx(3 * search(index, "only7")[0].score, rel=1e-5)
    assert search(index, "only7", "only7") == search(index, "only7")
    assert search(index, "absent") == search(index) == search(index, "common", limit=0) == []


def test_equal_scores_come_in_order_of_documents(tmp_path: Path) -> None:
    hits = search(build(tmp_path), "word3", limit=COUNT)
    assert docs(hits) == sorted(docs(hits))
    assert len(hits) == COUNT // 50


@pytest.mark.parametrize("allowed", [1, 30, 999])
def test_allow_limits_the_answer(tmp_path: Path, allowed: int) -> None:
    allow = frozenset(range(allowed))
    found = docs(search(build(tmp_path), "common", limit=20, allow=allow))
    assert len(found) == min(20, 3 * allowed)
    assert {doc >> 16 for doc in found} <= allow
    assert search(build(tmp_path / "b"), "common", allow=frozenset()) == []


def test_many_allowed_entries_are_filtered_from_a_longer_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = build(tmp_path)
    allow = frozenset(range(900, 1000))
    wanted = docs(search(index, "common", "word7", limit=40, allow=allow))
    monkeypatch.setattr("regend.store.lexical.search.TERM_SET_LIMIT", 10)
    assert sorted(docs(search(index, "common", "word7", limit=40, allow=allow))) == sorted(wanted)


def test_documents_of_entries_that_are_not_live_are_left_out(tmp_path: Path) -> None:
    found = docs(search(build(tmp_path), "common", limit=20, live=frozenset({7})))
    assert found == [doc_id(7, 0), doc_id(7, 1), doc_id(7, 2)]


def test_apply_replaces_documents_and_old_views_stay(tmp_path: Path) -> None:
    index = build(tmp_path)
    old = index.view()
    index.apply([411], [document(411, 0, "fresh", "outer", "src")])
    index.mark(6)
    assert search(index, "only1234") == []
    assert docs(search(index, "fresh")) == [doc_id(411, 0)]
    assert index.deleted_docs == 3
    query = LexicalQuery(("only1234",))
    assert docs(lexical_search(old, query, 10, None, 1.0, ENTRIES.__contains__)) == [doc_id(411, 1)]
    index.close_writer()
    assert docs(search(index, "fresh")) == [doc_id(411, 0)]


def test_it_opens_again_at_its_generation(tmp_path: Path) -> None:
    build(tmp_path)
    index = LexicalIndex(tmp_path)
    assert index.open(generation=9)
    assert index.generation == 5
    assert index.matches(COUNT)
    assert docs(search(index, "only1234")) == [doc_id(411, 1)]


def test_a_rebuild_leaves_one_directory_and_strays_go(tmp_path: Path) -> None:
    index = build(tmp_path)
    (tmp_path / "index-half").mkdir()
    index.rebuild(DOCS[:30], generation=6)
    assert len([p for p in tmp_path.iterdir() if p.is_dir()]) == 1
    assert index.matches(30)


def newest(directory: Path, suffix: str) -> Path:
    return max(directory.rglob(f"*{suffix}"))


def change_marker(directory: Path, change: dict[str, object]) -> None:
    """Change a field and sign the marker again: only the field's own check can notice."""
    marker = directory / "marker.json"
    marker.write_bytes(signed(parse_signed(marker.read_bytes()) | change))


def swap(first: Path, second: Path) -> None:
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)


def flip_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "marker gone": lambda d: (d / "marker.json").unlink(),
    "marker garbage": lambda d: (d / "marker.json").write_bytes(b"\x00"),
    "marker empty": lambda d: (d / "marker.json").write_bytes(b""),
    "marker ahead": lambda d: change_marker(d, {"generation": 10}),
    "marker of others": lambda d: change_marker(d, {"owner": "another catalog/1"}),
    "marker of a later commit": lambda d: change_marker(d, {"opstamp": 10_000}),
    "format": lambda d: change_marker(d, {"format": 99}),
    "marker with a wrong digit": lambda d: (d / "marker.json").write_bytes(
        (d / "marker.json").read_bytes().replace(b'"generation": ', b'"generation": 1')
    ),
    "swapped parts": lambda d: swap(newest(d, ".idx"), newest(d, ".term")),
    "another schema": lambda d: newest(d, "meta.json").write_bytes(
        newest(d, "meta.json").read_bytes().replace(b'"basic"', b'"freq"')
    ),
    "meta gone": lambda d: newest(d, "meta.json").unlink(),
    "meta garbage": lambda d: newest(d, "meta.json").write_bytes(b"{}"),
    "postings": lambda d: flip_middle(newest(d, ".idx")),
    "terms": lambda d: flip_middle(newest(d, ".term")),
    "fast": lambda d: flip_middle(newest(d, ".fast")),
    "cut": lambda d: newest(d, ".idx").write_bytes(newest(d, ".idx").read_bytes()[:100]),
    "gone": lambda d: newest(d, ".fieldnorm").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_noticed_at_opening(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    build(tmp_path)
    damage(tmp_path)
    index = LexicalIndex(tmp_path)
    assert not index.open(generation=9)
    index.rebuild(DOCS, generation=9)
    assert docs(search(index, "only1234")) == [doc_id(411, 1)]


def test_a_failed_commit_leaves_the_index_behind(tmp_path: Path) -> None:
    index = build(tmp_path)

    def broken() -> object:
        yield document(5000, 0, "half", "", "")
        raise OSError("disk full")

    with pytest.raises(LexicalWriteError, match="disk full"):
        index.apply([411], broken())  # type: ignore[arg-type]
    assert index.behind
    assert search(index, "half") == []
    assert docs(search(index, "only1234")) == [doc_id(411, 1)]
    index.apply([411], ())
    assert search(index, "only1234") == []
