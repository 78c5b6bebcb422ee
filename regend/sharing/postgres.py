"""A shared store in PostgreSQL with pgvector: chunks numbered by pool, one table of vectors for each model, and trees
as bitmaps over the numbers.

All writes to a pool take its row's lock first and go in order of hashes, so that writers wait for each other and never
end in a deadlock.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import numpy as np

from regend.errors import SharedStoreAwayError, SharedStoreError
from regend.sharing.address import Address
from regend.sharing.base import (
    GRACE_S,
    LEASE_S,
    FloatVector,
    HalfMatrix,
    Health,
    KnownTree,
    ModelCount,
    Near,
    PoolHealth,
    SharedModel,
    Swept,
    TreeChange,
    TreeCommitted,
)
from regend.sharing.connect import Connection, Connections, decoded, encoded
from regend.sharing.nearest import Places, build_graph, nearest
from regend.sharing.rows import mask_of, members_of, parts, union
from regend.sharing.schema import SCHEMA_VERSION
from regend.types import ChunkId

_ASKED_AT_ONCE = 5_000
_PUT_AT_ONCE = 2_000
"""Rows of one transaction: other writers of the pool wait for its end."""
_KEPT_TREES = 16
"""Bitmaps that are kept for queries."""


class PostgresStore:
    """See `SharedStore`. Used on one event loop.

    Args:
        replica: a read replica of the server, which answers reads as far as it has followed.
    """

    def __init__(self, address: Address, replica: Address | None = None) -> None:
        self._connections = Connections(address)
        self._replica = None if replica is None else Connections(replica)
        self._pools: dict[str, int] = {}
        self._models: dict[SharedModel, int] = {}
        self._trees: dict[tuple[int, str], tuple[str, bytes]] = {}
        self._places = Places()

    async def setup(self) -> bool:
        """Make the tables, as an administrator; return False where they exist."""
        return await self._connections.setup()

    async def close(self) -> None:
        await self._connections.close()
        if self._replica is not None:
            await self._replica.close()

    @asynccontextmanager
    async def _take(self, connections: Connections | None = None) -> AsyncIterator[Connection]:
        try:
            async with (connections or self._connections).take() as sql:
                yield sql
        except SharedStoreError:
            # The server may have been restored from a backup, whose numbers of pools and models differ.
            self._pools.clear()
            self._models.clear()
            self._trees.clear()
            self._places.clear()
            raise

    # Vectors.

    async def known(self, pool: str, model: SharedModel, chunks: Sequence[ChunkId]) -> set[ChunkId]:
        """See `SharedVectors.known`."""
        found = set[ChunkId]()
        async with self._take() as sql:
            number, table = await self._pool(sql, pool), await self._table(sql, model)
            for part in parts(chunks, _ASKED_AT_ONCE):
                rows = await sql.fetch(
                    f"SELECT c.chunk FROM regend.chunks c WHERE c.pool = $1 AND c.chunk = ANY($2::bytea[]) "  # noqa: S608
                    f"AND EXISTS (SELECT FROM {table} v WHERE v.pool = c.pool AND v.seq = c.seq)",
                    number, part,
                )  # fmt: skip
                found.update(ChunkId(row[0]) for row in rows)
        return found

    async def put(self, pool: str, model: SharedModel, chunks: Sequence[ChunkId], vectors: HalfMatrix) -> int:
        """See `SharedVectors.put`."""
        order = sorted({chunk: row for row, chunk in enumerate(chunks)}.items())
        added = 0
        for part in parts(order, _PUT_AT_ONCE):
            async with self._take() as sql:
                number, table = await self._pool(sql, pool), await self._table(sql, model)
                added += await _put(sql, number, table, [c for c, _ in part], vectors[[row for _, row in part]])
        return added

    async def fetch(self, pool: str, model: SharedModel, chunks: Sequence[ChunkId]) -> tuple[list[ChunkId], HalfMatrix]:
        """See `SharedVectors.fetch`."""
        found: list[ChunkId] = []
        vectors: list[bytes] = []
        if self._replica is not None:
            with suppress(SharedStoreError):
                found, vectors = await self._fetch(self._replica, pool, model, chunks)
            there = set(found)
            chunks = [chunk for chunk in chunks if chunk not in there]
        if chunks:
            more = await self._fetch(self._connections, pool, model, chunks)
            found, vectors = found + more[0], vectors + more[1]
        return found, decoded(vectors, model.dim)

    async def _fetch(
        self, connections: Connections, pool: str, model: SharedModel, chunks: Sequence[ChunkId]
    ) -> tuple[list[ChunkId], list[bytes]]:
        found: list[ChunkId] = []
        vectors: list[bytes] = []
        async with self._take(connections) as sql:
            number, table = await self._pool(sql, pool), await self._table(sql, model)
            for part in parts(chunks, _ASKED_AT_ONCE):
                rows = await sql.fetch(
                    f"SELECT c.chunk, v.vector FROM regend.chunks c JOIN {table} v ON v.pool = c.pool "  # noqa: S608
                    "AND v.seq = c.seq WHERE c.pool = $1 AND c.chunk = ANY($2::bytea[])",
                    number, part,
                )  # fmt: skip
                found += [ChunkId(row[0]) for row in rows]
                vectors += [row[1] for row in rows]
        return found, vectors

    async def page(self, pool: str, model: SharedModel, after: bytes, limit: int) -> list[ChunkId]:
        """See `SharedVectors.page`."""
        async with self._take() as sql:
            rows = await sql.fetch(
                f"SELECT c.chunk FROM regend.chunks c JOIN {await self._table(sql, model)} v "  # noqa: S608
                "ON v.pool = c.pool AND v.seq = c.seq WHERE c.pool = $1 AND c.chunk > $2 ORDER BY c.chunk LIMIT $3",
                await self._pool(sql, pool), after, limit,
            )  # fmt: skip
        return [ChunkId(chunk) for (chunk,) in rows]

    async def nearest(
        self, pool: str, model: SharedModel, vector: FloatVector, limit: int, trees: Mapping[str, str]
    ) -> list[Near]:
        """See `SharedVectors.nearest`."""
        if self._replica is not None and all(trees.values()):
            with suppress(SharedStoreError):
                found = await self._nearest(self._replica, pool, model, vector, limit, trees)
                if found is not None:
                    return found
        found = await self._nearest(self._connections, pool, model, vector, limit, dict.fromkeys(trees, ""))
        return found or []

    async def _nearest(
        self,
        connections: Connections,
        pool: str,
        model: SharedModel,
        vector: FloatVector,
        limit: int,
        trees: Mapping[str, str],
    ) -> list[Near] | None:
        """Search one server; None where it has another revision of a tree, because it has not followed so far."""
        async with self._take(connections) as sql:
            number = await self._pool(sql, pool)
            model_number = await self._model(sql, model)
            held = {tree: await self._bits(sql, number, tree) for tree in trees}
            if any(wanted and held[tree][0] != wanted for tree, wanted in trees.items()):
                return None
            bits = union([own for _, own in held.values()])
            return await nearest(sql, number, model_number, _half(vector), limit, members_of(bits), bits, self._places)

    async def similarity(
        self, pool: str, model: SharedModel, vector: FloatVector, chunks: Sequence[ChunkId]
    ) -> dict[ChunkId, float]:
        """See `SharedVectors.similarity`."""
        async with self._take() as sql:
            number, table = await self._pool(sql, pool), await self._table(sql, model)
            rows = await sql.fetch(
                f"SELECT c.chunk, 1 - (v.vector <=> $3) FROM regend.chunks c JOIN {table} v ON v.pool = c.pool "  # noqa: S608
                "AND v.seq = c.seq WHERE c.pool = $1 AND c.chunk = ANY($2::bytea[])",
                number, sorted(set(chunks)), _half(vector),
            )  # fmt: skip
        return {ChunkId(chunk): float(score) for chunk, score in rows}

    # Trees.

    async def commit_tree(self, pool: str, change: TreeChange, lease_s: float = LEASE_S) -> TreeCommitted:
        """See `SharedTrees.commit_tree`."""
        async with self._take() as sql:
            number = await self._pool(sql, pool)
            async with sql.transaction():
                size = await _locked(sql, number, "FOR SHARE")
                row = await sql.fetchrow(
                    "SELECT revision, bits FROM regend.trees WHERE pool = $1 AND tree = $2 FOR UPDATE",
                    number, change.tree,
                )  # fmt: skip
                revision, bits = ("", b"") if row is None else row
                added = await _seqs(sql, number, change.added)
                missing = frozenset(change.added - added.keys())
                if revision == change.revision:
                    return TreeCommitted(True, missing)  # The answer to the first try was lost.
                if change.base and revision != change.base:
                    return TreeCommitted(False)
                mask = mask_of(bits if change.base else b"", size)
                mask[list((await _seqs(sql, number, change.removed)).values())] = False
                mask[list(added.values())] = True
                await sql.execute(
                    "INSERT INTO regend.trees(pool, tree, revision, bits, lease_until) "
                    "VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5)) ON CONFLICT (pool, tree) DO UPDATE SET "
                    "revision = excluded.revision, bits = excluded.bits, lease_until = excluded.lease_until",
                    number, change.tree, change.revision, np.packbits(mask, bitorder="little").tobytes(), lease_s,
                )  # fmt: skip
        return TreeCommitted(True, missing)

    async def renew(self, pool: str, tree: str, lease_s: float = LEASE_S) -> str:
        """See `SharedTrees.renew`."""
        async with self._take() as sql:
            revision = await sql.fetchval(
                "UPDATE regend.trees SET lease_until = now() + make_interval(secs => $3) "
                "WHERE pool = $1 AND tree = $2 RETURNING revision",
                await self._pool(sql, pool), tree, lease_s,
            )  # fmt: skip
        return str(revision or "")

    async def trees(self, pool: str) -> list[KnownTree]:
        """See `SharedTrees.trees`."""
        async with self._take() as sql:
            rows = await sql.fetch(
                "SELECT tree, revision, extract(epoch FROM lease_until - now())::float8 FROM regend.trees "
                "WHERE pool = $1 AND lease_until >= now() ORDER BY tree",
                await self._pool(sql, pool),
            )  # fmt: skip
        return [KnownTree(*row) for row in rows]

    async def tree_chunks(self, pool: str, tree: str) -> set[ChunkId]:
        """See `SharedTrees.tree_chunks`."""
        found = set[ChunkId]()
        async with self._take() as sql:
            number = await self._pool(sql, pool)
            for part in parts(members_of((await self._bits(sql, number, tree))[1]).tolist(), _ASKED_AT_ONCE):
                rows = await sql.fetch(
                    "SELECT chunk FROM regend.chunks WHERE pool = $1 AND seq = ANY($2::int[])", number, part
                )
                found.update(ChunkId(chunk) for (chunk,) in rows)
        return found

    async def sweep(self, pool: str, grace_s: float = GRACE_S) -> Swept:
        """See `SharedTrees.sweep`."""
        async with self._take() as sql:
            number = await self._pool(sql, pool)
            models = await sql.fetch("SELECT model FROM regend.models ORDER BY model")
            tables = [f"regend.vectors_{model}" for (model,) in models]
            async with sql.transaction():
                size = await _locked(sql, number, "FOR UPDATE")
                ended = await sql.execute("DELETE FROM regend.trees WHERE pool = $1 AND lease_until < now()", number)
                live = np.zeros(size, np.bool_)
                for (bits,) in await sql.fetch("SELECT bits FROM regend.trees WHERE pool = $1", number):
                    live |= mask_of(bits, size)
                rows = await sql.fetch(
                    "SELECT seq FROM regend.chunks WHERE pool = $1 AND added_at <= now() - make_interval(secs => $2)",
                    number, grace_s,
                )  # fmt: skip
                dead = [seq for (seq,) in rows if not live[seq]]
                for table in (*tables, "regend.chunks"):
                    await sql.execute(f"DELETE FROM {table} WHERE pool = $1 AND seq = ANY($2::int[])", number, dead)  # noqa: S608
        for (model,) in models:
            await build_graph(self._connections, number, model)
        return Swept(int(ended.rpartition(" ")[2]), len(dead))

    async def health(self) -> Health:
        """See `SharedTrees.health`."""
        async with self._take() as sql:
            version = await sql.fetchval("SHOW server_version")
            vector = await sql.fetchval("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
            names = await sql.fetch("SELECT pool, name FROM regend.pools ORDER BY name")
            # Each table by itself, because Citus joins no counts.
            chunks = dict(await sql.fetch("SELECT pool, count(*) FROM regend.chunks GROUP BY pool"))
            trees = dict(
                await sql.fetch("SELECT pool, count(*) FROM regend.trees WHERE lease_until >= now() GROUP BY pool")
            )
            counts: dict[int, list[ModelCount]] = {}
            for model, model_id, dim in await sql.fetch(
                "SELECT model, model_id, dim FROM regend.models ORDER BY model"
            ):
                grouped = f"SELECT pool, count(*) FROM regend.vectors_{model} GROUP BY pool"  # noqa: S608
                for pool, count in await sql.fetch(grouped):
                    counts.setdefault(pool, []).append(ModelCount(model_id, dim, count))
        pools = tuple(
            PoolHealth(name, chunks.get(pool, 0), trees.get(pool, 0), tuple(counts.get(pool, ())))
            for pool, name in names
        )
        return Health(f"PostgreSQL {version.split()[0]}, pgvector {vector}", SCHEMA_VERSION, pools)

    async def _bits(self, sql: Connection, pool: int, tree: str) -> tuple[str, bytes]:
        """Return a tree's revision and bitmap, empty for an unknown tree.

        A bitmap that is known here by its revision does not travel again.
        """
        revision, bits = self._trees.get((pool, tree), ("", b""))
        row = await sql.fetchrow(
            "SELECT revision, CASE WHEN revision <> $3 THEN bits END FROM regend.trees WHERE pool = $1 AND tree = $2",
            pool, tree, revision,
        )  # fmt: skip
        if row is None:
            return "", b""
        if row[1] is not None:
            revision, bits = row
            if len(self._trees) >= _KEPT_TREES:
                self._trees.clear()
            self._trees[pool, tree] = revision, bits
        return revision, bits

    async def _pool(self, sql: Connection, name: str) -> int:
        if name not in self._pools:
            self._pools[name] = await sql.fetchval("SELECT regend.open_pool($1)", name)
        return self._pools[name]

    async def _model(self, sql: Connection, model: SharedModel) -> int:
        if model not in self._models:
            self._models[model] = await sql.fetchval("SELECT regend.open_model($1, $2)", model.model_id, model.dim)
        return self._models[model]

    async def _table(self, sql: Connection, model: SharedModel) -> str:
        return f"regend.vectors_{await self._model(sql, model)}"


async def _locked(sql: Connection, pool: int, lock: str) -> int:
    """Lock a pool until the end of the transaction; return the number of its next chunk."""
    size = await sql.fetchval(f"SELECT next_seq FROM regend.pools WHERE pool = $1 {lock}", pool)  # noqa: S608
    if size is None:
        raise SharedStoreAwayError("The shared store lost a pool; the next call asks for it again.")
    return int(size)


async def _put(sql: Connection, pool: int, table: str, chunks: list[ChunkId], vectors: HalfMatrix) -> int:
    """Store vectors of sorted chunks in one transaction; return how many were new."""
    async with sql.transaction():
        size = await _locked(sql, pool, "FOR UPDATE")
        added = await sql.execute(
            "INSERT INTO regend.chunks(pool, seq, chunk) "
            "SELECT $1, $2 + row_number() OVER (ORDER BY n.chunk) - 1, n.chunk "
            "FROM unnest($3::bytea[]) n(chunk) WHERE NOT EXISTS "
            "(SELECT FROM regend.chunks c WHERE c.pool = $1 AND c.chunk = n.chunk) ON CONFLICT DO NOTHING",
            pool, size, chunks,
        )  # fmt: skip
        await sql.execute("UPDATE regend.pools SET next_seq = $2 WHERE pool = $1", pool, size + int(added.split()[-1]))
        stored = await sql.execute(
            f"INSERT INTO {table}(pool, seq, vector) SELECT $1, c.seq, n.vector "  # noqa: S608
            "FROM unnest($2::bytea[], $3::halfvec[]) n(chunk, vector) JOIN regend.chunks c "
            "ON c.pool = $1 AND c.chunk = n.chunk WHERE NOT EXISTS "
            f"(SELECT FROM {table} v WHERE v.pool = $1 AND v.seq = c.seq) ORDER BY c.seq ON CONFLICT DO NOTHING",
            pool, chunks, encoded(vectors),
        )  # fmt: skip
    return int(stored.split()[-1])


async def _seqs(sql: Connection, pool: int, chunks: Iterable[ChunkId]) -> dict[ChunkId, int]:
    """Return the numbers of those of `chunks` that the pool holds."""
    found: dict[ChunkId, int] = {}
    for part in parts(sorted(chunks), _ASKED_AT_ONCE):
        rows = await sql.fetch(
            "SELECT chunk, seq FROM regend.chunks WHERE pool = $1 AND chunk = ANY($2::bytea[])", pool, part
        )
        found.update((ChunkId(chunk), seq) for chunk, seq in rows)
    return found


def _half(vector: FloatVector) -> bytes:
    return encoded(vector[None].astype(np.float16))[0]
