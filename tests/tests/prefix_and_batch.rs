//! Links for folders, links bound to headers, and many links at once, with the binary that ships: issued by the API, redeemed by proxy
//! and forward-auth, judged by policies at both ends (signed-url.md, "By prefix", "Issuing API").

use std::time::Duration;

use authly_tests::{
    api::{http, reason, sign, through, token},
    dev::{Dev, shows},
    echo,
    process::eventually,
    replicas::Replica,
};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

const SECOND: Duration = Duration::from_secs(1);
/// Everything may be signed by prefix but what lies in `secret`; there no link may be redeemed.
const POLICY: &str = r#"apiVersion: authly.dev/v1alpha1
kind: AccessPolicy
metadata: {name: reports, namespace: shop}
spec:
  tenantRef: {name: acme}
  cedar: |
    permit (principal == Client::"shop.billing", action == Action::"sign", resource in Route::"shop/reports");
    forbid (principal, action == Action::"sign", resource) when { context.prefix && context.path like "/reports/single/*" };
    permit (principal, action == Action::"redeem", resource in Route::"shop/reports");
    forbid (principal, action == Action::"redeem", resource) when { context.path like "/reports/secret/*" };
"#;
const SHADOW: &str = r#"apiVersion: authly.dev/v1alpha1
kind: AccessPolicy
metadata: {name: strict, namespace: shop}
spec:
  tenantRef: {name: acme}
  mode: Shadow
  cedar: |
    forbid (principal, action == Action::"redeem", resource) when { context.path like "*.tmp" };
"#;

struct World {
    dev: Dev,
    gateway: Replica,
    http: Client,
    token: String,
}

impl World {
    /// Dev, and a gateway whose backend answers with what it is sent.
    async fn start() -> Self {
        let dev = Dev::quickstart().await.unwrap();
        dev.write(&policy_file(&dev), POLICY).unwrap();
        dev.write("strict.yaml", SHADOW).unwrap();
        shows(&dev, &["accesspolicy.authly.dev/strict", "True"], 20 * SECOND).await.unwrap();
        let service = format!("shop/files=http://127.0.0.1:{}", echo::start().await.unwrap());
        let extra = ["--service".to_owned(), service, "--forward-auth-peer".to_owned(), "127.0.0.0/8".to_owned()];
        let gateway = Replica::start(&dev, "gateway", "gateway", &extra).await.unwrap();
        let http = http();
        let client = dev.client("shop.billing").unwrap();
        let token = token(&http, &dev.json.token_endpoint, client, &[]).await.unwrap();
        let world = Self { dev, gateway, http, token };
        let refused = || async {
            anyhow::ensure!(world.refusal(json!({"prefix": "/reports/single/"})).await.0 == 403);
            Ok(())
        };
        eventually("the policy is served", 20 * SECOND, refused).await.unwrap();
        world
    }

    async fn prefix(&self, prefix: &str, constraints: Value) -> Value {
        let request = json!({"route": "shop/reports", "prefix": prefix, "constraints": constraints});
        sign(&self.http, &self.dev, &self.token, &request).await.unwrap()
    }

    /// Status and type of a signing request that is refused.
    async fn refusal(&self, mut request: Value) -> (u16, String) {
        request["route"] = "shop/reports".into();
        let endpoint = &self.dev.json.signed_urls_endpoint;
        let answer = self.http.post(endpoint).bearer_auth(&self.token).json(&request).send().await.unwrap();
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap();
        let code = body["type"].as_str().unwrap_or("").rsplit('/').next().unwrap_or_default().to_owned();
        (status, code)
    }

    async fn get(&self, url: &str, headers: &[(&'static str, &str)]) -> Response {
        let mut request = self.http.get(format!("http://127.0.0.1:{}{}", self.gateway.port, target(url)));
        request = request.header("host", self.host());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    async fn ask(&self, target: &str, headers: &[(&'static str, &str)]) -> Response {
        let request = self.http.get(format!("http://127.0.0.1:{}/forward-auth", self.gateway.port));
        let request = request
            .header("x-forwarded-method", "GET")
            .header("x-forwarded-proto", "http")
            .header("x-forwarded-host", self.host())
            .header("x-forwarded-uri", target);
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await.unwrap()
    }

    fn host(&self) -> String {
        format!("localhost:{}", self.dev.gateway_port)
    }
}

fn policy_file(dev: &Dev) -> String {
    let files = std::fs::read_dir(&dev.manifests).unwrap().map(|entry| entry.unwrap().path());
    let is_policy = |path: &std::path::PathBuf| std::fs::read_to_string(path).unwrap().contains("kind: AccessPolicy");
    files.filter(is_policy).map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).next().unwrap()
}

fn target(url: &str) -> &str {
    let rest = url.split_once("://").unwrap().1;
    &rest[rest.find('/').unwrap()..]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_by_path_and_by_cookie() {
    let world = World::start().await;
    let signed = world.prefix("/reports/42/", json!({})).await;
    let (url, cookie) = (signed["url"].as_str().unwrap(), signed["cookie"].as_str().unwrap());
    let token = cookie.strip_prefix("__Host-sx=").unwrap().split(';').next().unwrap();
    assert!(cookie.ends_with("; Path=/; Secure; HttpOnly") && cookie.contains("; Max-Age=900;"), "{cookie}");
    assert_eq!(target(url), format!("/~sx/{token}/reports/42/"));

    // By path: what the backend gets holds no token. Twice, so that the second comes from what is kept.
    for round in 0..2 {
        let answer = world.get(&format!("{url}deep/seg1.ts?t=7"), &[]).await;
        assert_eq!((answer.status().as_u16(), answer.headers().get("cache-control")), (200, None), "round {round}");
        let seen = answer.text().await.unwrap();
        assert!(seen.starts_with("GET /reports/42/deep/seg1.ts?t=7 HTTP/1.1\r\n") && !seen.contains(token), "{seen}");
    }
    // By cookie: other cookies go on, the token does not, and no shared cache may keep the answer.
    let cookies = format!("a=1; __Host-sx={token}; b=2");
    for round in 0..2 {
        let answer = world.get("x://h/reports/42/seg2.ts", &[("cookie", &cookies)]).await;
        assert_eq!(answer.status(), 200, "round {round}");
        assert_eq!(answer.headers()["cache-control"], "private, no-store");
        let seen = answer.text().await.unwrap();
        assert!(seen.to_lowercase().contains("cookie: a=1; b=2\r\n") && !seen.contains(token), "{seen}");
    }
    // Forward-auth tells the asking proxy where to send it on.
    for (asked, headers) in [
        (format!("/~sx/{token}/reports/42/a?b=c"), vec![]),
        ("/reports/42/a?b=c".to_owned(), vec![("cookie", cookies.as_str())]),
    ] {
        let answer = world.ask(&asked, &headers).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["authly-target"]),
            (204, &"/reports/42/a?b=c".parse().unwrap())
        );
    }

    // Outside of the prefix, with another one of its length, without or with half a token.
    for (asked, expected) in [
        (format!("/~sx/{token}/reports/43/a"), (403, "signature_invalid")),
        (format!("/~sx/{token}/reports/4/2/a"), (403, "prefix_mismatch")),
        (format!("/~sx/{token}/reports/42"), (403, "prefix_mismatch")),
        (format!("/~sx/{token}/reports/42/../43/a"), (400, "not_canonical")),
        (format!("/~sx/{token}/reports/42/%2e%2e/a"), (400, "not_canonical")),
        (format!("/~sx/{token}/~sx/{token}/reports/42/a"), (400, "not_canonical")),
        (format!("/~sx/{}/reports/42/a", &token[..token.len() - 2]), (400, "not_canonical")),
        (format!("/~sx/{token}"), (400, "not_canonical")),
        ("/reports/42/a".to_owned(), (403, "signature_missing")),
    ] {
        assert_eq!(reason(&world.ask(&asked, &[]).await), (403, expected.1.to_owned()), "{asked}");
        // The client of this test resolves dot segments by itself.
        if !asked.contains("/../") && !asked.contains("%2e") {
            let answer = world.get(&format!("x://h{asked}"), &[]).await;
            assert_eq!(reason(&answer), (expected.0, expected.1.to_owned()), "{asked}");
        }
    }
    let two = format!("__Host-sx={token}; __Host-sx={token}");
    assert_eq!(reason(&world.get("x://h/reports/42/a", &[("cookie", &two)]).await), (400, "not_canonical".to_owned()));

    // The policy sees the real path at redemption, and revocation reaches kept tokens.
    let all = world.prefix("/reports/", json!({})).await;
    let below = |name: &str| format!("{}{name}", all["url"].as_str().unwrap());
    assert_eq!(world.get(&below("public/a"), &[]).await.status(), 200);
    assert_eq!(reason(&world.get(&below("secret/a"), &[]).await), (403, "policy_denied".to_owned()));
    let endpoint = format!("{}/{}", world.dev.json.signed_urls_endpoint, all["id"].as_str().unwrap());
    assert_eq!(world.http.delete(endpoint).bearer_auth(&world.token).send().await.unwrap().status(), 204);
    let revoked = || async {
        let answer = world.get(&below("public/a"), &[]).await;
        anyhow::ensure!(reason(&answer) == (410, "revoked".to_owned()), "{answer:?}");
        Ok(())
    };
    eventually("the token is revoked", SECOND, revoked).await.unwrap();
    println!("a folder by path, by cookie and by forward-auth; 10 refusals");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_signed_and_links_bound_to_headers() {
    let world = World::start().await;
    for (request, code) in [
        (json!({}), "invalid_request"),
        (json!({"path": "/reports/a", "prefix": "/reports/"}), "invalid_request"),
        (json!({"prefix": "/reports/", "query": "a=b"}), "invalid_request"),
        (json!({"prefix": "/reports/42"}), "invalid_request"),
        (json!({"prefix": "/other/"}), "invalid_request"),
        (json!({"prefix": "/reports/?a=/"}), "invalid_request"),
        (json!({"prefix": "/reports/../x/"}), "not_canonical"),
        (json!({"prefix": "/reports/", "constraints": {"uses": 1}}), "constraint_unsupported_by_edge"),
        (json!({"prefix": "/reports/", "constraints": {"concurrent": 1}}), "constraint_unsupported_by_edge"),
        (json!({"path": "/reports/a", "constraints": {"rate": "1/60s"}}), "constraint_unsupported_by_edge"),
        (json!({"path": "/reports/a", "constraints": {"origin": "https://app.example/"}}), "invalid_request"),
        (json!({"path": "/reports/a", "constraints": {"origin": "https://App.example"}}), "invalid_request"),
        (json!({"path": "/reports/a", "constraints": {"origin": "https://app.example:443"}}), "invalid_request"),
        (json!({"path": "/reports/a", "constraints": {"origin": "null"}}), "invalid_request"),
        (json!({"path": "/reports/a", "constraints": {"user_agent": ""}}), "invalid_request"),
        (json!({"path": "/reports/a", "constraints": {"user_agent": "a\r\nb"}}), "invalid_request"),
    ] {
        assert_eq!(world.refusal(request.clone()).await, (400, code.to_owned()), "{request}");
    }

    let constraints = json!({"origin": "https://app.example", "user_agent": "player/1.0 (x; y)"});
    let request = json!({"route": "shop/reports", "path": "/reports/q3.pdf", "constraints": constraints});
    let url = sign(&world.http, &world.dev, &world.token, &request).await.unwrap();
    let folder = world.prefix("/reports/42/", constraints.clone()).await;
    assert_eq!(url["constraints"], constraints);
    let (url, below) = (url["url"].as_str().unwrap(), format!("{}a", folder["url"].as_str().unwrap()));
    let (origin, agent) = (("origin", "https://app.example"), ("user-agent", "player/1.0 (x; y)"));
    for link in [url, below.as_str()] {
        let good = world.get(link, &[origin, agent]).await;
        assert_eq!(
            (good.status().as_u16(), &good.headers()["cache-control"]),
            (200, &"private, no-store".parse().unwrap())
        );
        assert_eq!(world.ask(target(link), &[origin, agent]).await.status(), 204);
        for (headers, expected) in [
            (vec![agent], "origin_mismatch"),
            (vec![("origin", "https://other.example"), agent], "origin_mismatch"),
            (vec![("origin", "HTTPS://app.example"), agent], "origin_mismatch"),
            (vec![origin], "user_agent_mismatch"),
            (vec![origin, ("user-agent", "player/1.0 (x; y) ")], ""),
            (vec![origin, ("user-agent", "player/1.0")], "user_agent_mismatch"),
            (vec![origin, origin, agent], "not_canonical"),
            (vec![origin, agent, ("user_agent", "player/1.0 (x; y)")], "not_canonical"),
        ] {
            let (proxied, asked) = (world.get(link, &headers).await, world.ask(target(link), &headers).await);
            assert_eq!(reason(&proxied).1, expected, "{headers:?}");
            assert_eq!(reason(&asked).1, expected, "{headers:?}");
        }
    }
    println!("16 requests that cannot be signed; 16 mismatches of headers, each twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_links_at_once() {
    let world = World::start().await;
    let endpoint = format!("{}/batch", world.dev.json.signed_urls_endpoint);
    let post = |body: Value| world.http.post(&endpoint).bearer_auth(&world.token).json(&body).send();
    let mut requests: Vec<Value> = (0..1000)
        .map(|n| json!({"route": "shop/reports", "path": format!("/reports/{n}.pdf"), "constraints": {"uses": 1}}))
        .collect();
    requests[1] = json!({"route": "shop/none", "path": "/reports/a"});
    requests[2] = json!({"route": "shop/reports", "prefix": "/reports/single/"});
    requests[3] = json!({"route": "shop/reports", "path": "/reports/a", "mystery": 1});
    requests[4] = json!({"route": "shop/reports", "prefix": "/reports/42/"});
    requests[5] = json!(null);
    requests[6] = json!({"route": "shop/reports", "path": "/reports/../a"});
    let answer = post(json!({"requests": requests})).await.unwrap();
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.unwrap();
    let results = body["results"].as_array().unwrap();
    let statuses: Vec<u64> = results.iter().map(|result| result["status"].as_u64().unwrap()).collect();
    assert_eq!(results.len(), 1000);
    assert_eq!(statuses[..8], [201, 404, 403, 400, 201, 400, 400, 201]);
    assert!(statuses[7..].iter().all(|status| *status == 201));
    assert!(results[2]["problem"]["type"].as_str().unwrap().ends_with("/policy_denied"), "{}", results[2]);
    assert!(results[4]["signed"]["cookie"].is_string() && results[1]["signed"].is_null());
    for place in [0, 7, 999] {
        let url = results[place]["signed"]["url"].as_str().unwrap();
        assert!(url.contains(&format!("/reports/{place}.pdf?")), "in order: {url}");
        assert_eq!(through(&world.http, Method::GET, url, world.gateway.port).await.unwrap().status(), 200);
        assert_eq!(through(&world.http, Method::GET, url, world.gateway.port).await.unwrap().status(), 410);
    }
    let mut ids: Vec<&str> = results.iter().filter_map(|result| result["signed"]["id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 995, "every id is its own");

    for (body, status) in [
        (json!({"requests": []}), 400),
        (json!({"requests": vec![json!({}); 1001]}), 400),
        (json!({"requests": {}}), 400),
        (json!([]), 400),
        (json!({"requests": [{}], "more": 1}), 400),
        // One byte too many; with more, the answer could be lost behind what is still being sent.
        (json!({"requests": ["x".repeat(1024 * 1024 + 1 - r#"{"requests":[""]}"#.len())]}), 413),
    ] {
        assert_eq!(post(body).await.unwrap().status(), status);
    }
    assert_eq!(world.http.post(&endpoint).json(&json!({"requests": [{}]})).send().await.unwrap().status(), 401);
    println!("1,000 links in one request, 6 of them refused; 7 bodies refused");
}
