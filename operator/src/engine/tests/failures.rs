//! What others do wrong: a store that is away, a grant that is missing, a Secret that is not ours.

use std::collections::BTreeMap;

use authly_model::ids::Kind;
use authly_store::ReplicaRole::{Gateway, Server};

use super::{
    cluster::Fault,
    lab::{Lab, QUICKSTART, in_shop, secret_place, tenant},
};
use crate::engine::{EngineError, Input, SecretData, SecretObject};

#[tokio::test]
async fn without_the_store_nothing_looks_ready_and_all_of_it_mends_itself() {
    let mut lab = Lab::new().await;
    let _replicas = (lab.replica(Server).await, lab.replica(Gateway).await);
    lab.apply(QUICKSTART).await;
    lab.start().await;
    lab.until_all_ready().await;
    lab.proxy.cut();
    lab.apply(&QUICKSTART.replace("displayName: Acme", "displayName: Acme Ltd")).await;
    lab.until(&tenant("acme"), "Ready", "False/StoreUnavailable").await;
    assert_eq!(lab.condition(&tenant("acme"), "Reconciling"), "True/StoreUnavailable");
    assert_eq!(lab.condition(&tenant("acme"), "Stalled"), "");
    lab.proxy.mend();
    lab.until_all_ready().await;
    assert_eq!(lab.condition(&tenant("acme"), "Reconciling"), "");
    lab.stop().await.unwrap();
}

#[tokio::test]
async fn a_newer_leader_ends_this_one_at_its_next_write() {
    let mut lab = Lab::new().await;
    let _server = lab.replica(Server).await;
    lab.apply(QUICKSTART).await;
    lab.start().await;
    lab.until(&in_shop(Kind::OAuthClient, "billing"), "Ready", "True/Programmed").await;
    let newer = lab.leader().await;
    lab.apply(&QUICKSTART.replace("displayName: Acme", "displayName: Acme Ltd")).await;
    assert_eq!(lab.ended().await, Err(EngineError::Fenced));
    assert_eq!(newer.stored().await.unwrap()[0].tenant.display_name, "Acme");
}

#[tokio::test]
async fn a_namespace_without_grant_says_so_and_recovers() {
    let mut lab = Lab::new().await;
    let _server = lab.replica(Server).await;
    lab.cluster.state().denied.insert("shop".to_owned());
    lab.apply(QUICKSTART).await;
    lab.start().await;
    let client = in_shop(Kind::OAuthClient, "billing");
    lab.until(&client, "ResolvedRefs", "False/SecretAccessDenied").await;
    lab.until(&client, "Programmed", "True/Programmed").await;
    assert_eq!(lab.condition(&client, "Ready"), "False/SecretAccessDenied");
    lab.cluster.state().denied.clear();
    lab.send(Input::Secrets { namespace: "shop".to_owned(), name: None }).await;
    lab.until(&client, "Ready", "True/Programmed").await;
    lab.stop().await.unwrap();
}

#[tokio::test]
async fn a_foreign_secret_is_refused_until_it_is_gone() {
    let mut lab = Lab::new().await;
    let _server = lab.replica(Server).await;
    let data = BTreeMap::from([("password".to_owned(), SecretData::new("hunter2"))]);
    let foreign = SecretObject { version: "1".to_owned(), data, ..SecretObject::default() };
    lab.cluster.state().secrets.insert(secret_place(), foreign.clone());
    lab.apply(QUICKSTART).await;
    lab.start().await;
    let client = in_shop(Kind::OAuthClient, "billing");
    lab.until(&client, "ResolvedRefs", "False/SecretNotOwned").await;
    assert_eq!(lab.cluster.state().secrets[&secret_place()], foreign);
    lab.cluster.state().secrets.clear();
    lab.send(Input::Secrets { namespace: "shop".to_owned(), name: Some("billing-oauth".to_owned()) }).await;
    lab.until(&client, "Ready", "True/Programmed").await;
    lab.stop().await.unwrap();
}

#[tokio::test]
async fn a_write_that_fails_is_tried_again() {
    for fault in [Fault::Lost, Fault::Unanswered] {
        let mut lab = Lab::new().await;
        let _server = lab.replica(Server).await;
        lab.cluster.state().fault = Some((1, fault));
        lab.apply(QUICKSTART).await;
        lab.start().await;
        lab.until(&in_shop(Kind::OAuthClient, "billing"), "Ready", "True/Programmed").await;
        let held = lab.leader().await.stored().await.unwrap().remove(0).client_secrets;
        assert!(held.values().all(|hashes| hashes.len() == 1), "{held:?}");
    }
}
