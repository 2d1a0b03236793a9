//! A record on its way to the database.

use std::sync::Arc;

use authly_model::{audit::EventKind, ids::TenantId};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use crate::{Granted, Result, TenantScope, UrlRevocation, UseRequest};

/// An event, what it changes, and who waits for it.
pub(super) struct Record {
    pub(super) tenant: TenantId,
    pub(super) audit_public: Arc<[u8]>,
    pub(super) kind: EventKind,
    pub(super) payload: Map<String, Value>,
    pub(super) effect: Effect,
    pub(super) reply: Reply,
}

/// What a record changes, in its own transaction.
pub(super) enum Effect {
    None,
    Use(UseRequest),
    RevokeToken { jti: String, expires_at: Timestamp },
    RevokeUrls(UrlRevocation),
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Recorded,
    Granted(Granted),
}

/// Who waits.
pub(super) enum Reply {
    Waited(oneshot::Sender<Result<Outcome>>),
    Spooled,
    /// A `SpoolLost` record that stands for so many.
    Lost(u64),
}

impl Record {
    pub(super) fn new(scope: &TenantScope, kind: EventKind, payload: Value, effect: Effect, reply: Reply) -> Self {
        let mut payload = match payload {
            Value::Object(members) => members,
            Value::Null => Map::new(),
            other => Map::from_iter([("value".to_owned(), other)]),
        };
        payload.insert("actor".to_owned(), Value::String(scope.actor().to_string()));
        let (tenant, audit_public) = (scope.tenant(), Arc::clone(scope.audit_public()));
        Self { tenant, audit_public, kind, payload, effect, reply }
    }

    /// What is encrypted.
    pub(super) fn plain(&self, outcome: &Outcome) -> Vec<u8> {
        match outcome {
            Outcome::Recorded => to_bytes(&self.payload),
            Outcome::Granted(Granted { granted, used }) => {
                to_bytes(&Spent { payload: &self.payload, granted: *granted, used: *used })
            }
        }
    }

    /// Tells who waits; a spooled record that was not written comes back.
    pub(super) fn answer(self, outcome: Result<Outcome>) -> Option<Self> {
        let failed = outcome.is_err();
        match self.reply {
            Reply::Waited(answer) => {
                // Who has stopped waiting needs no answer.
                let _ = answer.send(outcome);
                None
            }
            Reply::Spooled | Reply::Lost(_) => failed.then_some(self),
        }
    }
}

/// The payload of a use, with what was granted.
#[derive(Serialize)]
struct Spent<'r> {
    #[serde(flatten)]
    payload: &'r Map<String, Value>,
    granted: u32,
    used: u32,
}

/// Members of JSON values always serialise.
fn to_bytes(members: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(members).unwrap_or_default()
}
