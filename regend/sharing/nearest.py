"""The nearest chunks of a tree, in PostgreSQL: exact over small trees, over a graph with the tree as filter else.

A graph is a partial HNSW index over the first chunks of a pool; those that came later are compared exactly, so a new
row costs no walk through a graph. `python -m benchmarks.shared` measures both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regend.sharing.base import Near
from regend.sharing.connect import Connection, Connections
from regend.types import ChunkId

EXACT_ROWS = 20_000
"""Trees up to this size are compared exactly."""
PLACED_ROWS = 5_000
"""Trees up to this size are read by the places of their rows, in half of the time; for more rows it saves little."""
_KEPT_PLACES = 8
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


class Places:
    """Remembers where the server keeps the rows of the small trees that were asked for last.

    To find 2,000 of 200,000 rows by their numbers takes longer than to read them. A place is no promise: `VACUUM FULL`
    moves rows. So an answer by places counts, and one that did not compare each row of the tree is not used.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[int, int, bytes], _Placed | None] = {}

    def clear(self) -> None:
        self._held.clear()

    async def nearest(
        self, sql: Connection, pool: int, model: int, query: bytes, limit: int, members: Numbers
    ) -> list[tuple[float, int]] | None:
        """Return the nearest of some rows; None where their places are not known."""
        key = (pool, model, members.tobytes())
        if key not in self._held:  # Who asks once, as after each edit, does not pay for the places.
            if len(self._held) >= _KEPT_PLACES:
                self._held.clear()
            self._held[key] = None
            return None
        placed = self._held[key] or await _placed(sql, pool, model, members)
        if placed is None:
            return None
        rows = await sql.fetch(
            "WITH n AS MATERIALIZED (SELECT v.seq, v.vector <=> $2 AS d FROM "  # noqa: S608 - numbers only
            f"regend.vectors_{model} v WHERE v.ctid = ANY($3::tid[]) AND v.pool = $1 "
            "AND CASE WHEN v.seq < $4 THEN get_bit($5::bytea, v.seq)::bool ELSE false END) "
            "SELECT d, seq, (SELECT count(*) FROM n) FROM n ORDER BY d, seq LIMIT $6",
            pool, query, placed.places, 8 * len(placed.bits), placed.bits, limit,
        )  # fmt: skip
        whole = bool(rows) and rows[0][2] == len(members)
        self._held[key] = placed if whole else None
        return [(float(distance), int(seq)) for distance, seq, _ in rows] if whole else None


@dataclass(frozen=True, slots=True)
class _Placed:
    """The numbers of rows as a bitmap, and the blocks and positions of the rows."""

    bits: bytes
    places: Sequence[tuple[int, int]]


async def _placed(sql: Connection, pool: int, model: int, members: Numbers) -> _Placed | None:
    """Return the places of some rows; None where the model lacks one, because it may come."""
    rows = await sql.fetch(
        f"SELECT ctid FROM regend.vectors_{model} WHERE pool = $1 AND seq = ANY($2::int[])",  # noqa: S608
        pool,
        members.tolist(),
    )
    if len(rows) != len(members):
        return None
    mask = np.zeros(members[-1] + 1, np.bool_)
    mask[members] = True
    return _Placed(np.packbits(mask, bitorder="little").tobytes(), sorted(place for (place,) in rows))


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
    sql: Connection, pool: int, model: int, query: bytes, limit: int, members: Numbers, bits: bytes, places: Places
) -> list[Near]:
    """Return the `limit` nearest members of a tree, best first.

    Args:
        members: the tree's numbers, ascending.
        bits: the same as a bitmap.
    """
    graph = await graph_of(sql, pool, model) if len(members) > EXACT_ROWS else None
    inside = 0 if graph is None else int(members.searchsorted(graph.below))
    if graph is None or inside <= EXACT_ROWS:
        found = await _exact(sql, pool, model, query, limit, members, places)
    else:
        found = await _over_graph(sql, pool, model, query, limit, graph, bits)
        found += await _exact(sql, pool, model, query, limit, members[inside:], places)
    found = sorted(found)[:limit]
    rows = await sql.fetch(
        "SELECT seq, chunk FROM regend.chunks WHERE pool = $1 AND seq = ANY($2::int[])", pool, [seq for _, seq in found]
    )
    names = dict(rows)
    near = [Near(ChunkId(names[seq]), 1.0 - distance) for distance, seq in found if seq in names]
    return sorted(near, key=lambda one: (-one.score, one.chunk))


async def _exact(
    sql: Connection, pool: int, model: int, query: bytes, limit: int, members: Numbers, places: Places
) -> list[tuple[float, int]]:
    if not len(members):
        return []
    if len(members) <= PLACED_ROWS:
        found = await places.nearest(sql, pool, model, query, limit, members)
        if found is not None:
            return found
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


async def build_graph(connections: Connections, pool: int, model: int) -> bool:
    """Build a pool's graph where it has none or an old one; return whether it did.

    Only the owner of the tables can; others leave the pool as it is. Queries use the old graph meanwhile.
    """
    async with connections.take() as sql:
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
    await connections.execute_alone(f"DROP INDEX IF EXISTS regend.{name}")  # One that was interrupted is not valid.
    await connections.execute_alone(
        f"CREATE INDEX CONCURRENTLY {name} ON regend.vectors_{model} USING hnsw (vector halfvec_cosine_ops) "
        f"WHERE pool = {pool} AND seq < {below}",
        _BUILD_LIMIT_S,
    )
    async with connections.take() as sql:
        await sql.execute(
            "INSERT INTO regend.graphs(pool, model, name, below, row_count) VALUES ($1, $2, $3, $4, $5) "
            "ON CONFLICT DO NOTHING",
            pool, model, name, below, count,
        )  # fmt: skip
        old = await sql.fetch(
            "DELETE FROM regend.graphs WHERE pool = $1 AND model = $2 AND name <> $3 RETURNING name", pool, model, name
        )
    for (former,) in old:
        await connections.execute_alone(f"DROP INDEX CONCURRENTLY IF EXISTS regend.{former}")
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
