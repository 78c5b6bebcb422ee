"""The outbox forgets nothing, stays bounded, and is no loss when it is lost."""

from __future__ import annotations

from pathlib import Path

from regend.sharing.base import SharedModel
from regend.sharing.outbox import Outbox
from regend.sharing.reach import FIRST_PAUSE_S, LONGEST_PAUSE_S, Reach
from regend.types import ChunkId

MODEL, OTHER = SharedModel("m", 8), SharedModel("n", 8)


def chunk_ids(*numbers: int) -> list[ChunkId]:
    return [ChunkId(number.to_bytes(16, "big")) for number in numbers]


def waiting(outbox: Outbox, place: str, limit: int = 100) -> dict[SharedModel, list[ChunkId]]:
    return {one.model: list(one.chunks) for one in outbox.take(place, limit)}


def test_what_is_noted_waits_in_order_until_it_is_done(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    first = outbox.tree("a")
    assert (first.whole, first.revision, len(first.tree)) == (1, "", 32)
    assert outbox.tree("b").tree != first.tree
    outbox.note("a", MODEL, chunk_ids(3, 1, 2))
    outbox.note("a", MODEL, chunk_ids(2, 5))
    outbox.note("a", OTHER, chunk_ids(2))
    assert waiting(outbox, "a") == {MODEL: chunk_ids(1, 2, 3, 5), OTHER: chunk_ids(2)}
    assert waiting(outbox, "a", 2) == {MODEL: chunk_ids(1, 2)}
    assert waiting(outbox, "b") == {}
    outbox.done("a", [(MODEL, chunk_ids(1, 2))], chunk_ids(1, 2), "r1")
    outbox.close()
    again = Outbox(tmp_path / "outbox.db")  # As after a restart.
    assert waiting(again, "a") == {MODEL: chunk_ids(3, 5), OTHER: chunk_ids(2)}
    assert again.backlog("a")[0] == 3
    assert again.sent("a") == set(chunk_ids(1, 2))
    assert (again.tree("a").revision, again.tree("a").tree) == ("r1", first.tree)
    again.close()


def test_what_exceeds_the_bound_is_one_comparison(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db", limit=10)
    before = outbox.tree("a").whole
    outbox.done_whole("a", [], "r0", 1, before)
    assert outbox.tree("a").whole == 0
    outbox.note("a", MODEL, chunk_ids(*range(10)))
    assert (outbox.backlog("a")[0], outbox.tree("a").whole) == (10, 0)
    outbox.note("a", MODEL, chunk_ids(10))
    assert (outbox.backlog("a")[0], outbox.tree("a").whole) == (0, 1)
    outbox.close()


def test_a_comparison_that_is_asked_for_during_another_is_not_lost(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    began = outbox.tree("a").whole
    outbox.mark_whole("a")
    outbox.done_whole("a", chunk_ids(2, 1), "r1", 7, began)
    found = outbox.tree("a")
    assert (found.whole, found.revision, found.generation) == (1, "r1", 7)
    assert outbox.sent("a") == set(chunk_ids(1, 2))
    outbox.done_whole("a", chunk_ids(3), "r2", 8, found.whole)
    assert (outbox.tree("a").whole, outbox.sent("a")) == (0, set(chunk_ids(3)))
    outbox.close()


def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    outbox = Outbox(path)
    outbox.tree("a")
    outbox.note("a", MODEL, chunk_ids(*range(600)))
    outbox.done_whole("a", chunk_ids(*range(600)), "r", 1, 1)
    outbox.close()
    whole = path.read_bytes()
    pages = [whole[at : at + 4096] for at in range(0, len(whole), 4096)]
    damaged = [b"".join((*pages[:n], bytes(4096), *pages[n + 1 :])) for n in range(len(pages))]
    for content in (b"not a database" * 1000, whole[:4096], *damaged):
        path.write_bytes(content)
        outbox = Outbox(path)
        assert outbox.tree("a").whole == 1
        outbox.note("a", MODEL, chunk_ids(1))
        assert (outbox.backlog("a")[0], outbox.sent("a"), waiting(outbox, "a")) == (1, set(), {MODEL: chunk_ids(1)})
        outbox.close()
    path.write_bytes(whole)
    outbox = Outbox(path)
    assert (outbox.tree("a").whole, len(outbox.sent("a"))) == (0, 600)
    outbox.close()


def test_a_store_that_is_away_is_asked_less_and_less() -> None:
    reach = Reach()
    now, pauses = 0.0, []
    for _ in range(9):
        assert reach.may_ask("p", now)
        reach.failed("gone", now)
        reach.failed("gone", now)  # A second call that began before the pause counts as the same failure.
        pauses.append(reach.pause_left_s(now))
        assert not reach.may_ask("p", now)
        now += pauses[-1]
    assert pauses[:4] == [FIRST_PAUSE_S, 2.0, 4.0, 8.0]
    assert pauses[-1] == LONGEST_PAUSE_S
    assert reach.losses == 1
    reach.answered("p")
    assert (reach.may_ask("p", now), reach.error) == (True, "")
    reach.failed("gone", now)
    assert reach.losses == 2


def test_a_refusal_holds_for_its_pool() -> None:
    reach = Reach()
    reach.refused("p", "no member", 5.0)
    assert not reach.may_ask("p", 6.0) and reach.may_ask("q", 6.0)
    reach.answered("q")
    assert not reach.may_ask("p", 6.0)
    assert reach.may_ask("p", 5.0 + LONGEST_PAUSE_S)
    reach.answered("p")
    assert reach.may_ask("p", 6.0)
