//! Objects below a tenant: one statement for each kind and batch.

use std::collections::BTreeMap;

use authly_model::{
    client::{Client, SecretHash},
    ids::{Kind, ObjectName, ObjectRef, OwnerKey, TenantId},
};
use sqlx::PgConnection;

use super::apply::{Changed, Puts};
use crate::{Claim, Conflict, Result, StoreError};

/// next, current, previous (operator.md, rule 7).
const MAX_SECRETS: usize = 3;

/// Deletes objects; what was there is in the result.
pub(super) async fn delete(
    tx: &mut PgConnection,
    tenant: TenantId,
    kind: Kind,
    objects: &[ObjectName],
) -> Result<Changed> {
    let (namespaces, names) = columns(objects.iter());
    let (feed_kind, keys) = match kind {
        Kind::Tenant => return Err(StoreError::Refused("a tenant is tombstoned, not deleted".into())),
        Kind::OAuthClient => {
            let query = sqlx::query_scalar!(
                r#"-- roles: operator
                DELETE FROM client c USING unnest($2::text[], $3::text[]) AS d (namespace, name)
                WHERE c.tenant_id = $1 AND c.namespace = d.namespace AND c.name = d.name RETURNING c.client_id"#,
                tenant.0,
                &namespaces,
                &names
            );
            ("client", query.fetch_all(tx).await?)
        }
        Kind::SignedUrlRoute => {
            let query = sqlx::query_scalar!(
                r#"-- roles: operator
                DELETE FROM route r USING unnest($2::text[], $3::text[]) AS d (namespace, name)
                WHERE r.tenant_id = $1 AND r.namespace = d.namespace AND r.name = d.name
                RETURNING r.namespace || '/' || r.name AS "key!""#,
                tenant.0,
                &namespaces,
                &names
            );
            ("route", query.fetch_all(tx).await?)
        }
        Kind::AccessPolicy => {
            let query = sqlx::query_scalar!(
                r#"-- roles: operator
                DELETE FROM access_policy p USING unnest($2::text[], $3::text[]) AS d (namespace, name)
                WHERE p.tenant_id = $1 AND p.namespace = d.namespace AND p.name = d.name
                RETURNING p.namespace || '/' || p.name AS "key!""#,
                tenant.0,
                &namespaces,
                &names
            );
            ("policy", query.fetch_all(tx).await?)
        }
        Kind::RetentionPolicy => {
            let query = sqlx::query_scalar!(
                r#"-- roles: operator
                DELETE FROM retention_policy r USING unnest($2::text[], $3::text[]) AS d (namespace, name)
                WHERE r.tenant_id = $1 AND r.namespace = d.namespace AND r.name = d.name
                RETURNING r.namespace || '/' || r.name AS "key!""#,
                tenant.0,
                &namespaces,
                &names
            );
            ("retention", query.fetch_all(tx).await?)
        }
    };
    Ok(keys.into_iter().map(|key| (feed_kind, key)).collect())
}

/// The tenant's row is locked, so nothing changes between the look and the write.
pub(super) async fn put_clients(
    tx: &mut PgConnection,
    (tenant, installation): (TenantId, &str),
    clients: &[Client],
    puts: &Puts,
) -> Result<Changed> {
    if clients.is_empty() {
        return Ok(Changed::new());
    }
    let ids: Vec<String> = clients.iter().map(|c| c.client_id.clone()).collect();
    let rows = sqlx::query!(
        r#"-- roles: server, operator
        SELECT c.namespace, c.name, c.client_id FROM client c
        WHERE c.tenant_id = $1 AND (c.client_id = ANY ($2)
            OR (c.namespace, c.name) IN (SELECT * FROM unnest($3::text[], $4::text[])))"#,
        tenant.0,
        &ids,
        &puts.namespaces,
        &puts.names
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut changed: Changed = ids.iter().map(|id| ("client", id.clone())).collect();
    let mut holders: BTreeMap<&str, &ObjectName> = BTreeMap::new();
    let stored: Vec<(ObjectName, String)> =
        rows.into_iter().map(|r| (ObjectName::new(r.namespace, r.name), r.client_id)).collect();
    for (object, client_id) in &stored {
        holders.insert(client_id, object);
        // Under a new client id the old one stops working.
        changed.push(("client", client_id.clone()));
    }
    for client in clients {
        let holder = holders.entry(&client.client_id).or_insert(&client.object);
        if **holder != client.object {
            return Err(StoreError::Conflict(Box::new(Conflict {
                object: ObjectRef { kind: Kind::OAuthClient, object: client.object.clone() },
                claim: Claim::ClientId(client.client_id.clone()),
                owner: OwnerKey {
                    installation: installation.to_owned(),
                    object: ObjectRef { kind: Kind::OAuthClient, object: (*holder).clone() },
                },
            })));
        }
    }
    sqlx::query!(
        r#"-- roles: operator
        INSERT INTO client (tenant_id, installation, namespace, name, client_id, spec, spec_hash)
        SELECT $1, $2, p.namespace, p.name, p.client_id, p.spec, p.spec_hash
        FROM unnest($3::text[], $4::text[], $5::text[], $6::jsonb[], $7::bytea[]) AS p (namespace, name, client_id, spec, spec_hash)
        ON CONFLICT (tenant_id, namespace, name)
        DO UPDATE SET client_id = excluded.client_id, spec = excluded.spec, spec_hash = excluded.spec_hash"#,
        tenant.0,
        installation,
        &puts.namespaces,
        &puts.names,
        &ids,
        &puts.specs,
        &puts.hashes
    )
    .execute(tx)
    .await?;
    Ok(changed)
}

pub(super) async fn put_routes(
    tx: &mut PgConnection,
    (tenant, installation): (TenantId, &str),
    puts: &Puts,
) -> Result<Changed> {
    if puts.names.is_empty() {
        return Ok(Changed::new());
    }
    sqlx::query!(
        r#"-- roles: operator
        INSERT INTO route (tenant_id, installation, namespace, name, spec, spec_hash)
        SELECT $1, $2, p.namespace, p.name, p.spec, p.spec_hash
        FROM unnest($3::text[], $4::text[], $5::jsonb[], $6::bytea[]) AS p (namespace, name, spec, spec_hash)
        ON CONFLICT (tenant_id, namespace, name) DO UPDATE SET spec = excluded.spec, spec_hash = excluded.spec_hash"#,
        tenant.0,
        installation,
        &puts.namespaces,
        &puts.names,
        &puts.specs,
        &puts.hashes
    )
    .execute(tx)
    .await?;
    Ok(changed("route", puts))
}

pub(super) async fn put_policies(
    tx: &mut PgConnection,
    (tenant, installation): (TenantId, &str),
    puts: &Puts,
) -> Result<Changed> {
    if puts.names.is_empty() {
        return Ok(Changed::new());
    }
    sqlx::query!(
        r#"-- roles: operator
        INSERT INTO access_policy (tenant_id, installation, namespace, name, spec, spec_hash)
        SELECT $1, $2, p.namespace, p.name, p.spec, p.spec_hash
        FROM unnest($3::text[], $4::text[], $5::jsonb[], $6::bytea[]) AS p (namespace, name, spec, spec_hash)
        ON CONFLICT (tenant_id, namespace, name) DO UPDATE SET spec = excluded.spec, spec_hash = excluded.spec_hash"#,
        tenant.0,
        installation,
        &puts.namespaces,
        &puts.names,
        &puts.specs,
        &puts.hashes
    )
    .execute(tx)
    .await?;
    Ok(changed("policy", puts))
}

pub(super) async fn put_retentions(
    tx: &mut PgConnection,
    (tenant, installation): (TenantId, &str),
    puts: &Puts,
) -> Result<Changed> {
    if puts.names.is_empty() {
        return Ok(Changed::new());
    }
    sqlx::query!(
        r#"-- roles: operator
        INSERT INTO retention_policy (tenant_id, installation, namespace, name, spec, spec_hash)
        SELECT $1, $2, p.namespace, p.name, p.spec, p.spec_hash
        FROM unnest($3::text[], $4::text[], $5::jsonb[], $6::bytea[]) AS p (namespace, name, spec, spec_hash)
        ON CONFLICT (tenant_id, namespace, name) DO UPDATE SET spec = excluded.spec, spec_hash = excluded.spec_hash"#,
        tenant.0,
        installation,
        &puts.namespaces,
        &puts.names,
        &puts.specs,
        &puts.hashes
    )
    .execute(tx)
    .await?;
    Ok(changed("retention", puts))
}

/// Replaces all hashes of each named client.
pub(super) async fn put_secrets(
    tx: &mut PgConnection,
    tenant: TenantId,
    secrets: &BTreeMap<ObjectName, Vec<SecretHash>>,
) -> Result<Changed> {
    if secrets.is_empty() {
        return Ok(Changed::new());
    }
    let (namespaces, names) = columns(secrets.keys());
    let client_ids = sqlx::query_scalar!(
        r#"-- roles: operator
        WITH named AS (SELECT * FROM unnest($2::text[], $3::text[]) AS n (namespace, name)),
        gone AS (DELETE FROM client_secret s USING named n
            WHERE s.tenant_id = $1 AND s.namespace = n.namespace AND s.name = n.name)
        SELECT c.client_id FROM client c JOIN named n ON c.namespace = n.namespace AND c.name = n.name WHERE c.tenant_id = $1"#,
        tenant.0,
        &namespaces,
        &names
    )
    .fetch_all(&mut *tx)
    .await?;
    if client_ids.len() != secrets.len() {
        return Err(StoreError::Refused("a secret is given for a client that is not stored".into()));
    }
    let mut rows = Puts::default();
    let mut slots = Vec::new();
    for (object, hashes) in secrets {
        if hashes.len() > MAX_SECRETS {
            return Err(StoreError::Refused(format!("client {object} has more than {MAX_SECRETS} secrets")));
        }
        for (slot, hash) in (0_i16..).zip(hashes) {
            rows.namespaces.push(object.namespace.clone());
            rows.names.push(object.name.clone());
            rows.hashes.push(hash.digest.clone());
            slots.push((slot, hash.pepper_id.clone()));
        }
    }
    let (slots, peppers): (Vec<i16>, Vec<String>) = slots.into_iter().unzip();
    sqlx::query!(
        r#"-- roles: operator
        INSERT INTO client_secret (tenant_id, namespace, name, slot, pepper_id, digest)
        SELECT $1, s.namespace, s.name, s.slot, s.pepper_id, s.digest
        FROM unnest($2::text[], $3::text[], $4::smallint[], $5::text[], $6::bytea[]) AS s (namespace, name, slot, pepper_id, digest)"#,
        tenant.0,
        &rows.namespaces,
        &rows.names,
        &slots,
        &peppers,
        &rows.hashes
    )
    .execute(tx)
    .await?;
    Ok(client_ids.into_iter().map(|id| ("client", id)).collect())
}

fn changed(kind: &'static str, puts: &Puts) -> Changed {
    puts.namespaces.iter().zip(&puts.names).map(|(ns, name)| (kind, format!("{ns}/{name}"))).collect()
}

fn columns<'a>(objects: impl Iterator<Item = &'a ObjectName>) -> (Vec<String>, Vec<String>) {
    objects.map(|o| (o.namespace.clone(), o.name.clone())).unzip()
}
