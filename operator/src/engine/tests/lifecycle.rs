//! From the first manifest to the last deletion.

use authly_model::ids::{Kind, ObjectRef};
use authly_store::ReplicaRole::{Gateway, Server};

use super::lab::{Lab, QUICKSTART, in_shop, secret_place, tenant};
use crate::engine::{Input, NoticeKind};

#[tokio::test]
async fn the_quick_start_becomes_ready_and_the_secret_works() {
    let mut lab = Lab::new().await;
    let (server, _gateway) = (lab.replica(Server).await, lab.replica(Gateway).await);
    lab.apply(QUICKSTART).await;
    lab.start().await;
    lab.until_all_ready().await;
    let status = lab.cluster.state().statuses[&in_shop(Kind::OAuthClient, "billing")].clone();
    assert_eq!(status["clientId"], "shop.billing");
    assert_eq!(status["secretName"], "billing-oauth");
    assert_eq!(lab.cluster.state().statuses[&tenant("acme")]["issuer"], "https://id.example/t/acme");
    {
        let state = lab.cluster.state();
        let secret = &state.secrets[&secret_place()];
        assert_eq!(secret.data.keys().collect::<Vec<_>>(), ["client_id", "client_secret", "issuer", "token_endpoint"]);
        assert_eq!(secret.data["token_endpoint"].text(), Some("https://id.example/t/acme/token"));
    }
    let snapshot = server.live.snapshot();
    let (acme, _) = snapshot.tenant_by_issuer("id.example", "/t/acme").unwrap();
    let scope = acme.scope(authly_store::Actor::Anonymous);
    let client = server.live.client(&scope, "shop.billing").await.unwrap().unwrap();
    assert_eq!(client.secrets.len(), 1);
    lab.stop().await.unwrap();
}

#[tokio::test]
async fn programmed_waits_for_the_roles_that_serve_the_object() {
    let mut lab = Lab::new().await;
    lab.apply(QUICKSTART).await;
    lab.start().await;
    let (client, policy) = (in_shop(Kind::OAuthClient, "billing"), in_shop(Kind::AccessPolicy, "reports"));
    for object in [&tenant("acme"), &client, &policy] {
        lab.until(object, "Programmed", "False/NoReplicas").await;
    }
    assert_eq!(lab.client_secret(), None, "no Pod reads a secret that does not work");
    let _server = lab.replica(Server).await;
    lab.until(&client, "Ready", "True/Programmed").await;
    lab.until(&tenant("acme"), "Ready", "True/Programmed").await;
    assert_eq!(lab.condition(&policy, "Programmed"), "False/NoReplicas");
    let _gateway = lab.replica(Gateway).await;
    lab.until_all_ready().await;
    lab.stop().await.unwrap();
}

#[tokio::test]
async fn a_bad_edit_keeps_the_last_good_one_and_says_so() {
    let mut lab = Lab::new().await;
    let _replicas = (lab.replica(Server).await, lab.replica(Gateway).await);
    lab.apply(QUICKSTART).await;
    lab.start().await;
    lab.until_all_ready().await;
    let bad = QUICKSTART.replace("permit (principal, action", "permit (principal; action");
    lab.apply(&bad).await;
    let policy = in_shop(Kind::AccessPolicy, "reports");
    lab.until(&policy, "Ready", "False/PolicyInvalid").await;
    assert_eq!(lab.condition(&policy, "Stalled"), "True/PolicyInvalid");
    assert_eq!(lab.condition(&policy, "Programmed"), "False/NotAccepted");
    let warned = |notice: &(ObjectRef, crate::engine::Notice)| {
        notice.0 == policy && notice.1.kind == NoticeKind::Warning && notice.1.reason == "PolicyInvalid"
    };
    lab.eventually("an Event", || lab.cluster.state().notices.iter().any(warned)).await;
    let stored = lab.leader().await.stored().await;
    assert!(stored.is_ok_and(|all| all[0].stored.objects.contains_key(&policy)), "the row stays");
    // Looking at the store took over from the engine.
    let _ = lab.stop().await;
    lab.start().await;
    lab.apply(QUICKSTART).await;
    lab.until_all_ready().await;
    assert_eq!(lab.condition(&policy, "Stalled"), "");
    lab.stop().await.unwrap();
}

#[tokio::test]
async fn what_does_not_parse_is_reported_and_stops_nothing() {
    let mut lab = Lab::new().await;
    let _replicas = (lab.replica(Server).await, lab.replica(Gateway).await);
    lab.apply(QUICKSTART).await;
    lab.start().await;
    lab.until_all_ready().await;
    let route = in_shop(Kind::SignedUrlRoute, "reports");
    let declared = lab.declared(route.clone(), Err("unknown variant `TELEPORT`".to_owned()), true);
    lab.send(Input::Declared(Box::new(declared))).await;
    lab.until(&route, "Ready", "False/Malformed").await;
    let stranger = in_shop(Kind::SignedUrlRoute, "stranger");
    let declared = lab.declared(stranger.clone(), Err("missing field `hosts`".to_owned()), true);
    lab.send(Input::Declared(Box::new(declared))).await;
    lab.until(&stranger, "Accepted", "False/Malformed").await;
    lab.apply(&QUICKSTART.replace("displayName: Acme", "displayName: Acme Ltd")).await;
    lab.until_all_ready().await;
    lab.stop().await.unwrap();
}

#[tokio::test]
async fn below_a_tenant_always_deletes_and_a_retained_tenant_keeps_serving() {
    let mut lab = Lab::new().await;
    let server = lab.replica(Server).await;
    lab.apply(QUICKSTART).await;
    lab.start().await;
    lab.until(&in_shop(Kind::OAuthClient, "billing"), "Ready", "True/Programmed").await;
    // The Tenant first: its children do not hang, and what was not deleted keeps serving.
    lab.delete(&tenant("acme")).await;
    lab.until(&in_shop(Kind::SignedUrlRoute, "reports"), "Ready", "False/TenantNotFound").await;
    lab.delete(&in_shop(Kind::OAuthClient, "billing")).await;
    lab.eventually("the Secret goes", || lab.cluster.state().secrets.is_empty()).await;
    lab.eventually("the client goes", || {
        let snapshot = server.live.snapshot();
        let (acme, _) = snapshot.tenant_by_issuer("id.example", "/t/acme").unwrap();
        acme.is_serving() && acme.route("files.acme.example", "/reports/q3.pdf").is_some()
    })
    .await;
    let objects = lab.leader().await.stored().await.unwrap().remove(0).stored.objects;
    assert!(!objects.contains_key(&in_shop(Kind::OAuthClient, "billing")));
    assert!(objects.contains_key(&in_shop(Kind::SignedUrlRoute, "reports")));
    let _ = lab.stop().await;
    // An empty cluster, as after a move: nothing is deleted before the Tenant is declared again.
    lab.delete(&in_shop(Kind::SignedUrlRoute, "reports")).await;
    lab.start().await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    lab.stop().await.unwrap();
    let objects = lab.leader().await.stored().await.unwrap().remove(0).stored.objects;
    assert!(objects.contains_key(&in_shop(Kind::SignedUrlRoute, "reports")));
}

#[tokio::test]
async fn what_is_deleted_below_a_paused_tenant_goes_and_the_rest_stays_as_it_is_stored() {
    let mut lab = Lab::new().await;
    let server = lab.replica(Server).await;
    lab.apply(QUICKSTART).await;
    lab.start().await;
    lab.until(&in_shop(Kind::OAuthClient, "billing"), "Ready", "True/Programmed").await;
    let annotations = "{authly.dev/paused: '', authly.dev/rotate-pepper-requested-at: now}";
    let paused = QUICKSTART
        .replace("metadata: {name: acme}", &format!("metadata: {{name: acme, annotations: {annotations}}}"))
        .replace("displayName: Acme", "displayName: Acme Ltd")
        .replace("pathPrefix: /reports/", "pathPrefix: /bills/");
    lab.apply(&paused).await;
    lab.eventually("paused", || lab.condition(&tenant("acme"), "Paused") == "True/Paused").await;
    lab.delete(&in_shop(Kind::OAuthClient, "billing")).await;
    lab.eventually("the Secret goes", || lab.cluster.state().secrets.is_empty()).await;
    lab.eventually("the client goes", || {
        let snapshot = server.live.snapshot();
        let (acme, _) = snapshot.tenant_by_issuer("id.example", "/t/acme").unwrap();
        acme.is_serving() && acme.route("files.acme.example", "/reports/q3.pdf").is_some()
    })
    .await;
    lab.stop().await.unwrap();
    let held = lab.leader().await.stored().await.unwrap().remove(0);
    assert!(!held.stored.objects.contains_key(&in_shop(Kind::OAuthClient, "billing")));
    assert!(held.stored.objects.contains_key(&in_shop(Kind::SignedUrlRoute, "reports")));
    assert_eq!((held.tenant.display_name.as_str(), held.pepper_request), ("Acme", None));
}

#[tokio::test]
async fn a_tenant_to_be_deleted_stops_serving_before_its_finalizer_goes() {
    let mut lab = Lab::new().await;
    let server = lab.replica(Server).await;
    let manifests = QUICKSTART.replace("displayName: Acme", "displayName: Acme\n  deletionPolicy: Delete");
    lab.apply(&manifests).await;
    lab.start().await;
    lab.eventually("the finalizer", || lab.cluster.state().finalizers.contains(&tenant("acme"))).await;
    lab.until(&tenant("acme"), "Ready", "True/Programmed").await;
    lab.delete_with_finalizer(&tenant("acme")).await;
    lab.eventually("the finalizer goes", || lab.cluster.state().finalizers.is_empty()).await;
    lab.delete(&tenant("acme")).await;
    let stored = lab.leader().await.stored().await.unwrap().remove(0);
    assert!(stored.stored.tombstoned);
    lab.eventually("service stops", || {
        let snapshot = server.live.snapshot();
        snapshot.tenant(stored.id).is_none_or(|acme| !acme.is_serving())
    })
    .await;
    let _ = lab.stop().await;
    // The same manifest restores it.
    lab.start().await;
    lab.apply(&manifests).await;
    lab.until(&tenant("acme"), "Ready", "True/Programmed").await;
    assert!(!lab.leader().await.stored().await.unwrap().remove(0).stored.tombstoned);
}
