//! `authly migrate`: schema, group roles, and the login roles whose passwords are given.

use std::time::Duration;

use anyhow::Context;
use authly_store::{Login, Role, StoreError, migrate};

use crate::{args::Migrate, terminal};

/// How often a database that does not answer is tried: its Job may start before it.
const TRIES: u32 = 30;
/// The pause between.
const PAUSE: Duration = Duration::from_secs(2);

/// Runs the command.
pub(crate) async fn run(options: Migrate) -> anyhow::Result<()> {
    let logins = [
        (Role::Server, options.server_password),
        (Role::Gateway, options.gateway_password),
        (Role::Operator, options.operator_password),
        (Role::Jobs, options.jobs_password),
    ];
    let logins: Vec<Login> =
        logins.into_iter().filter_map(|(role, password)| Some(Login { role, password: password? })).collect();
    let database = options.database;
    for left in (0..TRIES).rev() {
        match migrate(&database.database_url, database.database_password.as_deref(), &logins).await {
            Ok(()) => break,
            Err(error @ StoreError::Unavailable(_)) if left > 0 => terminal::progress(format_args!("authly: {error}")),
            Err(error) => return Err(error).context("migrating"),
        }
        tokio::time::sleep(PAUSE).await;
    }
    let names: Vec<&str> = logins.iter().map(|login| login.role.as_str()).collect();
    let changed =
        if names.is_empty() { "no login was asked for".to_owned() } else { format!("logins: {}", names.join(", ")) };
    terminal::progress(format_args!("the schema is up to date; {changed}"));
    Ok(())
}
