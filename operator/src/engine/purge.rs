//! Tenants whose tombstone is older than their `purgeAfter` (operator.md, rule 10): while there are tombstones, they are looked
//! through now and then, and what is due is purged. The store decides again within its transaction.
//!
//! The tombstone alone is not enough: who declares the Tenant again wants it back, even while that cannot be stored yet.

use std::time::{Duration, Instant};

use authly_desired::desired;
use authly_model::ids::{Kind, ObjectRef};

use super::{Engine, EngineError, apply::NotApplied, cluster::Cluster};

/// How often tombstones are looked through.
pub(super) const READ: Duration = Duration::from_secs(10);

impl<C: Cluster> Engine<C> {
    /// Whether there is a tombstone to look at.
    pub(super) fn has_tombstones(&self) -> bool {
        self.ledger.tenants.values().any(|held| held.stored.tombstoned)
    }

    /// Purges what is due, if it is time to look.
    pub(super) async fn purge(&mut self, now: Instant) -> Result<(), EngineError> {
        let is_time = self.purge_read.is_none_or(|read| now >= read + READ);
        if !self.started || !is_time || !self.has_tombstones() {
            return Ok(());
        }
        // Before anything that ends this look: the loop wakes for the next one by this time.
        self.purge_read = Some(now);
        if self.stale || self.index.world.is_incomplete() {
            return Ok(());
        }
        match self.purge_due().await {
            Ok(()) => Ok(()),
            Err(NotApplied::Stop(error)) => Err(error),
            Err(NotApplied::Retry(failing)) => {
                tracing::warn!(reason = failing.reason, message = failing.message, "no tenant purged; trying again");
                Ok(())
            }
        }
    }

    async fn purge_due(&mut self) -> Result<(), NotApplied> {
        let at = self.clock.now();
        for (id, name) in self.leader.purgeable(at).await? {
            if self.is_wanted_back(&name) {
                continue;
            }
            // Whatever comes of it, the store holds something else than before.
            self.stale = true;
            if self.leader.purge(id, at).await? {
                self.metrics.purged.inc();
                self.index.start_anew(&name);
                self.signing.forget(&name);
                tracing::info!(tenant = %id, name, "the tenant is purged: its keys are destroyed");
            }
        }
        Ok(())
    }

    /// Whether a Tenant of this name and installation is declared: accepted, refused, paused or unreadable. A reconcile that
    /// failed, or has not come yet, restores it later.
    fn is_wanted_back(&self, name: &str) -> bool {
        let entry = self.index.entries.get(&ObjectRef::new(Kind::Tenant, "", name));
        entry.is_some_and(|entry| !entry.deleting) && desired(&self.index.world, name).ours
    }
}
