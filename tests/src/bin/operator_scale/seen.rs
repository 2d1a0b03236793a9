//! What a watch of all OAuthClients sees: who is Programmed at its own generation, and since when.

use std::{
    collections::HashMap,
    sync::PoisonError,
    time::{Duration, Instant},
};

use anyhow::ensure;
use futures::{AsyncBufReadExt, StreamExt};
use serde::Deserialize;

use crate::Shared;

#[derive(Default)]
struct Client {
    generation: i64,
    programmed: Option<Instant>,
    ready: bool,
}

/// The clients as they were last seen.
pub(crate) struct Seen(Shared<HashMap<String, Client>>);

// Only what is looked at is parsed.
#[derive(Deserialize)]
struct Event {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize, Default)]
struct Metadata {
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    generation: i64,
}

#[derive(Deserialize, Default)]
struct Status {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    r#type: String,
    status: String,
    observed_generation: Option<i64>,
}

impl Seen {
    /// Watches from now on.
    pub(crate) fn watch(client: kube::Client) -> Self {
        let shared = Shared::default();
        let seen = Shared::clone(&shared);
        tokio::spawn(async move {
            loop {
                // Ends now and then; a new watch begins with everything that is there.
                if let Err(error) = follow(&client, &seen).await {
                    eprintln!("operator_scale: the watch ended: {error:#}");
                }
            }
        });
        Self(shared)
    }

    fn count(&self, what: impl Fn(&Client) -> bool) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().filter(|client| what(client)).count()
    }

    /// How many are Ready.
    pub(crate) fn ready(&self) -> usize {
        self.count(|client| client.ready)
    }

    /// Waits until so many are Programmed.
    pub(crate) async fn programmed(&self, count: usize, limit: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            let now = self.count(|client| client.programmed.is_some());
            if now == count {
                return Ok(());
            }
            ensure!(start.elapsed() < limit, "only {now} of {count} are Programmed");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a client is Programmed at this generation; answers when it was seen to be.
    pub(crate) async fn changed(&self, name: &str, generation: i64, limit: Duration) -> anyhow::Result<Instant> {
        let start = Instant::now();
        loop {
            let at = {
                let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                clients.get(name).filter(|client| client.generation >= generation).and_then(|client| client.programmed)
            };
            if let Some(at) = at {
                return Ok(at);
            }
            ensure!(start.elapsed() < limit, "{name} is not Programmed at generation {generation}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn follow(client: &kube::Client, seen: &Shared<HashMap<String, Client>>) -> anyhow::Result<()> {
    let request = http::Request::get("/apis/authly.dev/v1alpha1/oauthclients?watch=true").body(Vec::new())?;
    let mut lines = client.request_stream(request).await?.lines();
    while let Some(line) = lines.next().await {
        let Ok(Event { object: Object { metadata, status } }) = serde_json::from_str(&line?) else { continue };
        let holds = |kind: &str| {
            let here = |c: &&Condition| c.r#type == kind && c.observed_generation == Some(metadata.generation);
            status.conditions.iter().find(here).is_some_and(|condition| condition.status == "True")
        };
        let (programmed, ready) = (holds("Programmed"), holds("Ready"));
        let mut clients = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = clients.entry(format!("{}/{}", metadata.namespace, metadata.name)).or_default();
        let since = known.programmed.filter(|_| known.generation == metadata.generation).unwrap_or_else(Instant::now);
        *known = Client { generation: metadata.generation, programmed: programmed.then_some(since), ready };
    }
    Ok(())
}
