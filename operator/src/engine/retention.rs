//! What retention did, in the status of each RetentionPolicy: read every ten seconds while there is one.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use authly_model::{
    ids::{Kind, ObjectName, ObjectRef, TenantId},
    retention::{DataClass, RetentionMode},
};
use authly_store::RetentionRun;
use serde_json::{Map, Value, json};

use super::{Engine, EngineError, apply::NotApplied, cluster::Cluster};

/// How often runs are read.
pub(super) const READ: Duration = Duration::from_secs(10);
/// The field of status.
pub(super) const FIELD: &str = "runs";

impl<C: Cluster> Engine<C> {
    /// Reads what retention did, if it is time.
    pub(super) async fn read_runs(&mut self, now: Instant) -> Result<(), EngineError> {
        if !self.started || self.runs_read.is_some_and(|read| now < read + READ) {
            return Ok(());
        }
        self.runs_read = Some(now);
        let is_retention = |reference: &&ObjectRef| reference.kind == Kind::RetentionPolicy;
        let policies: Vec<ObjectRef> = self.index.entries.keys().filter(is_retention).cloned().collect();
        let tenants: BTreeSet<TenantId> = policies.iter().filter_map(|policy| self.tenant_of(policy)).collect();
        if tenants.is_empty() {
            return Ok(());
        }
        let tenants: Vec<TenantId> = tenants.into_iter().collect();
        let mut runs: HashMap<(TenantId, ObjectName), Vec<RetentionRun>> = HashMap::new();
        match self.leader.retention_runs(&tenants).await {
            Ok(found) => {
                for run in found {
                    runs.entry((run.tenant, run.object.clone())).or_default().push(run);
                }
            }
            Err(error) => {
                return if let NotApplied::Stop(error) = error.into() { Err(error) } else { Ok(()) };
            }
        }
        for policy in policies {
            let tenant = self.tenant_of(&policy);
            let of_policy = tenant.and_then(|tenant| runs.remove(&(tenant, policy.object.clone())));
            self.note_runs(&policy, &of_policy.unwrap_or_default());
        }
        Ok(())
    }

    fn tenant_of(&self, policy: &ObjectRef) -> Option<TenantId> {
        let tenant = self.index.entries.get(policy)?.tenant.as_ref()?;
        Some(self.ledger.tenants.get(tenant)?.id)
    }

    fn note_runs(&mut self, policy: &ObjectRef, runs: &[RetentionRun]) {
        let Some(entry) = self.index.entries.get_mut(policy) else { return };
        let value = shown(runs, &entry.seen.value());
        if entry.runs.as_ref() == Some(&value) {
            return;
        }
        if let Some(facts) = &mut entry.facts {
            put(&mut facts.fields, value.clone());
        }
        entry.runs = Some(value);
        self.refresh(policy);
    }
}

/// Puts runs into the fields of a status; none shows as no field.
pub(super) fn put(fields: &mut Map<String, Value>, runs: Value) {
    match &runs {
        Value::Array(all) if !all.is_empty() => fields.insert(FIELD.to_owned(), runs),
        _ => fields.remove(FIELD),
    };
}

/// The runs as a status shows them. As everywhere, times alone are no news: what was shown stays.
fn shown(runs: &[RetentionRun], seen: &Value) -> Value {
    let before: &[Value] = seen.get(FIELD).and_then(Value::as_array).map_or(&[], Vec::as_slice);
    let show = |run: &RetentionRun| {
        let new = json_of(run);
        before.iter().find(|old| timeless(old) == timeless(&new)).cloned().unwrap_or(new)
    };
    Value::Array(runs.iter().map(show).collect())
}

fn json_of(run: &RetentionRun) -> Value {
    let RetentionRun { class, mode, started_at, finished_at, matched, done, .. } = run;
    let (class, mode): (DataClass, RetentionMode) = (*class, *mode);
    let mut value = json!({
        "data": class.as_str(), "mode": mode.as_str(), "matched": matched, "done": done,
        "startedAt": format!("{started_at:.0}"),
    });
    if let (Some(at), Some(value)) = (finished_at, value.as_object_mut()) {
        value.insert("finishedAt".to_owned(), json!(format!("{at:.0}")));
    }
    value
}

/// Without times, but with whether it has ended.
fn timeless(run: &Value) -> [Option<&Value>; 5] {
    let ended = run.get("finishedAt").map(|_| &Value::Null);
    [run.get("data"), run.get("mode"), run.get("matched"), run.get("done"), ended]
}

#[cfg(test)]
mod tests {
    use super::{put, shown};
    use authly_model::{
        ids::{ObjectName, TenantId},
        retention::{DataClass, RetentionMode},
    };
    use authly_store::RetentionRun;
    use jiff::Timestamp;
    use serde_json::{Map, Value, json};
    use uuid::Uuid;

    fn run(second: i64, done: i64, ended: bool) -> RetentionRun {
        let at = Timestamp::from_second(second).unwrap();
        RetentionRun {
            tenant: TenantId(Uuid::nil()),
            object: ObjectName::new("shop", "standard"),
            class: DataClass::Tokens,
            mode: RetentionMode::Enforce,
            started_at: at,
            finished_at: ended.then_some(at),
            matched: 7,
            done,
        }
    }

    #[test]
    fn times_alone_are_no_news() {
        let first = shown(&[run(10, 7, true)], &Value::Null);
        assert_eq!(
            first,
            json!([{"data": "Tokens", "mode": "Enforce", "matched": 7, "done": 7,
                "startedAt": "1970-01-01T00:00:10Z", "finishedAt": "1970-01-01T00:00:10Z"}])
        );
        let seen = json!({"runs": first});
        assert_eq!(shown(&[run(20, 7, true)], &seen), first);
        assert_ne!(shown(&[run(20, 6, true)], &seen), first);
        let running = shown(&[run(20, 7, false)], &seen);
        assert!(running != first && running[0].get("finishedAt").is_none());
    }

    #[test]
    fn no_run_is_no_field() {
        let mut fields = Map::from_iter([("runs".to_owned(), json!([1]))]);
        put(&mut fields, json!([]));
        assert!(fields.is_empty());
    }
}
