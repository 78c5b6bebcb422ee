"""The lexical leg: one tantivy index per pool, a cache that can be rebuilt from the catalog.

A small index lives in memory, because one on disk costs a thread for as long as it is open, and twelve files.

Layout of `<state_dir>/lexical/<pool>/`: `marker.json` names the directory of the current index and the generation of
its last commit; an index under construction has a directory that no marker names yet, so a crash leaves no half index.

A crash between the catalog's commit and this index's commit leaves a marker with an older generation: the owner then
re-applies what changed since (`changed > generation`), which is harmless to repeat.

tantivy-py facts that this module relies on, all of version 0.27: `delete_documents_by_term` with an integer silently
deletes nothing in an unsigned field, deletion by query works; a document field of the wrong integer type kills the
writer; opening an index on disk starts a thread that polls `meta.json` twice a second until its last searcher is gone,
even with a "manual" reader; a writer is six threads. An index in memory has no thread, and a commit to it does not wait
for the disk (5 ms instead of 54).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from tantivy import Document, Index, IndexWriter, Query, Schema, Searcher

from regend.errors import EnvelopeError, StoreError
from regend.store.allocator import give_back
from regend.store.lexical.docs import build_schema
from regend.store.lexical.files import MARKER, Marker, check_files, is_panic, read_marker, seal_files

_HEAP_BYTES = 20_000_000
_REBUILD_HEAP_BYTES = 60_000_000
"""Room for one segment of `SEGMENT_DOCS` chunks: every term is looked up in every segment, and with four of them a
query took 1.4 times as long as with one."""
SEGMENT_DOCS = 60_000

log = structlog.get_logger(__name__)


class LexicalWriteError(StoreError):
    """The disk refused, or tantivy gave up; the catalog is untouched, and the index is repaired from it later."""


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    """Turn tantivy's errors (`ValueError`, or a panic that is no `Exception`) into `LexicalWriteError`."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, (ValueError, OSError)) or is_panic(error):
            raise LexicalWriteError(f"{directory} cannot be written: {error}; it is tried again.") from error
        raise


@dataclass(frozen=True, slots=True)
class LexicalView:
    """The index as a snapshot holds it: immutable, for any thread.

    Attributes:
        deleted_docs: documents deleted since the index was last written as a whole; term counts may include them.
    """

    searcher: Searcher
    schema: Schema
    deleted_docs: int = 0


@dataclass(frozen=True, slots=True)
class WrittenIndex:
    """A whole index on disk that no marker names yet.

    Attributes:
        opstamp: tantivy's number of its commit.
    """

    path: Path
    index: Index
    opstamp: int


def write_index(directory: Path, docs: Iterable[Document]) -> WrittenIndex:
    """Write an index of its own into `directory`, for `LexicalIndex.adopt`. Any thread.

    Args:
        docs: all of its documents; consumed as a stream.

    Raises:
        LexicalWriteError: nothing is left of it.
    """
    started_at = time.perf_counter()
    path = directory / f"index-{time.time_ns():x}"
    try:
        with _writing(directory):
            path.mkdir(mode=0o700, parents=True)
            index = Index(build_schema(), path=str(path), reuse=False)
            index.config_reader(reload_policy="manual")
            opstamp, count = _fill(index, docs)
            index.reload()
            seal_files(path)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    took_ms = round((time.perf_counter() - started_at) * 1e3)
    log.info("lexical_index_rebuilt", directory=str(directory), docs=count, took_ms=took_ms)
    return WrittenIndex(path, index, opstamp)


def _fill(index: Index, docs: Iterable[Document], heap_bytes: int = _REBUILD_HEAP_BYTES) -> tuple[int, int]:
    """Commit all documents; return tantivy's number of the commit, and how many documents there were."""
    writer = index.writer(heap_size=heap_bytes, num_threads=1)
    count = 0
    try:
        for doc in docs:
            writer.add_document(doc)
            count += 1
        opstamp = writer.commit()
        writer.wait_merging_threads()
    except BaseException:
        del writer  # Its threads end with it, and create no more files.
        raise
    return opstamp, count


class LexicalIndex:
    """Writer of one pool's lexical index. Owned by the index thread."""

    def __init__(self, directory: Path, owner: str = "") -> None:
        """`owner` names the catalog and the pool that it is made from; an index of another owner is not used."""
        self.directory = directory
        self._owner = owner
        self._opstamp = 0
        self._schema = build_schema()
        self._index: Index | None = None
        self._writer: IndexWriter | None = None
        self._name = ""
        self.generation = -1
        self.behind = False
        """A commit failed: the owner must re-apply what changed since `generation`."""
        self.deleted_docs = 0
        """Documents deleted since the index was last written as a whole. They weigh on term statistics, even after a
        merge, which only estimates the lengths of those that stay."""
        self.added_docs = 0
        """Documents added since then. They lie in segments of their own, each of which costs every query some time."""

    def open(self, generation: int) -> bool:
        """Open what is on disk.

        Args:
            generation: the catalog's; a marker ahead of it means that the catalog was restored from the past.

        Returns:
            Whether it can be used (after re-applying what changed since `self.generation`); else `rebuild` it.
        """
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            marker = read_marker(self.directory / MARKER, self._owner)
            if marker.generation > generation:
                raise EnvelopeError(
                    f"{self.directory} is at generation {marker.generation}, the catalog at {generation}."
                )
            path = self.directory / marker.directory
            check_files(path, self._schema, marker.opstamp)
            index = Index.open(str(path))
            index.config_reader(reload_policy="manual")
            index.reload()
            index.searcher().num_docs  # noqa: B018 - reads the segments' metadata
        except BaseException as error:
            if not isinstance(error, (EnvelopeError, OSError, ValueError)) and not is_panic(error):
                raise
            log.warning("lexical_index_unusable", directory=str(self.directory), reason=str(error))
            return False
        self._index, self._name, self.generation = index, marker.directory, marker.generation
        self._opstamp = marker.opstamp
        # The commit that a crash interrupted may have deleted some.
        self.deleted_docs = marker.deleted + (marker.generation < generation)
        self.added_docs = index.searcher().num_docs if marker.added is None else marker.added
        self._remove_others()
        return True

    def matches(self, doc_count: int) -> bool:
        """Return whether the index holds as many documents as the catalog has live ones."""
        return self.view().searcher.num_docs == doc_count

    def rebuild(self, docs: Iterable[Document], generation: int) -> None:
        """Write a new index beside the current one and switch to it.

        Args:
            docs: every live document; consumed as a stream.

        Raises:
            LexicalWriteError: what was there before stays, or `stand_in` where there was nothing.
        """
        try:
            self.close_writer()
            self.adopt(write_index(self.directory, docs), generation)
        except LexicalWriteError:
            if self._index is None:
                self.stand_in()
            raise

    def rebuild_in_memory(self, docs: Iterable[Document], generation: int) -> None:
        """Write a new index in memory, switch to it, and remove what is on disk.

        Args:
            docs: every live document, and not many.

        Raises:
            LexicalWriteError: what was there before stays, or `stand_in` where there was nothing.
        """
        index, held = Index(self._schema), list(docs)
        index.config_reader(reload_policy="manual")
        try:
            self.close_writer()
            with _writing(self.directory):
                if held:
                    _fill(index, held, _HEAP_BYTES)
                    index.reload()
        except LexicalWriteError:
            if self._index is None:
                self.stand_in()
            raise
        self._index, self._name, self.generation = index, "", generation
        self.deleted_docs = self.added_docs = 0
        self.behind = False
        shutil.rmtree(self.directory, ignore_errors=True)

    def stand_in(self) -> None:
        """Serve an empty index in memory until `rebuild` succeeds."""
        self._index, self._writer, self._name = Index(self._schema), None, ""
        self.generation = -1
        self.behind = True

    @property
    def usable(self) -> bool:
        """Whether it holds what was live at `generation`, so that what it lacks can be applied."""
        return self.generation >= 0

    @property
    def in_memory(self) -> bool:
        """Whether it has no files, so that a new process has to rebuild it."""
        return not self._name

    def adopt(self, written: WrittenIndex, generation: int) -> None:
        """Serve this index, which holds all documents that were live at `generation`; remove the one before.

        Raises:
            LexicalWriteError: it serves, but a new process would begin with what was there before.
        """
        self.close_writer()
        with _writing(self.directory):
            self._index, self._name, self._opstamp = written.index, written.path.name, written.opstamp
            self.deleted_docs = self.added_docs = 0
            self.generation = generation
            self._write_marker()
            self._remove_others()
        self.behind = False
        give_back()

    def apply(self, delete_entries: Sequence[int], docs: Iterable[Document]) -> None:
        """Delete all documents of these entries, add the new ones, and make both visible at once to new views.

        Call `mark` afterwards. On an error nothing is visible, and `behind` says so.

        Raises:
            LexicalWriteError: the owner repairs it later.
        """
        assert self._index is not None
        try:
            with _writing(self.directory):
                self._apply(self._index, delete_entries, docs)
        except BaseException:
            self.behind = True
            self._writer = None
            raise

    def _apply(self, index: Index, delete_entries: Sequence[int], docs: Iterable[Document]) -> None:
        if self._writer is None:
            self._writer = index.writer(heap_size=_HEAP_BYTES, num_threads=1)
        before = index.searcher().num_docs if delete_entries else 0
        if delete_entries:
            self._writer.delete_documents_by_query(Query.term_set_query(self._schema, "entry", list(delete_entries)))
        added = 0
        for doc in docs:
            self._writer.add_document(doc)
            added += 1
        self.added_docs += added
        self._opstamp = self._writer.commit()
        index.reload()
        if delete_entries:
            self.deleted_docs += max(0, before + added - index.searcher().num_docs)

    def mark(self, generation: int) -> None:
        """Record that everything up to `generation` is in the index.

        Raises:
            LexicalWriteError: it is in the index, but a new process would apply it again.
        """
        self.generation = generation
        if self._name:
            with _writing(self.directory):
                self._write_marker()
        self.behind = False

    def view(self) -> LexicalView:
        """Return the index as of the last `apply` or `rebuild`."""
        assert self._index is not None
        return LexicalView(self._index.searcher(), self._schema, self.deleted_docs)

    def close_writer(self) -> None:
        """Finish merges and give the writer's threads and memory back."""
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.wait_merging_threads()
                if self._name:
                    seal_files(self.directory / self._name)
            except BaseException as error:
                if not isinstance(error, (ValueError, OSError)) and not is_panic(error):
                    raise
                # Committed documents are safe; only smaller segments were not joined.
                log.warning("lexical_merge_failed", directory=str(self.directory), reason=str(error))

    def remove(self) -> None:
        """Close and delete everything; views that are still held keep working."""
        self.close_writer()
        self._index = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def _write_marker(self) -> None:
        """Replace the marker atomically but without fsync.

        After a power cut it may be older than the index, which only re-applies more, or unreadable, which rebuilds.
        """
        marker = Marker(self._owner, self._name, self.generation, self._opstamp, self.deleted_docs, self.added_docs)
        temporary = self.directory / f"{MARKER}.tmp"
        temporary.write_bytes(marker.encode())
        temporary.replace(self.directory / MARKER)

    def _remove_others(self) -> None:
        for path in self.directory.iterdir():
            if path.is_dir() and path.name != self._name:
                shutil.rmtree(path, ignore_errors=True)
