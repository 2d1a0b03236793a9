//! What `dev.json` and `roles.json` of a data folder of `authly dev` tell: the issuer, the client with its secret, and the roles' passwords.

use std::path::Path;

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;

/// The facts that a run needs.
pub(crate) struct Dev {
    pub(crate) token_endpoint: String,
    pub(crate) signed_urls_endpoint: String,
    /// The value of the `Authorization` header (RFC 6749 section 2.3.1).
    pub(crate) authorization: String,
    issuer: String,
    server_password: String,
    gateway_password: String,
}

/// `DATA/dev.json`.
#[derive(Deserialize)]
struct DevJson {
    issuer: String,
    token_endpoint: String,
    signed_urls_endpoint: String,
    clients: Vec<Client>,
}

#[derive(Deserialize)]
struct Client {
    client_id: String,
    client_secret: Option<String>,
}

impl Dev {
    pub(crate) fn read(data: &str) -> anyhow::Result<Self> {
        let read = |name: &str| {
            let path = Path::new(data).join(name);
            std::fs::read(&path).with_context(|| path.display().to_string())
        };
        let dev: DevJson =
            serde_json::from_slice(&read("dev.json")?).context("dev.json lacks something: is everything Ready?")?;
        let roles: Value = serde_json::from_slice(&read("roles.json")?)?;
        let password =
            |role: &str| roles[role].as_str().map(str::to_owned).with_context(|| format!("roles.json has no {role}"));
        let client = dev.clients.first().context("dev.json has no client")?;
        let secret = client.client_secret.as_deref().context("the client of dev.json has no secret")?;
        Ok(Self {
            token_endpoint: dev.token_endpoint,
            signed_urls_endpoint: dev.signed_urls_endpoint,
            authorization: format!("Basic {}", STANDARD.encode(format!("{}:{secret}", client.client_id))),
            issuer: dev.issuer,
            server_password: password("server")?,
            gateway_password: password("gateway")?,
        })
    }

    /// For benches/run; only ever read through a pipe.
    pub(crate) fn print_facts(&self) {
        println!("issuer={}", self.issuer);
        println!("authorization={}", self.authorization);
        println!("server_password={}", self.server_password);
        println!("gateway_password={}", self.gateway_password);
    }
}
