-- Row security, forced, on every tenant table; tests/walls.rs enumerates and fails on one without.

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY[
        'client', 'client_secret', 'route', 'access_policy', 'retention_policy', 'tenant_key', 'signing_key',
        'signing_key_private', 'token_revocation', 'url_revocation', 'url_use', 'ephemeral', 'audit_writer',
        'audit_event', 'retention_run']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant_wall ON %I USING (tenant_id = nullif(current_setting(''authly.tenant'', true), '''')::uuid)', t);
    END LOOP;
END
$$;

-- The owners of functions that see several tenants: one table each.
DO $$
DECLARE
    t text;
    r text;
BEGIN
    FOR t, r IN VALUES
        ('client', 'authly_fn_client'), ('client_secret', 'authly_fn_client_secret'), ('route', 'authly_fn_route'),
        ('access_policy', 'authly_fn_policy'), ('retention_policy', 'authly_fn_retention'),
        ('signing_key', 'authly_fn_signing_key'), ('token_revocation', 'authly_fn_token_revocation'),
        ('url_revocation', 'authly_fn_url_revocation'), ('url_use', 'authly_fn_url_use'),
        ('ephemeral', 'authly_fn_ephemeral'), ('audit_writer', 'authly_fn_audit_writer'),
        ('audit_event', 'authly_fn_audit_event')
    LOOP
        EXECUTE format('CREATE POLICY every_tenant ON %I TO %I USING (true)', t, r);
        EXECUTE format('GRANT USAGE ON SCHEMA authly TO %I', r);
    END LOOP;
END
$$;
GRANT USAGE ON SCHEMA authly TO authly_fn_feed, authly_fn_replica;

-- Made ahead, so that an insert never waits for DDL. Attached, which takes a weaker lock than PARTITION OF.
CREATE FUNCTION create_audit_partitions(ahead int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = authly, pg_temp AS $$
DECLARE
    this_month constant timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    first timestamp;
    part text;
    made int := 0;
BEGIN
    FOR m IN -2..ahead LOOP
        first := this_month + make_interval(months => m);
        part := 'audit_event_' || to_char(first, 'YYYY_MM');
        CONTINUE WHEN to_regclass(format('authly.%I', part)) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I (LIKE audit_event INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', part);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', part);
        EXECUTE format('CREATE POLICY tenant_wall ON %I USING (tenant_id = nullif(current_setting(''authly.tenant'', true), '''')::uuid)', part);
        EXECUTE format('ALTER TABLE audit_event ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part,
            first AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC');
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;
SELECT create_audit_partitions(24);
