-- What a server keeps of clients is read again with the change that the feed names, before the position is acknowledged: a
-- secret that is acknowledged is checked from memory. Pairs, of any tenant, so by functions; the server alone may.

CREATE FUNCTION load_clients(tenants uuid[], client_ids text[])
RETURNS TABLE (tenant_id uuid, client_id text, namespace text, name text, spec jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT c.tenant_id, c.client_id, c.namespace, c.name, c.spec
        FROM unnest(tenants, client_ids) AS k (tenant, client_id)
        JOIN client c ON c.tenant_id = k.tenant AND c.client_id = k.client_id;
END
$$;

CREATE FUNCTION load_client_secrets(tenants uuid[], namespaces text[], names text[])
RETURNS TABLE (tenant_id uuid, namespace text, name text, pepper_id text, digest bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT s.tenant_id, s.namespace, s.name, s.pepper_id, s.digest
        FROM unnest(tenants, namespaces, names) AS k (tenant, namespace, name)
        JOIN client_secret s ON s.tenant_id = k.tenant AND s.namespace = k.namespace AND s.name = k.name
        ORDER BY s.tenant_id, s.namespace, s.name, s.slot;
END
$$;

DO $$
DECLARE
    f text;
    r text;
BEGIN
    FOR f, r IN VALUES
        ('load_clients', 'authly_fn_client'), ('load_client_secrets', 'authly_fn_client_secret')
    LOOP
        EXECUTE format('GRANT CREATE ON SCHEMA authly TO %I', r);
        EXECUTE format('REVOKE ALL ON FUNCTION %I FROM PUBLIC', f);
        EXECUTE format('ALTER FUNCTION %I OWNER TO %I', f, r);
        EXECUTE format('REVOKE CREATE ON SCHEMA authly FROM %I', r);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION load_clients, load_client_secrets TO authly_server;
