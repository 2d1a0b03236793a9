//! Counters of what the jobs of this process did. Labels are enums, so their number is bounded.

use authly_model::retention::{DataClass, RetentionMode};
use authly_runtime::{
    Metrics,
    metrics::{Counters, Label},
};
use authly_store::jobs::Watch;
use prometheus_client::metrics::counter::Counter;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Class(DataClass);

impl Label for Class {
    const NAME: &'static str = "data";
    const ALL: &'static [Self] = &[Self(DataClass::Tokens), Self(DataClass::Audit)];

    fn as_str(self) -> &'static str {
        self.0.as_str()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mode(RetentionMode);

impl Label for Mode {
    const NAME: &'static str = "mode";
    const ALL: &'static [Self] = &[Self(RetentionMode::DryRun), Self(RetentionMode::Enforce)];

    fn as_str(self) -> &'static str {
        self.0.as_str()
    }
}

/// Told by the jobs.
pub(crate) struct JobMetrics {
    matched: Counters<(Class, Mode)>,
    done: Counters<Class>,
    seals: Counter,
    sealed: Counter,
    failures: Counter,
}

impl JobMetrics {
    /// Makes the counters and registers them.
    pub(crate) fn register(registry: &Metrics) -> Self {
        Self {
            matched: registry.counters_by_two("retention_matched", "Rows that runs of retention found due"),
            done: registry.counters("retention_done", "Rows that retention deleted or anonymised"),
            seals: registry.counter("audit_seals", "Seals of the audit chains made"),
            sealed: registry.counter("audit_sealed_heads", "Heads of audit chains put under seals"),
            failures: registry.counter("job_failures", "Runs of background jobs that failed and are tried again"),
        }
    }
}

impl Watch for JobMetrics {
    fn retention_matched(&self, class: DataClass, mode: RetentionMode, rows: u64) {
        self.matched.inc_by(&(Class(class), Mode(mode)), rows);
    }

    fn retention_done(&self, class: DataClass, rows: u64) {
        self.done.inc_by(&Class(class), rows);
    }

    fn sealed(&self, heads: u64) {
        self.seals.inc();
        self.sealed.inc_by(heads);
    }

    fn failed(&self) {
        self.failures.inc();
    }
}
