//! The change of the platform key: every tenant's data key is wrapped by the active one, online.
//!
//! One row is one transaction that replaces just the envelope it read, so a kill anywhere loses nothing, the next run goes on
//! where this one ended, and whoever reads meanwhile finds one whole envelope or the other.

use std::time::Duration;

use authly_model::ids::TenantId;
use authly_secrets::{KekRing, KeyPurpose, WrappedKey, rewrap_data_key};
use uuid::Uuid;

use crate::{Result, Store, StoreError};

const LIMIT: Duration = Duration::from_secs(20);
/// Tenants read at once.
const PAGE: i64 = 500;

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Data keys that were wrapped anew.
    pub done: u64,
    /// Data keys that were wrapped by the active key already.
    pub before: u64,
}

impl Store {
    /// Wraps the data keys of every tenant, of all installations, by the active key. Role operator.
    ///
    /// # Errors
    /// `Unavailable`; `Refused` names the tenant whose key is wrapped by a key that is not in the ring.
    pub async fn rewrap(&self, kek: &KekRing) -> Result<Rewrapped> {
        let mut total = Rewrapped::default();
        let mut after = Uuid::nil();
        loop {
            let page = self.tenants_after(after).await?;
            let Some(last) = page.last() else { return Ok(total) };
            after = *last;
            for tenant in page {
                self.rewrap_tenant(kek, TenantId(tenant), &mut total).await?;
            }
        }
    }

    async fn tenants_after(&self, after: Uuid) -> Result<Vec<Uuid>> {
        let query = sqlx::query_scalar!(
            "-- roles: server, gateway, operator, jobs\nSELECT id FROM tenant WHERE id > $1 ORDER BY id LIMIT $2",
            after,
            PAGE
        );
        let read = async { query.fetch_all(&self.pool()?).await.map_err(|e| self.failed(e)) };
        self.within(LIMIT, read).await
    }

    async fn rewrap_tenant(&self, kek: &KekRing, tenant: TenantId, total: &mut Rewrapped) -> Result<()> {
        let work = async {
            let mut tx = self.begin_tenant(tenant).await?;
            let rows = sqlx::query!(
                r#"-- roles: operator
                SELECT key_id, wrapped FROM tenant_key WHERE tenant_id = $1 AND purpose = 'data' FOR NO KEY UPDATE"#,
                tenant.0
            )
            .fetch_all(&mut *tx)
            .await
            .map_err(|e| self.failed(e))?;
            let mut counted = Rewrapped::default();
            for row in rows {
                let row = WrappedKey { purpose: KeyPurpose::Data, key_id: row.key_id, wrapped: row.wrapped };
                let refused = |error| StoreError::Refused(format!("tenant {tenant}: {error}"));
                let Some(anew) = rewrap_data_key(kek, tenant, &row).map_err(refused)? else {
                    counted.before += 1;
                    continue;
                };
                sqlx::query!(
                    r#"-- roles: operator
                    UPDATE tenant_key SET wrapped = $3 WHERE tenant_id = $1 AND purpose = 'data' AND key_id = $2"#,
                    tenant.0,
                    anew.key_id,
                    anew.wrapped
                )
                .execute(&mut *tx)
                .await
                .map_err(|e| self.failed(e))?;
                counted.done += 1;
            }
            tx.commit().await.map_err(|e| self.failed(e))?;
            Ok(counted)
        };
        let counted = self.within(LIMIT, work).await?;
        total.done += counted.done;
        total.before += counted.before;
        Ok(())
    }

    /// The ids of the platform keys that wrap the platform's sealing key. Role operator.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn sealing_key_wrapped_by(&self) -> Result<Vec<String>> {
        let query = sqlx::query_scalar!(
            r#"-- roles: operator
            SELECT id AS "id!" FROM sealing_key_wrapped_by() AS id"#
        );
        let read = async { query.fetch_all(&self.pool()?).await.map_err(|e| self.failed(e)) };
        self.within(LIMIT, read).await
    }
}
