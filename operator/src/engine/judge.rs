//! What is said of each object of a tenant after a reconcile, and what each still needs.

use authly_desired::{Effective, Object, Reason, Resolved, Verdict};
use authly_model::{
    client::{AuthMethod, Client},
    diff::Item,
    ids::{Kind, ObjectRef},
};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::time::Instant;

use super::{
    Engine,
    apply::Applied,
    cluster::Cluster,
    condition::{self, Facts},
    index::{Carried, Entry},
    ledger::Held,
    programmed::Failing,
    retention,
    rotation::{self, Shown},
    signing,
    tasks::Task,
    work::QUIET,
};

/// The field of status that echoes the request of a reconcile.
const RECONCILED: &str = "reconcileRequestedAt";
/// The fields of status that come from [`Effective`].
const FIELDS: [&str; 11] =
    ["tenantId", "issuer", "clientId", "secretName", "host", "path", "maxTtl", "defaultTtl", "mode", "tests", "target"];

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
                entry.facts = None;
            }
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
        let tenant_id = self.ledger.tenants.get(tenant).map(|held| held.id.to_string());
        let (keys, rotation) = self.shown_keys(tenant);
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
        if let (Kind::Tenant, Some(id)) = (reference.kind, tenant_id) {
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

/// The status that an object should have; `None` while nothing is known of it.
pub(super) fn said(entry: &Entry, seen: &Value, now: Timestamp) -> Option<Value> {
    match (&entry.paused, &entry.facts) {
        (Some(why), _) => Some(condition::paused(seen, why, entry.generation, now)),
        (None, Some(facts)) => Some(condition::status(facts, seen, now)),
        (None, None) => None,
    }
}

/// Whether it has been said that the object's Tenant is missing, by this operator or one of another installation. Without a
/// Tenant the object is nobody's: if each said it in its own words, they would take turns for ever.
fn is_known_orphan(facts: &Facts, seen: &Value) -> bool {
    let orphan = Reason::TenantNotFound.as_str();
    facts.accepted.as_ref().err().is_some_and(|failing| failing.reason == orphan)
        && seen.get("observedGeneration").and_then(Value::as_i64) == Some(facts.generation)
        && condition::ready(seen).is_some_and(|(ready, reason, _)| !ready && reason == orphan)
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

fn facts(entry: &Entry, verdict: &Verdict, programmed: Result<(), Failing>) -> Facts {
    let failing = |result: &Result<(), authly_desired::Refusal>| {
        result.clone().map_err(|refusal| Failing::new(refusal.reason.as_str(), refusal.message))
    };
    let seen = entry.seen.value();
    let credentials = match (&entry.credentials.client_id, &entry.credentials.outcome) {
        (None, _) => Ok(()),
        (Some(_), outcome) => outcome.clone().unwrap_or_else(|| credentials_before(&seen)),
    };
    let mut fields = fields(&verdict.effective);
    if verdict.accepted.is_err() {
        let mut kept = seen_fields(&seen);
        kept.append(&mut fields);
        fields = kept;
    }
    let reconciled = entry.reconciled.as_deref().or_else(|| seen.get(RECONCILED)?.as_str());
    fields.extend(reconciled.map(|reconciled| (RECONCILED.to_owned(), reconciled.into())));
    let shown = rotation::shown(entry.target.object.kind, entry.credentials.shown.as_ref(), &seen);
    shown.put(&mut fields);
    if entry.target.object.kind == Kind::RetentionPolicy
        && let Some(runs) = entry.runs.as_ref().or_else(|| seen.get(retention::FIELD))
    {
        retention::put(&mut fields, runs.clone());
    }
    Facts {
        generation: entry.generation,
        accepted: failing(&verdict.accepted),
        resolved: failing(&verdict.resolved_refs),
        stored: Ok(()),
        programmed,
        credentials,
        rotation: shown.rotation(),
        stalled: verdict.stalled,
        revision: entry.carried.as_ref().map(|carried| carried.shown.clone()),
        fields,
    }
}

/// What was last said of a client's credentials: it holds until the first visit, so that a restart writes nothing.
fn credentials_before(seen: &Value) -> Result<(), Failing> {
    match condition::ready(seen) {
        Some((true, ..)) => Ok(()),
        Some((false, reason, message)) if reason.starts_with("Secret") => Err(Failing::new(reason, message)),
        _ => Err(Failing::new("SecretPending", "its Secret is being written")),
    }
}

fn fields(effective: &Effective) -> Map<String, Value> {
    let values = [
        &effective.tenant_id,
        &effective.issuer,
        &effective.client_id,
        &effective.secret_name,
        &effective.host,
        &effective.path,
        &effective.max_ttl,
        &effective.default_ttl,
        &effective.mode,
        &effective.tests,
        &effective.target,
    ];
    let pairs = FIELDS.into_iter().zip(values);
    pairs.filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into()))).collect()
}

/// After a refusal the last values still hold.
fn seen_fields(seen: &Value) -> Map<String, Value> {
    let names = FIELDS.into_iter().chain(signing::FIELDS).chain(rotation::FIELDS).chain([RECONCILED]);
    names.filter_map(|name| Some((name.to_owned(), seen.get(name)?.clone()))).collect()
}
