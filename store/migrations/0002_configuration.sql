-- What manifests declare, and keys. Written by the operator's role alone, under an owner key
-- (installation, kind = the table, namespace, name). `spec` is the model's type, `spec_hash` the SHA-256 of its canonical JSON.

CREATE TABLE client (
    tenant_id uuid NOT NULL,
    installation text NOT NULL,
    namespace text NOT NULL CHECK (octet_length(namespace) BETWEEN 1 AND 63),
    name text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 253),
    client_id text NOT NULL CHECK (client_id ~ '^[A-Za-z0-9._~-]{1,128}$'),
    spec jsonb NOT NULL,
    spec_hash bytea NOT NULL CHECK (octet_length(spec_hash) = 32),
    PRIMARY KEY (tenant_id, namespace, name),
    UNIQUE (tenant_id, client_id),
    FOREIGN KEY (tenant_id, installation) REFERENCES tenant (id, installation)
);

-- Slots in the order in which the operator gives them: any of them authenticates.
CREATE TABLE client_secret (
    tenant_id uuid NOT NULL,
    namespace text NOT NULL,
    name text NOT NULL,
    slot smallint NOT NULL CHECK (slot BETWEEN 0 AND 2),
    pepper_id text NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    PRIMARY KEY (tenant_id, namespace, name, slot),
    FOREIGN KEY (tenant_id, namespace, name) REFERENCES client (tenant_id, namespace, name) ON DELETE CASCADE
);

CREATE TABLE route (
    tenant_id uuid NOT NULL,
    installation text NOT NULL,
    namespace text NOT NULL CHECK (octet_length(namespace) BETWEEN 1 AND 63),
    name text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 253),
    spec jsonb NOT NULL,
    spec_hash bytea NOT NULL CHECK (octet_length(spec_hash) = 32),
    PRIMARY KEY (tenant_id, namespace, name),
    FOREIGN KEY (tenant_id, installation) REFERENCES tenant (id, installation)
);

CREATE TABLE access_policy (
    tenant_id uuid NOT NULL,
    installation text NOT NULL,
    namespace text NOT NULL CHECK (octet_length(namespace) BETWEEN 1 AND 63),
    name text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 253),
    spec jsonb NOT NULL,
    spec_hash bytea NOT NULL CHECK (octet_length(spec_hash) = 32),
    PRIMARY KEY (tenant_id, namespace, name),
    FOREIGN KEY (tenant_id, installation) REFERENCES tenant (id, installation)
);

CREATE TABLE retention_policy (
    tenant_id uuid NOT NULL,
    installation text NOT NULL,
    namespace text NOT NULL CHECK (octet_length(namespace) BETWEEN 1 AND 63),
    name text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 253),
    spec jsonb NOT NULL,
    spec_hash bytea NOT NULL CHECK (octet_length(spec_hash) = 32),
    PRIMARY KEY (tenant_id, namespace, name),
    FOREIGN KEY (tenant_id, installation) REFERENCES tenant (id, installation)
);

-- The data key is wrapped by the platform key, the others by the data key; each envelope names its wrapping key.
CREATE TABLE tenant_key (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    purpose text NOT NULL CHECK (purpose IN ('data', 'pepper', 'tag', 'audit_private')),
    key_id text NOT NULL,
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, purpose, key_id)
);

CREATE TABLE signing_key (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    kid text NOT NULL,
    key_use text NOT NULL CHECK (key_use IN ('token', 'url')),
    algorithm text NOT NULL CHECK (algorithm IN ('EdDSA', 'ES256', 'RS256', 'PS256')),
    state text NOT NULL CHECK (state IN ('next', 'active', 'retiring', 'revoked')),
    public_jwk jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, kid)
);
CREATE UNIQUE INDEX signing_key_active ON signing_key (tenant_id, key_use, algorithm) WHERE state = 'active';

CREATE TABLE signing_key_private (
    tenant_id uuid NOT NULL,
    kid text NOT NULL,
    wrapped_private bytea NOT NULL,
    PRIMARY KEY (tenant_id, kid),
    FOREIGN KEY (tenant_id, kid) REFERENCES signing_key (tenant_id, kid) ON DELETE CASCADE
);
