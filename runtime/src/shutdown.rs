//! When to stop: SIGTERM (Kubernetes) and Ctrl-C.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long requests in flight may take once a process is told to stop: below Kubernetes' 30 s until SIGKILL.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(25);

/// A token that the first SIGTERM or SIGINT cancels.
///
/// # Errors
/// If the handlers cannot be installed.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "stopping: no new connections, requests in flight finish");
        cancel.cancel();
    });
    Ok(token)
}
