-- Roles of the cluster: every statement may find its work done by another installation at the same moment.
-- Run by migrate() before the migrations, as the owner's login; retried as a whole on a concurrent change.
DO $$
DECLARE
    runtime constant text[] := ARRAY['authly_server', 'authly_gateway', 'authly_operator', 'authly_jobs'];
    -- Owners of the functions that see several tenants: one role for one table.
    definers constant text[] := ARRAY[
        'authly_fn_audit_event', 'authly_fn_audit_writer', 'authly_fn_client', 'authly_fn_client_secret',
        'authly_fn_ephemeral', 'authly_fn_feed', 'authly_fn_history', 'authly_fn_leader', 'authly_fn_policy', 'authly_fn_replica', 'authly_fn_retention',
        'authly_fn_retention_run', 'authly_fn_route', 'authly_fn_seal_head', 'authly_fn_seal_key', 'authly_fn_signing_key', 'authly_fn_tenant',
        'authly_fn_token_revocation', 'authly_fn_url_revocation',
        'authly_fn_url_use'];
    -- From 16 on, membership alone does not allow SET ROLE.
    may_become constant text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
    r text;
BEGIN
    FOREACH r IN ARRAY runtime || definers || ARRAY['authly_owner', 'authly_prepare'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', r);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
    END LOOP;
    IF NOT pg_has_role(current_user, 'authly_owner', may_become) THEN
        EXECUTE format('GRANT authly_owner TO %I', current_user);
    END IF;
    FOREACH r IN ARRAY definers LOOP
        IF NOT pg_has_role('authly_owner', r, may_become) THEN
            EXECUTE format('GRANT %I TO authly_owner', r);
        END IF;
    END LOOP;
    FOREACH r IN ARRAY runtime LOOP
        IF NOT pg_has_role('authly_prepare', r, may_become) THEN
            EXECUTE format('GRANT %I TO authly_prepare', r);
        END IF;
    END LOOP;
END
$$;
