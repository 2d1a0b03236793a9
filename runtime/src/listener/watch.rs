//! What a connection is doing, and for how long: the base of its timeouts.
//!
//! Written by the socket wrapper, the service and the body of the answer with relaxed atomics; judged a few times a minute.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::Version;
use http_body::{Body, Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::Limits;

/// What to do with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    /// Ask it to close.
    Close,
    /// Drop it.
    Cut,
}

/// The state of a connection; times are milliseconds since its accept, 0 where there is none.
#[derive(Debug)]
pub(crate) struct Activity {
    accepted: Instant,
    requests: AtomicUsize,
    multiplexed: AtomicBool,
    served: AtomicBool,
    idle_since: AtomicU64,
    head_since: AtomicU64,
    moved: AtomicU64,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            accepted: Instant::now(),
            requests: AtomicUsize::new(0),
            multiplexed: AtomicBool::new(false),
            served: AtomicBool::new(false),
            idle_since: AtomicU64::new(0),
            head_since: AtomicU64::new(0),
            moved: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    fn since(&self, then: u64) -> Duration {
        Duration::from_millis(self.now().saturating_sub(then))
    }

    /// A request's head is complete.
    pub(crate) fn begin(activity: &Arc<Self>, version: Version) -> Busy {
        activity.requests.fetch_add(1, Relaxed);
        if !activity.served.load(Relaxed) {
            activity.served.store(true, Relaxed);
            activity.multiplexed.store(version == Version::HTTP_2, Relaxed);
        }
        Busy(Arc::clone(activity))
    }

    fn end(&self) {
        let now = self.now();
        self.idle_since.store(now, Relaxed);
        self.head_since.store(0, Relaxed);
        self.requests.fetch_sub(1, Relaxed);
    }

    fn read(&self) {
        let now = self.now();
        self.moved.store(now, Relaxed);
        if self.requests.load(Relaxed) == 0 && self.head_since.load(Relaxed) == 0 {
            self.head_since.store(now, Relaxed);
        }
    }

    fn wrote(&self) {
        self.moved.store(self.now(), Relaxed);
    }

    pub(super) fn idle_for(&self) -> Duration {
        if self.requests.load(Relaxed) > 0 { Duration::ZERO } else { self.since(self.idle_since.load(Relaxed)) }
    }

    pub(super) fn judge(&self, limits: &Limits) -> Verdict {
        if self.requests.load(Relaxed) > 0 {
            let stalled = self.since(self.moved.load(Relaxed)) > limits.stall_timeout;
            return if stalled { Verdict::Cut } else { Verdict::Keep };
        }
        let idle = self.idle_for();
        if !self.served.load(Relaxed) {
            return if idle > limits.header_timeout { Verdict::Cut } else { Verdict::Keep };
        }
        // HTTP/2 frames such as pings are no head; there, only the idle time counts.
        let head = self.head_since.load(Relaxed);
        if head > 0 && !self.multiplexed.load(Relaxed) && self.since(head) > limits.header_timeout {
            return Verdict::Cut;
        }
        if idle > limits.idle_timeout { Verdict::Close } else { Verdict::Keep }
    }
}

/// A request in flight; it ends when the answer's body does.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A body that keeps its request in flight.
#[derive(Debug)]
pub(crate) struct Watched<B> {
    inner: B,
    _busy: Busy,
}

impl<B> Watched<B> {
    pub(crate) fn new(inner: B, busy: Busy) -> Self {
        Self { inner, _busy: busy }
    }
}

impl<B: Body + Unpin> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A socket that reports when bytes move.
#[derive(Debug)]
pub(super) struct WatchedIo<T> {
    inner: T,
    activity: Arc<Activity>,
}

impl<T> WatchedIo<T> {
    pub(super) fn new(inner: T, activity: Arc<Activity>) -> Self {
        Self { inner, activity }
    }

    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.activity.wrote();
        }
        written
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for WatchedIo<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.read();
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for WatchedIo<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
