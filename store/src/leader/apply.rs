//! One batch of one tenant: one transaction, one revision. The tenant's row is locked first, the feed's head last.

use std::collections::BTreeMap;

use authly_model::{
    client::Client,
    diff::{Change, SpecHash},
    feed::{Revision, shard},
    ids::{Kind, ObjectName, TenantId},
};
use serde::Serialize;
use sqlx::PgConnection;

use super::{Batch, keys, objects, pepper as peppers, tenant};
use crate::{Result, StoreError, feed, hints, scope::PlatformScope};

/// Kind and key of each change, for the feed.
pub(super) type Changed = Vec<(&'static str, String)>;

/// Objects of one kind as columns.
#[derive(Default)]
pub(super) struct Puts {
    pub(super) namespaces: Vec<String>,
    pub(super) names: Vec<String>,
    pub(super) specs: Vec<serde_json::Value>,
    pub(super) hashes: Vec<Vec<u8>>,
}

impl Puts {
    fn push<T: Serialize>(&mut self, object: &ObjectName, spec: &T, hash: SpecHash) -> Result<()> {
        self.specs.push(json(spec)?);
        self.namespaces.push(object.namespace.clone());
        self.names.push(object.name.clone());
        self.hashes.push(hash.0.to_vec());
        Ok(())
    }
}

/// A batch by kind.
#[derive(Default)]
struct Sorted {
    deletes: BTreeMap<Kind, Vec<ObjectName>>,
    clients: Vec<Client>,
    client_puts: Puts,
    routes: Puts,
    policies: Puts,
    retentions: Puts,
}

/// Within the leader's fenced transaction.
pub(super) async fn apply(tx: &mut PgConnection, installation: &str, id: TenantId, batch: Batch) -> Result<Revision> {
    let Batch { changes, new_keys, keys: key_changes, pepper, secrets } = batch;
    let longest = keys::Longest::of(&changes);
    let mut changed = Changed::new();
    let mut sorted = Sorted::default();
    let mut tenants = Vec::new();
    for change in changes {
        match change {
            Change::PutTenant(..) | Change::TombstoneTenant => tenants.push(change),
            other => sorted.add(other)?,
        }
    }
    let mut exists = tenant::lock(tx, installation, id).await?;
    for change in tenants {
        match change {
            Change::PutTenant(spec, hash) => {
                changed.push(("tenant", spec.name.clone()));
                let owner = tenant::Owner { installation, id, exists };
                tenant::put(tx, owner, &spec, hash, new_keys.as_ref()).await?;
                exists = true;
            }
            _ => changed.extend(tenant::tombstone(tx, id).await?.map(|name| ("tenant", name))),
        }
    }
    if !exists {
        return Err(StoreError::Refused(format!("there is no tenant {id}: put it in the same batch")));
    }
    // Deletions first, so that a client id can move between objects.
    for (kind, objects) in &sorted.deletes {
        changed.extend(objects::delete(tx, id, *kind, objects).await?);
    }
    changed.extend(objects::put_clients(tx, (id, installation), &sorted.clients, &sorted.client_puts).await?);
    changed.extend(objects::put_routes(tx, (id, installation), &sorted.routes).await?);
    changed.extend(objects::put_policies(tx, (id, installation), &sorted.policies).await?);
    changed.extend(objects::put_retentions(tx, (id, installation), &sorted.retentions).await?);
    changed.extend(objects::put_secrets(tx, id, &secrets).await?);
    // After the objects, whose lifetimes a key that becomes active takes over.
    if let Some(steps) = key_changes {
        changed.extend(keys::change(tx, id, steps).await?.map(|name| ("tenant", name)));
    }
    keys::raise(tx, id, longest).await?;
    if let Some(change) = pepper {
        changed.extend(peppers::change(tx, id, change).await?.map(|name| ("tenant", name)));
    }
    if changed.is_empty() {
        return Ok(Revision { shard: shard(id), seq: 0 });
    }
    let revisions = feed::publish(&PlatformScope(()), tx, &vec![id.0; changed.len()], changed).await?;
    hints::give(tx, hints::FEED).await?;
    revisions.into_iter().next().ok_or_else(|| StoreError::Damaged("the feed has lost a shard".into()))
}

impl Sorted {
    fn add(&mut self, change: Change) -> Result<()> {
        match change {
            Change::PutTenant(..) | Change::TombstoneTenant => Ok(()),
            Change::PutClient(client, hash) => {
                self.client_puts.push(&client.object, &client, hash)?;
                self.clients.push(client);
                Ok(())
            }
            Change::PutRoute(route, hash) => self.routes.push(&route.object, &route, hash),
            Change::PutPolicy(policy, hash) => self.policies.push(&policy.object, &policy, hash),
            Change::PutRetention(retention, hash) => self.retentions.push(&retention.object, &retention, hash),
            Change::Delete(object) => {
                self.deletes.entry(object.kind).or_default().push(object.object);
                Ok(())
            }
        }
    }
}

pub(super) fn json<T: Serialize>(spec: &T) -> Result<serde_json::Value> {
    serde_json::to_value(spec).map_err(|e| StoreError::Refused(format!("it cannot be JSON: {e}")))
}
