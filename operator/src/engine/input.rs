//! What the engine is told: objects as they were last seen, from a watch or from a folder.

use std::collections::BTreeMap;

use authly_desired::Object;
use authly_model::ids::ObjectRef;
use serde_json::Value;

use super::cluster::Target;

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
