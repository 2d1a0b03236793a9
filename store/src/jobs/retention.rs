//! Retention (operator.md, rule 13): it fails safe. The longest enforced period of a class wins, a legal hold stops
//! everything, a policy that cannot be read stops its tenant, and a dry run only counts.
//!
//! A class that no policy of the tenant names has a built-in rule: `Tokens` after 30 days; `Audit` is kept.

use authly_model::{
    duration::Seconds,
    ids::{ObjectName, TenantId},
    retention::{DataClass, Retention, RetentionMode, Rule},
    tenant::Tenant,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Jobs,
    lease::{Lease, Stopped},
};
use crate::{Result, Store, StoreError, time::PgTime};

mod rows;

/// Use counts live until expiry plus this, whatever a policy says (signed-url.md, "Exact use counts").
const FLOOR: Seconds = Seconds(3600);
const BUILT_IN: Seconds = Seconds(30 * 86_400);

/// Where a run stands: `started` fixes its cutoffs and names its rows in `retention_run`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Cursor {
    started: Timestamp,
    tenant: Option<Uuid>,
}

/// One rule of one policy, to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Task {
    object: ObjectName,
    mode: RetentionMode,
    class: DataClass,
    after: Seconds,
}

pub(super) async fn run(jobs: &Jobs, lease: &mut Lease) -> Result<(), Stopped> {
    let store = &jobs.store;
    let resumed = lease.cursor().and_then(|c| serde_json::from_value::<Cursor>(c.clone()).ok());
    let mut cursor =
        resumed.unwrap_or_else(|| Cursor { started: crate::time::to_micros(jobs.clock.now()), tenant: None });
    let tenants = sqlx::query!(
        r#"-- roles: server, gateway, operator, jobs
        SELECT id, spec FROM tenant WHERE $1::uuid IS NULL OR id >= $1 ORDER BY id"#,
        cursor.tenant
    )
    .fetch_all(&store.pool()?)
    .await?;
    for row in tenants {
        cursor.tenant = Some(row.id);
        lease.set_cursor(serde_json::to_value(cursor).map_err(|e| StoreError::Damaged(e.to_string()))?);
        lease.renew(store).await?;
        // A tenant that cannot be read may be under legal hold.
        match serde_json::from_value::<Tenant>(row.spec) {
            Ok(tenant) if tenant.legal_hold => {}
            Ok(_) => of_tenant(jobs, lease, TenantId(row.id), cursor.started).await?,
            Err(error) => tracing::warn!(tenant = %row.id, %error, "retention leaves out a tenant that it cannot read"),
        }
    }
    Ok(())
}

async fn of_tenant(jobs: &Jobs, lease: &Lease, tenant: TenantId, started: Timestamp) -> Result<(), Stopped> {
    let store = &jobs.store;
    let Some(policies) = policies(store, tenant).await? else { return Ok(()) };
    for task in tasks(&policies) {
        let run = rows::Run { tenant, task: &task, started, cutoff: cutoff(&task, started)? };
        let matched = run.due(store).await?;
        // The built-in rule leaves no trace where it has nothing to do.
        if matched == 0 && task.object.namespace.is_empty() {
            continue;
        }
        if run.begin(store, lease, matched).await? {
            jobs.watch.retention_matched(task.class, task.mode, rows(matched));
        }
        let mut more = task.mode == RetentionMode::Enforce;
        while more {
            let (done, again) = run.batch(store, lease).await?;
            jobs.watch.retention_done(task.class, rows(done));
            more = again;
        }
        run.finish(store, lease).await?;
    }
    Ok(())
}

fn rows(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// `None` if one of them cannot be read: it may be the one with the longest period.
async fn policies(store: &Store, tenant: TenantId) -> Result<Option<Vec<Retention>>, Stopped> {
    let mut tx = store.begin_tenant(tenant).await?;
    let specs = sqlx::query_scalar!(
        "-- roles: operator, jobs\nSELECT spec FROM retention_policy WHERE tenant_id = $1 ORDER BY namespace, name",
        tenant.0
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    let policies: Result<Vec<Retention>, _> = specs.into_iter().map(serde_json::from_value).collect();
    Ok(policies.inspect_err(|error| tracing::warn!(%tenant, %error, "retention leaves out a tenant")).ok())
}

/// Every dry run by itself; of the enforced rules of a class the longest.
fn tasks(policies: &[Retention]) -> Vec<Task> {
    let rules = policies.iter().flat_map(|p| p.rules.iter().map(move |rule| (p, rule)));
    let task = |policy: &Retention, rule: &Rule| Task {
        object: policy.object.clone(),
        mode: policy.mode,
        class: rule.class,
        after: rule.after,
    };
    let all: Vec<Task> = rules.map(|(policy, rule)| task(policy, rule)).collect();
    let mut tasks: Vec<Task> = all.iter().filter(|t| t.mode == RetentionMode::DryRun).cloned().collect();
    for class in [DataClass::Tokens, DataClass::Audit] {
        let enforced = all.iter().filter(|t| t.mode == RetentionMode::Enforce && t.class == class);
        tasks.extend(enforced.max_by_key(|t| t.after).cloned());
    }
    if !all.iter().any(|t| t.class == DataClass::Tokens) {
        let object = ObjectName::new("", "built-in");
        tasks.push(Task { object, mode: RetentionMode::Enforce, class: DataClass::Tokens, after: BUILT_IN });
    }
    tasks
}

/// Rows whose own end is before are due.
fn cutoff(task: &Task, started: Timestamp) -> Result<PgTime> {
    let after = match task.class {
        DataClass::Tokens => task.after.max(FLOOR),
        DataClass::Audit => task.after,
    };
    let cutoff = started.checked_sub(SignedDuration::from_secs(after.0));
    cutoff.map(PgTime).map_err(|e| StoreError::Refused(format!("the period {after} reaches too far back: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use authly_model::retention::Action;

    fn policy(name: &str, mode: RetentionMode, class: DataClass, days: i64) -> Retention {
        let rule = Rule { class, after: Seconds(days * 86_400), action: class.action() };
        Retention { object: ObjectName::new("shop", name), mode, rules: vec![rule] }
    }

    #[test]
    fn the_longest_enforced_period_wins_and_dry_runs_run_apart() {
        let (enforce, dry) = (RetentionMode::Enforce, RetentionMode::DryRun);
        let tasks = tasks(&[
            policy("short", enforce, DataClass::Tokens, 1),
            policy("long", enforce, DataClass::Tokens, 9),
            policy("dry", dry, DataClass::Tokens, 30),
        ]);
        let names: Vec<_> = tasks.iter().map(|t| t.object.name.as_str()).collect();
        assert_eq!(names, ["dry", "long"]);
        assert_eq!(DataClass::Audit.action(), Action::Anonymize);
    }

    #[test]
    fn a_dry_run_suspends_the_built_in_rule() {
        assert_eq!(tasks(&[])[0].object.name, "built-in");
        let tasks = tasks(&[policy("dry", RetentionMode::DryRun, DataClass::Tokens, 30)]);
        assert_eq!(tasks.len(), 1);
        assert_eq!(tasks[0].mode, RetentionMode::DryRun);
    }

    #[test]
    fn use_counts_have_a_floor() {
        let started = Timestamp::from_second(1_795_436_400).unwrap();
        let task =
            |class| Task { object: ObjectName::new("", ""), mode: RetentionMode::Enforce, class, after: Seconds(0) };
        assert_eq!(cutoff(&task(DataClass::Tokens), started).unwrap().0.as_second(), 1_795_436_400 - 3600);
        assert_eq!(cutoff(&task(DataClass::Audit), started).unwrap().0.as_second(), 1_795_436_400);
    }
}
