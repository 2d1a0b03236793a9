//! The Secret of one client, killed at every write, and everything that people do to it by hand.

use std::{collections::BTreeMap, sync::Arc};

use authly_model::{
    client::SecretHash,
    ids::{ObjectName, TenantId},
    key::Algorithm,
};
use authly_secrets::{ClientSecret, Kek, KekRing, KekSource, UnlockedTenant, generate_kek, generate_tenant_keys};
use uuid::Uuid;

use super::cluster::{FakeCluster, Fault};
use crate::engine::{
    SecretData, SecretObject,
    credentials::{CredentialsError, Plan, Visit, visit},
    slots::{CURRENT, NEXT},
};

/// A client, its Secret and the hashes in the store.
struct World {
    cluster: FakeCluster,
    plan: Plan,
}

fn keys() -> Arc<UnlockedTenant> {
    let kek = KekRing::new(Kek::load(&KekSource::Environment(generate_kek().unwrap())).unwrap(), []);
    let tenant = TenantId(Uuid::from_u128(7));
    let rows = generate_tenant_keys(&kek, tenant, Algorithm::EdDSA).unwrap().wrapped;
    Arc::new(UnlockedTenant::unlock(&kek, tenant, &rows).unwrap())
}

fn world() -> World {
    let plan = Plan {
        at: ObjectName::new("shop", "billing-oauth"),
        owner: "default/OAuthClient/shop/billing".to_owned(),
        labels: BTreeMap::from([("team".to_owned(), "shop".to_owned())]),
        annotations: BTreeMap::new(),
        fixed: BTreeMap::from([("client_id", "shop.billing".to_owned()), ("issuer", "https://i.example".to_owned())]),
        keys: keys(),
        stored: Vec::new(),
        programmed: false,
    };
    World { cluster: FakeCluster::default(), plan }
}

impl World {
    fn secret(&self) -> Option<SecretObject> {
        self.cluster.state().secrets.get(&self.plan.at).cloned()
    }

    fn hash(&self, key: &str) -> Option<SecretHash> {
        let secret = self.secret()?;
        let value = ClientSecret::parse(secret.data.get(key)?.text()?).ok()?;
        Some(self.plan.keys.hash_secret(&value).unwrap())
    }

    /// What the engine does with the result of a visit; true once the client is ready.
    async fn step(&mut self) -> Result<bool, CredentialsError> {
        match visit(&self.cluster, &self.plan).await? {
            Visit::Ready => return Ok(true),
            Visit::Wait => self.plan.programmed = true,
            Visit::Commit { hashes, .. } => (self.plan.stored, self.plan.programmed) = (hashes, false),
        }
        self.holds();
        Ok(false)
    }

    async fn settle(&mut self) {
        for _ in 0..20 {
            if self.step().await.unwrap_or(false) {
                return;
            }
            self.holds();
        }
        panic!("not ready after 20 steps");
    }

    /// What a Pod reads works, always.
    fn holds(&self) {
        if let Some(current) = self.hash(CURRENT) {
            assert!(self.plan.stored.contains(&current), "client_secret does not work");
        }
    }

    fn is_settled(&self) {
        let secret = self.secret().unwrap();
        assert_eq!(self.plan.stored, [self.hash(CURRENT).unwrap()], "one hash, that of the value");
        assert!(!secret.data.contains_key(NEXT));
        assert_eq!(secret.data["client_id"].text(), Some("shop.billing"));
        assert_eq!(secret.labels["team"], "shop");
    }
}

#[tokio::test]
async fn client_secret_appears_only_once_it_works() {
    let mut world = world();
    assert!(matches!(visit(&world.cluster, &world.plan).await, Ok(Visit::Commit { ready: false, .. })));
    assert!(world.hash(NEXT).is_some() && world.hash(CURRENT).is_none());
    world.step().await.unwrap();
    assert!(matches!(visit(&world.cluster, &world.plan).await, Ok(Visit::Wait)));
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
            world.is_settled();
        }
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
    world.is_settled();
}
