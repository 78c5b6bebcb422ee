"""The store opens whatever happens to a file of its directory, and its answers are right, older, or not there yet.

"Older" is one of the states that were committed; "not there yet" has the roots and empty trees. After a reconcile the
store equals one that was never damaged.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.ledger import record
from tests.store.damage import BASE_ROWS, KINDS, MOMENTS, States, hurt, populate, reopen_and_check

CASES = 40
SLOW_CASES = 2_000
SLOW_SLICES = 20


@pytest.fixture(autouse=True)
def _small_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regend.store.vectors.merge.BASE_ROWS", BASE_ROWS)
    monkeypatch.setattr("regend.store.vectors.merge.BUILD_AFTER_S", 0.0)


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> States:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("regend.store.vectors.merge.BASE_ROWS", BASE_ROWS)
        patch.setattr("regend.store.vectors.merge.BUILD_AFTER_S", 0.0)
        return populate(tmp_path_factory.mktemp("states"), seed=3)


def run_case(states: States, directory: Path, number: int) -> str:
    """Case `number`: every kind and moment in turn, files at random but each of them equally often."""
    rng = random.Random(number)
    moment, kind = MOMENTS[number % 2], KINDS[number // 2 % len(KINDS)]
    files = states.files(moment)
    name = files[number * 7 % len(files)]
    state_dir = directory / str(number)
    shutil.copytree(states.directory / moment, state_dir)
    done = hurt(states, state_dir, moment, kind, name, rng)
    try:
        found = reopen_and_check(states, state_dir)
        record("damaged state files", 1)
        return found
    except BaseException as error:
        record("damaged state files", 1, diverged=1)
        raise AssertionError(f"case {number}: {done}: {type(error).__name__}: {error}") from error
    finally:
        shutil.rmtree(state_dir)


def test_the_states_hold_every_kind_of_file(states: States) -> None:
    for moment in MOMENTS:
        names = states.files(moment)
        for part in ("index.db", "index.db.sums", "index.db.roots", "marker.json", "meta.json", "sums.json",
                     ".idx", ".term", ".fast", ".envelope", ".payload"):  # fmt: skip
            assert any(name.endswith(part) for name in names), (moment, part)
    assert (states.directory / "killed" / "index.db-wal").stat().st_size > 0
    for moment in MOMENTS:
        assert run_untouched(states, moment) == "whole"


def run_untouched(states: States, moment: str) -> str:
    state_dir = states.directory / f"untouched-{moment}"
    shutil.copytree(states.directory / moment, state_dir)
    return reopen_and_check(states, state_dir)


@pytest.mark.parametrize("number", range(CASES))
def test_a_damaged_file(states: States, tmp_path: Path, number: int) -> None:
    assert run_case(states, tmp_path, number) in ("whole", "older", "anew")


@pytest.mark.slow
@pytest.mark.parametrize("part", range(SLOW_SLICES))
def test_many_damaged_files(states: States, tmp_path: Path, part: int) -> None:
    size = SLOW_CASES // SLOW_SLICES
    numbers = range(CASES + part * size, CASES + (part + 1) * size)
    found = Counter(run_case(states, tmp_path, number) for number in numbers)
    assert found.total() == size
    print(dict(found))
