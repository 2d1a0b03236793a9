//! Two tenants, a gateway that proxies to an echo and answers forward-auth, and their keys.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use reqwest::Client;
use serde_json::{Value, json};

use super::Attack;
use crate::{
    api::{http, sign, token},
    database,
    dev::{Dev, shows},
    echo::Echo,
    forge::Forge,
    process::eventually,
    raw,
    replicas::Replica,
    scratch::Scratch,
};

/// The host of most cases; a real one, so that proxies have a default port to add or drop.
pub const HOST: &str = "cdn.example.com";
/// The other tenant's.
pub const OTHER_HOST: &str = "cdn.globex.example";

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
spec:
  displayName: Acme
  urlHosts: ["cdn.example.com", "files.example.com:8443"]
  allowedNamespaces: [{name: shop, role: Owner}]
---
apiVersion: authly.dev/v1alpha1
kind: Tenant
metadata: {name: globex}
spec:
  displayName: Globex
  urlHosts: ["cdn.globex.example"]
  allowedNamespaces: [{name: market, role: Owner}]
---
apiVersion: authly.dev/v1alpha1
kind: OAuthClient
metadata: {name: billing, namespace: shop}
spec: {tenantRef: {name: acme}, type: Service}
---
apiVersion: authly.dev/v1alpha1
kind: SignedUrlRoute
metadata: {name: reports, namespace: shop}
spec:
  tenantRef: {name: acme}
  hosts: ["cdn.example.com", "files.example.com:8443"]
  pathPrefix: /reports/
  backend: {service: {name: files, port: 80}}
---
apiVersion: authly.dev/v1alpha1
kind: SignedUrlRoute
metadata: {name: uploads, namespace: shop}
spec:
  tenantRef: {name: acme}
  hosts: ["cdn.example.com"]
  pathPrefix: /uploads/
  methods: [GET, PUT]
  backend: {service: {name: files, port: 80}}
---
apiVersion: authly.dev/v1alpha1
kind: SignedUrlRoute
metadata: {name: reports, namespace: market}
spec:
  tenantRef: {name: globex}
  hosts: ["cdn.globex.example"]
  pathPrefix: /reports/
  backend: {service: {name: files, port: 80}}
---
apiVersion: authly.dev/v1alpha1
kind: AccessPolicy
metadata: {name: all, namespace: shop}
spec:
  tenantRef: {name: acme}
  cedar: |
    permit (principal == Client::"shop.billing", action == Action::"sign", resource);
    permit (principal, action == Action::"redeem", resource);
    forbid (principal in User::"mallory", action == Action::"redeem", resource);
    forbid (principal, action == Action::"redeem", resource) when { context.path like "/reports/secret/*" };
    forbid (principal, action == Action::"redeem", resource)
    when { context.path like "/reports/boom/*" && 9223372036854775807 + 1 < 0 };
---
apiVersion: authly.dev/v1alpha1
kind: AccessPolicy
metadata: {name: all, namespace: market}
spec:
  tenantRef: {name: globex}
  cedar: |
    permit (principal, action == Action::"redeem", resource);
"#;

/// The product under attack.
#[derive(Debug)]
pub struct World {
    /// Dev: the server, and a gateway that knows no forward-auth peer.
    pub dev: Dev,
    /// A gateway before the echo, with 127.0.0.1 as its only forward-auth peer.
    pub gateway: Replica,
    /// The backend.
    pub echo: Echo,
    /// The attacked tenant's keys.
    pub forge: Forge,
    /// Another tenant's.
    pub other: Forge,
    /// Targets that were good once.
    spent: BTreeMap<&'static str, String>,
    _manifests: Scratch,
}

impl World {
    /// Starts it.
    pub async fn start() -> anyhow::Result<Self> {
        let folder = Scratch::new("attacks")?;
        let dev = Dev::start(folder.path(), &[("all.yaml", MANIFESTS)]).await?;
        let limit = Duration::from_secs(60);
        for kind in ["accesspolicy.authly.dev/all", "signedurlroute.authly.dev/uploads"] {
            shows(&dev, &[kind, "True"], limit).await?;
        }
        let echo = Echo::start().await?;
        let service =
            |namespace: &str| ["--service".to_owned(), format!("{namespace}/files=http://127.0.0.1:{}", echo.port)];
        let peer = ["--forward-auth-peer".to_owned(), "127.0.0.1/32".to_owned()];
        let extra = [service("shop"), service("market"), peer].concat();
        let gateway = Replica::start(&dev, "gateway", "gateway", &extra).await?;
        let mut look = database::look(&dev.database).await?;
        let kek = dev.data.join("kek");
        let forge = Forge::of(&mut look, "acme", &kek, HOST).await?;
        let other = Forge::of(&mut look, "globex", &kek, OTHER_HOST).await?;
        let mut world = Self { dev, gateway, echo, forge, other, spent: BTreeMap::new(), _manifests: folder };
        world.spend().await?;
        Ok(world)
    }

    /// Issues links by the API and uses or revokes them.
    async fn spend(&mut self) -> anyhow::Result<()> {
        let http = http();
        let client = self.dev.client("shop.billing")?;
        let token = token(&http, &self.dev.json.token_endpoint, client, &[]).await?;
        let used = self.issue(&http, &token, json!({"path": "/reports/used", "constraints": {"uses": 1}})).await?;
        ensure!(self.get(&used.0).await? == 200, "the only use");
        let revoked = self.issue(&http, &token, json!({"path": "/reports/revoked"})).await?;
        let folder = self.issue(&http, &token, json!({"prefix": "/reports/revoked/"})).await?;
        for (target, id) in [&revoked, &folder] {
            ensure!(self.get(target).await? == 200, "good before its revocation");
            let url = format!("{}/{id}", self.dev.json.signed_urls_endpoint);
            ensure!(http.delete(url).bearer_auth(&token).send().await?.status() == 204, "it is revoked");
        }
        for (target, _) in [&revoked, &folder] {
            let refused = || async {
                ensure!(self.get(target).await? == 410);
                Ok(())
            };
            eventually("the revocation arrives", Duration::from_secs(20), refused).await?;
        }
        self.spent = BTreeMap::from([("used_up", used.0), ("revoked", revoked.0), ("folder", folder.0)]);
        Ok(())
    }

    async fn issue(&self, http: &Client, token: &str, mut request: Value) -> anyhow::Result<(String, String)> {
        request["route"] = "shop/reports".into();
        request["host"] = HOST.into();
        let signed = sign(http, &self.dev, token, &request).await?;
        let url = signed["url"].as_str().context("url")?;
        let target = url.strip_prefix(&format!("https://{HOST}")).context("https on the host")?;
        Ok((target.to_owned(), signed["id"].as_str().context("id")?.to_owned()))
    }

    async fn get(&self, target: &str) -> anyhow::Result<u16> {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
        Ok(raw::exchange(self.gateway.port, request.as_bytes()).await?.status)
    }

    /// Links that are used up or revoked.
    pub(super) fn spent_attacks(&self) -> Vec<Attack> {
        let new = |name: &str, target: &str| Attack::new("spent", name, &self.forge, target);
        let target = |key: &str| self.spent.get(key).cloned().unwrap_or_default();
        vec![
            new("used up", &target("used_up")).refused("used_up"),
            new("used up, by HEAD", &target("used_up")).method("HEAD").refused("used_up"),
            new("used up, a range", &target("used_up")).header("Range: bytes=1-2").refused("used_up"),
            new("revoked", &target("revoked")).refused("revoked"),
            new("a revoked token", &format!("{}a", target("folder"))).refused("revoked"),
        ]
    }
}
