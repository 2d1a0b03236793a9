//! Group commit, the three classes of events, and exact use counts, against a real database that is slow, cut or away.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/support.rs"]
mod support;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use authly_model::{audit::EventKind, clock::SystemClock, ids::TenantId};
use authly_store::{
    Actor, Committer, Granted, Leader, Limits, ReplicaRole, Role, Store, StoreError, TenantScope, UrlRevocation,
    UrlTarget, UseRequest,
};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::Connection;
use support::{Database, Replica, audit::verified, eventually, new_tenant, proxy::Proxy};
use tokio_util::sync::{CancellationToken, DropGuard};

#[allow(clippy::disallowed_methods)]
fn now() -> Timestamp {
    Timestamp::now()
}

fn in_an_hour() -> Timestamp {
    now() + SignedDuration::from_hours(1)
}

struct Stage {
    db: Database,
    proxy: Proxy,
    scope: TenantScope,
    tenant: TenantId,
    leader: Leader,
}

impl Stage {
    async fn new() -> Self {
        let db = Database::new().await;
        let leader = db.leader("default").await;
        let (tenant, _) = new_tenant(&leader, "acme").await;
        let scope = scope(&db, tenant).await;
        let proxy = Proxy::to(db.address()).await;
        Self { db, proxy, scope, tenant, leader }
    }

    /// A committer whose way leads through the proxy.
    async fn committer(&self, role: Role, limits: Limits) -> (Committer, DropGuard) {
        let store = self.db.try_store(role, Some(self.proxy.port)).await.unwrap();
        start(&store, limits)
    }

    async fn rows(&self) -> i64 {
        self.db.count("select count(*) from audit_event").await
    }
}

fn start(store: &Store, limits: Limits) -> (Committer, DropGuard) {
    let cancel = CancellationToken::new();
    (Committer::start(store, Arc::new(SystemClock), limits, cancel.clone()), cancel.drop_guard())
}

/// A scope outlives the replica that made it; the replica would only disturb the counts.
async fn scope(db: &Database, tenant: TenantId) -> TenantScope {
    let replica: Replica = db.live(ReplicaRole::Server).await;
    replica.scope(tenant)
}

fn url(n: u8, max: u32) -> UseRequest {
    UseRequest { id: [n; 24], k: 1, max, expires_at: in_an_hour() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_records_at_sixty_four_connections_take_few_commits() {
    let stage = Stage::new().await;
    let (committer, _stop) = stage.committer(Role::Server, Limits::default()).await;
    committer.record(&stage.scope, EventKind::TokenIssued, json!({"jti": "first"})).await.unwrap();
    stage.proxy.delay(Duration::from_millis(5));
    let commits = format!("select xact_commit from pg_stat_database where datname = '{}'", stage.db.name);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let before = stage.db.count(&commits).await;
    let tasks = (0..64).map(|task| {
        let (committer, scope) = (committer.clone(), stage.scope.clone());
        tokio::spawn(async move {
            for n in (task..1000).step_by(64) {
                committer.record(&scope, EventKind::TokenIssued, json!({"jti": n})).await.unwrap();
            }
        })
    });
    join_all(tasks).await.into_iter().for_each(|t| t.unwrap());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let after = stage.db.count(&commits).await;
    assert!(after - before < 100, "{} commits", after - before);
    let records = verified(&stage.db, stage.tenant).await;
    assert_eq!(records.len(), 1001);
    let payload = records[0].1.as_ref().unwrap();
    assert_eq!((payload["jti"].as_str(), payload["actor"].as_str()), (Some("first"), Some("client:shop.billing")));
    assert_eq!(committer.stats().records, 1001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_record_fails_alone() {
    let stage = Stage::new().await;
    let (other, _) = new_tenant(&stage.leader, "other").await;
    let other_scope = scope(&stage.db, other).await;
    let (committer, _stop) = stage.committer(Role::Server, Limits::default()).await;
    for scope in [&stage.scope, &other_scope] {
        committer.record(scope, EventKind::TokenIssued, json!({})).await.unwrap();
    }
    stage.proxy.delay(Duration::from_millis(10));
    let too_big = "x".repeat(20_000);
    let records = (0..20).map(|n| {
        let (scope, payload) = if n == 7 {
            (&stage.scope, json!({"text": too_big}))
        } else {
            (if n % 2 == 0 { &stage.scope } else { &other_scope }, json!({"n": n}))
        };
        committer.record(scope, EventKind::TokenIssued, payload)
    });
    let outcomes = join_all(records).await;
    for (n, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Err(StoreError::Refused(why)) if n == 7 => assert!(why.contains("23514"), "{why}"),
            Ok(()) if n != 7 => {}
            other => panic!("record {n}: {other:?}"),
        }
    }
    eventually("it is counted", || async { committer.stats().refused == 1 }).await;
    assert_eq!(verified(&stage.db, stage.tenant).await.len() + verified(&stage.db, other).await.len(), 21);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_not_written_twice() {
    let stage = Stage::new().await;
    let (committer, _stop) = stage.committer(Role::Server, Limits::default()).await;
    committer.record(&stage.scope, EventKind::TokenIssued, json!({"n": 0})).await.unwrap();
    for n in 1..4 {
        stage.proxy.cut_next();
        committer.record(&stage.scope, EventKind::TokenIssued, json!({"n": n})).await.unwrap();
        assert_eq!(stage.proxy.cuts(), n);
    }
    let records = verified(&stage.db, stage.tenant).await;
    let numbers: Vec<_> = records.iter().map(|(_, p)| p.as_ref().unwrap()["n"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [0, 1, 2, 3]);
    assert_eq!(stage.db.count("select count(distinct writer) from audit_event").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_debit_whose_commit_is_lost_is_granted_once() {
    let stage = Stage::new().await;
    let (committer, _stop) = stage.committer(Role::Gateway, Limits::default()).await;
    committer.redeem(&stage.scope, url(9, 1), json!({})).await.unwrap();
    for n in 1..=3 {
        stage.proxy.cut_at("COMMIT");
        let first = committer.redeem(&stage.scope, url(n, 2), json!({})).await.unwrap();
        assert_eq!(first, Granted { granted: 1, used: 1 }, "the recorded outcome comes back");
        assert_eq!(stage.proxy.cuts(), u64::from(n));
    }
    assert_eq!(stage.db.count("select max(used)::int8 from url_use").await, 1);
    assert_eq!(verified(&stage.db, stage.tenant).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_with_five_uses_is_granted_five_times_by_two_gateways() {
    let stage = Stage::new().await;
    let (one, _stop) = stage.committer(Role::Gateway, Limits::default()).await;
    let (two, _stop) = stage.committer(Role::Gateway, Limits::default()).await;
    let redeem = |n: usize| {
        let committer = if n.is_multiple_of(2) { one.clone() } else { two.clone() };
        let scope = stage.scope.with_actor(Actor::Bearer);
        tokio::spawn(async move { committer.redeem(&scope, url(1, 5), json!({"n": n})).await.unwrap() })
    };
    let granted = join_all((0..64).map(redeem)).await;
    let granted = granted.into_iter().filter(|g| g.as_ref().unwrap().is_granted()).count();
    assert_eq!(granted, 5);
    let records = verified(&stage.db, stage.tenant).await;
    let recorded = records.iter().filter(|(_, p)| p.as_ref().unwrap()["granted"] == 1).count();
    assert_eq!((records.len(), recorded), (64, 5));
    let head = UseRequest { k: 0, ..url(1, 5) };
    assert!(!one.redeem(&stage.scope, head, json!({})).await.unwrap().is_granted(), "none is left");
    let head = UseRequest { k: 0, ..url(2, 5) };
    assert!(one.redeem(&stage.scope, head, json!({})).await.unwrap().is_granted(), "HEAD is free");
    let usage = stage.db.store(Role::Server).await.url_usage(&stage.scope, &[2; 24]).await.unwrap().unwrap();
    assert_eq!((usage.used, usage.max), (0, 5));
    let several = UseRequest { k: 7, ..url(3, 5) };
    assert_eq!(one.redeem(&stage.scope, several, json!({})).await.unwrap().granted, 5, "as many as there are");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_is_refused_at_once() {
    let stage = Stage::new().await;
    let (committer, _stop) = stage.committer(Role::Server, Limits { queue: 2, spool: 2, batch: 1 }).await;
    committer.record(&stage.scope, EventKind::TokenIssued, json!({})).await.unwrap();
    stage.proxy.delay(Duration::from_millis(200));
    let record = || committer.record(&stage.scope, EventKind::TokenIssued, json!({}));
    let start = Instant::now();
    let outcomes = join_all((0..10).map(|_| async { (record().await, start.elapsed()) })).await;
    let full: Vec<_> = outcomes.iter().filter(|(o, _)| matches!(o, Err(StoreError::Full))).collect();
    assert!(full.len() >= 6, "{outcomes:?}");
    assert!(full.iter().all(|(_, after)| *after < Duration::from_millis(100)), "{full:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_store_away_nothing_hangs_and_nothing_is_answered() {
    let stage = Stage::new().await;
    let (committer, _stop) = stage.committer(Role::Server, Limits { spool: 5, ..Limits::default() }).await;
    committer.record(&stage.scope, EventKind::TokenIssued, json!({})).await.unwrap();
    for (away, back) in [(Proxy::close as fn(&Proxy, bool), "closed"), (Proxy::freeze as fn(&Proxy, bool), "frozen")] {
        away(&stage.proxy, true);
        tokio::time::sleep(Duration::from_millis(30)).await;
        let start = Instant::now();
        let waited = join_all((0..8).map(|_| committer.record(&stage.scope, EventKind::TokenIssued, json!({})))).await;
        assert!(waited.iter().all(|o| matches!(o, Err(StoreError::Unavailable(_)))), "{back}: {waited:?}");
        assert!(start.elapsed() < Duration::from_millis(2300), "{back}: {:?}", start.elapsed());
        eventually("it knows", || async { committer.is_down() }).await;
        let start = Instant::now();
        assert!(committer.record(&stage.scope, EventKind::TokenIssued, json!({})).await.is_err());
        assert!(start.elapsed() < Duration::from_millis(50), "{back}: known to be away, {:?}", start.elapsed());
        for n in 0..8 {
            committer.spool(&stage.scope, EventKind::RedeemDenied, json!({"n": n}));
        }
        away(&stage.proxy, false);
        eventually("it is back", || async { !committer.is_down() }).await;
        committer.record(&stage.scope, EventKind::TokenIssued, json!({"after": back})).await.unwrap();
    }
    committer.flush().await;
    let records = verified(&stage.db, stage.tenant).await;
    let of = |kind: &str| records.iter().filter(|(k, _)| k == kind).filter_map(|(_, p)| p.clone()).collect::<Vec<_>>();
    assert!(of("redeem_denied").len() >= 10, "{records:?}");
    let lost: u64 = of("spool_lost").iter().map(|p| p["count"].as_u64().unwrap()).sum();
    assert_eq!(lost, 6, "what did not fit is recorded");
    assert_eq!(committer.stats().lost, 6);
    assert_eq!(of("token_issued").iter().filter(|p| p.get("after").is_some()).count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spooled_events_are_counted_by_minute_and_denies_are_kept() {
    let stage = Stage::new().await;
    let (committer, _stop) = stage.committer(Role::Gateway, Limits::default()).await;
    for n in 0..50 {
        committer.count(&stage.scope, EventKind::Redeemed, "shop/reports");
        committer.count(&stage.scope, EventKind::Redeemed, "shop/videos");
        committer.spool(&stage.scope, EventKind::RedeemDenied, json!({"n": n}));
    }
    eventually("denies are written at once", || async { stage.rows().await >= 50 }).await;
    committer.flush().await;
    let records = verified(&stage.db, stage.tenant).await;
    let counted: u64 = records
        .iter()
        .filter(|(kind, _)| kind == "redeemed")
        .map(|(_, p)| p.as_ref().unwrap()["count"].as_u64().unwrap())
        .sum();
    assert_eq!(counted, 100);
    assert!(records.iter().filter(|(kind, _)| kind == "redeemed").count() <= 4, "two routes, at most two minutes");
    assert_eq!(records.iter().filter(|(kind, _)| kind == "redeem_denied").count(), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_writer_writes_what_it_holds() {
    let stage = Stage::new().await;
    let (committer, stop) = stage.committer(Role::Gateway, Limits::default()).await;
    committer.count(&stage.scope, EventKind::Redeemed, "shop/reports");
    drop(stop);
    eventually("the counter is written", || async { stage.rows().await == 1 }).await;
    let refused = committer.record(&stage.scope, EventKind::TokenIssued, json!({})).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_reaches_every_replica_within_a_second() {
    let stage = Stage::new().await;
    let server = stage.db.live(ReplicaRole::Server).await;
    let other = stage.db.live(ReplicaRole::Server).await;
    let gateway = stage.db.live(ReplicaRole::Gateway).await;
    let (committer, _stop) = stage.committer(Role::Server, Limits::default()).await;
    let start = Instant::now();
    committer.revoke_token(&stage.scope, "token-1", in_an_hour(), json!({"jti": "token-1"})).await.unwrap();
    committer.revoke_token(&stage.scope, "token-1", in_an_hour(), json!({"again": true})).await.unwrap();
    let mut id = [7; 24];
    id[..4].copy_from_slice(&1_795_436_400_u32.to_be_bytes());
    let route = authly_model::ids::ObjectName::new("shop", "reports");
    let facts = authly_store::UrlFacts { id: &id, kid: "AAECAwQFBgcI", route: &route };
    let later = UrlRevocation { target: UrlTarget::Client([7; 6]), before: 1_795_436_401, expires_at: in_an_hour() };
    committer.revoke_urls(&stage.scope, later, json!({})).await.unwrap();
    assert!(server.live.refresh().await);
    let revoked = |replica: &Replica| {
        let snapshot = replica.live.snapshot();
        let of = snapshot.tenant(stage.tenant).unwrap().revocations();
        of.is_token_revoked("token-1") && of.is_url_revoked(&facts) && !of.is_token_revoked("token-2")
    };
    assert!(revoked(&server), "refresh() makes it count here at once");
    eventually("everywhere", || async { revoked(&other) && revoked(&gateway) }).await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    let late = stage.db.live(ReplicaRole::Gateway).await;
    assert!(revoked(&late), "a replica that starts later knows too");
    let of_gateway = gateway.committer().0.revoke_token(&stage.scope, "x", in_an_hour(), json!({})).await;
    assert!(matches!(of_gateway, Err(StoreError::Refused(_))), "{of_gateway:?}");
    assert_eq!(verified(&stage.db, stage.tenant).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_id_is_accepted_once() {
    let stage = Stage::new().await;
    let store = stage.db.store(Role::Server).await;
    let (now, expires) = (now(), in_an_hour());
    let fresh = join_all((0..16).map(|_| store.put_once(&stage.scope, "jti-1", now, expires))).await;
    assert_eq!(fresh.into_iter().filter(|f| *f.as_ref().unwrap()).count(), 1);
    assert!(store.put_once(&stage.scope, "jti-2", now, expires).await.unwrap());
    let later = expires + SignedDuration::from_secs(1);
    assert!(store.put_once(&stage.scope, "jti-1", later, later + SignedDuration::from_secs(60)).await.unwrap());
    let through = stage.db.try_store(Role::Server, Some(stage.proxy.port)).await.unwrap();
    stage.proxy.close(true);
    assert!(through.put_once(&stage.scope, "jti-3", now, expires).await.is_err(), "away means refuse");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_change_of_configuration_holds_up_no_event() {
    let stage = Stage::new().await;
    let (committer, _stop) = stage.committer(Role::Server, Limits::default()).await;
    let mut operator = stage.db.look().await;
    let mut long = operator.begin().await.unwrap();
    // What Leader::apply locks first, and writes.
    sqlx::raw_sql("select id from tenant for no key update; update tenant set spec = spec")
        .execute(&mut *long)
        .await
        .unwrap();
    committer.redeem(&stage.scope, url(1, 1), json!({})).await.unwrap();
    committer.revoke_token(&stage.scope, "jti", in_an_hour(), json!({})).await.unwrap();
    long.rollback().await.unwrap();
}
