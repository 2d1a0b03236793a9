//! The tenant's own rows: configuration, issuer, hosts, keys, tombstone.

use authly_model::{
    diff::SpecHash,
    ids::{Kind, ObjectRef, OwnerKey, TenantId},
    key::KeyState,
    tenant::Tenant,
};
use authly_secrets::NewTenantKeys;
use sqlx::PgConnection;

use super::{apply::json, keys};
use crate::{Claim, Conflict, Result, StoreError};

/// Whose tenant it is.
#[derive(Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) installation: &'a str,
    pub(super) id: TenantId,
    pub(super) exists: bool,
}

/// Locks the tenant's row; whether there is one. Another installation's tenant is refused. The lock leaves the key alone, so
/// that rows which refer to the tenant, such as group commit's, do not wait for a long batch.
pub(super) async fn lock(tx: &mut PgConnection, installation: &str, id: TenantId) -> Result<bool> {
    let row =
        sqlx::query!("-- roles: operator\nSELECT installation, name FROM tenant WHERE id = $1 FOR NO KEY UPDATE", id.0)
            .fetch_optional(tx)
            .await?;
    match row {
        None => Ok(false),
        Some(row) if row.installation == installation => Ok(true),
        Some(row) => {
            let object = ObjectRef::new(Kind::Tenant, "", &row.name);
            Err(conflict(object, Claim::Tenant, row.installation, row.name))
        }
    }
}

/// Creates, updates or restores the tenant.
pub(super) async fn put(
    tx: &mut PgConnection,
    owner: Owner<'_>,
    tenant: &Tenant,
    hash: SpecHash,
    new_keys: Option<&NewTenantKeys>,
) -> Result<()> {
    if tenant.installation != owner.installation {
        return Err(StoreError::Refused(format!(
            "tenant `{}` belongs to installation `{}`, not to `{}`",
            tenant.name, tenant.installation, owner.installation
        )));
    }
    if owner.exists {
        update(tx, owner.id, tenant, hash).await?;
    } else {
        let keys = new_keys.ok_or_else(|| StoreError::Refused("a new tenant needs keys".into()))?;
        insert(tx, owner.id, tenant, hash, keys).await?;
    }
    issuer(tx, owner.id, tenant).await?;
    hosts(tx, owner.id, tenant).await
}

async fn update(tx: &mut PgConnection, id: TenantId, tenant: &Tenant, hash: SpecHash) -> Result<()> {
    let updated = sqlx::query!(
        r#"-- roles: operator
        UPDATE tenant SET spec = $3, spec_hash = $4, tombstoned_at = NULL WHERE id = $1 AND name = $2"#,
        id.0,
        tenant.name,
        json(tenant)?,
        &hash.0[..]
    )
    .execute(tx)
    .await?;
    if updated.rows_affected() == 1 {
        return Ok(());
    }
    Err(StoreError::Refused(format!("tenant {id} is stored under another name than `{}`", tenant.name)))
}

async fn insert(
    tx: &mut PgConnection,
    id: TenantId,
    tenant: &Tenant,
    hash: SpecHash,
    new_keys: &NewTenantKeys,
) -> Result<()> {
    let inserted = sqlx::query!(
        r#"-- roles: operator
        INSERT INTO tenant (id, installation, name, spec, spec_hash, audit_public) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (installation, name) DO NOTHING"#,
        id.0,
        tenant.installation,
        tenant.name,
        json(tenant)?,
        &hash.0[..],
        new_keys.audit_public
    )
    .execute(&mut *tx)
    .await?;
    if inserted.rows_affected() == 0 {
        let object = ObjectRef::new(Kind::Tenant, "", &tenant.name);
        return Err(conflict(object, Claim::Tenant, tenant.installation.clone(), tenant.name.clone()));
    }
    for key in &new_keys.wrapped {
        keys::insert_wrapped(tx, id, key).await?;
    }
    for key in &new_keys.signing {
        // A tenant's first key of its use and algorithm is active at once.
        keys::insert(tx, id, key, KeyState::Active).await?;
    }
    Ok(())
}

/// The issuer is stored once and never changes (operator.md, rule 10).
async fn issuer(tx: &mut PgConnection, id: TenantId, tenant: &Tenant) -> Result<()> {
    sqlx::query!(
        r#"-- roles: operator
        INSERT INTO tenant_issuer (issuer, tenant_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"#,
        tenant.issuer,
        id.0
    )
    .execute(&mut *tx)
    .await?;
    let rows = sqlx::query!(
        r#"-- roles: operator
        SELECT i.issuer, i.tenant_id, t.installation, t.name FROM tenant_issuer i JOIN tenant t ON t.id = i.tenant_id
        WHERE i.issuer = $1 OR i.tenant_id = $2"#,
        tenant.issuer,
        id.0
    )
    .fetch_all(tx)
    .await?;
    for row in rows {
        if row.tenant_id != id.0 {
            let object = ObjectRef::new(Kind::Tenant, "", &tenant.name);
            return Err(conflict(object, Claim::Issuer(row.issuer), row.installation, row.name));
        }
        if row.issuer != tenant.issuer {
            return Err(StoreError::Refused(format!(
                "the issuer is immutable: it is `{}` and cannot become `{}`",
                row.issuer, tenant.issuer
            )));
        }
    }
    Ok(())
}

async fn hosts(tx: &mut PgConnection, id: TenantId, tenant: &Tenant) -> Result<()> {
    // In order, so that two installations that claim the same hosts do not wait for each other in a ring.
    let hosts: Vec<String> = tenant.url_hosts.iter().cloned().collect();
    sqlx::query!("-- roles: operator\nDELETE FROM tenant_host WHERE tenant_id = $1 AND host <> ALL ($2)", id.0, &hosts)
        .execute(&mut *tx)
        .await?;
    sqlx::query!(
        r#"-- roles: operator
        INSERT INTO tenant_host (host, tenant_id) SELECT h, $1 FROM unnest($2::text[]) AS h ORDER BY h
        ON CONFLICT (host) DO NOTHING"#,
        id.0,
        &hosts
    )
    .execute(&mut *tx)
    .await?;
    let taken = sqlx::query!(
        r#"-- roles: operator
        SELECT h.host, t.installation, t.name FROM tenant_host h JOIN tenant t ON t.id = h.tenant_id
        WHERE h.host = ANY ($2) AND h.tenant_id <> $1 ORDER BY h.host LIMIT 1"#,
        id.0,
        &hosts
    )
    .fetch_optional(tx)
    .await?;
    match taken {
        None => Ok(()),
        Some(row) => {
            let object = ObjectRef::new(Kind::Tenant, "", &tenant.name);
            Err(conflict(object, Claim::Host(row.host), row.installation, row.name))
        }
    }
}

/// Stops the tenant's service; its name, if it was served.
pub(super) async fn tombstone(tx: &mut PgConnection, id: TenantId) -> Result<Option<String>> {
    let name = sqlx::query_scalar!(
        r#"-- roles: operator
        UPDATE tenant SET tombstoned_at = clock_timestamp() WHERE id = $1 AND tombstoned_at IS NULL RETURNING name"#,
        id.0
    )
    .fetch_optional(tx)
    .await?;
    Ok(name)
}

fn conflict(object: ObjectRef, claim: Claim, installation: String, name: String) -> StoreError {
    let owner = OwnerKey { installation, object: ObjectRef::new(Kind::Tenant, "", name) };
    StoreError::Conflict(Box::new(Conflict { object, claim, owner }))
}
