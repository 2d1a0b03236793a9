//! What was proven, kept under exactly what proved it: the token or the URL, whole. So that the same credential shown again costs a
//! look-up in place of a signature.
//!
//! Found by a hash that is keyed anew in each process, then compared in full, so neither a collision nor its timing tells anything.
//! Bounded in bytes. Callers keep only what succeeded: what is unknown or forged never takes the place of something good. Never
//! decides: time, revocation and uses are the caller's to check at each look-up.

use std::{
    collections::hash_map::RandomState,
    hash::{Hash, Hasher},
    sync::Arc,
};

use authly_model::ids::TenantId;
use quick_cache::{
    Equivalent, Weighter,
    sync::{Cache, DefaultLifecycle},
};

/// What an entry costs besides its texts and what the caller says: map, list, reference counts.
const ENTRY: u64 = 256;
/// What is assumed of an entry when places are set aside.
const USUAL: u64 = 1024;

/// A tenant, and its generation in the snapshot: after a change of its configuration nothing older is found.
pub type Scope = (TenantId, u64);

/// Proofs of kind `V`, each found by `N` texts.
pub struct Proofs<V, const N: usize>(Cache<Key<N>, Arc<V>, Bytes, RandomState>);

struct Key<const N: usize> {
    scope: Scope,
    texts: [Box<str>; N],
    bytes: u64,
}

struct Asked<'a, const N: usize> {
    scope: Scope,
    texts: [&'a str; N],
}

impl<const N: usize> PartialEq for Key<N> {
    fn eq(&self, other: &Self) -> bool {
        self.scope == other.scope && self.texts == other.texts
    }
}

impl<const N: usize> Eq for Key<N> {}

impl<const N: usize> Hash for Key<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Asked { scope: self.scope, texts: self.texts.each_ref().map(|text| &**text) }.hash(state);
    }
}

impl<const N: usize> Hash for Asked<'_, N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.scope.hash(state);
        self.texts.hash(state);
    }
}

impl<const N: usize> Equivalent<Key<N>> for Asked<'_, N> {
    fn equivalent(&self, key: &Key<N>) -> bool {
        self.scope == key.scope && self.texts.iter().zip(&key.texts).all(|(asked, kept)| **asked == **kept)
    }
}

/// Entries say what they weigh when they are made.
#[derive(Debug, Clone)]
struct Bytes;

impl<const N: usize, V> Weighter<Key<N>, Arc<V>> for Bytes {
    fn weight(&self, key: &Key<N>, _: &Arc<V>) -> u64 {
        key.bytes
    }
}

impl<V, const N: usize> Proofs<V, N> {
    /// Holds this many bytes at most; with 0, nothing.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let places = usize::try_from(bytes / USUAL).unwrap_or(usize::MAX);
        Self(Cache::with(places, bytes, Bytes, RandomState::new(), DefaultLifecycle::default()))
    }

    /// What these texts proved.
    #[must_use]
    pub fn find(&self, scope: Scope, texts: [&str; N]) -> Option<Arc<V>> {
        self.0.get(&Asked { scope, texts })
    }

    /// Keeps what these texts proved; `bytes` is what the proof itself takes, beyond `V`.
    pub fn keep(&self, scope: Scope, texts: [&str; N], proof: Arc<V>, bytes: usize) {
        let length: usize = texts.iter().map(|text| text.len()).sum();
        let texts = texts.map(Box::from);
        let fixed = size_of::<Key<N>>() + size_of::<V>();
        let bytes = ENTRY + u64::try_from(fixed + length + bytes).unwrap_or(u64::MAX);
        self.0.insert(Key { scope, texts, bytes }, proof);
    }
}

impl<V, const N: usize> std::fmt::Debug for Proofs<V, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the entries: each is a credential.
        f.debug_struct("Proofs").field("entries", &self.0.len()).field("bytes", &self.0.weight()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use authly_model::ids::TenantId;
    use uuid::Uuid;

    use super::Proofs;

    const TENANT: TenantId = TenantId(Uuid::from_u128(1));

    #[test]
    fn only_the_same_texts_in_the_same_scope_find_it() {
        let proofs = Proofs::<u8, 2>::new(100_000);
        proofs.keep((TENANT, 1), ["ab", "c"], Arc::new(7), 0);
        assert_eq!(proofs.find((TENANT, 1), ["ab", "c"]).as_deref(), Some(&7));
        for texts in [["a", "bc"], ["ab", "C"], ["ab", ""], ["", "abc"], ["ab", "c\0"]] {
            assert_eq!(proofs.find((TENANT, 1), texts), None, "{texts:?}");
        }
        assert_eq!(proofs.find((TENANT, 2), ["ab", "c"]), None, "another generation");
        assert_eq!(proofs.find((TenantId(Uuid::from_u128(2)), 1), ["ab", "c"]), None, "another tenant");
        assert!(!format!("{proofs:?}").contains("ab"));
    }

    #[test]
    fn it_never_holds_more_than_its_bytes_and_keeps_what_is_asked_for() {
        let proofs = Proofs::<[u8; 64], 1>::new(1 << 20);
        for number in 0..20_000 {
            proofs.keep((TENANT, 1), [&format!("{number:0>400}")], Arc::new([0; 64]), 100);
            assert!(proofs.0.weight() <= 1 << 20);
            if number == 100 {
                (0..100).for_each(|n| assert!(proofs.find((TENANT, 1), [&format!("{n:0>400}")]).is_some()));
            }
        }
        let kept = (0..100).filter(|n| proofs.find((TENANT, 1), [&format!("{n:0>400}")]).is_some()).count();
        assert!(kept >= 90, "a flood of 20,000 new ones drove out what was in use: {kept} of 100 are left");
        let huge = "x".repeat(2 << 20);
        proofs.keep((TENANT, 1), [&huge], Arc::new([0; 64]), 0);
        assert!(proofs.0.weight() <= 1 << 20 && proofs.find((TENANT, 1), [&huge]).is_none());
    }

    #[test]
    fn without_bytes_nothing_is_kept() {
        let proofs = Proofs::<u8, 1>::new(0);
        proofs.keep((TENANT, 1), ["a"], Arc::new(1), 0);
        assert_eq!(proofs.find((TENANT, 1), ["a"]), None);
    }
}
