//! Reconciling a tenant: resolve, apply, judge. A failure is shown on every object of the tenant and tried again.

use std::time::Instant;

use authly_desired::{Resolved, desired};
use authly_model::ids::{Kind, ObjectRef};

use super::{
    Engine, EngineError,
    apply::{Applied, NotApplied},
    cluster::Cluster,
    ledger::Ledger,
    metrics::Applied as Counted,
    programmed::Failing,
    tasks::Task,
};

impl<C: Cluster> Engine<C> {
    /// Reads what the store holds, if that is not known.
    pub(super) async fn load(&mut self, now: Instant) -> Result<Result<(), Failing>, EngineError> {
        if !self.stale {
            return Ok(Ok(()));
        }
        let away = Failing::new("StoreUnavailable", "the store does not answer; what it holds keeps serving");
        if self.tasks.is_waiting(&Task::Load, now) {
            return Ok(Err(away));
        }
        match Ledger::load(&self.leader, &self.ledger).await {
            Ok((ledger, claims)) => {
                self.ledger = ledger;
                self.index.world.set_claims(claims);
                self.tasks.succeeded(&Task::Load);
                self.stale = false;
                if !std::mem::replace(&mut self.started, true) {
                    self.batch.add_due(self.index.world.tenant_names(), now);
                }
                Ok(Ok(()))
            }
            Err(error) => {
                tracing::warn!(%error, "what the store holds cannot be read; trying again");
                self.tasks.failed(Task::Load, now);
                match NotApplied::from(error) {
                    NotApplied::Stop(error) => Err(error),
                    NotApplied::Retry(failing) => Ok(Err(failing)),
                }
            }
        }
    }

    /// Reconciles one tenant.
    pub(super) async fn reconcile(&mut self, tenant: &str, loaded: Result<(), NotApplied>) -> Result<(), EngineError> {
        let mut resolved = desired(&self.index.world, tenant);
        if !resolved.ours {
            self.leave(tenant);
            return Ok(());
        }
        self.note_paused(tenant);
        self.keep_paused(tenant, &mut resolved);
        let task = Task::Tenant(tenant.to_owned());
        let result = match loaded {
            Ok(()) => self.apply_and_unlock(tenant, &resolved).await,
            Err(error) => Err(error),
        };
        let result = match result {
            Ok(applied) => {
                self.metrics.applied(if applied.committed.is_some() { Counted::Changed } else { Counted::Unchanged });
                if applied.refused.is_empty() && !self.signing.has_failed(tenant) {
                    self.tasks.succeeded(&task);
                } else {
                    self.tasks.failed(task, Instant::now());
                }
                Ok(applied)
            }
            Err(NotApplied::Stop(error)) => return Err(error),
            Err(NotApplied::Retry(failing)) => {
                tracing::warn!(tenant, reason = failing.reason, message = failing.message, "not applied; trying again");
                self.metrics.applied(Counted::Failed);
                self.tasks.failed(task, Instant::now());
                Err(failing)
            }
        };
        self.judge(tenant, &resolved, &result);
        Ok(())
    }

    async fn apply_and_unlock(&mut self, tenant: &str, resolved: &Resolved) -> Result<Applied, NotApplied> {
        let applied = self.apply(tenant, resolved).await?;
        let is_paused = self.is_paused(&ObjectRef::new(Kind::Tenant, "", tenant));
        if !is_paused {
            self.rotate_or_note(tenant).await?;
        }
        if !resolved.desired.clients.is_empty() {
            self.unlock(tenant).await?;
        }
        if !is_paused {
            self.change_pepper_or_note(tenant).await?;
        }
        Ok(applied)
    }
}
