//! Change of the pepper: the secret in the Secret stays, its digest moves, the old pepper goes.

use std::time::Duration;

use authly_secrets::{ClientSecret, KeyPurpose, UnlockedTenant};
use authly_store::{
    Actor,
    ReplicaRole::{Gateway, Server},
    Role, Store, TenantScope,
};

use super::lab::{Lab, QUICKSTART, Replica, in_shop, kek, tenant};
use authly_model::ids::Kind;

fn requested(at: &str) -> String {
    let annotated = format!("metadata: {{name: acme, annotations: {{authly.dev/rotate-pepper-requested-at: '{at}'}}}}");
    QUICKSTART.replace("metadata: {name: acme}", &annotated)
}

fn scope(server: &Replica) -> TenantScope {
    let snapshot = server.live.snapshot();
    let (acme, _) = snapshot.tenant_by_issuer("id.example", "/t/acme").unwrap();
    acme.scope(Actor::Anonymous)
}

async fn peppers(store: &Store, server: &Replica) -> Vec<String> {
    let rows = store.tenant_keys(&scope(server)).await.unwrap();
    rows.into_iter().filter(|row| row.purpose == KeyPurpose::Pepper).map(|row| row.key_id).collect()
}

/// Whether a server that unlocks the keys now takes the secret that a Pod reads now.
async fn works(lab: &Lab, store: &Store, server: &Replica) -> bool {
    let scope = scope(server);
    let rows = store.tenant_keys(&scope).await.unwrap();
    let unlocked = UnlockedTenant::unlock(&kek(), scope.tenant(), &rows).unwrap();
    let client = server.live.client(&scope, "shop.billing").await.unwrap().unwrap();
    let secret = ClientSecret::parse(&lab.client_secret().unwrap()).unwrap();
    unlocked.check_secret(&secret, &client.secrets)
}

#[tokio::test]
async fn a_second_request_during_a_change_is_that_change() {
    let mut lab = Lab::new().await;
    // No server is there to know the new pepper, so the change stands still.
    let gateway = lab.replica(Gateway).await;
    let store = lab.store(Role::Server, None).await;
    lab.apply(QUICKSTART).await;
    lab.start().await;
    lab.until(&tenant("acme"), "Accepted", "True/Accepted").await;
    let begun =
        |lab: &Lab, request: &str| lab.cluster.state().statuses[&tenant("acme")]["pepperRequestedAt"] == request;
    for request in ["first", "second"] {
        lab.apply(&requested(request)).await;
        lab.eventually("it has begun", || begun(&lab, request)).await;
    }
    lab.eventually("the gateway knows the tenant", || gateway.live.snapshot().tenants().count() == 1).await;
    let during = peppers(&store, &gateway).await;
    assert_eq!(during.len(), 2, "one change");
    let server = lab.replica(Server).await;
    lab.until(&in_shop(Kind::OAuthClient, "billing"), "Ready", "True/Programmed").await;
    lab.eventually("nothing is under way", || lab.condition(&tenant("acme"), "RotationInProgress").is_empty()).await;
    assert_eq!(peppers(&store, &server).await, during[..1], "the new one stays");
    assert!(works(&lab, &store, &server).await);
    lab.stop().await.unwrap();
}

#[tokio::test]
async fn digests_move_to_the_new_pepper_and_the_secret_works_all_the_time() {
    let mut lab = Lab::new().await;
    let (server, _gateway) = (lab.replica(Server).await, lab.replica(Gateway).await);
    let store = lab.store(Role::Server, None).await;
    lab.apply(QUICKSTART).await;
    lab.start().await;
    lab.until_all_ready().await;
    let (secret, before) = (lab.client_secret(), peppers(&store, &server).await);
    assert_eq!(before.len(), 1);
    lab.apply(&requested("2026-11-26T08:00:00Z")).await;
    let mut stopped = 0;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        assert!(works(&lab, &store, &server).await, "the secret does not work");
        let now = peppers(&store, &server).await;
        if now.len() == 1 && now != before {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{now:?}");
        // An engine that ends anywhere is followed by one that goes on.
        if now.len() > 1 && stopped < 3 {
            stopped += 1;
            lab.stop().await.unwrap();
            lab.start().await;
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    assert!(stopped > 0, "it was never interrupted");
    assert_eq!(lab.client_secret(), secret);
    lab.until(&tenant("acme"), "Ready", "True/Programmed").await;
    lab.until(&in_shop(Kind::OAuthClient, "billing"), "Ready", "True/Programmed").await;
    let done = || {
        let state = lab.cluster.state();
        state.statuses[&tenant("acme")]["pepperRequestedAt"] == "2026-11-26T08:00:00Z"
    };
    lab.eventually("the status says so", done).await;
    lab.eventually("nothing is under way", || lab.condition(&tenant("acme"), "RotationInProgress").is_empty()).await;
    let after = peppers(&store, &server).await;
    lab.stop().await.unwrap();
    lab.start().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(peppers(&store, &server).await, after, "the request is done");
    lab.stop().await.unwrap();
}
