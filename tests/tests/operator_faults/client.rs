//! A client as its Pod sees it: it reads its Secret, and uses what it reads, on one server after the other.

use std::{
    collections::BTreeSet,
    sync::LazyLock,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use authly_tests::{api::http, objects::Objects};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use reqwest::RequestBuilder;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(25);
/// How often a busy server is asked again.
const BUSY: usize = 100;

/// What a client saw.
#[derive(Debug, Default)]
pub(crate) struct Polled {
    pub(crate) tokens: usize,
    /// All answers of servers, and those among them that were 503.
    pub(crate) answers: usize,
    pub(crate) busy: usize,
    /// The values that were in `client_secret`.
    pub(crate) values: BTreeSet<String>,
}

/// What a server said to a request for a token.
struct Answer {
    /// The token; none if the client was refused.
    token: Option<String>,
    /// How often it said 503 before.
    busy: usize,
}

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

    /// Whether the server on this port gives a token for them.
    pub(crate) async fn work_at(&self, port: u16) -> anyhow::Result<bool> {
        Ok(self.ask(port).await?.token.is_some())
    }

    /// Asks the server on this port for a token. Anything but a token or a refusal of the client is an error; a 503 says nothing
    /// of the secret, so the server is asked again.
    async fn ask(&self, port: u16) -> anyhow::Result<Answer> {
        let ask =
            || anyhow::Ok(self.at(port, reqwest::Method::POST, "/token")?.basic_auth(&self.id, Some(&self.secret)));
        let mut response = ask()?.form(&[("grant_type", "client_credentials")]).send().await?;
        let mut busy = 0;
        while response.status() == 503 && busy < BUSY {
            busy += 1;
            tokio::time::sleep(Duration::from_millis(200)).await;
            response = ask()?.form(&[("grant_type", "client_credentials")]).send().await?;
        }
        let (status, body) = (response.status().as_u16(), response.text().await?);
        ensure!([200, 400, 401, 404].contains(&status), "{status}: {body}");
        if status != 200 {
            return Ok(Answer { token: None, busy });
        }
        let body: Value = serde_json::from_str(&body)?;
        Ok(Answer { token: Some(body["access_token"].as_str().context("access_token")?.to_owned()), busy })
    }

    /// The kid of the key that the server on this port signs with, and the kids that it publishes.
    pub(crate) async fn kids(&self, port: u16) -> anyhow::Result<(String, BTreeSet<String>)> {
        let token = self.ask(port).await?.token.context("the server refuses the secret")?;
        let header = token.split('.').next().context("a JWT")?;
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header)?)?;
        let jwks = self.at(port, reqwest::Method::GET, "/jwks.json")?.send().await?.error_for_status()?;
        let jwks: Value = serde_json::from_str(&jwks.text().await?)?;
        let kids = jwks["keys"].as_array().context("keys")?.iter();
        let kids = kids.filter_map(|key| Some(key["kid"].as_str()?.to_owned())).collect();
        Ok((header["kid"].as_str().context("kid")?.to_owned(), kids))
    }

    /// A request to the server on this port, at a path beside the token endpoint's.
    fn at(&self, port: u16, method: reqwest::Method, path: &str) -> anyhow::Result<RequestBuilder> {
        static HTTP: LazyLock<reqwest::Client> = LazyLock::new(http);
        let issuer = self.endpoint.strip_suffix("/token").context("a token endpoint")?;
        let mut url = url::Url::parse(&format!("{issuer}{path}"))?;
        let host = format!("{}:{}", url.host_str().context("host")?, url.port().context("port")?);
        url.set_host(Some("127.0.0.1"))?;
        url.set_port(Some(port)).ok();
        Ok(HTTP.request(method, url).header("host", &host))
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

/// Polls until stopped. `grace` says that the value may go, and how long it works after that: a refusal counts within so long of the
/// look at the Secret, and ever while the Secret still holds what was refused.
pub(crate) async fn poll(
    objects: &Objects,
    (secret, servers): (&str, [u16; 2]),
    grace: Option<Duration>,
    stop: &CancellationToken,
) -> anyhow::Result<Polled> {
    let (mut polled, mut turn) = (Polled::default(), 0);
    while !stop.is_cancelled() {
        let read = async || {
            anyhow::Ok(objects.find(secret).await?.map(|object| Credentials::of(&object)).transpose()?.flatten())
        };
        let looked = Instant::now();
        let Some(credentials) = read().await? else {
            guess(objects, secret, servers).await?;
            tokio::time::sleep(PERIOD).await;
            continue;
        };
        turn += 1;
        polled.values.insert(credentials.secret.clone());
        let answer = credentials.ask(servers[turn % 2]).await?;
        let took = looked.elapsed();
        polled.busy += answer.busy;
        polled.answers += answer.busy + 1;
        if answer.token.is_some() {
            polled.tokens += 1;
        } else {
            let gone = grace.is_some_and(|grace| took >= grace) && read().await?.as_ref() != Some(&credentials);
            ensure!(gone, "a client read a secret that server {} refuses {took:?} later", servers[turn % 2]);
        }
        tokio::time::sleep(PERIOD).await;
    }
    Ok(polled)
}
