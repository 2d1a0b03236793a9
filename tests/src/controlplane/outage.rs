//! What a control plane of a suite's own is put through: its API server dies, its etcd forgets what was.

use std::{sync::PoisonError, time::Duration};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{ControlPlane, launch, program::Program};

/// How long the API server may take to come back.
const BACK: Duration = Duration::from_secs(120);

impl ControlPlane {
    /// Kills the API server and starts it again on the same port: its memory of past versions is gone.
    pub async fn restart_api_server(&self) -> anyhow::Result<()> {
        self.with("kube-apiserver", Program::restart)?;
        let client = self.client().await?;
        let start = Instant::now();
        while !launch::answers_ready(&client).await {
            self.with("kube-apiserver", Program::check)?;
            if start.elapsed() > BACK {
                bail!("the API server did not come back within {BACK:?}");
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Compacts etcd: every version before now is forgotten. Answers the revision.
    pub async fn compact_etcd(&self) -> anyhow::Result<u64> {
        let argument = |etcd: &mut Program| etcd.argument("--advertise-client-urls").map(ToOwned::to_owned);
        let url = self.with("etcd", |etcd| argument(etcd).context("etcd has a URL"))?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let post = async |path: &str, body: Value| -> anyhow::Result<Value> {
            Ok(http.post(format!("{url}/v3/kv/{path}")).json(&body).send().await?.error_for_status()?.json().await?)
        };
        // Keys in base64: any key will do, the header tells the revision.
        let found = post("range", json!({"key": "AA=="})).await?;
        let revision: u64 = found["header"]["revision"].as_str().context("a revision")?.parse()?;
        post("compaction", json!({"revision": revision.to_string(), "physical": true})).await?;
        Ok(revision)
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Program) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        let found = programs.iter_mut().find(|program| program.name() == name);
        act(found
            .with_context(|| format!("{name} is not this process's: only who started a control plane may hurt it"))?)
    }
}
