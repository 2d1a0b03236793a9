-- Platform tables: the short list that tests/walls.rs names. No row of a tenant's own is here.

ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
GRANT USAGE ON SCHEMA authly TO authly_server, authly_gateway, authly_operator, authly_jobs;
GRANT SELECT ON _sqlx_migrations TO authly_server, authly_gateway, authly_operator, authly_jobs;

CREATE TABLE tenant (
    id uuid PRIMARY KEY,
    -- The owner key: (installation, Tenant, '', name).
    installation text NOT NULL CHECK (installation ~ '^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$'),
    name text NOT NULL CHECK (name ~ '^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$'),
    spec jsonb NOT NULL,
    spec_hash bytea NOT NULL CHECK (octet_length(spec_hash) = 32),
    tombstoned_at timestamptz,
    -- Audit keys are sealed to it (X25519).
    audit_public bytea NOT NULL CHECK (octet_length(audit_public) = 32),
    -- Unix seconds: counted URLs issued before are refused.
    store_epoch bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (installation, name),
    UNIQUE (id, installation)
);

CREATE TABLE tenant_issuer (
    issuer text PRIMARY KEY CHECK (octet_length(issuer) BETWEEN 1 AND 2048),
    tenant_id uuid NOT NULL UNIQUE REFERENCES tenant (id)
);

CREATE TABLE tenant_host (
    host text PRIMARY KEY CHECK (host = lower(host) AND octet_length(host) BETWEEN 1 AND 262),
    tenant_id uuid NOT NULL REFERENCES tenant (id)
);
CREATE INDEX tenant_host_tenant ON tenant_host (tenant_id);

-- The configuration feed: gapless and in commit order in each shard.
CREATE TABLE feed_head (
    shard smallint PRIMARY KEY CHECK (shard BETWEEN 0 AND 15),
    seq bigint NOT NULL DEFAULT 0,
    -- Changes up to here are pruned: who stands below reloads everything.
    pruned_seq bigint NOT NULL DEFAULT 0 CHECK (pruned_seq <= seq)
) WITH (fillfactor = 10);
INSERT INTO feed_head (shard) SELECT generate_series(0, 15);

CREATE TABLE feed_change (
    shard smallint NOT NULL,
    seq bigint NOT NULL,
    tenant_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('tenant', 'client', 'route', 'policy', 'retention', 'token_revocation', 'url_revocation')),
    key text NOT NULL CHECK (octet_length(key) <= 1024),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (shard, seq, tenant_id, kind, key)
);

CREATE TABLE replica (
    id uuid PRIMARY KEY,
    role text NOT NULL CHECK (role IN ('server', 'gateway')),
    position bigint[] NOT NULL CHECK (cardinality(position) = 16),
    failures jsonb NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at timestamptz NOT NULL,
    lease_until timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE leader_epoch (
    installation text PRIMARY KEY,
    epoch bigint NOT NULL CHECK (epoch > 0),
    acquired_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE job (
    name text PRIMARY KEY,
    every interval NOT NULL,
    next_run timestamptz NOT NULL DEFAULT clock_timestamp(),
    holder uuid,
    lease_until timestamptz,
    -- Where an interrupted run goes on.
    cursor jsonb,
    finished_at timestamptz,
    last_error text
);
INSERT INTO job (name, every) VALUES ('retention', '5 minutes'), ('prune', '1 minute'), ('partitions', '1 day');
