"""The store: one object that keeps catalog, lexical indexes and slabs in step and publishes snapshots.

SQLite is the truth and is committed first. The lexical index and the slabs follow; a crash in between is repaired at
the next opening, a failure in between at once or in `maintain`. Only the index thread may use a `Store`; every other
thread gets its `reads`.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from regend.chunking.grammars import CHUNKER_VERSION
from regend.core.commands import Commit
from regend.core.events import Committed, FileState, UnembeddedFound
from regend.embedding.base import ModelInfo
from regend.errors import RootError, StoreError
from regend.store.allocator import bound_arenas
from regend.store.base import Elsewhere, GarbageLimits, RootRecord
from regend.store.catalog.reader import Reader
from regend.store.catalog.recovery import abandon, begin_anew, is_damage, open_or_recover, remember_roots
from regend.store.catalog.sums import beside, forget_sum, guard
from regend.store.catalog.writer import Catalog
from regend.store.lock import StateLock, prepare_state_dir, sweep
from regend.store.memory import Memory
from regend.store.reads import Reads
from regend.store.snapshot import StoreSnapshot
from regend.store.upkeep import Upkeep
from regend.store.vectors.track import ModelTrack
from regend.types import FIRST_TRACK, BlobId, ChunkId, PoolId, RootId, Track

_MAX_LOG_BYTES = 64_000_000

log = structlog.get_logger(__name__)


def open_store(
    state_dir: Path, model: ModelInfo, limits: GarbageLimits | None = None, elsewhere: Elsewhere | None = None
) -> Store:
    """Open or create the store in `state_dir` and lock it.

    Args:
        elsewhere: says which vectors stay on disk; None: all are searched here.

    Raises:
        StoreLockedError: another process holds it.
        StoreVersionError: a newer regend wrote it.
        StoreError: it cannot be used.
    """
    bound_arenas()
    state_dir = state_dir.absolute()
    prepare_state_dir(state_dir)
    lock = StateLock(state_dir)
    try:
        sweep(state_dir)
        return Store(state_dir, model, lock, limits or GarbageLimits(), elsewhere)
    except BaseException:
        lock.release()
        raise


class Store:
    """Writes the index. Owned by the index thread, and so are all methods; `reads` is what other threads get."""

    def __init__(
        self,
        state_dir: Path,
        model: ModelInfo,
        lock: StateLock,
        limits: GarbageLimits,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._elsewhere = elsewhere
        self._lock = lock
        self._model = model
        self._catalog_path = state_dir / "index.db"
        self._snapshot: StoreSnapshot
        connection = open_or_recover(self._catalog_path)
        try:
            self._load(state_dir, connection, limits)
        except (sqlite3.DatabaseError, ArithmeticError, LookupError, ValueError, TypeError, zlib.error) as error:
            abandon(connection, self._catalog_path)
            if isinstance(error, sqlite3.OperationalError):
                raise self._unreadable(error) from error
            # The file is valid SQLite, but no valid catalog.
            self._load(state_dir, begin_anew(self._catalog_path, f"{type(error).__name__}: {error}"), limits)
        except BaseException:
            abandon(connection, self._catalog_path)
            raise
        self._unguard = guard(self._catalog_path)
        self.reads = Reads(self._catalog_path, self._reader, lambda: self._snapshot)
        self._remember_roots()
        self.on_step: Callable[[str], None] = lambda _name: None
        """Called between the steps of `apply`; tests end the process here."""
        self._closed = False
        self._damaged = False
        self._behind = False

    def _load(self, state_dir: Path, connection: sqlite3.Connection, limits: GarbageLimits) -> None:
        model = self._model
        self._connection = connection
        self._catalog = Catalog(connection, self._catalog_path)
        with self._catalog.transaction():
            self._catalog.use_model(model.model_id, model.dim)
            self._catalog.use_chunker(CHUNKER_VERSION)
        first = ModelTrack(model, self._catalog.model)
        self._reader = Reader(self._catalog_path)
        self._memory = Memory(state_dir, connection, self._catalog, self._reader, first, self._elsewhere)
        self._snapshot = self._memory.load()
        self._upkeep = Upkeep(state_dir, connection, self._catalog, self._memory, limits)

    # Roots.

    def add_root(self, path: str, pool_key: str, marker: str) -> RootRecord:
        """Add a root, or confirm one. A root with another pool key than before starts over and embeds nothing again."""
        self._catch_up()
        known = next((record for record in self.reads.roots() if record.path == path), None)
        if known is not None and known.pool_key == pool_key:
            return self.set_marker(known.root, marker)
        if known is not None:
            self.remove_root(known.root)
        generation = self._snapshot.generation + 1
        with self._catalog.transaction():
            record = self._catalog.add_root(path, pool_key, marker)
            self._catalog.set_generation(generation)
        self._install(lambda: self._memory.add_root(record))
        self._publish(generation, {record.pool})
        self._remember_roots()
        return record

    def set_marker(self, root: RootId, marker: str) -> RootRecord:
        """Record which directory the root is.

        Raises:
            RootError: there is no such root.
        """
        record = self._record(root)
        if record.marker == marker:
            return record
        with self._catalog.transaction():
            self._catalog.set_marker(root, marker)
        changed = self._memory.set_marker(root, marker)
        self._publish(self._snapshot.generation, set())
        self._remember_roots()
        return changed

    def remove_root(self, root: RootId) -> None:
        """Remove a root. Rows that only it used stay in the catalog until garbage collection, but not in any index.

        Raises:
            RootError: there is no such root.
        """
        self._catch_up()
        record = self._record(root)
        generation = self._snapshot.generation + 1
        staging = self._memory.staging(generation)
        with self._catalog.transaction():
            staging.drop_root(root)
            effects = staging.settle()
            self._catalog.set_generation(generation)
        last = self._memory.is_last_root(root)

        def follow() -> None:
            if last:
                self._upkeep.forget_pool(record.pool)
            self._memory.install(staging, effects, generation, skip_lexical=last)
            self._memory.drop_root(root)

        self._install(follow)
        self._publish(generation, set(effects) | {record.pool})
        self._remember_roots()

    def _record(self, root: RootId) -> RootRecord:
        record = self._snapshot.roots.get(root)
        if record is None:
            raise RootError(f"Root {root} is unknown; `regenctl list` shows what is served.")
        return record

    def _remember_roots(self) -> None:
        remember_roots(self._catalog_path, self.reads.roots())

    def tree(self, root: RootId) -> dict[str, FileState]:
        """Return the indexed state of each path of a root."""
        return self._catalog.tree(root)

    def pool_blobs(self, pool: PoolId) -> frozenset[BlobId]:
        """Return the blobs that a `PutFile` without chunks may name."""
        return self._catalog.pool_blobs(pool)

    # Commits.

    def apply(self, commit: Commit) -> Committed:
        """Apply all operations atomically, in order, and publish a snapshot.

        Raises:
            StoreError: an operation is not valid; nothing was applied.
            sqlite3.Error: the catalog could not be written; nothing was applied.
        """
        self._catch_up()
        generation = self._snapshot.generation + 1
        staging = self._memory.staging(generation)
        try:
            with self._catalog.transaction():
                staging.run(commit.ops)
                effects = staging.settle()
                self._catalog.set_generation(generation)
                self.on_step("staged")
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                self._damaged = True
                raise StoreError(
                    f"{self._catalog_path} is damaged ({error}); restart the daemon, which puts the file aside and "
                    "indexes the roots again."
                ) from error
            raise
        self.on_step("committed")
        self._install(lambda: self._memory.install(staging, effects, generation, on_step=self.on_step))
        self._publish(generation, set(effects))
        self.on_step("published")
        self._bound_log()
        return Committed(commit.commit_id, generation, staging.pending, tuple(staging.missing))

    def _install(self, change: Callable[[], None]) -> None:
        """Bring memory in line with the durable catalog; where that fails, read all of it again, later if need be."""
        try:
            change()
        except Exception:
            log.exception("memory_reloaded")
            self._behind = True
            self._catch_up()

    def _catch_up(self) -> None:
        """Read everything again if memory is behind the catalog.

        Raises:
            StoreError: the catalog cannot be read now; what is published stays, and the next call tries again.
        """
        if not self._behind:
            return
        try:
            self._snapshot = self._memory.load()
        except (sqlite3.Error, OSError, StoreError) as error:
            raise self._unreadable(error) from error
        self._behind = False

    def _unreadable(self, error: Exception) -> StoreError:
        return StoreError(
            f"{self._catalog_path} cannot be read: {error}; check its permissions and the space on the disk."
        )

    def _publish(self, generation: int, pools: Iterable[PoolId]) -> None:
        self._snapshot = self._memory.publish(self._snapshot, generation, pools)

    def _bound_log(self) -> None:
        """Keep the write-ahead log in bounds while commits come without a pause."""
        wal = beside(self._catalog_path, "-wal")
        try:
            if wal.exists() and wal.stat().st_size > _MAX_LOG_BYTES:
                self._catalog.checkpoint()
        except (sqlite3.Error, OSError) as error:
            # The commit is durable, and its caller would repeat it. The next one tries again.
            log.warning("log_not_moved", reason=str(error))

    def embed_only(self, roots: frozenset[RootId], track: Track = FIRST_TRACK) -> None:
        """Give the track's model only chunks of these roots; a stronger one, only pools that have no other root."""
        if track == FIRST_TRACK:
            self._catalog.embed_only(roots)
        elif track < len(self._memory.tracks):
            self._memory.tracks[track].roots = roots
            self._memory.allow()
            self._publish(self._snapshot.generation, set(self._memory.pools))

    def unembedded(
        self,
        limit: int,
        exclude: frozenset[ChunkId],
        track: Track = FIRST_TRACK,
        spent: frozenset[tuple[RootId, str]] = frozenset(),
    ) -> UnembeddedFound:
        """Return live chunks without a vector of the track's model, oldest first; none of files that are spent."""
        if track >= len(self._memory.tracks):
            return UnembeddedFound((), True, track)
        keys = None if track == FIRST_TRACK else sorted(self._memory.lacking(track))
        version_of = None if self._memory.tracks[track].model.local else self._memory.version_with
        chunks, exhausted, put_off = self._catalog.unembedded(limit, exclude, keys, version_of, spent)
        if track != FIRST_TRACK and (pools := self._memory.put_off(track, put_off)):
            self._publish(self._snapshot.generation, pools)
        return UnembeddedFound(tuple(chunks), exhausted, track)

    # Stronger models.

    def await_tracks(self, count: int) -> None:
        """Collect no model's vectors before there are so many tracks: a configured server may be away for days."""
        self._upkeep.awaited_tracks = count

    def offer_track(self, model: ModelInfo, roots: frozenset[RootId] | None) -> None:
        """Keep vectors of a stronger model beside those before it, and let it take over pools.

        Args:
            roots: roots whose text the model may be given; None: all.
        """
        with self._catalog.transaction():
            number = self._catalog.model_number(model.model_id, model.dim)
        self._upkeep.add_track(self._memory.add_track(ModelTrack(model, number, roots)))
        self._publish(self._snapshot.generation, set(self._memory.pools))

    # Upkeep.

    def maintain(self, *, idle: bool) -> float:
        """Carry out a bounded piece of upkeep: install and start HNSW builds; when idle, repair, collect, tidy.

        Args:
            idle: no command is waiting.

        Returns:
            Seconds after which to call again if nothing else happens.
        """
        self._catch_up()
        changed = self._upkeep.step()
        if idle:
            changed |= self._upkeep.idle_step()
        if changed:
            self._publish(self._snapshot.generation, changed)
        if idle:
            self._upkeep.warm(self._snapshot)
        return self._upkeep.next_delay_s()

    def purge(self, unwanted: Callable[[PoolId, str], bool]) -> bool:
        """Remove every byte of unused files that are unwanted; return False if the caller must ask again later."""
        self._catch_up()
        changed = self._upkeep.purge(unwanted)
        if changed:
            self._publish(self._snapshot.generation, changed)
        return not self._upkeep.is_purging

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Finish and release everything; snapshots cannot read texts afterwards. Harmless to repeat."""
        if self._closed:
            return
        self._closed = True
        self._upkeep.close()
        self._memory.close()
        self._reader.close()
        if self._damaged:
            forget_sum(self._catalog_path)
        else:
            self._catalog.checkpoint()
        self._catalog.close()
        self._unguard()
        self._lock.release()
