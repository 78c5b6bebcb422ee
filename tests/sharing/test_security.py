"""A role sees the rows of its own pools, other versions are refused, and nothing goes without TLS over a network."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from regend.errors import SharedStoreAwayError, SharedStoreError
from regend.sharing.address import Address, parse_address
from regend.sharing.base import Swept
from regend.sharing.registry import open_shared
from tests.sharing.server import Server
from tests.sharing.test_contract import DIM, MODEL, chunk_ids, vectors, whole

asyncpg = pytest.importorskip("asyncpg", reason="the package `asyncpg` is missing")


@pytest.fixture
async def roles(postgres: Server, database: str) -> AsyncIterator[tuple[str, str]]:
    """Two people who may connect to a database whose tables an administrator made."""
    admin = open_shared(parse_address(postgres.dsn(database)))
    await admin.setup()
    await admin.close()
    names = f"ada_{database}", f"bob_{database}"
    for name in names:
        postgres.sql(f"CREATE ROLE {name} LOGIN")
    yield names


async def test_a_role_sees_its_own_pools_only(postgres: Server, database: str, roles: tuple[str, str]) -> None:
    ada, bob = (open_shared(parse_address(postgres.dsn(database, role))) for role in roles)
    chunks = chunk_ids(*range(20))
    await ada.put("acme/web", MODEL, chunks, vectors(20))
    await ada.commit_tree("acme/web", whole(chunks))
    # The same texts in a pool of the other one are rows of their own: nothing tells him that they were there.
    assert await bob.put("bob/web", MODEL, chunks[:5], vectors(5)) == 5
    for refused in (
        bob.known("acme/web", MODEL, chunks),
        bob.fetch("acme/web", MODEL, chunks),
        bob.put("acme/web", MODEL, chunks, vectors(20)),
        bob.nearest("acme/web", MODEL, np.ones(DIM, np.float32), 5, {"one": ""}),
        bob.commit_tree("acme/web", whole(chunks)),
        bob.sweep("acme/web", 0.0),
    ):
        with pytest.raises(SharedStoreError, match="no member of pool acme/web"):
            await refused
    assert [pool.name for pool in (await bob.health()).pools] == ["bob/web"]
    for table in ("chunks", "trees", "vectors_1"):
        assert await rows(postgres.dsn(database, roles[1]), f"regend.{table}", "pool = 1") == 0
        assert await rows(postgres.dsn(database, roles[0]), f"regend.{table}", "pool = 1") > 0
    postgres.sql(f"SET ROLE {roles[0]}; RESET ROLE", database)
    await run(postgres.dsn(database, roles[0]), f"SELECT regend.admit('acme/web', '{roles[1]}')")
    assert await bob.known("acme/web", MODEL, chunks) == set(chunks)
    assert await bob.sweep("acme/web", 0.0) == Swept(0, 0)
    await ada.close()
    await bob.close()


async def test_a_role_cannot_admit_itself_or_change_what_all_share(
    postgres: Server, database: str, roles: tuple[str, str]
) -> None:
    ada = open_shared(parse_address(postgres.dsn(database, roles[0])))
    await ada.put("acme/web", MODEL, chunk_ids(1), vectors(1))
    await ada.close()
    bob = postgres.dsn(database, roles[1])
    for statement in (
        f"SELECT regend.admit('acme/web', '{roles[1]}')",
        f"INSERT INTO regend.members VALUES (1, '{roles[1]}')",
        "UPDATE regend.pools SET name = 'mine'",
        "UPDATE regend.about SET schema_version = 9",
        "DELETE FROM regend.models",
        "INSERT INTO regend.chunks(pool, seq, chunk) VALUES (1, 99, '')",
        "SELECT role FROM regend.members",
        "CREATE TABLE regend.mine()",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await run(bob, statement)
    # Rows of others cannot be changed, because they are not seen.
    assert await run(bob, "UPDATE regend.trees SET lease_until = now()") == "UPDATE 0"
    assert await run(bob, "DELETE FROM regend.vectors_1") == "DELETE 0"


async def test_other_versions_are_refused_with_a_remedy(postgres: Server, database: str) -> None:
    url = postgres.dsn(database)
    store = open_shared(parse_address(url))
    with pytest.raises(SharedStoreError, match="regenctl store setup"):
        await store.health()
    assert await store.setup()
    for version, remedy in ((99, "use the newer regend"), (0, "set up another database")):
        postgres.sql(f"UPDATE regend.about SET schema_version = {version}", database)
        again = open_shared(parse_address(url))
        with pytest.raises(SharedStoreError, match=remedy):
            await again.known("p", MODEL, chunk_ids(1))
        await again.close()
    await store.close()


async def test_tls_is_checked_to_the_name(postgres: Server, database: str, tmp_path: Path) -> None:
    """The addresses say that the server is elsewhere, although it is the one here."""
    authority, name = certificate(tmp_path, "localhost"), "localhost"
    named = postgres.dsn(database).replace("127.0.0.1", name)
    trusted = f"{named}?sslrootcert={authority}"

    async def refusal(url: str, mode: str) -> str:
        store = open_shared(Address("postgresql", url, "", mode, "postgresql://elsewhere"))
        try:
            with pytest.raises(SharedStoreError) as refused:
                await store.known("p", MODEL, chunk_ids(1))
            return str(refused.value)
        finally:
            await store.close()

    assert "SSL" in await refusal(trusted, "require"), "the server speaks no TLS yet"
    key, cert = postgres.place(tmp_path / "key.pem", tmp_path / "cert.pem")
    postgres.stop()
    postgres.start("ssl=on", f"ssl_key_file={key}", f"ssl_cert_file={cert}", "fsync=off", "max_connections=40")
    store = open_shared(Address("postgresql", trusted, "", "verify-full", "postgresql://elsewhere"))
    assert await store.setup()
    assert await store.known("p", MODEL, chunk_ids(1)) == set()
    await store.close()
    assert "certificate verify failed" in await refusal(named, "verify-full"), (
        "this machine does not know the authority"
    )
    by_number = trusted.replace(name, "127.0.0.1")
    assert "certificate verify failed" in await refusal(by_number, "verify-full"), "the name is another one"
    for mode in ("verify-ca", "require"):
        store = open_shared(Address("postgresql", by_number, "", mode, "postgresql://elsewhere"))
        assert await store.known("p", MODEL, chunk_ids(1)) == set()
        await store.close()
    assert "cannot be used" in await refusal(f"{named}?sslrootcert={tmp_path}/none.pem", "verify-full")


async def test_no_server_is_a_reason_to_try_later(tmp_path: Path) -> None:
    for url in ("postgresql://ada@127.0.0.1:1/none", f"postgresql:///none?host={tmp_path}"):
        store = open_shared(parse_address(url))
        with pytest.raises(SharedStoreAwayError, match="does not answer"):
            await store.known("p", MODEL, chunk_ids(1))
        await store.close()


async def run(dsn: str, statement: str) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        return str(await connection.execute(statement))
    finally:
        await connection.close()


async def rows(dsn: str, table: str, condition: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval(f"SELECT count(*) FROM {table} WHERE {condition}"))
    finally:
        await connection.close()


def certificate(directory: Path, name: str) -> Path:
    """Write `key.pem` and a certificate of its own making, `cert.pem`, for this name."""
    pytest.importorskip("cryptography", reason="the package `cryptography` is missing")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (directory / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    (directory / "cert.pem").write_bytes(made.public_bytes(pem))
    return directory / "cert.pem"
