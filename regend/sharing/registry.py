"""Which kinds of shared stores exist: one line each."""

from __future__ import annotations

from regend.sharing.address import Address
from regend.sharing.base import SharedStore
from regend.sharing.sqlite import SqliteStore


def open_shared(address: Address, replica: Address | None = None) -> SharedStore:
    """Open the store that a URL names; nothing is connected yet.

    Args:
        replica: of a PostgreSQL server, for reads.

    Raises:
        SharedStoreError: a package is missing.
    """
    if address.kind == "sqlite":
        return SqliteStore(address)
    from regend.sharing.postgres import PostgresStore  # Its package is an extra.

    return PostgresStore(address, replica)
