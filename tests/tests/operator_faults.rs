//! The operator killed with `kill -9` before and after each of its writes, to the API server and to PostgreSQL (issue 4,
//! section 1.4): a new one brings every scenario to its end, and a client that polls its Secret never reads a secret that
//! does not work on one of the servers.
//!
//! Each scenario runs once without a fault, which counts its writes; then once for each point. The short form takes a sample of
//! the points; `AUTHLY_LONG=1` takes all.

mod operator_faults {
    pub(crate) mod client;
    pub(crate) mod run;
    pub(crate) mod scenario;
}

use std::time::Duration;

use authly_tests::{
    fault::Side,
    is_long,
    process::free_port,
    slow::Slow,
    stack::{Listening, Stack},
};
use futures::{StreamExt, stream};
use operator_faults::{
    run::{Outcome, World},
    scenario::Scenario,
};

/// How late the second server's PostgreSQL answers each request.
const LATE: Duration = Duration::from_millis(60);
/// Runs at once; each has an operator, an installation, a tenant and a namespace of its own.
const AT_ONCE: usize = 4;
/// The short form takes about so many points of each scenario.
const SAMPLE: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_write_it_converges_and_no_client_reads_a_secret_that_fails() {
    let mut stack = Stack::new().await.unwrap();
    // New signing keys sign after twice as long.
    stack.environment.push(("AUTHLY_JWKS_MAX_AGE".to_owned(), "1s".to_owned()));
    let ports = [free_port().unwrap(), free_port().unwrap()];
    // The second one hears of everything late.
    let slow = Slow::before(url::Url::parse(&stack.database).unwrap().port().unwrap()).await.unwrap();
    let servers: [Listening; 2] = [
        stack.server("server-1", ports[0], None).await.unwrap(),
        stack.server("server-2", ports[1], Some(slow.port)).await.unwrap(),
    ];
    slow.delay(LATE);
    let world = World::new(&stack, ports).await.unwrap();

    let counted: Vec<(Scenario, Outcome)> = stream::iter(Scenario::ALL)
        .map(|scenario| {
            let world = &world;
            async move { (scenario, world.run(scenario, None).await.unwrap()) }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut points = Vec::new();
    for (scenario, outcome) in &counted {
        println!("{scenario:?}: {} writes", outcome.writes.len());
        outcome.writes.iter().enumerate().for_each(|(n, what)| println!("  {} {what}", n + 1));
        assert!(outcome.writes.len() >= scenario.least_writes(), "{scenario:?}: the proxies missed writes");
        points.extend(sample(*scenario, outcome.writes.len()));
    }
    let outcomes: Vec<_> = stream::iter(points)
        .map(|(scenario, number, side)| {
            let world = &world;
            async move {
                let outcome = world.run(scenario, Some((number, side))).await;
                (scenario, number, side, outcome)
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let (mut killed, mut tokens, mut answers, mut busy, mut failed) = (0, 0, 0, 0, Vec::new());
    for (scenario, number, side, outcome) in &outcomes {
        match outcome {
            Ok(outcome) => {
                killed += usize::from(outcome.was_killed);
                tokens += outcome.polled.tokens;
                answers += outcome.polled.answers;
                busy += outcome.polled.busy;
            }
            Err(error) => failed.push(format!("{scenario:?}, {side:?} write {number}: {error:#}")),
        }
    }
    println!(
        "{} points, {killed} kills, {tokens} tokens with secrets that were polled, {busy} of {answers} answers 503, {} failures",
        outcomes.len(),
        failed.len()
    );
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    // A run may need fewer writes than the one that was counted, since writes coalesce; most must have been hit.
    assert!(killed * 4 >= outcomes.len() * 3, "only {killed} of {} points were reached", outcomes.len());
    assert!(tokens * 2 >= killed, "the clients hardly polled");
    // They ask again after a 503, which must stay rare: servers are up all the time.
    assert!(busy * 20 <= answers, "{busy} of {answers} answers were 503");
    drop(servers);
}

/// The points of a scenario: all, or some of them spread over its length, on alternating sides.
fn sample(scenario: Scenario, writes: usize) -> Vec<(Scenario, usize, Side)> {
    let all = (1..=writes).flat_map(|number| [(scenario, number, Side::Before), (scenario, number, Side::After)]);
    if is_long() {
        return all.collect();
    }
    // An odd step changes sides.
    let step = (writes * 2 / SAMPLE).max(1) | 1;
    all.skip(1).step_by(step).collect()
}
