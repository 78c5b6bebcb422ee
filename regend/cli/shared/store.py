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

    from regend.sharing.base import Health, SharedStore


def run_store(arguments: argparse.Namespace) -> int:
    """Carry out the action."""
    actions: dict[str, Callable[[SharedStore, argparse.Namespace], Awaitable[tuple[dict[str, Any], list[str]]]]] = {
        "setup": _setup,
        "status": _status,
        "sweep": _sweep,
    }
    answer, lines = asyncio.run(_ask(arguments, actions[arguments.action]))
    if arguments.json:
        print_json(answer)
    else:
        print("\n".join(map(printable, lines)))
    return 0


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
        vectors = ", ".join(f"{count:,} of {model_id}" for model_id, count in pool.vectors.items())
        rows.append((pool.name, f"{pool.chunks:,}", f"{pool.trees:,}", vectors))
    table = columns(rows, frozenset({1, 2})) if health.pools else ["no pools that this user may see"]
    return [f"{health.kind}, schema {health.schema}", *table]


async def _sweep(store: SharedStore, arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    known = [pool.name for pool in (await store.health()).pools]
    if arguments.pool and arguments.pool not in known:
        raise ConfigError(f"The store has no pool {arguments.pool!r} that this user may see; `regenctl store status`.")
    done: dict[str, Any] = {}
    lines = []
    for pool in [arguments.pool] if arguments.pool else known:
        swept = await store.sweep(pool)
        done[pool] = asdict(swept)
        lines.append(f"{pool}: {count_text(swept.trees, 'tree')} and {count_text(swept.chunks, 'chunk')} removed")
    return {"pools": done}, lines or ["no pools that this user may see"]
