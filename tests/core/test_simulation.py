"""The whole core under a virtual clock: random edits, renames, deletes, lost hints, reordered and failing answers,
crashes and restarts, times without a worker. Once quiet, the index equals one built from scratch; each flush in between
shows what was on disk when it was asked for.

`REGEND_SCHEDULES` sets how many seeds are tried (2,000 by default; `make test-all` tries 20,000).
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

from regend.core import events as ev
from regend.core.heat import Heat, Key
from regend.core.modes import Mode
from regend.core.planner import Planner
from regend.types import PoolId, RootId
from tests.core.chaos import Chaos
from tests.core.store_model import BINARY, HUGE, MUTE, POISON
from tests.core.troubles import lose_root, may_hang, may_lose_workers
from tests.core.world import World

SCHEDULES = int(os.environ.get("REGEND_SCHEDULES", "2000"))
SHARDS = 20
HOT_SHARE = 0.1
"""Share of the schedules in which one or two files change without end."""

PATHS = ("a", "b", "d/a", "d/b", "d/e/a", "d/e/b", "f/a", "f/b")
DIRECTORIES = ("d", "d/e", "f")
LINES = ("one", "two", "three", "four", MUTE, POISON, HUGE, BINARY)
A, B, C = RootId(1), RootId(2), RootId(3)


def random_content(world: World) -> tuple[str, ...]:
    weights = (8, 8, 8, 8, 1, 1, 1, 1)
    return tuple(world.rng.choices(LINES, weights, k=world.rng.randint(1, 3)))


def edit(world: World, root: RootId) -> None:
    path = world.rng.choice(PATHS)
    world.write(root, path, random_content(world))
    world.hint(root, path)


def delete(world: World, root: RootId) -> None:
    path = world.rng.choice(PATHS)
    world.write(root, path, None)
    world.hint(root, path)


def rename(world: World, root: RootId) -> None:
    source, target = world.rng.sample(PATHS, 2)
    content = world.disk[root].get(source)
    if content is not None:
        world.write(root, source, None)
        world.write(root, target, content)
        world.hint(root, source)
        world.hint(root, target)


def move_directory(world: World, root: RootId) -> None:
    """Out of the root, or from one place to another; only the directories are hinted."""
    source = world.rng.choice(DIRECTORIES)
    target = world.rng.choice(("f", None))
    inside = world.visible(root, source)
    for path, content in inside.items():
        world.write(root, path, None)
        if target is not None:
            world.write(root, target + path[len(source) :].replace("/e", ""), content)
    world.hint(root, source)
    if target is not None:
        world.hint(root, target)


def storm(world: World, root: RootId) -> None:
    world.send(ev.RootBusy(root, True))
    for path in PATHS:
        if world.rng.random() < 0.8:
            world.write(root, path, random_content(world))
            world.hint(root, path)
    if world.rng.random() < 0.8:
        world.later(0.2, lambda: world.send(ev.RootBusy(root, False)))


def disturb(world: World, root: RootId) -> None:
    roll, chaos = world.rng.random(), world.chaos
    if roll < chaos.crash:
        world.crash()
    elif roll < chaos.crash + chaos.root_lost:
        if root not in world.gone:
            lose_root(world, root)
    elif roll < chaos.crash + chaos.root_lost + chaos.forget_blob:
        world.forget_blob()
    elif roll < 0.1:
        mode: Mode | None = world.luck.choice((None, "sequential", "parallel", "pipeline"))
        world.send(ev.RescanNeeded(root, rehash=world.rng.random() < 0.5, mode=mode))
    elif roll < 0.13:
        world.send(ev.PauseRequested(True))
        world.later(0.3, lambda: world.send(ev.PauseRequested(False)), survives=True)


def run_schedule(seed: int, watched: Iterable[Key] | None = None) -> World:
    """One seeded life of a daemon; one path is watched unless told otherwise, because to watch all of them is slow."""
    world = World(seed, watched=[(A, PATHS[seed % len(PATHS)])] if watched is None else watched)
    for root, pool in ((A, PoolId(1)), (B, PoolId(1)), (C, PoolId(2))):
        world.add_root(root, pool)
    is_hot = world.rng.random() < HOT_SHARE
    if is_hot:
        for path in world.rng.sample(PATHS, world.rng.randint(1, 2)):
            interval_s, until = world.rng.choice((0.05, 0.2, 1.0)), world.rng.uniform(2.0, 15.0)
            world.keep_changing(world.rng.choice((A, B, C)), path, interval_s, until)
    actions = (edit, edit, edit, edit, delete, rename, move_directory, storm)
    for step in range(world.rng.randint(5, 40)):
        root = world.rng.choice((A, A, B, C))
        if root not in world.gone:
            world.rng.choice(actions)(world, root)
        disturb(world, root)
        may_lose_workers(world)
        may_hang(world, root)
        if world.rng.random() < 0.15:
            world.flush(step, wait_vectors=world.rng.random() < 0.5)
        world.run(world.now + world.rng.random() ** 4 + (world.rng.random() if is_hot else 0.0))
    world.settle()
    world.check_converged()
    return world


@pytest.mark.parametrize("shard", [0, *(pytest.param(shard, marks=pytest.mark.no_cover) for shard in range(1, SHARDS))])
def test_converges(shard: int) -> None:
    for seed in range(shard, SCHEDULES, SHARDS):
        try:
            run_schedule(seed)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error


@pytest.mark.no_cover
def test_flushes_resolve() -> None:
    worlds = [run_schedule(seed) for seed in range(50)]
    assert sum(world.resolved for world in worlds) > 50 and sum(world.outages for world in worlds) > 10
    assert sum(world.hangs for world in worlds) > 10
    assert sum(world.hot_count > 0 for world in worlds) > 2, "files that change without end are among them"
    assert sum(world.spent_count > 0 for world in worlds) > 2, "and files that spend the texts of their hour"


def run_without_pauses(seed: int, monkeypatch: pytest.MonkeyPatch) -> World:
    """A file changes ten times while a worker reads it once, and no pause gives a flush a chance."""
    monkeypatch.setattr(Heat, "look_at", lambda *_: 0.0)
    world = World(seed, Chaos(crash=0.0, root_lost=0.0, latency_s=1.0))
    world.add_root(A, PoolId(1))
    world.keep_changing(A, "a", 0.05, until=60.0)
    for ticket in range(8):
        world.run(world.now + 5.0)
        edit(world, A)
        world.flush(ticket, wait_vectors=world.config.mode == "pipeline")  # The others embed when no file is read.
    world.settle()
    world.check_converged()
    return world


@pytest.mark.parametrize("seed", range(10))
def test_a_flush_chases_no_file_that_never_rests(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_without_pauses(seed, monkeypatch).resolved == 8


@pytest.mark.no_cover
def test_a_broken_rule_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulation can fail: without versions, an old answer overwrites a new one."""
    monkeypatch.setattr(Planner, "is_stale", lambda *_: False)
    with pytest.raises(AssertionError):
        for seed in range(200):
            run_schedule(seed)
