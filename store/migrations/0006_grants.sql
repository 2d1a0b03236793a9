-- Owners of functions, and who may do what: as little as works. tests/queries.rs holds every query to it.

DO $$
DECLARE
    f text;
    r text;
    kind text;
BEGIN
    FOR f, r IN VALUES
        ('load_signing_keys', 'authly_fn_signing_key'), ('load_routes', 'authly_fn_route'),
        ('load_policies', 'authly_fn_policy'), ('list_retentions', 'authly_fn_retention'),
        ('list_clients', 'authly_fn_client'), ('list_client_secrets', 'authly_fn_client_secret'),
        ('load_token_revocations', 'authly_fn_token_revocation'), ('revoke_tokens', 'authly_fn_token_revocation'),
        ('load_url_revocations', 'authly_fn_url_revocation'), ('revoke_urls', 'authly_fn_url_revocation'),
        ('register_writers', 'authly_fn_audit_writer'), ('append_audit', 'authly_fn_audit_event'),
        ('debit_uses', 'authly_fn_url_use'), ('put_once', 'authly_fn_ephemeral'),
        ('publish', 'authly_fn_feed'), ('acknowledge', 'authly_fn_replica')
    LOOP
        -- A new owner needs CREATE for the moment of the change.
        EXECUTE format('GRANT CREATE ON SCHEMA authly TO %I', r);
        EXECUTE format('REVOKE ALL ON FUNCTION %I FROM PUBLIC', f);
        EXECUTE format('ALTER FUNCTION %I OWNER TO %I', f, r);
        EXECUTE format('REVOKE CREATE ON SCHEMA authly FROM %I', r);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION shard_of, create_audit_partitions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard_of TO authly_fn_feed;

GRANT SELECT ON signing_key TO authly_fn_signing_key;
GRANT SELECT ON route TO authly_fn_route;
GRANT SELECT ON access_policy TO authly_fn_policy;
GRANT SELECT ON retention_policy TO authly_fn_retention;
GRANT SELECT ON client TO authly_fn_client;
GRANT SELECT ON client_secret TO authly_fn_client_secret;
GRANT SELECT, INSERT ON token_revocation TO authly_fn_token_revocation;
GRANT SELECT, INSERT, UPDATE (before, expires_at) ON url_revocation TO authly_fn_url_revocation;
GRANT INSERT ON audit_writer TO authly_fn_audit_writer;
GRANT INSERT ON audit_event TO authly_fn_audit_event;
GRANT SELECT, INSERT, UPDATE (used, last) ON url_use TO authly_fn_url_use;
GRANT SELECT, INSERT, UPDATE (expires_at) ON ephemeral TO authly_fn_ephemeral;
GRANT SELECT, UPDATE (seq) ON feed_head TO authly_fn_feed;
GRANT INSERT ON feed_change TO authly_fn_feed;
GRANT SELECT, INSERT, UPDATE (position, failures, seen_at, lease_until) ON replica TO authly_fn_replica;

-- Server and gateway: the snapshot and group commit. The gateway reads no client, secret, private key or wrapped key.
GRANT SELECT (id, installation, name, spec, tombstoned_at, audit_public, store_epoch) ON tenant TO authly_server, authly_gateway;
GRANT SELECT ON feed_head, feed_change TO authly_server, authly_gateway;
GRANT EXECUTE ON FUNCTION load_signing_keys TO authly_server, authly_gateway, authly_operator;
GRANT EXECUTE ON FUNCTION load_routes TO authly_server, authly_gateway, authly_operator;
GRANT EXECUTE ON FUNCTION load_policies TO authly_server, authly_gateway, authly_operator;
GRANT EXECUTE ON FUNCTION load_token_revocations TO authly_server, authly_gateway;
GRANT EXECUTE ON FUNCTION revoke_tokens TO authly_server;
GRANT EXECUTE ON FUNCTION load_url_revocations TO authly_server, authly_gateway;
GRANT EXECUTE ON FUNCTION revoke_urls TO authly_server;
GRANT EXECUTE ON FUNCTION register_writers TO authly_server, authly_gateway;
GRANT EXECUTE ON FUNCTION append_audit TO authly_server, authly_gateway;
GRANT EXECUTE ON FUNCTION debit_uses TO authly_server, authly_gateway;
GRANT EXECUTE ON FUNCTION put_once TO authly_server, authly_gateway;
GRANT EXECUTE ON FUNCTION acknowledge TO authly_server, authly_gateway;
GRANT EXECUTE ON FUNCTION publish TO authly_server, authly_operator;
GRANT EXECUTE ON FUNCTION list_retentions TO authly_operator;
GRANT EXECUTE ON FUNCTION list_clients TO authly_operator;
GRANT EXECUTE ON FUNCTION list_client_secrets TO authly_operator;

-- Server: one tenant at a time.
GRANT SELECT ON client, client_secret, tenant_key, signing_key, signing_key_private, url_use TO authly_server;

-- Operator: the only writer of what manifests declare.
GRANT SELECT, INSERT, UPDATE (spec, spec_hash, tombstoned_at) ON tenant TO authly_operator;
GRANT SELECT, INSERT ON tenant_issuer TO authly_operator;
GRANT SELECT, INSERT, DELETE ON tenant_host TO authly_operator;
GRANT SELECT ON feed_change, replica TO authly_operator;
GRANT SELECT, INSERT, UPDATE (epoch, acquired_at) ON leader_epoch TO authly_operator;
GRANT SELECT, INSERT, DELETE, UPDATE (spec, spec_hash) ON client, route, access_policy, retention_policy TO authly_operator;
GRANT UPDATE (client_id) ON client TO authly_operator;
GRANT SELECT, INSERT, DELETE ON client_secret TO authly_operator;
GRANT SELECT, INSERT ON tenant_key TO authly_operator;
GRANT INSERT ON signing_key, signing_key_private TO authly_operator;

-- Jobs: one tenant at a time; audit payloads are ciphertext to it.
GRANT SELECT (id, spec) ON tenant TO authly_jobs;
GRANT SELECT ON retention_policy TO authly_jobs;
GRANT SELECT, DELETE ON token_revocation, url_revocation, url_use, ephemeral TO authly_jobs;
GRANT SELECT, UPDATE (payload) ON audit_event TO authly_jobs;
GRANT SELECT, INSERT, DELETE, UPDATE (finished_at, done) ON retention_run TO authly_jobs;
GRANT SELECT, UPDATE (next_run, holder, lease_until, cursor, finished_at, last_error) ON job TO authly_jobs;
GRANT SELECT, UPDATE (pruned_seq) ON feed_head TO authly_jobs;
GRANT SELECT, DELETE ON feed_change, replica TO authly_jobs;
GRANT EXECUTE ON FUNCTION create_audit_partitions TO authly_jobs;
