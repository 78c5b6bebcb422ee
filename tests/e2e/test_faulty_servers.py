"""A daemon whose embedding servers refuse texts, die or are away: what reaches the store, and what a user sees."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import web

from regend.chunking.packing import decompress
from regend.store.catalog.schema import MODEL_SHIFT
from tests.e2e.embedding import embedding_process, embedding_server
from tests.e2e.rig import Daemon, daemon, wait_for
from tests.e2e.test_upgrade import config, write_tree
from tests.embedding.hashing import HashingEncoder
from tests.embedding.server import EmbeddingServer, good, items, texts_in

BATCH = 64


def vector_count(of: Daemon) -> int:
    """Vectors in the store, each of them right."""
    with closing(sqlite3.connect(f"file:{of.state_dir / 'index.db'}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT c.text, v.vector FROM vectors v JOIN chunks c ON c.chunk_key = v.vector_key & ?",
            ((1 << MODEL_SHIFT) - 1,),
        ).fetchall()
    got = np.stack([np.frombuffer(vector, "<f2") for _, vector in rows]).astype(np.float32)
    expected = HashingEncoder().encode([decompress(text) for text, _ in rows], "document")
    np.testing.assert_allclose(got, expected, atol=1e-3)
    return len(rows)


def refuses_poison(texts: list[str]) -> web.StreamResponse:
    if any("poison" in text for text in texts):
        return web.Response(status=400, text="I do not take that")
    return web.json_response({"data": items(texts)})


def test_three_poisons_in_a_thousand_chunks(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree", 125)
    for n in (10, 11, 90):
        path = root / f"module_{n}.py"
        path.write_text(path.read_text().replace(f"function_{n}_3", f"poison_{n}"))
    with embedding_server() as server, daemon(config(server, role="only", batch_items=BATCH)) as running:
        server.answer(refuses_poison)
        running.start(root)
        running.flush()
        status = running.status()
        assert status["roots"][0]["chunks"] == 1_000 and vector_count(running) == 997
        assert status["model"]["refused_chunks"] == 3
        assert {len(row["chunk"]) for row in status["model"]["refused"]} == {32}
        assert all("I do not take that" in row["reason"] for row in status["model"]["refused"])
        batches = sum(own["batches"] for own in status["model"]["batches"].values())
        allowed = 3 * math.log2(BATCH) + batches + status["counters"]["embed_retries"]
        assert len(server.asked) <= allowed, (len(server.asked), allowed)
        said = running.call("why", file=str(root / "module_10.py"))["reason"]
        assert "8 chunks. Lines 1" in said and "have no vector of the model" in said and "I do not take that" in said
        assert "no vector" not in running.call("why", file=str(root / "module_12.py"))["reason"]
        assert running.paths("poison_10")[0] == "module_10.py", "words find it all the same"


def test_one_of_three_servers_is_killed_in_the_middle(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree", 60)
    with ExitStack() as stack:
        servers = [stack.enter_context(embedding_server()) for _ in range(2)]
        url, process = stack.enter_context(embedding_process(delay_s=0.05))
        for server in servers:
            server.delay_s = 0.05
        settings = config(*servers, batch_items=8, role="only").replace("urls = [", f'urls = ["{url}", ')
        with daemon(settings) as running:
            running.start(root)
            wait_for(lambda: running.status()["model"]["provider"]["items"] >= 80, "all three answered")
            process.kill()
            assert running.flush()["complete"]
            status = running.status()
            assert "refused_chunks" not in status["model"]
            assert vector_count(running) == status["roots"][0]["chunks"] == 480, "nothing is lost"
            batches = status["model"]["batches"].values()
            assert round(sum(own["average_items"] * own["batches"] for own in batches)) == 480, "each of them once"
            answered = Counter(text for server in servers for texts in server.texts for text in texts)
            assert max(answered.values()) == 1, "those that live were asked for nothing twice"
            assert len(answered) < 480, "and the one that died had done its part"


def test_a_server_that_goes_and_comes_back(tmp_path: Path) -> None:
    """Edits are found by words meanwhile, and nothing has to be started again."""
    root = write_tree(tmp_path / "tree", 3)

    async def away(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=503)

    def received(server: EmbeddingServer, word: str) -> bool:
        return any(word in text for body in server.asked for text in texts_in(body))

    with embedding_server() as server, daemon(config(server, role="only", attempts=1)) as running:
        running.start(root)
        assert running.flush()["complete"]
        server.respond = server.respond_probe = away
        for n in range(20):
            (root / f"new_{n}.py").write_text(f"def novelty_{n}(value):\n    return value * {n}\n")
        answer = running.flush()
        assert not answer["complete"] and running.paths("novelty_7")[0] == "new_7.py"
        error = running.status()["model"]["error"]
        assert "503" in error or "No embedding server" in error
        server.respond = server.respond_probe = good
        wait_for(lambda: bool(running.status()["complete"]), "it catches up by itself", 60.0)
        assert received(server, "novelty_19") and vector_count(running) == 44
