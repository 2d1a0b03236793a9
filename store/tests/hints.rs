//! Hints that something changed: who hears of what, and what is not worth one.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/support.rs"]
mod support;

use std::time::{Duration, Instant};

use authly_store::{Hints, ReplicaRole};
use support::{Database, batch, eventually, new_tenant, policy, put_policy};

/// A connection that is made, and what moved before, give hints too.
async fn quiet(hints: &Hints) {
    while tokio::time::timeout(Duration::from_secs(1), hints.next()).await.is_ok() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_go_from_the_leader_to_replicas_and_back() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (id, _) = new_tenant(&leader, "acme").await;
    let _server = db.live(ReplicaRole::Server).await;
    let hints = leader.acknowledgements();
    let mut delays = Vec::new();
    for n in 0..5 {
        quiet(&hints).await;
        let start = Instant::now();
        leader.apply(id, batch(vec![put_policy(&policy("reports", &format!("// {n}")))])).await.unwrap();
        tokio::time::timeout(Duration::from_secs(20), hints.next()).await.expect("a replica moved");
        delays.push(start.elapsed());
    }
    println!("from apply to the hint of the replica: {delays:?}");
}

/// Revocations come by the hundred, and nobody waits for a replica's position because of one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_served_at_once_and_acknowledged_with_the_next_renewal() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (id, _) = new_tenant(&leader, "acme").await;
    let server = db.live(ReplicaRole::Server).await;
    let (committer, _stop) = server.committer();
    let hints = leader.acknowledgements();
    quiet(&hints).await;
    let expires = jiff::Timestamp::from_second(4_000_000_000).unwrap();
    for n in 0..5 {
        let jti = format!("t{n}");
        committer.revoke_token(&server.scope(id), &jti, expires, serde_json::json!({})).await.unwrap();
        assert!(server.live.refresh().await);
        assert!(server.live.snapshot().tenant(id).unwrap().revocations().is_token_revoked(&jti));
    }
    assert!(tokio::time::timeout(Duration::from_secs(1), hints.next()).await.is_err(), "no hint");
    let served = server.live.snapshot().position().clone();
    eventually("it is acknowledged", || async { leader.replicas().await.unwrap()[0].position == served }).await;
    let revision = leader.apply(id, batch(vec![put_policy(&policy("reports", "// new"))])).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), hints.next()).await.expect("a replica moved");
    assert!(leader.replicas().await.unwrap()[0].position.has_passed(revision));
}
