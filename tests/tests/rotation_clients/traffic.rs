//! Clients that read their Secret and ask for a token, again and again, and what they saw.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use reqwest::Client;
use tokio::task::JoinHandle;

use crate::world::OVERLAP;

/// How often one client may be late, one time after the other.
const LATE_TOGETHER: u32 = 3;

/// What clients saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) answered: u64,
    /// Refusals (401) that came later than the overlap after the look at the Secret: the value may have ended by then.
    pub(crate) late: u64,
    pub(crate) failures: Vec<String>,
}

/// Clients that read their Secret and ask for a token, again and again.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Seen>>,
}

/// The value of a key of a Secret.
pub(crate) async fn value(secrets: &Api<Secret>, name: &str, key: &str) -> anyhow::Result<String> {
    let secret = secrets.get(name).await?;
    let value = secret.data.as_ref().and_then(|data| data.get(key)).with_context(|| format!("no {key}"))?;
    Ok(String::from_utf8(value.0.clone())?)
}

/// Who asks for tokens.
#[derive(Clone)]
pub(crate) struct Asker {
    pub(crate) http: Client,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) client_id: String,
}

impl Asker {
    /// The status and the body of a token request.
    pub(crate) async fn token(&self, port: u16, secret: &str) -> anyhow::Result<(u16, String)> {
        let answer = self
            .http
            .post(format!("http://127.0.0.1:{port}{}/token", self.path))
            .header("host", &self.host)
            .basic_auth(&self.client_id, Some(secret))
            .form(&[("grant_type", "client_credentials")])
            .send()
            .await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    async fn keep_asking(
        self,
        port: u16,
        (secret, key): (&str, &str),
        secrets: &Api<Secret>,
        stop: &AtomicBool,
    ) -> Seen {
        let (mut seen, mut late_together) = (Seen::default(), 0);
        while !stop.load(Ordering::Relaxed) {
            let start = Instant::now();
            let value = value(secrets, secret, key).await.expect("the value never goes");
            let answer = self.token(port, &value).await;
            seen.answered += 1;
            match answer {
                Ok((200, _)) => late_together = 0,
                // It looks again, as any client would; who is refused again and again is not merely late.
                Ok((401, _)) if start.elapsed() >= OVERLAP && late_together < LATE_TOGETHER => {
                    seen.late += 1;
                    late_together += 1;
                }
                Ok((status, body)) => {
                    seen.failures.push(format!("port {port}, after {:?}: {status}: {body}", start.elapsed()));
                }
                Err(error) => seen.failures.push(format!("port {port}, after {:?}: {error:#}", start.elapsed())),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        seen
    }
}

impl Traffic {
    /// Starts a client on each of these ports, which reads its value from a key of a Secret.
    pub(crate) fn start(
        ports: impl Iterator<Item = u16>,
        asker: &Asker,
        (secrets, secret, key): (&Api<Secret>, &str, &str),
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = ports.map(|port| {
            let (asker, secrets, stop) = (asker.clone(), secrets.clone(), Arc::clone(&stop));
            let (secret, key) = (secret.to_owned(), key.to_owned());
            tokio::spawn(async move { asker.keep_asking(port, (&secret, &key), &secrets, &stop).await })
        });
        Self { clients: clients.collect(), stop }
    }

    /// Ends it; what all of them saw together.
    pub(crate) async fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for client in self.clients {
            let seen = client.await.unwrap();
            all.answered += seen.answered;
            all.late += seen.late;
            all.failures.extend(seen.failures);
        }
        all
    }
}

impl Seen {
    /// Nothing failed, and there was enough to see.
    pub(crate) fn assert_whole(&self) {
        println!("{self:?}");
        assert!(self.failures.is_empty(), "{:#?}", self.failures);
        assert!(self.answered > 50 && self.late * 10 < self.answered, "{self:?}");
    }
}
