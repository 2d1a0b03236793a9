//! Named scenarios; what holds of every history is in [`property`].

mod property;

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{KeyPolicy, KnownKey, Plan, Rotation, SKEW, Step, plan};
use crate::{
    duration::Seconds,
    key::{
        Algorithm::{self, ES256, EdDSA},
        KeyState::{self, Active, Next, Retiring, Revoked},
        KeyUse::{self, Token, Url},
    },
};

const MAX_AGE: i64 = 10;
const LIFETIME: i64 = 40;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Keys, and what is asked of them.
#[derive(Debug, Clone)]
struct World {
    keys: Vec<KnownKey>,
    policy: KeyPolicy,
    algorithm: Algorithm,
    requested: bool,
    acknowledged: bool,
    made: usize,
}

impl World {
    /// A tenant that was created at second 0.
    fn new() -> Self {
        let mut world = Self {
            keys: Vec::new(),
            policy: KeyPolicy::default(),
            algorithm: EdDSA,
            requested: false,
            acknowledged: true,
            made: 0,
        };
        world.settle(0);
        world
    }

    fn plan(&self, now: i64) -> Plan {
        plan(&Rotation {
            keys: &self.keys,
            policy: &self.policy,
            token_algorithm: self.algorithm,
            requested: self.requested,
            acknowledged: self.acknowledged,
            jwks_max_age: Seconds(MAX_AGE),
            now: at(now),
        })
    }

    /// Takes steps until there are none; answers them.
    fn settle(&mut self, now: i64) -> Vec<Step> {
        let mut taken = Vec::new();
        loop {
            let plan = self.plan(now);
            if plan.steps.is_empty() {
                return taken;
            }
            assert!(taken.len() < 20, "it never ends: {taken:?}");
            plan.steps.iter().for_each(|step| self.take(step, now));
            self.requested = false;
            taken.extend(plan.steps);
        }
    }

    fn take(&mut self, step: &Step, now: i64) {
        let (kid, state) = match step {
            Step::Create(key_use, algorithm, state) => {
                self.made += 1;
                let is_active = *state == Active;
                self.keys.push(KnownKey {
                    kid: format!("k{}", self.made),
                    key_use: *key_use,
                    algorithm: *algorithm,
                    state: *state,
                    created_at: at(now),
                    acknowledged_at: None,
                    activated_at: is_active.then(|| at(now)),
                    retired_at: None,
                    longest_lifetime: Seconds(LIFETIME),
                });
                return self.check();
            }
            Step::Acknowledge(kid) => {
                self.key(kid).acknowledged_at = Some(at(now));
                return;
            }
            Step::Activate(kid) => (kid, Active),
            Step::Retire(kid) => (kid, Retiring),
            Step::Revoke(kid) => (kid, Revoked),
        };
        let key = self.key(kid);
        let allowed = matches!((key.state, state), (Next, Active) | (Active, Retiring) | (_, Revoked));
        assert!(allowed, "{:?} to {state:?}", key.state);
        key.state = state;
        match state {
            Active => key.activated_at = Some(at(now)),
            Retiring => key.retired_at = Some(at(now)),
            _ => self.keys.retain(|key| key.state != Revoked),
        }
        self.check();
    }

    fn key(&mut self, kid: &str) -> &mut KnownKey {
        self.keys.iter_mut().find(|key| key.kid == kid).unwrap()
    }

    /// As the index of the table: one active key of a use and algorithm, after each single change.
    fn check(&self) {
        let active: Vec<_> = self.keys.iter().filter(|key| key.state == Active).collect();
        let places: BTreeSet<_> = active.iter().map(|key| (key.key_use, key.algorithm)).collect();
        assert_eq!(active.len(), places.len(), "{active:?}");
    }

    fn of(&self, key_use: KeyUse, state: KeyState) -> Vec<String> {
        let of = self.keys.iter().filter(|key| key.key_use == key_use && key.state == state);
        of.map(|key| key.kid.clone()).collect()
    }
}

#[test]
fn a_new_tenant_signs_at_once_and_nothing_rotates_by_itself() {
    let mut world = World::new();
    assert_eq!((world.of(Token, Active), world.of(Url, Active)), (vec!["k1".to_owned()], vec!["k2".to_owned()]));
    assert_eq!(world.settle(1_000_000), []);
    assert_eq!(world.plan(1_000_000), Plan::default());
}

#[test]
fn a_request_rotates_both_uses_after_twice_the_max_age_of_what_all_replicas_publish() {
    let mut world = World::new();
    (world.requested, world.acknowledged) = (true, false);
    assert_eq!(world.settle(100), [Step::Create(Token, EdDSA, Next), Step::Create(Url, EdDSA, Next)]);
    assert_eq!(world.plan(500), Plan { waits: true, ..Plan::default() });
    world.acknowledged = true;
    assert_eq!(world.settle(500), ["k3", "k4"].map(|kid| Step::Acknowledge(kid.to_owned())));
    assert_eq!(world.plan(519), Plan { due: Some(at(520)), ..Plan::default() });
    let retire_and_activate = |old: &str, new: &str| [Step::Retire(old.to_owned()), Step::Activate(new.to_owned())];
    assert_eq!(world.settle(520), [retire_and_activate("k1", "k3"), retire_and_activate("k2", "k4")].concat());
    let end = 520 + LIFETIME + SKEW.0;
    assert_eq!(world.plan(end - 1), Plan { due: Some(at(end)), ..Plan::default() });
    assert_eq!(world.settle(end), ["k1", "k2"].map(|kid| Step::Revoke(kid.to_owned())));
    assert_eq!(world.plan(end), Plan::default());
}

#[test]
fn a_schedule_makes_the_next_key_so_early_that_the_active_one_signs_no_longer_than_asked() {
    let mut world = World::new();
    world.policy.rotate_every = Some(Seconds(3600));
    assert_eq!(world.plan(100).due, Some(at(3600 - 2 * MAX_AGE)));
    assert_eq!(world.settle(3579), []);
    assert_eq!(world.settle(3580).len(), 4, "made and acknowledged");
    assert_eq!(world.settle(3599), []);
    assert_eq!(world.settle(3600).len(), 4, "retired and activated");
    assert_eq!(world.of(Token, Active), ["k3"]);
}

#[test]
fn the_overlap_keeps_a_replaced_key_longer_but_never_shorter_than_what_it_signed() {
    let mut world = World::new();
    world.policy.overlap = Seconds(1000);
    world.requested = true;
    world.settle(0);
    world.settle(20);
    assert_eq!(world.plan(20).due, Some(at(20 + 1000 + SKEW.0)));
    world.policy.overlap = Seconds(1);
    assert_eq!(world.plan(20).due, Some(at(20 + LIFETIME + SKEW.0)));
}

#[test]
fn another_algorithm_is_a_rotation_of_the_token_key_alone_and_may_be_taken_back() {
    let mut world = World::new();
    world.algorithm = ES256;
    assert_eq!(world.settle(0), [Step::Create(Token, ES256, Next), Step::Acknowledge("k3".to_owned())]);
    world.algorithm = EdDSA;
    assert_eq!(world.settle(5), [Step::Revoke("k3".to_owned())]);
    world.algorithm = ES256;
    world.settle(10);
    world.settle(30);
    assert_eq!((world.of(Token, Active), world.of(Token, Retiring)), (vec!["k4".to_owned()], vec!["k1".to_owned()]));
    assert_eq!(world.of(Url, Active), ["k2"]);
}

#[test]
fn a_compromised_active_key_is_replaced_in_the_same_transaction() {
    let mut world = World::new();
    world.policy.revoked = BTreeSet::from(["k1".to_owned(), "unknown".to_owned()]);
    assert_eq!(world.settle(5), [Step::Revoke("k1".to_owned()), Step::Create(Token, EdDSA, Active)]);
    world.requested = true;
    world.settle(10);
    world.policy.revoked.insert("k2".to_owned());
    assert_eq!(world.settle(11), [Step::Revoke("k2".to_owned()), Step::Activate("k5".to_owned())]);
}

#[test]
fn a_compromised_next_key_is_made_again_and_a_compromised_old_one_goes_at_once() {
    let mut world = World::new();
    world.requested = true;
    world.settle(0);
    world.policy.revoked.insert("k3".to_owned());
    let again = [Step::Revoke("k3".to_owned()), Step::Create(Token, EdDSA, Next), Step::Acknowledge("k5".to_owned())];
    assert_eq!(world.settle(5), again);
    world.settle(25);
    assert_eq!(world.of(Token, Retiring), ["k1"]);
    world.policy.revoked.insert("k1".to_owned());
    assert_eq!(world.settle(26), [Step::Revoke("k1".to_owned())]);
}

#[test]
fn a_request_during_a_rotation_is_that_rotation() {
    let mut world = World::new();
    world.requested = true;
    world.settle(0);
    world.requested = true;
    assert_eq!(world.settle(1), []);
}
