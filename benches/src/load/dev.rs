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
    /// Of the tenant that signs with RSA.
    rsa_issuer: String,
    rsa_authorization: String,
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
    issuer: String,
}

impl Client {
    fn authorization(&self) -> anyhow::Result<String> {
        let secret = self.client_secret.as_deref().with_context(|| format!("{} has no secret", self.client_id))?;
        Ok(format!("Basic {}", STANDARD.encode(format!("{}:{secret}", self.client_id))))
    }
}

/// The clients of world.yaml that ask for tokens.
const CLIENT: &str = "shop.billing";
const RSA_CLIENT: &str = "bank.ledger";

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
        let client = |id: &str| {
            dev.clients.iter().find(|client| client.client_id == id).with_context(|| format!("dev.json has no {id}"))
        };
        let (client, rsa) = (client(CLIENT)?, client(RSA_CLIENT)?);
        Ok(Self {
            authorization: client.authorization()?,
            rsa_issuer: rsa.issuer.clone(),
            rsa_authorization: rsa.authorization()?,
            token_endpoint: dev.token_endpoint,
            signed_urls_endpoint: dev.signed_urls_endpoint,
            issuer: dev.issuer,
            server_password: password("server")?,
            gateway_password: password("gateway")?,
        })
    }

    /// For benches/run; only ever read through a pipe.
    pub(crate) fn print_facts(&self) {
        println!("issuer={}", self.issuer);
        println!("authorization={}", self.authorization);
        println!("rsa_issuer={}", self.rsa_issuer);
        println!("rsa_authorization={}", self.rsa_authorization);
        println!("server_password={}", self.server_password);
        println!("gateway_password={}", self.gateway_password);
    }
}
