//! Continuous traffic against servers and gateways while keys change: tokens and signed URLs are issued, verified from a kept
//! JWKS, introspected and redeemed, at once and again until they expire. It counts, and keeps what went wrong.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{http, reason, through},
    dev::DevClient,
    manifests,
    stack::Stack,
    verifier::Verifier,
};

/// Nothing is asked of what is issued in so much of its end: an answer may take as long, from a gateway that is stopped for a while, say.
const MARGIN: Duration = Duration::from_secs(10);
/// The pause of each client between two rounds.
const PAUSE: Duration = Duration::from_millis(40);

/// The quick start in short, in names of the stack's own; what is issued lives for `lifetime`.
pub fn manifests(id: &str, gateway_port: u16, lifetime: Duration) -> String {
    let seconds = lifetime.as_secs();
    let tenant = format!("  urlHosts: [\"localhost:{gateway_port}\"]\n  tokens: {{accessTokenLifetime: {seconds}s}}\n");
    manifests::tenant(id, &tenant)
        + &manifests::client(id, "billing", "")
        + &manifests::reports(id, gateway_port, &format!("  maxTtl: {seconds}s\n  defaultTtl: {seconds}s\n"))
}

/// Where the traffic goes.
#[derive(Debug, Clone)]
pub struct Place {
    /// The issuer, by which requests name the tenant.
    pub issuer: String,
    /// The ports of the servers.
    pub servers: Vec<u16>,
    /// The ports of the gateways.
    pub gateways: Vec<u16>,
    /// How long what is issued lives.
    pub lifetime: Duration,
    /// The client.
    pub client: DevClient,
    /// The route, `namespace/name`.
    pub route: String,
}

impl Place {
    /// The place of [`manifests`], once its client has a secret and its route and policy are ready. The issuer's port is that of the
    /// first server.
    pub async fn of(stack: &Stack, servers: &[u16], gateways: &[u16], lifetime: Duration) -> anyhow::Result<Self> {
        let issuer = servers.first().context("a server")?;
        let namespace = format!("shop-{}", stack.id);
        let (client, endpoint) = stack.client(&namespace, "billing-oauth").await?;
        for what in ["signedurlroute reports", "accesspolicy reports"] {
            let limit = Duration::from_secs(60);
            stack.condition(&format!("{what} -n {namespace}"), "Ready", "True", "", limit).await?;
        }
        ensure!(endpoint.contains(&format!(":{issuer}/")), "{endpoint}");
        Ok(Self {
            issuer: endpoint.strip_suffix("/token").context("a token endpoint")?.to_owned(),
            servers: servers.to_vec(),
            gateways: gateways.to_vec(),
            lifetime,
            client,
            route: format!("{namespace}/reports"),
        })
    }

    /// The authority and the path of the issuer.
    fn parts(&self) -> (&str, &str) {
        let rest = self.issuer.split_once("://").map_or("", |(_, rest)| rest);
        rest.split_at(rest.find('/').unwrap_or(rest.len()))
    }

    fn at(&self, server: usize, path: &str) -> String {
        let port = self.servers[server % self.servers.len()];
        format!("http://127.0.0.1:{port}{}{path}", self.parts().1)
    }

    /// A form to one of the servers; its JSON answer, if it is 200.
    async fn form(&self, http: &Client, server: usize, path: &str, form: &[(&str, &str)]) -> anyhow::Result<Value> {
        let secret = self.client.client_secret.as_deref();
        let request = http.post(self.at(server, path)).header("host", self.parts().0);
        let answer = request.basic_auth(&self.client.client_id, secret).form(form).send().await?;
        let (status, body) = (answer.status(), answer.text().await?);
        ensure!(status == 200, "{path}: {status} {body}");
        Ok(serde_json::from_str(&body)?)
    }

    /// A token from one of the servers.
    pub async fn token(&self, http: &Client, server: usize) -> anyhow::Result<String> {
        let body = self.form(http, server, "/token", &[("grant_type", "client_credentials")]).await?;
        Ok(body["access_token"].as_str().context("access_token")?.to_owned())
    }

    /// Whether one of the servers says that a token is active.
    pub async fn is_active(&self, http: &Client, server: usize, token: &str) -> anyhow::Result<bool> {
        Ok(self.form(http, server, "/introspect", &[("token", token)]).await?["active"] == true)
    }

    /// A signed URL from one of the servers.
    pub async fn sign(&self, http: &Client, server: usize, token: &str) -> anyhow::Result<String> {
        let request = json!({"route": self.route, "path": "/reports/q3.pdf", "expires_in": self.lifetime.as_secs()});
        let post = http.post(self.at(server, "/v1/signed-urls")).header("host", self.parts().0).bearer_auth(token);
        let answer = post.json(&request).send().await?;
        let (status, body) = (answer.status(), answer.text().await?);
        ensure!(status == 201, "sign: {status} {body}");
        let body: Value = serde_json::from_str(&body)?;
        Ok(body["url"].as_str().context("url")?.to_owned())
    }

    /// The status of a redemption by one of the gateways.
    pub async fn redeem(&self, http: &Client, gateway: usize, url: &str) -> anyhow::Result<u16> {
        let port = self.gateways[gateway % self.gateways.len()];
        let answer = through(http, Method::GET, url, port).await?;
        if !answer.status().is_success() {
            println!("{url}: {:?}", reason(&answer));
        }
        Ok(answer.status().as_u16())
    }

    /// A verifier of tokens (`/jwks.json`) or of URLs (`/sx/jwks.json`).
    pub fn verifier(&self, http: Client, path: &str) -> Verifier {
        let sources = (0..self.servers.len()).map(|server| self.at(server, path)).collect();
        Verifier::new(http, self.parts().0, sources)
    }
}

/// What was done, and what went wrong.
#[derive(Debug, Default)]
pub struct Tally {
    done: AtomicUsize,
    fetches: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Tally {
    fn note<T>(&self, what: &str, result: anyhow::Result<T>) -> Option<T> {
        self.done.fetch_add(1, Ordering::Relaxed);
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.failures.lock().unwrap().push(format!("{what}: {error:#}"));
                None
            }
        }
    }
}

/// Traffic that goes on until it is stopped.
#[derive(Debug)]
pub struct Traffic {
    tally: Arc<Tally>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Traffic {
    /// Starts it: clients of tokens and of URLs, two or more of each, so that every gateway has one.
    pub fn start(place: &Place) -> Self {
        let (tally, stop, mut tasks) = (Arc::new(Tally::default()), CancellationToken::new(), JoinSet::new());
        for first in 0..place.gateways.len().max(2) {
            tasks.spawn(tokens(place.clone(), Arc::clone(&tally), stop.clone(), first));
            tasks.spawn(urls(place.clone(), Arc::clone(&tally), stop.clone(), first));
        }
        Self { tally, stop, tasks }
    }

    /// Stops it; how much was done, how often key sets were fetched, and what failed.
    pub async fn end(mut self) -> (usize, usize, Vec<String>) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("the traffic does not panic");
        }
        let failures = std::mem::take(&mut *self.tally.failures.lock().unwrap());
        (self.tally.done.load(Ordering::Relaxed), self.tally.fetches.load(Ordering::Relaxed), failures)
    }
}

/// What is asked again from time to time, until shortly before its end.
struct Old(VecDeque<(String, Instant)>, Duration);

impl Old {
    /// None yet, of what lives so long.
    fn of(lifetime: Duration) -> Self {
        Self(VecDeque::new(), lifetime.saturating_sub(MARGIN))
    }

    fn put(&mut self, text: String, issued: Instant) {
        self.0.push_back((text, issued));
    }

    /// The oldest that is still good.
    fn next(&mut self) -> Option<String> {
        while self.0.front()?.1.elapsed() > self.1 {
            self.0.pop_front();
        }
        self.0.front().map(|(text, _)| text.clone())
    }
}

async fn tokens(place: Place, tally: Arc<Tally>, stop: CancellationToken, first: usize) {
    let http = http();
    let mut verifier = place.verifier(http.clone(), "/jwks.json");
    let mut old = Old::of(place.lifetime);
    let mut round = first;
    while !stop.is_cancelled() {
        round += 1;
        let issued = Instant::now();
        if let Some(token) = tally.note("token", place.token(&http, round).await) {
            tally.note("verify", verifier.token(&place.issuer, &token).await);
            old.put(token, issued);
        }
        if let Some(token) = old.next() {
            tally.note("verify again", verifier.token(&place.issuer, &token).await);
            let active = place.is_active(&http, round, &token).await;
            tally.note("introspect", active.and_then(|active| if active { Ok(()) } else { anyhow::bail!("inactive") }));
        }
        tokio::time::sleep(PAUSE).await;
    }
    tally.fetches.fetch_add(verifier.fetches(), Ordering::Relaxed);
}

/// Each client keeps to a gateway of its own, so that one that stands still holds up no other.
async fn urls(place: Place, tally: Arc<Tally>, stop: CancellationToken, first: usize) {
    let http = http();
    let mut verifier = place.verifier(http.clone(), "/sx/jwks.json");
    let (mut old, mut token) = (Old::of(place.lifetime), None);
    let mut round = first;
    while !stop.is_cancelled() {
        round += 1;
        let issued = Instant::now();
        if round.is_multiple_of(20) || token.is_none() {
            token = tally.note("token", place.token(&http, round).await);
        }
        let Some(bearer) = &token else { continue };
        if let Some(url) = tally.note("sign", place.sign(&http, round, bearer).await) {
            tally.note("verify a URL", verifier.url(&url).await);
            tally.note("redeem", redeemed(&place, &http, first, &url).await);
            old.put(url, issued);
        }
        if let Some(url) = old.next() {
            tally.note("verify a URL again", verifier.url(&url).await);
            tally.note("redeem again", redeemed(&place, &http, first, &url).await);
        }
        tokio::time::sleep(PAUSE).await;
    }
    tally.fetches.fetch_add(verifier.fetches(), Ordering::Relaxed);
}

async fn redeemed(place: &Place, http: &Client, gateway: usize, url: &str) -> anyhow::Result<()> {
    let status = place.redeem(http, gateway, url).await?;
    ensure!(status == 200, "{status}");
    Ok(())
}
