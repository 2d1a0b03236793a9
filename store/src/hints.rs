//! Hints that something changed, by PostgreSQL's NOTIFY: who polls looks at once instead of at its next turn.
//!
//! Never truth: a hint may be late, lost or for nothing, and a pooler may swallow them all. Whoever takes hints polls as
//! well, and nothing is decided by one. Only rare writers give them, because commits that notify wait for each other.

use std::{sync::Arc, time::Duration};

use sqlx::{
    PgConnection,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Backoff, Store};

/// The feed has a new revision.
pub(crate) const FEED: &str = "authly_feed";
/// A replica has passed a revision.
pub(crate) const REPLICAS: &str = "authly_replicas";

/// Between two tries to listen: polling does without.
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));

/// Hints of one kind, on a connection of their own that ends with this value.
#[derive(Debug)]
pub struct Hints {
    given: Arc<Notify>,
    _stop: DropGuard,
}

impl Hints {
    /// Listens in the background. Hints that come while nobody waits become one.
    pub(crate) fn listen(store: &Store, channel: &'static str) -> Self {
        let (given, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let (notify, options, stopped) = (Arc::clone(&given), store.connect_options().clone(), stop.clone());
        tokio::spawn(async move { stopped.run_until_cancelled(run(options, channel, &notify)).await });
        Self { given, _stop: stop.drop_guard() }
    }

    /// Waits for a hint.
    pub async fn next(&self) {
        self.given.notified().await;
    }
}

/// Gives a hint once the transaction commits.
pub(crate) async fn give(connection: &mut PgConnection, channel: &str) -> sqlx::Result<()> {
    sqlx::query!("-- roles: any\nSELECT pg_notify($1, '')", channel).execute(connection).await?;
    Ok(())
}

async fn run(options: PgConnectOptions, channel: &'static str, notify: &Notify) {
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    loop {
        match forward(&options, channel, notify).await {
            // It listened until the connection was lost.
            Ok(()) => backoff.reset(),
            Err(error) => tracing::debug!(%error, channel, "no hints; polling goes on"),
        }
        tokio::time::sleep(backoff.pause()).await;
    }
}

async fn forward(options: &PgConnectOptions, channel: &'static str, notify: &Notify) -> sqlx::Result<()> {
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(channel).await?;
    // `None`: the connection was lost, and with it perhaps a hint.
    while listener.try_recv().await?.is_some() {
        notify.notify_one();
    }
    notify.notify_one();
    Ok(())
}
