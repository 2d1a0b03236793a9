//! From flags to what a role runs on: the store, the platform key, networks, logs, the management listener.

use std::{net::SocketAddr, time::Duration};

use authly_runtime::{
    Health, Listener, Metrics, Networks, ServeOptions, management, serve,
    telemetry::{self, LogFormat},
};
use authly_secrets::{Kek, KekRing, KekSource};
use authly_store::{Backoff, ConnectOptions, Role, Store, StoreError};
use ipnet::IpNet;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::args;

/// The connections of a pool: the hot paths read from memory and write by group commit, so few are needed.
const CONNECTIONS: u32 = 10;
/// Of the management listener: probes and scrapers are few, and what they leave are the file descriptors of the others.
const MANAGEMENT_CONNECTIONS: usize = 64;
/// The pauses between two tries of a database that is not there, or not migrated, yet.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// Sets up logging.
pub(crate) fn telemetry(options: &args::Telemetry) -> anyhow::Result<()> {
    let format = if options.log_format == "text" { LogFormat::Human } else { LogFormat::Json };
    Ok(telemetry::init(format, &options.log_level)?)
}

/// Reads the platform keys.
pub(crate) fn kek(options: args::Keks) -> anyhow::Result<KekRing> {
    let source = match (options.active.kek_file, options.active.kek) {
        (Some(path), _) => KekSource::File(path),
        (None, key) => KekSource::Environment(key.unwrap_or_default().into()),
    };
    let further = options.further_kek_file.into_iter().map(|path| Kek::load(&KekSource::File(path)));
    Ok(KekRing::new(Kek::load(&source)?, further.collect::<Result<Vec<_>, _>>()?))
}

/// Checks networks.
pub(crate) fn networks(networks: &[IpNet]) -> anyhow::Result<Networks> {
    Ok(Networks::parse(networks.iter().map(ToString::to_string))?)
}

/// How to log in as a role.
pub(crate) fn login(database: args::Database, role: Role) -> ConnectOptions {
    ConnectOptions {
        url: database.database_url,
        password: database.database_password,
        role,
        max_connections: CONNECTIONS,
    }
}

/// Connects. A database that is not there or not migrated yet is waited for; `None` if stopped meanwhile.
///
/// # Errors
/// A login that must not be used: waiting would not help.
pub(crate) async fn store(options: ConnectOptions, stop: &CancellationToken) -> anyhow::Result<Option<Store>> {
    let (mut said, mut backoff) = (String::new(), Backoff::new(PAUSE.0, PAUSE.1));
    loop {
        let Some(connected) = stop.run_until_cancelled(Store::connect(options.clone())).await else { return Ok(None) };
        match connected {
            Ok(store) => return Ok(Some(store)),
            Err(error) if may_come(&error) => {
                let text = error.to_string();
                if text != said {
                    tracing::warn!(role = %options.role, %error, "waiting for the database");
                    said = text;
                }
            }
            Err(error) => return Err(error.into()),
        }
        if stop.run_until_cancelled(tokio::time::sleep(backoff.pause())).await.is_none() {
            return Ok(None);
        }
    }
}

/// Whether waiting helps: before the migration, the schema is missing, and so is the login itself.
fn may_come(error: &StoreError) -> bool {
    match error {
        StoreError::Unavailable(_) | StoreError::Schema { .. } => true,
        StoreError::Login(why) => why.starts_with("the database refused it"),
        _ => false,
    }
}

/// The management listener, which answers from the start and outlives the others while they drain.
pub(crate) struct Management {
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Management {
    /// Binds and serves; not ready any more from `stop` on.
    pub(crate) async fn start(address: SocketAddr, stop: &CancellationToken) -> anyhow::Result<Self> {
        let (health, metrics, end) = (Health::new(), Metrics::new(), CancellationToken::new());
        let listener = Listener::bind(address).await?;
        let router = management::router(health.clone(), metrics.clone());
        let mut options = ServeOptions::new("management", &metrics);
        options.limits.connections = MANAGEMENT_CONNECTIONS;
        let ended = end.clone();
        let task = tokio::spawn(async move {
            serve(listener, router, options, ended).await;
        });
        let (stopping, unready) = (stop.clone(), health.clone());
        tokio::spawn(async move {
            stopping.cancelled().await;
            unready.stop();
        });
        Ok(Self { health, metrics, stop: end, task })
    }

    /// Stops it, last of all.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the management listener failed");
        }
    }
}
