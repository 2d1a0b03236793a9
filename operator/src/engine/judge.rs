//! What is said of each object of a tenant after a reconcile, and what each still needs.

use authly_desired::{Object, Resolved, Verdict};
use authly_model::{
    client::{AuthMethod, Client},
    diff::Item,
    ids::{Kind, ObjectRef},
};
use serde_json::Value;
use std::time::Instant;

use super::{
    Engine,
    apply::Applied,
    cluster::Cluster,
    condition::{self, Facts},
    facts::{facts, is_known_orphan, said, seen_fields},
    index::{Carried, Entry},
    ledger::Held,
    programmed::Failing,
    rotation::Shown,
    tasks::Task,
    work::QUIET,
};

impl<C: Cluster> Engine<C> {
    /// Judges every object of a tenant.
    pub(super) fn judge(&mut self, tenant: &str, resolved: &Resolved, applied: &Result<Applied, Failing>) {
        if !resolved.ours {
            return;
        }
        for reference in self.index.of_tenant(tenant) {
            if self.is_paused(&reference) {
                continue;
            }
            if let Ok(applied) = applied {
                self.note_carried(tenant, &reference, applied);
            }
            let client = client_of(resolved, &reference);
            if let (Some(client), true) = (client, applied.is_ok()) {
                self.note_client(tenant, &reference, client);
            }
            self.judge_object(tenant, &reference, resolved.verdicts.get(&reference), applied);
            self.note_finalizer(tenant, &reference);
        }
    }

    /// Has nothing more to say of the objects of a tenant that turns out to be another installation's: while it was missing, they
    /// were nobody's.
    pub(super) fn leave(&mut self, tenant: &str) {
        for reference in self.index.of_tenant(tenant) {
            if let Some(entry) = self.index.entries.get_mut(&reference) {
                (entry.facts, entry.paused) = (None, None);
            }
            self.waiting.remove(&reference);
            self.waiting_secrets.remove(&reference);
            self.left.remove(&reference);
            for task in [Task::Status, Task::Secret, Task::Finalizer] {
                self.tasks.cancel(&task(reference.clone()));
            }
        }
    }

    fn judge_object(
        &mut self,
        tenant: &str,
        reference: &ObjectRef,
        verdict: Option<&Verdict>,
        applied: &Result<Applied, Failing>,
    ) {
        let programmed = self.is_programmed(tenant, reference);
        let of_tenant = (reference.kind == Kind::Tenant)
            .then(|| (self.ledger.tenants.get(tenant).map(|held| held.id.to_string()), self.shown_keys(tenant)));
        let Some(entry) = self.index.entries.get_mut(reference) else { return };
        if entry.malformed.is_some() {
            return;
        }
        let Some(verdict) = verdict else {
            entry.facts = None;
            return;
        };
        if applied.is_ok() && entry.triggers.reconcile.is_some() {
            entry.reconciled.clone_from(&entry.triggers.reconcile);
        }
        let refused = applied.as_ref().ok().and_then(|applied| applied.refused.get(reference));
        let mut facts = facts(entry, verdict, programmed);
        if let Some(failing) = refused {
            facts.accepted = Err(failing.clone());
        }
        if let Err(failing) = applied {
            facts.stored = Err(failing.clone());
        }
        if let Some((Some(id), (keys, rotation))) = of_tenant {
            facts.fields.insert("tenantId".to_owned(), id.into());
            facts.fields.extend(keys);
            facts.rotation = rotation;
        }
        entry.facts = Some(facts);
        self.refresh(reference);
    }

    /// Which revision carries the object.
    fn note_carried(&mut self, tenant: &str, reference: &ObjectRef, applied: &Applied) {
        let held = self.ledger.tenants.get(tenant).filter(|held| held.has(reference));
        let Some(entry) = self.index.entries.get_mut(reference) else { return };
        let changed = applied.committed.as_ref().filter(|(_, objects)| objects.contains(reference));
        match (held, changed) {
            (None, _) => entry.carried = None,
            (Some(_), Some((revision, _))) => entry.carried = Some(Carried::new(*revision)),
            (Some(held), None) if entry.carried.is_none() => {
                entry.carried = Some(carried_before(held, reference, entry))
            }
            (Some(_), None) => {}
        }
        if entry.carried.as_ref().is_some_and(|carried| !carried.passed) {
            self.waiting.insert(reference.clone());
        }
    }

    /// What a resolved client needs: a visit of its Secret, or the end of the one it had.
    fn note_client(&mut self, tenant: &str, reference: &ObjectRef, client: &Client) {
        let held = self.ledger.tenants.get(tenant);
        let has_hashes = held.and_then(|held| held.hashes.get(&reference.object)).is_some_and(|h| !h.is_empty());
        let is_stored = held.is_some_and(|held| held.has(reference));
        let Some(entry) = self.index.entries.get_mut(reference) else { return };
        let credentials = &mut entry.credentials;
        if client.auth_method == AuthMethod::PrivateKeyJwt {
            let had = credentials.client_id.take().is_some() || has_hashes;
            (credentials.outcome, credentials.carried, credentials.shown) = (None, None, Some(Shown::default()));
            if had && std::mem::take(&mut credentials.due) {
                self.tasks.add_now(Task::Forget(reference.clone()));
            }
            if has_hashes {
                self.commit_later(tenant, reference, Vec::new());
            }
            return;
        }
        credentials.client_id = Some(client.client_id.clone());
        if is_stored && std::mem::take(&mut credentials.due) {
            self.tasks.add_now(Task::Secret(reference.clone()));
        }
    }

    /// A Tenant with `deletionPolicy: Delete` carries a finalizer until its tombstone is committed.
    fn note_finalizer(&mut self, tenant: &str, reference: &ObjectRef) {
        if reference.kind != Kind::Tenant {
            return;
        }
        if self.index.entries.get(reference).is_some_and(|entry| self.finalizer(tenant, entry) != entry.finalizer) {
            self.tasks.add(Task::Finalizer(reference.clone()), Instant::now());
        }
    }

    /// Whether the Tenant should carry the finalizer.
    pub(super) fn finalizer(&self, tenant: &str, entry: &Entry) -> bool {
        let Some(Object::Tenant(object)) = self.index.world.get(&entry.target.object) else { return entry.finalizer };
        if object.spec.deletion_policy != Some(authly_crds::DeletionPolicy::Delete) {
            return false;
        }
        let stored = self.ledger.tenants.get(tenant).is_some_and(|held| !held.stored.tombstoned);
        if entry.deleting { entry.finalizer && stored } else { true }
    }

    /// Says of an object that it is not one of its kind.
    pub(super) fn judge_malformed(&mut self, reference: &ObjectRef) {
        let Some(entry) = self.index.entries.get_mut(reference) else { return };
        let Some(why) = &entry.malformed else { return };
        let failing = Failing::new("Malformed", format!("this release cannot read the object: {why}"));
        entry.facts = Some(Facts {
            generation: entry.generation,
            accepted: Err(failing),
            resolved: Ok(()),
            stored: Ok(()),
            programmed: Ok(()),
            credentials: Ok(()),
            rotation: None,
            stalled: true,
            revision: None,
            fields: seen_fields(&entry.seen.value()),
        });
        self.refresh(reference);
    }

    /// Queues the status of an object if it says something new.
    pub(super) fn refresh(&mut self, reference: &ObjectRef) {
        let now = self.clock.now();
        let Some(entry) = self.index.entries.get(reference) else { return };
        let seen = entry.seen.value();
        let Some(status) = said(entry, &seen, now) else { return };
        let task = Task::Status(reference.clone());
        let held = entry.tenant.as_ref().is_some_and(|tenant| self.ledger.tenants.contains_key(tenant));
        let orphan = entry.facts.as_ref().filter(|_| !held && entry.paused.is_none());
        if condition::same(&status, &seen) || orphan.is_some_and(|facts| is_known_orphan(facts, &seen)) {
            self.tasks.cancel(&task);
        } else {
            let passes = condition::ready(&status).is_some_and(|(ready, reason, _)| !ready && QUIET.contains(&reason));
            if passes {
                self.tasks.add_later(task, Instant::now());
            } else {
                self.tasks.add(task, Instant::now());
            }
        }
    }
}

/// What is known of an object that did not change since the process began.
fn carried_before(held: &Held, reference: &ObjectRef, entry: &Entry) -> Carried {
    let seen = entry.seen.value();
    let latched = condition::is_true(&seen, "Programmed", entry.generation);
    let changed = held.revisions.get(reference).copied();
    let mut carried = Carried::new(changed.unwrap_or(held.revision));
    carried.passed = latched || changed.is_none();
    // What was said stays: a commit of its secret's hash, say, gives a client a newer revision.
    if let (true, Some(shown)) = (carried.passed, seen.get("revision").and_then(Value::as_str)) {
        shown.clone_into(&mut carried.shown);
    }
    carried
}

fn client_of<'a>(resolved: &'a Resolved, reference: &ObjectRef) -> Option<&'a Client> {
    if reference.kind != Kind::OAuthClient {
        return None;
    }
    match resolved.desired.clients.get(&reference.object) {
        Some(Item::Valid(client)) => Some(client),
        _ => None,
    }
}
