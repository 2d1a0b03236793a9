//! One connection: served until it ends, is idle or stalls too long, or the listener drains.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Limits,
    watch::{Activity, Verdict, WatchedIo},
};
use crate::edge::{Edge, Shared};

/// How long a connection that was asked to close may take to do so.
const CLOSING: Duration = Duration::from_secs(5);
/// What a connection beyond the limit is told.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) shared: Arc<Shared>,
    pub(super) limits: Limits,
}

impl Connection {
    pub(super) async fn run(
        self,
        builder: Arc<auto::Builder<TokioExecutor>>,
        shutdown: CancellationToken,
        permit: OwnedSemaphorePermit,
    ) {
        let Self { stream, peer, shared, limits } = self;
        let _open = Open::new(&shared, permit);
        let activity = Arc::new(Activity::new());
        let edge = Edge { shared: Arc::clone(&shared), activity: Arc::clone(&activity), peer };
        let io = TokioIo::new(WatchedIo::new(stream, Arc::clone(&activity)));
        let mut connection = pin!(builder.serve_connection(io, edge));
        let tick = (limits.header_timeout / 2).clamp(Duration::from_millis(10), Duration::from_secs(5));
        let mut next = pin!(sleep_until(Instant::now() + tick));
        let mut closing = false;
        loop {
            tokio::select! {
                biased;
                // An error is the client's: a broken head was answered 400, a lost connection has nobody to tell.
                _ = connection.as_mut() => return,
                () = shutdown.cancelled(), if !closing => {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = next.as_mut() => {
                    next.as_mut().reset(Instant::now() + tick);
                    match activity.judge(&limits) {
                        Verdict::Keep => {}
                        Verdict::Close if closing => {}
                        Verdict::Close => {
                            closing = true;
                            connection.as_mut().graceful_shutdown();
                        }
                        Verdict::Cut => return,
                    }
                    if closing && !shutdown.is_cancelled() && activity.idle_for() > limits.idle_timeout + CLOSING {
                        return;
                    }
                }
            }
        }
    }
}

/// Counts an open connection and holds its place.
struct Open<'a>(&'a Shared, #[allow(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl<'a> Open<'a> {
    fn new(shared: &'a Shared, permit: OwnedSemaphorePermit) -> Self {
        shared.metrics.connections.inc();
        Self(shared, permit)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.metrics.connections.dec();
    }
}

/// Answers 503 and waits a moment for the client to read it: closing with unread bytes would reset the connection.
pub(super) async fn refuse(mut stream: TcpStream, _permit: OwnedSemaphorePermit) {
    let _ = timeout(Duration::from_millis(500), async {
        stream.write_all(FULL).await?;
        stream.shutdown().await?;
        let mut sink = [0; 1024];
        while stream.read(&mut sink).await? > 0 {}
        Ok::<_, std::io::Error>(())
    })
    .await;
}
