//! Listeners that bound everything: connections, header bytes and count, time to send a head, idle time, stalls,
//! concurrent streams, and the time to drain. Body sizes are the routers' to bound.
//!
//! hyper's own header timeout also ends idle keep-alive connections and does not cover the wait for the protocol to
//! show, so the timeouts are kept by [`watch`] instead (docs: the fields of [`Limits`]).

mod connection;
mod descriptors;
pub(crate) mod watch;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{Metrics, Networks, access_log, edge::Shared, http_metrics::HttpFamilies, shutdown::DRAIN_DEADLINE};
use connection::{Connection, refuse};

/// What hyper allows by itself. To ask for any number, even this one, costs an allocation at each request.
const HYPER_HEADERS: usize = 100;

/// The bounds of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open connections, and never more than half of the file descriptors; one more is answered 503 and closed.
    pub connections: usize,
    /// Bytes of a request's head, 8 KiB at least; more is answered 431. They are counted between reads, so that a head may be up to
    /// twice as long if it comes at once.
    pub header_bytes: u32,
    /// Header lines of a request; more is answered 431.
    pub headers: usize,
    /// From the first byte of a head (for the first request: from the accept) to its end. The connection is closed
    /// at most half as much later.
    pub header_timeout: Duration,
    /// A connection without a request; longer than the 60 s that load balancers keep theirs.
    pub idle_timeout: Duration,
    /// A request during which not a byte moves in either direction.
    pub stall_timeout: Duration,
    /// Concurrent requests of one HTTP/2 connection.
    pub streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            header_bytes: 32 * 1024,
            headers: HYPER_HEADERS,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            stall_timeout: Duration::from_secs(120),
            streams: 128,
        }
    }
}

/// How a listener serves.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    name: &'static str,
    http: HttpFamilies,
    /// The bounds.
    pub limits: Limits,
    /// Proxies whose `X-Forwarded-For` counts.
    pub trusted: Networks,
    /// How long requests in flight may take once the listener is told to stop.
    pub drain: Duration,
}

impl ServeOptions {
    /// Default limits, no trusted proxy, 25 s to drain. `name` labels metrics and log lines.
    #[must_use]
    pub fn new(name: &'static str, metrics: &Metrics) -> Self {
        let http = metrics.http();
        Self { name, http, limits: Limits::default(), trusted: Networks::default(), drain: DRAIN_DEADLINE }
    }
}

/// A bound socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; choose another address or stop what uses it")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// The system's answer.
    pub source: std::io::Error,
}

impl Listener {
    /// Binds and listens. Port 0 takes a free one.
    ///
    /// # Errors
    /// [`BindError`].
    pub async fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let bound = async {
            let socket = TcpListener::bind(address).await?;
            let address = socket.local_addr()?;
            Ok(Self { socket, address })
        };
        bound.await.map_err(|source| BindError { address, source })
    }

    /// The bound address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// How a listener ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut because their request did not end in time.
    pub aborted: usize,
}

/// Serves until `shutdown` is cancelled, then drains: no new connection, idle ones close, requests in flight finish
/// or are cut after `options.drain`.
pub async fn serve(listener: Listener, router: Router, options: ServeOptions, shutdown: CancellationToken) -> Drained {
    let ServeOptions { name, http, limits, trusted, drain } = options;
    let shared = Arc::new(Shared {
        name,
        router: router.with_state(()),
        trusted,
        metrics: http.listener(name),
        budget: access_log::Budget::default(),
        started: Instant::now(),
    });
    let builder = Arc::new(http_builder(&limits));
    let (served, refused) = descriptors::affordable(limits.connections);
    let (permits, refusals) = (Arc::new(Semaphore::new(served)), Arc::new(Semaphore::new(refused)));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = accept(&listener.socket) => {
                let Some((stream, peer)) = accepted else { continue };
                let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
                    shared.metrics.refused.inc();
                    if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
                        connections.spawn(refuse(stream, permit));
                    }
                    continue;
                };
                let connection = Connection { stream, peer, shared: Arc::clone(&shared), limits };
                connections.spawn(connection.run(Arc::clone(&builder), shutdown.child_token(), permit));
            }
        }
    }
    drop(listener); // the port is free and new connections are refused by the system
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, all).await.is_err() {
        let aborted = connections.len();
        tracing::warn!(listener = name, aborted, "requests did not end in time and were cut");
        connections.shutdown().await;
        return Drained { aborted };
    }
    Drained { aborted: 0 }
}

async fn accept(socket: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    match socket.accept().await {
        Ok((stream, peer)) => {
            let _ = stream.set_nodelay(true); // an unset option costs latency only
            Some((stream, SocketAddr::new(peer.ip().to_canonical(), peer.port())))
        }
        Err(error) => {
            // A connection that died in the queue, or no file descriptors: the latter needs time, not a busy loop.
            tracing::warn!(%error, "accept failed");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

fn http_builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(limits.header_bytes.max(8192) as usize);
    if limits.headers != HYPER_HEADERS {
        builder.http1().max_headers(limits.headers);
    }
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(limits.header_bytes)
        .max_concurrent_streams(limits.streams)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}
