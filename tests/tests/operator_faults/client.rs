//! A client as its Pod sees it: it reads its Secret, and uses what it reads, on one server after the other.

use std::{sync::LazyLock, time::Duration};

use anyhow::{Context, ensure};
use authly_tests::{api::http, objects::Objects};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(25);
/// How often a busy server is asked again.
const BUSY: usize = 100;

/// What a Secret holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    id: String,
    secret: String,
    endpoint: String,
}

impl Credentials {
    /// Of a Secret; `None` while it has no `client_secret`, for which a Pod waits.
    pub(crate) fn of(secret: &Value) -> anyhow::Result<Option<Self>> {
        let value = |key: &str| -> anyhow::Result<Option<String>> {
            let Some(text) = secret["data"][key].as_str() else { return Ok(None) };
            Ok(Some(String::from_utf8(STANDARD.decode(text)?)?))
        };
        let Some(secret) = value("client_secret")? else { return Ok(None) };
        let other = |key: &str| value(key)?.with_context(|| format!("the Secret has client_secret and no {key}"));
        Ok(Some(Self { id: other("client_id")?, secret, endpoint: other("token_endpoint")? }))
    }

    /// Whether the server on this port gives a token for them. Anything but a token or a refusal of the client is an error; a 503
    /// says nothing of the secret, so the server is asked again.
    pub(crate) async fn work_at(&self, port: u16) -> anyhow::Result<bool> {
        let mut url = url::Url::parse(&self.endpoint)?;
        let host = format!("{}:{}", url.host_str().context("host")?, url.port().context("port")?);
        url.set_host(Some("127.0.0.1"))?;
        url.set_port(Some(port)).ok();
        static HTTP: LazyLock<reqwest::Client> = LazyLock::new(http);
        let ask = || HTTP.post(url.clone()).header("host", &host).basic_auth(&self.id, Some(&self.secret));
        let mut response = ask().form(&[("grant_type", "client_credentials")]).send().await?;
        for _ in 0..BUSY {
            if response.status() != 503 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            response = ask().form(&[("grant_type", "client_credentials")]).send().await?;
        }
        let status = response.status().as_u16();
        ensure!([200, 400, 401, 404].contains(&status), "{status}: {}", response.text().await?);
        Ok(status == 200)
    }

    /// Fails unless every server gives a token.
    pub(crate) async fn work_everywhere(&self, servers: [u16; 2]) -> anyhow::Result<()> {
        for port in servers {
            ensure!(self.work_at(port).await?, "the server on {port} refuses the secret");
        }
        Ok(())
    }
}

/// Tries a client whose Secret has no `client_secret` yet with a wrong one, so that every server knows the client as it was before:
/// only the feed tells it of the new hash, which the operator must wait for.
async fn guess(objects: &Objects, secret: &str, servers: [u16; 2]) -> anyhow::Result<()> {
    let Some(mut object) = objects.find(secret).await? else { return Ok(()) };
    object["data"]["client_secret"] = STANDARD.encode("authly_cs_guessed").into();
    let Ok(Some(guessed)) = Credentials::of(&object) else { return Ok(()) };
    for port in servers {
        ensure!(!guessed.work_at(port).await?, "a guessed secret works");
    }
    Ok(())
}

/// Polls until stopped; answers the number of tokens. `may_go` says that the Secret may be deleted: then a refusal counts only
/// while the Secret still holds what was refused.
pub(crate) async fn poll(
    objects: &Objects,
    (secret, servers): (&str, [u16; 2]),
    may_go: bool,
    stop: &CancellationToken,
) -> anyhow::Result<usize> {
    let (mut tokens, mut turn) = (0, 0);
    while !stop.is_cancelled() {
        let read = async || {
            anyhow::Ok(objects.find(secret).await?.map(|object| Credentials::of(&object)).transpose()?.flatten())
        };
        let Some(credentials) = read().await? else {
            guess(objects, secret, servers).await?;
            tokio::time::sleep(PERIOD).await;
            continue;
        };
        turn += 1;
        if credentials.work_at(servers[turn % 2]).await? {
            tokens += 1;
        } else {
            let gone = may_go && read().await?.as_ref() != Some(&credentials);
            ensure!(gone, "a client read a secret that server {} refuses", servers[turn % 2]);
        }
        tokio::time::sleep(PERIOD).await;
    }
    Ok(tokens)
}
