//! A tenant's keys as the store keeps them, all of them wrapped. Read by servers (and, to hash a new client secret, by
//! the operator); no function of the gateway's role reaches them.

use std::time::Duration;

use authly_model::key::{Algorithm, KeyState, KeyUse};
use authly_secrets::{KeyPurpose, WrappedKey};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, Store, StoreError, TenantScope};

const LIMIT: Duration = Duration::from_millis(1500);

/// A signing key with its sealed private half.
#[derive(Debug, Clone)]
pub struct PrivateKey {
    /// Its id.
    pub kid: String,
    /// What it signs.
    pub key_use: KeyUse,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// Its state.
    pub state: KeyState,
    /// The private half, sealed.
    pub wrapped_private: Vec<u8>,
}

impl Store {
    /// The tenant's wrapped keys, newest first of each purpose. Role server.
    ///
    /// # Errors
    /// `Unavailable`; `Damaged`.
    pub async fn tenant_keys(&self, scope: &TenantScope) -> Result<Vec<WrappedKey>> {
        let read = async {
            let mut tx = self.begin_tenant(scope.tenant()).await?;
            let keys = tenant_keys(&mut tx, scope.tenant().0).await?;
            tx.commit().await.map_err(|e| self.failed(e))?;
            Ok(keys)
        };
        self.within(LIMIT, read).await
    }

    /// The tenant's signing keys that are not revoked, newest first, with their sealed private halves. Role server.
    ///
    /// # Errors
    /// `Unavailable`; `Damaged`.
    pub async fn signing_private(&self, scope: &TenantScope) -> Result<Vec<PrivateKey>> {
        let read = async {
            let mut tx = self.begin_tenant(scope.tenant()).await?;
            let rows = sqlx::query!(
                r#"-- roles: server
                SELECT k.kid, k.key_use, k.algorithm, k.state, p.wrapped_private
                FROM signing_key k JOIN signing_key_private p USING (tenant_id, kid)
                WHERE k.tenant_id = $1 AND k.state <> 'revoked' ORDER BY k.created_at DESC, k.kid"#,
                scope.tenant().0
            )
            .fetch_all(&mut *tx)
            .await
            .map_err(|e| self.failed(e))?;
            tx.commit().await.map_err(|e| self.failed(e))?;
            Ok(rows)
        };
        let rows = self.within(LIMIT, read).await?;
        let key = |kid: String, key_use: &str, algorithm: &str, state: &str, wrapped_private| {
            let key_use = [KeyUse::Token, KeyUse::Url].into_iter().find(|u| u.as_str() == key_use)?;
            let (algorithm, state) = (Algorithm::parse(algorithm)?, KeyState::parse(state)?);
            Some(PrivateKey { kid, key_use, algorithm, state, wrapped_private })
        };
        rows.into_iter()
            .map(|r| {
                let kid = r.kid.clone();
                key(r.kid, &r.key_use, &r.algorithm, &r.state, r.wrapped_private)
                    .ok_or_else(|| StoreError::Damaged(format!("signing key `{kid}`")))
            })
            .collect()
    }
}

/// Within a transaction of the tenant.
pub(crate) async fn tenant_keys(conn: &mut PgConnection, tenant: Uuid) -> Result<Vec<WrappedKey>> {
    let rows = sqlx::query!(
        r#"-- roles: server, operator
        SELECT purpose, key_id, wrapped FROM tenant_key WHERE tenant_id = $1 ORDER BY purpose, created_at DESC, key_id"#,
        tenant
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|r| {
            let purpose = KeyPurpose::parse(&r.purpose);
            let purpose =
                purpose.ok_or_else(|| StoreError::Damaged(format!("tenant key of purpose `{}`", r.purpose)))?;
            Ok(WrappedKey { purpose, key_id: r.key_id, wrapped: r.wrapped })
        })
        .collect()
}
