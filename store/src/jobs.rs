//! Background jobs: rows with leases, so that replicas compete for them and a killed one is taken over.
//!
//! Owns: retention, seals of the audit chains, pruning of the feed and of dead replicas, partitions made ahead. Role jobs. Batches are small and
//! each is one transaction that holds the lease and moves the cursor, so a run goes on where it was interrupted.
//! Never does: anything under a tenant's legal hold. Leases use the database's time, expiry the injected clock.

mod lease;
mod prune;
mod retention;
mod seal;

use std::{sync::Arc, time::Duration};

use authly_model::{
    clock::Clock,
    retention::{DataClass, RetentionMode},
};
use authly_secrets::KekRing;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Result, Store};
use lease::{Lease, Stopped};

/// Told of what jobs do, for metrics; must not block.
pub trait Watch: Send + Sync {
    /// A run of a retention rule began and found so many rows due; one that goes on after a kill does not begin again.
    fn retention_matched(&self, class: DataClass, mode: RetentionMode, rows: u64);
    /// A batch of rows was deleted or anonymised.
    fn retention_done(&self, class: DataClass, rows: u64);
    /// A seal was made over so many heads.
    fn sealed(&self, heads: u64);
    /// A job failed; it is tried again.
    fn failed(&self);
}

/// Nobody is told.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn retention_matched(&self, _: DataClass, _: RetentionMode, _: u64) {}
    fn retention_done(&self, _: DataClass, _: u64) {}
    fn sealed(&self, _: u64) {}
    fn failed(&self) {}
}

/// What jobs work with. The pool's role is jobs.
#[derive(Clone)]
pub struct Jobs {
    /// The pool.
    pub store: Store,
    /// The platform keys, which wrap the sealing key.
    pub kek: Arc<KekRing>,
    /// Expiry, and the time of seals.
    pub clock: Arc<dyn Clock>,
    /// Told of what is done.
    pub watch: Arc<dyn Watch>,
}

/// How often due jobs are looked for.
const LOOK: Duration = Duration::from_secs(1);

impl Jobs {
    /// Runs jobs until cancelled.
    pub async fn run(self, cancel: CancellationToken) {
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            tokio::select! {
                // A job that is cut off here is taken up again, by whoever comes, once its lease ends.
                () = cancel.cancelled() => return,
                outcome = self.run_due() => if let Err(error) = outcome {
                    tracing::warn!(%error, "looking for jobs failed");
                }
            }
        }
    }

    /// Runs every job that is due once; how many there were.
    ///
    /// # Errors
    /// `Unavailable`. A job's own failure is kept in its row and does not stop the others.
    pub async fn run_due(&self) -> Result<usize> {
        let store = &self.store;
        let holder = Uuid::new_v4();
        let mut ran = 0;
        while let Some(mut lease) = Lease::claim(store, holder).await? {
            ran += 1;
            let outcome = match lease.name() {
                "retention" => retention::run(self, &mut lease).await,
                "seal" => seal::recent(self, &lease).await,
                "seal_late" => seal::late(self, &mut lease).await,
                "prune" => prune::feed_and_replicas(store, &lease).await,
                "partitions" => prune::partitions(store, &lease).await,
                other => {
                    tracing::warn!(job = other, "an unknown job is left to a newer version");
                    Ok(())
                }
            };
            match outcome {
                Ok(()) => lease.finish(store, None).await?,
                Err(Stopped::LeaseLost) => tracing::warn!(job = lease.name(), "the lease was lost: another goes on"),
                Err(Stopped::Failed(error)) => {
                    tracing::warn!(job = lease.name(), %error, "a job failed");
                    self.watch.failed();
                    lease.finish(store, Some(&error.to_string())).await?;
                }
            }
        }
        Ok(ran)
    }
}
