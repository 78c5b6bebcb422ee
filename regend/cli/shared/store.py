"""`regenctl store`: the shared store that the configuration names, seen from this machine. It needs no daemon."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from regend.cli.terminal import columns, print_json, printable
from regend.config import load_config
from regend.errors import ConfigError, count_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable
    from typing import Any

    from regend.sharing.base import Health, PoolHealth, SharedStore


EXIT_DIFFERS = 2


def run_store(arguments: argparse.Namespace) -> int:
    """Carry out the action."""
    actions: dict[str, Callable[[SharedStore, argparse.Namespace], Awaitable[tuple[dict[str, Any], list[str]]]]] = {
        "setup": _setup,
        "status": _status,
        "sweep": _sweep,
        "migrate": _migrate,
    }
    if (arguments.action == "migrate") != bool(arguments.to):
        raise ConfigError("`regenctl store migrate --to URL` names the store that gets the vectors.")
    answer, lines = asyncio.run(_ask(arguments, actions[arguments.action]))
    if arguments.json:
        print_json(answer)
    else:
        print("\n".join(map(printable, lines)))
    return EXIT_DIFFERS if answer.get("differs") else 0


async def _ask(
    arguments: argparse.Namespace,
    action: Callable[[SharedStore, argparse.Namespace], Awaitable[tuple[dict[str, Any], list[str]]]],
) -> tuple[dict[str, Any], list[str]]:
    from regend.sharing.address import parse_address  # The other commands start without numpy.
    from regend.sharing.registry import open_shared

    url = arguments.url or load_config().shared.url
    if not url:
        raise ConfigError("No shared store is configured; set `shared.url`, or name one with `--url`.")
    address = parse_address(url)
    store = open_shared(address)
    try:
        answer, lines = await action(store, arguments)
    finally:
        await store.close()
    return {"store": address.shown, **answer}, [address.shown, *lines]


async def _setup(store: SharedStore, _: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    is_new = await store.setup()
    return {"made": is_new}, ["The tables are made." if is_new else "The tables were there already."]


async def _status(store: SharedStore, _: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    health = await store.health()
    return asdict(health), _health_lines(health)


def _health_lines(health: Health) -> list[str]:
    rows = [("pool", "chunks", "trees", "vectors")]
    for pool in health.pools:
        vectors = ", ".join(f"{model.vectors:,} of {model.model_id}" for model in pool.vectors)
        rows.append((pool.name, f"{pool.chunks:,}", f"{pool.trees:,}", vectors))
    table = columns(rows, frozenset({1, 2})) if health.pools else ["no pools that this user may see"]
    return [f"{health.kind}, schema {health.schema}", *table]


async def _named(store: SharedStore, arguments: argparse.Namespace) -> list[PoolHealth]:
    """Return the pool that the command line names, or all."""
    pools = [pool for pool in (await store.health()).pools if arguments.pool in (None, pool.name)]
    if arguments.pool and not pools:
        raise ConfigError(f"The store has no pool {arguments.pool!r} that this user may see; `regenctl store status`.")
    return pools


async def _sweep(store: SharedStore, arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    done: dict[str, Any] = {}
    lines = []
    for pool in await _named(store, arguments):
        swept = await store.sweep(pool.name)
        done[pool.name] = asdict(swept)
        lines.append(f"{pool.name}: {count_text(swept.trees, 'tree')} and {count_text(swept.chunks, 'chunk')} removed")
    return {"pools": done}, lines or ["no pools that this user may see"]


async def _migrate(store: SharedStore, arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    from regend.sharing.address import parse_address
    from regend.sharing.base import SharedModel
    from regend.sharing.migrate import copy_pool, copy_trees
    from regend.sharing.registry import open_shared

    target = open_shared(parse_address(arguments.to))
    try:
        await target.setup()
        done, trees = [], []
        for pool in await _named(store, arguments):
            models = [SharedModel(model.model_id, model.dim) for model in pool.vectors]
            done += [await copy_pool(store, target, pool.name, model) for model in models]
            trees.append(await copy_trees(store, target, pool.name, models))
    finally:
        await target.close()
    differs = any(copied.there < copied.found or copied.differing for copied in done)
    differs |= any(copied.differing for copied in trees)
    lines = [
        f"{copied.pool}, {copied.model_id}: {count_text(copied.found, 'vector')}, {copied.new:,} new, "
        f"{copied.found - copied.there:,} missing, {copied.differing:,} of {copied.sampled:,} compared differ"
        for copied in done
    ]
    lines += [
        f"{copied.pool}: {count_text(copied.found, 'tree')}, {copied.new:,} new, {copied.differing:,} differ; "
        f"{copied.agreed:,} of {copied.asked:,} nearest chunks are the same"
        for copied in trees
    ]
    answer = {"copied": [asdict(copied) for copied in done], "trees": [asdict(copied) for copied in trees]}
    return {**answer, "differs": differs}, lines or ["no pools to copy"]
