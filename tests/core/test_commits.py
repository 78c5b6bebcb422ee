"""Operations gather while a commit is in progress, deletes come last, and a failed commit loses nothing."""

from __future__ import annotations

from dataclasses import replace

from regend.chunking.packing import pack
from regend.core.commands import Commit, DeleteFile, PutFile, PutVectors, SkipFile, TouchFile
from regend.core.commits import BULK_LINGER_S, COMMIT_PAUSE_S, MAX_BYTES, MAX_OPS, Commits, PendingOp
from regend.core.scans import EDIT_FILES, Scan
from regend.types import BlobId, Chunk, ChunkedFile, ChunkId, Lane, PackedFile, RootId, StatSig

R, S = RootId(1), RootId(2)
SIG, LATER = StatSig(1, 1, 1, 1), StatSig(2, 2, 2, 2)
BLOB = BlobId(b"b")


def chunked(text: str) -> PackedFile:
    chunk = Chunk(ChunkId(b"c"), 0, 1, 1, "", "window", 1, text, text)
    return pack(ChunkedFile(BLOB, SIG, "text", 1, (chunk,), ()))


def put(path: str, text: str | None = None) -> PutFile:
    return PutFile(R, path, SIG, BLOB, None if text is None else chunked(text))


def test_one_commit_at_a_time_and_deletes_last() -> None:
    commits = Commits()
    assert commits.start(0.0) is None
    commits.add(PendingOp(DeleteFile(R, "old")))
    commits.add(PendingOp(put("new")))
    vectors = PutVectors((ChunkId(b"c"),), None)
    commits.add_vectors(vectors, Lane.BULK)
    assert commits.waiting == 3
    assert commits.start(0.0) == Commit(0, (put("new"), DeleteFile(R, "old"), vectors))
    commits.add(PendingOp(put("next")))
    assert commits.start(0.0) is None
    done = commits.finish(0)
    assert [p.op.path for p in done.ops] == ["new", "old"] and done.vectors == (vectors,)
    assert commits.start(0.0) == Commit(1, (put("next"),))


def test_a_touch_is_merged_into_what_waits() -> None:
    commits = Commits()
    commits.add(PendingOp(put("f", "text")))
    commits.add(PendingOp(TouchFile(R, "f", LATER)))
    commits.add(PendingOp(SkipFile(R, "g", SIG, None, "why")))
    commits.add(PendingOp(TouchFile(R, "g", LATER)))
    commits.check_invariants()
    assert commits.start(0.0) == Commit(
        0, (PutFile(R, "f", LATER, BLOB, chunked("text")), SkipFile(R, "g", LATER, None, "why"))
    )


def test_bytes_are_counted_and_a_commit_is_bounded() -> None:
    commits = Commits()
    commits.add(PendingOp(put("f", "12345")))
    commits.add(PendingOp(put("f", "123")))
    assert commits.waiting_bytes == chunked("123").size_bytes
    for n in range(MAX_OPS + 5):
        commits.add(PendingOp(put(f"p{n}")))
    first = commits.start(0.0)
    assert first is not None and len(first.ops) == MAX_OPS
    assert commits.waiting == 6 and commits.waiting_bytes == 0
    commits.check_invariants()


def test_a_failed_commit_waits_again_below_what_came_since() -> None:
    commits = Commits()
    commits.add(PendingOp(put("f", "text")))
    commits.add(PendingOp(put("g", "old")))
    commits.add_vectors(PutVectors((), 1), Lane.BULK)
    assert commits.start(0.0) is not None
    commits.add(PendingOp(TouchFile(R, "f", LATER)))
    commits.add(PendingOp(put("g", "newer")))
    commits.add_vectors(PutVectors((), 2), Lane.BULK)
    assert commits.paths(R) == ["f", "g", "f", "g"]
    commits.fail(0, 0.0)
    assert commits.start(0.0) is None and commits.next_deadline() == COMMIT_PAUSE_S
    commits.check_invariants()
    assert commits.start(COMMIT_PAUSE_S) == Commit(
        1,
        (
            PutFile(R, "f", LATER, BLOB, chunked("text")),
            put("g", "newer"),
            PutVectors((), 1),
            PutVectors((), 2),
        ),
    )


def test_find_prefers_what_will_be_durable_last() -> None:
    commits = Commits()
    assert commits.find((R, "f")) is None
    first, second = PendingOp(put("f")), PendingOp(DeleteFile(R, "f"))
    commits.add(first)
    commits.start(0.0)
    assert commits.find((R, "f")) is first
    assert commits.find((R, "g")) is None
    commits.add(second)
    assert commits.find((R, "f")) is second
    assert commits.queues() == {"commit_waiting": 1, "commit_running": 1}


def test_a_removed_root_is_dropped() -> None:
    commits = Commits()
    commits.add(PendingOp(put("f", "text")))
    commits.add(PendingOp(PutFile(S, "f", SIG, BLOB, None)))
    commits.drop(R)
    assert commits.waiting_bytes == 0
    assert commits.start(0.0) == Commit(0, (PutFile(S, "f", SIG, BLOB, None),))


def test_bulk_lingers_while_more_is_expected() -> None:
    commits = Commits()
    assert commits.start(0.0, BULK_LINGER_S) is None and commits.next_deadline() is None
    commits.add(PendingOp(put("f")))
    assert commits.start(0.0, BULK_LINGER_S) is None
    assert commits.next_deadline() == BULK_LINGER_S
    commits.add(PendingOp(put("g")))
    commits.add_vectors(PutVectors((), 1), Lane.BULK)
    assert commits.start(BULK_LINGER_S / 2, BULK_LINGER_S) is None
    assert commits.next_deadline() == BULK_LINGER_S, "it lingers from the first on"
    commit = commits.start(BULK_LINGER_S, BULK_LINGER_S)
    assert commit is not None and len(commit.ops) == 3
    commits.finish(0)
    commits.add(PendingOp(put("h")))
    assert commits.start(BULK_LINGER_S, BULK_LINGER_S) is None
    assert commits.start(BULK_LINGER_S) is not None, "nothing more is expected"


def test_full_or_urgent_commits_do_not_linger() -> None:
    heavy = replace(chunked("text"), vectors=b"0" * MAX_BYTES)
    for pending in (PendingOp(PutFile(R, "f", SIG, BLOB, heavy)), PendingOp(put("f"), [edit()])):
        commits = Commits()
        commits.add(pending)
        assert commits.start(0.0, BULK_LINGER_S) is not None
    commits = Commits()
    for n in range(MAX_OPS):
        commits.add(PendingOp(put(f"p{n}")))
    assert commits.start(0.0, BULK_LINGER_S) is not None


def test_vectors_of_edits_do_not_wait_for_bulk() -> None:
    commits = Commits()
    commits.add(PendingOp(put("f")))
    commits.add_vectors(PutVectors((), 1), Lane.EDIT)
    assert commits.start(0.0, BULK_LINGER_S) == Commit(0, (PutVectors((), 1),)), "bulk stays"
    commits.fail(0, 0.0)
    assert commits.start(COMMIT_PAUSE_S, BULK_LINGER_S) == Commit(1, (put("f"), PutVectors((), 1))), "in turn"
    commits.finish(1)
    commits.add(PendingOp(put("g")))
    assert commits.start(COMMIT_PAUSE_S, BULK_LINGER_S) is None


def edit() -> Scan:
    return Scan(R, ("f",), trust=False)


def test_edits_and_bulk_take_turns() -> None:
    commits = Commits()
    for n in range(2 * MAX_OPS):
        commits.add(PendingOp(put(f"bulk{n}"), [Scan(R, ("",), trust=True)]))
    lanes = []
    for n in range(6):
        commits.add(PendingOp(put(f"edit{n}"), [edit()]))
        commit = commits.start(0.0)
        assert commit is not None
        done = commits.finish(commit.commit_id)
        commits.check_invariants()
        assert {pending.lane for pending in done.ops} == {done.lane}
        lanes.append(done.lane)
    assert lanes == [Lane.EDIT, Lane.BULK, Lane.EDIT, Lane.BULK, Lane.EDIT, Lane.EDIT]


def test_an_edit_of_what_waits_in_bulk_makes_it_urgent() -> None:
    commits = Commits()
    scan = Scan(R, ("",), trust=True)
    commits.add(PendingOp(put("other"), [scan]))
    commits.add(PendingOp(put("f", "old"), [scan]))
    commits.add(PendingOp(put("f", "newer"), [edit()]))
    commits.check_invariants()
    found = commits.find((R, "f"))
    assert found is not None and len(found.scans) == 2 and commits.waiting == 2
    commit = commits.start(0.0)
    assert commit is not None and commit.ops == (put("f", "newer"),)


def test_many_files_at_once_are_no_edit() -> None:
    scan = Scan(R, ("d",), trust=False, seen={f"d/{n}" for n in range(EDIT_FILES + 1)})
    assert PendingOp(put("f"), [scan]).lane is Lane.BULK
