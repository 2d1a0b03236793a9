//! Conditions and status, as pure functions (operator.md, rule 6).
//!
//! Ready is True only if every other condition is; Stalled only when this object's own spec must change, everything
//! else is Reconciling. Both are there only while true.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{programmed::Failing, rotation};

/// What is known of an object.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) generation: i64,
    pub(super) accepted: Result<(), Failing>,
    pub(super) resolved: Result<(), Failing>,
    /// Whether the last reconcile of the tenant reached the store.
    pub(super) stored: Result<(), Failing>,
    pub(super) programmed: Result<(), Failing>,
    /// The Secret of a client; Ok for everything else. [`UNRESOLVED`] reasons show as ResolvedRefs too.
    pub(super) credentials: Result<(), Failing>,
    /// What of a rotation is under way, of a Tenant's signing keys or of a client's secret.
    pub(super) rotation: Option<Failing>,
    /// True when only a change of this object's spec can help.
    pub(super) stalled: bool,
    /// The revision that carries the object.
    pub(super) revision: Option<String>,
    /// The kind's own fields.
    pub(super) fields: Map<String, Value>,
}

/// Reasons of credentials that a grant or another Secret must change.
pub(super) const UNRESOLVED: [&str; 5] =
    ["SecretAccessDenied", "SecretNotOwned", "SecretNotFound", "SecretKeyMissing", "SecretInvalid"];

/// The condition of what is paused; it is there only while true.
const PAUSED: &str = "Paused";

/// The whole status; transition times are kept from `seen` where a condition's status did not change.
pub(super) fn status(facts: &Facts, seen: &Value, now: Timestamp) -> Value {
    let mut status = facts.fields.clone();
    status.insert("observedGeneration".to_owned(), json!(facts.generation));
    if let Some(revision) = &facts.revision {
        status.insert("revision".to_owned(), json!(revision));
    }
    let conditions: Vec<Value> =
        conditions(facts).into_iter().map(|c| condition(c, facts.generation, seen, now)).collect();
    status.insert("conditions".to_owned(), Value::Array(conditions));
    Value::Object(status)
}

/// The status as it was seen, which stays while the object is paused, and why it is paused.
pub(super) fn paused(seen: &Value, why: &str, generation: i64, now: Timestamp) -> Value {
    let mut status = seen.as_object().cloned().unwrap_or_default();
    let mut conditions = seen.get("conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    conditions.retain(|c| c["type"] != PAUSED);
    let paused = Condition { kind: PAUSED, holds: true, reason: PAUSED.to_owned(), message: why.to_owned() };
    conditions.push(condition(paused, generation, seen, now));
    status.insert("conditions".to_owned(), Value::Array(conditions));
    Value::Object(status)
}

/// Whether two statuses say the same, whatever their times.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    timeless(a) == timeless(b)
}

/// A merge patch from `seen` to `status`: fields that are no longer there become null.
pub(super) fn merge_patch(status: &Value, seen: &Value) -> Value {
    let mut patch = status.as_object().cloned().unwrap_or_default();
    for key in seen.as_object().into_iter().flat_map(Map::keys) {
        if !patch.contains_key(key) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    Value::Object(patch)
}

/// The status of one condition of a status, if it is there and of this generation.
pub(super) fn is_true(seen: &Value, kind: &str, generation: i64) -> bool {
    find(seen, kind).is_some_and(|c| c["status"] == "True" && c["observedGeneration"] == generation)
}

/// The message of a condition, if it is there.
pub(super) fn message<'a>(status: &'a Value, kind: &str) -> Option<&'a str> {
    find(status, kind)?.get("message")?.as_str()
}

/// The reason and message of Ready, for Events.
pub(super) fn ready(status: &Value) -> Option<(bool, &str, &str)> {
    let ready = find(status, "Ready")?;
    Some((ready["status"] == "True", ready["reason"].as_str()?, ready["message"].as_str()?))
}

struct Condition {
    kind: &'static str,
    holds: bool,
    reason: String,
    message: String,
}

fn conditions(facts: &Facts) -> Vec<Condition> {
    let held = |kind, result: &Result<(), Failing>, reason: &str, message: &str| match result {
        Ok(()) => Condition { kind, holds: true, reason: reason.to_owned(), message: message.to_owned() },
        Err(failing) => {
            Condition { kind, holds: false, reason: failing.reason.clone(), message: failing.message.clone() }
        }
    };
    let programmed = if facts.accepted.is_err() || facts.resolved.is_err() {
        Err(Failing::new("NotAccepted", "this generation is not in effect; the last good one, if any, keeps serving"))
    } else {
        facts.stored.clone().and_then(|()| facts.programmed.clone())
    };
    let unresolved = |failing: &Failing| UNRESOLVED.contains(&failing.reason.as_str());
    let resolved = match (&facts.resolved, &facts.credentials) {
        (Ok(()), Err(failing)) if unresolved(failing) => &facts.credentials,
        (resolved, _) => resolved,
    };
    let mut all = vec![
        held("Accepted", &facts.accepted, "Accepted", "the object is valid and its tenant admits it"),
        held("ResolvedRefs", resolved, "ResolvedRefs", "everything that it refers to is there"),
        held("Programmed", &programmed, "Programmed", "every running replica serves this revision"),
    ];
    let first = [&facts.accepted, &facts.resolved, &programmed, &facts.credentials].into_iter().find(|r| r.is_err());
    let ready = first.unwrap_or(&Ok(()));
    all.push(held("Ready", ready, "Programmed", "in service"));
    if let Err(failing) = ready {
        let kind = if facts.stalled { "Stalled" } else { "Reconciling" };
        all.push(Condition { kind, holds: true, reason: failing.reason.clone(), message: failing.message.clone() });
    }
    if let Some(Failing { reason, message }) = facts.rotation.clone() {
        all.push(Condition { kind: rotation::CONDITION, holds: true, reason, message });
    }
    all
}

fn condition(condition: Condition, generation: i64, seen: &Value, now: Timestamp) -> Value {
    let status = if condition.holds { "True" } else { "False" };
    let before = find(seen, condition.kind).filter(|c| c["status"] == status).map(|c| c["lastTransitionTime"].clone());
    // Whole seconds, as Kubernetes writes times.
    let since = before.unwrap_or_else(|| json!(format!("{:.0}", now)));
    json!({
        "type": condition.kind, "status": status, "observedGeneration": generation, "lastTransitionTime": since,
        "reason": condition.reason, "message": shortened(condition.message),
    })
}

fn shortened(mut message: String) -> String {
    const LIMIT: usize = 4000;
    if message.len() > LIMIT {
        message.truncate(message.floor_char_boundary(LIMIT));
        message.push('…');
    }
    message
}

fn find<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status.get("conditions")?.as_array()?.iter().find(|c| c["type"] == kind)
}

fn timeless(status: &Value) -> Value {
    let mut status = status.clone();
    for condition in status.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(condition) = condition.as_object_mut() {
            condition.remove("lastTransitionTime");
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::{Facts, merge_patch, paused, same, status};
    use crate::engine::programmed::Failing;
    use jiff::Timestamp;
    use serde_json::{Map, Value, json};

    fn facts() -> Facts {
        Facts {
            generation: 2,
            accepted: Ok(()),
            resolved: Ok(()),
            stored: Ok(()),
            programmed: Ok(()),
            credentials: Ok(()),
            rotation: None,
            stalled: false,
            revision: Some("3.7".to_owned()),
            fields: Map::new(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn summary(facts: &Facts) -> String {
        let status = status(facts, &Value::Null, at(0));
        let text = |c: &Value| format!("{}={}/{}", c["type"], c["status"], c["reason"]).replace('"', "");
        status["conditions"].as_array().unwrap().iter().map(text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ready_is_true_only_if_all_of_it_is() {
        assert_eq!(
            summary(&facts()),
            "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs Programmed=True/Programmed Ready=True/Programmed"
        );
        let waiting = Facts { programmed: Err(Failing::new("Pending", "m")), ..facts() };
        assert_eq!(
            summary(&waiting),
            "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs Programmed=False/Pending Ready=False/Pending Reconciling=True/Pending"
        );
        let away = Facts { stored: Err(Failing::new("StoreUnavailable", "m")), ..facts() };
        assert!(summary(&away).ends_with(
            "Programmed=False/StoreUnavailable Ready=False/StoreUnavailable Reconciling=True/StoreUnavailable"
        ));
        let secret = Facts { credentials: Err(Failing::new("SecretPending", "m")), ..facts() };
        assert!(
            summary(&secret)
                .ends_with("Programmed=True/Programmed Ready=False/SecretPending Reconciling=True/SecretPending")
        );
        let denied = Facts { credentials: Err(Failing::new("SecretAccessDenied", "m")), ..facts() };
        assert_eq!(
            summary(&denied),
            "Accepted=True/Accepted ResolvedRefs=False/SecretAccessDenied Programmed=True/Programmed Ready=False/SecretAccessDenied Reconciling=True/SecretAccessDenied"
        );
        let rotating = Facts { rotation: Some(Failing::new("Rotating", "m")), ..facts() };
        assert!(summary(&rotating).ends_with("Ready=True/Programmed RotationInProgress=True/Rotating"));
    }

    #[test]
    fn stalled_says_that_the_spec_must_change_and_nothing_old_looks_ready() {
        let invalid = Facts { accepted: Err(Failing::new("InvalidPolicy", "line 1")), stalled: true, ..facts() };
        assert_eq!(
            summary(&invalid),
            "Accepted=False/InvalidPolicy ResolvedRefs=True/ResolvedRefs Programmed=False/NotAccepted Ready=False/InvalidPolicy Stalled=True/InvalidPolicy"
        );
        let missing = Facts { resolved: Err(Failing::new("TenantNotFound", "m")), ..facts() };
        assert!(summary(&missing).ends_with("Ready=False/TenantNotFound Reconciling=True/TenantNotFound"));
    }

    #[test]
    fn times_move_only_with_the_status_and_never_count_as_a_change() {
        let first = status(&facts(), &Value::Null, at(10));
        let later = status(&facts(), &first, at(20));
        assert_eq!(first, later);
        let pending = Facts { programmed: Err(Failing::new("Pending", "m")), ..facts() };
        let changed = status(&pending, &first, at(30));
        let time = |status: &Value, i: usize| status["conditions"][i]["lastTransitionTime"].clone();
        assert_eq!(time(&changed, 0), "1970-01-01T00:00:10Z");
        assert_eq!(time(&changed, 2), "1970-01-01T00:00:30Z");
        assert!(same(&first, &status(&facts(), &Value::Null, at(99))));
        assert!(!same(&first, &changed));
    }

    #[test]
    fn what_is_paused_keeps_what_was_said() {
        let first = status(&facts(), &Value::Null, at(10));
        let waits = paused(&first, "by hand", 3, at(20));
        assert_eq!(waits["observedGeneration"], 2);
        assert_eq!(waits["conditions"].as_array().unwrap().len(), 5);
        assert!(same(&waits, &paused(&waits, "by hand", 3, at(30))));
        assert!(same(&first, &status(&facts(), &waits, at(40))), "and goes on as if it had never been");
        assert_eq!(paused(&Value::Null, "by hand", 1, at(20))["conditions"][0]["reason"], "Paused");
    }

    #[test]
    fn fields_that_went_away_are_removed() {
        let seen = json!({"observedGeneration": -1, "clientId": "a", "conditions": []});
        let patch = merge_patch(&json!({"observedGeneration": 1}), &seen);
        assert_eq!(patch, json!({"observedGeneration": 1, "clientId": null, "conditions": null}));
    }
}
