//! The life of a tenant's signing keys, as a pure decision: next → active → retiring → revoked
//! (DESIGN.md, "Keys, secrets, encryption"; docs/decisions/0007-rotation-of-keys.md).
//!
//! Owns: which step comes next and when to look again. Never does: keys, SQL, clocks. Each step is one change of what is
//! stored, and the next is derived from what is stored, so a kill between any two of them loses nothing.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    duration::Seconds,
    key::{Algorithm, KeyState, KeyUse},
};

/// How long a verifier may keep a key set where nothing else is configured.
pub const DEFAULT_JWKS_MAX_AGE: Seconds = Seconds(300);
/// The longest `max-age` that a key set may carry: a rotation takes twice as long.
pub const MAX_JWKS_MAX_AGE: Seconds = Seconds(86_400);
/// The longest lifetime that is assumed of a key whose own is not known: that of a signed URL.
pub const LONGEST_LIFETIME: Seconds = crate::route::MAX_TTL;
/// How much longer than the longest lifetime a retiring key is kept: clocks that are behind, and a server that learned late.
const SKEW: Seconds = Seconds(60);

/// What a Tenant says of its signing keys besides their algorithm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPolicy {
    /// How long a key signs. `None`: until someone asks for a rotation.
    pub rotate_every: Option<Seconds>,
    /// How long a key that was replaced stays published at least; what it signed is waited for anyway.
    pub overlap: Seconds,
    /// Keys that are never trusted again.
    pub revoked: BTreeSet<String>,
}

impl Default for KeyPolicy {
    fn default() -> Self {
        Self { rotate_every: None, overlap: Seconds(0), revoked: BTreeSet::new() }
    }
}

impl KeyPolicy {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A stored key that is not revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    /// Its id.
    pub kid: String,
    /// What it signs.
    pub key_use: KeyUse,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// Its state.
    pub state: KeyState,
    /// When it was made, and so published.
    pub created_at: Timestamp,
    /// When every live replica was seen to publish it.
    pub acknowledged_at: Option<Timestamp>,
    /// When it began to sign.
    pub activated_at: Option<Timestamp>,
    /// When it was replaced.
    pub retired_at: Option<Timestamp>,
    /// The longest lifetime of what it may have signed.
    pub longest_lifetime: Seconds,
}

impl KnownKey {
    /// Since when it is in its state.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        match self.state {
            KeyState::Next => self.created_at,
            KeyState::Active | KeyState::Revoked => self.activated_at.unwrap_or(self.created_at),
            KeyState::Retiring => self.retired_at.unwrap_or(self.created_at),
        }
    }
}

/// Everything that the decision rests on.
#[derive(Debug, Clone, Copy)]
pub struct Rotation<'a> {
    /// The tenant's keys of both uses, without the revoked ones.
    pub keys: &'a [KnownKey],
    /// What the Tenant says of them.
    pub policy: &'a KeyPolicy,
    /// The algorithm of tokens that the Tenant asks for; URLs have EdDSA.
    pub token_algorithm: Algorithm,
    /// Whether someone asked for a rotation that has not begun.
    pub requested: bool,
    /// Whether every live replica has passed the tenant's latest revision.
    pub acknowledged: bool,
    /// How long a verifier may keep a key set.
    pub jwks_max_age: Seconds,
    /// The time.
    pub now: Timestamp,
}

/// One change of the stored keys. Those of a plan are made in one transaction, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make a key; `Active` only where there is nothing to sign with.
    Create(KeyUse, Algorithm, KeyState),
    /// Note that every live replica publishes it.
    Acknowledge(String),
    /// next → active.
    Activate(String),
    /// active → retiring.
    Retire(String),
    /// Whatever it is → revoked.
    Revoke(String),
}

/// What to do now, and when to look again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In order.
    pub steps: Vec<Step>,
    /// When the next step is due by time; meaningful where there are no steps.
    pub due: Option<Timestamp>,
    /// Whether a step waits for replicas.
    pub waits: bool,
}

/// Decides what comes next.
#[must_use]
pub fn plan(rotation: &Rotation<'_>) -> Plan {
    let mut plan = Plan::default();
    for (key_use, algorithm) in [(KeyUse::Token, rotation.token_algorithm), (KeyUse::Url, Algorithm::EdDSA)] {
        OfUse::new(rotation, key_use, algorithm).plan(&mut plan);
    }
    plan
}

/// The keys of one use. Revoked ones are sorted out first, so that none of them is ever a successor.
struct OfUse<'a> {
    rotation: &'a Rotation<'a>,
    key_use: KeyUse,
    algorithm: Algorithm,
    active: Option<&'a KnownKey>,
    next: Option<&'a KnownKey>,
    retiring: Vec<&'a KnownKey>,
    /// Active ones beside `active`, which is not to be: they are replaced.
    surplus: Vec<&'a KnownKey>,
    /// Compromised ones, and a `next` that nobody wants any more.
    dropped: Vec<&'a KnownKey>,
}

impl<'a> OfUse<'a> {
    fn new(rotation: &'a Rotation<'a>, key_use: KeyUse, algorithm: Algorithm) -> Self {
        let of_use = rotation.keys.iter().filter(|key| key.key_use == key_use);
        let (mut dropped, mut good): (Vec<_>, Vec<_>) =
            of_use.partition(|key| rotation.policy.revoked.contains(&key.kid) || key.state == KeyState::Revoked);
        dropped.retain(|key| key.state != KeyState::Revoked);
        let mut take = |state| -> Vec<&'a KnownKey> { good.extract_if(.., |key| key.state == state).collect() };
        let (mut actives, nexts) = (take(KeyState::Active), take(KeyState::Next));
        // The one of the wanted algorithm, else the newest.
        actives.sort_by_key(|key| (key.algorithm != algorithm, std::cmp::Reverse(key.since())));
        let (mut nexts, unwanted): (Vec<_>, Vec<_>) = nexts.into_iter().partition(|key| key.algorithm == algorithm);
        dropped.extend(unwanted);
        nexts.sort_by_key(|key| key.created_at);
        dropped.extend(nexts.split_off(nexts.len().min(1)));
        let active = (!actives.is_empty()).then(|| actives.remove(0));
        let (surplus, next) = (actives, nexts.pop());
        Self { rotation, key_use, algorithm, active, next, retiring: take(KeyState::Retiring), surplus, dropped }
    }

    fn plan(&self, plan: &mut Plan) {
        plan.steps.extend(self.dropped.iter().map(|key| Step::Revoke(key.kid.clone())));
        plan.steps.extend(self.surplus.iter().map(|key| Step::Retire(key.kid.clone())));
        match (self.active, self.next) {
            (Some(active), Some(next)) => self.succeed(active, next, plan),
            (Some(active), None) => self.begin(active, plan),
            // Nothing signs: at once, whatever verifiers have kept.
            (None, Some(next)) => plan.steps.push(Step::Activate(next.kid.clone())),
            (None, None) => plan.steps.push(Step::Create(self.key_use, self.algorithm, KeyState::Active)),
        }
        for key in &self.retiring {
            self.end(key, plan);
        }
    }

    /// Twice the max-age after every replica publishes the next key, no verifier holds a key set without it.
    fn succeed(&self, active: &KnownKey, next: &KnownKey, plan: &mut Plan) {
        let Some(acknowledged) = next.acknowledged_at else {
            if self.rotation.acknowledged {
                plan.steps.push(Step::Acknowledge(next.kid.clone()));
            } else {
                plan.waits = true;
            }
            return;
        };
        if self.is_due(after(acknowledged, self.known_everywhere()), plan) {
            plan.steps.extend([Step::Retire(active.kid.clone()), Step::Activate(next.kid.clone())]);
        }
    }

    /// The next key is made so early that it signs when the active one has signed as long as it may.
    fn begin(&self, active: &KnownKey, plan: &mut Plan) {
        let lost_its_successor =
            self.dropped.iter().any(|key| key.state == KeyState::Next && key.algorithm == self.algorithm);
        let wanted = self.rotation.requested || active.algorithm != self.algorithm || lost_its_successor;
        let lead = self.known_everywhere();
        let scheduled = self.rotation.policy.rotate_every.map(|every| Seconds((every.0 - lead.0).max(0)));
        if wanted || scheduled.is_some_and(|from| self.is_due(after(active.since(), from), plan)) {
            plan.steps.push(Step::Create(self.key_use, self.algorithm, KeyState::Next));
        }
    }

    /// When nothing that the key signed is valid any more.
    fn end(&self, key: &KnownKey, plan: &mut Plan) {
        let kept = key.longest_lifetime.max(self.rotation.policy.overlap);
        if self.is_due(after(key.since(), Seconds(kept.0 + SKEW.0)), plan) {
            plan.steps.push(Step::Revoke(key.kid.clone()));
        }
    }

    const fn known_everywhere(&self) -> Seconds {
        Seconds(self.rotation.jwks_max_age.0 * 2)
    }

    fn is_due(&self, at: Timestamp, plan: &mut Plan) -> bool {
        if at <= self.rotation.now {
            return true;
        }
        plan.due = Some(plan.due.map_or(at, |due| due.min(at)));
        false
    }
}

/// The end of time is never reached.
fn after(start: Timestamp, seconds: Seconds) -> Timestamp {
    start.checked_add(SignedDuration::from_secs(seconds.0)).unwrap_or(Timestamp::MAX)
}
