//! Tombstones that have grown old.

use std::time::{Duration, Instant};

use authly_store::StoredTenant;

use super::lab::{Lab, QUICKSTART, tenant};

fn deletable() -> String {
    QUICKSTART.replace("displayName: Acme", "displayName: Acme\n  deletionPolicy: Delete\n  purgeAfter: 1s")
}

/// A laboratory whose tenant was deleted longer ago than its `purgeAfter`, while no operator runs; and that tenant.
async fn long_deleted() -> (Lab, StoredTenant) {
    let mut lab = Lab::new().await;
    lab.apply(&deletable()).await;
    lab.start().await;
    lab.eventually("the finalizer", || lab.cluster.state().finalizers.contains(&tenant("acme"))).await;
    lab.until(&tenant("acme"), "Accepted", "True/Accepted").await;
    lab.delete_with_finalizer(&tenant("acme")).await;
    lab.eventually("the finalizer goes", || lab.cluster.state().finalizers.is_empty()).await;
    lab.delete(&tenant("acme")).await;
    lab.stop().await.unwrap();
    let stored = stored(&lab).await.unwrap();
    assert!(stored.stored.tombstoned);
    tokio::time::sleep(Duration::from_secs(2)).await;
    (lab, stored)
}

/// The tenant, unless it was purged. Looking takes over from every engine.
async fn stored(lab: &Lab) -> Option<StoredTenant> {
    lab.leader().await.stored().await.unwrap().pop()
}

#[tokio::test]
async fn a_tenant_that_is_declared_again_is_not_purged_however_late_the_operator_hears_of_it() {
    let annotated = "metadata: {name: acme, annotations: {authly.dev/paused: 'true'}}";
    let paused = deletable().replace("metadata: {name: acme}", annotated);
    let refused = deletable().replace("displayName: Acme", "issuer: https://elsewhere.example");
    for (again, condition, says, is_restored) in [
        (deletable(), "Accepted", "True/Accepted", true),
        (refused, "Accepted", "False/IssuerImmutable", false),
        (paused, "Paused", "True/Paused", false),
    ] {
        let (mut lab, before) = long_deleted().await;
        lab.apply(&again).await;
        lab.start().await;
        lab.eventually(says, || lab.condition(&tenant("acme"), condition) == says).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        lab.stop().await.unwrap();
        let after = stored(&lab).await.expect(says);
        assert_eq!((after.id, after.stored.tombstoned), (before.id, !is_restored), "{says}");
        assert_eq!(after.keys.len(), before.keys.len(), "{says}");
    }
}

#[tokio::test]
async fn what_is_not_declared_is_purged_once_everything_could_be_read() {
    let (mut lab, _) = long_deleted().await;
    for incomplete in [true, false] {
        lab.incomplete = incomplete;
        lab.start().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        lab.stop().await.unwrap();
        assert_eq!(stored(&lab).await.is_some(), incomplete);
    }
}

#[tokio::test]
async fn a_look_that_finds_the_store_unknown_is_over_until_the_next_one() {
    let (lab, _) = long_deleted().await;
    let mut engine = lab.engine().await;
    lab.inputs().into_iter().for_each(|input| engine.take(input));
    engine.load(Instant::now()).await.unwrap().unwrap();
    engine.stale = true;
    let now = Instant::now();
    engine.purge(now).await.unwrap();
    assert_eq!(engine.purge_read, Some(now), "the loop would wake at once, again and again");
}
