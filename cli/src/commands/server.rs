//! `authly server`: the OAuth server and the URL signing API, and the jobs where it has a login for them.

use std::sync::Arc;

use authly_model::clock::SystemClock;
use authly_runtime::{Listener, shutdown};
use authly_store::Role;

use crate::{
    args::{Database, Server},
    connect::{self, Management},
    serving::{self, Common},
};

/// Runs the command.
pub(crate) async fn run(options: Server) -> anyhow::Result<()> {
    connect::telemetry(&options.telemetry)?;
    let kek = Arc::new(connect::kek(options.keks)?);
    let trusted = connect::networks(&options.trusted_proxy)?;
    let stop = shutdown::on_signal()?;
    let management = Management::start(options.management_listen, &stop).await?;
    let listener = Listener::bind(options.listen).await?;
    let connected = management.health.condition("database");

    let Some(store) = connect::store(connect::login(options.database, Role::Server), &stop).await? else {
        return Ok(());
    };
    let jobs = match options.jobs_database_url {
        Some(database_url) => {
            let database = Database { database_url, database_password: options.jobs_database_password };
            let jobs = connect::store(connect::login(database, Role::Jobs), &stop).await?;
            let Some(jobs) = jobs else { return Ok(()) };
            Some(jobs)
        }
        None => None,
    };
    connected.set(true);
    tracing::info!(address = %listener.address(), "serving");
    let common = Common {
        store,
        listener,
        trusted,
        metrics: management.metrics.clone(),
        health: management.health.clone(),
        clock: Arc::new(SystemClock),
        drain: shutdown::DRAIN_DEADLINE,
    };
    serving::server(common, (kek, options.jwks.jwks_max_age), jobs, stop).await;
    management.end().await;
    Ok(())
}
