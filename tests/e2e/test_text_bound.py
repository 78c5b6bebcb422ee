"""A file that changes without end sends a bounded number of texts to a server elsewhere; other files are unaffected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.embedding import embedding_server
from tests.e2e.rig import Daemon, daemon, wait_for
from tests.embedding.server import EmbeddingServer

BOUND = 30
CHANGES = 20
FUNCTIONS = 8
"""Functions, and so about as many chunks, of each version of the file."""


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with embedding_server() as started:
        yield started


def config(server: EmbeddingServer, root: Path, role: str, host: str = "0.0.0.0") -> str:
    """That address leads to this machine, but the daemon takes only loopback for local."""
    url = server.url.replace("127.0.0.1", host)
    return (
        f'[embedding]\nprovider = "http"\nurls = ["{url}"]\nmodel = "hash"\nrole = "{role}"\n'
        f'remote_roots = ["{root}"]\ntexts_per_file_hour = {BOUND}\n'
    )


def version(name: str, number: int) -> str:
    body = "    " + f"total_{number} = value * {number} + offset  # padding so that each is a chunk of its own\n" * 8
    functions = (f"def {name}_{number}_{n}(value, offset):\n" + body.replace("\n", "\n    ") for n in range(FUNCTIONS))
    return "\n\n".join(text.rstrip() + f"\n    return total_{number}\n" for text in functions)


def texts_with(server: EmbeddingServer, word: str) -> int:
    return sum(f"def {word}_" in text for texts in server.texts for text in texts)


def upgrade(subject: Daemon) -> dict[str, Any]:
    return subject.status()["model"]["upgrade"]


def is_quiet(subject: Daemon) -> bool:
    return not any(subject.status()["queues"].values())


@pytest.mark.parametrize("role", ["only", "upgrade"])
def test_at_most_the_bound_is_sent_of_a_file_that_never_rests(
    server: EmbeddingServer, tmp_path: Path, role: str
) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "calm.py").write_text(version("calm", 0))
    with daemon(config(server, root, role)) as subject:
        subject.start(root)
        for number in range(CHANGES):
            (root / "hot.py").write_text(version("hot", number))
            answer = subject.flush()
            assert subject.paths(f"hot_{number}_3", k=1) == ["hot.py"], "words are searchable at once"
            wait_for(lambda: is_quiet(subject), "what may be sent is sent")
        assert FUNCTIONS < texts_with(server, "hot") <= BOUND, "the first version whole, and others up to the bound"
        assert answer["complete"] == (role == "upgrade"), "a flush waits for the first model only, and not for an hour"
        (reason,) = subject.status()["held_back"]
        assert reason.startswith(f"1 file waits for vectors, such as hot.py in {root} for ")
        if role == "upgrade":
            wait_for(lambda: upgrade(subject)["pools_served"] == 1, "the stronger model serves all that it has")
            assert upgrade(subject)["chunks_lacking"] >= FUNCTIONS
        before = texts_with(server, "calm")
        (root / "calm.py").write_text(version("calm", 1))
        subject.flush()
        wait_for(lambda: texts_with(server, "calm") >= before + FUNCTIONS, "another file is unaffected")
        (root / "hot.py").unlink()
        assert subject.flush()["complete"] and not subject.status()["held_back"], (
            "a file that is gone is not waited for"
        )


def test_a_server_on_this_machine_has_no_bound(server: EmbeddingServer, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    with daemon(config(server, root, "only", "127.0.0.1")) as subject:
        subject.start(root)
        for number in range(2 + BOUND // FUNCTIONS):
            (root / "hot.py").write_text(version("hot", number))
            assert subject.flush()["complete"]
        assert texts_with(server, "hot") > BOUND and not subject.status()["held_back"]
