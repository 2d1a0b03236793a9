//! A property: whatever happens, a verifier that keeps each key set for its whole max-age knows every key that signs, and what was
//! signed verifies until it expires.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{LIFETIME, MAX_AGE, World};
use crate::{
    duration::Seconds,
    key::{
        Algorithm::{ES256, EdDSA},
        KeyState::{Active, Next},
        KeyUse::{Token, Url},
    },
    rotation::KnownKey,
};

/// What may happen in a second.
#[derive(Debug, Clone, Copy)]
enum Event {
    Nothing,
    Request,
    Algorithm(bool),
    Schedule(Option<i64>),
    Overlap(i64),
    /// Replicas are this many seconds behind from now on.
    Lag(i64),
    /// The operator is away for so long.
    Away(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => Just(Event::Nothing),
        3 => Just(Event::Request),
        1 => any::<bool>().prop_map(Event::Algorithm),
        1 => proptest::option::of(25..200_i64).prop_map(Event::Schedule),
        1 => (0..150_i64).prop_map(Event::Overlap),
        2 => (0..15_i64).prop_map(Event::Lag),
        1 => (0..60_i64).prop_map(Event::Away),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_verifier_ever_fails(events in proptest::collection::vec(event(), 400)) {
        let mut world = World::new();
        // What was stored at each second; replicas serve an older one.
        let mut stored: Vec<Vec<KnownKey>> = Vec::new();
        let mut served: Vec<usize> = Vec::new();
        let (mut lag, mut away_until) = (0, 0);
        for (now, event) in events.into_iter().enumerate() {
            let second = i64::try_from(now).unwrap();
            match event {
                Event::Nothing => {}
                Event::Request => world.requested = true,
                Event::Algorithm(es256) => world.algorithm = if es256 { ES256 } else { EdDSA },
                Event::Schedule(every) => world.policy.rotate_every = every.map(Seconds),
                Event::Overlap(overlap) => world.policy.overlap = Seconds(overlap),
                Event::Lag(seconds) => lag = seconds,
                Event::Away(seconds) => away_until = second + seconds,
            }
            // The slowest replica; it never goes back.
            let position = now.saturating_sub(usize::try_from(lag).unwrap()).max(served.last().copied().unwrap_or(0));
            if second >= away_until {
                // It has passed the latest revision once what it serves is what is stored.
                let current: Vec<_> = world.keys.iter().map(|key| (key.kid.clone(), key.state)).collect();
                let shown = stored.get(position).map_or_else(Vec::new, |keys| keys.iter().map(|key| (key.kid.clone(), key.state)).collect());
                world.acknowledged = current == shown;
                let plan = world.plan(second);
                plan.steps.iter().for_each(|step| world.take(step, second));
                if !plan.steps.is_empty() {
                    world.requested = false;
                }
            }
            stored.push(world.keys.clone());
            served.push(position);
            let published = |moment: usize| -> BTreeSet<&str> { stored[served[moment]].iter().map(|key| key.kid.as_str()).collect() };
            // What signs now, on a replica that is up to date and on the slowest.
            for keys in [&stored[now], &stored[position]] {
                for signer in keys.iter().filter(|key| key.state == Active) {
                    for cached in now.saturating_sub(usize::try_from(MAX_AGE).unwrap())..=now {
                        prop_assert!(published(cached).contains(signer.kid.as_str()), "{} signs at {now}, unknown at {cached}", signer.kid);
                    }
                }
            }
            // What was signed a lifetime ago still verifies, on every replica.
            if let Some(signed) = now.checked_sub(usize::try_from(LIFETIME).unwrap()) {
                for signer in stored[served[signed]].iter().filter(|key| key.state == Active) {
                    for keys in [&stored[now], &stored[position]] {
                        prop_assert!(keys.iter().any(|key| key.kid == signer.kid), "{} is gone", signer.kid);
                    }
                }
            }
            for key_use in [Token, Url] {
                prop_assert_eq!(world.of(key_use, Active).len(), 1);
                prop_assert!(world.of(key_use, Next).len() <= 1);
            }
        }
    }
}
