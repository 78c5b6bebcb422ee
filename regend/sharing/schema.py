"""Tables of a shared store in PostgreSQL with pgvector, and the statements that make them.

One schema, `regend`, which an administrator sets up once. A role sees the rows of pools that it is a member of, and no
others (row-level security). Roles make pools and tables of models through the functions below only. Statements are
sent one by one, as Citus asks for.
"""

from __future__ import annotations

SCHEMA_VERSION = 1
_OWN_POOLS = "pool = ANY ((SELECT regend.my_pools())::int[])"
_OWN_POOLS_CITUS = "pool = ANY (regend.my_pools())"
"""Citus takes no query in a policy, and refuses this function on a worker: only roles that bypass policies get on."""

SETUP: tuple[str, ...] = (
    "CREATE EXTENSION IF NOT EXISTS vector",
    "CREATE SCHEMA regend",
    "CREATE TABLE regend.about(id int PRIMARY KEY CHECK (id = 1), schema_version int NOT NULL)",
    # One table of vectors for each model: `regend.vectors_<model>`.
    """CREATE TABLE regend.models(
         model int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
         model_id text NOT NULL, dim int NOT NULL, UNIQUE (model_id, dim))""",
    """CREATE TABLE regend.pools(
         pool int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
         name text NOT NULL UNIQUE, next_seq int NOT NULL DEFAULT 0)""",
    """CREATE TABLE regend.members(
         pool int NOT NULL REFERENCES regend.pools, role name NOT NULL, PRIMARY KEY (pool, role))""",
    # `seq` numbers the chunks of a pool and is never reused: trees are bitmaps over it. It comes from the pool's own
    # counter, because an identity column loses numbers to each conflict.
    """CREATE TABLE regend.chunks(
         pool int NOT NULL, seq int NOT NULL, chunk bytea NOT NULL, added_at timestamptz NOT NULL DEFAULT now(),
         PRIMARY KEY (pool, chunk), UNIQUE (pool, seq))""",
    """CREATE TABLE regend.trees(
         pool int NOT NULL, tree text NOT NULL, revision text NOT NULL, bits bytea NOT NULL,
         lease_until timestamptz NOT NULL, PRIMARY KEY (pool, tree))""",
    # The HNSW indexes of pools, over the chunks with numbers below `below`; `row_count` is how many these were.
    """CREATE TABLE regend.graphs(
         pool int NOT NULL, model int NOT NULL, name text NOT NULL, below int NOT NULL, row_count int NOT NULL,
         PRIMARY KEY (pool, model, name))""",
    """CREATE FUNCTION regend.my_pools() RETURNS int[] LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
         SELECT coalesce(array_agg(m.pool), '{}') FROM regend.members m
         JOIN pg_catalog.pg_roles r ON r.rolname = m.role
         WHERE pg_catalog.pg_has_role(session_user, r.oid, 'member') $$""",
    """CREATE FUNCTION regend.open_pool(wanted text) RETURNS int
         LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
       DECLARE found_pool int;
       BEGIN
         SELECT pool INTO found_pool FROM regend.pools WHERE name = wanted;
         IF found_pool IS NULL THEN
           INSERT INTO regend.pools(name) VALUES (wanted) ON CONFLICT DO NOTHING RETURNING pool INTO found_pool;
           IF found_pool IS NOT NULL THEN
             INSERT INTO regend.members(pool, role) VALUES (found_pool, session_user);
             RETURN found_pool;
           END IF;
           SELECT pool INTO found_pool FROM regend.pools WHERE name = wanted;
         END IF;
         IF NOT found_pool = ANY (regend.my_pools()) THEN
           RAISE insufficient_privilege USING MESSAGE = format('role %s is no member of pool %s', session_user, wanted);
         END IF;
         RETURN found_pool;
       END $$""",
    """CREATE FUNCTION regend.admit(wanted text, new_member name) RETURNS void
         LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$
         INSERT INTO regend.members(pool, role) SELECT regend.open_pool(wanted), new_member
         ON CONFLICT DO NOTHING $$""",
    f"""CREATE FUNCTION regend.open_model(wanted text, wanted_dim int) RETURNS int
         LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
       DECLARE found_model int; vector_type text;
       BEGIN
         SELECT model INTO found_model FROM regend.models WHERE model_id = wanted AND dim = wanted_dim;
         IF found_model IS NOT NULL THEN RETURN found_model; END IF;
         INSERT INTO regend.models(model_id, dim) VALUES (wanted, wanted_dim) ON CONFLICT DO NOTHING
           RETURNING model INTO found_model;
         IF found_model IS NULL THEN
           SELECT model INTO found_model FROM regend.models WHERE model_id = wanted AND dim = wanted_dim;
           RETURN found_model;
         END IF;
         SELECT format('%I.halfvec(%s)', n.nspname, wanted_dim) INTO vector_type FROM pg_catalog.pg_extension e
           JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector';
         EXECUTE format('CREATE TABLE regend.vectors_%s(pool int NOT NULL, seq int NOT NULL, vector %s NOT NULL, '
           'PRIMARY KEY (pool, seq))', found_model, vector_type);
         IF EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'citus') THEN
           EXECUTE format('CREATE POLICY own_pools ON regend.vectors_%s USING ({_OWN_POOLS_CITUS})', found_model);
           EXECUTE format('SELECT pg_catalog.create_distributed_table(''regend.vectors_%s'', ''pool'', '
             'colocate_with => ''regend.chunks'')', found_model);
         END IF;
         EXECUTE format('ALTER TABLE regend.vectors_%s ENABLE ROW LEVEL SECURITY', found_model);
         EXECUTE format('ALTER TABLE regend.vectors_%s FORCE ROW LEVEL SECURITY', found_model);
         IF NOT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'citus') THEN
           EXECUTE format('CREATE POLICY own_pools ON regend.vectors_%s USING ({_OWN_POOLS})', found_model);
         END IF;
         EXECUTE format('GRANT SELECT, INSERT, DELETE ON regend.vectors_%s TO PUBLIC', found_model);
         RETURN found_model;
       END $$""",  # noqa: S608 - constant text
    *(
        statement
        for table in ("chunks", "trees")
        for statement in (
            f"ALTER TABLE regend.{table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE regend.{table} FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY own_pools ON regend.{table} USING ({_OWN_POOLS})",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON regend.{table} TO PUBLIC",
        )
    ),
    "ALTER TABLE regend.pools ENABLE ROW LEVEL SECURITY",
    f"CREATE POLICY own_pools ON regend.pools USING ({_OWN_POOLS})",
    "GRANT SELECT, UPDATE (next_seq) ON regend.pools TO PUBLIC",
    "GRANT SELECT ON regend.about, regend.models, regend.graphs TO PUBLIC",
    "GRANT USAGE ON SCHEMA regend TO PUBLIC",
    f"INSERT INTO regend.about(id, schema_version) VALUES (1, {SCHEMA_VERSION})",  # noqa: S608
)  # fmt: skip
DISTRIBUTE: tuple[str, ...] = (
    *(f"ALTER POLICY own_pools ON regend.{table} USING ({_OWN_POOLS_CITUS})" for table in ("pools", "chunks", "trees")),
    "SELECT pg_catalog.create_reference_table('regend.pools')",
    "SELECT pg_catalog.create_reference_table('regend.members')",
    "SELECT pg_catalog.create_distributed_table('regend.chunks', 'pool')",
    "SELECT pg_catalog.create_distributed_table('regend.trees', 'pool', colocate_with => 'regend.chunks')",
    "SELECT pg_catalog.create_distributed_function('regend.my_pools()')",
)
"""Spread pools over the workers of Citus, each whole on one; sent after `SETUP` where the extension is there."""
