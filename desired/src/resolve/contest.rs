//! Who has a thing that only one object of a tenant may have: a client id, a host and prefix (operator.md, rule 1).
//! What Postgres holds wins, else the older, else the first by name. A loser keeps what is stored of it, so its stored
//! things stay taken, also where its new version no longer wants them. Linear in all wishes.

use std::{collections::HashMap, hash::Hash};

use authly_model::ids::ObjectName;
use jiff::Timestamp;

/// An object and what it wants.
pub(super) struct Contestant<'a, K> {
    pub(super) object: &'a ObjectName,
    pub(super) created: Option<Timestamp>,
    pub(super) wants: Vec<K>,
}

/// What an object lost, and to whom.
pub(super) struct Lost<'a, K> {
    pub(super) thing: K,
    pub(super) holder: &'a ObjectName,
}

/// The losers. `held` is what Postgres holds; `stays` says of an object that is no contestant whether what is stored of
/// it stays.
pub(super) fn losers<'a, K: Hash + Eq + Clone>(
    contestants: &[Contestant<'a, K>],
    held: Option<&'a HashMap<K, ObjectName>>,
    stays: impl Fn(&ObjectName) -> bool,
) -> HashMap<&'a ObjectName, Lost<'a, K>> {
    let mut winners: HashMap<&K, (bool, Option<Timestamp>, &'a ObjectName)> = HashMap::new();
    for contestant in contestants {
        for thing in &contestant.wants {
            let is_stored = held.and_then(|held| held.get(thing)) == Some(contestant.object);
            let rank = (!is_stored, contestant.created, contestant.object);
            let winner = winners.entry(thing).or_insert(rank);
            *winner = rank.min(*winner);
        }
    }
    let mut lost: HashMap<&ObjectName, Lost<'a, K>> = HashMap::new();
    for contestant in contestants {
        let first = contestant.wants.iter().find_map(|thing| {
            let (_, _, holder) = winners.get(thing)?;
            (*holder != contestant.object).then(|| Lost { thing: thing.clone(), holder })
        });
        lost.extend(first.map(|first| (contestant.object, first)));
    }
    let mut stored: HashMap<&ObjectName, Vec<&K>> = HashMap::new();
    for (thing, holder) in held.into_iter().flatten() {
        stored.entry(holder).or_default().push(thing);
    }
    let compete: std::collections::HashSet<&ObjectName> = contestants.iter().map(|c| c.object).collect();
    let staying = stored.keys().copied().filter(|holder| !compete.contains(*holder) && stays(holder));
    let mut work: Vec<&ObjectName> = staying.chain(lost.keys().copied()).collect();
    while let Some(holder) = work.pop() {
        for thing in stored.get(holder).into_iter().flatten() {
            let Some((_, _, winner)) = winners.get(thing) else { continue };
            if *winner != holder && !lost.contains_key(winner) {
                lost.insert(winner, Lost { thing: (*thing).clone(), holder });
                work.push(winner);
            }
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(wants: &[(&str, &[&str])], held: &[(&str, &str)], staying: &[&str]) -> Vec<String> {
        let names: Vec<ObjectName> = wants.iter().map(|(name, _)| ObjectName::new("n", *name)).collect();
        let held: HashMap<String, ObjectName> =
            held.iter().map(|(thing, name)| ((*thing).to_owned(), ObjectName::new("n", *name))).collect();
        let contestants: Vec<_> = names
            .iter()
            .zip(wants)
            .map(|(object, (_, things))| Contestant {
                object,
                created: None,
                wants: things.iter().map(|t| (*t).to_owned()).collect(),
            })
            .collect();
        let lost = losers(&contestants, Some(&held), |name| staying.contains(&name.name.as_str()));
        let mut lost: Vec<_> =
            lost.into_iter().map(|(name, l)| format!("{} {} {}", name.name, l.thing, l.holder.name)).collect();
        lost.sort();
        lost
    }

    #[test]
    fn stored_wins_then_name() {
        assert_eq!(run(&[("a", &["x"]), ("b", &["x"])], &[], &[]), ["b x a"]);
        assert_eq!(run(&[("a", &["x"]), ("b", &["x"])], &[("x", "b")], &[]), ["a x b"]);
    }

    #[test]
    fn a_swap_is_free_and_a_loser_keeps_what_it_had() {
        let swapped: &[(&str, &[&str])] = &[("a", &["y"]), ("b", &["x"])];
        assert!(run(swapped, &[("x", "a"), ("y", "b")], &[]).is_empty());
        // c holds z and stays; a wants z, loses, and keeps x; so b, which wants x, loses to a.
        let held = [("x", "a"), ("y", "b"), ("z", "c")];
        assert_eq!(run(&[("a", &["z"]), ("b", &["x"])], &held, &["c"]), ["a z c", "b x a"]);
        assert!(run(&[("a", &["z"]), ("b", &["x"])], &held, &[]).is_empty(), "c is gone");
    }
}
