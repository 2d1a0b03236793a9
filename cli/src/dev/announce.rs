//! Says what there is: `dev.json` for scripts, kept up to date, and once the text for people.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    board::Board,
    folder::DataFolder,
    paste,
    secret_files::SecretFiles,
    summary::{self, Summary},
};
use crate::terminal::say;

const FILE: &str = "dev.json";
/// How long everything may take to be Ready before it is said what is not.
const PATIENCE: Duration = Duration::from_secs(15);
/// Changes come in bursts.
const QUIET: Duration = Duration::from_millis(50);

/// What is announced and how.
pub(crate) struct Announcer {
    pub(crate) board: Arc<Board>,
    pub(crate) secrets: Arc<SecretFiles>,
    pub(crate) data: DataFolder,
    /// The gateway's base URL.
    pub(crate) gateway: String,
    /// The folder of manifests, as it was named.
    pub(crate) manifests: String,
}

/// Removes what an earlier process announced.
pub(crate) fn withdraw(data: &DataFolder) -> anyhow::Result<()> {
    Ok(data.remove(FILE)?)
}

impl Announcer {
    /// Announces until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut changes = self.board.changes();
        let deadline = Instant::now() + PATIENCE;
        let mut written: Option<Summary> = None;
        let mut said = Said::Nothing;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                changed = changes.changed() => changed.context("the board is gone")?,
                () = tokio::time::sleep_until(deadline), if said == Said::Nothing => {}
            }
            tokio::time::sleep(QUIET).await;
            changes.mark_unchanged();
            let (not_ready, summary, sample) = {
                let state = self.board.state();
                let secret = |at: &_| self.secrets.value(at, "client_secret");
                (summary::not_ready(&state), summary::summary(&state, &self.gateway, secret), summary::sample(&state))
            };
            let is_ready = not_ready.is_empty() && summary.issuer.is_some();
            if said == Said::Nothing && !is_ready && Instant::now() < deadline {
                continue;
            }
            if written.as_ref() != Some(&summary) {
                self.data.write_private(FILE, &serde_json::to_string_pretty(&summary)?)?;
            }
            if is_ready && said != Said::Ready {
                say(paste::text(&summary, sample.as_ref(), &self.data, &self.manifests));
                said = Said::Ready;
            } else if said == Said::Nothing {
                say(waiting(&not_ready, &self.manifests));
                said = Said::NotReady;
            }
            written = Some(summary);
        }
    }
}

#[derive(PartialEq, Eq)]
enum Said {
    Nothing,
    NotReady,
    Ready,
}

fn waiting(not_ready: &[String], manifests: &str) -> String {
    if not_ready.is_empty() {
        return format!("Authly runs, but {manifests} declares no Tenant: add one, and the lines to paste appear here");
    }
    format!("Authly runs, but not everything is Ready:\n  {}", not_ready.join("\n  "))
}
