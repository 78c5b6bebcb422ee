"""Applies a seeded sequence of commits and kills itself at a named step; run by `test_crash.py`.

Usage: `python -m tests.store.crash_child STATE_DIR SEED STEP COUNT MEMORY_DOCS`.
Prints the number of each finished commit.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

from regend.core.commands import Commit, Op
from regend.store import memory
from regend.store.store import open_store
from regend.types import RootId
from tests.store.oracle import FILES, WORDS, Oracle, random_op
from tests.store.samples import MODEL, put

COMMITS = 25


def commits(seed: int, root: RootId) -> list[list[Op]]:
    """The operations of each commit. They depend on the seed only."""
    rng, oracle = random.Random(seed), Oracle({root: {}})
    return [
        [random_op(oracle, rng) for _ in range(rng.randrange(1, 4))]
        + [put(root, f"new{number}.py", FILES[number % len(WORDS)])]
        for number in range(COMMITS)
    ]


def main(state_dir: str, seed: str, step: str, count: str, memory_docs: str) -> None:
    memory.MEMORY_DOCS = int(memory_docs)
    store = open_store(Path(state_dir), MODEL)
    root = store.add_root("/r", "/r", "").root
    left = int(count)

    def at_step(name: str) -> None:
        nonlocal left
        left -= name == step
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    store.on_step = at_step
    for number, ops in enumerate(commits(int(seed), root)):
        store.apply(Commit(number, tuple(ops)))
        print(number, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
