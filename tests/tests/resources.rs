//! Resources (issue 4, section 1.6): 10,000 slow connections, oversized bodies and headers, file descriptors that run out: refused or
//! slowed, and recovered. Memory and metrics stay bounded under an endless stream of clients, kids and URLs that nobody knows.
//! A disk that is full is in `full_disk.rs`.
//!
//! `AUTHLY_LONG=1` makes the stream a hundred times as long.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use authly_tests::{
    api::{http, http_once, sign_report, through, token, token_request},
    dev::Dev,
    flood::{Kept, slow_connections, trickle},
    process::eventually,
    replicas::Replica,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::{StreamExt, stream};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::json;
use tokio::net::TcpStream;

const SECOND: Duration = Duration::from_secs(1);

/// A tenant's server, asked directly.
struct Server<'d> {
    dev: &'d Dev,
    http: Client,
    replica: Replica,
}

impl Server<'_> {
    fn post(&self, path: &str) -> RequestBuilder {
        let url = format!("http://127.0.0.1:{}/t/acme/{path}", self.replica.port);
        self.http.post(url).header("host", format!("localhost:{}", self.dev.server_port))
    }

    fn token(&self) -> RequestBuilder {
        token_request(&self.http, self.dev, self.replica.port)
    }

    async fn status(&self, request: RequestBuilder) -> u16 {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        // Read to its end, so that the connection is used again.
        answer.bytes().await.unwrap();
        status
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_slow_connections_are_refused_or_cut_and_it_goes_on() {
    let dev = Dev::quickstart().await.unwrap();
    let server = Server { dev: &dev, http: http(), replica: Replica::server(&dev, "server").await.unwrap() };
    let mut kept = Kept::open(&dev, server.replica.port).await;
    assert_eq!(kept.token().await, 200);
    let before = memory(&server.replica);
    let start = Instant::now();
    let mut connections = slow_connections(server.replica.port, 10_000).await;
    let told = connections.iter().filter(|(_, answer)| answer.starts_with("HTTP/1.1 503")).count();
    let mut held: Vec<TcpStream> = connections.iter_mut().filter_map(|(stream, _)| stream.take()).collect();
    // Those that waited to be accepted are told later.
    while held.len() > 4096 {
        assert!(start.elapsed() < 30 * SECOND, "{} are held", held.len());
        tokio::time::sleep(SECOND / 5).await;
        trickle(&mut held).await;
    }
    println!(
        "{} held, {told} answered 503, the others closed, {:.1} s; {} MiB, {before} MiB before",
        held.len(),
        start.elapsed().as_secs_f64(),
        memory(&server.replica)
    );
    assert!(told > 0, "nobody was told");
    assert!(memory(&server.replica) < before + 100, "{} MiB", memory(&server.replica));
    assert_eq!(kept.token().await, 200, "who is connected is served");
    let mut open = held.len();
    while open > 0 {
        assert!(start.elapsed() < 60 * SECOND, "{open} slow connections are still open");
        tokio::time::sleep(SECOND / 2).await;
        open = trickle(&mut held).await;
    }
    println!("all cut after {:.1} s", start.elapsed().as_secs_f64());
    let host = format!("localhost:{}", dev.server_port);
    let again = http().get(format!("http://127.0.0.1:{}/t/acme/jwks.json", server.replica.port)).header("host", host);
    assert_eq!(again.send().await.unwrap().status(), 200, "new connections are taken again");
}

#[tokio::test(flavor = "multi_thread")]
async fn file_descriptors_run_out_for_strangers_only() {
    let dev = Dev::quickstart().await.unwrap();
    let server =
        Server { dev: &dev, http: http(), replica: Replica::with_few_files(&dev, "server", 120).await.unwrap() };
    let mut kept = Kept::open(&dev, server.replica.port).await;
    assert_eq!(kept.token().await, 200);
    let mut connections = slow_connections(server.replica.port, 500).await;
    let mut held: Vec<TcpStream> = connections.iter_mut().filter_map(|(stream, _)| stream.take()).collect();
    let start = Instant::now();
    while held.len() > 60 {
        assert!(start.elapsed() < 8 * SECOND, "{} are held", held.len());
        tokio::time::sleep(SECOND / 5).await;
        trickle(&mut held).await;
    }
    println!("{} of 500 held by a server with 120 file descriptors", held.len());
    // What it needs itself is left: the database is reached, tokens are issued, and it is ready.
    for _ in 0..20 {
        assert_eq!(kept.token().await, 200);
    }
    let ready = http().get(format!("http://127.0.0.1:{}/readyz", server.replica.management)).send().await.unwrap();
    assert_eq!(ready.status(), 200);
    drop(held);
    eventually("a stranger is served again", 30 * SECOND, || async {
        let host = format!("localhost:{}", dev.server_port);
        let answer =
            http().get(format!("http://127.0.0.1:{}/t/acme/jwks.json", server.replica.port)).header("host", host);
        ensure!(answer.send().await?.status() == 200);
        Ok(())
    })
    .await
    .unwrap();
    let output = server.replica.process.output();
    assert!(!output.contains("Too many open files"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_management_listener_takes_few_connections() {
    let dev = Dev::quickstart().await.unwrap();
    let server = Server { dev: &dev, http: http(), replica: Replica::server(&dev, "server").await.unwrap() };
    let mut connections = slow_connections(server.replica.management, 200).await;
    let mut held: Vec<TcpStream> = connections.iter_mut().filter_map(|(stream, _)| stream.take()).collect();
    let start = Instant::now();
    // Sooner than those that it holds are cut for their slowness.
    while held.len() > 64 {
        assert!(start.elapsed() < 8 * SECOND, "{} are held", held.len());
        tokio::time::sleep(SECOND / 5).await;
        trickle(&mut held).await;
    }
    assert_eq!(server.status(server.token()).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_big_is_refused_and_nothing_else() {
    let dev = Dev::quickstart().await.unwrap();
    // A connection that was closed on what is too big is not used again.
    let server = Server { dev: &dev, http: http_once(), replica: Replica::server(&dev, "server").await.unwrap() };
    let gateway = Replica::gateway(&dev, "gateway").await.unwrap();
    let access = token(&server.http, &dev.json.token_endpoint, dev.client("shop.billing").unwrap(), &[]).await.unwrap();
    let url = sign_report(&server.http, &dev, &access, json!({})).await.unwrap();
    let big = "x".repeat(2 << 20);
    let endless = || {
        let chunks = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 16 * 1024])).take(1 << 20);
        reqwest::Body::wrap_stream(chunks)
    };
    let before = memory(&server.replica);
    let form = "application/x-www-form-urlencoded";
    for (what, request, expected) in [
        ("a form", server.post("token").header("content-type", form).body(big.clone()), 413),
        ("an endless form", server.post("token").header("content-type", form).body(endless()), 413),
        (
            "JSON",
            server
                .post("v1/signed-urls")
                .bearer_auth(&access)
                .header("content-type", "application/json")
                .body(big.clone()),
            413,
        ),
        (
            "endless JSON",
            server
                .post("v1/signed-urls")
                .bearer_auth(&access)
                .header("content-type", "application/json")
                .body(endless()),
            413,
        ),
        ("a header", server.token().header("x-big", "x".repeat(80 << 10)), 431),
        ("a bearer token", server.post("v1/signed-urls").bearer_auth("x".repeat(80 << 10)).json(&json!({})), 431),
        ("many headers", (0..150).fold(server.token(), |request, n| request.header(format!("x-{n}"), "x")), 431),
    ] {
        // The connection may be closed while the rest is still being sent.
        match request.send().await {
            Ok(answer) => assert_eq!(answer.status().as_u16(), expected, "{what}"),
            Err(error) => assert_ne!(what, "many headers", "{error:?}"),
        }
        assert_eq!(server.status(server.token()).await, 200, "after {what}");
    }
    let long = format!("{url}{}", "x".repeat(80 << 10));
    if let Ok(answer) = through(&server.http, Method::GET, &long, gateway.port).await {
        assert!([400, 414, 431].contains(&answer.status().as_u16()), "{}", answer.status());
    }
    assert_eq!(through(&server.http, Method::GET, &url, gateway.port).await.unwrap().status(), 200);
    assert!(memory(&server.replica) < before + 50, "{} MiB, {before} before", memory(&server.replica));
}

/// Resident memory in MiB.
fn memory(replica: &Replica) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", replica.process.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// Names and labels of every metric.
async fn series(replica: &Replica) -> anyhow::Result<usize> {
    let text = http().get(format!("http://127.0.0.1:{}/metrics", replica.management)).send().await?.text().await?;
    Ok(text.lines().filter(|line| !line.starts_with('#')).count())
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_without_end_take_no_memory() {
    // In the long form more than any cache of what is not known holds (10,000), so that it has to forget.
    let (first, more) = if std::env::var_os("AUTHLY_LONG").is_some() { (40_000, 260_000) } else { (1_500, 1_000) };
    let dev = Dev::quickstart().await.unwrap();
    let server = Server { dev: &dev, http: http(), replica: Replica::server(&dev, "server").await.unwrap() };
    let gateway = Replica::gateway(&dev, "gateway").await.unwrap();
    let access = token(&server.http, &dev.json.token_endpoint, dev.client("shop.billing").unwrap(), &[]).await.unwrap();
    let url = sign_report(&server.http, &dev, &access, json!({})).await.unwrap();
    let unknown_clients = AtomicUsize::new(0);
    let stream_of = |from: usize, count: usize| {
        let (server, gateway, access, url) = (&server, &gateway, &access, &url);
        let unknown_clients = &unknown_clients;
        async move {
            let one = |n: usize| async move {
                let unknown = server.post("token").form(&[("grant_type", "client_credentials")]);
                let unknown = unknown.basic_auth(format!("shop.stranger-{n}"), Some("secret"));
                match server.status(unknown).await {
                    401 => drop(unknown_clients.fetch_add(1, Ordering::Relaxed)),
                    503 => {}
                    other => panic!("an unknown client: {other}"),
                }
                let forged = forged(access, n);
                if n.is_multiple_of(4) {
                    assert_eq!(
                        server.status(server.post("v1/signed-urls").bearer_auth(&forged).json(&json!({}))).await,
                        401
                    );
                }
                let strange = strange(url, n);
                let answer = through(&server.http, Method::GET, &strange, gateway.port).await.unwrap();
                assert!(answer.status().is_client_error(), "{strange}: {}", answer.status());
            };
            stream::iter(from..from + count).map(one).buffer_unordered(32).collect::<Vec<()>>().await;
        }
    };
    let start = Instant::now();
    stream_of(0, first).await;
    let (server_memory, gateway_memory) = (memory(&server.replica), memory(&gateway));
    let (server_series, gateway_series) = (series(&server.replica).await.unwrap(), series(&gateway).await.unwrap());
    stream_of(first, more).await;
    let unknown = unknown_clients.load(Ordering::Relaxed);
    assert!(unknown > first, "only {unknown} strangers were looked for");
    println!(
        "{} strangers in {:.1} s: server {server_memory} → {} MiB, gateway {gateway_memory} → {} MiB",
        first + more,
        start.elapsed().as_secs_f64(),
        memory(&server.replica),
        memory(&gateway)
    );
    assert!(memory(&server.replica) < server_memory + 12, "the server grows");
    assert!(memory(&gateway) < gateway_memory + 12, "the gateway grows");
    assert_eq!(series(&server.replica).await.unwrap(), server_series, "series of the server");
    assert_eq!(series(&gateway).await.unwrap(), gateway_series, "series of the gateway");
    assert_eq!(server.status(server.token()).await, 200);
    assert_eq!(through(&server.http, Method::GET, &url, gateway.port).await.unwrap().status(), 200);
}

/// A token with a key id that nobody knows.
fn forged(access: &str, n: usize) -> String {
    let rest = access.split_once('.').map(|(_, rest)| rest).unwrap();
    let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": format!("stranger-{n}")}).to_string();
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
}

/// A URL of another path, or signed by a key that nobody knows.
fn strange(url: &str, n: usize) -> String {
    match n % 2 {
        0 => url.replace("/q3.pdf", &format!("/q{n}.pdf")),
        _ => {
            let kid = url.split("sx-k=").nth(1).and_then(|rest| rest.split('&').next()).context("sx-k").unwrap();
            let mut other = URL_SAFE_NO_PAD.decode(kid).unwrap();
            for (byte, new) in other.iter_mut().zip(n.to_le_bytes()) {
                *byte ^= new | 1;
            }
            url.replace(kid, &URL_SAFE_NO_PAD.encode(other))
        }
    }
}
