//! Rotation of client secrets (issue 4, section 2): two servers, an operator and a real API server, with clients that read their
//! Secret and ask for tokens all the time. Whatever rotates, none of them ever sees a failure.
//!
//! A value works from the moment when it is in the Secret until `overlap` after it was replaced, so every answer counts but a 401 that
//! came later than `overlap` after the look at the Secret; those must be few. `AUTHLY_LONG=1` rotates ten times.

#[path = "rotation_clients/annotations.rs"]
mod annotations;
#[path = "rotation_clients/existing.rs"]
mod existing;
#[path = "rotation_clients/traffic.rs"]
mod traffic;
#[path = "rotation_clients/world.rs"]
mod world;

use std::time::{Duration, Instant};

use authly_tests::{database, is_long, process::eventually};
use serde_json::json;

use world::{OVERLAP, World};

const SECOND: Duration = Duration::from_secs(1);
/// For what waits for the operator, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn no_client_that_reads_its_secret_sees_a_failure_through_rotations() {
    let mut world = World::start().await;
    world.add("hourly", "{secret: {rotateEvery: 12s, overlap: 4s}}").await;
    world.ready("hourly").await;
    let traffic = world.traffic("billing", ("billing-oauth", "client_secret"), 2);
    let scheduled = world.traffic("hourly", ("hourly-oauth", "client_secret"), 1);
    let mut values = vec![world.value("billing", "client_secret").await.unwrap()];
    let hourly = world.value("hourly", "client_secret").await.unwrap();
    let rounds = if is_long() { 10 } else { 2 };
    for round in 1..=rounds {
        let asked = format!("round {round}");
        world.annotate("billing", "authly.dev/rotate-requested-at", &asked).await;
        if is_long() && round == 5 {
            world.kill_operator().await;
        }
        let before = values.last().cloned().unwrap();
        let value = eventually("the value changed", PATIENCE, || async {
            let value = world.value("billing", "client_secret").await?;
            anyhow::ensure!(value != before, "not yet");
            Ok(value)
        })
        .await
        .unwrap();
        assert!(!values.contains(&value), "a value came back");
        assert_eq!(world.value("billing", "client_secret_previous").await.unwrap(), before);
        values.push(value.clone());
        // Everything is over once the value before is gone.
        world.settled("billing", &asked).await;
        assert!(world.value("billing", "client_secret_previous").await.is_err());
        for server in &world.servers {
            assert_eq!(world.token(server.port, "billing", &value).await.unwrap(), 200);
            assert_eq!(world.token(server.port, "billing", &before).await.unwrap(), 401, "it outlived its overlap");
        }
    }
    // The schedule asked for nobody's leave.
    eventually("the schedule rotated", PATIENCE, || async {
        anyhow::ensure!(world.value("hourly", "client_secret").await? != hourly, "not yet");
        Ok(())
    })
    .await
    .unwrap();
    for traffic in [traffic, scheduled] {
        traffic.stop().await.assert_whole();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_reaches_the_secret_only_after_every_server_acknowledged_it() {
    let world = World::start().await;
    let before = world.value("billing", "client_secret").await.unwrap();
    world.servers[1].process.signal("STOP").unwrap();
    world.annotate("billing", "authly.dev/rotate-requested-at", "now").await;
    let next = eventually("the next value is on its way", PATIENCE, || world.value("billing", "client_secret_next"))
        .await
        .unwrap();
    // Shorter than its lease, after which it does not count any more.
    tokio::time::sleep(3 * SECOND).await;
    assert_eq!(world.value("billing", "client_secret").await.unwrap(), before);
    let status = world.status("billing").await;
    let conditions = status["conditions"].as_array().unwrap();
    let is = |kind: &str| conditions.iter().any(|c| c["type"] == kind && c["status"] == "True");
    assert!(is("RotationInProgress") && is("Ready"), "{status}");
    world.servers[1].process.signal("CONT").unwrap();
    eventually("it is promoted", PATIENCE, || async {
        anyhow::ensure!(world.value("billing", "client_secret").await? == next, "not yet");
        Ok(())
    })
    .await
    .unwrap();
    for server in &world.servers {
        for value in [&before, &next] {
            assert_eq!(world.token(server.port, "billing", value).await.unwrap(), 200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_frozen_beyond_its_lease_refuses_no_value_that_works() {
    let world = World::start().await;
    let before = world.value("billing", "client_secret").await.unwrap();
    assert_eq!(world.token(world.servers[1].port, "billing", &before).await.unwrap(), 200, "it knows the client");
    world.servers[1].process.signal("STOP").unwrap();
    let value = rotated(&world, &before).await;
    wakes_knowing(&world, &value).await;
}

/// The new value is digested under a pepper that the server has not heard of either.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_frozen_while_the_pepper_changed_too_refuses_no_value_that_works() {
    let world = World::start().await;
    let before = world.value("billing", "client_secret").await.unwrap();
    assert_eq!(world.token(world.servers[1].port, "billing", &before).await.unwrap(), 200, "it knows the client");
    world.servers[1].process.signal("STOP").unwrap();
    let tenant = format!("acme-{}", world.stack.id);
    world.kubectl(&["annotate", "tenant", &tenant, "authly.dev/rotate-pepper-requested-at=now"]).await;
    let mut look = database::look(&world.stack.database).await.unwrap();
    let peppers = "SELECT count(*) FILTER (WHERE purpose = 'pepper') FROM authly.tenant_key";
    for expected in [2_i64, 1] {
        let start = Instant::now();
        while sqlx::query_scalar::<_, i64>(peppers).fetch_one(&mut look).await.unwrap() != expected {
            assert!(start.elapsed() < PATIENCE, "never {expected} peppers");
            tokio::time::sleep(SECOND / 20).await;
        }
    }
    let value = rotated(&world, &before).await;
    wakes_knowing(&world, &value).await;
}

/// Asks for a rotation; the value after it.
async fn rotated(world: &World, before: &str) -> String {
    world.annotate("billing", "authly.dev/rotate-requested-at", "now").await;
    eventually("nobody waits for it any more", PATIENCE, || async {
        let value = world.value("billing", "client_secret").await?;
        anyhow::ensure!(value != before, "not yet");
        Ok(value)
    })
    .await
    .unwrap()
}

/// The second server, frozen so far, wakes with requests that present a value before it.
async fn wakes_knowing(world: &World, value: &str) {
    let (port, frozen) = (world.servers[1].port, &world.servers[1].process);
    // The requests are there before it wakes, so that nothing it does by itself comes before them.
    let asked = futures::future::join_all((0..8).map(|_| world.token(port, "billing", value)));
    let wake = async {
        tokio::time::sleep(SECOND).await;
        frozen.signal("CONT").unwrap();
    };
    let (answers, ()) = tokio::join!(asked, wake);
    let answers: Vec<u16> = answers.into_iter().map(Result::unwrap).collect();
    println!("{answers:?}");
    assert!(!answers.contains(&401), "{answers:?}");
    eventually("it works there", PATIENCE, || async {
        anyhow::ensure!(world.token(port, "billing", value).await? == 200, "not yet");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_secret_is_replaced_and_the_lost_value_works_for_the_overlap() {
    let world = World::start().await;
    let port = world.servers[0].port;
    let lost = world.value("billing", "client_secret").await.unwrap();
    world.kubectl(&["delete", "secret", "billing-oauth"]).await;
    let value = eventually("there is a new value", PATIENCE, || world.value("billing", "client_secret")).await.unwrap();
    // The overlap has just begun. Asked once: who was refused is not asked again until it fits.
    assert_eq!(world.token(port, "billing", &lost).await.unwrap(), 200, "the lost value was cut short");
    assert_ne!(value, lost);
    assert_eq!(world.token(port, "billing", &value).await.unwrap(), 200);
    eventually("the lost value is dropped", OVERLAP + PATIENCE, || async {
        anyhow::ensure!(world.token(port, "billing", &lost).await? == 401, "not yet");
        Ok(())
    })
    .await
    .unwrap();
    let status = world.status("billing").await;
    assert_eq!(status["rotateRequestedAt"], json!(null));
    assert!(status["secretRotatedAt"].is_string() && status["secretFingerprint"].is_string(), "{status}");
}
