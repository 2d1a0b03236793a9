-- What the operator shows of retention (for each rule the last run that found something to do, or the last one at all), and
-- the sealing key after a change of the platform key.

CREATE POLICY every_tenant ON retention_run TO authly_fn_retention_run USING (true);
GRANT USAGE ON SCHEMA authly TO authly_fn_retention_run;

CREATE FUNCTION last_retention_runs(tenants uuid[])
RETURNS TABLE (tenant_id uuid, namespace text, name text, class text, mode text, started_at timestamptz,
    finished_at timestamptz, matched bigint, done bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT DISTINCT ON (r.tenant_id, r.namespace, r.name, r.class)
            r.tenant_id, r.namespace, r.name, r.class, r.mode, r.started_at, r.finished_at, r.matched, r.done
        FROM retention_run r WHERE r.tenant_id = ANY (tenants)
        ORDER BY r.tenant_id, r.namespace, r.name, r.class, r.matched > 0 DESC, r.started_at DESC;
END
$$;
GRANT CREATE ON SCHEMA authly TO authly_fn_retention_run;
REVOKE ALL ON FUNCTION last_retention_runs FROM PUBLIC;
ALTER FUNCTION last_retention_runs OWNER TO authly_fn_retention_run;
REVOKE CREATE ON SCHEMA authly FROM authly_fn_retention_run;
GRANT SELECT ON retention_run TO authly_fn_retention_run;
GRANT EXECUTE ON FUNCTION last_retention_runs TO authly_operator;

-- After a change of the platform key the private half of the sealing key is wrapped anew, by the job that seals.
GRANT UPDATE (wrapped_private) ON seal_key TO authly_jobs;
