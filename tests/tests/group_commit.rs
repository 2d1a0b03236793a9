//! Group commit is real (issue 3, section 3.6): with 5 ms added on the way to PostgreSQL, 1,000 tokens at 64 connections raise
//! `xact_commit` by under 100, each has its audit row, and with PostgreSQL out of reach no token is answered. The hot path is real:
//! scans of configuration tables stay at zero during it.

use std::{sync::Arc, time::Duration};

use authly_tests::{
    api::http,
    database,
    dev::Dev,
    replicas::{Replica, url_of},
    slow::Slow,
};
use futures::{StreamExt, stream};
use sqlx::{PgConnection, Row};

async fn commits(connection: &mut PgConnection) -> i64 {
    let row = sqlx::query("select xact_commit from pg_stat_database where datname = current_database()")
        .fetch_one(connection)
        .await;
    row.unwrap().get(0)
}

/// Scans of configuration tables, sequential and by index.
async fn scans(connection: &mut PgConnection) -> i64 {
    let row = sqlx::query(
        "select coalesce(sum(seq_scan + coalesce(idx_scan, 0)), 0)::bigint from pg_stat_user_tables \
         where schemaname = 'authly' and relname in ('tenant', 'client', 'client_secret', 'signing_key', 'signing_key_private', 'tenant_key', 'route', 'access_policy')",
    );
    row.fetch_one(connection).await.unwrap().get(0)
}

async fn issued(connection: &mut PgConnection) -> i64 {
    let row =
        sqlx::query("select count(*) from authly.audit_event where kind = 'token_issued'").fetch_one(connection).await;
    row.unwrap().get(0)
}

/// A connection that goes idle hands in its last statistics after 10 s (PGSTAT_IDLE_INTERVAL).
async fn settle() {
    tokio::time::sleep(Duration::from_millis(11_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_tokens_in_under_a_hundred_commits() {
    let dev = Dev::quickstart().await.unwrap();
    let upstream = url::Url::parse(&dev.database).unwrap().port().unwrap();
    let slow = Slow::before(upstream).await.unwrap();
    let mut through = url::Url::parse(&url_of(&dev, "server").unwrap()).unwrap();
    through.set_port(Some(slow.port)).unwrap();
    let server = Replica::start_at(&dev, "slow-server", "server", through.as_str()).await.unwrap();
    let http = http();
    let client = dev.client("shop.billing").unwrap().clone();
    let endpoint = Arc::new(format!("http://127.0.0.1:{}/t/acme/token", server.port));
    let host = format!("localhost:{}", dev.server_port);
    let token = |n: usize| {
        let (http, client, endpoint, host) = (http.clone(), client.clone(), Arc::clone(&endpoint), host.clone());
        async move {
            let request =
                http.post(endpoint.as_str()).header("host", host).form(&[("grant_type", "client_credentials")]);
            let answer = request.basic_auth(&client.client_id, client.client_secret.as_deref()).send().await.unwrap();
            (n, answer.status().as_u16())
        }
    };
    assert_eq!(token(0).await.1, 200, "warm");
    slow.delay(Duration::from_millis(5));

    let mut look = database::look(&dev.database).await.unwrap();
    settle().await;
    let idle_start = commits(&mut look).await;
    let idle = tokio::time::Instant::now();
    settle().await;
    let idle_rate = (commits(&mut look).await - idle_start) as f64 / idle.elapsed().as_secs_f64();
    let (before_rows, before_scans) = (issued(&mut look).await, scans(&mut look).await);
    let before = commits(&mut look).await;
    let start = tokio::time::Instant::now();
    let answers: Vec<_> = stream::iter(0..1000).map(token).buffer_unordered(64).collect().await;
    assert!(answers.iter().all(|(_, status)| *status == 200), "every request is answered with a token");
    settle().await;
    // What dev, its replicas and this test commit by themselves (polls, leases, looks) is measured before and taken off.
    let own = (idle_rate * start.elapsed().as_secs_f64()).ceil() as i64;
    let used = commits(&mut look).await - before - own;
    println!("1000 tokens: {used} commits beyond {own} of the idle system");
    assert!(used < 100, "{used} commits for 1,000 tokens");
    assert_eq!(issued(&mut look).await - before_rows, 1000, "each token has its audit row");
    assert_eq!(scans(&mut look).await - before_scans, 0, "no configuration table is read on the hot path");

    // Without PostgreSQL no token is answered, and nothing hangs.
    slow.cut();
    for n in 0..20 {
        let answer = tokio::time::timeout(Duration::from_secs(5), token(n)).await.expect("an answer within 5 s");
        assert_eq!(answer.1, 503);
    }
    slow.mend();
    authly_tests::process::eventually("tokens again", Duration::from_secs(10), || async {
        let (_, status) = token(0).await;
        anyhow::ensure!(status == 200, "{status}");
        Ok(())
    })
    .await
    .unwrap();
}
