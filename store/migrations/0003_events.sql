-- What requests write: revocations, use counts, replay ids, the audit chain, and what retention did.

CREATE TABLE token_revocation (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    jti text NOT NULL CHECK (octet_length(jti) BETWEEN 1 AND 256),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, jti)
);
CREATE INDEX token_revocation_expiry ON token_revocation (tenant_id, expires_at);

CREATE TABLE url_revocation (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    target text NOT NULL CHECK (target IN ('id', 'subject', 'client', 'route', 'key')),
    -- Hexadecimal for id, subject and client.
    value text NOT NULL CHECK (octet_length(value) BETWEEN 1 AND 512),
    -- Unix seconds: URLs issued before are revoked.
    before bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, target, value)
);
CREATE INDEX url_revocation_expiry ON url_revocation (tenant_id, expires_at);

-- Rows live until expiry plus an hour at least. `last` is what the latest debit granted.
CREATE TABLE url_use (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id bytea NOT NULL CHECK (octet_length(id) = 24),
    used int NOT NULL,
    max int NOT NULL CHECK (max BETWEEN 1 AND 1000000),
    last int NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CHECK (used BETWEEN 0 AND max)
) WITH (fillfactor = 70);
CREATE INDEX url_use_expiry ON url_use USING brin (expires_at);

CREATE TABLE ephemeral (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    key bytea NOT NULL CHECK (octet_length(key) = 32),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, key)
);
CREATE INDEX ephemeral_expiry ON ephemeral (tenant_id, expires_at);

-- The key of each writer boot, sealed to the tenant's public audit key.
CREATE TABLE audit_writer (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    writer uuid NOT NULL,
    sealed_key bytea NOT NULL,
    started_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, writer)
);

-- The chain per (tenant, writer): seq is gapless from 1, link is model::audit::link_hash. A payload may be erased;
-- its hash stays. `at` is the time of the commit's batch; it is in the key because it partitions.
CREATE TABLE audit_event (
    tenant_id uuid NOT NULL,
    writer uuid NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    at timestamptz NOT NULL,
    kind text NOT NULL,
    payload bytea CHECK (octet_length(payload) <= 16384),
    payload_hash bytea NOT NULL CHECK (octet_length(payload_hash) = 32),
    link bytea NOT NULL CHECK (octet_length(link) = 32),
    PRIMARY KEY (tenant_id, writer, seq, at)
) PARTITION BY RANGE (at);
CREATE INDEX audit_event_at ON audit_event USING brin (at);

CREATE TABLE retention_run (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    namespace text NOT NULL,
    name text NOT NULL,
    class text NOT NULL CHECK (class IN ('Tokens', 'Audit')),
    mode text NOT NULL CHECK (mode IN ('DryRun', 'Enforce')),
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    -- Rows whose own end is before are due.
    cutoff timestamptz NOT NULL,
    -- Rows that were due; rows that were deleted or anonymised.
    matched bigint NOT NULL DEFAULT 0,
    done bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, namespace, name, class, started_at)
);
