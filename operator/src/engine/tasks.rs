//! Work for the cluster that runs beside the engine's loop: bounded, one at a time per object, retried with backoff
//! (operator.md, rules 15 and 17).

use std::{
    collections::{BTreeSet, HashSet},
    time::{Duration, Instant},
};

use authly_model::ids::ObjectRef;
use serde_json::Value;
use tokio::task::{JoinError, JoinSet};

use super::{
    backoff::Backoff,
    cluster::ClusterError,
    credentials::{CredentialsError, Visited},
    later::Later,
};

/// How much runs at once.
const LIMIT: usize = 32;
/// What passes by itself is not said before this time: most of it has passed by then, and one write says all.
const PATIENCE: Duration = Duration::from_millis(500);

/// One piece of work; also the key of its backoff. The order is the order of urgency.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Task {
    /// Read the store: done by the loop itself and never queued, it has only its backoff here.
    Load,
    /// Apply a tenant to the store: likewise.
    Tenant(String),
    /// Add or remove a Tenant's finalizer.
    Finalizer(ObjectRef),
    /// Delete the Secrets of a client that is gone.
    Forget(ObjectRef),
    /// Visit a client's Secret.
    Secret(ObjectRef),
    /// Write an object's status.
    Status(ObjectRef),
}

/// What a piece of work led to.
#[derive(Debug)]
pub(super) enum Done {
    /// The finalizer is as it should be; the object's new version.
    Finalizer(Result<String, ClusterError>),
    /// The Secrets are gone.
    Forget(Result<(), ClusterError>),
    /// The visit's result.
    Secret(Result<Visited, CredentialsError>),
    /// The status that was written, and the object's new version.
    Status(Value, Result<String, ClusterError>),
}

/// The queue and what runs.
#[derive(Default)]
pub(super) struct Tasks {
    queue: BTreeSet<Task>,
    running: HashSet<Task>,
    jobs: JoinSet<(Task, Done)>,
    backoff: Backoff<Task>,
    /// Work of a later time.
    later: Later<Task>,
}

impl Tasks {
    /// Queues work, unless it waits for its backoff, which queues it later.
    pub(super) fn add(&mut self, task: Task, now: Instant) {
        if !self.backoff.is_waiting(&task, now) {
            self.later.remove(&task);
            self.queue.insert(task);
        }
    }

    /// Queues work after [`PATIENCE`], counted from the first such wish, unless it is queued before.
    pub(super) fn add_later(&mut self, task: Task, now: Instant) {
        if !self.queue.contains(&task) && !self.backoff.is_waiting(&task, now) {
            self.later.wish(task, now + PATIENCE);
        }
    }

    /// Queues work at once, whatever its backoff: something changed that may help.
    pub(super) fn add_now(&mut self, task: Task) {
        self.backoff.succeeded(&task);
        self.queue.insert(task);
    }

    /// Queues work at a time, in the place of an earlier such wish; `None` withdraws it.
    pub(super) fn at(&mut self, task: Task, at: Option<Instant>) {
        match at {
            Some(at) => self.later.set(task, at),
            None => self.later.remove(&task),
        }
    }

    /// Forgets queued work.
    pub(super) fn cancel(&mut self, task: &Task) {
        self.queue.remove(task);
        self.later.remove(task);
        self.backoff.succeeded(task);
    }

    /// The next piece of work that may start.
    pub(super) fn start(&mut self) -> Option<Task> {
        if self.running.len() >= LIMIT {
            return None;
        }
        let task = self.queue.iter().find(|task| !self.running.contains(task)).cloned()?;
        self.queue.remove(&task);
        Some(task)
    }

    /// Runs a piece of work.
    pub(super) fn spawn(&mut self, task: Task, work: impl Future<Output = Done> + Send + 'static) {
        self.running.insert(task.clone());
        self.jobs.spawn(async move { (task, work.await) });
    }

    /// Waits for the next result; pending while nothing runs.
    pub(super) async fn join(&mut self) -> Result<(Task, Done), JoinError> {
        match self.jobs.join_next().await {
            Some(Ok((task, done))) => {
                self.running.remove(&task);
                Ok((task, done))
            }
            Some(Err(error)) => Err(error),
            None => std::future::pending().await,
        }
    }

    /// Notes a failure; the work is due again later.
    pub(super) fn failed(&mut self, task: Task, now: Instant) {
        self.backoff.failed(task, now);
    }

    /// Notes a success.
    pub(super) fn succeeded(&mut self, task: &Task) {
        self.backoff.succeeded(task);
    }

    /// Whether a retry waits for its time.
    pub(super) fn is_waiting(&self, task: &Task, now: Instant) -> bool {
        self.backoff.is_waiting(task, now)
    }

    /// When work is due that is not queued yet.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.backoff.next().into_iter().chain(self.later.next()).min()
    }

    /// Takes what is due: tenants are for the caller, who reads the store by itself before them; the rest is queued.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<String> {
        self.queue.extend(self.later.take_due(now));
        let mut tenants = Vec::new();
        for task in self.backoff.take_due(now) {
            match task {
                Task::Load => {}
                Task::Tenant(tenant) => tenants.push(tenant),
                other => {
                    self.queue.insert(other);
                }
            }
        }
        tenants
    }
}
