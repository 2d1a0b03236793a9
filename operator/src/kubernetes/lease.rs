//! Leader election by one Lease, with resourceVersion checks (operator.md, rule 11). No published crate does this for kube 5.
//!
//! Owns: taking, renewing and releasing the Lease, and [`Leadership`], which every Kubernetes write asks first. It fences
//! Kubernetes writes only in time; what fences for certain is the resourceVersion of each write and the epoch in Postgres.

mod decision;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use authly_model::clock::Clock;
use authly_runtime::health::Condition;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio_util::sync::CancellationToken;

pub use decision::LeaseTimes;
use decision::{Decision, Seen, decide};

/// Proof of leadership, good until a deadline that renewals push ahead.
#[derive(Debug, Clone)]
pub(crate) struct Leadership {
    until: Arc<Mutex<Instant>>,
    lost: CancellationToken,
}

impl Leadership {
    fn new(until: Instant) -> Self {
        Self { until: Arc::new(Mutex::new(until)), lost: CancellationToken::new() }
    }

    /// Whether this process may write. A process that was stopped and woke up late learns it here.
    #[must_use]
    pub(crate) fn is_held(&self) -> bool {
        !self.lost.is_cancelled() && Instant::now() < self.until()
    }

    /// Cancelled once leadership is lost.
    #[must_use]
    pub(crate) const fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Ends it: nothing is written after this.
    pub(crate) fn give_up(&self) {
        self.lost.cancel();
    }

    /// For tests of what a leader does.
    #[cfg(test)]
    pub(crate) fn forever(&self) {
        self.extend(Instant::now() + Duration::from_secs(3600));
    }

    fn until(&self) -> Instant {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn extend(&self, until: Instant) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// A candidate.
pub(crate) struct Elector {
    api: Api<Lease>,
    name: String,
    me: String,
    times: LeaseTimes,
    clock: Arc<dyn Clock>,
    /// Whether the API server answers.
    answers: Condition,
    seen: Option<Seen>,
    record: Option<Lease>,
}

/// Where the Lease is, and how long it lasts.
#[derive(Debug, Clone)]
pub(crate) struct LeasePlace {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) times: LeaseTimes,
}

impl Elector {
    /// A candidate named `me`, which must be unique to this process run.
    pub(crate) fn new(
        client: Client,
        place: LeasePlace,
        me: String,
        clock: Arc<dyn Clock>,
        answers: Condition,
    ) -> Self {
        let api = Api::namespaced(client, &place.namespace);
        Self { api, name: place.name, me, times: place.times, clock, answers, seen: None, record: None }
    }

    /// Waits until this process leads. Errors are logged and tried again.
    pub(crate) async fn acquire(&mut self) -> Leadership {
        loop {
            let started = Instant::now();
            let attempt = self.attempt().await;
            self.answers.set(attempt.is_ok());
            match attempt {
                Ok(true) => return Leadership::new(started + self.times.deadline),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(lease = %self.name, error = %super::describe(&error), "cannot take the lease; trying again");
                }
            }
            tokio::time::sleep(self.times.retry).await;
        }
    }

    /// Renews until it fails for longer than the deadline, then cancels [`Leadership::lost`].
    pub(crate) async fn keep(&mut self, leadership: Leadership) {
        loop {
            tokio::time::sleep(self.times.retry).await;
            let started = Instant::now();
            let deadline = tokio::time::Instant::from_std(leadership.until());
            match tokio::time::timeout_at(deadline, self.attempt()).await {
                Ok(Ok(true)) => leadership.extend(started + self.times.deadline),
                Ok(Ok(false)) => break,
                Ok(Err(error)) => {
                    tracing::warn!(lease = %self.name, error = %super::describe(&error), "cannot renew the lease; trying again");
                }
                Err(_) => {}
            }
            if !leadership.is_held() {
                break;
            }
        }
        leadership.give_up();
    }

    /// Gives the lease back, so that another candidate need not wait for its end. Best effort.
    pub(crate) async fn release(&mut self) {
        let Some(mut lease) = self.record.take() else { return };
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
        }
        let params = PostParams::default();
        let write = self.api.replace(&self.name, &params, &lease);
        if !matches!(tokio::time::timeout(Duration::from_secs(2), write).await, Ok(Ok(_))) {
            tracing::info!(lease = %self.name, "the lease was not released; it ends by itself");
        }
    }

    /// One look and, if it is due, one write. True if this process leads now.
    async fn attempt(&mut self) -> Result<bool, kube::Error> {
        let found = self.api.get_opt(&self.name).await?;
        self.note(found);
        let written = match decide(&self.me, self.seen.as_ref(), Instant::now()) {
            Decision::Wait => return Ok(false),
            Decision::Create => self.api.create(&PostParams::default(), &self.claim(None)).await,
            Decision::Take | Decision::Renew => {
                let lease = self.claim(self.record.as_ref());
                self.api.replace(&self.name, &PostParams::default(), &lease).await
            }
        };
        match written {
            Ok(lease) => {
                self.note(Some(lease));
                Ok(true)
            }
            // Someone else wrote first: look again.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn note(&mut self, lease: Option<Lease>) {
        self.seen = lease.as_ref().map(|lease| {
            let spec = lease.spec.clone().unwrap_or_default();
            let seconds = spec.lease_duration_seconds.and_then(|s| u64::try_from(s).ok()).unwrap_or(0);
            let version = lease.metadata.resource_version.clone().unwrap_or_default();
            let holder = spec.holder_identity.unwrap_or_default();
            Seen::note(self.seen.take(), holder, version, Duration::from_secs(seconds), Instant::now())
        });
        self.record = lease;
    }

    /// The record that makes this process the holder; it carries the version of the one it replaces.
    fn claim(&self, old: Option<&Lease>) -> Lease {
        let now = MicroTime(self.clock.now());
        let before = old.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let ours = before.holder_identity.as_deref() == Some(&self.me);
        let transitions = before.lease_transitions.unwrap_or(0);
        Lease {
            metadata: old.map_or_else(
                || ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                |lease| lease.metadata.clone(),
            ),
            spec: Some(LeaseSpec {
                holder_identity: Some(self.me.clone()),
                lease_duration_seconds: i32::try_from(self.times.duration.as_secs()).ok(),
                acquire_time: if ours { before.acquire_time } else { Some(now.clone()) },
                renew_time: Some(now),
                lease_transitions: Some(if ours || old.is_none() {
                    transitions
                } else {
                    transitions.saturating_add(1)
                }),
                ..LeaseSpec::default()
            }),
        }
    }
}
