//! One client, its Secret and the hashes in the store, without an engine between them; and what must hold of them all the time.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use authly_model::{
    client::SecretHash,
    clock::Clock,
    ids::{ObjectName, TenantId},
    key::Algorithm,
};
use authly_secrets::{
    ClientSecret, Kek, KekRing, KekSource, UnlockedTenant, WrappedKey, generate_kek, generate_tenant_keys,
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::cluster::FakeCluster;
use crate::engine::{
    SecretObject,
    credentials::{CredentialsError, Guess, Plan, Rotation, Visit, Visited, visit},
    slots::{CURRENT, NEXT, PREVIOUS},
};

/// An hour of overlap, unless a test says otherwise.
pub(super) const OVERLAP: SignedDuration = SignedDuration::from_secs(3600);

/// A client, its Secret and the hashes in the store.
pub(super) struct World {
    pub(super) cluster: FakeCluster,
    pub(super) plan: Plan,
    rows: Rows,
    clock: Arc<Hands>,
    last: Option<Visited>,
    /// Every value that was in `client_secret`, and since when.
    served: Vec<(SecretHash, Timestamp)>,
}

/// A clock that is set by hand.
#[derive(Debug, Default)]
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// A tenant's keys, as they are stored.
struct Rows(KekRing, Vec<WrappedKey>);

impl Rows {
    const TENANT: TenantId = TenantId(Uuid::from_u128(7));

    fn new() -> Self {
        let kek = KekRing::new(Kek::load(&KekSource::Environment(generate_kek().unwrap())).unwrap(), []);
        let rows = generate_tenant_keys(&kek, Self::TENANT, Algorithm::EdDSA).unwrap().wrapped;
        Self(kek, rows)
    }

    fn unlock(&self) -> Arc<UnlockedTenant> {
        Arc::new(UnlockedTenant::unlock(&self.0, Self::TENANT, &self.1).unwrap())
    }
}

pub(super) fn world() -> World {
    let (clock, rows) = (Arc::new(Hands::default()), Rows::new());
    let plan = Plan {
        at: ObjectName::new("shop", "billing-oauth"),
        owner: "default/OAuthClient/shop/billing".to_owned(),
        labels: BTreeMap::from([("team".to_owned(), "shop".to_owned())]),
        annotations: BTreeMap::new(),
        fixed: BTreeMap::from([("client_id", "shop.billing".to_owned()), ("issuer", "https://i.example".to_owned())]),
        keys: rows.unlock(),
        stored: Vec::new(),
        programmed: false,
        under_way: false,
        rotation: Rotation { every: None, overlap: OVERLAP, requested: None, since: None },
        sweep: false,
        guess: None,
        clock: clock.clone(),
    };
    World { cluster: FakeCluster::default(), plan, rows, clock, last: None, served: Vec::new() }
}

impl World {
    /// A new pepper that every server knows: the first to digest under, beside the one before.
    pub(super) fn new_pepper(&mut self) {
        self.rows.1.insert(0, self.plan.keys.new_pepper().unwrap());
        self.plan.keys = self.rows.unlock();
    }

    pub(super) fn secret(&self) -> Option<SecretObject> {
        self.cluster.state().secrets.get(&self.plan.at).cloned()
    }

    pub(super) fn hash(&self, key: &str) -> Option<SecretHash> {
        let secret = self.secret()?;
        let value = ClientSecret::parse(secret.data.get(key)?.text()?).ok()?;
        Some(self.plan.keys.hash_secret(&value).unwrap())
    }

    /// What the engine does with the result of a visit; true once the client is ready.
    pub(super) async fn step(&mut self) -> Result<bool, CredentialsError> {
        let visited = visit(&self.cluster, &self.plan).await?;
        self.plan.rotation.since.clone_from(&visited.since);
        self.plan.guess = visited.left.clone().map(Guess::Left);
        self.last = Some(visited.clone());
        match visited.visit {
            Visit::Ready => {
                self.holds();
                return Ok(true);
            }
            Visit::Wait { .. } => self.plan.programmed = true,
            Visit::Commit { hashes, .. } => (self.plan.stored, self.plan.programmed) = (hashes, false),
        }
        self.holds();
        Ok(false)
    }

    pub(super) fn last(&self) -> &Visited {
        self.last.as_ref().unwrap()
    }

    pub(super) fn pass(&self, duration: SignedDuration) {
        self.clock.0.fetch_add(duration.as_secs() + 1, Ordering::SeqCst);
    }

    pub(super) async fn settle(&mut self) {
        for _ in 0..20 {
            if self.step().await.unwrap_or(false) {
                return;
            }
            self.holds();
        }
        panic!("not ready after 20 steps");
    }

    /// What a Pod reads works, always, and what it read before works for the overlap.
    fn holds(&mut self) {
        let now = self.clock.now();
        if let Some(current) = self.hash(CURRENT) {
            assert!(self.plan.stored.contains(&current), "client_secret does not work");
            if self.served.last().is_none_or(|(last, _)| *last != current) {
                self.served.push((current, now));
            }
        }
        if let [.., (before, _), (_, since)] = self.served.as_slice() {
            let over = since.checked_add(self.plan.rotation.overlap).unwrap() <= now;
            assert!(over || self.plan.stored.contains(before), "the value before was cut short");
        }
    }

    pub(super) fn is_settled(&self) {
        let secret = self.secret().unwrap();
        assert_eq!(self.plan.stored, [self.hash(CURRENT).unwrap()], "one hash, that of the value");
        assert!(!secret.data.contains_key(NEXT) && !secret.data.contains_key(PREVIOUS));
        assert_eq!(secret.data["client_id"].text(), Some("shop.billing"));
        assert_eq!(secret.labels["team"], "shop");
    }
}
