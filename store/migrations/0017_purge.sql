-- The end of a tenant whose tombstone is older than its purgeAfter (docs/decisions/0017-purge.md). Its row stays under another name,
-- for chains and seals name its id; name, issuer and hosts become free.
ALTER TABLE tenant ADD COLUMN purged_at timestamptz,
    ADD CONSTRAINT tenant_purged_after_tombstone CHECK (purged_at IS NULL OR tombstoned_at IS NOT NULL);

GRANT SELECT (purged_at) ON tenant TO authly_server, authly_gateway;
GRANT UPDATE (name, purged_at) ON tenant TO authly_operator;
GRANT DELETE ON tenant_issuer, tenant_key, signing_key TO authly_operator;
GRANT SELECT (tenant_id) ON signing_key TO authly_operator;
