"""With Citus each pool is whole on one worker.

No package index has Citus, so an extension of the same name stands in for it on one server: it records what is
distributed, and distributes nothing. `REGEND_PG_DSN` names a real one to the contract tests.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from regend.sharing.address import parse_address
from regend.sharing.registry import open_shared
from tests.sharing.server import Server
from tests.sharing.test_contract import MODEL, chunk_ids, vectors, whole

STAND_IN = """
CREATE TABLE public.distributed(what text, by text, beside text);
CREATE FUNCTION pg_catalog.create_reference_table(what regclass) RETURNS void LANGUAGE sql SECURITY DEFINER AS
  $$ INSERT INTO public.distributed VALUES (what::text, '', '') $$;
CREATE FUNCTION pg_catalog.create_distributed_function(what regprocedure) RETURNS void LANGUAGE sql SECURITY DEFINER AS
  $$ INSERT INTO public.distributed VALUES (what::text, '', '') $$;
CREATE FUNCTION pg_catalog.create_distributed_table(what regclass, by text, colocate_with text DEFAULT 'default')
  RETURNS void LANGUAGE sql SECURITY DEFINER AS
  $$ INSERT INTO public.distributed VALUES (what::text, by, colocate_with) $$;
"""


@pytest.mark.slow
async def test_pools_are_spread_over_workers(postgres: Server, database: str) -> None:
    pytest.importorskip("asyncpg", reason="the package `asyncpg` is missing")
    (extensions,) = postgres.home.glob(".pg0/installation/*/share/extension")
    written = {"citus.control": "default_version = '1'\nrelocatable = false\n", "citus--1.sql": STAND_IN}
    files = [Path(extensions / name) for name in written]
    for file, text in zip(files, written.values(), strict=True):
        file.write_text(text)
        file.chmod(0o644)
    try:
        postgres.sql("CREATE EXTENSION citus", database)
        store = open_shared(parse_address(postgres.dsn(database)))
        assert await store.setup()
        chunks = chunk_ids(*range(9))
        assert await store.put("acme/web", MODEL, chunks, vectors(9)) == 9
        assert (await store.commit_tree("acme/web", whole(chunks))).done
        await store.close()
    finally:
        for file in files:
            file.unlink()
    found = postgres.sql("SELECT what, by, beside FROM public.distributed", database).splitlines()
    assert found == [
        "regend.pools||", "regend.members||", "regend.chunks|pool|default", "regend.trees|pool|regend.chunks",
        "regend.my_pools()||", "regend.vectors_1|pool|regend.chunks",
    ]  # fmt: skip
