-- Seals of the audit chains (docs/decisions/0010-seals.md): every ten seconds the heads that moved, under a signed Merkle root.

-- Ed25519; the private half is wrapped by the platform key. A platform table, as seal is: a seal covers every tenant.
CREATE TABLE seal_key (
    key_id text PRIMARY KEY,
    public_key bytea NOT NULL CHECK (octet_length(public_key) = 32),
    wrapped_private bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE seal (
    number bigint PRIMARY KEY CHECK (number > 0),
    previous bytea NOT NULL CHECK (octet_length(previous) = 32),
    at timestamptz NOT NULL,
    heads bigint NOT NULL CHECK (heads > 0),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    key_id text NOT NULL REFERENCES seal_key (key_id),
    signature bytea NOT NULL CHECK (octet_length(signature) = 64)
);

-- The heads under each seal's root: at most one row for each record of the chain, in practice one for hundreds. A head
-- that did not move has none.
CREATE TABLE seal_head (
    tenant_id uuid NOT NULL,
    writer uuid NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    link bytea NOT NULL CHECK (octet_length(link) = 32),
    seal bigint NOT NULL CHECK (seal > 0),
    PRIMARY KEY (tenant_id, writer, seq)
);
CREATE INDEX seal_head_seal ON seal_head (seal, tenant_id, writer);
ALTER TABLE seal_head ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_wall ON seal_head USING (tenant_id = nullif(current_setting('authly.tenant', true), '')::uuid);
CREATE POLICY every_tenant ON seal_head TO authly_fn_seal_head USING (true);
GRANT USAGE ON SCHEMA authly TO authly_fn_seal_head;

-- The heads of every chain with a record since then. Within a chain numbers are written in order, so the highest is its head.
CREATE FUNCTION recent_heads(since timestamptz) RETURNS TABLE (tenant_id uuid, writer uuid, seq bigint, link bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT e.tenant_id, e.writer, e.seq, e.link
        FROM (SELECT r.tenant_id, r.writer, max(r.seq) AS seq FROM audit_event r WHERE r.at >= since GROUP BY 1, 2) top
        JOIN audit_event e ON e.tenant_id = top.tenant_id AND e.writer = top.writer AND e.seq = top.seq AND e.at >= since;
END
$$;

-- Puts heads under a seal; a head that is under one already is left out. Returns what is under it.
CREATE FUNCTION put_seal_heads(seal bigint, tenants uuid[], writers uuid[], seqs bigint[], links bytea[])
RETURNS TABLE (tenant_id uuid, writer uuid, seq bigint, link bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = authly, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY INSERT INTO seal_head (tenant_id, writer, seq, link, seal)
        SELECT h.tenant, h.writer, h.seq, h.link, put_seal_heads.seal
        FROM unnest(tenants, writers, seqs, links) AS h (tenant, writer, seq, link)
    ON CONFLICT ON CONSTRAINT seal_head_pkey DO NOTHING
    RETURNING tenant_id, writer, seq, link;
END
$$;

-- The heads under seals, in the order of the tree, a page at a time.
CREATE FUNCTION seal_heads(after_seal bigint, after_tenant uuid, after_writer uuid, page int)
RETURNS TABLE (seal bigint, tenant_id uuid, writer uuid, seq bigint, link bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT h.seal, h.tenant_id, h.writer, h.seq, h.link FROM seal_head h
        WHERE (h.seal, h.tenant_id, h.writer) > (after_seal, after_tenant, after_writer)
        ORDER BY h.seal, h.tenant_id, h.writer LIMIT page;
END
$$;

DO $$
DECLARE
    f text;
    r text;
BEGIN
    FOR f, r IN VALUES
        ('recent_heads', 'authly_fn_audit_event'), ('put_seal_heads', 'authly_fn_seal_head'), ('seal_heads', 'authly_fn_seal_head')
    LOOP
        EXECUTE format('GRANT CREATE ON SCHEMA authly TO %I', r);
        EXECUTE format('REVOKE ALL ON FUNCTION %I FROM PUBLIC', f);
        EXECUTE format('ALTER FUNCTION %I OWNER TO %I', f, r);
        EXECUTE format('REVOKE CREATE ON SCHEMA authly FROM %I', r);
    END LOOP;
END
$$;

GRANT SELECT (tenant_id, writer, seq, at, link) ON audit_event TO authly_fn_audit_event;
GRANT SELECT, INSERT ON seal_head TO authly_fn_seal_head;

-- Jobs seal, and `authly audit verify` reads as jobs. Nobody may change or delete a seal.
GRANT SELECT, INSERT ON seal, seal_key TO authly_jobs;
GRANT SELECT ON seal_head TO authly_jobs;
GRANT SELECT (tenant_id, writer) ON audit_writer TO authly_jobs;
GRANT EXECUTE ON FUNCTION recent_heads, put_seal_heads, seal_heads TO authly_jobs;

INSERT INTO job (name, every) VALUES ('seal', '10 seconds'), ('seal_late', '1 hour');
