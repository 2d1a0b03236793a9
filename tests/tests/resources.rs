//! Resources (issue 4, section 1.6): 10,000 slow connections, oversized bodies and headers, file descriptors that run out: refused or
//! slowed, and recovered. Memory and metrics stay bounded under an endless stream of clients, kids and URLs that nobody knows.
//! A disk that is full is in `full_disk.rs`.
//!
//! In the short form that stream is 2,500 long and stays within the caches of what is not known (10,000 entries), so it shows only that
//! nothing beside them grows. `AUTHLY_LONG=1` makes it 300,000, far beyond them, so that they have to forget.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use authly_tests::{
    api::{http, http_once, sign_report, through, token, token_request},
    dev::Dev,
    flood::{Kept, slow_connections, trickle},
    is_long,
    process::eventually,
    raw,
    replicas::Replica,
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use futures::{StreamExt, stream};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::json;
use tokio::net::TcpStream;

const SECOND: Duration = Duration::from_secs(1);
const GRANT: &str = "grant_type=client_credentials";
const CHUNKED: &str = "transfer-encoding: chunked\r\n";

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

/// A request of the quick start's client by hand, which the server closes after its answer; what a client library may lose when
/// the connection is closed on what it still sends is read here.
struct Bare<'d> {
    dev: &'d Dev,
    access: &'d str,
}

impl Bare<'_> {
    /// The head of a form for a token.
    fn form(&self, more: &str) -> String {
        let client = self.dev.client("shop.billing").unwrap();
        let secret = client.client_secret.as_deref().unwrap();
        let basic = STANDARD.encode(format!("{}:{secret}", client.client_id));
        self.head(
            "token",
            &format!("authorization: Basic {basic}\r\ncontent-type: application/x-www-form-urlencoded\r\n{more}"),
        )
    }

    /// The head of a signing request.
    fn json(&self, more: &str) -> String {
        let bearer = format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n", self.access);
        self.head("v1/signed-urls", &format!("{bearer}{more}"))
    }

    fn head(&self, path: &str, headers: &str) -> String {
        let port = self.dev.server_port;
        format!("POST /t/acme/{path} HTTP/1.1\r\nhost: localhost:{port}\r\nconnection: close\r\n{headers}\r\n")
    }
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
    let server = Server { dev: &dev, http: http_once(), replica: Replica::server(&dev, "server").await.unwrap() };
    let gateway = Replica::gateway(&dev, "gateway").await.unwrap();
    let access = token(&server.http, &dev.json.token_endpoint, dev.client("shop.billing").unwrap(), &[]).await.unwrap();
    let url = sign_report(&server.http, &dev, &access, json!({})).await.unwrap();
    let bare = Bare { dev: &dev, access: &access };
    let before = memory(&server.replica);
    let big = "x".repeat(2 << 20);
    let length = format!("content-length: {}\r\n", big.len());
    let grant = "content-length: 29\r\n";
    let many: String = (0..150).map(|n| format!("x-{n}: x\r\n")).collect();
    let long = "x".repeat(80 << 10);
    for (what, request, expected) in [
        ("a form", bare.form(&length) + &big, 413),
        ("JSON", bare.json(&length) + &big, 413),
        ("a header", bare.form(&format!("{grant}x-big: {long}\r\n")) + GRANT, 431),
        ("a bearer token", bare.head("v1/signed-urls", &format!("authorization: Bearer {long}\r\n")), 431),
        ("many headers", bare.form(&format!("{grant}{many}")) + GRANT, 431),
        ("nothing", bare.form(grant) + GRANT, 200),
    ] {
        let answer = raw::exchange(server.replica.port, request.as_bytes()).await.unwrap();
        assert_eq!(answer.status, expected, "{what}: {answer:?}");
        assert_eq!(server.status(server.token()).await, 200, "after {what}");
    }
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    for (what, head) in [("form", bare.form(CHUNKED)), ("JSON", bare.json(CHUNKED))] {
        let answer = raw::exchange_without_end(server.replica.port, head.as_bytes(), chunk.as_bytes()).await.unwrap();
        assert_eq!(answer.status, 413, "{what} without end: {answer:?}");
        assert_eq!(server.status(server.token()).await, 200, "after {what} without end");
    }
    let parsed = url::Url::parse(&url).unwrap();
    let (host, target) = (parsed.authority(), &parsed[url::Position::BeforePath..]);
    let request = format!("GET {target}{long} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let answer = raw::exchange(gateway.port, request.as_bytes()).await.unwrap();
    assert_eq!(answer.status, 431, "a target: {answer:?}");
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
    let (first, more) = if is_long() { (40_000, 260_000) } else { (1_500, 1_000) };
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
