"""A root whose vectors stay on disk is searched by the shared store, and answers as one that is searched here."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest

from tests.e2e.rig import wait_for
from tests.sharing.colleagues import CATCH_UP_LIMIT_S, Colleague, config, health_of, source
from tests.sharing.server import Server

QUESTIONS = ["compute part 3 of item 7", "multiply a value by a number", "the first part of the eleventh item"]
DEADLINE_MS = 400


class Searcher(Colleague):
    """A daemon that keeps the vectors of its root on disk."""

    def __init__(self, stack: ExitStack, url: str, *lines: str) -> None:
        super().__init__(stack, url)
        lines = (f'search_roots = ["{self.root}"]', f"search_timeout_ms = {DEADLINE_MS}", *lines)
        (self.daemon.home / "config.toml").write_text(config(url, self.root, *lines))

    def ask(self, query: str, **params: Any) -> dict[str, Any]:
        return self.daemon.call("search", query=query, **params)

    def wait_until_on_disk(self) -> None:
        """Wait until the store finds all chunks of the root, and memory holds no vector."""
        self.wait_until_sent()

        def on_disk() -> bool:
            (root,) = self.shared["roots"]
            return (root["search"], root["in_memory"]) == ("store", 0)

        wait_for(on_disk, "no vector is in memory", CATCH_UP_LIMIT_S)


def places(answer: dict[str, Any]) -> list[tuple[str, int]]:
    return [(result["path"], result["start_line"]) for result in answer["results"]]


def test_answers_are_those_of_a_search_in_memory(url: str, stack: ExitStack) -> None:
    ada = Colleague(stack, url).start()
    ada.wait_until_sent()
    bob = Searcher(stack, url).start()
    bob.wait_until_on_disk()
    file = str(bob.root / "part3.py")

    def same() -> None:
        for number, question in enumerate(QUESTIONS):
            for more in ({}, {"k": 40}, {"path": "part[1-5].py"}, {"lang": "python", "offset": 5}):
                answer, here = bob.ask(question, **more), ada.daemon.call("search", query=question, **more)
                assert places(answer) == places(here), (number, more)
                assert answer["notes"] == here["notes"]
        for line in (0, 3):
            mine = bob.daemon.call("related", file=file, line=line)
            theirs = ada.daemon.call("related", file=str(ada.root / "part3.py"), line=line)
            assert places(mine) == places(theirs) and not mine["notes"]

    same()
    asked = bob.shared["searched"]
    assert asked >= 14 and bob.shared["search_failures"] == 0
    # Nothing that looks like a secret is sent, not even as a vector.
    assert bob.ask("deploy ghp_" + "a1B2c3D4e5" * 4)["results"] is not None
    assert bob.shared["searched"] == asked
    # After a restart, too, although no vector is read into memory.
    bob.daemon.stop()
    bob.daemon.start(bob.root)
    bob.daemon.flush()
    bob.wait_until_on_disk()
    same()
    # An edit is found at once, with vectors that the store does not have yet; a deleted file is not found any more.
    for one in (ada, bob):
        (one.root / "new.py").write_text(source(70))
        (one.root / "part5.py").unlink()
        one.daemon.flush()
    for question in (*QUESTIONS, "compute part 2 of item 70"):
        assert places(bob.ask(question)) == places(ada.daemon.call("search", query=question))
    assert bob.ask("compute part 2 of item 70")["results"][0]["path"] == "new.py"


@pytest.mark.slow
def test_words_answer_by_the_deadline_where_the_store_does_not(
    postgres: Server, database: str, stack: ExitStack
) -> None:
    pytest.importorskip("asyncpg", reason="the package `asyncpg` is missing")
    url = postgres.dsn(database)
    health_of(url)
    bob = Searcher(stack, url).start()
    bob.wait_until_on_disk()
    before = bob.ask(QUESTIONS[0])
    with postgres.frozen():
        answer = bob.ask(QUESTIONS[0])
        assert answer["results"][0]["path"] == before["results"][0]["path"]
        assert [f"did not answer within {DEADLINE_MS / 1e3:g} s" in note for note in answer["notes"]] == [True]
        waited_ms = [answer["took_ms"]]

        def waited() -> bool:
            waited_ms.append(bob.ask(QUESTIONS[0])["took_ms"])
            return len([ms for ms in waited_ms if ms >= DEADLINE_MS]) >= 4

        wait_for(waited, "the store is asked four times", 60.0)
        late_ms = min(ms for ms in waited_ms if ms >= DEADLINE_MS) - DEADLINE_MS
        print(f"{late_ms:.1f} ms after the deadline; {min(waited_ms):.1f} ms while the store is left alone")
        assert late_ms <= 10.0 + min(waited_ms), "the answer by words itself takes its time on a busy machine"
        # Then the store is left alone for a moment, and no query waits.
        again = bob.ask(QUESTIONS[1])
        assert again["notes"] and again["took_ms"] < DEADLINE_MS / 2
        # A file that is edited meanwhile is found by meaning, because its vectors are still here.
        (bob.root / "new.py").write_text(source(71))

        def is_first() -> bool:  # Its vectors come when the store was waited for.
            answer = bob.ask("compute part 2 of item 71", sync=True)
            return answer["results"][0]["path"] == "new.py"

        wait_for(is_first, "the edit is found by meaning")
    wait_for(lambda: not bob.ask(QUESTIONS[0])["notes"], "the store is asked again", CATCH_UP_LIMIT_S)
    after = [place for place in places(bob.ask(QUESTIONS[0])) if place[0] != "new.py"]
    assert after and after == places(before)[: len(after)]
