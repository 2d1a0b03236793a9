//! `authly dev`: everything in one process, from a folder of manifests. Owns the order of starting and stopping; the parts
//! are those of the other commands, with a folder in place of a cluster.

mod announce;
mod board;
mod cluster;
mod credentials;
mod database;
mod folder;
pub(crate) mod get;
mod json;
mod manifests;
mod parts;
mod paste;
mod samples;
mod secret_files;
mod secret_watch;
mod socket;
mod state;
mod summary;
mod watch;

use std::path::Path;

use anyhow::{Context, ensure};
use authly_gateway::Services;
use authly_runtime::{
    Listener, shutdown,
    telemetry::{self, LogFormat},
};
use tokio_util::sync::CancellationToken;

use crate::{args::Dev, terminal::progress};
use database::Database;
use folder::DataFolder;
use parts::Sockets;

/// Warnings only: the terminal is for what happens to the manifests.
const LOG: &str = "warn";

/// Runs the command.
pub(crate) async fn run(options: Dev) -> anyhow::Result<()> {
    telemetry::init(LogFormat::Human, LOG)?;
    let stop = shutdown::on_signal()?;
    // What is private says so by its own mode; PostgreSQL's programs must be for everyone, whatever the caller's umask.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    check_manifests(&options.folder)?;
    let data = DataFolder::choose(options.data_dir.clone())?;
    data.create()?;
    let lock = data.lock()?;
    announce::withdraw(&data)?;
    let sockets = Sockets {
        server: Listener::bind(options.listen).await.context("--listen")?,
        gateway: Listener::bind(options.gateway_listen).await.context("--gateway-listen")?,
        questions: socket::listen(&data)?,
    };
    samples::fill(&data)?;
    let services = Services::new(&options.service, Some(data.join(samples::FOLDER)))?;
    let ended = with_database(&options, &data, sockets, services, &stop).await;
    announce::withdraw(&data)?;
    socket::remove(&data)?;
    drop(lock);
    ended
}

async fn with_database(
    options: &Dev,
    data: &DataFolder,
    sockets: Sockets,
    services: Services,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let passwords = credentials::role_passwords(data)?;
    let open = Database::open(options.database_url.as_deref(), data, passwords);
    let Some(database) = stop.run_until_cancelled(open).await else { return Ok(()) };
    let database = database?;
    database.announce(data)?;
    let ended = parts::run(&options.folder, data, &database, sockets, services, stop).await;
    if stop.is_cancelled() {
        progress("stopping");
    }
    let closed = database.close().await;
    ended.and(closed)
}

fn check_manifests(folder: &Path) -> anyhow::Result<()> {
    ensure!(
        folder.is_dir(),
        "{} is no folder: name one with manifests, `authly dev FOLDER` (the default, examples/quickstart, is in the repository)",
        folder.display()
    );
    Ok(())
}
