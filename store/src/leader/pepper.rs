//! Peppers of a tenant: a new one beside the old, and the end of the old (docs/decisions/0007-rotation-of-keys.md).

use authly_model::ids::TenantId;
use authly_secrets::{KeyPurpose, WrappedKey};
use sqlx::PgConnection;

use super::keys;
use crate::{Result, StoreError};

/// One change of a tenant's peppers. Replicas read them anew with the revision that carries it.
#[derive(Debug, Clone)]
pub enum PepperChange {
    /// A new pepper, and the request for it. Nothing is digested under it before every server knows it.
    Add(WrappedKey, String),
    /// A further request, which the change that is under way answers too. No revision: nobody serves it.
    Join(String),
    /// Peppers that no secret is digested under; refused while one is.
    Remove(Vec<String>),
}

/// Makes the change. The tenant's name if replicas must hear of it.
pub(super) async fn change(tx: &mut PgConnection, id: TenantId, change: PepperChange) -> Result<Option<String>> {
    match change {
        PepperChange::Add(key, request) => add(tx, id, &key, &request).await?,
        PepperChange::Join(request) => {
            note(tx, id, &request).await?;
            return Ok(None);
        }
        PepperChange::Remove(ids) => remove(tx, id, &ids).await?,
    }
    let name = sqlx::query_scalar!("-- roles: server, gateway, operator\nSELECT name FROM tenant WHERE id = $1", id.0);
    Ok(Some(name.fetch_one(tx).await?))
}

async fn add(tx: &mut PgConnection, id: TenantId, key: &WrappedKey, request: &str) -> Result<()> {
    if key.purpose != KeyPurpose::Pepper {
        return Err(StoreError::Refused(format!("key `{}` is no pepper", key.key_id)));
    }
    keys::insert_wrapped(tx, id, key).await?;
    note(tx, id, request).await
}

async fn note(tx: &mut PgConnection, id: TenantId, request: &str) -> Result<()> {
    sqlx::query!("-- roles: operator\nUPDATE tenant SET pepper_request = $2 WHERE id = $1", id.0, request)
        .execute(tx)
        .await?;
    Ok(())
}

async fn remove(tx: &mut PgConnection, id: TenantId, ids: &[String]) -> Result<()> {
    let used = sqlx::query_scalar!(
        r#"-- roles: server, operator
        SELECT count(*) AS "count!" FROM client_secret WHERE tenant_id = $1 AND pepper_id = ANY ($2)"#,
        id.0,
        ids
    )
    .fetch_one(&mut *tx)
    .await?;
    if used > 0 {
        return Err(StoreError::Refused(format!("{used} secrets are digested under a pepper that was to go")));
    }
    sqlx::query!(
        r#"-- roles: operator
        DELETE FROM tenant_key WHERE tenant_id = $1 AND purpose = 'pepper' AND key_id = ANY ($2)"#,
        id.0,
        ids
    )
    .execute(tx)
    .await?;
    Ok(())
}
