//! The configuration feed, simulated: a store that crashes, fails over to a standby that lags and is restored from old copies;
//! replicas whose polls are cut, delayed and interleaved with everything else, whose acknowledgements arrive late, twice, in
//! another order or never, and who forget when they restart. Whatever happens, no replica serves an older revision after it
//! acknowledged a newer one, and none goes on in a history that lost a beat it had seen without the store epoch raised.
//!
//! The rule is that of the poller (`authly_model::follow`). `AUTHLY_SEED=N` repeats a history, `AUTHLY_HISTORIES=N` sets how many.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, missing_docs, unreachable_pub)]

#[path = "feed/replica.rs"]
mod replica;
#[path = "feed/store.rs"]
mod store;
#[path = "feed/world.rs"]
mod world;

use authly_model::follow::{Follower, Reason, Seen, Step};
use world::World;

/// What a replica decides with.
type Rule = fn(&Follower, &Seen) -> Step;

const EVENTS: usize = 400;

fn seed() -> u64 {
    let given = std::env::var("AUTHLY_SEED").ok().map(|seed| seed.parse().expect("AUTHLY_SEED is a number"));
    given.unwrap_or_else(|| u64::from_le_bytes(uuid::Uuid::new_v4().as_bytes()[..8].try_into().unwrap()) >> 16)
}

fn histories() -> u64 {
    std::env::var("AUTHLY_HISTORIES").map_or(2_000, |count| count.parse().expect("AUTHLY_HISTORIES is a number"))
}

/// Runs histories from this seed on; the first fault, with the seed that repeats it.
fn run(rule: Rule, first: u64, count: u64) -> Result<world::Told, String> {
    let mut told = world::Told::default();
    for seed in first..first + count {
        let mut world = World::new(seed, rule);
        for _ in 0..EVENTS {
            world.event();
            world.check().map_err(|fault| format!("AUTHLY_SEED={seed} AUTHLY_HISTORIES=1: {fault}"))?;
        }
        world.settle().map_err(|fault| format!("AUTHLY_SEED={seed} AUTHLY_HISTORIES=1: {fault}"))?;
        told.add(&world.told);
    }
    Ok(told)
}

#[test]
fn no_replica_serves_what_is_older_than_it_acknowledged() {
    let (seed, count) = (seed(), histories());
    println!("AUTHLY_SEED={seed} AUTHLY_HISTORIES={count}");
    let told = run(Follower::step, seed, count).unwrap_or_else(|fault| panic!("{fault}"));
    println!("{count} histories of {EVENTS} events: {told:?}");
    if count >= 1000 {
        assert!(told.is_eventful(), "too little happened: {told:?}");
    }
}

/// Without looking at the history a head that went back and came again unseen is taken for the same feed.
fn heads_alone(follower: &Follower, seen: &Seen) -> Step {
    let Some(position) = follower.position() else { return Step::Everything };
    match seen.heads.covers(position) {
        true if seen.heads == *position => Step::Stay,
        true => Step::Changes,
        false => Step::Everything,
    }
}

/// Changes that were pruned are missed.
fn pruned_ignored(follower: &Follower, seen: &Seen) -> Step {
    match follower.step(seen) {
        Step::Everything if follower.position().is_some_and(|position| seen.heads.covers(position)) => Step::Changes,
        step => step,
    }
}

/// A lost beat is answered by loading everything, but counted URLs of the lost time live on.
fn never_raises(follower: &Follower, seen: &Seen) -> Step {
    match follower.step(seen) {
        Step::Raise(Reason::BeatLost | Reason::FeedWentBack | Reason::Moved) => Step::Everything,
        step => step,
    }
}

#[test]
fn rules_that_are_wrong_are_found() {
    let wrong: [(&str, Rule); 3] =
        [("heads alone", heads_alone), ("pruned ignored", pruned_ignored), ("never raises", never_raises)];
    for (name, rule) in wrong {
        let fault = run(rule, seed(), 2_000).expect_err(name);
        println!("{name}: {fault}");
    }
}
