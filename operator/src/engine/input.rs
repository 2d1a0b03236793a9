//! What the engine is told, objects as they were last seen, from a watch or from a folder; and how it takes that in.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use authly_desired::Object;
use authly_model::ids::ObjectRef;
use serde_json::Value;

use super::{
    Engine,
    cluster::{Cluster, Target},
    facts::RECONCILED,
    tasks::Task,
};

/// The finalizer of a Tenant with `deletionPolicy: Delete`: it is gone once the tombstone is committed.
pub const FINALIZER: &str = "authly.dev/tombstone";

/// One thing that was seen.
#[derive(Debug)]
pub enum Input {
    /// An object is declared, new or changed.
    Declared(Box<Declared>),
    /// An object is not declared any more.
    Deleted(ObjectRef),
    /// A Namespace and its labels; `None` once it is gone.
    Namespace {
        /// Its name.
        name: String,
        /// Its labels.
        labels: Option<BTreeMap<String, String>>,
    },
    /// A Secret changed, or (without a name) all Secrets of a namespace must be looked at again.
    Secrets {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: Option<String>,
    },
    /// Whether everything that is declared could be read. While it could not, nothing is deleted.
    Complete(bool),
    /// Everything that was there at the start has been told: the engine may begin.
    Synced,
}

/// An object as it was last seen.
#[derive(Debug)]
pub struct Declared {
    /// Which, and its version.
    pub target: Target,
    /// `metadata.generation`; in dev mode anything that grows when the spec changes.
    pub generation: i64,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether it carries [`FINALIZER`].
    pub finalizer: bool,
    /// The status as it is stored; null if there is none.
    pub status: Value,
    /// The object, or why it is not one of its kind.
    pub object: Result<Object, String>,
}

impl<C: Cluster> Engine<C> {
    /// Takes an input into the index.
    pub(super) fn take(&mut self, input: Input) {
        let touched = match input {
            Input::Declared(declared) => self.declare(*declared),
            Input::Deleted(reference) => self.delete(&reference),
            Input::Namespace { name, labels } => self.index.namespace(&name, labels),
            Input::Secrets { namespace, name } => {
                for client in self.index.clients_of(&namespace, name.as_deref()) {
                    self.left.remove(&client);
                    self.tasks.add_now(Task::Secret(client));
                }
                return;
            }
            Input::Complete(complete) => {
                self.index.world.set_incomplete(!complete);
                self.index.world.tenant_names()
            }
            Input::Synced => {
                self.synced = true;
                self.index.world.tenant_names()
            }
        };
        if self.synced {
            self.batch.add(touched, Instant::now());
        }
        self.metrics.objects.set(i64::try_from(self.index.entries.len()).unwrap_or(i64::MAX));
    }

    fn declare(&mut self, declared: Declared) -> BTreeSet<String> {
        let reference = declared.target.object.clone();
        self.deleted.remove(&reference);
        let asked = self.asked(&reference);
        let touched = self.index.declare(declared);
        self.asked |= self.asked(&reference).is_some_and(|now| asked.as_ref() != Some(&now));
        self.judge_malformed(&reference);
        self.refresh(&reference);
        touched
    }

    /// The request to reconcile an object now, until status says that it was answered.
    fn asked(&self, reference: &ObjectRef) -> Option<String> {
        let entry = self.index.entries.get(reference)?;
        let request = entry.triggers.reconcile.as_ref()?;
        let seen = entry.seen.value();
        (seen.get(RECONCILED).and_then(Value::as_str) != Some(request)).then(|| request.clone())
    }

    fn delete(&mut self, reference: &ObjectRef) -> BTreeSet<String> {
        let (entry, touched) = self.index.delete(reference);
        let held = entry.and_then(|entry| entry.tenant).and_then(|tenant| self.ledger.tenants.get(&tenant));
        if !self.started || held.is_some_and(|held| held.has(reference)) {
            self.deleted.insert(reference.clone());
        }
        self.waiting.remove(reference);
        self.waiting_secrets.remove(reference);
        self.left.remove(reference);
        for task in [Task::Status, Task::Secret, Task::Finalizer] {
            self.tasks.cancel(&task(reference.clone()));
        }
        touched
    }
}
