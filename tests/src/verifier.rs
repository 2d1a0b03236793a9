//! A verifier as a service has one: it keeps each JWKS for exactly its max-age and asks no sooner, not even for a kid that it
//! does not know. It shares no code with the product.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    jwk::{Jwk, JwkSet},
};
use reqwest::Client;
use serde_json::Value;

/// A JWKS as it was last fetched.
#[derive(Debug)]
pub struct Verifier {
    http: Client,
    /// The same document from several servers, one after the other.
    sources: Vec<String>,
    host: String,
    kept: Option<(JwkSet, Instant)>,
    fetches: usize,
}

impl Verifier {
    /// A verifier that has fetched nothing. `host` is what servers find the tenant by.
    pub fn new(http: Client, host: &str, sources: Vec<String>) -> Self {
        Self { http, sources, host: host.to_owned(), kept: None, fetches: 0 }
    }

    /// How often it fetched.
    pub const fn fetches(&self) -> usize {
        self.fetches
    }

    async fn key(&mut self, kid: &str) -> anyhow::Result<Jwk> {
        if self.kept.as_ref().is_none_or(|(_, until)| Instant::now() >= *until) {
            let source = &self.sources[self.fetches % self.sources.len()];
            let answer = self.http.get(source).header("host", &self.host).send().await?.error_for_status()?;
            let control = answer.headers().get("cache-control").context("no Cache-Control")?.to_str()?.to_owned();
            let max_age =
                control.split(", ").find_map(|part| part.strip_prefix("max-age=")).context(control.clone())?;
            let max_age = Duration::from_secs(max_age.parse()?);
            self.kept = Some((answer.json().await?, Instant::now() + max_age));
            self.fetches += 1;
        }
        let (set, _) = self.kept.as_ref().context("fetched")?;
        set.find(kid).cloned().with_context(|| format!("unknown kid {kid}"))
    }

    /// Verifies an access token; answers its claims.
    pub async fn token(&mut self, issuer: &str, token: &str) -> anyhow::Result<Value> {
        let header = jsonwebtoken::decode_header(token)?;
        let jwk = self.key(header.kid.as_deref().context("no kid")?).await?;
        ensure!(jwk.common.key_algorithm.map(|a| a.to_string()) == Some(format!("{:?}", header.alg)), "another alg");
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[issuer]);
        validation.validate_aud = false;
        validation.leeway = 0;
        Ok(jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(&jwk)?, &validation)?.claims)
    }

    /// Verifies the signature and the time of a signed URL, from the published format alone.
    pub async fn url(&mut self, url: &str) -> anyhow::Result<()> {
        let rest = url.split_once("://").context("a URL")?.1;
        let (host, target) = rest.split_at(rest.find('/').context("a path")?);
        let (signed, signature) = target.rsplit_once("&sx-s=").context("unsigned")?;
        let parameter = |name: &str| {
            let mut all = signed.split(['?', '&']).filter_map(|pair| pair.split_once('='));
            all.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).context(name.to_owned())
        };
        let expires: i64 = parameter("sx-e")?.parse()?;
        ensure!(jiff::Timestamp::now().as_second() < expires, "expired");
        let jwk = self.key(&parameter("sx-k")?).await?;
        let message = format!("sx1\n{host}\n{signed}");
        let key = DecodingKey::from_jwk(&jwk)?;
        if !jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, Algorithm::EdDSA)? {
            bail!("signature_invalid");
        }
        Ok(())
    }
}
