//! The client cache: never older than what was acknowledged, served from memory, and what happens while the store is away.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/support.rs"]
mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use authly_model::{
    client::SecretHash,
    diff::Change,
    ids::{Kind, ObjectName, ObjectRef},
};
use authly_store::{Batch, ReplicaRole, Role, StoreError};
use futures::future::join_all;
use support::{Database, Replica, batch, client, eventually, new_tenant, proxy::Proxy, put_client};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_never_served_older_than_acknowledged() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (id, _) = new_tenant(&leader, "acme").await;
    let server = db.live(ReplicaRole::Server).await;
    let scope = server.scope(id);
    let get = |client_id: &'static str| server.live.client(&scope, client_id);
    assert!(get("shop.new").await.unwrap().is_none(), "known not to exist");
    leader.apply(id, batch(vec![put_client(&client("new"))])).await.unwrap();
    assert!(server.live.refresh().await);
    assert!(get("shop.new").await.unwrap().is_some(), "a negative entry ends with the change");
    // Loads race with changes all the time; after each acknowledgement the newest is served.
    let stop = tokio_util::sync::CancellationToken::new();
    let readers = (0..4).map(|_| {
        let (live, scope, stop) = (server.live.clone(), scope.clone(), stop.clone());
        tokio::spawn(async move {
            while !stop.is_cancelled() {
                live.client(&scope, "shop.billing").await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    let mut spec = client("billing");
    for n in 1..40 {
        spec.audiences = BTreeSet::from([format!("https://api.example/{n}")]);
        let revision = leader.apply(id, batch(vec![put_client(&spec)])).await.unwrap();
        while !server.live.snapshot().position().has_passed(revision) {
            server.live.refresh().await;
        }
        assert_eq!(get("shop.billing").await.unwrap().unwrap().client, spec, "after change {n}");
    }
    stop.cancel();
    join_all(readers).await;
    let gone = Change::Delete(ObjectRef::new(Kind::OAuthClient, "shop", "billing"));
    leader.apply(id, batch(vec![gone])).await.unwrap();
    assert!(server.live.refresh().await);
    assert!(get("shop.billing").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_of_a_client_is_served_from_memory() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (id, _) = new_tenant(&leader, "acme").await;
    let proxy = Proxy::to(db.address()).await;
    let server = Replica::start(db.try_store(Role::Server, Some(proxy.port)).await.unwrap(), ReplicaRole::Server).await;
    let scope = server.scope(id);
    let get = |client_id: &'static str| server.live.client(&scope, client_id);
    assert!(get("shop.billing").await.unwrap().is_some() && get("shop.new").await.unwrap().is_none());
    let hash = |n: u8| SecretHash { pepper_id: "p".to_owned(), digest: vec![n; 32] };
    let hashes = vec![hash(2), hash(1)];
    let secrets = BTreeMap::from([(ObjectName::new("shop", "billing"), hashes.clone())]);
    leader.apply(id, Batch { secrets, ..Batch::default() }).await.unwrap();
    leader.apply(id, batch(vec![put_client(&client("new"))])).await.unwrap();
    let revision = leader.apply(id, batch(vec![put_client(&client("other"))])).await.unwrap();
    eventually("it is acknowledged", || async {
        leader.replicas().await.unwrap().iter().all(|replica| replica.position.has_passed(revision))
    })
    .await;
    // Nothing can be read from here on.
    proxy.close(true);
    assert_eq!(get("shop.billing").await.unwrap().unwrap().secrets, hashes);
    assert!(get("shop.new").await.unwrap().is_some(), "a negative entry became the client");
    assert!(get("shop.other").await.is_err(), "what nobody asked for is not kept");
    proxy.close(false);
    let gone = Change::Delete(ObjectRef::new(Kind::OAuthClient, "shop", "billing"));
    let revision = leader.apply(id, batch(vec![gone])).await.unwrap();
    eventually("it is acknowledged", || async {
        leader.replicas().await.unwrap().iter().all(|replica| replica.position.has_passed(revision))
    })
    .await;
    proxy.close(true);
    assert!(get("shop.billing").await.unwrap().is_none(), "it is known not to exist");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_store_away_known_clients_are_served_and_a_miss_is_unavailable_at_once() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (id, _) = new_tenant(&leader, "acme").await;
    let proxy = Proxy::to(db.address()).await;
    let store = db.try_store(Role::Server, Some(proxy.port)).await.unwrap();
    let server = Replica::start(store, ReplicaRole::Server).await;
    let scope = server.scope(id);
    assert!(server.live.client(&scope, "shop.billing").await.unwrap().is_some());
    for (away, how) in [(Proxy::close as fn(&Proxy, bool), "closed"), (Proxy::freeze as fn(&Proxy, bool), "frozen")] {
        away(&proxy, true);
        let start = Instant::now();
        let miss = server.live.client(&scope, "shop.other").await;
        assert!(matches!(miss, Err(StoreError::Unavailable(_))), "{how}: {miss:?}");
        assert!(start.elapsed() < Duration::from_secs(2), "{how}: {:?}", start.elapsed());
        eventually("it is known", || async { server.live.staleness() > Duration::from_millis(1500) }).await;
        assert!(server.live.client(&scope, "shop.billing").await.unwrap().is_some(), "{how}: from memory");
        let start = Instant::now();
        let miss = server.live.client(&scope, "shop.unknown").await;
        assert!(matches!(miss, Err(StoreError::Unavailable(_))), "{how}: {miss:?}");
        assert!(start.elapsed() < Duration::from_millis(100), "{how}: {:?}", start.elapsed());
        away(&proxy, false);
        let back = || async { matches!(server.live.client(&scope, how).await, Ok(None)) };
        eventually("it is back", back).await;
        assert!(server.live.refresh().await);
    }
}
