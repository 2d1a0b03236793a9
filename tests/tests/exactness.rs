//! Exactness (issue 4, section 1.2): URLs with 1, 5 and 100 uses, redeemed 64 at once over three gateways, while gateways are
//! killed with -9 and PostgreSQL is restarted with `-m immediate`: never one too many, and none is lost but to a request that
//! failed. After a restore from a real older base backup, counted URLs issued before it are refused.
//!
//! 4 rounds, or 50 with `AUTHLY_LONG=1`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::ensure;
use authly_tests::{
    api::{http, reason, sign_report, through, token},
    database,
    dev::Dev,
    is_long,
    postgres::OwnPostgres,
    process::{command, eventually},
    replicas::{Replica, login},
};
use futures::future::join_all;
use reqwest::{Client, Method};
use serde_json::json;

const GATEWAYS: usize = 3;
const AT_ONCE: usize = 64;
/// Each kind of URL, in each set that is redeemed together.
const USES: [u32; 3] = [1, 5, 100];
const LIMIT: Duration = Duration::from_secs(120);

/// What the requests share.
struct Load {
    http: Client,
    ports: [AtomicU16; GATEWAYS],
    turn: AtomicUsize,
    failed: AtomicU32,
}

impl Load {
    /// Redeems a URL 64 at once, each until it is told that no use is left; how often it was granted.
    async fn redeem(&self, url: &str, uses: u32) -> (u32, u32) {
        let (granted, failed) = (AtomicU32::new(0), AtomicU32::new(0));
        let start = Instant::now();
        let one = |n: usize| {
            let (granted, failed) = (&granted, &failed);
            async move {
                loop {
                    assert!(start.elapsed() < LIMIT, "{url} has no end: {granted:?} granted, {failed:?} failed");
                    let port =
                        self.ports[(n + self.turn.fetch_add(1, Ordering::Relaxed)) % GATEWAYS].load(Ordering::Relaxed);
                    match through(&self.http, Method::GET, url, port).await.map(|answer| reason(&answer)) {
                        Ok((200, _)) => drop(granted.fetch_add(1, Ordering::Relaxed)),
                        Ok((410, why)) if why == "used_up" => return,
                        // Out of reach is said at once; the use may be spent.
                        Ok((503, _)) | Err(_) => {
                            failed.fetch_add(1, Ordering::Relaxed);
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                        Ok(other) => panic!("{url}: {other:?}"),
                    }
                }
            }
        };
        join_all((0..AT_ONCE).map(one)).await;
        let (granted, failed) = (granted.into_inner(), failed.into_inner());
        assert!(granted <= uses, "{url}: {granted} of {uses} uses were granted");
        assert!(granted + failed >= uses, "{url}: {granted} of {uses} granted, only {failed} requests failed");
        self.failed.fetch_add(failed, Ordering::Relaxed);
        (granted, failed)
    }
}

async fn gateways(dev: &Dev) -> [Replica; GATEWAYS] {
    [
        Replica::gateway(dev, "gateway-0").await.unwrap(),
        Replica::gateway(dev, "gateway-1").await.unwrap(),
        Replica::gateway(dev, "gateway-2").await.unwrap(),
    ]
}

/// A URL with so many uses; signed again while the server is out of reach.
async fn counted(http: &Client, dev: &Dev, access: &str, uses: u32) -> String {
    let sign = || sign_report(http, dev, access, json!({"uses": uses}));
    eventually("a counted URL is signed", LIMIT, sign).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn never_one_too_many() {
    let rounds = if is_long() { 50 } else { 4 };
    let mut postgres = OwnPostgres::start(&[]).await.unwrap();
    let dev = Arc::new(Dev::quickstart_on(postgres.create("exactness").await.unwrap()).await.unwrap());
    let mut gateways = gateways(&dev).await;
    let load = Arc::new(Load {
        http: http(),
        ports: gateways.each_ref().map(|gateway| gateway.port.into()),
        turn: AtomicUsize::new(0),
        failed: AtomicU32::new(0),
    });
    let (mut sets, mut hit) = (0, 0);
    for round in 0..rounds {
        let start = Instant::now();
        let stop = Arc::new(AtomicBool::new(false));
        let redeeming = tokio::spawn(redeem_sets(Arc::clone(&load), Arc::clone(&dev), Arc::clone(&stop)));
        // At another moment of the redemption each time.
        tokio::time::sleep(Duration::from_millis(150 + 37 * (round % 10))).await;
        let victim = usize::try_from(round).unwrap() % GATEWAYS;
        gateways[victim].process.signal("KILL").unwrap();
        postgres.crash_and_recover().await.unwrap();
        gateways[victim] = Replica::gateway(&dev, &format!("gateway-{victim}-{round}")).await.unwrap();
        load.ports[victim].store(gateways[victim].port, Ordering::Relaxed);
        // And once while all else runs.
        postgres.crash_and_recover().await.unwrap();
        stop.store(true, Ordering::Relaxed);
        let (done, failing) = redeeming.await.unwrap();
        (sets, hit) = (sets + done, hit + failing);
        println!("round {round}: {done} sets, {failing} of them saw a fault, {:?}", start.elapsed());
    }
    let mut look = database::look(&dev.database).await.unwrap();
    let wrong: i64 =
        sqlx::query_scalar("select count(*) from authly.url_use where used <> max").fetch_one(&mut look).await.unwrap();
    assert_eq!(wrong, 0, "URLs whose uses are not all spent");
    println!("{rounds} rounds, {sets} sets of {USES:?} uses, {} failed requests", load.failed.load(Ordering::Relaxed));
    assert!(hit > 0, "no fault came in the middle of a redemption");
}

/// Signs and redeems sets of URLs until told to stop; how many, and how many of them saw a failure.
async fn redeem_sets(load: Arc<Load>, dev: Arc<Dev>, stop: Arc<AtomicBool>) -> (u32, u32) {
    let (mut sets, mut failing) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let ask = || token(&load.http, &dev.json.token_endpoint, dev.client("shop.billing").unwrap(), &[]);
        let access = eventually("a token is issued", LIMIT, ask).await.unwrap();
        let urls = join_all(USES.map(|uses| counted(&load.http, &dev, &access, uses))).await;
        let outcomes = join_all(urls.iter().zip(USES).map(|(url, uses)| load.redeem(url, uses))).await;
        sets += 1;
        failing += u32::from(outcomes.iter().any(|(_, failed)| *failed > 0));
    }
    (sets, failing)
}

/// Asks every gateway for a URL 20 at once until all of them refuse it for good; until then no more than `left` uses are granted.
async fn refused_for_good(http: &Client, url: &str, ports: &[u16], left: u32) {
    let granted = AtomicU32::new(0);
    let ask = || async {
        let requests = (0..20).map(|n| through(http, Method::GET, url, ports[n % ports.len()]));
        let mut refused = 0;
        // All of them are looked at, those beside a request that failed, too.
        for (status, why) in join_all(requests).await.into_iter().flatten().map(|answer| reason(&answer)) {
            let sum = granted.fetch_add(u32::from(status == 200), Ordering::Relaxed) + u32::from(status == 200);
            assert!(sum <= left, "{url} was granted {sum} times, {left} were left");
            refused += u32::from((status, why.as_str()) == (410, "revoked"));
        }
        ensure!(refused == 20, "{refused} of 20 refused as revoked");
        Ok(())
    };
    eventually("counted URLs issued before are refused", Duration::from_secs(60), ask).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_counted_urls_issued_before_are_refused() {
    let mut postgres = OwnPostgres::start(&[]).await.unwrap();
    let dev = Dev::quickstart_on(postgres.create("restored").await.unwrap()).await.unwrap();
    let (server, gateways) = (Replica::server(&dev, "server").await.unwrap(), gateways(&dev).await);
    let ports = gateways.each_ref().map(|gateway| gateway.port);
    let http = http();
    let access = token(&http, &dev.json.token_endpoint, dev.client("shop.billing").unwrap(), &[]).await.unwrap();
    let spent = counted(&http, &dev, &access, 1).await;
    let uncounted = sign_report(&http, &dev, &access, json!({})).await.unwrap();
    let backup = postgres.base_backup().await.unwrap();
    // What the restored store will not know.
    let later = counted(&http, &dev, &access, 5).await;
    exactly(&http, &spent, &ports, 1).await;
    exactly(&http, &later, &ports, 5).await;
    // A heartbeat comes every second.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let asking = {
        let (http, spent) = (http.clone(), spent.clone());
        // While it is away and when it comes back, too.
        tokio::spawn(async move { refused_for_good(&http, &spent, &ports, 0).await })
    };
    postgres.restore(&backup).await.unwrap();
    asking.await.unwrap();
    refused_for_good(&http, &later, &ports, 0).await;
    // The one that is not counted works on, and new ones are counted.
    assert_eq!(through(&http, Method::GET, &uncounted, ports[1]).await.unwrap().status(), 200);
    let fresh = sign_again(&http, &server, &dev, &access).await;
    exactly(&http, &fresh, &ports, 1).await;

    // The step of the restore guide, for what no replica can know.
    let before = sign_again(&http, &server, &dev, &access).await;
    let (url, password) = login(&dev, "jobs").unwrap();
    let mut raise = command().unwrap();
    raise.args(["admin", "raise-store-epoch", "--jobs-database-url", &url]);
    let output = raise.env("AUTHLY_JOBS_DATABASE_PASSWORD", password).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    print!("{}", String::from_utf8_lossy(&output.stdout));
    refused_for_good(&http, &before, &ports, 1).await;
    let fresh = sign_again(&http, &server, &dev, &access).await;
    exactly(&http, &fresh, &ports, 1).await;
}

/// A URL with one use from a server that may not have come to itself yet.
async fn sign_again(http: &Client, server: &Replica, dev: &Dev, access: &str) -> String {
    let endpoint = format!("http://127.0.0.1:{}/t/acme/v1/signed-urls", server.port);
    let body = json!({"route": "shop/reports", "path": "/reports/q3.pdf", "constraints": {"uses": 1}});
    let sign = || async {
        let request = http.post(&endpoint).header("host", format!("localhost:{}", dev.server_port)).bearer_auth(access);
        let answer = request.json(&body).send().await?;
        let status = answer.status();
        let answer: serde_json::Value = answer.json().await?;
        ensure!(status == 201, "{status}: {answer}");
        Ok(answer["url"].as_str().unwrap().to_owned())
    };
    eventually("a counted URL is signed after the restore", Duration::from_secs(60), sign).await.unwrap()
}

async fn exactly(http: &Client, url: &str, ports: &[u16], uses: u32) {
    let requests = (0..AT_ONCE).map(|n| through(http, Method::GET, url, ports[n % ports.len()]));
    let mut granted = 0;
    for answer in join_all(requests).await {
        match reason(&answer.unwrap()) {
            (200, _) => granted += 1,
            (410, why) if why == "used_up" => {}
            other => panic!("{url}: {other:?}"),
        }
    }
    assert_eq!(granted, uses, "{url}");
}
