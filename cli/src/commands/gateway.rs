//! `authly gateway`: redeems signed URLs.

use std::sync::Arc;

use authly_gateway::Services;
use authly_model::clock::SystemClock;
use authly_runtime::{Listener, shutdown};
use authly_store::Role;

use crate::{
    args::Gateway,
    connect::{self, Management},
    serving::{self, Common},
};

/// Runs the command.
pub(crate) async fn run(options: Gateway) -> anyhow::Result<()> {
    connect::telemetry(&options.telemetry)?;
    let trusted = connect::networks(&options.trusted_proxy)?;
    let peers = connect::networks(&options.forward_auth_peer)?;
    let services = Services::new(&options.service, None)?;
    let stop = shutdown::on_signal()?;
    let management = Management::start(options.management_listen, &stop).await?;
    let listener = Listener::bind(options.listen).await?;
    let connected = management.health.condition("database");

    let login = connect::login(options.database, Role::Gateway);
    let Some(store) = connect::store(login, &stop).await? else { return Ok(()) };
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
    serving::gateway(common, services, peers, stop).await;
    management.end().await;
    Ok(())
}
