//! Jobs with leases: retention counted before and after, restarts in the middle, pruning, partitions.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/support.rs"]
mod support;

use std::time::Duration;

use authly_model::{
    audit::EventKind,
    clock::{FixedClock, SystemClock},
    diff::{Change, spec_hash},
    duration::Seconds,
    ids::{ObjectName, TenantId},
    retention::{DataClass, Retention, RetentionMode, Rule},
};
use authly_store::{
    Leader, ReplicaRole, Role, StoreError,
    verify::{Trusted, verify},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use support::{Database, audit::verified, batch, jobs_of, new_tenant, put_tenant, tenant};

/// Retention, seals, late seals, pruning, partitions.
const JOBS: usize = 5;
const TABLES: &str = "(select count(*) from token_revocation where tenant_id = '{}') + (select count(*) from url_revocation where tenant_id = '{}')
    + (select count(*) from url_use where tenant_id = '{}') + (select count(*) from ephemeral where tenant_id = '{}')";

fn retention(name: &str, mode: RetentionMode, class: DataClass, days: i64) -> Change {
    let rule = Rule { class, after: Seconds(days * 86_400), action: class.action() };
    let retention = Retention { object: ObjectName::new("shop", name), mode, rules: vec![rule] };
    let hash = spec_hash(&retention).unwrap();
    Change::PutRetention(retention, hash)
}

/// `n` rows of each table of the class Tokens, expired so many days ago.
async fn expired(db: &Database, id: TenantId, n: i64, days: i64) {
    let tenant = id.0;
    let at = format!("now() - interval '{days} days'");
    for insert in [
        format!("insert into token_revocation select '{tenant}', 't{days}-' || i, {at} from generate_series(1, {n}) i"),
        format!(
            "insert into url_revocation select '{tenant}', 'key', 'k{days}-' || i, 0, {at} from generate_series(1, {n}) i"
        ),
        format!(
            "insert into url_use select '{tenant}', substr(sha256(('{days}-' || i)::bytea), 1, 24), 1, 5, 1, {at} from generate_series(1, {n}) i"
        ),
        format!(
            "insert into ephemeral select '{tenant}', sha256(('{days}-' || i)::bytea), {at} from generate_series(1, {n}) i"
        ),
    ] {
        db.execute(&insert).await;
    }
}

async fn rows(db: &Database, id: TenantId) -> i64 {
    db.count(&format!("select {}", TABLES.replace("{}", &id.0.to_string()))).await
}

async fn due_now(db: &Database) {
    db.execute("update job set next_run = now(), lease_until = null, holder = null").await;
}

async fn run(db: &Database, id: TenantId, name: &str) -> (String, i64, i64, bool) {
    let mut connection = db.look().await;
    sqlx::query_as(
        "select mode, matched, done, finished_at is not null from retention_run where tenant_id = $1 and name = $2
         order by started_at desc limit 1",
    )
    .bind(id.0)
    .bind(name)
    .fetch_one(&mut connection)
    .await
    .unwrap()
}

async fn tenant_with(leader: &Leader, name: &str, changes: Vec<Change>) -> TenantId {
    let (id, _) = new_tenant(leader, name).await;
    leader.apply(id, batch(changes)).await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_counts_and_deletes_what_its_policies_say() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (enforce, dry, tokens) = (RetentionMode::Enforce, RetentionMode::DryRun, DataClass::Tokens);
    let enforced = tenant_with(&leader, "enforced", vec![retention("standard", enforce, tokens, 10)]).await;
    let counted = tenant_with(&leader, "counted", vec![retention("standard", dry, tokens, 10)]).await;
    let without = tenant_with(&leader, "without", vec![]).await;
    let held = tenant_with(&leader, "held", vec![retention("standard", enforce, tokens, 10)]).await;
    let mut hold = tenant("default", "held");
    hold.legal_hold = true;
    leader.apply(held, batch(vec![put_tenant(&hold)])).await.unwrap();
    for id in [enforced, counted, without, held] {
        expired(&db, id, 1200, 20).await;
        expired(&db, id, 5, 5).await;
        expired(&db, id, 3, 40).await;
        expired(&db, id, 7, -1).await;
    }
    let each = 4 * (1200 + 5 + 3 + 7);
    let store = db.store(Role::Jobs).await;
    due_now(&db).await;
    assert_eq!(jobs_of(&store, SystemClock).run_due().await.unwrap(), JOBS);
    assert_eq!(rows(&db, enforced).await, 4 * 12, "older than ten days past expiry is gone");
    assert_eq!(run(&db, enforced, "standard").await, ("Enforce".into(), 4 * 1203, 4 * 1203, true));
    assert_eq!(rows(&db, counted).await, each, "a dry run deletes nothing");
    assert_eq!(run(&db, counted, "standard").await, ("DryRun".into(), 4 * 1203, 0, true));
    assert_eq!(rows(&db, without).await, each - 4 * 3, "without a policy: thirty days");
    assert_eq!(rows(&db, held).await, each, "a legal hold holds everything");
    assert_eq!(db.count(&format!("select count(*) from retention_run where tenant_id = '{}'", held.0)).await, 0);
    assert_eq!(
        db.count("select count(*) from job where holder is not null or last_error is not null or next_run <= now()")
            .await,
        0
    );
    assert_eq!(jobs_of(&store, SystemClock).run_due().await.unwrap(), 0, "nothing is due");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn use_counts_live_an_hour_past_expiry_whatever_a_policy_says() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let at_once = retention("now", RetentionMode::Enforce, DataClass::Tokens, 0);
    let id = tenant_with(&leader, "acme", vec![at_once]).await;
    expired(&db, id, 1, 0).await;
    let store = db.store(Role::Jobs).await;
    due_now(&db).await;
    jobs_of(&store, SystemClock).run_due().await.unwrap();
    assert_eq!(rows(&db, id).await, 4);
    let expiry = db.count("select extract(epoch from max(expires_at))::int8 from url_use").await;
    due_now(&db).await;
    jobs_of(&store, FixedClock(Timestamp::from_second(expiry + 3602).unwrap())).run_due().await.unwrap();
    assert_eq!(rows(&db, id).await, 0);
}

async fn last_error(db: &Database) -> Option<String> {
    let query = sqlx::query_scalar("select last_error from job where name = 'retention'");
    query.fetch_one(&mut db.look().await).await.unwrap()
}

/// Whether a run ended because the store did not answer in time.
async fn gave_up(db: &Database, ended: &authly_store::Result<usize>) -> bool {
    match ended {
        Ok(_) => last_error(db).await.is_some_and(|error| error.starts_with("the store is not available")),
        Err(error) => matches!(error, StoreError::Unavailable(_)),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_killed_goes_on_where_it_was() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let enforce = || vec![retention("standard", RetentionMode::Enforce, DataClass::Tokens, 10)];
    let (one, two) = (tenant_with(&leader, "one", enforce()).await, tenant_with(&leader, "two", enforce()).await);
    for id in [one, two] {
        expired(&db, id, 6000, 20).await;
    }
    let store = db.store(Role::Jobs).await;
    due_now(&db).await;
    let run_now = || {
        let store = store.clone();
        tokio::spawn(async move { jobs_of(&store, SystemClock).run_due().await })
    };
    let mut running = run_now();
    let progress = "select coalesce(sum(done), 0)::int8 from retention_run";
    let (mut looks, mut again) = (0..1500, 0..3);
    while db.count(progress).await <= 3000 {
        assert!(looks.next().is_some(), "nothing is done within half a minute");
        // On a busy machine a run may give up for want of the store, and the next goes on; nothing else ends it so soon.
        if running.is_finished() {
            let ended = running.await.unwrap();
            assert!(gave_up(&db, &ended).await, "{ended:?}, {:?}", last_error(&db).await);
            assert!(again.next().is_some(), "it gave up too often: {:?}", last_error(&db).await);
            due_now(&db).await;
            running = run_now();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.abort();
    let _ = running.await;
    let left = rows(&db, one).await + rows(&db, two).await;
    assert!(left > 0, "it was killed in the middle");
    // Nobody takes it before the lease ends.
    let other = db.store(Role::Jobs).await;
    jobs_of(&other, SystemClock).run_due().await.unwrap();
    assert!(rows(&db, one).await + rows(&db, two).await > 0);
    db.execute("update job set lease_until = now() where name = 'retention'").await;
    jobs_of(&other, SystemClock).run_due().await.unwrap();
    for id in [one, two] {
        assert_eq!(rows(&db, id).await, 0);
        assert_eq!(run(&db, id, "standard").await, ("Enforce".into(), 24_000, 24_000, true), "counted once");
    }
    assert_eq!(db.count("select count(*) from retention_run").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_compete_and_each_job_runs_once() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let id = tenant_with(&leader, "acme", vec![retention("dry", RetentionMode::DryRun, DataClass::Tokens, 1)]).await;
    due_now(&db).await;
    let (one, two) = (db.store(Role::Jobs).await, db.store(Role::Jobs).await);
    let (one, two) = (jobs_of(&one, SystemClock), jobs_of(&two, SystemClock));
    let (a, b) = tokio::join!(one.run_due(), two.run_due());
    assert_eq!(a.unwrap() + b.unwrap(), JOBS);
    assert_eq!(db.count(&format!("select count(*) from retention_run where tenant_id = '{}'", id.0)).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anonymised_audit_keeps_its_chain() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let id = tenant_with(&leader, "acme", vec![retention("audit", RetentionMode::Enforce, DataClass::Audit, 30)]).await;
    let server = db.live(ReplicaRole::Server).await;
    let (committer, _stop) = server.committer();
    for n in 0..25 {
        committer.record(&server.scope(id), EventKind::TokenIssued, json!({"n": n})).await.unwrap();
    }
    let store = db.store(Role::Jobs).await;
    due_now(&db).await;
    jobs_of(&store, SystemClock).run_due().await.unwrap();
    assert!(verified(&db, id).await.iter().all(|(_, payload)| payload.is_some()), "not yet due");
    #[allow(clippy::disallowed_methods)]
    let later = FixedClock(Timestamp::now() + SignedDuration::from_hours(31 * 24));
    due_now(&db).await;
    jobs_of(&store, later).run_due().await.unwrap();
    let records = verified(&db, id).await;
    assert!(records.len() == 25 && records.iter().all(|(_, payload)| payload.is_none()));
    assert_eq!(run(&db, id, "audit").await, ("Enforce".into(), 25, 25, true));
    let report = verify(&store, Trusted::default()).await.unwrap();
    assert!(report.is_whole() && (report.records, report.erased, report.unsealed) == (25, 25, 0), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_dead_replicas_and_partitions_are_looked_after() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (_, revision) = new_tenant(&leader, "acme").await;
    let gateway = db.live(ReplicaRole::Gateway).await;
    db.execute("update feed_change set at = now() - interval '2 hours'").await;
    let dead = "insert into replica (id, role, position, failures, seen_at, lease_until)
        values (gen_random_uuid(), 'server', array_fill(0::bigint, array[16]), '[]', now(), now() - interval '2 hours')";
    db.execute(dead).await;
    // The last that the migrations made ahead, whatever the month is.
    let last =
        "select max(relname::text) from pg_class where relkind = 'r' and relname ~ '^audit_event_[0-9]{4}_[0-9]{2}$'";
    let last: String = sqlx::query_scalar(last).fetch_one(&mut db.look().await).await.unwrap();
    db.execute(&format!("drop table {last}")).await;
    due_now(&db).await;
    assert_eq!(jobs_of(&db.store(Role::Jobs).await, SystemClock).run_due().await.unwrap(), JOBS);
    assert_eq!(db.count("select count(*) from feed_change").await, 0);
    assert_eq!(db.count("select max(pruned_seq) from feed_head").await, revision.seq);
    assert_eq!(db.count("select count(*) from replica").await, 1, "the live one");
    assert_eq!(
        db.count(&format!("select count(*) from pg_class where relname = '{last}' and relforcerowsecurity")).await,
        1
    );
    let stored = leader.stored().await.unwrap();
    assert!(stored[0].revisions.is_empty() && stored[0].revision.seq == 0, "long passed");
    assert!(gateway.live.refresh().await);
    tokio::time::sleep(Duration::from_millis(50)).await;
}
