//! A status as it was last seen, kept as text: as a tree of values it would take four times the memory, and ten thousand
//! objects have one each.

use serde_json::Value;

/// A status.
#[derive(Debug)]
pub(super) struct Kept(Box<str>);

impl Kept {
    pub(super) fn new(status: &Value) -> Self {
        Self(status.to_string().into())
    }

    /// As a value; null if there is none.
    pub(super) fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}
