-- Tenants' data keys are wrapped anew after a change of the platform key (`authly admin rewrap`).
GRANT UPDATE (wrapped) ON tenant_key TO authly_operator;
