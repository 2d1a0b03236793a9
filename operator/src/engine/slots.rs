//! The slots of a generated client secret, as a pure decision (operator.md, rule 7).
//!
//! The invariant: a value is in `client_secret` only after every live server has its hash, and the store holds no hash
//! whose value is in no slot, except while a lost value is being replaced. Each step is one write, and the next step is
//! derived from what the writes left behind, so a kill between any two of them loses nothing.

use authly_model::client::SecretHash;
use authly_secrets::{ClientSecret, UnlockedTenant};

use super::cluster::{SecretData, SecretObject};

/// The key that Pods read.
pub(super) const CURRENT: &str = "client_secret";
/// The key of a value whose hash is on its way.
pub(super) const NEXT: &str = "client_secret_next";

/// As many hashes as there are slots: next, current, previous.
const SLOTS: usize = 3;

/// What the Secret holds, as hashes. A value that is not a client secret of ours counts as none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Slots {
    pub(super) next: Option<SecretHash>,
    pub(super) current: Option<SecretHash>,
}

impl Slots {
    /// Reads a Secret.
    pub(super) fn read(secret: &SecretObject, keys: &UnlockedTenant) -> Self {
        let hash = |key| {
            let value = secret.data.get(key).and_then(SecretData::text)?;
            keys.hash_secret(&ClientSecret::parse(value).ok()?).ok()
        };
        Self { next: hash(NEXT), current: hash(CURRENT) }
    }
}

/// The one write that comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Put a new value into `client_secret_next`.
    Generate,
    /// Make these the client's hashes in the store.
    Commit(Vec<SecretHash>),
    /// Wait until every live server has the hash of `client_secret_next`.
    Wait,
    /// Move `client_secret_next` to `client_secret`, in one update.
    Promote,
    /// Nothing is left to do.
    Done,
}

/// Decides the next step. `programmed` says whether every live server has the stored hashes.
pub(super) fn next_step(slots: &Slots, stored: &[SecretHash], programmed: bool) -> Step {
    match (&slots.next, &slots.current) {
        (None, None) => Step::Generate,
        (Some(next), _) if !stored.contains(next) => Step::Commit(with(stored, next)),
        (Some(_), _) if programmed => Step::Promote,
        (Some(_), _) => Step::Wait,
        // The store was restored from before this value, or lost it: the Secret is re-adopted.
        (None, Some(current)) if !stored.contains(current) => Step::Commit(with(stored, current)),
        (None, Some(current)) if stored.len() > 1 => Step::Commit(vec![current.clone()]),
        (None, Some(_)) => Step::Done,
    }
}

fn with(stored: &[SecretHash], hash: &SecretHash) -> Vec<SecretHash> {
    let keep = stored.len().saturating_sub(SLOTS - 1);
    stored.iter().skip(keep).chain([hash]).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::{Slots, Step, next_step};
    use authly_model::client::SecretHash;

    fn hash(n: u8) -> SecretHash {
        SecretHash { pepper_id: "p".to_owned(), digest: vec![n; 32] }
    }

    fn slots(next: Option<u8>, current: Option<u8>) -> Slots {
        Slots { next: next.map(hash), current: current.map(hash) }
    }

    #[test]
    fn creation_goes_through_every_step_once() {
        assert_eq!(next_step(&slots(None, None), &[], false), Step::Generate);
        assert_eq!(next_step(&slots(Some(1), None), &[], false), Step::Commit(vec![hash(1)]));
        assert_eq!(next_step(&slots(Some(1), None), &[hash(1)], false), Step::Wait);
        assert_eq!(next_step(&slots(Some(1), None), &[hash(1)], true), Step::Promote);
        assert_eq!(next_step(&slots(None, Some(1)), &[hash(1)], true), Step::Done);
        assert_eq!(next_step(&slots(None, Some(1)), &[hash(1)], false), Step::Done);
    }

    #[test]
    fn a_lost_value_stays_valid_until_its_successor_works() {
        assert_eq!(next_step(&slots(None, None), &[hash(1)], true), Step::Generate);
        assert_eq!(next_step(&slots(Some(2), None), &[hash(1)], true), Step::Commit(vec![hash(1), hash(2)]));
        assert_eq!(next_step(&slots(Some(2), None), &[hash(1), hash(2)], true), Step::Promote);
        assert_eq!(next_step(&slots(None, Some(2)), &[hash(1), hash(2)], true), Step::Commit(vec![hash(2)]));
        assert_eq!(next_step(&slots(None, Some(2)), &[hash(2)], true), Step::Done);
    }

    #[test]
    fn a_restored_store_adopts_the_secret_and_hashes_never_pile_up() {
        assert_eq!(next_step(&slots(None, Some(1)), &[], true), Step::Commit(vec![hash(1)]));
        assert_eq!(next_step(&slots(None, Some(2)), &[hash(1)], true), Step::Commit(vec![hash(1), hash(2)]));
        let full = [hash(1), hash(2), hash(3)];
        let Step::Commit(kept) = next_step(&slots(Some(4), None), &full, true) else { panic!("commit") };
        assert_eq!(kept, [hash(2), hash(3), hash(4)]);
    }
}
