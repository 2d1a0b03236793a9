//! Rotation of signing keys, as statuses tell it and replicas serve it.

use std::time::Duration;

use authly_store::{
    LiveKey,
    ReplicaRole::{Gateway, Server},
};
use serde_json::Value;

use super::lab::{Lab, QUICKSTART, Replica, tenant};

fn requested(at: &str) -> String {
    let annotated = format!("metadata: {{name: acme, annotations: {{authly.dev/rotate-requested-at: '{at}'}}}}");
    QUICKSTART.replace("metadata: {name: acme}", &annotated)
}

fn with_keys(spec: &str) -> String {
    QUICKSTART.replace("displayName: Acme", &format!("displayName: Acme\n  signingKeys: {spec}"))
}

/// `use/state` of each key in status, sorted.
fn states(lab: &Lab) -> String {
    let state = lab.cluster.state();
    let keys = state.statuses.get(&tenant("acme")).and_then(|status| status["signingKeys"].as_array()).cloned();
    let text = |key: &Value| format!("{}/{}", key["use"].as_str().unwrap(), key["state"].as_str().unwrap());
    let mut all: Vec<String> = keys.unwrap_or_default().iter().map(text).collect();
    all.sort();
    all.join(" ")
}

fn kid(lab: &Lab, key_use: &str, state: &str) -> String {
    let all = lab.cluster.state().statuses[&tenant("acme")]["signingKeys"].clone();
    let found = all.as_array().unwrap().iter().find(|key| key["use"] == key_use && key["state"] == state);
    found.unwrap()["kid"].as_str().unwrap().to_owned()
}

fn served(replica: &Replica) -> Vec<LiveKey> {
    let snapshot = replica.live.snapshot();
    let (acme, _) = snapshot.tenant_by_issuer("id.example", "/t/acme").unwrap();
    acme.keys.clone()
}

const BEGUN: &str = "token/active token/next url/active url/next";
const DONE: &str = "token/active token/retiring url/active url/retiring";

#[tokio::test]
async fn a_request_rotates_once_however_often_the_engine_starts_again() {
    let mut lab = Lab::new().await;
    let (server, _gateway) = (lab.replica(Server).await, lab.replica(Gateway).await);
    lab.apply(QUICKSTART).await;
    lab.start().await;
    lab.until_all_ready().await;
    let first = kid(&lab, "token", "active");
    lab.apply(&requested("2026-11-26T08:00:00Z")).await;
    lab.eventually("the next keys", || states(&lab) == BEGUN).await;
    assert!(lab.condition(&tenant("acme"), "RotationInProgress").starts_with("True/NextKey"));
    assert_eq!(lab.condition(&tenant("acme"), "Ready"), "True/Programmed");
    for _ in 0..4 {
        lab.stop().await.unwrap();
        lab.start().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    lab.eventually("the new keys sign", || states(&lab) == DONE).await;
    assert_eq!(kid(&lab, "token", "retiring"), first);
    assert_eq!(lab.condition(&tenant("acme"), "RotationInProgress"), "");
    assert_eq!(lab.cluster.state().statuses[&tenant("acme")]["rotateRequestedAt"], "2026-11-26T08:00:00Z");
    lab.eventually("the server serves them", || served(&server).len() == 4).await;
    lab.stop().await.unwrap();
    lab.start().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(states(&lab), DONE, "the request is done");
    lab.stop().await.unwrap();
}

#[tokio::test]
async fn no_key_signs_before_a_server_was_seen_to_publish_it() {
    let mut lab = Lab::new().await;
    lab.apply(&requested("now")).await;
    lab.start().await;
    lab.eventually("the next keys", || states(&lab) == BEGUN).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(states(&lab), BEGUN);
    assert_eq!(lab.condition(&tenant("acme"), "RotationInProgress"), "True/NextKeyPending");
    let _server = lab.replica(Server).await;
    lab.eventually("the new keys sign", || states(&lab) == DONE).await;
    lab.stop().await.unwrap();
}

#[tokio::test]
async fn another_algorithm_is_a_rotation_and_the_tenant_stays_ready() {
    let mut lab = Lab::new().await;
    let (server, _gateway) = (lab.replica(Server).await, lab.replica(Gateway).await);
    lab.apply(QUICKSTART).await;
    lab.start().await;
    lab.until_all_ready().await;
    lab.apply(&with_keys("{algorithm: ES256}")).await;
    lab.until(&tenant("acme"), "Ready", "True/Programmed").await;
    let all = "token/active token/retiring url/active";
    lab.eventually("ES256 signs", || states(&lab) == all).await;
    let active = kid(&lab, "token", "active");
    let says = |key: &LiveKey| key.kid == active && key.algorithm.as_str() == "ES256" && key.state.as_str() == "active";
    lab.eventually("the server serves it", || served(&server).iter().any(says)).await;
    lab.stop().await.unwrap();
}

#[tokio::test]
async fn a_revoked_key_is_gone_at_once_and_something_signs_instead() {
    let mut lab = Lab::new().await;
    let (server, gateway) = (lab.replica(Server).await, lab.replica(Gateway).await);
    lab.apply(QUICKSTART).await;
    lab.start().await;
    lab.until_all_ready().await;
    let (token, url) = (kid(&lab, "token", "active"), kid(&lab, "url", "active"));
    lab.apply(&with_keys(&format!("{{revoked: ['{token}', '{url}', no-such-key]}}"))).await;
    lab.eventually("others sign", || {
        states(&lab) == "token/active url/active" && kid(&lab, "token", "active") != token
    })
    .await;
    for replica in [&server, &gateway] {
        let gone = || {
            let keys = served(replica);
            keys.len() == 2 && keys.iter().all(|key| key.kid != token && key.kid != url)
        };
        lab.eventually("replicas know", gone).await;
    }
    lab.stop().await.unwrap();
}
