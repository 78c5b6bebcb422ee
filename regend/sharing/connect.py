"""Connections to PostgreSQL: TLS, the schema's version, half-precision vectors on the wire, and errors by their remedy.

`asyncpg` is an extra, so this module is imported where a PostgreSQL store is opened and nowhere else.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

import numpy as np

from regend.errors import SharedStoreAwayError, SharedStoreError
from regend.sharing.address import Address
from regend.sharing.base import HalfMatrix
from regend.sharing.schema import DISTRIBUTE, SCHEMA_VERSION, SETUP

try:
    import asyncpg
except ImportError as error:
    raise SharedStoreError(
        "A shared store in PostgreSQL needs the package `asyncpg`; install it with `pip install 'regend[postgres]'`."
    ) from error

CONNECT_TIMEOUT_S = 5.0
STATEMENT_TIMEOUT_S = 60.0
MAX_CONNECTIONS = 4
_HEADER_BYTES = 4
"""Bytes before the numbers of a `halfvec`: its length, and two that are unused."""

Connection: TypeAlias = Any
"""`asyncpg.Connection`, or the pool's stand-in for it; asyncpg ships no type information."""
_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # A connection that broke in the middle of an answer.
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
    OSError,
    TimeoutError,
)
"""A later try may help: the server is gone, starts, is full, was told to stop, or is a replica for the moment."""


class Connections:
    """A few connections to one server, made when they are needed. Used on one event loop."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()
        self._through_pooler = False

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Connection]:
        """Lend a connection to a database whose tables have our version.

        Through a pooler all of its use is one transaction, because each transaction may meet another server process.

        Raises:
            SharedStoreAwayError: there is none now, or it was lost during its use.
            SharedStoreError: the server refuses.
        """
        with _translated(self._address.shown):
            async with (await self._opened()).acquire(timeout=CONNECT_TIMEOUT_S) as connection:
                try:
                    if not self._through_pooler:
                        yield connection
                        return
                    async with connection.transaction():
                        yield connection
                except asyncpg.InternalClientError:
                    connection.terminate()  # It stopped in the middle of an answer, and would fail the next user, too.
                    raise

    async def execute_alone(self, statement: str, timeout_s: float = STATEMENT_TIMEOUT_S) -> None:
        """Execute a statement that no transaction may hold, such as `CREATE INDEX CONCURRENTLY`."""
        with _translated(self._address.shown):
            async with (await self._opened()).acquire(timeout=CONNECT_TIMEOUT_S) as connection:
                await connection.execute(statement, timeout=timeout_s)

    async def setup(self) -> bool:
        """Make the tables, as an administrator; return False where they exist."""
        with _translated(self._address.shown):
            connection = await self._connect()
            try:
                if await connection.fetchval("SELECT to_regclass('regend.about') IS NOT NULL"):
                    await _check(connection)
                    return False
                for statement in SETUP:
                    await connection.execute(statement)
                if await connection.fetchval("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')"):
                    for statement in DISTRIBUTE:
                        await connection.execute(statement)
                return True
            finally:
                await connection.close(timeout=CONNECT_TIMEOUT_S)

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()

    async def _opened(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._address.url,
                    ssl=tls_context(self._address),
                    min_size=0,
                    max_size=MAX_CONNECTIONS,
                    timeout=CONNECT_TIMEOUT_S,
                    command_timeout=STATEMENT_TIMEOUT_S,
                    connect=self._connect_for_pool,
                    init=_prepare,
                    reset=_keep,
                    server_settings={"application_name": "regend"},
                )
            return self._pool

    async def _connect_for_pool(self, *arguments: Any, **options: Any) -> asyncpg.Connection:
        connection = await asyncpg.connect(*arguments, **options)
        # A pooler, such as PgBouncer, draws the number of the process that it says to be.
        own = f"SELECT WHERE pg_backend_pid() = {connection.get_server_pid()}"
        if await connection.execute(own) == "SELECT 1":
            return connection
        await connection.close(timeout=CONNECT_TIMEOUT_S)
        self._through_pooler = True
        # The server process that answers next does not know what another one has prepared.
        return await asyncpg.connect(*arguments, **{**options, "statement_cache_size": 0})

    async def _connect(self) -> asyncpg.Connection:
        return await asyncpg.connect(
            self._address.url,
            ssl=tls_context(self._address),
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=STATEMENT_TIMEOUT_S,
        )


async def _prepare(connection: asyncpg.Connection) -> None:
    async with connection.transaction(readonly=True):
        await _check(connection)


async def _keep(_connection: asyncpg.Connection) -> None:
    """Leave a connection as it is after its use, because its settings end with their transaction."""


def tls_context(address: Address) -> ssl.SSLContext | None:
    """Return how connections are protected; None where none leaves this machine.

    The authorities are those of this machine, or that of `sslrootcert=` in the URL.

    Raises:
        SharedStoreError: a file that the URL names cannot be used.
    """
    if not address.tls:
        return None
    named = {key: values[-1] for key, values in parse_qs(urlsplit(address.url).query).items()}
    try:
        context = ssl.create_default_context(cafile=named.get("sslrootcert"))
        if "sslcert" in named:
            context.load_cert_chain(named["sslcert"], named.get("sslkey"), named.get("sslpassword"))
    except OSError as error:
        raise SharedStoreError(f"{address.shown}: a certificate of `shared.url` cannot be used: {error}.") from error
    context.check_hostname = address.tls == "verify-full"
    if address.tls == "require":
        context.verify_mode = ssl.CERT_NONE
    return context


async def _check(connection: asyncpg.Connection) -> None:
    """Refuse tables of another version, and let vectors travel as they are stored."""
    extension_schema, is_set_up = await connection.fetchrow(
        "SELECT (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
        "WHERE e.extname = 'vector'), to_regclass('regend.about') IS NOT NULL"
    )
    if not is_set_up or extension_schema is None:
        raise SharedStoreError(
            "The database has no tables of regend; an administrator makes them: `regenctl store setup`."
        )
    version = await connection.fetchval("SELECT schema_version FROM regend.about")
    if version != SCHEMA_VERSION:
        newer = version is not None and version > SCHEMA_VERSION
        remedy = "use the newer regend" if newer else "set up another database with `regenctl store setup`"
        raise SharedStoreError(
            f"The shared store's tables have version {version}, but this regend knows {SCHEMA_VERSION}; {remedy}."
        )
    await connection.set_type_codec("halfvec", schema=extension_schema, encoder=bytes, decoder=bytes, format="binary")


def encoded(vectors: HalfMatrix) -> list[bytes]:
    """Return each row as the wire has a `halfvec`: length, nothing, and the numbers, all big-endian."""
    count, dim = vectors.shape
    rows = np.zeros((count, _HEADER_BYTES + 2 * dim), np.uint8)
    rows[:, :2] = np.frombuffer(dim.to_bytes(2, "big"), np.uint8)
    rows[:, _HEADER_BYTES:] = np.ascontiguousarray(vectors.astype(">f2")).view(np.uint8).reshape(count, 2 * dim)
    return [row.tobytes() for row in rows]


def decoded(rows: Sequence[bytes], dim: int) -> HalfMatrix:
    """Return the vectors of the wire: float16 [n, dim]."""
    raw = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), _HEADER_BYTES + 2 * dim)
    return np.ascontiguousarray(raw[:, _HEADER_BYTES:]).view(">f2").astype(np.float16)


class _translated:  # noqa: N801 - used as a statement, as `contextlib.suppress` is.
    """Turn errors of asyncpg into ours."""

    def __init__(self, shown: str) -> None:
        self._shown = shown

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None or isinstance(error, SharedStoreError):
            return
        if isinstance(error, ssl.SSLError):
            raise SharedStoreError(
                f"{self._shown}: TLS failed ({error}); name the authority's file with `sslrootcert=` in `shared.url`, "
                "or let the server use a certificate that this machine trusts."
            ) from error
        if isinstance(error, _AWAY):
            reason = str(error) or type(error).__name__
            raise SharedStoreAwayError(f"{self._shown} does not answer: {reason}.") from error
        if isinstance(error, asyncpg.PostgresError | ValueError):
            raise SharedStoreError(f"{self._shown} refuses: {error}.") from error
