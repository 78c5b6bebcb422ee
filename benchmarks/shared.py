"""`python -m benchmarks.shared --tree DIR`: what a shared store in PostgreSQL costs and how well it finds.

It chunks and embeds the files below DIR with the built-in model, starts a server of its own, fills one pool, and prints
a table: rows a second in and out, the server's CPU for `nearest` in trees of several sizes, and its recall against an
exact comparison. The server's CPU is that of all its processes, so a busy machine changes it little.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.chunks import files_below
from regend.chunking.chunker import chunk_content
from regend.chunking.detection import detect_language
from regend.config import LimitConfig
from regend.embedding.static import built_in
from regend.sharing.address import parse_address
from regend.sharing.base import HalfMatrix, SharedModel, SharedStore, TreeChange
from regend.sharing.registry import open_shared
from regend.types import UNSURE, ChunkId, embedded_text
from tests.sharing.server import Server, serving

POOL = "benchmark"
SHARES = (1.0, 0.5, 0.1, 0.01)
QUERIES = 50
DAEMONS, EDITS = 100, 20
LIMIT = 24
_TICKS = os.sysconf("SC_CLK_TCK")


class Searched(NamedTuple):
    """The server's CPU for one `nearest`, and how much of the exact answer it found."""

    cpu_ms: float
    recall: float


def collected(directories: list[Path], rows: int) -> tuple[list[ChunkId], HalfMatrix]:
    """Return up to `rows` different chunks of the files, and their vectors."""
    texts: dict[ChunkId, str] = {}
    for file in files_below(directories):
        content = file.read_bytes()
        if len(content) > LimitConfig().max_file_bytes:
            continue
        found = chunk_content(content, detect_language(file.name, content[:200]), UNSURE, LimitConfig())
        texts.update((c.chunk_id, embedded_text(c.symbol, c.text, c.outline)) for c in found.chunks)
        if len(texts) >= rows:
            break
    chunks = list(texts)[:rows]
    encoder = built_in()
    parts = [encoder.encode([texts[c] for c in chunks[at : at + 512]], "document") for at in range(0, len(chunks), 512)]
    return chunks, np.concatenate(parts).astype(np.float16)


def cpu_s(server: Server) -> float:
    """Return the CPU time of the server's processes, those included that have ended and were waited for."""
    spent = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if (stat.parent / "cwd").readlink() != server.home / "data":
                continue
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        spent += sum(map(int, fields[11:13]))
    return spent / _TICKS


async def timed(what: str, count: int, call: Callable[[], Awaitable[object]]) -> None:
    began_s = time.perf_counter()
    await call()
    took_s = time.perf_counter() - began_s
    print(f"| {what} | {count:,} rows | {count / took_s:,.0f} rows/s | {took_s:.2f} s |", flush=True)


async def search(
    server: Server, store: SharedStore, model: SharedModel, name: str, chunks: list[ChunkId], vectors: HalfMatrix
) -> Searched:
    """Print and return the cost and recall of `nearest` within a tree of these chunks."""
    done = await store.commit_tree(POOL, TreeChange(name, "", uuid.uuid4().hex, frozenset(chunks)))
    assert done.done and not done.missing
    singles = vectors.astype(np.float32)
    asked = singles[np.random.default_rng(5).choice(len(chunks), QUERIES, replace=False)]
    # A query is near its chunk, and is not the chunk.
    asked = asked + 0.03 * np.random.default_rng(6).normal(size=asked.shape).astype(np.float32)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    for vector in asked[:5]:
        await store.nearest(POOL, model, vector, LIMIT, {name: ""})
    found, began_cpu_s, began_s = 0, cpu_s(server), time.perf_counter()
    near = [await store.nearest(POOL, model, vector, LIMIT, {name: ""}) for vector in asked]
    spent_s, took_s = cpu_s(server) - began_cpu_s, time.perf_counter() - began_s
    for vector, answer in zip(asked, near, strict=True):
        scores = singles @ vector
        # Equal scores are equally right.
        bound = np.partition(scores, -min(LIMIT, len(scores)))[-min(LIMIT, len(scores))] - 1e-3
        found += sum(one.score >= bound for one in answer)
    recall = found / (QUERIES * min(LIMIT, len(chunks)))
    print(
        f"| nearest {LIMIT}, {name} | {len(chunks):,} rows | {spent_s / QUERIES * 1e3:.1f} ms server CPU | "
        f"{took_s / QUERIES * 1e3:.1f} ms | recall {recall:.3f} |",
        flush=True,
    )
    return Searched(spent_s / QUERIES * 1e3, recall)


async def measure(server: Server, chunks: list[ChunkId], vectors: HalfMatrix) -> dict[str, Searched]:
    """Print all figures; return those of searches, by tree."""
    found: dict[str, Searched] = {}
    model = SharedModel(built_in().info.model_id, built_in().info.dim)
    store = open_shared(parse_address(server.dsn()))
    await store.setup()
    rng = np.random.default_rng(3)
    print(f"| what | rows | {await kind(store)} | wall |\n|---|---|---|---|", flush=True)
    await timed("put", len(chunks), lambda: store.put(POOL, model, chunks, vectors))
    await timed("known", 20_000, lambda: store.known(POOL, model, chunks[:20_000]))
    await timed("fetch", 50_000, lambda: store.fetch(POOL, model, chunks[:50_000]))
    whole = TreeChange("all", "", uuid.uuid4().hex, frozenset(chunks))
    await timed("commit_tree", len(chunks), lambda: store.commit_tree(POOL, whole))
    began_cpu_s = cpu_s(server)
    await timed("sweep, which builds the graph", len(chunks), lambda: store.sweep(POOL))
    print(f"| graph | {len(chunks):,} rows | {cpu_s(server) - began_cpu_s:.0f} s server CPU | |", flush=True)
    sizes = server.sql(
        "SELECT (SELECT sum(pg_relation_size(c.oid)) FROM pg_class c JOIN regend.graphs g ON g.name = c.relname), "
        "pg_total_relation_size('regend.vectors_1'), pg_total_relation_size('regend.chunks')"
    )
    graph, vectors_with_graph, numbers = (int(part) / len(chunks) for part in sizes.split("|"))
    plain = vectors_with_graph - graph
    print(f"| bytes a chunk | | graph {graph:.0f}, vectors {plain:.0f}, hashes {numbers:.0f} | |", flush=True)
    for share in SHARES:
        rows = np.sort(rng.choice(len(chunks), int(share * len(chunks)), replace=False))
        own = [chunks[row] for row in rows]
        found[f"{share:.0%}"] = await search(server, store, model, f"a tree of {share:.0%}", own, vectors[rows])
    # A pool that changed, as far as it may before the next sweep builds a new graph.
    gone = frozenset(chunks[: int(len(chunks) * 0.18)])
    left = [chunk for chunk in chunks if chunk not in gone]
    for tree in ("all", *(f"a tree of {share:.0%}" for share in SHARES)):
        await store.commit_tree(POOL, TreeChange(tree, "", uuid.uuid4().hex, frozenset(left)))
    print(f"| {await store.sweep(POOL, 0.0)} | | | |", flush=True)
    back = list(gone)[: int(len(chunks) * 0.045)]
    row_of = {chunk: row for row, chunk in enumerate(chunks)}
    await store.put(POOL, model, back, vectors[[row_of[chunk] for chunk in back]])
    now = left + back
    for name, own in (("changed", now), ("changed, half", now[::2])):
        rows = np.array([row_of[chunk] for chunk in own])
        found[name] = await search(server, store, model, f"a pool that {name}", own, vectors[rows])
    await store.close()
    return found


async def crowd(server: Server, chunks: list[ChunkId], vectors: HalfMatrix) -> None:
    """Let many daemons open the pool, reuse all of it, and then push edits; print what that costs the server."""
    model = SharedModel(built_in().info.model_id, built_in().info.dim)
    stores = [open_shared(parse_address(server.dsn())) for _ in range(DAEMONS)]
    lock, waits_s = asyncio.Semaphore(8), list[float]()

    async def daemon(number: int, store: SharedStore) -> None:
        rng = np.random.default_rng(number)
        tree, revision = f"daemon {number}", uuid.uuid4().hex
        async with lock:  # They do not start in the same second.
            for at in range(0, len(chunks), 2_000):
                await store.known(POOL, model, chunks[at : at + 2_000])
            await store.commit_tree(POOL, TreeChange(tree, "", revision, frozenset(chunks)))
        for step in range(EDITS):
            new = [ChunkId(uuid.uuid4().bytes) for _ in range(3)]
            began_s = time.perf_counter()
            await store.fetch(POOL, model, new)
            await store.put(POOL, model, new, vectors[rng.choice(len(vectors), 3)])
            change = TreeChange(tree, revision, f"{number}.{step}", frozenset(new))
            assert (await store.commit_tree(POOL, change)).done
            revision = change.revision
            waits_s.append(time.perf_counter() - began_s)

    began_cpu_s, began_s = cpu_s(server), time.perf_counter()
    await asyncio.gather(*(daemon(number, store) for number, store in enumerate(stores)))
    spent_s, took_s = cpu_s(server) - began_cpu_s, time.perf_counter() - began_s
    p50_ms, p95_ms = np.percentile(waits_s, (50, 95)) * 1e3
    print(
        f"| {DAEMONS} daemons open {len(chunks):,} rows, then {EDITS} edits each at once | {len(waits_s):,} edits | "
        f"{spent_s:.0f} s server CPU | {took_s:.0f} s; an edit p50 {p50_ms:.0f} ms, p95 {p95_ms:.0f} ms |",
        flush=True,
    )
    for store in stores:
        await store.close()


async def kind(store: SharedStore) -> str:
    return (await store.health()).kind


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shared", description=__doc__)
    parser.add_argument("--tree", type=Path, action="append", required=True, metavar="DIR", help="files to chunk")
    parser.add_argument("--rows", type=int, default=200_000, help="maximum chunks (default %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep chunks and vectors there between runs (.npz)")
    options = parser.parse_args()
    if options.keep and options.keep.exists():
        kept = np.load(options.keep)
        chunks, vectors = [ChunkId(bytes(chunk)) for chunk in kept["chunks"]], kept["vectors"]
    else:
        chunks, vectors = collected(options.tree, options.rows)
        if options.keep:
            rows = np.frombuffer(b"".join(chunks), np.uint8).reshape(len(chunks), -1)
            np.savez(options.keep, chunks=rows, vectors=vectors)
    print(f"{len(chunks):,} chunks of {', '.join(map(str, options.tree))}", flush=True)
    with serving(
        "shared_buffers=512MB", "maintenance_work_mem=1GB", "max_parallel_maintenance_workers=0", "max_connections=250"
    ) as server:
        asyncio.run(measure(server, chunks, vectors))
        asyncio.run(crowd(server, chunks[:20_000], vectors))


if __name__ == "__main__":
    main()
