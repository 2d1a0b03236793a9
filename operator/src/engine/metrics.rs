//! What the engine counts. Labels are enums, so their number is bounded.

use authly_runtime::metrics::{Counters, Label, Metrics};
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

use super::{
    cluster::ClusterError,
    credentials::CredentialsError,
    tasks::{Done, Task},
};

/// How applying a tenant ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Applied {
    Changed,
    Unchanged,
    Failed,
}

impl Label for Applied {
    const NAME: &'static str = "result";
    const ALL: &'static [Self] = &[Self::Changed, Self::Unchanged, Self::Failed];
    fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        }
    }
}

/// What is written to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    Status,
    Secret,
    Finalizer,
}

impl Label for Write {
    const NAME: &'static str = "kind";
    const ALL: &'static [Self] = &[Self::Status, Self::Secret, Self::Finalizer];
    fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Secret => "secret",
            Self::Finalizer => "finalizer",
        }
    }
}

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Conflict,
    Denied,
    Failed,
}

impl Label for Outcome {
    const NAME: &'static str = "result";
    const ALL: &'static [Self] = &[Self::Done, Self::Conflict, Self::Denied, Self::Failed];
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Conflict => "conflict",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

/// The engine's metrics.
#[derive(Debug, Clone)]
pub struct EngineMetrics {
    applied: Counters<Applied>,
    writes: Counters<(Write, Outcome)>,
    pub(super) objects: Gauge,
    pub(super) waiting: Gauge,
    pub(super) purged: Counter,
}

impl EngineMetrics {
    /// Registers them; once per process.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            applied: metrics.counters("operator_reconciles", "Tenants reconciled into the store"),
            writes: metrics
                .counters_by_two("operator_writes", "Work on the cluster, by what it wrote and how it ended"),
            objects: metrics.gauge("operator_objects", "Declared objects"),
            purged: metrics
                .counter("operator_purged_tenants", "Tenants whose keys were destroyed after their purgeAfter"),
            waiting: metrics.gauge("operator_waiting_objects", "Objects that wait for replicas to acknowledge them"),
        }
    }

    pub(super) fn applied(&self, how: Applied) {
        self.applied.inc(&how);
    }

    pub(super) fn wrote(&self, task: &Task, done: &Done) {
        let outcome = |result: Result<(), &ClusterError>| match result {
            Ok(()) => Outcome::Done,
            Err(ClusterError::Conflict | ClusterError::NotFound) => Outcome::Conflict,
            Err(ClusterError::Denied { .. }) => Outcome::Denied,
            Err(_) => Outcome::Failed,
        };
        let write = match task {
            Task::Load | Task::Tenant(_) => return,
            Task::Finalizer(_) => Write::Finalizer,
            Task::Forget(_) | Task::Secret(_) => Write::Secret,
            Task::Status(_) => Write::Status,
        };
        let outcome = match done {
            Done::Finalizer(result) | Done::Status(_, result) => outcome(result.as_ref().map(|_| ())),
            Done::Forget(result) => outcome(result.as_ref().copied()),
            Done::Secret(Err(CredentialsError::Cluster(error))) => outcome(Err(error)),
            Done::Secret(Err(_)) => Outcome::Failed,
            Done::Secret(Ok(_)) => Outcome::Done,
        };
        self.writes.inc(&(write, outcome));
    }
}
