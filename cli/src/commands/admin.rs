//! `authly admin`: what an administrator does by hand. `rewrap` ends a change of the platform key
//! (docs/guides/rotate-signing-keys.md), `raise-store-epoch` is a step of a restore (docs/guides/restore.md).

use std::time::Duration;

use anyhow::bail;
use authly_runtime::shutdown;
use authly_store::{Role, Store};

use crate::{
    args::{Admin, Database, RaiseStoreEpoch, Rewrap},
    connect,
    terminal::say,
};

/// How long the servers' job gets to wrap the sealing key; it runs every ten seconds.
const SEALING: Duration = Duration::from_secs(60);

/// Runs the command.
pub(crate) async fn run(admin: Admin) -> anyhow::Result<()> {
    match admin {
        Admin::Rewrap(options) => rewrap(options).await,
        Admin::RaiseStoreEpoch(options) => raise_store_epoch(options).await,
    }
}

async fn rewrap(options: Rewrap) -> anyhow::Result<()> {
    let kek = connect::kek(options.keks)?;
    let stop = shutdown::on_signal()?;
    let login = connect::login(options.database, Role::Operator);
    let Some(store) = connect::store(login, &stop).await? else { return Ok(()) };
    let active = kek.active_id()?.to_owned();
    let total = store.rewrap(&kek).await?;
    say(format_args!("{} data keys wrapped by {active} now, {} were before", total.done, total.before));
    let start = std::time::Instant::now();
    loop {
        let other: Vec<String> = store.sealing_key_wrapped_by().await?.into_iter().filter(|id| *id != active).collect();
        if other.is_empty() {
            break;
        }
        if start.elapsed() > SEALING || stop.is_cancelled() {
            bail!(
                "the sealing key is still wrapped by {}: a server that runs jobs and has {active} as its active key does that; keep \
                 the other key until a run of this command succeeds",
                other.join(", ")
            );
        }
        stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(1))).await;
    }
    say(format_args!("nothing needs another key than {active} any more"));
    store.close().await;
    Ok(())
}

/// `raise-store-epoch`.
async fn raise_store_epoch(options: RaiseStoreEpoch) -> anyhow::Result<()> {
    let database =
        Database { database_url: options.jobs_database_url, database_password: options.jobs_database_password };
    let store = Store::connect(connect::login(database, Role::Jobs)).await?;
    store.raise_store_epoch().await?;
    store.close().await;
    say("counted URLs issued so far are refused; replicas and operators load everything anew");
    Ok(())
}
