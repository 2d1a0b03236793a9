//! What the poller reads: heads, changes, and rows of many tenants, all in one consistent view.

use authly_model::{
    client::SecretHash,
    feed::{Position, SHARDS},
    ids::{ObjectName, TenantId},
};
use jiff::Timestamp;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, StoreError, UrlRevocation, revocation::UrlTarget, scope::PlatformScope, time::PgTime};

/// The feed's heads, and how far each shard is pruned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Heads {
    pub(super) position: Position,
    pub(super) pruned: [i64; SHARDS],
}

/// One change of the feed.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) tenant: TenantId,
    pub(super) kind: String,
    pub(super) key: String,
}

/// A tenant's row.
pub(super) struct TenantRow {
    pub(super) id: TenantId,
    pub(super) name: String,
    pub(super) spec: Value,
    pub(super) tombstoned: bool,
    pub(super) audit_public: Vec<u8>,
    pub(super) store_epoch: i64,
}

/// A row of an object below a tenant.
pub(super) struct ObjectRow {
    pub(super) tenant: TenantId,
    pub(super) object: ObjectName,
    pub(super) spec: Value,
}

/// A row of a client.
pub(super) struct ClientRow {
    pub(super) tenant: TenantId,
    pub(super) client_id: String,
    pub(super) object: ObjectName,
    pub(super) spec: Value,
}

/// A row of a public key.
pub(super) struct KeyRow {
    pub(super) tenant: TenantId,
    pub(super) kid: String,
    pub(super) key_use: String,
    pub(super) algorithm: String,
    pub(super) state: String,
    pub(super) public_jwk: Value,
}

pub(super) async fn heads(_: &PlatformScope, conn: &mut PgConnection) -> Result<Heads> {
    let rows = sqlx::query!("-- roles: server, gateway, jobs\nSELECT shard, seq, pruned_seq FROM feed_head")
        .fetch_all(conn)
        .await?;
    let mut heads = Heads::default();
    for row in rows {
        let shard = usize::try_from(row.shard).ok().filter(|s| *s < SHARDS);
        let shard = shard.ok_or_else(|| StoreError::Damaged("the feed has an unknown shard".into()))?;
        heads.position.0[shard] = row.seq;
        heads.pruned[shard] = row.pruned_seq;
    }
    Ok(heads)
}

pub(super) async fn changes(_: &PlatformScope, conn: &mut PgConnection, after: &Position) -> Result<Vec<Changed>> {
    let rows = sqlx::query!(
        r#"-- roles: server, gateway, operator, jobs
        SELECT DISTINCT c.tenant_id, c.kind, c.key FROM unnest($1::bigint[]) WITH ORDINALITY AS p (seq, n)
        JOIN feed_change c ON c.shard = (p.n - 1)::smallint AND c.seq > p.seq"#,
        &after.0[..]
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|r| Changed { tenant: TenantId(r.tenant_id), kind: r.kind, key: r.key }).collect())
}

/// `None` is every tenant.
pub(super) async fn tenants(
    _: &PlatformScope,
    conn: &mut PgConnection,
    only: Option<&[Uuid]>,
) -> Result<Vec<TenantRow>> {
    let rows = sqlx::query!(
        r#"-- roles: server, gateway, operator
        SELECT id, name, spec, tombstoned_at IS NOT NULL AS "tombstoned!", audit_public, store_epoch FROM tenant
        WHERE purged_at IS NULL AND ($1::uuid[] IS NULL OR id = ANY ($1))"#,
        only as _
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|r| TenantRow {
            id: TenantId(r.id),
            name: r.name,
            spec: r.spec,
            tombstoned: r.tombstoned,
            audit_public: r.audit_public,
            store_epoch: r.store_epoch,
        })
        .collect())
}

pub(super) async fn routes(
    _: &PlatformScope,
    conn: &mut PgConnection,
    only: Option<&[Uuid]>,
) -> Result<Vec<ObjectRow>> {
    let rows = sqlx::query!(
        r#"-- roles: server, gateway, operator
        SELECT tenant_id AS "tenant_id!", namespace AS "namespace!", name AS "name!", spec AS "spec!" FROM load_routes($1)"#,
        only as _
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|r| object_row(r.tenant_id, r.namespace, r.name, r.spec)).collect())
}

pub(super) async fn policies(
    _: &PlatformScope,
    conn: &mut PgConnection,
    only: Option<&[Uuid]>,
) -> Result<Vec<ObjectRow>> {
    let rows = sqlx::query!(
        r#"-- roles: server, gateway, operator
        SELECT tenant_id AS "tenant_id!", namespace AS "namespace!", name AS "name!", spec AS "spec!" FROM load_policies($1)"#,
        only as _
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|r| object_row(r.tenant_id, r.namespace, r.name, r.spec)).collect())
}

fn object_row(tenant: Uuid, namespace: String, name: String, spec: Value) -> ObjectRow {
    ObjectRow { tenant: TenantId(tenant), object: ObjectName { namespace, name }, spec }
}

pub(super) async fn keys(_: &PlatformScope, conn: &mut PgConnection, only: Option<&[Uuid]>) -> Result<Vec<KeyRow>> {
    let rows = sqlx::query!(
        r#"-- roles: server, gateway, operator
        SELECT tenant_id AS "tenant_id!", kid AS "kid!", key_use AS "key_use!", algorithm AS "algorithm!",
            state AS "state!", public_jwk AS "public_jwk!" FROM load_signing_keys($1)"#,
        only as _
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|r| KeyRow {
            tenant: TenantId(r.tenant_id),
            kid: r.kid,
            key_use: r.key_use,
            algorithm: r.algorithm,
            state: r.state,
            public_jwk: r.public_jwk,
        })
        .collect())
}

/// Which revocations: those of some tenants (`None`: of all), or some by name.
pub(super) enum Revoked<'a> {
    Of(Option<&'a [Uuid]>),
    Named(&'a [(Uuid, String)]),
}

impl Revoked<'_> {
    fn parameters(&self) -> (Option<Vec<Uuid>>, Option<Vec<String>>) {
        match self {
            Self::Of(tenants) => (tenants.map(<[Uuid]>::to_vec), None),
            Self::Named(pairs) => {
                let (tenants, keys) = pairs.iter().cloned().unzip();
                (Some(tenants), Some(keys))
            }
        }
    }
}

pub(super) async fn token_revocations(
    _: &PlatformScope,
    conn: &mut PgConnection,
    which: &Revoked<'_>,
    now: Timestamp,
) -> Result<Vec<(TenantId, String, Timestamp)>> {
    let (tenants, jtis) = which.parameters();
    let rows = sqlx::query!(
        r#"-- roles: server, gateway
        SELECT tenant_id AS "tenant_id!", jti AS "jti!", expires_at AS "expires_at!: PgTime"
        FROM load_token_revocations($1, $2, $3)"#,
        tenants as _,
        jtis as _,
        PgTime(now) as _
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|r| (TenantId(r.tenant_id), r.jti, r.expires_at.0)).collect())
}

pub(super) async fn url_revocations(
    _: &PlatformScope,
    conn: &mut PgConnection,
    which: &Revoked<'_>,
    now: Timestamp,
) -> Result<Vec<(TenantId, UrlRevocation)>> {
    let (tenants, keys) = which.parameters();
    let rows = sqlx::query!(
        r#"-- roles: server, gateway
        SELECT tenant_id AS "tenant_id!", target AS "target!", value AS "value!", before AS "before!",
            expires_at AS "expires_at!: PgTime"
        FROM load_url_revocations($1, $2, $3)"#,
        tenants as _,
        keys as _,
        PgTime(now) as _
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|r| {
            let target = UrlTarget::from_row(&r.target, &r.value)?;
            Ok((TenantId(r.tenant_id), UrlRevocation { target, before: r.before, expires_at: r.expires_at.0 }))
        })
        .collect()
}

/// Clients by their ids. Role server.
pub(super) async fn clients(
    _: &PlatformScope,
    conn: &mut PgConnection,
    named: &[(TenantId, Box<str>)],
) -> Result<Vec<ClientRow>> {
    let (tenants, client_ids): (Vec<Uuid>, Vec<String>) =
        named.iter().map(|(tenant, client_id)| (tenant.0, client_id.to_string())).unzip();
    let rows = sqlx::query!(
        r#"-- roles: server
        SELECT tenant_id AS "tenant_id!", client_id AS "client_id!", namespace AS "namespace!", name AS "name!",
            spec AS "spec!" FROM load_clients($1, $2)"#,
        &tenants,
        &client_ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|r| ClientRow {
            tenant: TenantId(r.tenant_id),
            client_id: r.client_id,
            object: ObjectName::new(r.namespace, r.name),
            spec: r.spec,
        })
        .collect())
}

/// The hashes of the secrets of clients, in order of their slots. Role server.
pub(super) async fn client_secrets<'a>(
    _: &PlatformScope,
    conn: &mut PgConnection,
    owners: impl Iterator<Item = &'a (TenantId, ObjectName)>,
) -> Result<Vec<((TenantId, ObjectName), SecretHash)>> {
    let (mut tenants, mut namespaces, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (tenant, object) in owners {
        tenants.push(tenant.0);
        namespaces.push(object.namespace.clone());
        names.push(object.name.clone());
    }
    let rows = sqlx::query!(
        r#"-- roles: server
        SELECT tenant_id AS "tenant_id!", namespace AS "namespace!", name AS "name!", pepper_id AS "pepper_id!",
            digest AS "digest!" FROM load_client_secrets($1, $2, $3)"#,
        &tenants,
        &namespaces,
        &names
    )
    .fetch_all(conn)
    .await?;
    let owner = |tenant, namespace, name| (TenantId(tenant), ObjectName::new(namespace, name));
    Ok(rows
        .into_iter()
        .map(|r| {
            let hash = SecretHash { pepper_id: r.pepper_id, digest: r.digest };
            (owner(r.tenant_id, r.namespace, r.name), hash)
        })
        .collect())
}
