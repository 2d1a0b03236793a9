//! The statements of a commit, in their lock order: writers, uses, revocations, audit, feed.

use std::collections::BTreeMap;

use authly_model::ids::TenantId;
use jiff::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    chain::Sealed,
    effects::{Effects, Settled},
};
use crate::{scope::PlatformScope, time::PgTime, uses::UrlId};

pub(super) async fn register_writers(
    _: &PlatformScope,
    conn: &mut PgConnection,
    (writer, at): (Uuid, Timestamp),
    (tenants, sealed_keys): &(Vec<Uuid>, Vec<Vec<u8>>),
) -> sqlx::Result<()> {
    sqlx::query!(
        "-- roles: server, gateway\nSELECT register_writers($1, $2, $3, $4)",
        writer,
        PgTime(at) as _,
        tenants,
        sealed_keys
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn debit_uses(
    _: &PlatformScope,
    conn: &mut PgConnection,
    effects: &Effects,
) -> sqlx::Result<BTreeMap<(TenantId, UrlId), Settled>> {
    let int = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let tenants: Vec<Uuid> = effects.uses.keys().map(|(tenant, _)| tenant.0).collect();
    let ids: Vec<Vec<u8>> = effects.uses.keys().map(|(_, id)| id.to_vec()).collect();
    let ks: Vec<i32> = effects.uses.values().map(|d| int(d.k)).collect();
    let maxima: Vec<i32> = effects.uses.values().map(|d| int(d.max)).collect();
    let expiries: Vec<PgTime> = effects.uses.values().map(|d| PgTime(d.expires_at)).collect();
    let rows = sqlx::query!(
        r#"-- roles: server, gateway
        SELECT tenant_id AS "tenant_id!", id AS "id!", granted AS "granted!", used AS "used!", max AS "max!"
        FROM debit_uses($1, $2, $3, $4, $5)"#,
        &tenants,
        &ids,
        &ks,
        &maxima,
        &expiries as _
    )
    .fetch_all(conn)
    .await?;
    let count = |n: i32| u32::try_from(n).unwrap_or(0);
    let mut settled = BTreeMap::new();
    for row in rows {
        let id = UrlId::try_from(row.id.as_slice()).map_err(|e| sqlx::Error::Decode(e.into()))?;
        let of_url = Settled { granted: count(row.granted), used: count(row.used), max: count(row.max) };
        settled.insert((TenantId(row.tenant_id), id), of_url);
    }
    Ok(settled)
}

pub(super) async fn revoke_tokens(_: &PlatformScope, conn: &mut PgConnection, effects: &Effects) -> sqlx::Result<()> {
    let (tenants, jtis): (Vec<Uuid>, Vec<String>) = effects.tokens.keys().map(|(t, jti)| (t.0, jti.clone())).unzip();
    let expiries: Vec<PgTime> = effects.tokens.values().map(|at| PgTime(*at)).collect();
    sqlx::query!("-- roles: server\nSELECT revoke_tokens($1, $2, $3)", &tenants, &jtis, &expiries as _)
        .execute(conn)
        .await?;
    Ok(())
}

pub(super) async fn revoke_urls(_: &PlatformScope, conn: &mut PgConnection, effects: &Effects) -> sqlx::Result<()> {
    let tenants: Vec<Uuid> = effects.urls.keys().map(|(t, _, _)| t.0).collect();
    let (targets, values): (Vec<String>, Vec<String>) =
        effects.urls.keys().map(|(_, target, value)| ((*target).to_owned(), value.clone())).unzip();
    let befores: Vec<i64> = effects.urls.values().map(|r| r.before).collect();
    let expiries: Vec<PgTime> = effects.urls.values().map(|r| PgTime(r.expires_at)).collect();
    sqlx::query!(
        "-- roles: server\nSELECT revoke_urls($1, $2, $3, $4, $5)",
        &tenants,
        &targets,
        &values,
        &befores,
        &expiries as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn append_audit(
    _: &PlatformScope,
    conn: &mut PgConnection,
    (writer, at): (Uuid, Timestamp),
    sealed: &Sealed,
) -> sqlx::Result<()> {
    sqlx::query!(
        "-- roles: server, gateway\nSELECT append_audit($1, $2, $3, $4, $5, $6, $7, $8)",
        writer,
        PgTime(at) as _,
        &sealed.tenants,
        &sealed.seqs,
        &sealed.kinds as _,
        &sealed.payloads,
        &sealed.payload_hashes,
        &sealed.links
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Tells every replica of the revocations.
pub(super) async fn publish_revocations(
    scope: &PlatformScope,
    conn: &mut PgConnection,
    effects: &Effects,
) -> sqlx::Result<()> {
    let tokens = effects.tokens.keys().map(|(t, jti)| (t.0, ("token_revocation", jti.clone())));
    let urls = effects.urls.keys().map(|(t, target, value)| (t.0, ("url_revocation", format!("{target}:{value}"))));
    let (tenants, changes): (Vec<Uuid>, Vec<_>) = tokens.chain(urls).unzip();
    crate::feed::publish(scope, conn, &tenants, changes).await.map(drop)
}
