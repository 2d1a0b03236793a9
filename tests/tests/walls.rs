//! Walls between tenants (issue 3, section 3.2): two tenants of two installations (two clusters) in one database, with the same
//! namespaces, names, client ids, routes and policies. The cases come from the server's own table of endpoints, its OpenAPI document:
//! an endpoint without a case fails. Each credential and signed URL of one is tried on the other and refused.

use std::{collections::BTreeSet, time::Duration};

use authly_tests::{
    api::{http, reason, through, token},
    controlplane::ControlPlane,
    dev::DevClient,
    process::{Process, free_port},
    scratch::Scratch,
    stack::{Listening, Stack, apply_crds, apply_to, client_in},
};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

const MANIFESTS: &str = r#"apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: team}
---
apiVersion: authly.dev/v1alpha1
kind: Tenant
metadata: {name: NAME}
spec:
  displayName: NAME
  installation: NAME
  urlHosts: ["NAME.localhost:PORT"]
  allowedNamespaces: [{name: shop, role: Owner}, {name: team, role: Member}]
---
apiVersion: authly.dev/v1alpha1
kind: OAuthClient
metadata: {name: billing, namespace: shop}
spec: {tenantRef: {name: NAME}, type: Service}
---
apiVersion: authly.dev/v1alpha1
kind: SignedUrlRoute
metadata: {name: reports, namespace: shop}
spec:
  tenantRef: {name: NAME}
  hosts: ["NAME.localhost:PORT"]
  pathPrefix: /reports/
  backend: {service: {name: files, port: 80}}
---
apiVersion: authly.dev/v1alpha1
kind: AccessPolicy
metadata: {name: reports, namespace: shop}
spec:
  tenantRef: {name: NAME}
  cedar: |
    permit (principal == Client::"shop.billing", action == Action::"sign", resource in Route::"shop/reports");
    permit (principal, action == Action::"redeem", resource in Route::"shop/reports");
---
apiVersion: authly.dev/v1alpha1
kind: AccessPolicy
metadata: {name: overflow, namespace: team}
spec:
  tenantRef: {name: NAME}
  cedar: |
    forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 };
"#;

/// One tenant as its clients see it.
struct Side {
    issuer: String,
    client: DevClient,
    token: String,
    url: String,
    url_id: String,
}

struct World {
    stack: Stack,
    _second_cluster: ControlPlane,
    _processes: Vec<Process>,
    gateway: Listening,
    server: Listening,
    _files: Scratch,
    http: Client,
    left: Side,
    right: Side,
}

impl World {
    async fn start() -> Self {
        // Both clusters hold the same names, so neither is the shared one.
        let (first, second) = (ControlPlane::start().await.unwrap(), ControlPlane::start().await.unwrap());
        let first: &'static ControlPlane = Box::leak(Box::new(first));
        let stack = Stack::new().await.unwrap();
        let (server_port, gateway_port) = (free_port().unwrap(), free_port().unwrap());
        let base = format!("http://localhost:{server_port}");
        let files = Scratch::new("walls").unwrap();
        std::fs::create_dir(files.path().join("reports")).unwrap();
        std::fs::write(files.path().join("reports/q3.pdf"), "%PDF").unwrap();
        let mut processes = Vec::new();
        for (cluster, name) in [(first, "left"), (&second, "right")] {
            apply_crds(cluster).await.unwrap();
            let yaml = MANIFESTS.replace("NAME", name).replace("PORT", &gateway_port.to_string());
            apply_to(cluster, &yaml).await.unwrap();
            processes.push(stack.operator_on(cluster, name, name, &base).await.unwrap());
        }
        let server = stack.server("server", server_port, None).await.unwrap();
        let gateway =
            stack.gateway("gateway", gateway_port, &[format!("shop/files={}", files.path().display())]).await.unwrap();
        let http = http();
        let left = Side::of(first, &http, &base, "left").await;
        let right = Side::of(&second, &http, &base, "right").await;
        Self {
            stack,
            _second_cluster: second,
            _processes: processes,
            gateway,
            server,
            _files: files,
            http,
            left,
            right,
        }
    }

    async fn redeem(&self, url: &str) -> (u16, String) {
        reason(&through(&self.http, Method::GET, url, self.gateway.port).await.unwrap())
    }
}

impl Side {
    async fn of(cluster: &ControlPlane, http: &Client, base: &str, name: &str) -> Self {
        let (client, endpoint) = client_in(cluster, "shop", "billing-oauth").await.unwrap();
        let issuer = format!("{base}/t/{name}");
        assert_eq!(endpoint, format!("{issuer}/token"));
        let token = token(http, &endpoint, &client, &[]).await.unwrap();
        let request = json!({"route": "shop/reports", "path": "/reports/q3.pdf", "constraints": {"uses": 100}});
        let sign = || async {
            let answer =
                http.post(format!("{issuer}/v1/signed-urls")).bearer_auth(&token).json(&request).send().await?;
            anyhow::ensure!(answer.status() == StatusCode::CREATED, "{}", answer.text().await?);
            Ok(answer.json::<Value>().await?)
        };
        let signed = authly_tests::process::eventually("signing", Duration::from_secs(20), sign).await.unwrap();
        let text = |name: &str| signed[name].as_str().unwrap().to_owned();
        Self { url: text("url"), url_id: text("id"), issuer, client, token }
    }

    fn basic(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        request.basic_auth(&self.client.client_id, self.client.client_secret.as_deref())
    }
}

async fn active(http: &Client, side: &Side, token: &str) -> bool {
    let request = side.basic(http.post(format!("{}/introspect", side.issuer))).form(&[("token", token)]);
    let body: Value = request.send().await.unwrap().json().await.unwrap();
    body["active"].as_bool().unwrap_or_else(|| panic!("{body}"))
}

/// What is tried at an endpoint, with `own` attacking `other`.
async fn attack(endpoint: &str, http: &Client, own: &Side, other: &Side) {
    let there = format!("{}{}", other.issuer, endpoint.split_once(' ').unwrap().1.replace("{id}", &other.url_id));
    match endpoint {
        "get /.well-known/oauth-authorization-server" => {
            let (base, path) = other.issuer.split_at(other.issuer.find("/t/").unwrap());
            let document: Value = http
                .get(format!("{base}/.well-known/oauth-authorization-server{path}"))
                .send()
                .await
                .unwrap()
                .json()
                .await
                .unwrap();
            assert_eq!(document["issuer"], other.issuer.as_str());
            assert!(!document.to_string().contains(&own.issuer));
        }
        "get /jwks.json" | "get /sx/jwks.json" => {
            let mut kids = Vec::new();
            for side in [own, other] {
                let url = there.replace(&other.issuer, &side.issuer);
                let set: Value = http.get(url).send().await.unwrap().json().await.unwrap();
                let of_set: BTreeSet<String> =
                    set["keys"].as_array().unwrap().iter().map(|k| k["kid"].to_string()).collect();
                assert!(!of_set.is_empty());
                kids.push(of_set);
            }
            assert!(kids[0].is_disjoint(&kids[1]), "no key is shared: {kids:?}");
        }
        "post /token" => {
            let answer =
                own.basic(http.post(there)).form(&[("grant_type", "client_credentials")]).send().await.unwrap();
            assert_eq!(answer.status(), 401, "another tenant's secret");
        }
        "post /introspect" => {
            let answer = own.basic(http.post(there)).form(&[("token", &other.token)]).send().await.unwrap();
            assert_eq!(answer.status(), 401);
            assert!(!active(http, own, &other.token).await, "another tenant's token is inactive here");
        }
        "post /revoke" => {
            let answer = own.basic(http.post(&there)).form(&[("token", &other.token)]).send().await.unwrap();
            assert_eq!(answer.status(), 401);
            let at_home = there.replace(&other.issuer, &own.issuer);
            let answer = own.basic(http.post(at_home)).form(&[("token", &other.token)]).send().await.unwrap();
            assert_eq!(answer.status(), 200, "no token of this tenant");
            tokio::time::sleep(Duration::from_millis(600)).await;
            assert!(active(http, other, &other.token).await, "it still lives at home");
        }
        "post /v1/signed-urls" => {
            let request = json!({"route": "shop/reports", "path": "/reports/q3.pdf"});
            let answer = http.post(there).bearer_auth(&own.token).json(&request).send().await.unwrap();
            assert_eq!(answer.status(), 401, "another tenant's token");
        }
        "post /v1/signed-urls/batch" => {
            let request = json!({"requests": [{"route": "shop/reports", "path": "/reports/q3.pdf"}]});
            let answer = http.post(there).bearer_auth(&own.token).json(&request).send().await.unwrap();
            assert_eq!(answer.status(), 401, "another tenant's token");
        }
        "delete /v1/signed-urls/{id}" => {
            assert_eq!(http.delete(&there).bearer_auth(&own.token).send().await.unwrap().status(), 401);
            let at_home = there.replace(&other.issuer, &own.issuer);
            assert_eq!(
                http.delete(at_home).bearer_auth(&own.token).send().await.unwrap().status(),
                403,
                "not its own URL"
            );
        }
        "get /v1/signed-urls/{id}/usage" => {
            assert_eq!(http.get(&there).bearer_auth(&own.token).send().await.unwrap().status(), 401);
            let at_home = there.replace(&other.issuer, &own.issuer);
            assert_eq!(
                http.get(at_home).bearer_auth(&own.token).send().await.unwrap().status(),
                403,
                "not its own URL"
            );
        }
        "post /v1/signed-urls/revoke" => {
            let request = json!({"client": "shop.billing"});
            assert_eq!(http.post(&there).bearer_auth(&own.token).json(&request).send().await.unwrap().status(), 401);
        }
        _ => panic!("the endpoint `{endpoint}` has no case: add what a foreign credential may not do there"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_one_tenant_works_at_the_other() {
    let world = World::start().await;
    let http = &world.http;
    let document: Value = http
        .get(format!("http://127.0.0.1:{}/openapi.json", world.server.port))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let mut endpoints = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        endpoints.extend(methods.as_object().unwrap().keys().map(|method| format!("{method} {path}")));
    }
    assert!(endpoints.len() >= 11, "{endpoints:?}");
    for (own, other) in [(&world.left, &world.right), (&world.right, &world.left)] {
        for endpoint in &endpoints {
            attack(endpoint, http, own, other).await;
        }
        println!("{} endpoints of {} refuse what belongs to {}", endpoints.len(), other.issuer, own.issuer);
    }

    // Signed URLs: at home they work; on the other's host, or with the other's key, they do not.
    assert_eq!(world.redeem(&world.left.url).await.0, 200);
    assert_eq!(world.redeem(&world.right.url).await.0, 200);
    let moved = world.left.url.replace("left.localhost", "right.localhost");
    assert_eq!(world.redeem(&moved).await, (403, "unknown_key".to_owned()));
    let kid = |url: &str| url.split("sx-k=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let swapped = moved.replace(&kid(&world.left.url), &kid(&world.right.url));
    assert_eq!(world.redeem(&swapped).await, (403, "signature_invalid".to_owned()));

    // Everything that the left client signed is revoked at the left, nothing at the right.
    let revoke = http.post(format!("{}/v1/signed-urls/revoke", world.left.issuer)).bearer_auth(&world.left.token);
    assert_eq!(revoke.json(&json!({"client": "shop.billing"})).send().await.unwrap().status(), 204);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.redeem(&world.left.url).await, (410, "revoked".to_owned()));
    assert_eq!(world.redeem(&world.right.url).await.0, 200);

    gateways_login_reads_no_secrets(&world.stack).await;
}

async fn gateways_login_reads_no_secrets(stack: &Stack) {
    let mut gateway = PgConnection::connect(&stack.url_of("gateway").unwrap()).await.unwrap();
    for table in ["client", "client_secret", "signing_key_private", "tenant_key"] {
        let query = format!("select count(*) from authly.{table}");
        let error = sqlx::query(sqlx::AssertSqlSafe(query)).execute(&mut gateway).await.expect_err(table);
        let code = error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned());
        assert_eq!(code.as_deref(), Some("42501"), "{table}: {error}");
    }
}
