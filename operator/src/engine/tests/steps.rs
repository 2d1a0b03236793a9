//! Single steps of an engine that does not run by itself: what is rare in a run, or hardly seen from outside.

use std::time::{Duration, Instant};

use authly_model::{
    client::SecretHash,
    feed::Revision,
    ids::{Kind, ObjectRef, TenantId},
};
use authly_store::{Batch, PepperChange};
use serde_json::json;
use uuid::Uuid;

use super::{
    cluster::FakeCluster,
    lab::{Lab, QUICKSTART, in_shop},
};
use crate::engine::{
    Engine, Input,
    credentials::{Visit, Visited},
    index::Carried,
    tasks::{Done, Task},
};

/// An engine that has stored the quick start and has begun nothing else.
async fn engine() -> (Lab, Engine<FakeCluster>) {
    let mut lab = Lab::new().await;
    lab.apply(QUICKSTART).await;
    let mut engine = lab.engine().await;
    lab.inputs().into_iter().for_each(|input| engine.take(input));
    engine.load(Instant::now()).await.unwrap().unwrap();
    engine.reconcile("acme", Ok(())).await.unwrap();
    assert!(engine.ledger.tenants["acme"].has(&client()));
    (lab, engine)
}

fn client() -> ObjectRef {
    in_shop(Kind::OAuthClient, "billing")
}

fn visited(visit: Visit) -> Done {
    Done::Secret(Ok(Visited { visit, since: None, handled: None, rotating: None, due: None, swept: false, left: None }))
}

fn declare(lab: &Lab, engine: &mut Engine<FakeCluster>, manifest: &str) {
    let object = authly_desired::parse(manifest, "test").remove(0).unwrap().object;
    let declared = lab.declared(object.reference().unwrap(), Ok(object), true);
    engine.take(Input::Declared(Box::new(declared)));
}

#[tokio::test]
async fn a_visit_that_cannot_be_planned_is_due_again() {
    let (_lab, mut engine) = engine().await;
    engine.ledger.tenants.get_mut("acme").unwrap().keys = None;
    assert!(!engine.index.entries[&client()].credentials.due);
    engine.start_secret(&client(), &Task::Secret(client()));
    assert!(engine.index.entries[&client()].credentials.due);
}

#[tokio::test]
async fn a_next_value_that_every_server_has_waits_for_no_replica() {
    let (_lab, mut engine) = engine().await;
    for (passed, waits) in [(true, false), (false, true)] {
        engine.waiting_secrets.clear();
        let carried = Carried { passed, ..Carried::new(Revision { shard: 0, seq: 1 }) };
        engine.index.entries.get_mut(&client()).unwrap().credentials.carried = Some(carried);
        engine.finish(Task::Secret(client()), visited(Visit::Wait { ready: true })).unwrap();
        assert_eq!(engine.waiting_secrets.contains(&client()), waits, "passed: {passed}");
    }
}

#[tokio::test]
async fn a_client_that_became_one_without_secret_during_its_visit_keeps_none() {
    let (_lab, mut engine) = engine().await;
    engine.index.entries.get_mut(&client()).unwrap().credentials.client_id = None;
    engine.finish(Task::Secret(client()), visited(Visit::Commit { hashes: Vec::new(), ready: false })).unwrap();
    assert_eq!(engine.tasks.start(), Some(Task::Forget(client())));
    assert!(engine.hash_batch.due().is_none(), "nothing of it is stored");
}

#[tokio::test]
async fn what_is_not_stored_any_more_is_not_waited_for() {
    let (_lab, mut engine) = engine().await;
    engine.index.entries.get_mut(&client()).unwrap().carried = None;
    assert!(engine.waiting.contains(&client()));
    engine.arrived(&client());
    assert!(!engine.waiting.contains(&client()));
}

#[tokio::test]
async fn nothing_is_said_or_awaited_of_a_tenant_that_is_anothers() {
    let (_lab, mut engine) = engine().await;
    engine.index.entries.get_mut(&client()).unwrap().paused = Some("paused".to_owned());
    engine.waiting_secrets.insert(client());
    engine.leave("acme");
    let entry = &engine.index.entries[&client()];
    assert!(entry.paused.is_none() && entry.facts.is_none());
    assert!(engine.waiting.is_empty() && engine.waiting_secrets.is_empty());
}

#[tokio::test]
async fn peppers_are_read_again_after_a_commit_that_may_not_have_happened() {
    let (lab, mut engine) = engine().await;
    let asked = "apiVersion: authly.dev/v1alpha1\nkind: Tenant\nmetadata:\n  name: acme\n  \
                 annotations: {authly.dev/rotate-pepper-requested-at: now}\nspec: {}\n";
    declare(&lab, &mut engine, asked);
    // A tenant that the store does not have: it refuses the commit.
    engine.ledger.tenants.get_mut("acme").unwrap().id = TenantId(Uuid::from_u128(7));
    engine.change_pepper("acme").await.unwrap_err();
    assert!(engine.stale && engine.ledger.tenants["acme"].keys.is_none());
}

#[tokio::test]
async fn a_pepper_that_is_in_use_is_the_one_to_digest_under_even_after_a_restart() {
    let (_lab, mut engine) = engine().await;
    let held = &engine.ledger.tenants["acme"];
    let pepper = held.keys.as_ref().unwrap().new_pepper().unwrap();
    let hash = SecretHash { pepper_id: pepper.key_id.clone(), digest: vec![0; 32] };
    let change = PepperChange::Add(pepper, "now".to_owned());
    engine.leader.apply(held.id, Batch { pepper: Some(change), ..Batch::default() }).await.unwrap();
    for (hashes, newest) in [(Vec::new(), false), (vec![hash], true)] {
        let held = engine.ledger.tenants.get_mut("acme").unwrap();
        held.hashes.insert(client().object, hashes);
        held.keys = None;
        engine.unlock("acme").await.unwrap();
        assert_eq!(engine.ledger.tenants["acme"].uses_newest_pepper(), newest);
    }
}

#[tokio::test]
async fn requests_to_reconcile_read_the_store_once_a_batch_and_not_again_once_they_are_answered() {
    let (lab, mut engine) = engine().await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    engine.advance().await.unwrap();
    let asked = |value: &str| {
        format!(
            "apiVersion: authly.dev/v1alpha1\nkind: OAuthClient\nmetadata:\n  name: billing\n  namespace: shop\n  \
             annotations: {{authly.dev/reconcile-requested-at: {value}}}\nspec: {{tenantRef: {{name: acme}}, type: Service}}\n"
        )
    };
    declare(&lab, &mut engine, &asked("first"));
    assert!(engine.asked && !engine.stale, "the store is read with the batch");
    engine.ledger.tenants.get_mut("acme").unwrap().issuer = "of a ledger that is wrong".to_owned();
    tokio::time::sleep(Duration::from_millis(150)).await;
    engine.advance().await.unwrap();
    assert!(!engine.asked);
    assert_eq!(engine.ledger.tenants["acme"].issuer, "https://id.example/t/acme", "it was read");
    // A process that starts anew finds the request answered.
    lab.cluster.state().statuses.insert(client(), json!({"reconcileRequestedAt": "second"}));
    declare(&lab, &mut engine, &asked("second"));
    assert!(!engine.asked);
}
