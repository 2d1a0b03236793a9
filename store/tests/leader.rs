//! The operator's writes: one leader, one transaction, one revision; conflicts that name the owner.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/support.rs"]
mod support;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use authly_model::{
    client::SecretHash,
    diff::{Change, Desired, Item, diff},
    duration::Seconds,
    ids::{Kind, ObjectName, ObjectRef, TenantId},
    key::{Algorithm, KeyState, KeyUse},
};
use authly_secrets::{SigningKeyRow, UnlockedTenant};
use authly_store::{Batch, Claim, KeyChange, KeyChanges, ReplicaRole, StoreError};
use jiff::Timestamp;
use support::{Database, batch, client, kek, new_keys, new_tenant, put_client, put_route, put_tenant, route, tenant};
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_replaced_as_a_set() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (id, _) = new_tenant(&leader, "acme").await;
    let server = db.live(ReplicaRole::Server).await;
    let scope = server.scope(id);
    let hash = |n: u8| SecretHash { pepper_id: "p".into(), digest: vec![n; 32] };
    let billing = ObjectName::new("shop", "billing");
    for set in [vec![hash(1)], vec![hash(2), hash(1)], vec![hash(2)], vec![]] {
        let secrets = BTreeMap::from([(billing.clone(), set.clone())]);
        leader.apply(id, Batch { secrets, ..Batch::default() }).await.unwrap();
        assert!(server.live.refresh().await);
        assert_eq!(server.live.client(&scope, "shop.billing").await.unwrap().unwrap().secrets, set);
        let stored = leader.stored_tenant(id).await.unwrap().unwrap();
        assert_eq!(stored.client_secrets.get(&billing).cloned().unwrap_or_default(), set);
    }
    let nobody = BTreeMap::from([(ObjectName::new("shop", "nobody"), vec![hash(1)])]);
    let refused = leader.apply(id, Batch { secrets: nobody, ..Batch::default() }).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_needs_no_change() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (id, revision) = new_tenant(&leader, "acme").await;
    let stored = leader.stored().await.unwrap();
    assert_eq!(stored.len(), 1);
    let host = "files.acme.default.example";
    let desired = Desired {
        tenant: Some(Item::Valid(tenant("default", "acme"))),
        clients: BTreeMap::from([(ObjectName::new("shop", "billing"), Item::Valid(client("billing")))]),
        routes: BTreeMap::from([(
            ObjectName::new("shop", "reports"),
            Item::Valid(route("reports", host, "/reports/")),
        )]),
        policies: BTreeMap::from([(ObjectName::new("shop", "reports"), Item::Keep)]),
        retentions: BTreeMap::new(),
        incomplete: false,
    };
    assert_eq!(diff(&desired, &stored[0].stored).unwrap(), []);
    assert_eq!((stored[0].id, stored[0].revision, stored[0].revisions.len()), (id, revision, 4));
    assert_eq!(stored[0].client_ids[&ObjectName::new("shop", "billing")], "shop.billing");
    assert_eq!(stored[0].routes.len(), 1);
    assert_eq!(leader.tenant_keys(id).await.unwrap().len(), 4);
    let claims = db.leader("second").await.claims().await.unwrap();
    assert_eq!(claims.hosts[host].installation, "default");
    assert_eq!(claims.tenants[&id].object.object.name, "acme");
    assert!(db.leader("second").await.stored().await.unwrap().is_empty());
}

fn steps(steps: Vec<KeyChange>) -> Batch {
    let at = Timestamp::from_second(1_800_000_000).unwrap();
    Batch { keys: Some(KeyChanges { at, steps, request: Some("now".to_owned()) }), ..Batch::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_keys_go_through_their_states_and_take_over_the_lifetimes_of_what_they_sign() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (id, _) = new_tenant(&leader, "acme").await;
    let server = db.live(ReplicaRole::Server).await;
    let unlocked = UnlockedTenant::unlock(&kek(), id, &leader.tenant_keys(id).await.unwrap()).unwrap();
    let make = || unlocked.generate_signing_key(KeyUse::Token, Algorithm::ES256).unwrap();
    let of_token = async || {
        let keys = leader.signing_keys(id).await.unwrap().into_iter().filter(|key| key.key_use == KeyUse::Token);
        keys.map(|key| (key.kid, key.state, key.longest_lifetime.0)).collect::<Vec<_>>()
    };
    let mut stayer = client("stayer");
    stayer.access_token_lifetime = Seconds(1234);
    leader.apply(id, batch(vec![put_client(&stayer)])).await.unwrap();
    let first = of_token().await.remove(0);
    assert_eq!((first.1, first.2), (KeyState::Active, 1234), "the lifetime was raised with the client");

    let (next, rival) = (make(), make());
    let (old, new) = (first.0.clone(), next.kid.clone());
    let added = leader.apply(id, steps(vec![KeyChange::Add(next, KeyState::Next)])).await.unwrap();
    let quiet = leader.apply(id, steps(vec![KeyChange::Acknowledge(new.clone())])).await.unwrap();
    assert!(added.seq > 0 && quiet.seq == 0, "an acknowledgement is no news for replicas");
    let flip = vec![KeyChange::Retire(old.clone()), KeyChange::Activate(new.clone())];
    leader.apply(id, steps(flip.clone())).await.unwrap();
    let expected = [(old.clone(), KeyState::Retiring, 1234), (new.clone(), KeyState::Active, 1234)];
    assert_eq!(of_token().await, expected);
    let again = leader.apply(id, steps(flip)).await;
    assert!(matches!(again, Err(StoreError::Refused(_))), "{again:?}");
    let second = leader.apply(id, steps(vec![KeyChange::Add(rival, KeyState::Active)])).await;
    assert!(matches!(second, Err(StoreError::Refused(_))), "{second:?}");

    let stored = leader.stored_tenant(id).await.unwrap().unwrap();
    assert_eq!((stored.keys.len(), stored.rotation_request.as_deref()), (3, Some("now")));
    let acknowledged = stored.keys.iter().find(|key| key.kid == new).unwrap();
    assert!(acknowledged.acknowledged_at.is_some() && acknowledged.since() == acknowledged.activated_at.unwrap());
    assert!(server.live.refresh().await);
    assert_eq!(server.live.snapshot().tenant(id).unwrap().keys.len(), 3, "the old key still verifies");
    let rows = server.store.signing_private(&server.scope(id)).await.unwrap();
    let row = rows.iter().find(|r| r.algorithm == Algorithm::ES256).unwrap();
    let row = SigningKeyRow {
        kid: &row.kid,
        key_use: row.key_use,
        algorithm: row.algorithm,
        wrapped_private: &row.wrapped_private,
    };
    assert!(unlocked.token_signer(&row).is_ok());

    leader.apply(id, steps(vec![KeyChange::Revoke(old.clone())])).await.unwrap();
    assert_eq!(of_token().await.len(), 1);
    assert!(server.live.refresh().await);
    assert!(server.live.snapshot().tenant(id).unwrap().keys.iter().all(|key| key.kid != old));
    let left = format!("select count(*) from signing_key_private where kid = '{old}'");
    assert_eq!(db.count(&left).await, 0, "its private half is destroyed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conflicts_name_the_owner_and_leave_nothing_behind() {
    let db = Database::new().await;
    let (one, two) = (db.leader("one").await, db.leader("two").await);
    new_tenant(&one, "acme").await;
    let put = |spec| {
        let (two, id) = (two.clone(), TenantId(Uuid::new_v4()));
        async move { two.apply(id, Batch { new_keys: Some(new_keys(id)), ..batch(vec![put_tenant(&spec)]) }).await }
    };
    let mut same_host = tenant("two", "beta");
    same_host.url_hosts.insert("files.acme.one.example".into());
    let mut same_issuer = tenant("two", "beta");
    same_issuer.issuer = "https://id.example/one/acme".into();
    for (spec, claim) in [
        (same_host, Claim::Host("files.acme.one.example".into())),
        (same_issuer, Claim::Issuer("https://id.example/one/acme".into())),
    ] {
        let Err(StoreError::Conflict(conflict)) = put(spec).await else { panic!("no conflict") };
        assert_eq!(conflict.claim, claim);
        assert_eq!(conflict.object, ObjectRef::new(Kind::Tenant, "", "beta"));
        assert_eq!((conflict.owner.installation.as_str(), conflict.owner.object.object.name.as_str()), ("one", "acme"));
    }
    assert_eq!(db.count("select count(*) from tenant").await, 1);
    let (id, _) = new_tenant(&two, "beta").await;
    let mut thief = client("thief");
    thief.client_id = "shop.billing".into();
    let Err(StoreError::Conflict(conflict)) = two.apply(id, batch(vec![put_client(&thief)])).await else {
        panic!("no conflict")
    };
    assert_eq!(conflict.owner.object, ObjectRef::new(Kind::OAuthClient, "shop", "billing"));
    // The client id moves once its holder is deleted, in one batch.
    let gone = Change::Delete(ObjectRef::new(Kind::OAuthClient, "shop", "billing"));
    two.apply(id, batch(vec![gone, put_client(&thief)])).await.unwrap();
    let mut renamed = tenant("two", "beta");
    renamed.issuer = "https://id.example/other".into();
    let refused = two.apply(id, batch(vec![put_tenant(&renamed)])).await.unwrap_err();
    assert!(refused.to_string().contains("immutable"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_leader_is_fenced() {
    let db = Database::new().await;
    let old = db.leader("default").await;
    let (id, _) = new_tenant(&old, "acme").await;
    let other = db.leader("another").await;
    let new = db.leader("default").await;
    assert_eq!(new.epoch(), old.epoch() + 1);
    let put = || batch(vec![put_client(&client("web"))]);
    assert!(matches!(old.apply(id, put()).await, Err(StoreError::Fenced { .. })));
    assert!(matches!(old.stored().await, Err(StoreError::Fenced { .. })));
    new.apply(id, put()).await.unwrap();
    assert!(other.stored().await.is_ok(), "installations do not fence each other");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_clients_are_one_revision() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (id, _) = new_tenant(&leader, "acme").await;
    let clients: Vec<_> = (0..2000).map(|n| client(&format!("c{n}"))).collect();
    let hash = SecretHash { pepper_id: "p".into(), digest: vec![1; 32] };
    let secrets = clients.iter().map(|c| (c.object.clone(), vec![hash.clone()])).collect();
    let changes = clients.iter().map(put_client).collect();
    let before = db.count("select sum(seq)::int8 from feed_head").await;
    let start = Instant::now();
    leader.apply(id, Batch { changes, secrets, ..Batch::default() }).await.unwrap();
    assert_eq!(db.count("select sum(seq)::int8 from feed_head").await, before + 1);
    let stored = leader.stored().await.unwrap();
    assert_eq!(stored[0].client_secrets.len(), 2000);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_lifetime_beyond_the_longest_counts_as_the_longest() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (id, _) = new_tenant(&leader, "acme").await;
    let mut long = route("long", "files.acme.default.example", "/long/");
    long.max_ttl = Seconds(700_000);
    leader.apply(id, batch(vec![put_route(&long)])).await.unwrap();
    let longest = db.count("select longest_lifetime::bigint from signing_key where key_use = 'url'").await;
    assert_eq!(longest, 604_800);
}
