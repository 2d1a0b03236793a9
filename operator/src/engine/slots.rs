//! The slots of a client secret, next → active → retiring, as a pure decision (operator.md, rule 7; decision 0013).
//!
//! The invariants: a value is in `client_secret` only after every live server has its hash; a value that was there works
//! until its overlap is over; the store holds no hash whose value is in no slot, except while a lost value is being
//! replaced. Each step is one write, and the next step is derived from what the writes left behind, so a kill between
//! any two of them loses nothing.

use authly_model::client::SecretHash;
use authly_secrets::{ClientSecret, UnlockedTenant};

use super::cluster::{SecretData, SecretObject};

/// The key that Pods read.
pub(super) const CURRENT: &str = "client_secret";
/// The key of a value whose hash is on its way.
pub(super) const NEXT: &str = "client_secret_next";
/// The key of the value before, while it still works.
pub(super) const PREVIOUS: &str = "client_secret_previous";

/// As many hashes as there are slots.
const SLOTS: usize = 3;

/// What the Secret holds, as hashes. A value that is not a client secret of ours counts as none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Slots {
    pub(super) next: Option<SecretHash>,
    pub(super) current: Option<SecretHash>,
    pub(super) previous: Option<SecretHash>,
}

/// What is known beside the Secret.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    /// The hashes in the store.
    pub(super) stored: &'a [SecretHash],
    /// Whether every live server has them.
    pub(super) programmed: bool,
    /// Whether `client_secret` has been what it is for as long as the overlap lasts.
    pub(super) overlap_over: bool,
    /// Whether a new value is asked for, by whom or what ever.
    pub(super) rotate: bool,
}

impl Slots {
    /// Reads a Secret.
    pub(super) fn read(secret: &SecretObject, keys: &UnlockedTenant) -> Self {
        let hash = |key| {
            let value = secret.data.get(key).and_then(SecretData::text)?;
            keys.hash_secret(&ClientSecret::parse(value).ok()?).ok()
        };
        Self { next: hash(NEXT), current: hash(CURRENT), previous: hash(PREVIOUS) }
    }

    /// Whether a value other than those that come or serve still works.
    pub(super) fn is_retiring(&self, stored: &[SecretHash]) -> bool {
        let stays = |hash: &SecretHash| self.current.as_ref() == Some(hash) || self.next.as_ref() == Some(hash);
        self.previous.is_some() || stored.iter().any(|hash| !stays(hash))
    }
}

/// The one write that comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Put a new value into `client_secret_next`.
    Generate,
    /// Make these the client's hashes in the store.
    Commit(Vec<SecretHash>),
    /// Wait until every live server has the hash of `client_secret_next`, or until the value before has retired.
    Wait,
    /// Move `client_secret_next` to `client_secret` and that to `client_secret_previous`, in one update.
    Promote,
    /// Remove `client_secret_previous`.
    Retire,
    /// Nothing is left to do.
    Done,
}

/// Decides the next step.
pub(super) fn next_step(slots: &Slots, known: Known<'_>) -> Step {
    let over = known.overlap_over && slots.current.is_some();
    if slots.current.is_none() && slots.next.is_none() {
        return Step::Generate;
    }
    if slots.previous.is_some() && over {
        return Step::Retire;
    }
    let target = target(slots, known.stored, over);
    if !is_same(&target, known.stored) {
        return Step::Commit(target);
    }
    let retiring = slots.is_retiring(known.stored);
    match &slots.next {
        // The slot of the value before must be free: it is never cut short.
        Some(_) if known.programmed && (slots.previous.is_none() || slots.current.is_none()) => Step::Promote,
        Some(_) => Step::Wait,
        None if known.rotate && !retiring => Step::Generate,
        None => Step::Done,
    }
}

/// The hashes that the store should hold, the newest first: those of the slots and, until the overlap is over, those
/// that it holds already: a value that was lost, or one under an older pepper.
pub(super) fn target(slots: &Slots, stored: &[SecretHash], over: bool) -> Vec<SecretHash> {
    let previous = slots.previous.iter().filter(|_| !over);
    let kept = stored.iter().filter(|_| !over);
    let mut target: Vec<SecretHash> = Vec::with_capacity(SLOTS);
    for hash in slots.current.iter().chain(&slots.next).chain(previous).chain(kept) {
        if target.len() < SLOTS && !target.contains(hash) {
            target.push(hash.clone());
        }
    }
    target
}

/// Whether two lists hold the same hashes.
pub(super) fn is_same(a: &[SecretHash], b: &[SecretHash]) -> bool {
    a.len() == b.len() && a.iter().all(|hash| b.contains(hash))
}

#[cfg(test)]
mod tests {
    use super::{Known, Slots, Step, next_step};
    use authly_model::client::SecretHash;

    fn hash(n: u8) -> SecretHash {
        SecretHash { pepper_id: "p".to_owned(), digest: vec![n; 32] }
    }

    fn slots(next: Option<u8>, current: Option<u8>, previous: Option<u8>) -> Slots {
        Slots { next: next.map(hash), current: current.map(hash), previous: previous.map(hash) }
    }

    #[derive(Default)]
    struct Case {
        stored: Vec<u8>,
        programmed: bool,
        over: bool,
        rotate: bool,
    }

    impl Case {
        fn step(&self, next: Option<u8>, current: Option<u8>, previous: Option<u8>) -> Step {
            let stored: Vec<_> = self.stored.iter().copied().map(hash).collect();
            let (programmed, overlap_over, rotate) = (self.programmed, self.over, self.rotate);
            next_step(&slots(next, current, previous), Known { stored: &stored, programmed, overlap_over, rotate })
        }
    }

    fn holds(stored: &[u8]) -> Case {
        Case { stored: stored.to_vec(), ..Case::default() }
    }

    fn served(stored: &[u8]) -> Case {
        Case { programmed: true, ..holds(stored) }
    }

    fn over(stored: &[u8]) -> Case {
        Case { over: true, ..served(stored) }
    }

    fn asked(case: Case) -> Case {
        Case { rotate: true, ..case }
    }

    fn commit(hashes: &[u8]) -> Step {
        Step::Commit(hashes.iter().copied().map(hash).collect())
    }

    #[test]
    fn creation_goes_through_every_step_once() {
        assert_eq!(holds(&[]).step(None, None, None), Step::Generate);
        assert_eq!(holds(&[]).step(Some(1), None, None), commit(&[1]));
        assert_eq!(holds(&[1]).step(Some(1), None, None), Step::Wait);
        assert_eq!(served(&[1]).step(Some(1), None, None), Step::Promote);
        assert_eq!(served(&[1]).step(None, Some(1), None), Step::Done);
        assert_eq!(holds(&[1]).step(None, Some(1), None), Step::Done);
    }

    #[test]
    fn a_rotation_goes_through_every_slot_and_the_value_before_is_dropped_after_the_overlap_only() {
        assert_eq!(asked(served(&[1])).step(None, Some(1), None), Step::Generate);
        assert_eq!(asked(served(&[1])).step(Some(2), Some(1), None), commit(&[1, 2]));
        assert_eq!(holds(&[1, 2]).step(Some(2), Some(1), None), Step::Wait);
        assert_eq!(served(&[1, 2]).step(Some(2), Some(1), None), Step::Promote);
        assert_eq!(served(&[1, 2]).step(None, Some(2), Some(1)), Step::Done);
        assert_eq!(over(&[1, 2]).step(None, Some(2), Some(1)), Step::Retire);
        assert_eq!(over(&[1, 2]).step(None, Some(2), None), commit(&[2]));
        assert_eq!(over(&[2]).step(None, Some(2), None), Step::Done);
    }

    #[test]
    fn a_rotation_never_cuts_an_overlap_short() {
        assert_eq!(asked(served(&[2, 1])).step(None, Some(2), Some(1)), Step::Done);
        assert_eq!(asked(served(&[2, 1])).step(None, Some(2), None), Step::Done, "its value was lost by hand");
        // A next value that was put there by hand is accepted, and waits.
        assert_eq!(served(&[2, 1]).step(Some(3), Some(2), Some(1)), commit(&[2, 3, 1]));
        assert_eq!(served(&[2, 3, 1]).step(Some(3), Some(2), Some(1)), Step::Wait);
        assert_eq!(over(&[2, 3, 1]).step(Some(3), Some(2), Some(1)), Step::Retire);
        assert_eq!(over(&[2, 3, 1]).step(Some(3), Some(2), None), commit(&[2, 3]));
        assert_eq!(over(&[2, 3]).step(Some(3), Some(2), None), Step::Promote);
    }

    #[test]
    fn a_lost_value_stays_valid_until_its_successor_has_served_for_the_overlap() {
        assert_eq!(over(&[1]).step(None, None, None), Step::Generate);
        assert_eq!(over(&[1]).step(Some(2), None, None), commit(&[2, 1]));
        assert_eq!(over(&[2, 1]).step(Some(2), None, None), Step::Promote);
        assert_eq!(served(&[2, 1]).step(None, Some(2), None), Step::Done);
        assert_eq!(over(&[2, 1]).step(None, Some(2), None), commit(&[2]));
        // `client_secret` alone was removed: the value before stays where it is.
        assert_eq!(over(&[2, 1]).step(None, None, Some(1)), Step::Generate);
        assert_eq!(over(&[2, 1]).step(Some(3), None, Some(1)), commit(&[3, 1, 2]));
        assert_eq!(over(&[3, 1, 2]).step(Some(3), None, Some(1)), Step::Promote);
        assert_eq!(served(&[3, 1, 2]).step(None, Some(3), Some(1)), Step::Done);
        assert_eq!(over(&[3, 1, 2]).step(None, Some(3), Some(1)), Step::Retire);
    }

    #[test]
    fn a_restored_store_adopts_the_secret_and_hashes_never_pile_up() {
        assert_eq!(over(&[]).step(None, Some(1), None), commit(&[1]));
        assert_eq!(served(&[]).step(None, Some(2), Some(1)), commit(&[2, 1]));
        assert_eq!(served(&[1]).step(None, Some(2), None), commit(&[2, 1]));
        assert_eq!(served(&[3, 2, 1]).step(Some(4), None, None), commit(&[4, 3, 2]));
    }
}
