//! One tenant into the store: what is desired against what is held, one transaction, one revision (operator.md, rule 5).
//!
//! An object that the store refuses is left out and reported; it never holds up the rest of its tenant.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::Arc,
};

use authly_desired::{Resolved, TenantOwner};
use authly_model::{
    diff::{Change, Item, Stored, diff},
    feed::Revision,
    ids::{Kind, ObjectRef, TenantId},
    key::Algorithm,
};
use authly_secrets::{KekRing, KeyPurpose, NewTenantKeys, UnlockedTenant, generate_tenant_keys};
use authly_store::{Batch, Claim, Conflict, StoreError};
use uuid::Uuid;

use super::{
    Engine, EngineError,
    cluster::Cluster,
    ledger::{Committed, Held, claim},
    programmed::Failing,
};

/// What a reconcile did to the store.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// The revision and the objects that it carries; `None` if nothing changed.
    pub(super) committed: Option<(Revision, HashSet<ObjectRef>)>,
    /// Objects that the store refused.
    pub(super) refused: BTreeMap<ObjectRef, Failing>,
}

/// Why nothing was applied.
#[derive(Debug)]
pub(super) enum NotApplied {
    /// This process must stop.
    Stop(EngineError),
    /// It is tried again.
    Retry(Failing),
}

impl From<StoreError> for NotApplied {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced { .. } => Self::Stop(EngineError::Fenced),
            StoreError::Unavailable(_) | StoreError::Full => {
                Self::Retry(Failing::new("StoreUnavailable", "the store does not answer; what it holds keeps serving"))
            }
            other => Self::Retry(Failing::new("StoreRefused", other.to_string())),
        }
    }
}

impl<C: Cluster> Engine<C> {
    /// Brings the store to what is desired for this tenant.
    pub(super) async fn apply(&mut self, name: &str, resolved: &Resolved) -> Result<Applied, NotApplied> {
        let mut applied = Applied::default();
        let changes = self.changes(name, resolved)?;
        if !changes.is_empty() {
            self.commit(name, resolved, changes, &mut applied).await?;
        }
        Ok(applied)
    }

    async fn commit(
        &mut self,
        name: &str,
        resolved: &Resolved,
        changes: Vec<Change>,
        applied: &mut Applied,
    ) -> Result<(), NotApplied> {
        let (id, new_keys) = self.identity(name, resolved, &changes).await?;
        let Some(id) = id else { return Ok(()) };
        self.forget_deleted(&changes).await;
        let mut parts = VecDeque::from([changes]);
        while let Some(mut part) = parts.pop_front() {
            if part.is_empty() {
                continue;
            }
            let batch = Batch { changes: part.clone(), new_keys: new_keys.clone(), ..Batch::default() };
            match self.leader.apply(id, batch).await {
                Ok(revision) => {
                    self.committed(name, id, Committed { changes: &part, hashes: BTreeMap::new(), revision });
                    let objects = part.iter().map(|change| named(name, change));
                    let (last, all) = applied.committed.get_or_insert_with(|| (revision, HashSet::new()));
                    *last = revision;
                    all.extend(objects);
                }
                Err(StoreError::Conflict(conflict)) if part.iter().any(|change| change.object() == conflict.object) => {
                    part.retain(|change| change.object() != conflict.object);
                    applied.refused.insert(conflict.object.clone(), conflicting(&conflict));
                    parts.push_front(part);
                    self.stale = true;
                }
                // One value is at fault: the halves find it, so that it holds up nothing else.
                Err(StoreError::Refused(_)) if part.len() > 1 => {
                    let second = part.split_off(part.len() / 2);
                    parts.push_front(second);
                    parts.push_front(part);
                }
                Err(StoreError::Refused(why)) => {
                    applied.refused.extend(part.iter().map(|change| (named(name, change), refused(&why))));
                }
                Err(error) => {
                    self.stale = true;
                    return Err(error.into());
                }
            }
            if !self.ledger.tenants.contains_key(name) {
                // The Tenant itself was refused: there is nothing to put the rest into.
                let tenant = ObjectRef::new(Kind::Tenant, "", name);
                if applied.refused.contains_key(&tenant) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The diff; while the Tenant is not declared, only objects that were seen to go are deleted: an empty cluster after
    /// a move must not delete what its manifests will declare again.
    fn changes(&self, name: &str, resolved: &Resolved) -> Result<Vec<Change>, NotApplied> {
        let nothing = Stored::default();
        let held = self.ledger.tenants.get(name);
        let stored = held.map_or(&nothing, |held| &held.stored);
        let mut changes = diff(&resolved.desired, stored)
            .map_err(|error| NotApplied::Retry(Failing::new("StoreRefused", error.to_string())))?;
        if resolved.desired.tenant.is_none() {
            changes.retain(|change| !matches!(change, Change::Delete(gone) if !self.was_deleted(gone)));
            if resolved.tombstone && held.is_some() && !stored.tombstoned {
                changes.push(Change::TombstoneTenant);
            }
        }
        Ok(changes)
    }

    fn was_deleted(&self, object: &ObjectRef) -> bool {
        self.deleted.contains(object) || self.index.entries.get(object).is_some_and(|entry| entry.deleting)
    }

    /// The tenant's id, and its keys if it is new. `None`: it is neither stored nor to be created.
    async fn identity(
        &self,
        name: &str,
        resolved: &Resolved,
        changes: &[Change],
    ) -> Result<(Option<TenantId>, Option<NewTenantKeys>), NotApplied> {
        if let Some(held) = self.ledger.tenants.get(name) {
            return Ok((Some(held.id), None));
        }
        let Some(Item::Valid(tenant)) = &resolved.desired.tenant else { return Ok((None, None)) };
        if !changes.iter().any(|change| matches!(change, Change::PutTenant(..))) {
            return Ok((None, None));
        }
        let id = resolved.tenant_id.unwrap_or_else(|| TenantId(Uuid::new_v4()));
        let keys = new_keys(Arc::clone(&self.kek), id, tenant.token_algorithm).await?;
        Ok((Some(id), Some(keys)))
    }

    fn committed(&mut self, name: &str, id: TenantId, committed: Committed<'_>) {
        let owner = TenantOwner { installation: self.leader.installation().to_owned(), name: name.to_owned() };
        let created = committed.changes.iter().find_map(|change| match change {
            Change::PutTenant(tenant, _) => Some(tenant),
            _ => None,
        });
        if let (false, Some(tenant)) = (self.ledger.tenants.contains_key(name), created) {
            self.ledger.tenants.insert(name.to_owned(), Held::new(id, tenant, committed.revision));
        }
        for change in committed.changes {
            if let Change::Delete(gone) = change {
                self.deleted.remove(gone);
            }
        }
        if let Some(held) = self.ledger.tenants.get_mut(name) {
            claim(self.index.world.claims_mut(), &owner, held, committed.changes);
            held.note(committed);
        }
    }

    /// Makes the tenant's keys available, to hash client secrets.
    pub(super) async fn unlock(&mut self, name: &str) -> Result<(), NotApplied> {
        let is_known = self.is_known_to_all(name);
        let Some(held) = self.ledger.tenants.get_mut(name).filter(|held| held.keys.is_none()) else { return Ok(()) };
        let mut rows = self.leader.tenant_keys(held.id).await?;
        let mut peppers = rows.iter().enumerate().filter(|(_, row)| row.purpose == KeyPurpose::Pepper);
        let newest = peppers.next().map(|(at, row)| (at, row.key_id.clone()));
        let has_older = peppers.next().is_some();
        if let Some((at, newest)) = newest {
            // Something is digested under it only after every server knew it, which this process may not have seen itself.
            let is_used = held.hashes.values().flatten().any(|hash| hash.pepper_id == newest);
            held.newest_pepper = newest;
            if has_older && !is_known && !is_used {
                // Nothing is digested under a pepper that a server may not know: last, it only checks.
                let row = rows.remove(at);
                rows.push(row);
            }
        }
        let keys = UnlockedTenant::unlock(&self.kek, held.id, &rows)
            .map_err(|error| NotApplied::Retry(Failing::new("KeysUnavailable", error.to_string())))?;
        held.keys = Some(Arc::new(keys));
        Ok(())
    }
}

fn named(tenant: &str, change: &Change) -> ObjectRef {
    match change {
        Change::TombstoneTenant => ObjectRef::new(Kind::Tenant, "", tenant),
        other => other.object(),
    }
}

fn conflicting(conflict: &Conflict) -> Failing {
    let reason = match conflict.claim {
        Claim::Issuer(_) => "IssuerConflict",
        Claim::Host(_) => "HostConflict",
        Claim::ClientId(_) => "ClientIdConflict",
        Claim::Tenant => "TenantIdConflict",
    };
    Failing::new(reason, conflict.to_string())
}

fn refused(why: &str) -> Failing {
    Failing::new("StoreRefused", format!("the store refuses it: {why}"))
}

/// RSA takes a quarter of a second of CPU, so this runs off the async workers.
async fn new_keys(kek: Arc<KekRing>, tenant: TenantId, algorithm: Algorithm) -> Result<NewTenantKeys, NotApplied> {
    let made = tokio::task::spawn_blocking(move || generate_tenant_keys(&kek, tenant, algorithm)).await;
    let failed = |text: String| NotApplied::Retry(Failing::new("KeysUnavailable", text));
    made.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
}
