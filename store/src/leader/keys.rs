//! Steps in the life of signing keys (docs/decisions/0007-rotation-of-keys.md). Which step comes when is decided by
//! `model::rotation`; here a step is refused where the key is not in the state that it starts from.

use authly_model::{
    diff::Change,
    duration::Seconds,
    ids::TenantId,
    key::{KeyState, KeyUse},
    rotation::LONGEST_LIFETIME,
};
use authly_secrets::{NewSigningKey, WrappedKey};
use jiff::Timestamp;
use sqlx::PgConnection;

use crate::{Result, StoreError, time::PgTime};

/// Steps of one moment.
#[derive(Debug, Clone)]
pub struct KeyChanges {
    /// The moment.
    pub at: Timestamp,
    /// In order.
    pub steps: Vec<KeyChange>,
    /// The request whose rotation has begun with these steps.
    pub request: Option<String>,
}

/// One step; keys are named by their kid.
#[derive(Debug, Clone)]
pub enum KeyChange {
    /// A new key.
    Add(NewSigningKey, KeyState),
    /// Every live replica publishes the next key. No revision: nobody serves it.
    Acknowledge(String),
    /// next → active.
    Activate(String),
    /// active → retiring.
    Retire(String),
    /// → revoked; the private half is destroyed.
    Revoke(String),
}

/// The longest lifetimes among changed objects, of tokens and of URLs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Longest {
    token: Seconds,
    url: Seconds,
}

impl Longest {
    pub(super) fn of(changes: &[Change]) -> Self {
        let mut longest = Self { token: Seconds(0), url: Seconds(0) };
        for change in changes {
            match change {
                Change::PutTenant(tenant, _) => longest.token = longest.token.max(tenant.access_token_lifetime),
                Change::PutClient(client, _) => longest.token = longest.token.max(client.access_token_lifetime),
                Change::PutRoute(route, _) => longest.url = longest.url.max(route.max_ttl),
                _ => {}
            }
        }
        longest
    }
}

/// Notes that active keys may sign for longer from now on.
pub(super) async fn raise(tx: &mut PgConnection, id: TenantId, longest: Longest) -> Result<()> {
    for (key_use, lifetime) in [(KeyUse::Token, longest.token), (KeyUse::Url, longest.url)] {
        if lifetime > Seconds(0) {
            raise_one(tx, id, key_use, lifetime).await?;
        }
    }
    Ok(())
}

async fn raise_one(tx: &mut PgConnection, id: TenantId, key_use: KeyUse, lifetime: Seconds) -> Result<()> {
    sqlx::query!(
        r#"-- roles: operator
        UPDATE signing_key SET longest_lifetime = $3
        WHERE tenant_id = $1 AND key_use = $2 AND state = 'active' AND longest_lifetime < $3"#,
        id.0,
        key_use.as_str(),
        i32::try_from(lifetime.min(LONGEST_LIFETIME).0).unwrap_or(i32::MAX)
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Takes the steps. The tenant's name if replicas must hear of it.
pub(super) async fn change(tx: &mut PgConnection, id: TenantId, changes: KeyChanges) -> Result<Option<String>> {
    let KeyChanges { at, steps, request } = changes;
    let mut is_news = false;
    for step in &steps {
        is_news |= !matches!(step, KeyChange::Acknowledge(_));
        match step {
            KeyChange::Add(key, state) => insert(tx, id, key, *state).await?,
            KeyChange::Acknowledge(kid) => acknowledge(tx, id, kid, at).await?,
            KeyChange::Activate(kid) => activate(tx, id, kid, at).await?,
            KeyChange::Retire(kid) => retire(tx, id, kid, at).await?,
            KeyChange::Revoke(kid) => revoke(tx, id, kid).await?,
        }
    }
    if let Some(request) = request {
        sqlx::query!("-- roles: operator\nUPDATE tenant SET rotation_request = $2 WHERE id = $1", id.0, request)
            .execute(&mut *tx)
            .await?;
    }
    if !is_news {
        return Ok(None);
    }
    let name = sqlx::query_scalar!("-- roles: server, gateway, operator\nSELECT name FROM tenant WHERE id = $1", id.0);
    Ok(Some(name.fetch_one(tx).await?))
}

/// Adds a key that is no signing key, wrapped by a platform key.
pub(super) async fn insert_wrapped(tx: &mut PgConnection, id: TenantId, key: &WrappedKey) -> Result<()> {
    sqlx::query!(
        r#"-- roles: operator
        INSERT INTO tenant_key (tenant_id, purpose, key_id, wrapped) VALUES ($1, $2, $3, $4)"#,
        id.0,
        key.purpose.as_str(),
        key.key_id,
        key.wrapped
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Adds a key. A second active one of a use and algorithm is refused by an index.
pub(super) async fn insert(tx: &mut PgConnection, id: TenantId, key: &NewSigningKey, state: KeyState) -> Result<()> {
    sqlx::query!(
        r#"-- roles: operator
        INSERT INTO signing_key (tenant_id, kid, key_use, algorithm, state, public_jwk, longest_lifetime)
        VALUES ($1, $2, $3, $4, $5, $6, 0)"#,
        id.0,
        key.kid,
        key.key_use.as_str(),
        key.algorithm.as_str(),
        state.as_str(),
        key.public_jwk
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        r#"-- roles: operator
        INSERT INTO signing_key_private (tenant_id, kid, wrapped_private) VALUES ($1, $2, $3)"#,
        id.0,
        key.kid,
        key.wrapped_private
    )
    .execute(&mut *tx)
    .await?;
    if state == KeyState::Active { take_over(tx, id, &key.kid).await } else { Ok(()) }
}

async fn acknowledge(tx: &mut PgConnection, id: TenantId, kid: &str, at: Timestamp) -> Result<()> {
    let done = sqlx::query!(
        r#"-- roles: operator
        UPDATE signing_key SET acknowledged_at = $3 WHERE tenant_id = $1 AND kid = $2 AND state = 'next'"#,
        id.0,
        kid,
        PgTime(at) as _
    )
    .execute(tx)
    .await?;
    only(done.rows_affected(), kid)
}

async fn activate(tx: &mut PgConnection, id: TenantId, kid: &str, at: Timestamp) -> Result<()> {
    let done = sqlx::query!(
        r#"-- roles: operator
        UPDATE signing_key SET state = 'active', activated_at = $3 WHERE tenant_id = $1 AND kid = $2 AND state = 'next'"#,
        id.0,
        kid,
        PgTime(at) as _
    )
    .execute(&mut *tx)
    .await?;
    only(done.rows_affected(), kid)?;
    take_over(tx, id, kid).await
}

/// What may be signed from now on by a key that has just become active.
async fn take_over(tx: &mut PgConnection, id: TenantId, kid: &str) -> Result<()> {
    sqlx::query!(
        r#"-- roles: operator
        UPDATE signing_key k SET longest_lifetime = least(604800, greatest(k.longest_lifetime, CASE k.key_use
            WHEN 'url' THEN (SELECT max((r.spec->>'max_ttl')::int) FROM route r WHERE r.tenant_id = k.tenant_id)
            ELSE greatest(
                (SELECT (t.spec->>'access_token_lifetime')::int FROM tenant t WHERE t.id = k.tenant_id),
                (SELECT max((c.spec->>'access_token_lifetime')::int) FROM client c WHERE c.tenant_id = k.tenant_id)) END))
        WHERE k.tenant_id = $1 AND k.kid = $2"#,
        id.0,
        kid
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn retire(tx: &mut PgConnection, id: TenantId, kid: &str, at: Timestamp) -> Result<()> {
    let done = sqlx::query!(
        r#"-- roles: operator
        UPDATE signing_key SET state = 'retiring', retired_at = $3 WHERE tenant_id = $1 AND kid = $2 AND state = 'active'"#,
        id.0,
        kid,
        PgTime(at) as _
    )
    .execute(tx)
    .await?;
    only(done.rows_affected(), kid)
}

async fn revoke(tx: &mut PgConnection, id: TenantId, kid: &str) -> Result<()> {
    let done = sqlx::query!(
        r#"-- roles: operator
        UPDATE signing_key SET state = 'revoked' WHERE tenant_id = $1 AND kid = $2 AND state <> 'revoked'"#,
        id.0,
        kid
    )
    .execute(&mut *tx)
    .await?;
    only(done.rows_affected(), kid)?;
    sqlx::query!("-- roles: operator\nDELETE FROM signing_key_private WHERE tenant_id = $1 AND kid = $2", id.0, kid)
        .execute(tx)
        .await?;
    Ok(())
}

fn only(affected: u64, kid: &str) -> Result<()> {
    if affected == 1 { Ok(()) } else { Err(StoreError::Refused(format!("signing key `{kid}` is in another state"))) }
}
