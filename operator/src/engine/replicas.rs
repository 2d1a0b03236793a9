//! How far the replicas are: read while something waits for them, and what follows from it.

use std::time::{Duration, Instant};

use authly_desired::Object;
use authly_model::{
    feed::Revision,
    ids::{Kind, ObjectRef},
};
use authly_store::{Replica, ReplicaRole};

use super::{
    Engine, EngineError,
    apply::NotApplied,
    cluster::Cluster,
    ledger::Held,
    programmed::{Acknowledgement, Acknowledger, Expected, Failing, gateways_need, known_to_all, programmed},
    tasks::Task,
};

/// How often positions are read while something waits for them.
const POLL: Duration = Duration::from_millis(200);
/// The same after a hint, unless much waits: then a hint a replica is too many.
const HINTED: Duration = Duration::from_millis(10);
const MUCH: usize = 500;

impl<C: Cluster> Engine<C> {
    /// Reads how far the replicas are, while something waits for them.
    pub(super) async fn poll(&mut self, now: Instant) -> Result<(), EngineError> {
        if self.next_poll(now).is_none_or(|next| now < next) {
            return Ok(());
        }
        (self.polled, self.hinted) = (Some(now), false);
        match self.leader.replicas().await {
            Ok(replicas) => self.replicas = Some(replicas.into_iter().map(acknowledgement).collect()),
            Err(error) => {
                return if let NotApplied::Stop(error) = error.into() { Err(error) } else { Ok(()) };
            }
        }
        for object in self.waiting.clone() {
            self.arrived(&object);
        }
        for client in self.waiting_secrets.clone() {
            self.secret_arrived(&client);
        }
        self.keys_arrived(now);
        self.metrics.waiting.set(i64::try_from(self.waiting.len()).unwrap_or(i64::MAX));
        Ok(())
    }

    /// When positions are read next: not at all while nothing waits for them.
    pub(super) fn next_poll(&self, now: Instant) -> Option<Instant> {
        let waits = self.waiting.len() + self.waiting_secrets.len();
        let pause = if self.hinted && waits <= MUCH { HINTED } else { POLL };
        let is_waited_for = waits > 0 || self.signing.awaits_replicas();
        is_waited_for.then(|| self.polled.map_or(now, |polled| polled + pause))
    }

    /// Whether every replica that needs the object serves its revision, as far as is known.
    pub(super) fn is_programmed(&self, tenant: &str, reference: &ObjectRef) -> Result<(), Failing> {
        let waiting = || Err(Failing::new("Pending", "not in the store yet"));
        let Some(carried) = self.index.entries.get(reference).and_then(|entry| entry.carried.as_ref()) else {
            return waiting();
        };
        if carried.passed {
            return Ok(());
        }
        let Some(held) = self.ledger.tenants.get(tenant) else { return waiting() };
        let expected = Expected {
            tenant: held.id,
            object: reference,
            revision: carried.revision,
            gateways: gateways_need(reference.kind, self.has_backend(reference)),
        };
        let unknown = || Failing::new("Pending", "replicas have not acknowledged this revision yet");
        programmed(&expected, self.replicas.as_deref().ok_or_else(unknown)?)
    }

    /// Looks whether the object that waits has arrived everywhere; that latches for its revision.
    pub(super) fn arrived(&mut self, reference: &ObjectRef) {
        let tenant = self.index.entries.get(reference).and_then(|entry| entry.tenant.clone()).unwrap_or_default();
        let programmed = self.is_programmed(&tenant, reference);
        let Some(entry) = self.index.entries.get_mut(reference) else { return };
        let Some(carried) = &mut entry.carried else {
            // It is not stored any more: there is nothing to wait for.
            self.waiting.remove(reference);
            return;
        };
        let arrived = programmed.is_ok();
        carried.passed |= arrived;
        let news = entry.facts.as_mut().filter(|facts| facts.programmed != programmed);
        let has_news = news.is_some();
        if let Some(facts) = news {
            facts.programmed = programmed;
        }
        if arrived {
            self.waiting.remove(reference);
        }
        if has_news {
            self.refresh(reference);
        }
    }

    /// Looks whether every server has the hashes of a client's secrets.
    pub(super) fn secret_arrived(&mut self, client: &ObjectRef) {
        let Some(entry) = self.index.entries.get_mut(client) else { return };
        let held = entry.tenant.as_ref().and_then(|tenant| self.ledger.tenants.get(tenant));
        let (Some(held), Some(carried)) = (held, &mut entry.credentials.carried) else {
            self.waiting_secrets.remove(client);
            return;
        };
        let expected = Expected { tenant: held.id, object: client, revision: carried.revision, gateways: false };
        if programmed(&expected, self.replicas.as_deref().unwrap_or_default()).is_ok() {
            carried.passed = true;
            self.waiting_secrets.remove(client);
            self.tasks.add_now(Task::Secret(client.clone()));
        }
    }

    /// Whether every live replica serves everything that is stored of the tenant, as far as is known.
    pub(super) fn is_known_to_all(&self, name: &str) -> bool {
        let object = ObjectRef::new(Kind::Tenant, "", name);
        self.ledger.tenants.get(name).is_some_and(|held| self.has_arrived(held, &object, held.revision))
    }

    pub(super) fn has_arrived(&self, held: &Held, object: &ObjectRef, revision: Revision) -> bool {
        let expected = Expected { tenant: held.id, object, revision, gateways: true };
        self.replicas.as_deref().is_some_and(|replicas| known_to_all(&expected, replicas))
    }

    fn has_backend(&self, reference: &ObjectRef) -> bool {
        matches!(self.index.world.get(reference), Some(Object::SignedUrlRoute(route)) if route.spec.backend.is_some())
    }
}

fn acknowledgement(replica: Replica) -> Acknowledgement {
    let role = match replica.role {
        ReplicaRole::Server => Acknowledger::Server,
        ReplicaRole::Gateway => Acknowledger::Gateway,
    };
    let failures = replica.failures.into_iter().map(|failure| (failure.tenant, failure.object, failure.message));
    Acknowledgement { role, position: replica.position, failures: failures.collect() }
}
