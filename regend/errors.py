"""Every error regend raises on purpose.

::

    RegendError
    ├── ConfigError            the user's configuration or a command line value is wrong
    ├── PathError              a path is outside its root, not a directory, or not readable
    │   └── FileRefusedError       a file exists but must not be read (disk/safe_read.py)
    ├── RootError              a root is unknown, already added, refused, or gone
    │   └── WatchLimitError        it cannot be watched (watch/place.py)
    ├── SearchError            a query that cannot be searched for
    │   ├── QueryError             it contains no word, or an expression that is not one
    │   └── FilterError            a filter, a path glob or a limit cannot be used
    ├── StoreError             the state directory cannot be used
    │   ├── StoreLockedError   another daemon holds it
    │   ├── StoreVersionError  it was written by a newer regend
    │   ├── EnvelopeError      a cache file failed its check and must be rebuilt
    │   ├── LexicalWriteError  the lexical index could not be written (store/lexical/index.py)
    │   └── SharedStoreError   a shared store refuses, or cannot be used
    │       └── SharedStoreAwayError   worth a retry later (connection refused or lost, too slow)
    ├── EmbeddingError         an embedding provider gave no usable vectors
    │   ├── ProviderUnavailableError   worth a retry later (timeout, 429, 5xx, connection refused)
    │   └── ProviderRejectedError      not worth a retry with the same input (4xx, wrong shape, NaN)
    ├── ChunkError             a file could not be chunked
    ├── WorkerError            a worker process crashed, ran too long, or grew too large
    │   └── NoWorkerError          none can be started now, and the item cannot wait
    └── RpcError               a request cannot be answered
        ├── ProtocolError      the bytes are not valid MessagePack-RPC, or break a limit
        ├── ConnectionLostError   the daemon went away
        └── DaemonNotRunningError no daemon listens on the socket

Each carries a ``code``: a stable snake_case word that crosses the wire (``docs/rpc.md`` lists them).
A message names the thing, the value and the remedy in one sentence.
"""

from __future__ import annotations


def count_text(count: int, one: str, many: str = "") -> str:
    """Return a count such as ``1 file`` or ``1,200 files``, for a message."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


class RegendError(Exception):
    """Base of all errors raised on purpose; ``str(error)`` is a sentence for the user."""

    code = "error"


class ConfigError(RegendError):
    code = "config_error"


class PathError(RegendError):
    code = "path_error"


class RootError(RegendError):
    code = "root_error"


class SearchError(RegendError):
    code = "search_error"


class QueryError(SearchError):
    code = "query_error"


class FilterError(SearchError):
    code = "filter_error"


class StoreError(RegendError):
    code = "store_error"


class StoreLockedError(StoreError):
    code = "store_locked"


class StoreVersionError(StoreError):
    code = "store_version"


class EnvelopeError(StoreError):
    code = "envelope_error"


class SharedStoreError(StoreError):
    code = "shared_store"


class SharedStoreAwayError(SharedStoreError):
    code = "shared_store_away"


class EmbeddingError(RegendError):
    """A provider gave no usable vectors.

    Attributes:
        kind: what went wrong, a stable word: ``connection``, ``timeout``, ``tls``, ``redirect``, ``truncated``,
            ``rate_limited``, ``too_large``, ``refused`` (the texts), ``denied`` (the key), ``failed`` (5xx and the
            like), ``not_json``, ``count``, ``order``, ``encoding``, ``dimension``, ``not_finite``, ``zero``, ``key``,
            ``disagrees`` (another model answers), ``breaker`` (not asked), or ``other``.
    """

    code = "embedding_error"

    def __init__(self, message: str, kind: str = "other") -> None:
        super().__init__(message)
        self.kind = kind


class ProviderUnavailableError(EmbeddingError):
    """The provider may answer later.

    Attributes:
        retry_after_s: seconds the provider asked us to wait, or None.
    """

    code = "provider_unavailable"

    def __init__(self, message: str, retry_after_s: float | None = None, kind: str = "other") -> None:
        super().__init__(message, kind)
        self.retry_after_s = retry_after_s


class ProviderRejectedError(EmbeddingError):
    """The provider does not accept these texts."""

    code = "provider_rejected"


class ChunkError(RegendError):
    code = "chunk_error"


class WorkerError(RegendError):
    code = "worker_error"


class NoWorkerError(WorkerError):
    code = "no_worker"


class RpcError(RegendError):
    """A request failed; ``code`` is set per instance when it came over the wire."""

    code = "rpc_error"

    def __init__(self, message: str, code: str | None = None, data: object = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        self.data = data


class ProtocolError(RpcError):
    code = "protocol_error"


class ConnectionLostError(RpcError):
    code = "connection_lost"


class DaemonNotRunningError(RpcError):
    code = "daemon_not_running"
