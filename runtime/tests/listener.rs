//! The listener over real sockets: what it bounds, refuses and drains.
#![allow(clippy::unwrap_used, missing_docs)] // helpers of tests

use std::{net::SocketAddr, time::Duration};

use authly_runtime::{
    ClientAddress, Drained, Limits, Listener, Metrics, Networks, Peer, RequestId, ServeOptions, problem, serve,
};
use axum::{
    Router,
    routing::{get, post},
};
use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<Drained>,
    metrics: Metrics,
}

fn router() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route(
            "/slow",
            get(|| async {
                sleep(Duration::from_millis(400)).await;
                "slow"
            }),
        )
        .route(
            "/forever",
            get(|| async {
                sleep(Duration::from_secs(60)).await;
                "never"
            }),
        )
        .route(
            "/panic",
            get(|| async {
                if true {
                    panic!("secret 4711")
                }
            }),
        )
        .route("/echo", post(|body: String| async move { body }))
        .route(
            "/who",
            get(|ClientAddress(ip): ClientAddress, Peer(peer): Peer, id: RequestId| async move {
                format!("{} {} {}", ip.map_or("unknown".to_owned(), |ip| ip.to_string()), peer.ip(), id.as_str())
            }),
        )
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
}

async fn start(configure: impl FnOnce(&mut ServeOptions)) -> Server {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (address, stop, metrics) = (listener.address(), CancellationToken::new(), Metrics::new());
    let mut options = ServeOptions::new("test", &metrics);
    configure(&mut options);
    let task = tokio::spawn(serve(listener, router(), options, stop.clone()));
    Server { address, stop, task, metrics }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads until the server closes.
    async fn talk(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        let _ = stream.write_all(bytes).await; // the answer may come before the last byte
        read_all(&mut stream).await
    }

    async fn get(&self, path: &str, headers: &str) -> String {
        self.talk(format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n").as_bytes()).await
    }
}

/// What the server sends until it closes; a reset counts as closing.
async fn read_all(stream: &mut TcpStream) -> String {
    let mut out = Vec::new();
    let mut buffer = [0; 4096];
    let reading = async {
        while let Ok(n @ 1..) = stream.read(&mut buffer).await {
            out.extend_from_slice(&buffer[..n]);
        }
    };
    timeout(Duration::from_secs(5), reading).await.unwrap(); // the server closes
    String::from_utf8(out).unwrap()
}

fn quick(options: &mut ServeOptions) {
    options.limits = Limits {
        header_timeout: Duration::from_millis(200),
        idle_timeout: Duration::from_millis(400),
        ..Limits::default()
    };
}

#[tokio::test]
async fn answers_with_a_request_id() {
    let server = start(|_| {}).await;
    let answer = server.get("/", "x-request-id: mine-1\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("hello"), "{answer}");
    assert!(answer.contains("x-request-id: mine-1\r\n"), "{answer}");
    let answer = server.get("/", "x-request-id: not sane\r\n").await;
    assert!(!answer.contains("not sane") && answer.contains("x-request-id: "), "{answer}");
    let answer = server.get("/nowhere?secret=1", "").await;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("application/problem+json"), "{answer}");
    assert!(server.get("/echo", "").await.starts_with("HTTP/1.1 405"));
    let text = server.metrics.encode().unwrap();
    assert!(text.contains("authly_http_requests_total{listener=\"test\",method=\"GET\",status=\"2xx\"} 2"), "{text}");
}

#[tokio::test]
async fn a_slow_head_is_cut_off_and_a_silent_connection_too() {
    let server = start(quick).await;
    let begin = Instant::now();
    let (mut silent, mut preface, mut slow) = (server.connect().await, server.connect().await, server.connect().await);
    preface.write_all(b"PRI * HT").await.unwrap(); // the start of HTTP/2, and no more
    let dripping = tokio::spawn(async move {
        slow.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n").await.unwrap();
        for _ in 0..100 {
            if slow.write_all(b"x: y\r\n").await.is_err() {
                return begin.elapsed();
            }
            sleep(Duration::from_millis(20)).await;
        }
        panic!("never cut off");
    });
    assert_eq!(read_all(&mut silent).await, "");
    assert_eq!(read_all(&mut preface).await, "");
    assert!(begin.elapsed() >= Duration::from_millis(200));
    assert!(dripping.await.unwrap() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_slow_head_on_a_used_connection_is_cut_off_but_idling_is_not() {
    let server = start(|o| {
        quick(o);
        o.limits.idle_timeout = Duration::from_millis(1500);
    })
    .await;
    let (mut slow, mut idle) = (server.connect().await, server.connect().await);
    for stream in [&mut slow, &mut idle] {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut answer = [0; 8];
        stream.read_exact(&mut answer).await.unwrap();
    }
    let begin = Instant::now();
    slow.write_all(b"GET / HT").await.unwrap();
    assert!(read_all(&mut slow).await.ends_with("hello"));
    let cut = begin.elapsed();
    assert!(read_all(&mut idle).await.ends_with("hello"));
    assert!(cut >= Duration::from_millis(150) && cut < Duration::from_millis(1000), "{cut:?}");
    assert!(begin.elapsed() >= Duration::from_millis(1400), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_stalled_request_is_cut_off() {
    let server = start(|o| {
        quick(o);
        o.limits.stall_timeout = Duration::from_millis(300);
    })
    .await;
    let head = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf";
    assert_eq!(server.talk(head).await, "");
}

#[tokio::test]
async fn heads_are_bounded() {
    let server = start(|_| {}).await;
    let big = format!("x: {}\r\n", "y".repeat(40 * 1024));
    assert!(server.get("/", &big).await.starts_with("HTTP/1.1 431"));
    let many = "x: y\r\n".repeat(200);
    assert!(server.get("/", &many).await.starts_with("HTTP/1.1 431"));
    let long = format!("/{}", "y".repeat(70 * 1024));
    let answer = server.get(&long, "").await;
    assert!(answer.starts_with("HTTP/1.1 414") || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn what_is_malformed_or_ambiguous_is_answered_400() {
    let server = start(|_| {}).await;
    for bytes in [
        "nonsense\r\n\r\n",
        "GET / HTTP/1.1\r\nconnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n",
        "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n",
        "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    ] {
        let answer = server.talk(bytes.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{bytes:?} {answer:?}");
    }
    let answer = server.talk(b"CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    assert!(server.get("/", "").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn connections_are_capped() {
    let server = start(|o| o.limits.connections = 2).await;
    let mut first = server.connect().await;
    let _second = server.connect().await;
    sleep(Duration::from_millis(50)).await;
    let answer = server.get("/", "").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1"), "{answer}");
    first.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(read_all(&mut first).await.ends_with("hello"));
    sleep(Duration::from_millis(50)).await;
    assert!(server.get("/", "").await.starts_with("HTTP/1.1 200"));
    let text = server.metrics.encode().unwrap();
    assert!(text.contains("authly_http_connections_refused_total{listener=\"test\"} 1"), "{text}");
}

#[tokio::test]
async fn draining_finishes_requests_in_flight_and_closes_the_rest() {
    let server = start(|_| {}).await;
    let (mut busy, mut idle) = (server.connect().await, server.connect().await);
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    server.stop.cancel();
    let begin = Instant::now();
    assert!(read_all(&mut idle).await.ends_with("hello"));
    assert!(begin.elapsed() < Duration::from_millis(200), "idle connections close at once");
    let answer = read_all(&mut busy).await;
    assert!(answer.contains("connection: close") && answer.ends_with("slow"), "{answer}");
    assert_eq!(server.task.await.unwrap(), Drained { aborted: 0 });
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn draining_has_a_deadline() {
    let server = start(|o| o.drain = Duration::from_millis(200)).await;
    let mut stuck = server.connect().await;
    stuck.write_all(b"GET /forever HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(50)).await;
    server.stop.cancel();
    assert_eq!(timeout(Duration::from_secs(2), server.task).await.unwrap().unwrap(), Drained { aborted: 1 });
    assert_eq!(read_all(&mut stuck).await, "");
}

#[tokio::test]
async fn a_panic_is_a_500_and_kills_nothing() {
    let server = start(|_| {}).await;
    let answer = server.get("/panic", "").await;
    assert!(answer.starts_with("HTTP/1.1 500") && answer.contains("problem+json"), "{answer}");
    assert!(!answer.contains("4711"));
    assert!(server.get("/", "").await.starts_with("HTTP/1.1 200"));
    assert!(server.metrics.encode().unwrap().contains("authly_http_panics_total{listener=\"test\"} 1"));
}

#[tokio::test]
async fn forwarded_addresses_count_only_from_trusted_peers() {
    let server = start(|_| {}).await;
    let answer = server.get("/who", "x-forwarded-for: 198.51.100.1\r\nx-request-id: r1\r\n").await;
    assert!(answer.ends_with("127.0.0.1 127.0.0.1 r1"), "{answer}");
    let server = start(|o| o.trusted = Networks::parse(["127.0.0.0/8"]).unwrap()).await;
    let spoofed = "x-forwarded-for: 1.1.1.1\r\nx-forwarded-for: 198.51.100.1\r\nx-request-id: r1\r\n";
    assert!(server.get("/who", spoofed).await.ends_with("198.51.100.1 127.0.0.1 r1"));
    assert!(
        server.get("/who", "x-forwarded-for: unknown\r\nx-request-id: r1\r\n").await.ends_with("unknown 127.0.0.1 r1")
    );
}

#[tokio::test]
async fn http2_is_served_bounded_and_drained() {
    let server = start(|o| o.limits.streams = 7).await;
    let mut raw = server.connect().await;
    raw.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut settings = [0; 64];
    let n = raw.read(&mut settings).await.unwrap();
    assert!(settings[..n].windows(6).any(|w| w == [0, 3, 0, 0, 0, 7]), "SETTINGS_MAX_CONCURRENT_STREAMS");
    drop(raw);
    let stream = TokioIo::new(server.connect().await);
    let (mut send, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = |path: &str| {
        let uri = format!("http://{}{path}", server.address);
        Request::builder().version(Version::HTTP_2).uri(uri).body(Empty::<bytes::Bytes>::new()).unwrap()
    };
    let answer = send.send_request(request("/")).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
    let mut big = request("/");
    big.headers_mut().insert("x", "y".repeat(40 * 1024).parse().unwrap());
    assert!(send.send_request(big).await.map_or(true, |answer| answer.status() == 431));
    let in_flight = send.send_request(request("/slow"));
    let stopping = async {
        sleep(Duration::from_millis(50)).await;
        server.stop.cancel();
    };
    let (answer, ()) = tokio::join!(in_flight, stopping);
    assert_eq!(answer.unwrap().into_body().collect().await.unwrap().to_bytes(), "slow");
    assert_eq!(server.task.await.unwrap(), Drained { aborted: 0 });
    connection.await.unwrap().unwrap();
}
