//! What status says of a client's secret: which value serves and since when, which request was handled, and what is under
//! way. It is also the memory of a process that starts anew: a value that status does not know serves from now on, so
//! that no overlap is ever too short.

use std::time::{Duration, Instant};

use authly_model::ids::{Kind, ObjectRef};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    Engine,
    cluster::Cluster,
    condition,
    credentials::{Since, Visited},
    programmed::Failing,
    tasks::Task,
};

/// The fields of status.
pub(super) const FIELDS: [&str; 3] = ["secretFingerprint", "secretRotatedAt", "rotateRequestedAt"];
/// The condition that is there only while true.
pub(super) const CONDITION: &str = "RotationInProgress";
/// The longest wait for a time: a clock that was set is noticed by then.
const LOOK: Duration = Duration::from_secs(3600);

/// What is said of a client's secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) since: Option<Since>,
    pub(super) handled: Option<String>,
    pub(super) rotating: Option<String>,
}

impl Shown {
    /// What a visit found.
    pub(super) fn of(visited: &Visited) -> Self {
        let Visited { since, handled, rotating, .. } = visited;
        Self { since: since.clone(), handled: handled.clone(), rotating: rotating.clone() }
    }

    /// What a status says.
    pub(super) fn seen(status: &Value) -> Self {
        let text = |field| status.get(field).and_then(Value::as_str);
        let [fingerprint, at, handled] = FIELDS.map(text);
        let since = fingerprint.zip(at.and_then(|at| at.parse::<Timestamp>().ok()));
        Self {
            since: since.map(|(fingerprint, at)| Since { fingerprint: fingerprint.to_owned(), at }),
            handled: handled.map(ToOwned::to_owned),
            rotating: condition::message(status, CONDITION).map(ToOwned::to_owned),
        }
    }

    /// What is said of a rotation that is under way.
    pub(super) fn rotation(&self) -> Option<Failing> {
        self.rotating.as_ref().map(|message| Failing::new("Rotating", message.clone()))
    }

    /// Puts it into the fields of a status.
    pub(super) fn put(&self, fields: &mut Map<String, Value>) {
        let fingerprint = self.since.as_ref().map(|since| json!(since.fingerprint));
        let at = self.since.as_ref().map(|since| json!(format!("{:.0}", since.at)));
        let handled = self.handled.as_ref().map(|handled| json!(handled));
        for (field, value) in FIELDS.into_iter().zip([fingerprint, at, handled]) {
            match value {
                Some(value) => drop(fields.insert(field.to_owned(), value)),
                None => drop(fields.remove(field)),
            }
        }
    }
}

impl<C: Cluster> Engine<C> {
    /// Notes what a visit of a client's Secret found beside its result: what to show, and when to look again.
    pub(super) fn note_visited(&mut self, client: &ObjectRef, visited: &Visited) {
        let Some(entry) = self.index.entries.get_mut(client) else { return };
        let now = self.clock.now();
        let wait = visited.due.map(|due| Duration::try_from(due.duration_since(now)).unwrap_or_default().min(LOOK));
        self.tasks.at(Task::Secret(client.clone()), wait.map(|wait| Instant::now() + wait));
        let shown = Shown::of(visited);
        if let Some(facts) = &mut entry.facts {
            shown.put(&mut facts.fields);
            facts.rotation = shown.rotation();
        }
        entry.credentials.shown = Some(shown);
        entry.credentials.swept |= visited.swept;
        self.refresh(client);
    }
}

/// What is to be said of the secret of an object, which is none for what is no client.
pub(super) fn shown(kind: Kind, shown: Option<&Shown>, seen: &Value) -> Shown {
    if kind != Kind::OAuthClient {
        return Shown::default();
    }
    shown.cloned().unwrap_or_else(|| Shown::seen(seen))
}

#[cfg(test)]
mod tests {
    use super::Shown;
    use crate::engine::credentials::Since;
    use serde_json::{Map, Value, json};

    #[test]
    fn what_was_said_is_read_again() {
        let shown = Shown {
            since: Some(Since { fingerprint: "0a1b2c3d".to_owned(), at: "2026-01-01T00:00:05Z".parse().unwrap() }),
            handled: Some("now".to_owned()),
            rotating: None,
        };
        let mut fields = Map::new();
        shown.put(&mut fields);
        assert_eq!(fields["secretRotatedAt"], "2026-01-01T00:00:05Z");
        assert_eq!(Shown::seen(&Value::Object(fields.clone())), shown);
        Shown::default().put(&mut fields);
        assert_eq!(fields, Map::new(), "what does not hold any more goes");
        let status = json!({"conditions": [{"type": "RotationInProgress", "message": "until noon"}]});
        assert_eq!(Shown::seen(&status).rotating.as_deref(), Some("until noon"));
    }
}
