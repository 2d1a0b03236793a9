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
    seen::Seen,
    slots::{CURRENT, NEXT, PREVIOUS, Slots, Step, next_step},
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
    /// What the Secret is without a look, if that is likely.
    pub(super) guess: Option<Guess>,
    pub(super) clock: Arc<dyn Clock>,
}

/// What a Secret is, as far as is known without a look at it: most clients are new, and nobody touches their Secrets while the
/// servers learn their hashes. A write that follows from a guess carries its version, so it conflicts if the guess is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Guess {
    /// It is not there.
    Missing,
    /// It is as the visit before left it.
    Left(SecretObject),
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
    /// The Secret that a value waits in which was generated just now.
    pub(super) left: Option<SecretObject>,
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
    let mut written: Option<SecretObject> = None;
    let mut guess = plan.guess.clone();
    for _ in 0..ROUNDS {
        let (is_own, guessed) = (written.is_some(), guess.take());
        let is_guess = guessed.is_some();
        let found = match (written.take(), guessed) {
            (Some(secret), _) | (None, Some(Guess::Left(secret))) => Some(secret),
            (None, Some(Guess::Missing)) => None,
            (None, None) => cluster.secret(&plan.at).await?,
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
        let step = next_step(&seen.slots, seen.known(plan));
        if is_guess && !matches!(step, Step::Generate | Step::Promote) {
            // Only a write would show that the guess is wrong.
            continue;
        }
        match step {
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
                let left = found.filter(|_| is_own && seen.slots.next.is_some() && matches!(step, Step::Commit(_)));
                let visited = seen.visited(plan, |ready| match step {
                    Step::Commit(hashes) => Visit::Commit { hashes, ready },
                    Step::Wait => Visit::Wait { ready },
                    _ => Visit::Ready,
                });
                return Ok(Visited { left, ..visited });
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
