//! The writing end of the configuration feed: the last statement of every transaction that changes configuration.

use authly_model::feed::Revision;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::scope::PlatformScope;

/// Publishes changes (kind and key, one for each of `tenants`); one revision for each shard among them.
pub(crate) async fn publish(
    _: &PlatformScope,
    conn: &mut PgConnection,
    tenants: &[Uuid],
    changes: Vec<(&'static str, String)>,
) -> sqlx::Result<Vec<Revision>> {
    let (kinds, keys): (Vec<String>, Vec<String>) =
        changes.into_iter().map(|(kind, key)| (kind.to_owned(), key)).unzip();
    let rows = sqlx::query!(
        r#"-- roles: server, operator
        SELECT shard AS "shard!", seq AS "seq!" FROM publish($1, $2, $3)"#,
        tenants,
        &kinds,
        &keys
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|r| Revision { shard: r.shard, seq: r.seq }).collect())
}
