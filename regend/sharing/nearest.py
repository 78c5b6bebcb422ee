"""The nearest chunks of a tree, in PostgreSQL: exact over small trees, over a graph with the tree as filter else.

A graph is a partial HNSW index over the first chunks of a pool; those that came later are compared exactly, so a new
row costs no walk through a graph. `python -m benchmarks.shared` measures both ways.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regend.sharing.base import Near
from regend.sharing.connect import Connection
from regend.types import ChunkId

EXACT_ROWS = 20_000
"""Trees up to this size are compared exactly."""
NEWER_ROWS, NEWER_SHARE = 5_000, 0.05
"""How many chunks may come after the graph, at least, and as a share of it: 1,000 of them cost a query 0.5 ms."""
GONE_SHARE = 0.2
"""Share of a graph's rows that may be gone; a query walks past them."""
_EF_SEARCH, _EF_SHARE, _MOST_EF_SEARCH = 400, 3, 1_000
"""Candidates of a walk: at least, for each chunk that is asked for, and at most, which is pgvector's own limit."""
_BUILD_LIMIT_S = 6 * 3_600.0
"""How long a graph may take; 200,000 rows take a minute or two."""
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Graph:
    """A partial HNSW index.

    Attributes:
        below: it holds the chunks of the pool with smaller numbers.
        rows: how many these were.
    """

    name: str
    below: int
    rows: int


async def graph_of(sql: Connection, pool: int, model: int) -> Graph | None:
    """Return the newest graph that can be used."""
    row = await sql.fetchrow(
        "SELECT g.name, g.below, g.row_count FROM regend.graphs g JOIN pg_class c ON c.relname = g.name "
        "JOIN pg_index i ON i.indexrelid = c.oid AND i.indisvalid WHERE g.pool = $1 AND g.model = $2 "
        "ORDER BY g.below DESC, g.name DESC LIMIT 1",
        pool, model,
    )  # fmt: skip
    return None if row is None else Graph(*row)


async def nearest(
    sql: Connection, pool: int, model: int, query: bytes, limit: int, members: Numbers, bits: bytes
) -> list[Near]:
    """Return the `limit` nearest members of a tree, best first.

    Args:
        members: the tree's numbers, ascending.
        bits: the same as a bitmap.
    """
    graph = await graph_of(sql, pool, model) if len(members) > EXACT_ROWS else None
    inside = 0 if graph is None else int(members.searchsorted(graph.below))
    if graph is None or inside <= EXACT_ROWS:
        found = await _exact(sql, pool, model, query, limit, members)
    else:
        found = await _over_graph(sql, pool, model, query, limit, graph, bits)
        found += await _exact(sql, pool, model, query, limit, members[inside:])
    found = sorted(found)[:limit]
    rows = await sql.fetch(
        "SELECT seq, chunk FROM regend.chunks WHERE pool = $1 AND seq = ANY($2::int[])", pool, [seq for _, seq in found]
    )
    names = dict(rows)
    near = [Near(ChunkId(names[seq]), 1.0 - distance) for distance, seq in found if seq in names]
    return sorted(near, key=lambda one: (-one.score, one.chunk))


async def _exact(
    sql: Connection, pool: int, model: int, query: bytes, limit: int, members: Numbers
) -> list[tuple[float, int]]:
    if not len(members):
        return []
    # `OFFSET 0` keeps the planner from an index over vectors, which would not be exact.
    rows = await sql.fetch(
        "SELECT d, seq FROM (SELECT v.seq, v.vector <=> $2 AS d FROM "  # noqa: S608 - numbers only
        f"regend.vectors_{model} v WHERE v.pool = $1 AND v.seq = ANY($3::int[]) OFFSET 0) n ORDER BY d, seq LIMIT $4",
        pool, query, members.tolist(), limit,
    )  # fmt: skip
    return [(float(distance), int(seq)) for distance, seq in rows]


async def _over_graph(
    sql: Connection, pool: int, model: int, query: bytes, limit: int, graph: Graph, bits: bytes
) -> list[tuple[float, int]]:
    """Walk the graph; the numbers are written out, because the planner must see that they are those of the index."""
    # As wide as the graph: a number beyond the end would be an error.
    wide = bits.ljust((graph.below + 7) // 8, b"\0")
    async with sql.transaction(readonly=True):
        await sql.execute(f"SET LOCAL hnsw.ef_search = {min(_MOST_EF_SEARCH, max(_EF_SEARCH, _EF_SHARE * limit))}")
        await sql.execute("SET LOCAL hnsw.iterative_scan = relaxed_order")
        await sql.execute("SET LOCAL enable_seqscan = off")
        # `get_bit(..)::bool` and not `= 1`, which the planner takes for one row in 200.
        rows = await sql.fetch(
            "SELECT v.vector <=> $1 AS d, v.seq FROM "  # noqa: S608 - numbers only
            f"regend.vectors_{model} v WHERE v.pool = {pool} AND v.seq < {graph.below} "
            "AND get_bit($2::bytea, v.seq)::bool ORDER BY v.vector <=> $1 LIMIT $3",
            query, wide, limit,
        )  # fmt: skip
    return [(float(distance), int(seq)) for distance, seq in rows]


async def build_graph(sql: Connection, pool: int, model: int) -> bool:
    """Build a pool's graph where it has none or an old one; return whether it did.

    Only the owner of the tables can; others leave the pool as it is. Queries use the old graph meanwhile.
    """
    owns = await sql.fetchval(
        "SELECT pg_has_role(c.relowner, 'usage') FROM pg_class c WHERE c.oid = to_regclass($1)",
        f"regend.vectors_{model}",
    )
    count, below = await sql.fetchrow(
        f"SELECT count(*), coalesce(max(seq) + 1, 0) FROM regend.vectors_{model} WHERE pool = $1",  # noqa: S608
        pool,
    )
    graph = await graph_of(sql, pool, model)
    if not owns or count <= EXACT_ROWS or (graph is not None and not await _is_old(sql, pool, model, graph, count)):
        return False
    name = f"vectors_{model}_{pool}_{below}_{count}"
    await sql.execute(f"DROP INDEX IF EXISTS regend.{name}")  # One that was interrupted is not valid.
    await sql.execute(
        f"CREATE INDEX CONCURRENTLY {name} ON regend.vectors_{model} USING hnsw (vector halfvec_cosine_ops) "
        f"WHERE pool = {pool} AND seq < {below}",
        timeout=_BUILD_LIMIT_S,
    )
    await sql.execute(
        "INSERT INTO regend.graphs(pool, model, name, below, row_count) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT DO NOTHING",
        pool, model, name, below, count,
    )  # fmt: skip
    old = await sql.fetch(
        "DELETE FROM regend.graphs WHERE pool = $1 AND model = $2 AND name <> $3 RETURNING name", pool, model, name
    )
    for (former,) in old:
        await sql.execute(f"DROP INDEX CONCURRENTLY IF EXISTS regend.{former}")
    return True


async def _is_old(sql: Connection, pool: int, model: int, graph: Graph, count: int) -> bool:
    held = await sql.fetchval(
        f"SELECT count(*) FROM regend.vectors_{model} WHERE pool = $1 AND seq < $2",  # noqa: S608
        pool,
        graph.below,
    )
    newer, gone = count - held, graph.rows - held
    is_old: bool = newer > max(NEWER_ROWS, NEWER_SHARE * graph.rows) or gone > GONE_SHARE * graph.rows
    return is_old
