//! The end of a tenant: once its tombstone is older than its `purgeAfter`, its keys are destroyed, and with them everything that
//! they encrypt, and what its manifests declared. Its row stays, nameless: audit chains and seals name its id.

use authly_model::{
    diff::spec_hash,
    ids::{Kind, ObjectRef, TenantId},
    tenant::Tenant,
};
use jiff::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{LIMIT, Leader, apply::json, tenant};
use crate::{Result, StoreError, feed, scope::PlatformScope, time::PgTime};

impl Leader {
    /// The tombstoned tenants that may be purged now. One whose spec cannot be read stays.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn purgeable(&self, now: Timestamp) -> Result<Vec<(TenantId, String)>> {
        let query = sqlx::query!(
            r#"-- roles: server, gateway, operator
            SELECT id, name, spec, tombstoned_at AS "tombstoned_at!: PgTime" FROM tenant
            WHERE installation = $1 AND tombstoned_at IS NOT NULL AND purged_at IS NULL ORDER BY id"#,
            self.installation
        );
        let read = async { query.fetch_all(&self.store.pool()?).await.map_err(|e| self.store.failed(e)) };
        let mut due = Vec::new();
        for row in self.store.within(LIMIT, read).await? {
            match stored(row.spec, &row.name) {
                Ok(spec) if spec.is_purge_due(row.tombstoned_at.0, now) => due.push((TenantId(row.id), row.name)),
                Ok(_) => {}
                // The others go all the same.
                Err(error) => tracing::warn!(%error, "whether a deleted tenant is due to be purged cannot be read"),
            }
        }
        Ok(due)
    }

    /// Purges a tenant if it may be purged now; whether it did. Nothing that its keys encrypt can be read any more.
    ///
    /// # Errors
    /// `Unavailable`, `Fenced`, `Damaged`.
    pub async fn purge(&self, tenant: TenantId, now: Timestamp) -> Result<bool> {
        let write = async {
            let mut tx = self.begin(tenant).await?;
            let is_purged = purge(&mut tx, &self.installation, tenant, now).await?;
            tx.commit().await.map_err(|e| self.store.failed(e))?;
            Ok(is_purged)
        };
        self.store.within(LIMIT, write).await
    }
}

/// Within the leader's fenced transaction. The tenant's row is locked first, the feed's head last.
async fn purge(tx: &mut PgConnection, installation: &str, id: TenantId, now: Timestamp) -> Result<bool> {
    if !tenant::lock(tx, installation, id).await? {
        return Ok(false);
    }
    let row = sqlx::query!(
        r#"-- roles: server, gateway, operator
        SELECT name, spec, tombstoned_at AS "tombstoned_at: PgTime" FROM tenant WHERE id = $1 AND purged_at IS NULL"#,
        id.0
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(false) };
    let spec = stored(row.spec, &row.name)?;
    // It may have been restored since.
    if !row.tombstoned_at.is_some_and(|at| spec.is_purge_due(at.0, now)) {
        return Ok(false);
    }
    declared(tx, id).await?;
    keys(tx, id).await?;
    // Random, so that no manifest can have taken it, or guess it: the id is known to whoever read the tenant's status.
    let nameless = spec.purged(format!("purged-{}", Uuid::new_v4()));
    let hash = spec_hash(&nameless).map_err(|e| StoreError::Damaged(e.to_string()))?;
    sqlx::query!(
        r#"-- roles: operator
        UPDATE tenant SET name = $2, spec = $3, spec_hash = $4, purged_at = clock_timestamp() WHERE id = $1"#,
        id.0,
        nameless.name,
        json(&nameless)?,
        &hash.0[..]
    )
    .execute(&mut *tx)
    .await?;
    feed::publish(&PlatformScope(()), tx, &[id.0], vec![("tenant", nameless.name)]).await?;
    Ok(true)
}

/// What manifests declared; a client takes its secrets' hashes along.
async fn declared(tx: &mut PgConnection, id: TenantId) -> Result<()> {
    for query in [
        sqlx::query!("-- roles: operator\nDELETE FROM client WHERE tenant_id = $1", id.0),
        sqlx::query!("-- roles: operator\nDELETE FROM route WHERE tenant_id = $1", id.0),
        sqlx::query!("-- roles: operator\nDELETE FROM access_policy WHERE tenant_id = $1", id.0),
        sqlx::query!("-- roles: operator\nDELETE FROM retention_policy WHERE tenant_id = $1", id.0),
        sqlx::query!("-- roles: operator\nDELETE FROM tenant_host WHERE tenant_id = $1", id.0),
        sqlx::query!("-- roles: operator\nDELETE FROM tenant_issuer WHERE tenant_id = $1", id.0),
    ] {
        query.execute(&mut *tx).await?;
    }
    Ok(())
}

/// Data key, pepper, tag key and the key that audit payloads are sealed to; signing keys take their private halves along.
async fn keys(tx: &mut PgConnection, id: TenantId) -> Result<()> {
    for query in [
        sqlx::query!("-- roles: operator\nDELETE FROM tenant_key WHERE tenant_id = $1", id.0),
        sqlx::query!("-- roles: operator\nDELETE FROM signing_key WHERE tenant_id = $1", id.0),
    ] {
        query.execute(&mut *tx).await?;
    }
    Ok(())
}

fn stored(spec: serde_json::Value, name: &str) -> Result<Tenant> {
    serde_json::from_value(spec)
        .map_err(|e| StoreError::Damaged(format!("{}: {e}", ObjectRef::new(Kind::Tenant, "", name))))
}
