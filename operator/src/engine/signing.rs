//! Rotation of signing keys: takes the steps that `model::rotation` decides, and shows them in the Tenant's status
//! (docs/decisions/0007-rotation-of-keys.md).
//!
//! Every step is one commit, and what comes next is read from the store again, so it may end anywhere.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use authly_model::{
    duration::Seconds,
    feed::{Revision, shard},
    ids::{Kind, ObjectRef},
    key::KeyState,
    rotation::{KnownKey, Plan, Rotation, Step, plan},
};
use authly_secrets::UnlockedTenant;
use authly_store::{Batch, KeyChange, KeyChanges};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Engine, apply::NotApplied, cluster::Cluster, ledger::Held, pepper, programmed::Failing};

/// The fields of a Tenant's status.
pub(super) const FIELDS: [&str; 3] = ["signingKeys", "rotateRequestedAt", pepper::FIELD];
/// Commits of one reconcile; two are usual.
const ROUNDS: usize = 8;

/// What rotations wait for, by tenant.
#[derive(Debug)]
pub(super) struct SigningKeys {
    jwks_max_age: Seconds,
    waiting: BTreeSet<String>,
    due: BTreeMap<String, Timestamp>,
    failed: HashMap<String, Failing>,
}

impl SigningKeys {
    pub(super) fn new(jwks_max_age: Seconds) -> Self {
        Self { jwks_max_age, waiting: BTreeSet::new(), due: BTreeMap::new(), failed: HashMap::new() }
    }

    /// The tenant goes on once every replica knows what is stored.
    pub(super) fn wait_for(&mut self, name: &str) {
        self.waiting.insert(name.to_owned());
    }

    pub(super) fn awaits_replicas(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Tenants with a step that is due.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<String> {
        self.due.extract_if(.., |_, at| *at <= now).map(|(name, _)| name).collect()
    }

    /// Whether the last attempt of a tenant failed.
    pub(super) fn has_failed(&self, name: &str) -> bool {
        self.failed.contains_key(name)
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.failed.remove(name);
        self.waiting.remove(name);
        self.due.remove(name);
    }
}

impl<C: Cluster> Engine<C> {
    /// Takes the steps of a tenant's signing keys that are due. A failure is the rotation's alone: the objects are stored, the
    /// keys that are there go on signing.
    pub(super) async fn rotate_or_note(&mut self, name: &str) -> Result<(), NotApplied> {
        let done = self.rotate(name).await;
        self.note_failure(name, done)
    }

    /// As [`Self::rotate_or_note`], of the tenant's peppers.
    pub(super) async fn change_pepper_or_note(&mut self, name: &str) -> Result<(), NotApplied> {
        let done = self.change_pepper(name).await;
        self.note_failure(name, done)
    }

    fn note_failure(&mut self, name: &str, done: Result<(), NotApplied>) -> Result<(), NotApplied> {
        match done {
            Err(NotApplied::Retry(failing)) => {
                tracing::warn!(tenant = name, reason = failing.reason, message = failing.message, "keys wait");
                self.signing.failed.insert(name.to_owned(), failing);
                Ok(())
            }
            other => other,
        }
    }

    async fn rotate(&mut self, name: &str) -> Result<(), NotApplied> {
        self.signing.forget(name);
        for _ in 0..ROUNDS {
            if !self.read_keys(name).await? {
                return Ok(());
            }
            let request = self.key_request(name);
            let Some(plan) = self.key_plan(name, request.is_some()) else { return Ok(()) };
            if plan.steps.is_empty() && request.is_none() {
                if plan.waits {
                    self.signing.waiting.insert(name.to_owned());
                }
                if let Some(due) = plan.due {
                    self.signing.due.insert(name.to_owned(), due);
                }
                return Ok(());
            }
            self.take_steps(name, plan.steps, request).await?;
        }
        Err(NotApplied::Retry(Failing::new("RotationFailed", "the signing keys do not settle; this is a bug")))
    }

    /// Reads the keys if they are not known; whether the tenant is served.
    async fn read_keys(&mut self, name: &str) -> Result<bool, NotApplied> {
        let Some(held) = self.ledger.tenants.get_mut(name) else { return Ok(false) };
        if held.stored.tombstoned {
            return Ok(false);
        }
        if held.signing.is_none() {
            held.signing = Some(self.leader.signing_keys(held.id).await?);
        }
        Ok(true)
    }

    /// The request whose rotation has not begun.
    fn key_request(&self, name: &str) -> Option<String> {
        let request = self.index.triggers_of(name)?.rotate.as_ref()?;
        let held = self.ledger.tenants.get(name)?;
        (held.rotation_request.as_ref() != Some(request)).then(|| request.clone())
    }

    fn key_plan(&self, name: &str, requested: bool) -> Option<Plan> {
        let held = self.ledger.tenants.get(name)?;
        Some(plan(&Rotation {
            keys: held.signing.as_deref()?,
            policy: &held.key_policy,
            token_algorithm: held.algorithm,
            requested,
            acknowledged: self.keys_acknowledged(name, held),
            jwks_max_age: self.signing.jwks_max_age,
            now: self.clock.now(),
        }))
    }

    /// Whether every live replica serves the tenant's latest revision, as far as is known.
    fn keys_acknowledged(&self, name: &str, held: &Held) -> bool {
        let object = ObjectRef::new(Kind::Tenant, "", name);
        let none = Revision { shard: shard(held.id), seq: 0 };
        let revision = held.revisions.get(&object).copied().unwrap_or(none);
        self.has_arrived(held, &object, revision)
    }

    async fn take_steps(&mut self, name: &str, steps: Vec<Step>, request: Option<String>) -> Result<(), NotApplied> {
        if steps.iter().any(|step| matches!(step, Step::Create(..))) {
            self.unlock(name).await?;
        }
        let Some(held) = self.ledger.tenants.get(name) else { return Ok(()) };
        let (id, unlocked) = (held.id, held.keys.clone());
        let at = self.clock.now();
        for step in &steps {
            tracing::info!(tenant = name, ?step, "signing keys");
        }
        let steps = changes(steps, unlocked).await?;
        let keys = Some(KeyChanges { at, steps, request: request.clone() });
        let revision = match self.leader.apply(id, Batch { keys, ..Batch::default() }).await {
            Ok(revision) => revision,
            Err(error) => {
                self.stale = true;
                return Err(error.into());
            }
        };
        // With what the database knows of lifetimes. Until they are read, status goes on to show those that were there.
        let keys = self.leader.signing_keys(id).await.inspect_err(|_| self.stale = true)?;
        let Some(held) = self.ledger.tenants.get_mut(name) else { return Ok(()) };
        held.published(name, revision);
        if request.is_some() {
            held.rotation_request = request;
        }
        held.signing = Some(keys);
        Ok(())
    }

    /// Looks whether next keys are known everywhere; their tenants go on.
    pub(super) fn keys_arrived(&mut self, now: Instant) {
        let arrived = |name: &&String| {
            let known = |held: &Held| {
                let peppers = held.old_peppers().is_empty() || self.is_known_to_all(name);
                peppers && self.keys_acknowledged(name, held)
            };
            self.ledger.tenants.get(*name).is_none_or(known)
        };
        let arrived: Vec<String> = self.signing.waiting.iter().filter(arrived).cloned().collect();
        for name in &arrived {
            self.signing.waiting.remove(name);
        }
        self.batch.add_due(arrived, now);
    }

    /// When the next step is due by time.
    pub(super) fn signing_due(&self, now: Instant) -> Option<Instant> {
        let first = self.signing.due.values().min()?;
        let wait = first.duration_since(self.clock.now()).max(SignedDuration::ZERO);
        // A millisecond later, so that the clock has surely passed it.
        Some(now + wait.unsigned_abs() + Duration::from_millis(1))
    }

    /// What a Tenant's status says of its keys, and whether a rotation is under way.
    pub(super) fn shown_keys(&self, name: &str) -> (BTreeMap<String, Value>, Option<Failing>) {
        let held = self.ledger.tenants.get(name);
        let failed = self.signing.failed.get(name).cloned();
        let Some(keys) = held.and_then(|held| held.signing.as_ref()) else { return (BTreeMap::new(), failed) };
        let shown = Value::Array(keys.iter().map(show).collect());
        let mut fields = BTreeMap::from([(FIELDS[0].to_owned(), shown)]);
        if let Some(request) = held.and_then(|held| held.rotation_request.clone()) {
            fields.insert(FIELDS[1].to_owned(), request.into());
        }
        if let Some(request) = held.and_then(|held| held.pepper_request.clone()) {
            fields.insert(pepper::FIELD.to_owned(), request.into());
        }
        if failed.is_some() {
            return (fields, failed);
        }
        let mut next = keys.iter().filter(|key| key.state == KeyState::Next);
        let rotation = next.next().map(|key| match key.acknowledged_at {
            None => Failing::new("NextKeyPending", "the next signing key is on the way to every replica"),
            Some(_) => Failing::new("NextKeyPublished", "verifiers are given time to learn the next signing key"),
        });
        let pepper = held.is_some_and(|held| !held.old_peppers().is_empty());
        let changing =
            || Failing::new("PepperChanging", "client secrets are on the way to be digested under the new pepper");
        (fields, rotation.or_else(|| pepper.then(changing)))
    }
}

fn show(key: &KnownKey) -> Value {
    json!({
        "kid": key.kid, "use": key.key_use.as_str(), "algorithm": key.algorithm.as_str(), "state": key.state.as_str(),
        "since": format!("{:.0}", key.since()),
    })
}

/// The steps with the keys that they make. RSA takes a quarter of a second of CPU, so this runs off the async workers.
async fn changes(steps: Vec<Step>, unlocked: Option<Arc<UnlockedTenant>>) -> Result<Vec<KeyChange>, NotApplied> {
    let failed = |text: String| NotApplied::Retry(Failing::new("KeysUnavailable", text));
    let make = move || {
        let change = |step| {
            Ok(match step {
                Step::Create(key_use, algorithm, state) => {
                    let unlocked = unlocked.as_ref().ok_or_else(|| "the tenant's keys are not unlocked".to_owned())?;
                    let key = unlocked.generate_signing_key(key_use, algorithm).map_err(|error| error.to_string())?;
                    KeyChange::Add(key, state)
                }
                Step::Acknowledge(kid) => KeyChange::Acknowledge(kid),
                Step::Activate(kid) => KeyChange::Activate(kid),
                Step::Retire(kid) => KeyChange::Retire(kid),
                Step::Revoke(kid) => KeyChange::Revoke(kid),
            })
        };
        steps.into_iter().map(change).collect::<Result<Vec<_>, String>>()
    };
    let made = tokio::task::spawn_blocking(make).await;
    made.map_err(|error| failed(error.to_string()))?.map_err(failed)
}
