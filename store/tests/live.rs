//! The feed, the snapshot of replicas, and their acknowledgements.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/support.rs"]
mod support;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use authly_model::{
    diff::Change,
    feed::{Position, SHARDS},
    ids::ObjectName,
};
use authly_policies::{Redeem, Request};
use authly_store::{LiveTenant, ReplicaRole, Role};
use futures::future::join_all;
use sqlx::{Connection, PgConnection};
use support::{
    Database, Replica, batch, client, eventually, new_tenant, policy, proxy::Proxy, put_client, put_policy, put_route,
    put_tenant, route, tenant,
};

fn redeems(tenant: &LiveTenant) -> bool {
    let route = ObjectName::new("shop", "reports");
    let request = Request::redeem(Redeem {
        who: None,
        route: &route,
        host: "files.acme.default.example",
        path: "/reports/q3.pdf",
        method: "GET",
        address: None,
        now: jiff::Timestamp::from_second(1_795_436_400).unwrap(),
    });
    tenant.policies().decide(&request).allow
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_reaches_server_and_gateway_as_a_delta_and_is_acknowledged() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (id, created) = new_tenant(&leader, "acme").await;
    let (other, _) = new_tenant(&leader, "other").await;
    let server = db.live(ReplicaRole::Server).await;
    let gateway = db.live(ReplicaRole::Gateway).await;
    let passed = |revision| {
        let leader = leader.clone();
        async move {
            let replicas = leader.replicas().await.unwrap();
            replicas.len() == 2 && replicas.iter().all(|r| r.position.has_passed(revision) && r.failures.is_empty())
        }
    };
    eventually("both acknowledged the creation", || passed(created)).await;
    let before = gateway.live.snapshot();
    assert!(redeems(before.tenant(id).unwrap()));
    let start = Instant::now();
    let denied = policy("reports", "forbid (principal, action == Action::\"redeem\", resource);");
    let revision = leader.apply(id, batch(vec![put_policy(&denied)])).await.unwrap();
    eventually("both acknowledged the edit", || passed(revision)).await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    let after = gateway.live.snapshot();
    assert!(!redeems(after.tenant(id).unwrap()));
    assert!(after.tenant(id).unwrap().generation > before.tenant(id).unwrap().generation);
    assert!(
        std::sync::Arc::ptr_eq(after.tenant(other).unwrap(), before.tenant(other).unwrap()),
        "only the delta is rebuilt"
    );
    assert!(server.live.staleness() < Duration::from_secs(1) && server.live.is_ready());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspended_and_tombstoned_tenants_stay_in_the_snapshot_and_come_back() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (id, _) = new_tenant(&leader, "acme").await;
    let gateway = db.live(ReplicaRole::Gateway).await;
    let serving = || gateway.live.snapshot().tenant(id).map(|t| t.is_serving());
    assert_eq!(serving(), Some(true));
    let mut spec = tenant("default", "acme");
    for (change, expected) in [
        (
            put_tenant(&{
                spec.suspended = true;
                spec.clone()
            }),
            false,
        ),
        (
            put_tenant(&{
                spec.suspended = false;
                spec.clone()
            }),
            true,
        ),
        (Change::TombstoneTenant, false),
        (put_tenant(&spec), true),
    ] {
        leader.apply(id, batch(vec![change])).await.unwrap();
        assert!(gateway.live.refresh().await);
        assert_eq!(serving(), Some(expected));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_loaded_keeps_the_last_good_one_and_is_acknowledged_as_failed() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (id, _) = new_tenant(&leader, "acme").await;
    let gateway = db.live(ReplicaRole::Gateway).await;
    let publish =
        |kind: &str, key: &str| format!("select publish(array['{}'::uuid], array['{kind}'], array['{key}'])", id.0);
    db.execute("update access_policy set spec = jsonb_set(spec, '{cedar}', '\"permit (prin\"')").await;
    db.execute(&publish("policy", "shop/reports")).await;
    db.execute("update route set spec = '{\"of\": \"a newer version\"}'").await;
    db.execute(&publish("route", "shop/reports")).await;
    assert!(gateway.live.refresh().await);
    let snapshot = gateway.live.snapshot();
    let tenant = snapshot.tenant(id).unwrap();
    assert!(redeems(tenant), "the last good policy decides");
    assert!(tenant.route("files.acme.default.example", "/reports/x").is_some(), "the last good route serves");
    let replicas = leader.replicas().await.unwrap();
    let failed: Vec<_> = replicas[0].failures.iter().map(|f| (f.tenant, f.object.to_string())).collect();
    let object = |kind: &str| (id, format!("{kind} shop/reports"));
    assert_eq!(failed, [object("SignedUrlRoute"), object("AccessPolicy")]);
    assert!(replicas[0].failures.iter().all(|f| !f.message.is_empty()));
    let late = db.live(ReplicaRole::Gateway).await;
    let snapshot = late.live.snapshot();
    assert!(!redeems(snapshot.tenant(id).unwrap()), "without a last good policy: deny");
    drop(late);
    let good = policy("reports", "permit (principal, action == Action::\"redeem\", resource);");
    let host = "files.acme.default.example";
    let repair = batch(vec![put_policy(&good), put_route(&route("reports", host, "/reports/"))]);
    leader.apply(id, repair).await.unwrap();
    assert!(gateway.live.refresh().await);
    eventually("the failures are gone", || async {
        leader.replicas().await.unwrap().iter().filter(|r| r.id == gateway.id).all(|r| r.failures.is_empty())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_route_prefix_wins() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (id, _) = new_tenant(&leader, "acme").await;
    let host = "files.acme.default.example";
    let puts = batch(vec![put_route(&route("deep", host, "/reports/2026/")), put_route(&route("all", host, "/"))]);
    leader.apply(id, puts).await.unwrap();
    let gateway = db.live(ReplicaRole::Gateway).await;
    let snapshot = gateway.live.snapshot();
    let tenant = snapshot.tenant_by_host(host).unwrap();
    let found = |path| tenant.route(host, path).map(|r| r.object.name.clone());
    assert_eq!(found("/reports/2026/q3.pdf").as_deref(), Some("deep"));
    assert_eq!(found("/reports/2025/q3.pdf").as_deref(), Some("reports"));
    assert_eq!(found("/x").as_deref(), Some("all"));
    assert!(tenant.route("files.acme.default.example:8081", "/x").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_is_gapless_and_in_commit_order_under_concurrent_writers() {
    let db = Database::new().await;
    let server = db.live(ReplicaRole::Server).await;
    let mut tenants = Vec::new();
    for n in 0..6 {
        let leader = db.leader(&format!("i{n}")).await;
        let (id, _) = new_tenant(&leader, "acme").await;
        tenants.push((leader, id));
    }
    // An observer that reads as a replica does: nothing may ever appear behind a position that it has read.
    let stop = tokio_util::sync::CancellationToken::new();
    let observer = tokio::spawn(observe(db.look().await, stop.clone()));
    assert!(server.live.refresh().await);
    let (committer, _stop) = server.committer();
    let writers = tenants.iter().map(|(leader, id)| {
        let (leader, id, committer, scope) = (leader.clone(), *id, committer.clone(), server.scope(*id));
        tokio::spawn(async move {
            for n in 0..25 {
                let mut spec = client("billing");
                spec.audiences = BTreeSet::from([format!("https://api.example/{n}")]);
                leader.apply(id, batch(vec![put_client(&spec)])).await.unwrap();
                let expires = jiff::Timestamp::from_second(4_000_000_000).unwrap();
                committer.revoke_token(&scope, &format!("t{n}"), expires, serde_json::json!({})).await.unwrap();
            }
        })
    });
    join_all(writers.collect::<Vec<_>>()).await.into_iter().for_each(|w| w.unwrap());
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.cancel();
    let seen = observer.await.unwrap();
    let gaps = "select count(*) from feed_head h where h.seq <> (select count(distinct c.seq) from feed_change c where c.shard = h.shard)";
    assert_eq!(db.count(gaps).await, 0);
    let changes = db.count("select count(*) from (select distinct shard, seq from feed_change) c").await;
    assert_eq!(seen as i64, changes, "each was seen exactly once, in order");
    assert!(server.live.refresh().await);
    let snapshot = server.live.snapshot();
    for (_, id) in &tenants {
        let revoked = snapshot.tenant(*id).unwrap().revocations();
        assert!((0..25).all(|n| revoked.is_token_revoked(&format!("t{n}"))));
    }
}

async fn observe(mut connection: PgConnection, stop: tokio_util::sync::CancellationToken) -> usize {
    let mut position = Position::default();
    let mut seen = BTreeSet::new();
    let mut last = false;
    while !last {
        last = stop.is_cancelled();
        let mut view = connection.begin_with("begin isolation level repeatable read read only").await.unwrap();
        let heads: Vec<(i16, i64)> =
            sqlx::query_as("select shard, seq from authly.feed_head").fetch_all(&mut *view).await.unwrap();
        let changes: Vec<(i16, i64)> =
            sqlx::query_as("select distinct shard, seq from authly.feed_change").fetch_all(&mut *view).await.unwrap();
        view.rollback().await.unwrap();
        for (shard, seq) in changes {
            if seq > position.0[shard as usize] {
                assert!(seen.insert((shard, seq)), "seen twice");
            } else {
                assert!(seen.contains(&(shard, seq)), "{shard}/{seq} appeared behind position {position:?}");
            }
        }
        for (shard, seq) in heads {
            assert!((1..=seq).all(|s| seen.contains(&(shard, s))), "a gap below {shard}/{seq}");
            position.0[shard as usize] = seq;
        }
    }
    assert_eq!(position.0.len(), SHARDS);
    seen.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_fell_behind_a_pruned_feed_reloads_everything() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (id, _) = new_tenant(&leader, "acme").await;
    let proxy = Proxy::to(db.address()).await;
    let gateway =
        Replica::start(db.try_store(Role::Gateway, Some(proxy.port)).await.unwrap(), ReplicaRole::Gateway).await;
    proxy.close(true);
    eventually("it is stale", || async { gateway.live.staleness() > Duration::from_millis(600) }).await;
    assert!(gateway.live.is_ready() && redeems(gateway.live.snapshot().tenant(id).unwrap()), "it goes on from memory");
    assert!(!gateway.live.refresh().await);
    leader
        .apply(id, batch(vec![put_policy(&policy("reports", "forbid (principal, action, resource);"))]))
        .await
        .unwrap();
    let (second, _) = new_tenant(&leader, "second").await;
    db.execute("delete from feed_change").await;
    db.execute("update feed_head set pruned_seq = seq").await;
    proxy.close(false);
    eventually("it has caught up", || async { gateway.live.snapshot().tenant(second).is_some() }).await;
    assert!(!redeems(gateway.live.snapshot().tenant(id).unwrap()));
    eventually("it is fresh", || async { gateway.live.staleness() < Duration::from_secs(2) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_replica_counts_until_its_lease_lapses() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (id, _) = new_tenant(&leader, "acme").await;
    let proxy = Proxy::to(db.address()).await;
    let frozen =
        Replica::start(db.try_store(Role::Gateway, Some(proxy.port)).await.unwrap(), ReplicaRole::Gateway).await;
    assert_eq!(leader.replicas().await.unwrap().len(), 1);
    proxy.freeze(true);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let revision = leader.apply(id, batch(vec![put_client(&client("web"))])).await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let replicas = leader.replicas().await.unwrap();
    assert!(replicas.len() == 1 && !replicas[0].position.has_passed(revision), "it is waited for");
    eventually("its lease lapses", || async { leader.replicas().await.unwrap().is_empty() }).await;
    proxy.freeze(false);
    eventually("it is back and has passed", || async {
        leader.replicas().await.unwrap().iter().any(|r| r.id == frozen.id && r.position.has_passed(revision))
    })
    .await;
}
