//! The Secret of one client, killed at every write, rotated, and everything that people do to it by hand.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::{
    cluster::Fault,
    world::{OVERLAP, world},
};
use crate::engine::{
    SecretData, SecretObject,
    credentials::{CredentialsError, Guess, Visit, visit},
    slots::{CURRENT, NEXT, PREVIOUS},
};

#[tokio::test]
async fn client_secret_appears_only_once_it_works() {
    let mut world = world();
    let first = visit(&world.cluster, &world.plan).await.unwrap();
    assert!(matches!(first.visit, Visit::Commit { ready: false, .. }) && first.rotating.is_none());
    assert!(world.hash(NEXT).is_some() && world.hash(CURRENT).is_none());
    world.step().await.unwrap();
    assert_eq!(visit(&world.cluster, &world.plan).await.unwrap().visit, Visit::Wait { ready: false });
    assert!(world.hash(CURRENT).is_none());
    world.settle().await;
    world.is_settled();
}

#[tokio::test]
async fn a_kill_at_any_write_converges_to_one_value_and_one_hash() {
    for at in 0..4 {
        for fault in [Fault::Lost, Fault::Unanswered] {
            let mut world = world();
            world.cluster.state().fault = Some((at, fault));
            world.settle().await;
            world.is_settled();
            // The Secret is deleted by hand, and the replacement is killed too.
            world.cluster.state().secrets.clear();
            world.cluster.state().fault = Some((at, fault));
            world.plan.programmed = false;
            world.settle().await;
            world.pass(OVERLAP);
            world.settle().await;
            world.is_settled();
        }
    }
}

#[tokio::test]
async fn a_kill_at_any_write_of_a_rotation_converges_and_the_value_before_works_for_the_overlap() {
    for at in 0..4 {
        for fault in [Fault::Lost, Fault::Unanswered] {
            let mut world = world();
            world.settle().await;
            let before = world.hash(CURRENT);
            world.plan.rotation.requested = Some("now".to_owned());
            world.cluster.state().fault = Some((at, fault));
            world.settle().await;
            let current = world.hash(CURRENT);
            assert!(current.is_some() && current != before && world.hash(PREVIOUS) == before);
            // A process that starts anew and finds an old status, or none, keeps it for longer, never for shorter.
            world.plan.rotation.since = None;
            world.settle().await;
            world.pass(OVERLAP);
            world.settle().await;
            world.is_settled();
            assert_eq!(world.hash(CURRENT), current, "one request, one rotation");
        }
    }
}

#[tokio::test]
async fn a_request_counts_once_and_waits_for_the_overlap_of_the_one_before() {
    let mut world = world();
    world.plan.rotation.requested = Some("1".to_owned());
    world.settle().await;
    let first = world.hash(CURRENT).unwrap();
    assert_eq!(world.last().handled.as_deref(), Some("1"), "a new value answers what was asked before");
    assert!(world.last().rotating.is_none() && world.last().due.is_none());
    world.plan.rotation.requested = Some("2".to_owned());
    world.settle().await;
    let second = world.hash(CURRENT).unwrap();
    assert_ne!(first, second);
    assert_eq!(world.last().handled.as_deref(), Some("2"));
    let end = world.last().due.unwrap();
    assert!(world.last().rotating.as_ref().unwrap().contains("works until"), "{:?}", world.last());
    world.plan.rotation.requested = Some("3".to_owned());
    world.settle().await;
    assert_eq!(world.hash(CURRENT).as_ref(), Some(&second));
    assert_eq!(world.last().handled.as_deref(), Some("2"));
    assert!(world.last().rotating.as_ref().unwrap().contains("begins then") && world.last().due == Some(end));
    world.pass(OVERLAP);
    world.settle().await;
    assert_eq!(world.last().handled.as_deref(), Some("3"));
    assert_eq!(world.hash(PREVIOUS), Some(second));
    assert_eq!(world.plan.stored.len(), 2, "the first is dropped");
    world.plan.rotation.requested = None;
    world.pass(OVERLAP);
    world.settle().await;
    world.is_settled();
}

#[tokio::test]
async fn a_schedule_rotates_when_its_time_has_come_and_no_overlap_is_no_overlap() {
    let mut world = world();
    world.plan.rotation.every = Some(SignedDuration::from_secs(7200));
    world.plan.rotation.overlap = SignedDuration::ZERO;
    world.settle().await;
    for _ in 0..3 {
        let before = world.hash(CURRENT);
        let due = world.last().due.unwrap();
        assert_eq!(due, world.last().since.as_ref().unwrap().at + SignedDuration::from_secs(7200));
        world.pass(SignedDuration::from_secs(7100));
        world.settle().await;
        assert_eq!(world.hash(CURRENT), before);
        world.pass(SignedDuration::from_secs(100));
        world.settle().await;
        assert_ne!(world.hash(CURRENT), before);
        world.pass(SignedDuration::from_secs(1));
        world.settle().await;
        world.is_settled();
    }
}

#[tokio::test]
async fn a_kill_before_the_hash_is_committed_keeps_the_value() {
    let mut world = world();
    visit(&world.cluster, &world.plan).await.unwrap();
    let value = world.hash(NEXT);
    visit(&world.cluster, &world.plan).await.unwrap();
    assert_eq!(world.hash(NEXT), value);
    world.settle().await;
    assert_eq!(world.hash(CURRENT), value);
}

#[tokio::test]
async fn a_guess_that_is_wrong_is_noticed_before_anything_is_lost() {
    // A new client whose Secret is there already, as after a restore.
    let mut world = world();
    world.settle().await;
    let before = world.hash(CURRENT);
    (world.plan.stored, world.plan.guess) = (Vec::new(), Some(Guess::Missing));
    world.settle().await;
    assert_eq!(world.hash(CURRENT), before);
    world.is_settled();
    // A Secret that is not ours.
    let foreign = SecretObject { version: "1".to_owned(), ..SecretObject::default() };
    world.cluster.state().secrets.insert(world.plan.at.clone(), foreign.clone());
    (world.plan.stored, world.plan.guess) = (Vec::new(), Some(Guess::Missing));
    let error = visit(&world.cluster, &world.plan).await.unwrap_err();
    assert!(matches!(error, CredentialsError::NotOurs(_)) && world.secret() == Some(foreign), "{error}");
    // One that went, or changed, while the servers learned the hash of its value.
    for changes in [false, true] {
        let mut world = super::world::world();
        let left = visit(&world.cluster, &world.plan).await.unwrap().left.unwrap();
        world.step().await.unwrap();
        let promised = world.hash(NEXT).unwrap();
        {
            let mut state = world.cluster.state();
            let secret = state.secrets.remove(&world.plan.at).unwrap();
            if changes {
                let data = BTreeMap::from([(CURRENT.to_owned(), secret.data[NEXT].clone())]);
                state
                    .secrets
                    .insert(world.plan.at.clone(), SecretObject { version: "changed".to_owned(), data, ..secret });
            }
        }
        (world.plan.guess, world.plan.programmed) = (Some(Guess::Left(left)), true);
        world.settle().await;
        assert_eq!(world.hash(CURRENT).as_ref() == Some(&promised), changes, "a value that is gone never comes back");
        world.pass(OVERLAP);
        world.settle().await;
        world.is_settled();
    }
}

#[tokio::test]
async fn the_lost_value_works_until_its_successor_does() {
    let mut world = world();
    world.settle().await;
    let lost = world.hash(CURRENT).unwrap();
    world.cluster.state().secrets.clear();
    world.plan.programmed = false;
    world.step().await.unwrap();
    assert_eq!(world.plan.stored.len(), 2);
    assert!(world.plan.stored.contains(&lost));
    world.settle().await;
    assert!(world.plan.stored.contains(&lost), "for the overlap");
    world.pass(OVERLAP);
    world.settle().await;
    world.is_settled();
    assert!(!world.plan.stored.contains(&lost));
}

#[tokio::test]
async fn a_secret_that_is_not_ours_is_never_touched() {
    for owner in [None, Some("default/OAuthClient/shop/other".to_owned())] {
        let world = world();
        let foreign = SecretObject {
            version: "1".to_owned(),
            owner,
            data: BTreeMap::from([("password".to_owned(), SecretData::new("hunter2"))]),
            ..SecretObject::default()
        };
        world.cluster.state().secrets.insert(world.plan.at.clone(), foreign.clone());
        let error = visit(&world.cluster, &world.plan).await.unwrap_err();
        assert!(matches!(error, CredentialsError::NotOurs(_)), "{error}");
        assert!(!error.to_string().contains("hunter2") && !format!("{foreign:?}").contains("hunter2"));
        assert_eq!(world.secret(), Some(foreign));
    }
}

#[tokio::test]
async fn drift_is_repaired_and_a_restored_store_adopts_the_secret() {
    let mut world = world();
    world.settle().await;
    let before = world.hash(CURRENT);
    {
        let mut state = world.cluster.state();
        let secret = state.secrets.get_mut(&world.plan.at).unwrap();
        secret.labels.insert("team".to_owned(), "other".to_owned());
        secret.labels.insert("kept".to_owned(), "yes".to_owned());
        secret.data.insert("client_id".to_owned(), SecretData::new("wrong"));
    }
    world.settle().await;
    world.is_settled();
    assert_eq!(world.secret().unwrap().labels["kept"], "yes");
    // A backup from before the client: the value in the Secret becomes valid again.
    world.plan.stored.clear();
    world.settle().await;
    assert_eq!(world.hash(CURRENT), before);
    world.is_settled();
}

#[tokio::test]
async fn a_value_that_is_no_client_secret_is_replaced() {
    let mut world = world();
    world.settle().await;
    {
        let mut state = world.cluster.state();
        let secret = state.secrets.get_mut(&world.plan.at).unwrap();
        secret.data.insert(CURRENT.to_owned(), SecretData::new("changeme"));
    }
    world.plan.programmed = false;
    world.settle().await;
    world.pass(OVERLAP);
    world.settle().await;
    world.is_settled();
}
