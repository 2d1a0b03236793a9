//! What is stored, in bulk: a handful of statements for any number of tenants, in one consistent view.

use std::collections::BTreeMap;

use authly_model::{
    client::SecretHash,
    diff::{SpecHash, Stored},
    duration::Seconds,
    feed::{Revision, shard},
    ids::{Kind, ObjectName, ObjectRef, TenantId},
    key::{Algorithm, KeyState, KeyUse},
    rotation::KnownKey,
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoredTenant;
use crate::{Result, StoreError, scope::PlatformScope, time::PgTime};

type Tenants = BTreeMap<Uuid, StoredTenant>;

pub(super) async fn read(
    scope: &PlatformScope,
    view: &mut PgConnection,
    installation: &str,
    only: Option<TenantId>,
) -> Result<Vec<StoredTenant>> {
    let mut found = tenants(scope, view, installation, only).await?;
    let ids: Vec<Uuid> = found.keys().copied().collect();
    clients(scope, view, &ids, &mut found).await?;
    routes(scope, view, &ids, &mut found).await?;
    policies_and_retentions(scope, view, &ids, &mut found).await?;
    for (tenant, key) in signing_keys(scope, view, &ids).await? {
        if let Some(tenant) = found.get_mut(&tenant) {
            tenant.keys.push(key);
        }
    }
    revisions(scope, view, &ids, &mut found).await?;
    Ok(found.into_values().collect())
}

async fn tenants(
    _: &PlatformScope,
    view: &mut PgConnection,
    installation: &str,
    only: Option<TenantId>,
) -> Result<Tenants> {
    let rows = sqlx::query!(
        r#"-- roles: operator
        SELECT id, name, spec, spec_hash, tombstoned_at IS NOT NULL AS "tombstoned!", rotation_request, pepper_request FROM tenant
        WHERE installation = $1 AND purged_at IS NULL AND ($2::uuid IS NULL OR id = $2)"#,
        installation,
        only.map(|t| t.0)
    )
    .fetch_all(view)
    .await?;
    rows.into_iter()
        .map(|r| {
            let tenant =
                serde_json::from_value(r.spec).map_err(|e| StoreError::Damaged(format!("tenant `{}`: {e}", r.name)))?;
            let hash = hash(&r.spec_hash)?;
            let stored = Stored { tenant: Some(hash), tombstoned: r.tombstoned, objects: BTreeMap::new() };
            let id = TenantId(r.id);
            let tenant = StoredTenant {
                id,
                tenant,
                keys: Vec::new(),
                rotation_request: r.rotation_request,
                pepper_request: r.pepper_request,
                stored,
                revision: Revision { shard: shard(id), seq: 0 },
                revisions: BTreeMap::new(),
                client_ids: BTreeMap::new(),
                routes: BTreeMap::new(),
                client_secrets: BTreeMap::new(),
            };
            Ok((r.id, tenant))
        })
        .collect()
}

async fn clients(_: &PlatformScope, view: &mut PgConnection, ids: &[Uuid], found: &mut Tenants) -> Result<()> {
    let rows = sqlx::query!(
        r#"-- roles: operator
        SELECT tenant_id AS "tenant_id!", namespace AS "namespace!", name AS "name!", client_id AS "client_id!",
            spec_hash AS "spec_hash!" FROM list_clients($1)"#,
        ids
    )
    .fetch_all(&mut *view)
    .await?;
    for row in rows {
        let Some(tenant) = found.get_mut(&row.tenant_id) else { continue };
        let object = ObjectName::new(row.namespace, row.name);
        tenant.client_ids.insert(object.clone(), row.client_id);
        tenant.stored.objects.insert(ObjectRef { kind: Kind::OAuthClient, object }, hash(&row.spec_hash)?);
    }
    let rows = sqlx::query!(
        r#"-- roles: operator
        SELECT tenant_id AS "tenant_id!", namespace AS "namespace!", name AS "name!", pepper_id AS "pepper_id!",
            digest AS "digest!" FROM list_client_secrets($1)"#,
        ids
    )
    .fetch_all(view)
    .await?;
    for row in rows {
        let Some(tenant) = found.get_mut(&row.tenant_id) else { continue };
        let secrets = tenant.client_secrets.entry(ObjectName::new(row.namespace, row.name)).or_default();
        secrets.push(SecretHash { pepper_id: row.pepper_id, digest: row.digest });
    }
    Ok(())
}

async fn routes(_: &PlatformScope, view: &mut PgConnection, ids: &[Uuid], found: &mut Tenants) -> Result<()> {
    let rows = sqlx::query!(
        r#"-- roles: server, gateway, operator
        SELECT tenant_id AS "tenant_id!", namespace AS "namespace!", name AS "name!", spec AS "spec!",
            spec_hash AS "spec_hash!" FROM load_routes($1)"#,
        ids
    )
    .fetch_all(view)
    .await?;
    for row in rows {
        let Some(tenant) = found.get_mut(&row.tenant_id) else { continue };
        let object = ObjectName::new(row.namespace, row.name);
        if let Ok(route) = serde_json::from_value(row.spec) {
            tenant.routes.insert(object.clone(), route);
        }
        tenant.stored.objects.insert(ObjectRef { kind: Kind::SignedUrlRoute, object }, hash(&row.spec_hash)?);
    }
    Ok(())
}

async fn policies_and_retentions(
    _: &PlatformScope,
    view: &mut PgConnection,
    ids: &[Uuid],
    found: &mut Tenants,
) -> Result<()> {
    let rows = sqlx::query!(
        r#"-- roles: operator
        SELECT true AS "policy!", tenant_id AS "tenant_id!", namespace AS "namespace!", name AS "name!",
            spec_hash AS "spec_hash!" FROM load_policies($1)
        UNION ALL SELECT false, tenant_id, namespace, name, spec_hash FROM list_retentions($1)"#,
        ids
    )
    .fetch_all(view)
    .await?;
    for row in rows {
        let Some(tenant) = found.get_mut(&row.tenant_id) else { continue };
        let kind = if row.policy { Kind::AccessPolicy } else { Kind::RetentionPolicy };
        let object = ObjectName::new(row.namespace, row.name);
        tenant.stored.objects.insert(ObjectRef { kind, object }, hash(&row.spec_hash)?);
    }
    Ok(())
}

/// Signing keys that are not revoked, oldest first of each tenant. One of an algorithm or state that this version does not
/// know is left alone.
pub(super) async fn signing_keys(
    _: &PlatformScope,
    view: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<(Uuid, KnownKey)>> {
    let rows = sqlx::query!(
        r#"-- roles: operator
        SELECT tenant_id AS "tenant_id!", kid AS "kid!", key_use AS "key_use!", algorithm AS "algorithm!", state AS "state!",
            created_at AS "created_at!: PgTime", acknowledged_at AS "acknowledged_at: PgTime",
            activated_at AS "activated_at: PgTime", retired_at AS "retired_at: PgTime",
            longest_lifetime AS "longest_lifetime!" FROM list_signing_keys($1)"#,
        ids
    )
    .fetch_all(view)
    .await?;
    let mut keys = Vec::with_capacity(rows.len());
    for row in rows {
        let key_use = [KeyUse::Token, KeyUse::Url].into_iter().find(|u| u.as_str() == row.key_use);
        let (algorithm, state) = (Algorithm::parse(&row.algorithm), KeyState::parse(&row.state));
        let (Some(key_use), Some(algorithm), Some(state)) = (key_use, algorithm, state) else { continue };
        let key = KnownKey {
            kid: row.kid,
            key_use,
            algorithm,
            state,
            created_at: row.created_at.0,
            acknowledged_at: row.acknowledged_at.map(|at| at.0),
            activated_at: row.activated_at.map(|at| at.0),
            retired_at: row.retired_at.map(|at| at.0),
            longest_lifetime: Seconds(row.longest_lifetime.into()),
        };
        keys.push((row.tenant_id, key));
    }
    Ok(keys)
}

/// From the feed itself: what is pruned from it has been passed by every replica, or is reloaded by it.
async fn revisions(_: &PlatformScope, view: &mut PgConnection, ids: &[Uuid], found: &mut Tenants) -> Result<()> {
    let rows = sqlx::query!(
        r#"-- roles: server, gateway, operator, jobs
        SELECT tenant_id, kind, key, max(seq) AS "seq!" FROM feed_change
        WHERE tenant_id = ANY ($1) AND kind IN ('tenant', 'client', 'route', 'policy', 'retention')
        GROUP BY tenant_id, kind, key"#,
        ids
    )
    .fetch_all(view)
    .await?;
    for row in rows {
        let Some(tenant) = found.get_mut(&row.tenant_id) else { continue };
        let revision = Revision { shard: tenant.revision.shard, seq: row.seq };
        tenant.revision.seq = tenant.revision.seq.max(row.seq);
        if let Some(object) = object(tenant, &row.kind, &row.key) {
            tenant.revisions.insert(object, revision);
        }
    }
    Ok(())
}

/// The object of a change; none if it is deleted since.
fn object(tenant: &StoredTenant, kind: &str, key: &str) -> Option<ObjectRef> {
    let kind = match kind {
        "tenant" => return Some(ObjectRef::new(Kind::Tenant, "", key)),
        "client" => {
            let (object, _) = tenant.client_ids.iter().find(|(_, id)| *id == key)?;
            return Some(ObjectRef { kind: Kind::OAuthClient, object: object.clone() });
        }
        "route" => Kind::SignedUrlRoute,
        "policy" => Kind::AccessPolicy,
        _ => Kind::RetentionPolicy,
    };
    let (namespace, name) = key.split_once('/')?;
    Some(ObjectRef::new(kind, namespace, name))
}

fn hash(bytes: &[u8]) -> Result<SpecHash> {
    bytes.try_into().map(SpecHash).map_err(|_| StoreError::Damaged("a spec hash".into()))
}
