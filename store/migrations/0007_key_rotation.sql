-- Rotation of signing keys (docs/decisions/0007-rotation-of-keys.md).

ALTER TABLE signing_key
    -- When every live replica was seen to publish it.
    ADD COLUMN acknowledged_at timestamptz,
    ADD COLUMN activated_at timestamptz,
    ADD COLUMN retired_at timestamptz,
    -- Seconds. What is not known counts as the longest that a signed URL may live.
    ADD COLUMN longest_lifetime int NOT NULL DEFAULT 604800 CHECK (longest_lifetime BETWEEN 0 AND 604800);

-- The request (an annotation's value) whose rotation has begun.
ALTER TABLE tenant ADD COLUMN rotation_request text CHECK (octet_length(rotation_request) <= 256);

-- For the operator, of which revoked keys ask nothing more.
CREATE FUNCTION list_signing_keys(tenants uuid[])
RETURNS TABLE (tenant_id uuid, kid text, key_use text, algorithm text, state text, created_at timestamptz,
    acknowledged_at timestamptz, activated_at timestamptz, retired_at timestamptz, longest_lifetime int)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT k.tenant_id, k.kid, k.key_use, k.algorithm, k.state, k.created_at, k.acknowledged_at, k.activated_at,
            k.retired_at, k.longest_lifetime
        FROM signing_key k WHERE k.tenant_id = ANY (tenants) AND k.state <> 'revoked' ORDER BY k.tenant_id, k.created_at, k.kid;
END
$$;

-- Revoked keys stay as rows, one more with each rotation; no snapshot needs them.
CREATE OR REPLACE FUNCTION load_signing_keys(tenants uuid[])
RETURNS TABLE (tenant_id uuid, kid text, key_use text, algorithm text, state text, public_jwk jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT k.tenant_id, k.kid, k.key_use, k.algorithm, k.state, k.public_jwk FROM signing_key k
        WHERE (tenants IS NULL OR k.tenant_id = ANY (tenants)) AND k.state <> 'revoked'
        ORDER BY k.tenant_id, k.created_at DESC, k.kid;
END
$$;

GRANT CREATE ON SCHEMA authly TO authly_fn_signing_key;
REVOKE ALL ON FUNCTION list_signing_keys FROM PUBLIC;
ALTER FUNCTION list_signing_keys OWNER TO authly_fn_signing_key;
REVOKE CREATE ON SCHEMA authly FROM authly_fn_signing_key;
GRANT EXECUTE ON FUNCTION list_signing_keys TO authly_operator;

GRANT SELECT, UPDATE (state, acknowledged_at, activated_at, retired_at, longest_lifetime) ON signing_key TO authly_operator;
-- The private half of a revoked key is destroyed.
GRANT SELECT (tenant_id, kid), DELETE ON signing_key_private TO authly_operator;
GRANT UPDATE (rotation_request) ON tenant TO authly_operator;
