"""Histories are read in the background, follow new commits, are bounded, and hold up no flush for long."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from regend.daemon.handlers import histories
from regend.daemon.handlers.histories import Histories
from regend.disk.calls import RootCalls
from regend.types import RootId
from tests.disk.test_history import commit, git


class Roots:
    """As much of the served roots as histories need."""

    def __init__(self, *paths: Path) -> None:
        self.served = {
            RootId(n): SimpleNamespace(path=str(path), record=SimpleNamespace(root=RootId(n)))
            for n, path in enumerate(paths)
        }

    def get(self, root: RootId) -> SimpleNamespace | None:
        return self.served.get(root)

    def all(self) -> list[SimpleNamespace]:
        return list(self.served.values())


@pytest.fixture
def calls() -> Iterator[RootCalls]:
    made = RootCalls()
    yield made
    made.close()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def repository(place: Path, subject: str = "Send a request again") -> Path:
    place.mkdir()
    git(place, "init", "-q", "-b", "main")
    commit(place, subject, "net.py")
    return place


def shares(found: Histories, word: str, root: int = 0) -> dict[str, float]:
    known = found.of(RootId(root))
    return {} if known is None else dict(known.shares([word]))


async def test_a_new_commit_is_known_after_the_next_flush(base: Path, calls: RootCalls) -> None:
    place, changes = repository(base / "a"), []
    found = Histories(Roots(place), calls, lambda: changes.append(1))  # type: ignore[arg-type]
    assert shares(found, "request") == {}
    await found.settle()
    assert shares(found, "request") == {"net.py": 1.0}
    commit(place, "Keep answers", "cache.py")
    await found.settle()
    assert shares(found, "answers") == {"cache.py": 1.0}
    await found.settle()
    assert len(changes) == 2, "nothing new leads to nothing"
    git(place, "reset", "-q", "--hard", "HEAD~1")
    await found.settle()
    assert shares(found, "answers") == {}


async def test_who_asks_has_it_looked_at_for_those_who_ask_later(
    base: Path, calls: RootCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(histories, "_AGAIN_S", 0.0)
    place = repository(base / "a")
    found = Histories(Roots(place), calls, lambda: None)  # type: ignore[arg-type]
    deadline = time.monotonic() + 10.0
    for word in ("request", "answers"):
        while not await asyncio.to_thread(shares, found, word):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        commit(place, "Keep answers", "cache.py")


async def test_only_the_last_asked_are_kept(base: Path, calls: RootCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "MOST_KEPT", 2)
    places = [repository(base / str(n)) for n in range(4)]
    found = Histories(Roots(*places), calls, lambda: None)  # type: ignore[arg-type]
    for n in range(4):
        shares(found, "request", n)
        await asyncio.sleep(0.0)
        await asyncio.gather(*found._looking.values())
        await found.settle()  # A flush asks for none of them.
        assert shares(found, "request", n)
    assert [bool(shares(found, "request", n)) for n in range(4)].count(True) <= 2
    assert shares(found, "request", 3)


async def test_a_flush_reads_no_more_than_are_kept(
    base: Path, calls: RootCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(histories, "MOST_KEPT", 2)
    places, changes = [repository(base / str(n)) for n in range(5)], []
    found = Histories(Roots(*places), calls, lambda: changes.append(1))  # type: ignore[arg-type]
    for _ in range(4):
        await found.settle()
    assert len(changes) == 2


async def test_a_root_that_is_gone_is_forgotten_and_a_plain_folder_has_none(base: Path, calls: RootCalls) -> None:
    place, plain = repository(base / "a"), base / "plain"
    plain.mkdir()
    roots = Roots(place, plain)
    found = Histories(roots, calls, lambda: None)  # type: ignore[arg-type]
    await found.settle()
    assert shares(found, "request") and not shares(found, "request", 1)
    del roots.served[RootId(0)]
    await found.settle()
    assert not shares(found, "request")


async def test_a_file_system_that_does_not_answer_is_waited_for_once(
    base: Path, calls: RootCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, other, held = repository(base / "a"), repository(base / "b"), threading.Event()
    read = histories._read

    def reads(path: Path, before: str) -> object:
        if path == place:
            held.wait(20.0)
        return read(path, before)

    monkeypatch.setattr(histories, "_read", reads)
    found = Histories(Roots(place, other), calls, lambda: None)  # type: ignore[arg-type]
    begun = time.monotonic()
    await found.settle()
    assert time.monotonic() - begun < 5.0
    assert shares(found, "request", 1) and not shares(found, "request")
    begun = time.monotonic()
    await found.settle()
    assert time.monotonic() - begun < 0.9
    held.set()
    found.close()
