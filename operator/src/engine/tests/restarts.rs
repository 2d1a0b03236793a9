//! An engine that ends anywhere and starts again.

use authly_model::ids::Kind;
use authly_store::ReplicaRole::{Gateway, Server};
use std::time::Duration;

use super::lab::{Lab, QUICKSTART, in_shop, secret_place};
use crate::engine::{Input, condition};

#[tokio::test]
async fn a_restart_writes_nothing() {
    let mut lab = Lab::new().await;
    let _replicas = (lab.replica(Server).await, lab.replica(Gateway).await);
    lab.apply(QUICKSTART).await;
    lab.start().await;
    lab.until_all_ready().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    lab.stop().await.unwrap();
    let before = (revision(&lab).await, lab.client_secret(), lab.cluster.state().written);
    lab.start().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    lab.stop().await.unwrap();
    assert_eq!((revision(&lab).await, lab.client_secret(), lab.cluster.state().written), before);
}

async fn revision(lab: &Lab) -> authly_model::feed::Revision {
    lab.leader().await.stored().await.unwrap().remove(0).revision
}

#[tokio::test]
async fn a_stop_at_any_time_leaves_one_secret_that_works() {
    for millis in [0, 80, 160, 240, 340, 460] {
        let mut lab = Lab::new().await;
        let server = lab.replica(Server).await;
        lab.apply(QUICKSTART).await;
        lab.start().await;
        tokio::time::sleep(Duration::from_millis(millis)).await;
        lab.stop().await.unwrap();
        lab.start().await;
        lab.until(&in_shop(Kind::OAuthClient, "billing"), "Ready", "True/Programmed").await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        let snapshot = server.live.snapshot();
        let (acme, _) = snapshot.tenant_by_issuer("id.example", "/t/acme").unwrap();
        let scope = acme.scope(authly_store::Actor::Anonymous);
        let client = server.live.client(&scope, "shop.billing").await.unwrap().unwrap();
        assert_eq!(client.secrets.len(), 1, "stopped after {millis} ms");
        assert!(!lab.cluster.state().secrets[&secret_place()].data.contains_key("client_secret_next"));
        lab.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_secret_deleted_by_hand_comes_back_with_a_new_value() {
    let mut lab = Lab::new().await;
    let _server = lab.replica(Server).await;
    lab.apply(QUICKSTART).await;
    lab.start().await;
    let client = in_shop(Kind::OAuthClient, "billing");
    lab.until(&client, "Ready", "True/Programmed").await;
    let lost = lab.client_secret();
    lab.cluster.state().secrets.clear();
    lab.send(Input::Secrets { namespace: "shop".to_owned(), name: Some("billing-oauth".to_owned()) }).await;
    lab.eventually("a new value", || lab.client_secret().is_some_and(|secret| Some(secret) != lost)).await;
    lab.until(&client, "Ready", "True/Programmed").await;
    lab.stop().await.unwrap();
}

#[tokio::test]
async fn a_thousand_clients_take_few_commits_hardly_a_read_and_one_status_each() {
    const CLIENTS: usize = 1000;
    let mut lab = Lab::new().await;
    let _replicas = (lab.replica(Server).await, lab.replica(Gateway).await);
    lab.apply(QUICKSTART).await;
    let client = |i| {
        format!(
            "---\napiVersion: authly.dev/v1alpha1\nkind: OAuthClient\nmetadata: {{name: c{i}, namespace: shop}}\nspec: {{tenantRef: {{name: acme}}, type: Service}}\n"
        )
    };
    lab.apply(&(0..CLIENTS).map(client).collect::<String>()).await;
    lab.start().await;
    let all_ready = || {
        let state = lab.cluster.state();
        state.statuses.values().filter(|status| condition::ready(status).is_some_and(|(ready, ..)| ready)).count()
            == CLIENTS + 5
    };
    lab.eventually("all are ready", all_ready).await;
    lab.stop().await.unwrap();
    assert!(lab.cluster.state().written < 2 * CLIENTS, "statuses: {}", lab.cluster.state().written);
    assert!(lab.cluster.state().read < CLIENTS / 10, "reads of Secrets: {}", lab.cluster.state().read);
    assert!(revision(&lab).await.seq < 60, "commits: {}", revision(&lab).await.seq);
}
