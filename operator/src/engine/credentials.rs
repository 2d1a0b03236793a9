//! The generated Secret of one client (that of someone else is in [`super::existing`]): reads it, takes the steps of
//! [`super::slots`] that need the cluster, and says what the engine must do next (operator.md, rule 7).
//!
//! A Secret without our mark is never touched. The value of a secret stays in this file and in the Secret.
//! Losing the Secret by hand is a rotation: only the hash is kept, so a new value is made, and the old one stays valid
//! for the overlap.

use std::{collections::BTreeMap, sync::Arc};

use authly_model::{client::SecretHash, clock::Clock, ids::ObjectName};
use authly_secrets::{ClientSecret, UnlockedTenant};
use jiff::{SignedDuration, Timestamp};

use super::{
    cluster::{Cluster, ClusterError, SecretData, SecretObject, SecretWrite},
    existing::Unusable,
    slots::{CURRENT, Known, NEXT, PREVIOUS, Slots, Step, next_step},
    triggers::ROTATE,
};

/// Reads and writes of one visit. More are needed only if someone else writes the same Secret all the time.
const ROUNDS: usize = 8;

/// Everything that a visit of a client's Secret needs.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) at: ObjectName,
    pub(super) owner: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    /// client_id, issuer, token_endpoint.
    pub(super) fixed: BTreeMap<&'static str, String>,
    pub(super) keys: Arc<UnlockedTenant>,
    /// The hashes in the store.
    pub(super) stored: Vec<SecretHash>,
    /// Whether every live server has them.
    pub(super) programmed: bool,
    /// Whether a change of them was committed, and some server does not have it yet.
    pub(super) under_way: bool,
    pub(super) rotation: Rotation,
    /// Whether a Secret that was generated before may still be there.
    pub(super) sweep: bool,
    pub(super) clock: Arc<dyn Clock>,
}

/// When a client's secret changes, and how long the value before works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rotation {
    /// The schedule; `None` rotates on request only.
    pub(super) every: Option<SignedDuration>,
    pub(super) overlap: SignedDuration,
    /// What asks for a rotation; it counts once.
    pub(super) requested: Option<String>,
    /// The value that was there when the Secret was last looked at, and since when.
    pub(super) since: Option<Since>,
}

/// Since when a value is in `client_secret`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Since {
    /// The beginning of its digest: it tells values apart, and says nothing about them to who has no pepper.
    pub(super) fingerprint: String,
    pub(super) at: Timestamp,
}

/// What a visit found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Visited {
    pub(super) visit: Visit,
    pub(super) since: Option<Since>,
    /// The request that is done.
    pub(super) handled: Option<String>,
    /// What is under way, in words; `None` while nothing is.
    pub(super) rotating: Option<String>,
    /// When to look again.
    pub(super) due: Option<Timestamp>,
    /// Whether what was generated before is gone.
    pub(super) swept: bool,
}

/// What the engine must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Visit {
    /// `client_secret` works.
    Ready,
    /// The store must hold exactly these hashes.
    Commit {
        hashes: Vec<SecretHash>,
        /// Whether `client_secret` works already, and this is about other values.
        ready: bool,
    },
    /// `client_secret_next` waits for the servers.
    Wait {
        /// Whether `client_secret` works meanwhile.
        ready: bool,
    },
}

/// Why a visit failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CredentialsError {
    #[error("the Secret {0} exists and is not this client's: delete it, or choose another credentials.secret.name")]
    NotOurs(ObjectName),
    #[error(transparent)]
    Unusable(#[from] Unusable),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("a secret could not be made: {0}")]
    Secrets(String),
}

/// Brings the Secret as far as it goes without the store.
pub(super) async fn visit<C: Cluster>(cluster: &C, plan: &Plan) -> Result<Visited, CredentialsError> {
    let mut since = plan.rotation.since.clone();
    let mut written = None;
    for _ in 0..ROUNDS {
        let found = match written.take() {
            Some(secret) => Some(secret),
            None => cluster.secret(&plan.at).await?,
        };
        if found.as_ref().is_some_and(|secret| secret.owner.as_deref() != Some(&plan.owner)) {
            return Err(CredentialsError::NotOurs(plan.at.clone()));
        }
        let slots = found.as_ref().map(|secret| Slots::read(secret, &plan.keys)).unwrap_or_default();
        let answered = found.as_ref().and_then(|secret| secret.annotations.get(ROTATE)).cloned();
        let seen = Seen::new(plan, slots, answered, &mut since);
        let values = found.iter().flat_map(texts).filter_map(|text| ClientSecret::parse(text).ok());
        if let Some(anew) = seen.digested_anew(values, plan) {
            return Ok(seen.visited(plan, |_| anew));
        }
        let mut write = template(plan, found.as_ref());
        match next_step(&seen.slots, seen.known(plan)) {
            Step::Generate => {
                let secret = ClientSecret::generate().map_err(|error| CredentialsError::Secrets(error.to_string()))?;
                write.set.insert(NEXT.to_owned(), SecretData::new(secret.expose()));
                if let Some(requested) = &plan.rotation.requested {
                    write.annotations.insert(ROTATE.to_owned(), requested.clone());
                }
                if seen.slots.current.is_none() {
                    // What is not a client secret of ours never stays where Pods read.
                    write.remove.push(CURRENT.to_owned());
                }
            }
            Step::Promote => {
                let Some(data) = found.as_ref().map(|secret| &secret.data) else { continue };
                let Some(value) = data.get(NEXT) else { continue };
                write.set.insert(CURRENT.to_owned(), value.clone());
                write.remove.push(NEXT.to_owned());
                if let (Some(before), Some(_)) = (data.get(CURRENT), &seen.slots.current) {
                    write.set.insert(PREVIOUS.to_owned(), before.clone());
                }
            }
            Step::Retire => write.remove.push(PREVIOUS.to_owned()),
            step if found.as_ref().is_some_and(|secret| is_tidy(secret, &write)) => {
                return Ok(seen.visited(plan, |ready| match step {
                    Step::Commit(hashes) => Visit::Commit { hashes, ready },
                    Step::Wait => Visit::Wait { ready },
                    _ => Visit::Ready,
                }));
            }
            // Labels, annotations or fixed keys drifted.
            _ => {}
        }
        match cluster.put_secret(&write).await {
            Ok(secret) => written = Some(secret),
            Err(ClusterError::Conflict | ClusterError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ClusterError::Conflict.into())
}

/// A Secret as it was read, and what follows from its age.
pub(super) struct Seen {
    pub(super) slots: Slots,
    since: Option<Since>,
    /// The request that the newest value answered.
    answered: Option<String>,
    now: Timestamp,
}

impl Seen {
    pub(super) fn new(plan: &Plan, slots: Slots, answered: Option<String>, since: &mut Option<Since>) -> Self {
        let now = plan.clock.now();
        *since = slots.current.as_ref().map(|current| age(current, since.take(), now));
        Self { slots, since: since.clone(), answered, now }
    }

    /// The time after `client_secret` became what it is.
    fn after(&self, duration: SignedDuration) -> Option<Timestamp> {
        self.since.as_ref()?.at.checked_add(duration).ok()
    }

    fn is_requested(&self, plan: &Plan) -> bool {
        plan.rotation.requested.is_some() && plan.rotation.requested != self.answered
    }

    pub(super) fn known<'a>(&self, plan: &'a Plan) -> Known<'a> {
        let rotation = &plan.rotation;
        let scheduled = rotation.every.and_then(|every| self.after(every)).is_some_and(|due| due <= self.now);
        Known {
            stored: &plan.stored,
            programmed: plan.programmed,
            overlap_over: self.after(rotation.overlap).is_some_and(|end| end <= self.now),
            rotate: scheduled || self.is_requested(plan),
        }
    }

    /// What to store instead, if a pepper changed: the same values, digested under the newest. Every server knows it already.
    /// A hash whose value is nowhere any more stays as it is.
    pub(super) fn digested_anew(&self, values: impl Iterator<Item = ClientSecret>, plan: &Plan) -> Option<Visit> {
        let values: Vec<ClientSecret> = values.collect();
        let anew = |hash: &SecretHash| {
            let found = values.iter().find_map(|value| plan.keys.digest_anew(value, hash).ok().flatten());
            found.unwrap_or_else(|| hash.clone())
        };
        let hashes: Vec<SecretHash> = plan.stored.iter().map(anew).collect();
        let ready = self.slots.current.as_ref().is_some_and(|current| hashes.contains(current));
        (hashes != plan.stored).then_some(Visit::Commit { hashes, ready })
    }

    /// What the engine is told; `visit` is made from whether `client_secret` works.
    pub(super) fn visited(self, plan: &Plan, visit: impl FnOnce(bool) -> Visit) -> Visited {
        let ready = self.slots.current.as_ref().is_some_and(|current| plan.stored.contains(current));
        let retires = self.slots.is_retiring(&plan.stored).then(|| self.after(plan.rotation.overlap)).flatten();
        let rotates = plan.rotation.every.filter(|_| self.slots.next.is_none()).and_then(|every| self.after(every));
        let due = [retires, rotates].into_iter().flatten().filter(|at| *at > self.now).min();
        let rotating = self.rotating(plan, retires);
        let handled = self.answered.filter(|_| self.slots.next.is_none());
        Visited { visit: visit(ready), since: self.since, handled, rotating, due, swept: false }
    }

    fn rotating(&self, plan: &Plan, retires: Option<Timestamp>) -> Option<String> {
        self.slots.current.as_ref()?;
        if let Some(next) = &self.slots.next {
            let served = plan.stored.contains(next) && !plan.under_way;
            let on_its_way = "the next value is on its way to the servers; client_secret serves until it works";
            let text = if served { "the next value works, and waits to become client_secret" } else { on_its_way };
            return Some(text.to_owned());
        }
        let Some(at) = retires else {
            return plan.under_way.then(|| "the servers are learning which values work".to_owned());
        };
        let until = format!("the value before works until {at:.0}");
        if self.is_requested(plan) {
            return Some(format!("{until}; the rotation that was asked for begins then"));
        }
        Some(until)
    }
}

/// Since when the value of this hash serves: as before, or from now on, rounded up to what status shows.
fn age(current: &SecretHash, before: Option<Since>, now: Timestamp) -> Since {
    let fingerprint: String = current.digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    before.filter(|since| since.fingerprint == fingerprint).unwrap_or_else(|| {
        let at = Timestamp::from_second(now.as_second().saturating_add(1)).unwrap_or(now);
        Since { fingerprint, at }
    })
}

/// The values of a Secret that are text.
pub(super) fn texts(secret: &SecretObject) -> impl Iterator<Item = &str> {
    secret.data.values().filter_map(SecretData::text)
}

fn template(plan: &Plan, found: Option<&SecretObject>) -> SecretWrite {
    SecretWrite {
        at: plan.at.clone(),
        version: found.map(|secret| secret.version.clone()),
        owner: plan.owner.clone(),
        labels: plan.labels.clone(),
        annotations: plan.annotations.clone(),
        set: plan.fixed.iter().map(|(key, value)| ((*key).to_owned(), SecretData::new(value.as_str()))).collect(),
        remove: Vec::new(),
    }
}

fn is_tidy(secret: &SecretObject, write: &SecretWrite) -> bool {
    let has = |all: &BTreeMap<String, String>, (key, value): (&String, &String)| all.get(key) == Some(value);
    write.labels.iter().all(|pair| has(&secret.labels, pair))
        && write.annotations.iter().all(|pair| has(&secret.annotations, pair))
        && write.set.iter().all(|(key, value)| secret.data.get(key) == Some(value))
}
