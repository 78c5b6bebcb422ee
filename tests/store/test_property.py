"""Any sequence of operations, second roots, removals and reopenings leads to what plain dicts lead to."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from regend.core.commands import Commit
from regend.store.store import open_store
from tests.store.oracle import Oracle, check, random_op
from tests.store.samples import MODEL


def run(seed: int, state_dir: Path, steps: int) -> None:
    rng = random.Random(seed)
    oracle = Oracle()
    store = open_store(state_dir, MODEL)
    first = store.add_root("/one", "/git", "")
    oracle.trees[first.root] = {}
    try:
        for step in range(steps):
            event = rng.random()
            if event < 0.05 and len(oracle.trees) < 3:
                name = f"/root{step}"
                record = store.add_root(name, rng.choice(["/git", name]), "")
                oracle.trees[record.root] = {}
            elif event < 0.08 and len(oracle.trees) > 1:
                root = rng.choice(sorted(oracle.trees))
                store.remove_root(root)
                del oracle.trees[root]
            elif event < 0.14:
                store.close()
                store = open_store(state_dir, MODEL)
            elif event < 0.2:
                store.maintain(idle=True)
            else:
                ops = [random_op(oracle, rng) for _ in range(rng.randrange(1, 5))]
                generation = store.reads.snapshot.generation
                committed = store.apply(Commit(step, tuple(ops)))
                assert committed.generation == generation + 1
                assert committed.missing == ()
                for op in ops:
                    oracle.do(op)
            if step % 3 == 0:
                check(store, oracle)
        check(store, oracle)
        store.close()
        store = open_store(state_dir, MODEL)
        check(store, oracle)
    except BaseException:
        print(f"seed {seed}, step {step}")
        raise
    finally:
        store.close()


@pytest.mark.parametrize("memory_docs", [0, 12, 256])
@pytest.mark.parametrize("seed", range(5))
def test_the_store_follows_the_oracle(
    seed: int, memory_docs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regend.store.memory.MEMORY_DOCS", memory_docs)
    run(seed, tmp_path, steps=40)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 160))
def test_the_store_follows_the_oracle_for_longer(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regend.store.memory.MEMORY_DOCS", seed % 3 * 8)
    run(seed, tmp_path, steps=200)
