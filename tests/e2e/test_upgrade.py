"""A daemon with a server of a stronger model: the built-in one serves at once, the stronger one takes over, and nothing
that goes wrong with the server costs an answer, a chunk, or a secret.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.canary import KEY, KEY_VARIABLE, SECRET
from tests.e2e.embedding import embedding_server
from tests.e2e.rig import Daemon, daemon, wait_for
from tests.embedding.bert import save_model
from tests.embedding.server import EmbeddingServer


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with embedding_server() as started:
        yield started


def config(*servers: EmbeddingServer, **settings: Any) -> str:
    urls = ", ".join(f'"{server.url}"' for server in servers)
    rest = "\n".join(f"{name} = {value!r}" for name, value in ({"api_key_env": KEY_VARIABLE} | settings).items())
    return f'[embedding]\nprovider = "http"\nurls = [{urls}]\nmodel = "hash"\n{rest}\n'


LONG_BODY = "".join(f"    value.step_number({k})\n" for k in range(30))
"""Makes a function a chunk of its own."""


def write_tree(root: Path, files: int = 12) -> Path:
    root.mkdir(exist_ok=True)
    for n in range(files):
        body = "\n\n".join(f"def function_{n}_{m}(value):\n{LONG_BODY}    return value * {n} + {m}" for m in range(8))
        (root / f"module_{n}.py").write_text(body + "\n")
    return root


def upgrade(of: Daemon) -> dict[str, Any]:
    return of.status()["model"]["upgrade"]


def has_taken_over(of: Daemon) -> bool:
    shown = upgrade(of)
    return shown.get("pools_served") == 1 and shown.get("chunks_lacking") == 0


def test_from_the_built_in_model_to_the_stronger_one(server: EmbeddingServer, tmp_path: Path) -> None:
    server.delay_s = 0.2
    root = write_tree(tmp_path / "tree")
    with daemon(config(server)) as running:
        running.start(root)
        assert running.flush()["complete"]
        assert running.paths("function_3_2") and not has_taken_over(running)
        assert not any(body["input"] == ["function_3_2"] for body in server.asked), "the built-in model answered"
        wait_for(lambda: has_taken_over(running), "the stronger model takes over")
        given = Counter(text for texts in server.texts for text in texts)
        assert max(given.values()) == 1, "no text was paid for twice"
        assert running.paths("function_3_2")[0] == "module_3.py"
        assert ["function_3_2"] in server.texts, "the stronger model was asked"
        before = len(server.asked)
        (root / "module_3.py").write_text("def brand_new_thing(value):\n    return value\n")
        running.flush()
        assert running.paths("brand_new_thing")[0] == "module_3.py"
        wait_for(lambda: has_taken_over(running), "it catches up with the edit")
        assert sum(len(texts) for texts in server.texts[before:]) <= 3
        assert running.stop() == 0
        running.start(root)
        wait_for(lambda: has_taken_over(running), "it serves again at once")
        assert max(Counter(t for texts in server.texts for t in texts if t.startswith("def ")).values(), default=1) == 1


def test_a_server_that_is_not_there_yet(tmp_path: Path) -> None:
    with embedding_server() as server:
        port = server.port
    root = write_tree(tmp_path / "tree", 3)
    with daemon(config(server)) as running:
        running.start(root)
        assert running.flush()["complete"] and running.paths("function_1_1")
        assert "did not answer" in upgrade(running)["error"]
        with embedding_server(port) as server:
            wait_for(lambda: has_taken_over(running), "the model is found without a restart")
        assert running.paths("function_1_2"), "and while it is away the built-in model answers"


def test_nothing_secret_shows(server: EmbeddingServer, tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree", 3)
    (root / "leak.py").write_text(f"def connect():\n    return login('{SECRET}')\n")
    server.answer(lambda texts: web.Response(status=400, text=f"bad key {KEY}, bad texts {texts}"))
    with daemon(config(server, attempts=1)) as running:
        running.start(root)
        running.flush()
        running.search("connect login")
        wait_for(lambda: server.asked != [], "texts were sent")
        wait_for(lambda: "error" in upgrade(running), "the refusal shows")
        shown = running.log() + str(running.status()) + str(running.call("config"))
        for pid in (running.process.pid, *running.worker_pids()):
            shown += Path(f"/proc/{pid}/cmdline").read_text()
        assert KEY not in shown and SECRET not in shown
        assert server.headers[-1]["Authorization"] == f"Bearer {KEY}"


def test_a_model_alone(server: EmbeddingServer, tmp_path: Path) -> None:
    """With role `only` there is no built-in model, and the dimension is asked of the server."""
    root = write_tree(tmp_path / "tree", 3)
    with daemon(config(server, role="only")) as running:
        running.start(root)
        assert running.flush()["complete"]
        status = running.status()
        assert status["model"]["id"] == "hash@256" and "upgrade" not in status["model"]
        assert running.paths("function_1_1")[0] == "module_1.py" and ["function_1_1"] in server.texts


def test_the_line_at_the_end_of_a_bulk_index(server: EmbeddingServer, tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree", 60)
    with daemon(config(server)) as running:
        running.start(root)
        running.flush()
        wait_for(lambda: has_taken_over(running), "the stronger model takes over")
        wait_for(lambda: running.log().count('"bulk_embedded"') == 2, "both models report")
        assert '"average_fill"' in running.log() and '"hash@256"' in running.log()


@pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="the extra `onnx` is not installed")
def test_a_model_of_ones_own(tmp_path: Path) -> None:
    """In the same warm workers that chunk, and taking over as a server's does."""
    save_model(tmp_path / "tiny-model")
    root = write_tree(tmp_path / "tree", 3)
    with daemon(f'[embedding]\nprovider = "onnx"\nmodel_dir = "{tmp_path / "tiny-model"}"\n') as running:
        running.start(root)
        assert running.flush()["complete"]
        wait_for(lambda: has_taken_over(running), "the model takes over")
        assert upgrade(running)["id"].startswith("onnx-tiny-model-") and upgrade(running)["dim"] == 32
        assert running.paths("function_1_1")
        assert running.status()["counters"]["query_embed_requests"] == 1
