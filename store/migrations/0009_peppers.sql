-- Change of a tenant's pepper (docs/decisions/0007-rotation-of-keys.md).

-- The request (an annotation's value) whose change has begun.
ALTER TABLE tenant ADD COLUMN pepper_request text CHECK (octet_length(pepper_request) <= 256);

GRANT UPDATE (pepper_request) ON tenant TO authly_operator;
-- A pepper under which no secret is digested any more.
GRANT DELETE ON tenant_key TO authly_operator;
