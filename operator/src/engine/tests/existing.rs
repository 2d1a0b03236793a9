//! The Secret that someone else writes: waited for, followed, never written.

use authly_secrets::{BadSuppliedSecret, ClientSecret};
use jiff::SignedDuration;

use super::world::{OVERLAP, World, world};
use crate::engine::{
    ClusterError, SecretData, SecretObject,
    credentials::{CredentialsError, Visit, Visited},
    existing::{Unusable, look},
};

const KEY: &str = "password";
const FIRST: &str = "first-0123456789abcdef0123456789";
const SECOND: &str = "second-0123456789abcdef0123456789";
const THIRD: &str = "third-0123456789abcdef0123456789";

impl World {
    fn put(&self, data: &[(&str, &str)]) {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), SecretData::new(*value))).collect();
        let secret = SecretObject { version: "1".to_owned(), data, ..SecretObject::default() };
        self.cluster.state().secrets.insert(self.plan.at.clone(), secret);
    }

    async fn look(&mut self) -> Result<Visited, CredentialsError> {
        let visited = look(&self.cluster, &self.plan, KEY).await?;
        self.plan.rotation.since.clone_from(&visited.since);
        if let Visit::Commit { hashes, .. } = &visited.visit {
            self.plan.stored.clone_from(hashes);
        }
        Ok(visited)
    }

    fn works(&self, value: &str) -> bool {
        self.plan.keys.check_secret(&ClientSecret::supplied(value).unwrap(), &self.plan.stored)
    }
}

#[tokio::test]
async fn what_is_missing_or_unusable_is_waited_for_and_nothing_is_made_up() {
    let mut world = world();
    let unusable = |result: Result<Visited, CredentialsError>| match result {
        Err(CredentialsError::Unusable(unusable)) => unusable,
        other => panic!("{other:?}"),
    };
    let at = world.plan.at.clone();
    assert_eq!(unusable(world.look().await), Unusable::NotFound(at.clone()));
    world.put(&[("client_secret", FIRST)]);
    assert_eq!(unusable(world.look().await), Unusable::KeyMissing(at.clone(), KEY.to_owned()));
    world.put(&[(KEY, "hunter2")]);
    let short = unusable(world.look().await);
    assert_eq!(short, Unusable::Invalid(at, KEY.to_owned(), BadSuppliedSecret::Short));
    assert!(!short.to_string().contains("hunter2"), "{short}");
    world.put(&[(KEY, FIRST)]);
    assert!(matches!(world.look().await.unwrap().visit, Visit::Commit { ready: false, .. }));
    assert_eq!(world.look().await.unwrap().visit, Visit::Ready);
    assert!(world.works(FIRST));
    // It goes, and is replaced by something unusable: what worked works.
    world.cluster.state().secrets.clear();
    unusable(world.look().await);
    world.put(&[(KEY, "short")]);
    unusable(world.look().await);
    assert!(world.works(FIRST));
    assert_eq!(world.secret().unwrap().owner, None, "never written");
    world.cluster.state().denied.insert("shop".to_owned());
    assert!(matches!(world.look().await, Err(CredentialsError::Cluster(ClusterError::Denied { .. }))));
}

#[tokio::test]
async fn a_change_is_followed_and_the_value_before_works_for_the_overlap() {
    let mut world = world();
    world.put(&[(KEY, FIRST)]);
    world.look().await.unwrap();
    // Announced: both work, for as long as it takes.
    world.put(&[(KEY, FIRST), ("password_next", SECOND), ("password_previous", "not usable")]);
    assert!(matches!(world.look().await.unwrap().visit, Visit::Commit { ready: true, .. }));
    world.pass(OVERLAP + OVERLAP);
    let announced = world.look().await.unwrap();
    assert!(announced.visit == Visit::Ready && announced.rotating.unwrap().contains("works"));
    assert!(world.works(FIRST) && world.works(SECOND));
    world.put(&[(KEY, SECOND)]);
    let changed = world.look().await.unwrap();
    assert_eq!(changed.visit, Visit::Ready, "the servers have it already");
    assert!(world.works(FIRST) && changed.due.is_some() && changed.rotating.unwrap().contains("until"));
    world.pass(OVERLAP - SignedDuration::from_secs(60));
    world.look().await.unwrap();
    assert!(world.works(FIRST));
    world.pass(SignedDuration::from_secs(60));
    assert!(matches!(world.look().await.unwrap().visit, Visit::Commit { ready: true, .. }));
    assert!(!world.works(FIRST) && world.works(SECOND));
    let settled = world.look().await.unwrap();
    assert_eq!((settled.visit, settled.rotating, settled.due), (Visit::Ready, None, None));
    // A request finds nothing to rotate, and is answered.
    world.plan.rotation.requested = Some("now".to_owned());
    let asked = world.look().await.unwrap();
    assert_eq!((asked.visit, asked.handled.as_deref()), (Visit::Ready, Some("now")));
}

#[tokio::test]
async fn another_pepper_moves_every_digest_and_cuts_no_overlap_short() {
    let mut world = world();
    world.put(&[(KEY, FIRST)]);
    world.look().await.unwrap();
    world.put(&[(KEY, SECOND), ("password_next", THIRD)]);
    world.look().await.unwrap();
    assert_eq!(world.plan.stored.len(), 3);
    let old = world.plan.stored[0].pepper_id.clone();
    world.new_pepper();
    let anew = world.look().await.unwrap();
    assert!(matches!(anew.visit, Visit::Commit { ready: true, .. }), "{:?}", anew.visit);
    for value in [FIRST, SECOND, THIRD] {
        assert!(world.works(value), "{value}");
    }
    let old = world.plan.stored.iter().filter(|hash| hash.pepper_id == old).count();
    assert_eq!(old, 1, "the value that is nowhere any more");
    assert_eq!(world.look().await.unwrap().visit, Visit::Ready);
}

#[tokio::test]
async fn what_was_generated_before_goes_once_its_value_has_retired() {
    let mut world = world();
    let generated = world.plan.at.clone();
    world.settle().await;
    let vault = authly_model::ids::ObjectName::new("shop", "vault");
    (world.plan.at, world.plan.sweep) = (vault.clone(), true);
    world.put(&[(KEY, FIRST)]);
    world.look().await.unwrap();
    assert!(!world.look().await.unwrap().swept && world.plan.stored.len() == 2);
    assert!(world.cluster.state().secrets.contains_key(&generated), "for the overlap");
    world.pass(OVERLAP);
    assert!(matches!(world.look().await.unwrap().visit, Visit::Commit { .. }));
    assert!(world.look().await.unwrap().swept);
    let left: Vec<_> = world.cluster.state().secrets.keys().cloned().collect();
    assert_eq!(left, [vault]);
}
