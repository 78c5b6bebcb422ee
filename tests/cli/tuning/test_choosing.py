"""A value is proposed only where it is faster in every round, and by enough; a slow machine slows all of a round."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from regend.cli.settings import toml
from regend.cli.tuning.choosing import GAIN, MAX_WORKERS, Run, Trial, candidates, chosen, gain_of, proposal
from regend.config import config_from_text

ROUNDS = 3


def trial(value: object, took_s: list[float], usual: bool = False, key: str = "workers.window") -> Trial:
    return Trial(key, value, usual, tuple(Run(one, 2 * one) for one in took_s))


def noisy(rng: random.Random, cost_s: float, load: list[float], noise: float) -> list[float]:
    return [cost_s * slow * rng.uniform(1.0 - noise, 1.0 + noise) for slow in load]


@pytest.mark.parametrize("seed", range(300))
def test_the_fastest_is_proposed_and_noise_is_not(seed: int) -> None:
    rng = random.Random(seed)
    load = [rng.uniform(1.0, 4.0) for _ in range(ROUNDS)]
    same = [trial(0, noisy(rng, 2.0, load, 0.02), True)]
    same += [trial(n, noisy(rng, 2.0, load, 0.02)) for n in range(1, 4)]
    assert chosen(same).is_usual and proposal(same, {"workers.window": 0}) == {}
    fast = trial(9, noisy(rng, 2.0 * rng.uniform(0.3, 0.85), load, 0.02))
    trials = [*same, fast]
    rng.shuffle(trials)
    assert chosen(trials) is fast
    assert proposal(trials, {"workers.window": 0}) == {"workers.window": 9}
    assert gain_of(fast, same[0]) > GAIN


def test_one_round_that_was_slower_is_enough_to_leave_it() -> None:
    usual = trial(4, [2.0, 2.0, 2.0], True)
    assert chosen([usual, trial(8, [1.0, 1.0, 2.1])]).is_usual
    assert chosen([usual, trial(8, [1.0, 1.0, 1.99])]).value == 8


@pytest.mark.parametrize("cores", range(1, 40))
def test_every_value_that_is_tried_is_allowed_and_not_the_default(cores: int) -> None:
    tried = candidates(cores, has_own_batches=True)
    assert "embedding.batch_items" not in candidates(cores, has_own_batches=False)
    for key, values in tried.items():
        table, _, name = key.partition(".")
        assert len(values) == len(set(values))
        for value in values:
            config_from_text(f"[{table}]\n{name} = {toml(value)}\n".encode(), Path(), {})
    counts = tried["workers.count"]
    assert cores not in counts and all(isinstance(count, int) and 1 <= count <= MAX_WORKERS for count in counts)
