"""Rewrites lexical indexes in the background: one pool at a time, in a thread that leaves time for others.

A whole index is written beside the current one from the entries of one generation. The index thread adopts it through
`poll` and applies to it what changed in the meantime.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from tantivy import Document

from regend.store.base import NO_THREAD_PAUSE_S
from regend.store.catalog.schema import open_reader
from regend.store.lexical.docs import lexical_docs
from regend.store.lexical.index import LexicalWriteError, WrittenIndex, write_index
from regend.types import PoolId

_DOCS_AT_ONCE = 32
_PAUSE_S = 0.001
"""Pause after each `_DOCS_AT_ONCE`, which take as long: half of the interpreter's time is left to queries and edits."""

log = structlog.get_logger(__name__)


class _StoppedError(Exception):
    """The job is not wanted any more."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A job that has ended.

    Attributes:
        generation: of the catalog, whose live entries it was made from.
        written: None where the disk refused.
    """

    pool: PoolId
    generation: int
    written: WrittenIndex | None


class LexicalRebuilder:
    """Owned by the index thread; its thread touches only what the job was given."""

    def __init__(self, catalog_path: Path) -> None:
        self._catalog_path = catalog_path
        self._thread: threading.Thread | None = None
        self._pool: PoolId | None = None
        self._start_at = 0.0
        self._stop = threading.Event()
        self._results: list[Rebuilt] = []

    @property
    def busy(self) -> bool:
        """Whether a job runs, its result has not been polled, or it could not be started a moment ago."""
        return self._thread is not None or time.monotonic() < self._start_at

    def start(self, pool: PoolId, directory: Path, entry_ids: Sequence[int], generation: int) -> None:
        """Write an index of these entries into `directory`; no job may be running.

        If no thread can be started, nothing happens, and another try is worth it once `busy` is false.
        """
        assert not self.busy, "one job at a time"
        stop = self._stop = threading.Event()

        def run() -> None:
            self._results.append(Rebuilt(pool, generation, self._written(directory, entry_ids, stop)))

        thread = threading.Thread(target=run, name="regend-lexical", daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:
            self._start_at = time.monotonic() + NO_THREAD_PAUSE_S
            log.warning("lexical_rebuild_waits", pool=pool, reason=str(error), pause_s=NO_THREAD_PAUSE_S)
            return
        self._pool, self._thread = pool, thread

    def poll(self) -> Rebuilt | None:
        """Return the result of the job that has ended, if any."""
        if self._thread is None or self._thread.is_alive():
            return None
        self._thread.join()
        self._thread = self._pool = None
        return self._results.pop() if self._results else None

    def cancel(self, pool: PoolId | None = None) -> None:
        """Stop the job of this pool, or of any, and remove what it has written."""
        if self._thread is None or pool not in (None, self._pool):
            return
        self._stop.set()
        self._thread.join()
        result = self.poll()
        if result is not None and result.written is not None:
            shutil.rmtree(result.written.path, ignore_errors=True)

    def _written(self, directory: Path, entry_ids: Sequence[int], stop: threading.Event) -> WrittenIndex | None:
        try:
            connection = open_reader(self._catalog_path)
            try:
                return write_index(directory, _unhurried(lexical_docs(connection, entry_ids), stop))
            finally:
                connection.close()
        except _StoppedError:
            pass
        except (LexicalWriteError, sqlite3.Error) as error:
            log.warning("lexical_rebuild_failed", directory=str(directory), reason=str(error))
        except Exception:
            # The current index keeps serving.
            log.exception("lexical_rebuild_failed", directory=str(directory))
        return None


def _unhurried(docs: Iterable[Document], stop: threading.Event) -> Iterator[Document]:
    for number, doc in enumerate(docs):
        if number % _DOCS_AT_ONCE == 0:
            if stop.is_set():
                raise _StoppedError
            time.sleep(_PAUSE_S)
        yield doc
