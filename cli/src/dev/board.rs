//! The state, shared by the folder's watcher, the engine's cluster, the socket and the announcer; and its copy on disk,
//! so that a second start knows what was admitted, when, and what an update may not change.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use authly_desired::{Object, manifest};
use authly_model::ids::ObjectRef;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    folder::{DataFolder, FolderError},
    json,
    manifests::Reading,
    state::{Admitted, Outcome, State},
};
use crate::tables::Row;

const FILE: &str = "objects.json";

/// The shared state.
#[derive(Debug)]
pub(crate) struct Board {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

/// One object in `objects.json`.
#[derive(Serialize, Deserialize)]
struct Stored {
    generation: i64,
    created: Timestamp,
    object: Value,
}

/// `objects.json`.
#[derive(Default, Serialize, Deserialize)]
struct StoredState {
    namespaces: BTreeMap<String, BTreeMap<String, String>>,
    objects: Vec<Stored>,
}

impl Board {
    /// What the data folder knows.
    pub(crate) fn load(data: &DataFolder) -> Result<Self, FolderError> {
        let stored: StoredState = match data.read(FILE)? {
            Some(text) => serde_json::from_str(&text).map_err(|bad| data.damaged(FILE, bad))?,
            None => StoredState::default(),
        };
        let objects = stored.objects.into_iter().filter_map(restored).collect();
        let state = State { objects, namespaces: stored.namespaces };
        Ok(Self { state: Mutex::new(state), changed: watch::Sender::new(()) })
    }

    /// Keeps what is declared now; not the statuses, which the engine finds again.
    pub(crate) fn save(&self, data: &DataFolder) -> anyhow::Result<()> {
        let text = {
            let state = self.state();
            let objects = state.objects.values().filter_map(|admitted| {
                let created = json::created(&admitted.object)?;
                Some(Stored { generation: admitted.generation, created, object: json::of(&admitted.object) })
            });
            let stored = StoredState { namespaces: state.namespaces.clone(), objects: objects.collect() };
            serde_json::to_string_pretty(&stored)?
        };
        Ok(data.write_private(FILE, &text)?)
    }

    /// The state now. Never hold it over an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over a reading.
    pub(crate) fn admit(&self, reading: Reading, now: Timestamp) -> Outcome {
        let outcome = self.state().admit(reading, now);
        self.changed.send_replace(());
        outcome
    }

    /// Sets the status of an object; false if there is none.
    pub(crate) fn put_status(&self, object: &ObjectRef, status: &Value) -> bool {
        let found = match self.state().objects.get_mut(object) {
            Some(admitted) => {
                admitted.status = status.clone();
                true
            }
            None => false,
        };
        self.changed.send_replace(());
        found
    }

    /// Tells others that something beside the state changed, such as a Secret.
    pub(crate) fn touch(&self) {
        self.changed.send_replace(());
    }

    /// Wakes up at each change.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Every object with its status, for the tables.
    pub(crate) fn rows(&self) -> Vec<Row> {
        self.state()
            .objects
            .iter()
            .map(|(reference, admitted)| Row { kind: reference.kind.to_string(), object: shown(admitted) })
            .collect()
    }
}

/// The object as `kubectl get -o json` would show it.
fn shown(admitted: &Admitted) -> Value {
    let mut object = json::of(&admitted.object);
    object["metadata"]["generation"] = json!(admitted.generation);
    object["status"] =
        if admitted.status.is_null() { json!({"observedGeneration": -1}) } else { admitted.status.clone() };
    object
}

/// An object that this version refuses is left out: the store keeps what it has of it until the folder declares it again.
fn restored(stored: Stored) -> Option<(ObjectRef, Admitted)> {
    let manifest = manifest::parse(&stored.object.to_string(), FILE).into_iter().next()?.ok()?;
    let object: Object = json::with_creation(&manifest.object, stored.created);
    let admitted = Admitted { object, generation: stored.generation, status: Value::Null, manifest: None };
    Some((admitted.object.reference()?, admitted))
}
