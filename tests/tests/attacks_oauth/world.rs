//! Two tenants with clients of every kind, and the keys to forge with.

use std::{collections::BTreeMap, time::Duration};

use authly_tests::{
    api::{http, token},
    database,
    dev::{Dev, DevClient, shows},
    forge::Forge,
    raw::{self, Answer},
    scratch::Scratch,
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use crate::keys::Keys;

const MANIFESTS: &str = r#"apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: market}
---
apiVersion: authly.dev/v1alpha1
kind: Tenant
metadata: {name: acme}
spec: {displayName: Acme, urlHosts: ["cdn.example.com"], allowedNamespaces: [{name: shop, role: Owner}]}
---
apiVersion: authly.dev/v1alpha1
kind: Tenant
metadata: {name: globex}
spec: {displayName: Globex, urlHosts: ["cdn.globex.example"], allowedNamespaces: [{name: market, role: Owner}]}
---
apiVersion: authly.dev/v1alpha1
kind: OAuthClient
metadata: {name: billing, namespace: shop}
spec: {tenantRef: {name: acme}, type: Service, scopes: [read], audiences: ["https://api.acme.example"]}
---
apiVersion: authly.dev/v1alpha1
kind: OAuthClient
metadata: {name: other, namespace: shop}
spec: {tenantRef: {name: acme}, type: Service}
---
apiVersion: authly.dev/v1alpha1
kind: OAuthClient
metadata: {name: paused, namespace: shop}
spec: {tenantRef: {name: acme}, type: Service, suspend: true}
---
apiVersion: authly.dev/v1alpha1
kind: OAuthClient
metadata: {name: signer, namespace: shop}
spec: {tenantRef: {name: acme}, type: Service, authMethod: PrivateKeyJwt, jwks: {keys: KEYS}}
---
apiVersion: authly.dev/v1alpha1
kind: OAuthClient
metadata: {name: billing, namespace: market}
spec: {tenantRef: {name: globex}, type: Service}
---
apiVersion: authly.dev/v1alpha1
kind: OAuthClient
metadata: {name: signer, namespace: market}
spec: {tenantRef: {name: globex}, type: Service, authMethod: PrivateKeyJwt, jwks: {keys: KEYS}}
---
apiVersion: authly.dev/v1alpha1
kind: AccessPolicy
metadata: {name: reports, namespace: shop}
spec:
  tenantRef: {name: acme}
  cedar: |
    permit (principal, action == Action::"redeem", resource);
"#;

/// The product and everything that an attacker could wish for.
pub(crate) struct World {
    pub(crate) dev: Dev,
    pub(crate) keys: Keys,
    /// The attacked tenant's own keys.
    pub(crate) forge: Forge,
    /// Another tenant's.
    pub(crate) other: Forge,
    /// Good tokens by name.
    pub(crate) tokens: BTreeMap<&'static str, String>,
    _folder: Scratch,
}

impl World {
    pub(crate) async fn start() -> Self {
        let keys = Keys::generate();
        let manifests = MANIFESTS.replace("KEYS", &json!(keys.public()).to_string());
        let folder = Scratch::new("attacks-oauth").unwrap();
        let dev = Dev::start(folder.path(), &[("all.yaml", &manifests)]).await.unwrap();
        for name in ["signer", "paused"] {
            let kind = format!("oauthclient.authly.dev/{name}");
            shows(&dev, &[&kind, "True"], Duration::from_secs(60)).await.unwrap();
        }
        let mut look = database::look(&dev.database).await.unwrap();
        let kek = dev.data.join("kek");
        let forge = Forge::of(&mut look, "acme", &kek, "cdn.example.com").await.unwrap();
        let other = Forge::of(&mut look, "globex", &kek, "cdn.globex.example").await.unwrap();
        let mut world = Self { dev, keys, forge, other, tokens: BTreeMap::new(), _folder: folder };
        let api = [("resource", "https://api.acme.example")];
        for (name, client, form) in [
            ("own", "shop.billing", &[][..]),
            ("of another client", "shop.other", &[]),
            ("for another audience", "shop.billing", &api),
            ("without the scope", "shop.billing", &[("scope", "read")]),
            ("of another tenant", "market.billing", &[]),
        ] {
            let tenant = if client.starts_with("market") { "globex" } else { "acme" };
            let endpoint = format!("{}/token", world.issuer(tenant));
            let token = token(&http(), &endpoint, world.client(client), form).await.unwrap();
            world.tokens.insert(name, token);
        }
        world
    }

    pub(crate) fn client(&self, id: &str) -> &DevClient {
        self.dev.client(id).unwrap()
    }

    pub(crate) fn secret(&self, id: &str) -> &str {
        self.client(id).client_secret.as_deref().unwrap()
    }

    pub(crate) fn issuer(&self, tenant: &str) -> String {
        format!("http://localhost:{}/t/{tenant}", self.dev.server_port)
    }

    pub(crate) fn basic(&self, id: &str) -> String {
        basic(format!("{id}:{}", self.secret(id)))
    }

    pub(crate) async fn send(&self, case: &Case) -> Answer {
        let host = format!("localhost:{}", self.dev.server_port);
        raw::exchange(self.dev.server_port, &case.bytes(&host)).await.unwrap()
    }
}

/// An `Authorization` line.
pub(crate) fn basic(credentials: impl AsRef<[u8]>) -> String {
    format!("Authorization: Basic {}", STANDARD.encode(credentials))
}

/// base64url without padding.
pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// One request and what must come of it.
pub(crate) struct Case {
    pub(crate) name: String,
    method: &'static str,
    target: String,
    host: Option<&'static str>,
    headers: Vec<Vec<u8>>,
    body: Vec<u8>,
    pub(crate) status: u16,
    /// The error, the last part of a problem's type, or text of the body; nothing is asked of an empty one.
    pub(crate) code: &'static str,
}

impl Case {
    /// A form, posted to an endpoint of the attacked tenant.
    pub(crate) fn post(name: impl Into<String>, endpoint: &str, body: impl AsRef<[u8]>) -> Self {
        let form = b"Content-Type: application/x-www-form-urlencoded".to_vec();
        let target = if endpoint.starts_with('/') { endpoint.to_owned() } else { format!("/t/acme/{endpoint}") };
        let body = body.as_ref().to_vec();
        let (host, headers) = (None, vec![form]);
        Self { name: name.into(), method: "POST", target, host, headers, body, status: 401, code: "invalid_client" }
    }

    /// Without a body.
    pub(crate) fn get(name: impl Into<String>, target: &str) -> Self {
        let mut case = Self::post(name, target, "");
        case.headers.clear();
        case.method = "GET";
        case
    }

    pub(crate) fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    pub(crate) fn host(mut self, host: &'static str) -> Self {
        self.host = Some(host);
        self
    }

    pub(crate) fn header(mut self, line: impl AsRef<[u8]>) -> Self {
        self.headers.push(line.as_ref().to_vec());
        self
    }

    /// In place of all headers.
    pub(crate) fn only(mut self, line: &str) -> Self {
        self.headers = vec![line.as_bytes().to_vec()];
        self
    }

    pub(crate) fn gives(mut self, status: u16, code: &'static str) -> Self {
        (self.status, self.code) = (status, code);
        self
    }

    fn bytes(&self, host: &str) -> Vec<u8> {
        let host = self.host.unwrap_or(host);
        let mut bytes = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", self.method, self.target).into_bytes();
        for line in &self.headers {
            bytes.extend([line.as_slice(), b"\r\n"].concat());
        }
        bytes.extend(format!("Connection: close\r\nContent-Length: {}\r\n\r\n", self.body.len()).into_bytes());
        bytes.extend(&self.body);
        bytes
    }

    /// What is wrong with the answer, if anything.
    pub(crate) fn judge(&self, answer: &Answer) -> Result<(), String> {
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let problem = body["type"].as_str().and_then(|kind| kind.rsplit('/').next());
        let code = body["error"].as_str().or(problem).unwrap_or("");
        if answer.status != self.status || (code != self.code && !answer.body.contains(self.code)) {
            let shown: String = answer.body.chars().take(200).collect();
            return Err(format!("{} {code}, not {} {}: {shown}", answer.status, self.status, self.code));
        }
        if answer.status == 401 && answer.header("www-authenticate").is_none() {
            return Err("401 without WWW-Authenticate".to_owned());
        }
        if answer.status != 200 && self.body.len() > 40 && answer.body.contains("authly_cs_") {
            return Err("it echoes the secret".to_owned());
        }
        Ok(())
    }
}
