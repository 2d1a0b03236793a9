//! When a request's body last moved, so that a wait for the backend's answer can start from there.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// The time of the last progress.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    start: Instant,
    millis: Arc<AtomicU64>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { start: Instant::now(), millis: Arc::default() }
    }
}

impl Progress {
    /// When the body last moved; the start, if it has not yet.
    pub(crate) fn last(&self) -> Instant {
        self.start + Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }

    fn moved(&self) {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.millis.store(millis, Ordering::Relaxed);
    }
}

/// A body that notes its progress.
#[derive(Debug)]
pub(crate) struct Watched<B> {
    pub(crate) body: Pin<Box<B>>,
    pub(crate) progress: Progress,
}

impl<B: Body> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let polled = self.body.as_mut().poll_frame(context);
        if polled.is_ready() {
            self.progress.moved();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
