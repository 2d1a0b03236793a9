-- Functions that see several tenants. plpgsql, which is faster here than LANGUAGE sql; never STRICT, so that EXPLAIN
-- of a call with NULLs checks the privilege. Owners and grants are in 0006.

CREATE FUNCTION shard_of(tenant uuid) RETURNS smallint
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = authly, pg_temp
RETURN (get_byte(uuid_send(tenant), 15) & 15)::smallint;

-- Reading, for snapshots and the operator's start: NULL is every tenant.

CREATE FUNCTION load_signing_keys(tenants uuid[])
RETURNS TABLE (tenant_id uuid, kid text, key_use text, algorithm text, state text, public_jwk jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT k.tenant_id, k.kid, k.key_use, k.algorithm, k.state, k.public_jwk FROM signing_key k
        WHERE tenants IS NULL OR k.tenant_id = ANY (tenants) ORDER BY k.tenant_id, k.created_at DESC, k.kid;
END
$$;

CREATE FUNCTION load_routes(tenants uuid[])
RETURNS TABLE (tenant_id uuid, namespace text, name text, spec jsonb, spec_hash bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT r.tenant_id, r.namespace, r.name, r.spec, r.spec_hash FROM route r
        WHERE tenants IS NULL OR r.tenant_id = ANY (tenants) ORDER BY 1, 2, 3;
END
$$;

CREATE FUNCTION load_policies(tenants uuid[])
RETURNS TABLE (tenant_id uuid, namespace text, name text, spec jsonb, spec_hash bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT p.tenant_id, p.namespace, p.name, p.spec, p.spec_hash FROM access_policy p
        WHERE tenants IS NULL OR p.tenant_id = ANY (tenants) ORDER BY 1, 2, 3;
END
$$;

CREATE FUNCTION list_retentions(tenants uuid[])
RETURNS TABLE (tenant_id uuid, namespace text, name text, spec_hash bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT r.tenant_id, r.namespace, r.name, r.spec_hash FROM retention_policy r
        WHERE tenants IS NULL OR r.tenant_id = ANY (tenants);
END
$$;

CREATE FUNCTION list_clients(tenants uuid[])
RETURNS TABLE (tenant_id uuid, namespace text, name text, client_id text, spec_hash bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT c.tenant_id, c.namespace, c.name, c.client_id, c.spec_hash FROM client c
        WHERE tenants IS NULL OR c.tenant_id = ANY (tenants);
END
$$;

CREATE FUNCTION list_client_secrets(tenants uuid[])
RETURNS TABLE (tenant_id uuid, namespace text, name text, pepper_id text, digest bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT s.tenant_id, s.namespace, s.name, s.pepper_id, s.digest FROM client_secret s
        WHERE tenants IS NULL OR s.tenant_id = ANY (tenants) ORDER BY s.tenant_id, s.namespace, s.name, s.slot;
END
$$;

-- Revocations that still matter: all of the tenants (keys NULL), or the named ones, pairwise.

CREATE FUNCTION load_token_revocations(tenants uuid[], jtis text[], valid_at timestamptz)
RETURNS TABLE (tenant_id uuid, jti text, expires_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    IF jtis IS NULL THEN
        RETURN QUERY SELECT r.tenant_id, r.jti, r.expires_at FROM token_revocation r
            WHERE r.expires_at > valid_at AND (tenants IS NULL OR r.tenant_id = ANY (tenants));
    ELSE
        RETURN QUERY SELECT r.tenant_id, r.jti, r.expires_at FROM unnest(tenants, jtis) AS k (tenant, jti)
            JOIN token_revocation r ON r.tenant_id = k.tenant AND r.jti = k.jti WHERE r.expires_at > valid_at;
    END IF;
END
$$;

CREATE FUNCTION load_url_revocations(tenants uuid[], keys text[], valid_at timestamptz)
RETURNS TABLE (tenant_id uuid, target text, value text, before bigint, expires_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    IF keys IS NULL THEN
        RETURN QUERY SELECT r.tenant_id, r.target, r.value, r.before, r.expires_at FROM url_revocation r
            WHERE r.expires_at > valid_at AND (tenants IS NULL OR r.tenant_id = ANY (tenants));
    ELSE
        RETURN QUERY SELECT r.tenant_id, r.target, r.value, r.before, r.expires_at FROM unnest(tenants, keys) AS k (tenant, key)
            JOIN url_revocation r ON r.tenant_id = k.tenant AND r.target = split_part(k.key, ':', 1)
                AND r.value = substr(k.key, strpos(k.key, ':') + 1) WHERE r.expires_at > valid_at;
    END IF;
END
$$;

-- Writing, for group commit. Lock order everywhere: url_use, revocations, audit, feed.

CREATE FUNCTION register_writers(writer uuid, at timestamptz, tenants uuid[], sealed_keys bytea[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    INSERT INTO audit_writer (tenant_id, writer, sealed_key, started_at)
        SELECT w.tenant, register_writers.writer, w.sealed_key, register_writers.at
        FROM unnest(tenants, sealed_keys) AS w (tenant, sealed_key);
END
$$;

CREATE FUNCTION append_audit(writer uuid, at timestamptz, tenants uuid[], seqs bigint[], kinds text[], payloads bytea[],
    payload_hashes bytea[], links bytea[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    INSERT INTO audit_event (tenant_id, writer, seq, at, kind, payload, payload_hash, link)
        SELECT e.tenant, append_audit.writer, e.seq, append_audit.at, e.kind, e.payload, e.payload_hash, e.link
        FROM unnest(tenants, seqs, kinds, payloads, payload_hashes, links)
            AS e (tenant, seq, kind, payload, payload_hash, link);
END
$$;

-- The caller coalesces by (tenant, id) and sorts. Never more than max: `used` only grows, and by what `last` says.
CREATE FUNCTION debit_uses(tenants uuid[], ids bytea[], ks int[], maxima int[], expiries timestamptz[])
RETURNS TABLE (tenant_id uuid, id bytea, granted int, used int, max int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = authly, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY INSERT INTO url_use AS u (tenant_id, id, used, max, last, expires_at)
        SELECT d.tenant, d.id, least(d.k, d.max), d.max, least(d.k, d.max), d.expires_at
        FROM unnest(tenants, ids, ks, maxima, expiries) AS d (tenant, id, k, max, expires_at) ORDER BY 1, 2
    ON CONFLICT (tenant_id, id) DO UPDATE SET
        used = u.used + greatest(0, least(excluded.last, least(u.max, excluded.max) - u.used)),
        last = greatest(0, least(excluded.last, least(u.max, excluded.max) - u.used))
    RETURNING u.tenant_id, u.id, u.last, u.used, u.max;
END
$$;

CREATE FUNCTION revoke_tokens(tenants uuid[], jtis text[], expiries timestamptz[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    INSERT INTO token_revocation (tenant_id, jti, expires_at)
        SELECT r.tenant, r.jti, r.expires_at FROM unnest(tenants, jtis, expiries) AS r (tenant, jti, expires_at) ORDER BY 1, 2
    ON CONFLICT (tenant_id, jti) DO NOTHING;
END
$$;

CREATE FUNCTION revoke_urls(tenants uuid[], targets text[], vals text[], befores bigint[], expiries timestamptz[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    INSERT INTO url_revocation AS u (tenant_id, target, value, before, expires_at)
        SELECT r.tenant, r.target, r.value, r.before, r.expires_at
        FROM unnest(tenants, targets, vals, befores, expiries) AS r (tenant, target, value, before, expires_at) ORDER BY 1, 2, 3
    ON CONFLICT (tenant_id, target, value) DO UPDATE SET
        before = greatest(u.before, excluded.before), expires_at = greatest(u.expires_at, excluded.expires_at);
END
$$;

CREATE FUNCTION put_once(tenant uuid, key bytea, now timestamptz, expires_at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    INSERT INTO ephemeral AS e (tenant_id, key, expires_at) VALUES (tenant, put_once.key, put_once.expires_at)
        ON CONFLICT ON CONSTRAINT ephemeral_pkey DO UPDATE SET expires_at = excluded.expires_at
        WHERE e.expires_at <= put_once.now;
    RETURN FOUND;
END
$$;

-- Last in every transaction that changes configuration: gapless and in commit order in each shard, shards in order.
CREATE FUNCTION publish(tenants uuid[], kinds text[], keys text[]) RETURNS TABLE (shard smallint, seq bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    FOR shard IN SELECT DISTINCT shard_of(t) FROM unnest(tenants) AS t ORDER BY 1 LOOP
        UPDATE feed_head h SET seq = h.seq + 1 WHERE h.shard = publish.shard RETURNING h.seq INTO publish.seq;
        INSERT INTO feed_change (shard, seq, tenant_id, kind, key)
            SELECT DISTINCT publish.shard, publish.seq, c.tenant, c.kind, c.key
            FROM unnest(tenants, kinds, keys) AS c (tenant, kind, key) WHERE shard_of(c.tenant) = publish.shard;
        RETURN NEXT;
    END LOOP;
END
$$;

-- A replica writes its own row only: a login of one role cannot speak for the other.
CREATE FUNCTION acknowledge(replica uuid, role text, "position" bigint[], failures jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    IF NOT pg_has_role(session_user, 'authly_' || acknowledge.role, 'MEMBER') THEN
        RAISE insufficient_privilege USING MESSAGE = format('%s is not a member of authly_%s', session_user, acknowledge.role);
    END IF;
    INSERT INTO replica AS r (id, role, position, failures, seen_at, lease_until)
        VALUES (acknowledge.replica, acknowledge.role, acknowledge.position, acknowledge.failures,
            clock_timestamp(), clock_timestamp() + interval '10 seconds')
    ON CONFLICT (id) DO UPDATE SET position = excluded.position, failures = excluded.failures,
        seen_at = excluded.seen_at, lease_until = excluded.lease_until WHERE r.role = excluded.role;
    IF NOT FOUND THEN
        RAISE insufficient_privilege USING MESSAGE = 'the replica id belongs to another role';
    END IF;
END
$$;
