//! Heartbeats, and the store epoch that is raised when history is lost (docs/decisions/0016-restores.md).

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/support.rs"]
mod support;

use std::time::Duration;

use authly_model::{audit::EventKind, ids::TenantId};
use authly_store::{ReplicaRole, Role, StoreError};
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};
use support::{Database, Replica, audit::verified, eventually, new_tenant, proxy::Proxy};

/// The newest is one that its replica may not have seen yet.
const LOSE_BEATS: &str = "delete from store_history where beat >= (select max(beat) - 1 from store_history)";

async fn newest_beat(db: &Database) -> i64 {
    db.count("select max(beat) from store_history").await
}

async fn epoch(db: &Database) -> i64 {
    db.count("select store_epoch from tenant").await
}

async fn now(db: &Database) -> i64 {
    db.count("select floor(extract(epoch from clock_timestamp()))::bigint").await
}

fn served(replica: &Replica, tenant: TenantId) -> i64 {
    replica.live.snapshot().tenant(tenant).unwrap().store_epoch
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_together_write_one_beat_a_second() {
    let db = Database::new().await;
    let (_server, _gateway) = (db.live(ReplicaRole::Server).await, db.live(ReplicaRole::Gateway).await);
    let first = newest_beat(&db).await;
    eventually("beats go on", || async { newest_beat(&db).await >= first + 4 }).await;
    let close = format!(
        "select count(*) from store_history a join store_history b on b.beat = a.beat + 1
         where a.beat >= {first} and b.at - a.at < interval '1 second'"
    );
    assert_eq!(db.count(&close).await, 0, "two within a second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_of_beats_is_kept() {
    let db = Database::new().await;
    // The next beat is number 3660.
    db.execute(
        "insert into store_history select 3659, at, incarnation, raised_at, system_identifier, timeline from store_history;
         update store_history set at = at - interval '2 hours' where beat = 1",
    )
    .await;
    let _gateway = db.live(ReplicaRole::Gateway).await;
    eventually("the oldest goes", || async {
        db.count("select count(*) from store_history where beat <= 60").await == 0 && newest_beat(&db).await >= 3660
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raised_by_hand_every_replica_loads_anew_and_leaders_are_fenced() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (id, _) = new_tenant(&leader, "acme").await;
    let replicas = [db.live(ReplicaRole::Server).await, db.live(ReplicaRole::Gateway).await];
    let generations = replicas.each_ref().map(|r| r.live.snapshot().tenant(id).unwrap().generation);
    let before = now(&db).await;
    db.store(Role::Jobs).await.raise_store_epoch().await.unwrap();
    let raised = epoch(&db).await;
    assert!(raised > before + 5, "{raised} at {before}");
    for (replica, generation) in replicas.iter().zip(generations) {
        eventually("it is served", || async { served(replica, id) == raised }).await;
        assert!(replica.live.snapshot().tenant(id).unwrap().generation > generation);
    }
    assert!(matches!(leader.stored().await, Err(StoreError::Fenced { .. })));
    let again = db.leader("default").await;
    assert_eq!(again.stored().await.unwrap().len(), 1);
}

/// What a restored store looks like to those who knew it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lost_raises_the_epoch() {
    for (how, sql) in [
        ("a beat is gone", LOSE_BEATS),
        // As a restored copy that has caught up in number by the time it is looked at.
        ("a beat is another", "update store_history set at = at - interval '1 millisecond'"),
        ("another server", "update store_history set system_identifier = system_identifier + 1"),
        ("another timeline", "update store_history set timeline = timeline + 1"),
        (
            "the feed went back",
            "with back as (update feed_head set seq = seq - 1 where seq > 0 returning shard, seq)
             delete from feed_change c using back b where c.shard = b.shard and c.seq > b.seq",
        ),
    ] {
        let db = Database::new().await;
        let leader = db.leader("default").await;
        let (id, _) = new_tenant(&leader, "acme").await;
        let replicas = [db.live(ReplicaRole::Server).await, db.live(ReplicaRole::Gateway).await];
        eventually("beats go on", || async { newest_beat(&db).await > 2 }).await;
        assert_eq!(epoch(&db).await, 0);
        let before = now(&db).await;
        db.execute(sql).await;
        for replica in &replicas {
            eventually(how, || async { served(replica, id) > before }).await;
        }
        let raised = epoch(&db).await;
        // Once: who comes later finds it raised.
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(epoch(&db).await, raised, "{how}: raised again");
        assert_eq!(db.count("select count(distinct incarnation) from store_history").await, 2, "{how}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_nobody_watched_for_a_minute_is_doubted_by_who_knows_nothing_of_it() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (id, _) = new_tenant(&leader, "acme").await;
    // Fresh from its migration, however long ago, nothing was served from it.
    db.execute("update store_history set at = at - interval '1 day'").await;
    let first = db.live(ReplicaRole::Gateway).await;
    eventually("beats go on", || async { newest_beat(&db).await > 2 }).await;
    assert_eq!((epoch(&db).await, served(&first, id)), (0, 0));
    drop(first);
    tokio::time::sleep(Duration::from_millis(500)).await;
    db.execute("update store_history set at = at - interval '50 seconds'").await;
    let second = db.live(ReplicaRole::Gateway).await;
    assert_eq!((epoch(&db).await, served(&second, id)), (0, 0), "less than a minute");
    drop(second);
    tokio::time::sleep(Duration::from_millis(500)).await;
    db.execute("update store_history set at = at - interval '70 seconds'").await;
    let third = db.live(ReplicaRole::Gateway).await;
    assert!(epoch(&db).await > 0);
    assert_eq!(served(&third, id), epoch(&db).await, "it was ready before it served the epoch");
}

/// A use that a restored store has forgotten must not be spent before the epoch is raised, whoever is quicker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_to_a_store_whose_history_was_not_judged() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (id, _) = new_tenant(&leader, "acme").await;
    let proxy = Proxy::to(db.address()).await;
    let store = db.try_store(Role::Gateway, Some(proxy.port)).await.unwrap();
    let gateway = Replica::start(store, ReplicaRole::Gateway).await;
    let (committer, _stop) = gateway.committer();
    committer.record(&gateway.scope(id), EventKind::UrlUsed, json!({})).await.unwrap();
    eventually("beats go on", || async { newest_beat(&db).await > 2 }).await;
    for round in 0..3 {
        // The epoch counts seconds.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let (before, written) = (epoch(&db).await, db.count("select count(*) from audit_event").await);
        proxy.close(true);
        eventually("it is away", || async { gateway.live.staleness() > Duration::from_millis(300) }).await;
        db.execute(LOSE_BEATS).await;
        proxy.close(false);
        // Whoever comes first: a record is written only after the epoch was raised and is served.
        loop {
            let outcome = committer.record(&gateway.scope(id), EventKind::UrlUsed, json!({})).await;
            let raised = served(&gateway, id) > before;
            match outcome {
                Ok(()) => {
                    assert!(raised, "round {round}: it was written to a store in doubt");
                    break;
                }
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
            if !raised {
                assert_eq!(db.count("select count(*) from audit_event").await, written, "round {round}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The records that a chain went on from may be forgotten, and the writer too: in another history another writer begins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_chain_goes_on_in_another_history() {
    for (how, forget, kept) in [
        ("the last record", "delete from audit_event where seq = 2", 1),
        ("the writer", "delete from audit_event; delete from audit_writer", 0),
    ] {
        let db = Database::new().await;
        let leader = db.leader("default").await;
        let (id, _) = new_tenant(&leader, "acme").await;
        let gateway = db.live(ReplicaRole::Gateway).await;
        // Its connection lives on: nothing but the judgement tells it.
        let (committer, _stop) = gateway.committer();
        let record = async || committer.record(&gateway.scope(id), EventKind::UrlUsed, json!({})).await;
        for _ in 0..2 {
            record().await.unwrap();
        }
        eventually("beats go on", || async { newest_beat(&db).await > 2 }).await;
        db.execute(&format!("{forget}; {LOSE_BEATS}")).await;
        eventually("the epoch is served", || async { served(&gateway, id) > 0 }).await;
        eventually("it is written again", || async { record().await.is_ok() }).await;
        assert_eq!(verified(&db, id).await.len(), kept + 1, "{how}: every chain is whole");
        assert_eq!(db.count("select count(*) from audit_writer").await, kept as i64 + 1, "{how}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beats_that_are_due_to_go_go_in_small_numbers() {
    let db = Database::new().await;
    // The next beat is number 5040, and 1440 are older than the hour that is kept.
    db.execute(
        "insert into store_history select n, h.at - interval '2 hours', h.incarnation, h.raised_at, h.system_identifier, h.timeline
             from store_history h, generate_series(2, 1440) n;
         insert into store_history select 5039, at, incarnation, raised_at, system_identifier, timeline from store_history where beat = 1;
         update store_history set at = at - interval '2 hours' where beat = 1",
    )
    .await;
    let _gateway = db.live(ReplicaRole::Gateway).await;
    eventually("the oldest go", || async { db.count("select min(beat) from store_history").await > 1 }).await;
    assert_eq!(db.count("select min(beat) from store_history").await, 241);
}

/// Lock order everywhere: the leader's epoch, then tenants.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raising_the_epoch_waits_for_a_leader_that_is_writing() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    new_tenant(&leader, "acme").await;
    let mut writing = db.look().await;
    let mut tx = writing.begin().await.unwrap();
    tx.execute("select epoch from leader_epoch for share").await.unwrap();
    let store = db.store(Role::Jobs).await;
    let raising = tokio::spawn(async move { store.raise_store_epoch().await });
    eventually("it waits for the leader", || async {
        db.count("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%raise_store_epoch(%'")
            .await
            > 0
    })
    .await;
    tx.execute("update tenant set spec = spec").await.unwrap();
    tx.commit().await.unwrap();
    raising.await.unwrap().unwrap();
    assert!(epoch(&db).await > 0);
}

/// Otherwise whoever steals a gateway's password ends every counted URL, and every leader, as often as it likes.
#[tokio::test]
async fn only_jobs_raise_the_epoch_without_naming_the_history() {
    let db = Database::new().await;
    for role in Role::ALL {
        let mut connection = PgConnection::connect(&db.url(role, None)).await.unwrap();
        connection.execute("set search_path = authly").await.unwrap();
        let raised = connection.execute("select raise_store_epoch(null, true)").await;
        let code = raised.as_ref().err().and_then(|e| e.as_database_error()?.code().map(|code| code.into_owned()));
        let expected = if role == Role::Jobs { None } else { Some("42501") };
        assert_eq!(code.as_deref(), expected, "{role}: {raised:?}");
    }
    assert_eq!(db.count("select count(distinct incarnation) from store_history").await, 2);
}
