"""An observation means nothing, a new signature, a known blob, a file to read, or a deletion."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from regend.core.commands import DeleteFile, PutFile, SkipFile, TouchFile
from regend.core.events import FileState, Observation
from regend.core.planner import Planner, Read, ancestors, covers
from regend.types import UNSURE, BlobId, PoolId, RootId, StatSig

R, S = RootId(1), RootId(2)
POOL = PoolId(1)
OLD, NEW = StatSig(1, 1, 1, 1), StatSig(2, 2, 2, 2)
A, B = BlobId(b"a"), BlobId(b"b")


def planner(files: dict[str, FileState] | None = None, blobs: tuple[BlobId, ...] = (A,)) -> Planner:
    made = Planner()
    made.add_root(R, POOL, files or {}, blobs)
    return made


def test_an_unchanged_signature_or_blob_is_nothing() -> None:
    plan = planner({"f": FileState(OLD, A)})
    assert plan.diff(R, Observation("f", OLD, unchanged=True)) is None
    assert plan.diff(R, Observation("f", OLD, A)) is None


def test_same_blob_with_another_signature_is_a_touch() -> None:
    plan = planner({"f": FileState(OLD, A)})
    op = plan.diff(R, Observation("f", NEW, A))
    assert op == TouchFile(R, "f", NEW)
    plan.plan(op)
    assert plan.planned_sig(R, "f") == NEW


def test_a_skipped_file_that_is_written_again_is_put_if_the_pool_knows_its_content() -> None:
    plan = planner({"f": FileState(OLD, A, skipped=True)})
    assert plan.diff(R, Observation("f", NEW, A)) == PutFile(R, "f", NEW, A, None)
    assert plan.diff(R, Observation("f", NEW, A), retry_skipped=True) == Read("f", A, NEW)


def test_a_known_blob_is_put_without_reading() -> None:
    assert planner().diff(R, Observation("new", OLD, A)) == PutFile(R, "new", OLD, A, None)


def test_an_unknown_blob_is_read_and_known_once_committed() -> None:
    plan = planner()
    assert plan.diff(R, Observation("f", OLD, B)) == Read("f", B, OLD)
    plan.pool_holds(R, B)
    assert plan.diff(R, Observation("f", OLD, B)) == PutFile(R, "f", OLD, B, None)


def test_a_skip_is_recorded_once_and_looked_at_again_without_trust() -> None:
    plan = planner()
    op = plan.diff(R, Observation("f", OLD, skip_reason="too_large"))
    assert op == SkipFile(R, "f", OLD, None, "too_large")
    plan.plan(op)
    assert plan.diff(R, Observation("f", OLD, skip_reason="too_large")) is None
    assert plan.known(R, ("",)) == {}
    assert plan.diff(R, Observation("f", NEW, skip_reason="too_large")) is None, "an append changes nothing"
    assert plan.diff(R, Observation("f", NEW, skip_reason="symlink")) is not None
    assert plan.diff(R, Observation("f", NEW, B)) == Read("f", B, NEW)


def test_a_skip_of_before_the_start_is_recorded_again_because_its_reason_is_unknown() -> None:
    plan = planner({"f": FileState(OLD, None, True)})
    assert plan.diff(R, Observation("f", OLD, skip_reason="too_large")) is None
    assert plan.diff(R, Observation("f", NEW, skip_reason="too_large")) is not None


def test_a_file_that_a_worker_skipped_is_touched_once_its_signature_is_sure() -> None:
    plan = planner()
    plan.plan(PutFile(R, "f", UNSURE, B, None), "binary")
    assert plan.is_skipped_for(R, "f", "binary") and not plan.is_skipped_for(R, "f", "minified")
    touch = plan.diff(R, Observation("f", OLD, B))
    assert touch == TouchFile(R, "f", OLD)
    plan.plan(touch)
    assert plan.diff(R, Observation("f", NEW, B)) is None
    plan.plan(PutFile(R, "f", NEW, A, None))
    assert not plan.is_skipped_for(R, "f", "binary")


def test_a_quarantine_is_no_skip_that_a_new_content_may_keep() -> None:
    plan = planner()
    plan.plan(SkipFile(R, "f", OLD, B, "quarantined: crashed"))
    assert not plan.is_skipped_for(R, "f", "quarantined: crashed")
    assert plan.diff(R, Observation("f", OLD, B)) is None
    assert plan.diff(R, Observation("f", NEW, B)) == Read("f", B, NEW, again=True)


def test_known_signatures_by_scope() -> None:
    plan = planner(
        {"a": FileState(OLD, A), "d/a": FileState(NEW, A), "da": FileState(OLD, A), "d/s": FileState(OLD, None)}
    )
    assert set(plan.known(R, ("",))) == {"a", "d/a", "da"}
    assert plan.known(R, ("d",)) == {"d/a": NEW}
    assert plan.known(R, ("a", "nowhere")) == {"a": OLD}


def test_missing_paths_within_the_scopes() -> None:
    plan = planner(
        {"a": FileState(OLD, A), "d/a": FileState(OLD, A), "d/e/b": FileState(OLD, A), "f": FileState(OLD, A)}
    )
    assert plan.missing(R, ("d",), {"d/a"}, ()) == ["d/e/b"]
    assert plan.missing(R, ("",), {"f"}, ("d/e",)) == ["a", "d/a"]
    assert plan.missing(R, ("f", "g"), set(), ()) == ["f"]


def test_the_newer_observation_wins() -> None:
    plan = planner({"d/a": FileState(OLD, A)})
    assert not plan.is_stale(R, "d/a", 3)
    plan.accept(R, "d/a", 5)
    assert plan.is_stale(R, "d/a", 4) and not plan.is_stale(R, "d/a", 5)
    plan.conclude(R, ("d",), 9)
    plan.conclude(R, ("d",), 8)
    assert plan.is_stale(R, "d/a", 7) and plan.is_stale(R, "d/new", 8) and not plan.is_stale(R, "e", 7)
    plan.accept(R, "d/a", 9, gone=True)
    assert plan.is_doomed(R, "d/a") and not plan.is_doomed(R, "d/new")
    plan.accept(R, "d/a", 10)
    assert not plan.is_doomed(R, "d/a")
    plan.forget_versions(R)
    assert not plan.is_stale(R, "d/a", 0)


def test_a_lost_blob_is_doubted() -> None:
    plan = planner({"f": FileState(OLD, A), "s": FileState(OLD, None, True)})
    plan.pool_lost(R, "f")
    plan.pool_lost(R, "s")
    plan.pool_lost(R, "never")
    assert plan.planned_sig(R, "f") == UNSURE
    assert plan.diff(R, Observation("f", OLD, A)) == Read("f", A, OLD)


def test_a_pool_lives_as_long_as_one_of_its_roots() -> None:
    plan = planner()
    plan.add_root(S, POOL, {}, (B,))
    plan.remove_root(R)
    assert plan.diff(S, Observation("f", OLD, A)) == PutFile(S, "f", OLD, A, None)
    plan.remove_root(S)
    plan.check_invariants()
    plan.add_root(R, POOL, {}, ())
    assert plan.diff(R, Observation("f", OLD, A)) == Read("f", A, OLD)


def test_paths() -> None:
    assert list(ancestors("a/b/c")) == ["a/b", "a", ""]
    assert covers("", "x") and covers("a", "a") and covers("a", "a/b") and not covers("a", "ab")


PATHS = ("a", "d/a", "d/b", "d/e/a", "da")


@given(st.lists(st.tuples(st.sampled_from(("put", "skip", "delete")), st.sampled_from(PATHS)), max_size=40))
def test_the_planned_tree_against_a_plain_dict(steps: list[tuple[str, str]]) -> None:
    plan, tree = planner(), dict[str, BlobId | None]()
    for kind, path in steps:
        if kind == "put":
            plan.plan(PutFile(R, path, OLD, A, None))
            tree[path] = A
        elif kind == "skip":
            plan.plan(SkipFile(R, path, OLD, None, "why"))
            tree[path] = None
        elif path in tree:
            plan.plan(DeleteFile(R, path))
            del tree[path]
        plan.check_invariants()
        assert [p for p in PATHS if plan.is_skipped_for(R, p, "why")] == [p for p in PATHS if tree.get(p, A) is None]
        for scope in ("", "a", "d", "d/e", "da"):
            expected = sorted(p for p in tree if covers(scope, p))
            assert plan.missing(R, (scope,), set(), ()) == expected
            assert sorted(plan.known(R, (scope,))) == [p for p in expected if tree[p] is not None]
