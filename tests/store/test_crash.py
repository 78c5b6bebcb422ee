"""`kill -9` between any two steps of a commit loses nothing that was committed and leaves nothing stale."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from regend.core.commands import Commit
from regend.store import memory
from regend.store.store import open_store
from regend.types import RootId
from tests.store.crash_child import COMMITS, commits
from tests.store.oracle import FILES, WORDS, Oracle, check
from tests.store.samples import MODEL

STEPS = ["staged", "committed", "lexical", "marked", "published"]


def lexical_directories(state_dir: Path) -> list[str]:
    return sorted(path.name for path in state_dir.glob("lexical/*/index-*"))


def crash_and_reopen(state_dir: Path, seed: int, step: str, count: int) -> None:
    docs = str(memory.MEMORY_DOCS)
    arguments = [sys.executable, "-m", "tests.store.crash_child", str(state_dir), str(seed), step, str(count), docs]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    finished = len([line for line in done.stdout.splitlines() if line.isdigit()])
    # Before the transaction ends nothing of the commit counts; after it, all of it.
    applied = finished + (step != "staged")
    assert 0 < applied <= COMMITS
    root = RootId(1)
    oracle, sequence = Oracle({root: {}}), commits(seed, root)
    for ops in sequence[:applied]:
        for op in ops:
            oracle.do(op)
    before = lexical_directories(state_dir)
    with open_store(state_dir, MODEL) as store:
        check(store, oracle)
        # The store applied the missing part again; a rebuild would be right too, but slow on a large index.
        assert memory.MEMORY_DOCS or lexical_directories(state_dir) == before
        for number, ops in enumerate(sequence[applied:]):
            store.apply(Commit(number, tuple(ops)))
            for op in ops:
                oracle.do(op)
        check(store, oracle)
    with open_store(state_dir, MODEL) as store:
        check(store, oracle)


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_between_steps(tmp_path: Path, step: str) -> None:
    crash_and_reopen(tmp_path, seed=1, step=step, count=12)


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_while_words_move_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    docs_of = [sum(len(FILES[n % len(WORDS)].chunks) for n in range(count)) for count in range(COMMITS)]
    monkeypatch.setattr("regend.store.memory.MEMORY_DOCS", docs_of[12])
    crash_and_reopen(tmp_path, seed=1, step=step, count=12)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("seed", range(10, 20))
def test_more_kills(tmp_path: Path, step: str, seed: int) -> None:
    crash_and_reopen(tmp_path, seed, step, count=2 + seed % 9)
