//! Which policies can apply to a request, judged by scope alone: `==`, `in` and `is`; unconstrained ones always stay,
//! a Member's within its namespace, which its guard makes part of its scope: so they cost nobody else time either.
//!
//! A slice holds every policy whose scope matches and may hold more, never less: Cedar checks the scope again. A
//! property test holds that a slice decides as the full set does.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use cedar_policy::{ActionConstraint, EntityUid, Policy, PolicySet, PrincipalConstraint, ResourceConstraint};

use crate::{
    request::{Facts, Node},
    vocabulary::{Action, Type},
};

/// The most policies that the built slices of one tenant hold together; beyond it they are built again.
const MAX_CACHED: usize = 20_000;

/// What a scope says of a principal or a resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Any,
    Is(Type),
    /// `==` and `in` alike: the id or an ancestor.
    Uid(EntityUid),
}

/// A policy of a set.
pub(crate) struct Entry {
    pub(crate) policy: Policy,
    pub(crate) reads_time_or_address: bool,
    /// The Member namespace that the policy is guarded to.
    pub(crate) member: Option<EntityUid>,
    /// The AccessPolicy, if it is a Shadow one.
    pub(crate) shadow: Option<Arc<str>>,
}

/// What is evaluated for a request.
#[derive(Default)]
pub(crate) struct Slice {
    pub(crate) enforced: PolicySet,
    pub(crate) shadow: Vec<(Arc<str>, PolicySet)>,
    pub(crate) reads_time_or_address: bool,
    size: usize,
}

struct Bucket {
    number: u32,
    entries: Vec<usize>,
}

type ByPrincipal = HashMap<Key, Bucket>;

/// All policies of a tenant, found by action, resource and principal.
pub(crate) struct Index {
    entries: Vec<Arc<Entry>>,
    actions: [HashMap<Key, ByPrincipal>; Action::ALL.len()],
    built: RwLock<Built>,
}

#[derive(Default)]
struct Built {
    slices: HashMap<Vec<u32>, Arc<Slice>>,
    size: usize,
}

impl Index {
    pub(crate) fn new(entries: Vec<Arc<Entry>>) -> Self {
        let mut index = Self { entries: Vec::new(), actions: Default::default(), built: RwLock::default() };
        let mut number = 0;
        for (place, entry) in entries.iter().enumerate() {
            for action in actions(&entry.policy) {
                let (principal, resource) = keys_of(entry, action);
                let by_principal = index.actions[action as usize].entry(resource).or_default();
                let bucket = by_principal.entry(principal).or_insert_with(|| {
                    number += 1;
                    Bucket { number, entries: Vec::new() }
                });
                bucket.entries.push(place);
            }
        }
        index.entries = entries;
        index
    }

    /// The policies that can apply, or `None` should a set refuse them.
    pub(crate) fn slice(&self, facts: &Facts<'_>) -> Option<Arc<Slice>> {
        let buckets = self.buckets(facts);
        let key: Vec<u32> = buckets.iter().map(|bucket| bucket.number).collect();
        if let Some(slice) = self.built.read().unwrap_or_else(PoisonError::into_inner).slices.get(&key) {
            return Some(Arc::clone(slice));
        }
        let slice = Arc::new(self.build(buckets.iter().flat_map(|bucket| &bucket.entries).copied())?);
        let mut built = self.built.write().unwrap_or_else(PoisonError::into_inner);
        if built.size + slice.size > MAX_CACHED {
            *built = Built::default();
        }
        if slice.size <= MAX_CACHED && built.slices.insert(key, Arc::clone(&slice)).is_none() {
            built.size += slice.size;
        }
        Some(slice)
    }

    /// Every policy, for the test that slices decide alike.
    #[cfg(test)]
    pub(crate) fn full(&self) -> Option<Slice> {
        self.build(0..self.entries.len())
    }

    fn buckets(&self, facts: &Facts<'_>) -> Vec<&Bucket> {
        let by_resource = &self.actions[facts.action as usize];
        let principals = keys(&facts.principal);
        let mut found = Vec::new();
        for by_principal in keys(&facts.resource).iter().filter_map(|key| by_resource.get(key)) {
            found.extend(principals.iter().filter_map(|key| by_principal.get(key)));
        }
        found
    }

    fn build(&self, places: impl Iterator<Item = usize>) -> Option<Slice> {
        // An empty slice is remembered too, so it counts.
        let mut slice = Slice { size: 1, ..Slice::default() };
        for entry in places.map(|place| &self.entries[place]) {
            slice.size += 1;
            slice.reads_time_or_address |= entry.reads_time_or_address;
            let set = match &entry.shadow {
                None => &mut slice.enforced,
                Some(object) => slice.shadow_set(object)?,
            };
            set.add(entry.policy.clone()).ok()?;
        }
        Some(slice)
    }
}

impl Slice {
    fn shadow_set(&mut self, object: &Arc<str>) -> Option<&mut PolicySet> {
        let place = self.shadow.iter().position(|(name, _)| name == object).unwrap_or_else(|| {
            self.shadow.push((Arc::clone(object), PolicySet::new()));
            self.shadow.len() - 1
        });
        self.shadow.get_mut(place).map(|(_, set)| set)
    }
}

fn keys(node: &Node) -> Vec<Key> {
    let fixed = [Key::Any, Key::Is(node.kind), Key::Uid(node.uid.clone())];
    fixed.into_iter().chain(node.ancestors.iter().cloned().map(Key::Uid)).collect()
}

/// What a policy says of principal and resource; of a Member's, where it says nothing narrower, what `member.cedar` says.
fn keys_of(entry: &Entry, action: Action) -> (Key, Key) {
    let (mut principal, mut resource) = (principal_key(&entry.policy), resource_key(&entry.policy));
    let guarded = if action == Action::IssueToken { &mut principal } else { &mut resource };
    if let (Some(namespace), Key::Any | Key::Is(_)) = (&entry.member, &*guarded) {
        *guarded = Key::Uid(namespace.clone());
    }
    (principal, resource)
}

fn principal_key(policy: &Policy) -> Key {
    match policy.principal_constraint() {
        PrincipalConstraint::Any => Key::Any,
        PrincipalConstraint::Is(name) => is(Type::of(&name)),
        PrincipalConstraint::Eq(uid) | PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) => {
            Key::Uid(uid)
        }
    }
}

fn resource_key(policy: &Policy) -> Key {
    match policy.resource_constraint() {
        ResourceConstraint::Any => Key::Any,
        ResourceConstraint::Is(name) => is(Type::of(&name)),
        ResourceConstraint::Eq(uid) | ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) => Key::Uid(uid),
    }
}

fn is(kind: Option<Type>) -> Key {
    kind.map_or(Key::Any, Key::Is)
}

/// The actions that a scope names; one that names none, or one that is unknown here, stays for all.
fn actions(policy: &Policy) -> Vec<Action> {
    let all = || Action::ALL.iter().map(|(action, _)| *action).collect();
    match policy.action_constraint() {
        ActionConstraint::Any => all(),
        ActionConstraint::Eq(uid) => Action::of(&uid).map_or_else(all, |action| vec![action]),
        ActionConstraint::In(uids) => {
            let found: Option<Vec<Action>> = uids.iter().map(Action::of).collect();
            found.map_or_else(all, |mut actions| {
                actions.sort_unstable_by_key(|action| *action as usize);
                actions.dedup();
                actions
            })
        }
    }
}
