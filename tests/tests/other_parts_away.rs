//! The rows of "When things break" that are not PostgreSQL's (issue 4, section 1.3): the platform key gone or wrong, a bad policy,
//! the operator down. Postgres itself is in `postgres_away.rs`, restores in `exactness.rs`, kill -9 in `no_loss.rs`.

use std::time::{Duration, Instant};

use anyhow::ensure;
use authly_tests::{
    api::{http, reason, sign_report, through, token, token_request},
    dev::{Dev, shows},
    process::{Process, eventually, free_port},
    replicas::{Replica, login},
};
use reqwest::{Client, Method};
use serde_json::json;

const SECOND: Duration = Duration::from_secs(1);

/// Waits until this server issues a token: one that has just started, on a busy machine, may take a moment. From then on every
/// answer counts.
async fn serves(http: &Client, dev: &Dev, server: &Replica) {
    eventually("a token", 10 * SECOND, || async {
        let status = issues(http, dev, server).await;
        ensure!(status == 200, "{status}");
        Ok(())
    })
    .await
    .unwrap();
}

/// The answer to a request for a token.
async fn issues(http: &Client, dev: &Dev, server: &Replica) -> u16 {
    let answer = token_request(http, dev, server.port).send().await.unwrap();
    if answer.status() == 503 {
        assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
    }
    answer.status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_key_is_needed_at_the_start_and_a_wrong_one_opens_nothing() {
    let dev = Dev::quickstart().await.unwrap();
    let http = http();
    let server = Replica::server(&dev, "server").await.unwrap();
    serves(&http, &dev, &server).await;
    let kek = dev.data.join("kek");
    let right = std::fs::read(&kek).unwrap();
    std::fs::remove_file(&kek).unwrap();
    // Who has it goes on; who comes now says what is missing.
    assert_eq!(issues(&http, &dev, &server).await, 200);
    let (url, password) = login(&dev, "server").unwrap();
    let (port, management) = (free_port().unwrap(), free_port().unwrap());
    let flags = [
        ("--database-url", url),
        ("--kek-file", kek.to_string_lossy().into_owned()),
        ("--listen", format!("127.0.0.1:{port}")),
        ("--management-listen", format!("127.0.0.1:{management}")),
    ];
    let mut args = vec!["server".to_owned()];
    args.extend(flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]));
    let environment = [("AUTHLY_DATABASE_PASSWORD".to_owned(), password)];
    let mut late = Process::authly("late", dev.data.parent().unwrap(), &args, &environment).unwrap();
    let ended = late.ended(20 * SECOND).await.unwrap();
    assert_eq!(ended.code(), Some(1), "{}", late.output());
    assert!(late.output().contains("kek"), "{}", late.output());

    // A wrong one: never a token, never a 500, and the right one cures it.
    std::fs::write(&kek, (0..32).map(|n: u8| n.wrapping_mul(37) ^ 0x5a).collect::<Vec<_>>()).unwrap();
    let wrong = Replica::server(&dev, "wrong").await.unwrap();
    let start = Instant::now();
    while start.elapsed() < 3 * SECOND {
        assert_eq!(issues(&http, &dev, &wrong).await, 503);
        tokio::time::sleep(SECOND / 10).await;
    }
    std::fs::write(&kek, right).unwrap();
    let cured = Replica::server(&dev, "cured").await.unwrap();
    serves(&http, &dev, &cured).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_policy_leaves_the_last_good_one_and_says_where_it_is_bad() {
    let dev = Dev::quickstart().await.unwrap();
    let http = http();
    let gateway = Replica::gateway(&dev, "gateway").await.unwrap();
    let access = token(&http, &dev.json.token_endpoint, dev.client("shop.billing").unwrap(), &[]).await.unwrap();
    let url = sign_report(&http, &dev, &access, json!({})).await.unwrap();
    let good = dev.read("40-policy.yaml").unwrap();
    dev.write(
        "40-policy.yaml",
        &good.replace(
            "permit (principal, action == Action::\"redeem\"",
            "permit (principal action == Action::\"redeem\"",
        ),
    )
    .unwrap();
    let line = shows(&dev, &["accesspolicy.authly.dev/reports", "line 2", "column"], 20 * SECOND).await.unwrap();
    println!("{line}");
    for _ in 0..10 {
        let answer = through(&http, Method::GET, &url, gateway.port).await.unwrap();
        assert_eq!(answer.status(), 200, "{:?}", reason(&answer));
        sign_report(&http, &dev, &access, json!({})).await.unwrap();
        tokio::time::sleep(SECOND / 10).await;
    }
    dev.write("40-policy.yaml", &good).unwrap();
    shows(&dev, &["accesspolicy.authly.dev/reports", "True"], 20 * SECOND).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_operator_everything_is_served_and_manifests_apply_when_it_returns() {
    let mut dev = Dev::quickstart().await.unwrap();
    let http = http();
    let (server, gateway) =
        (Replica::server(&dev, "server").await.unwrap(), Replica::gateway(&dev, "gateway").await.unwrap());
    let access = token(&http, &dev.json.token_endpoint, dev.client("shop.billing").unwrap(), &[]).await.unwrap();
    let url = sign_report(&http, &dev, &access, json!({"uses": 5})).await.unwrap();
    serves(&http, &dev, &server).await;
    // The engine runs in it, and with it goes the operator.
    dev.kill().await.unwrap();
    let manifest = dev.read("40-policy.yaml").unwrap();
    let denying: String =
        manifest.lines().filter(|line| !line.contains("Action::\"redeem\"")).map(|line| format!("{line}\n")).collect();
    dev.write("40-policy.yaml", &denying).unwrap();
    for _ in 0..4 {
        assert_eq!(issues(&http, &dev, &server).await, 200);
        let answer = through(&http, Method::GET, &url, gateway.port).await.unwrap();
        assert_eq!(answer.status(), 200, "{:?}", reason(&answer));
        tokio::time::sleep(SECOND / 2).await;
    }
    dev.start_again().await.unwrap();
    eventually("what was edited meanwhile applies", 30 * SECOND, || async {
        let answer = through(&http, Method::HEAD, &url, gateway.port).await?;
        ensure!(reason(&answer) == (403, "policy_denied".to_owned()), "{:?}", reason(&answer));
        Ok(())
    })
    .await
    .unwrap();
}
