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

use authly_model::clock::Clock;
use authly_secrets::KekRing;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Result, Store};
use lease::{Lease, Stopped};

/// How often due jobs are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// Runs jobs until cancelled. Role jobs.
pub async fn run(store: Store, kek: Arc<KekRing>, clock: Arc<dyn Clock>, cancel: CancellationToken) {
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        tokio::select! {
            // A job that is cut off here is taken up again, by whoever comes, once its lease ends.
            () = cancel.cancelled() => return,
            outcome = run_due(&store, &kek, &*clock) => if let Err(error) = outcome {
                tracing::warn!(%error, "looking for jobs failed");
            }
        }
    }
}

/// Runs every job that is due once; how many there were.
///
/// # Errors
/// `Unavailable`. A job's own failure is kept in its row and does not stop the others.
pub async fn run_due(store: &Store, kek: &KekRing, clock: &dyn Clock) -> Result<usize> {
    let holder = Uuid::new_v4();
    let mut ran = 0;
    while let Some(mut lease) = Lease::claim(store, holder).await? {
        ran += 1;
        let outcome = match lease.name() {
            "retention" => retention::run(store, clock, &mut lease).await,
            "seal" => seal::recent(store, kek, clock, &lease).await,
            "seal_late" => seal::late(store, kek, clock, &mut lease).await,
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
                lease.finish(store, Some(&error.to_string())).await?;
            }
        }
    }
    Ok(ran)
}
