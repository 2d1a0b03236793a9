//! What a gateway keeps changes no answer: random histories of requests, revocations, time and configuration, asked of a gateway
//! that keeps proofs and of one that keeps none, over the same snapshot and store. Each URL exists twice, alike but for its id, so
//! that neither gateway spends the other's uses. `AUTHLY_LONG=1` plays many more.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

#[path = "kept/history.rs"]
mod history;
#[path = "../../store/tests/support/support.rs"]
mod support;
#[path = "kept/world.rs"]
mod world;

use history::History;
use rand::{SeedableRng, rngs::StdRng};
use support::Database;
use world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_proof_answers_as_a_new_one() {
    let histories: u64 = if std::env::var_os("AUTHLY_LONG").is_some() { 100 } else { 6 };
    let db = Database::new().await;
    let mut world = World::start(&db).await;
    let mut asked = std::collections::BTreeMap::<String, u32>::new();
    for seed in 0..histories {
        world.new_tenant(seed).await;
        let mut history = History::new(StdRng::seed_from_u64(seed), &world);
        for step in 0..100 {
            for (left, right) in history.step(&world).await {
                assert_eq!(left, right, "seed {seed}, step {step}: {}", history.last);
                *asked.entry(format!("{} {}", left.status, left.reason)).or_default() += 1;
            }
        }
    }
    let (kept, verified) = world.proofs("kept");
    println!("{histories} histories: {asked:?}; proofs kept {kept}, verified {verified}");
    assert!(kept >= 100, "hardly anything was kept: {kept}, and {verified} were verified");
    assert_eq!(world.proofs("new").0, 0, "the other gateway keeps nothing");
    for outcome in [
        "204 ",
        "403 expired",
        "403 revoked",
        "403 used_up",
        "403 policy_denied",
        "403 network_mismatch",
        "403 signature_invalid",
    ] {
        assert!(asked.get(outcome).is_some_and(|n| *n >= 2), "hardly any `{outcome}`: {asked:?}");
    }
}
