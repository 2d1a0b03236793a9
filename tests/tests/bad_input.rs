//! Bad input at every edge (issue 3, section 3.8): a clear error that says what to do, nothing lost, no 500.

use std::time::Duration;

use authly_tests::{
    api::{http, reason, sign_report, token},
    dev::Dev,
    process::Process,
    scratch::Scratch,
};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

async fn post(http: &Client, url: &str, content_type: &str, body: impl Into<reqwest::Body>) -> (StatusCode, String) {
    let answer = http.post(url).header("content-type", content_type).body(body).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

/// Sends bytes as they are; answers the status line's code, or 0 if the connection closed without one.
async fn raw(port: u16, bytes: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(bytes).await.ok();
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(15), stream.read(&mut answer)).await;
    let read = read.expect("answered or closed within 15 s").unwrap_or(0);
    let text = String::from_utf8_lossy(&answer[..read]).into_owned();
    text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_and_bodies() {
    let dev = Dev::quickstart().await.unwrap();
    let http = http();
    let form = "application/x-www-form-urlencoded";
    let endpoint = &dev.json.token_endpoint;
    let secret = dev.client("shop.billing").unwrap().client_secret.clone().unwrap();
    let good = format!("client_id=shop.billing&client_secret={secret}&grant_type=client_credentials");
    let cases: Vec<(&str, String, u16, &str)> = vec![
        (form, String::new(), 401, "invalid_client"),
        (form, "grant_type=client_credentials".into(), 401, "invalid_client"),
        (form, format!("{good}&scope=a&scope=b"), 400, "invalid_request"),
        (form, format!("{good}&scope=admin"), 400, "invalid_scope"),
        (form, format!("{good}&scope=%22"), 400, "invalid_scope"),
        (form, format!("{good}&resource=https://other.example"), 400, "invalid_target"),
        (form, good.replace("client_credentials", "password"), 400, "unsupported_grant_type"),
        (form, good.replace("grant_type", "grant"), 400, "invalid_request"),
        (form, good.replace(&secret, "wrong"), 401, "invalid_client"),
        (form, good.replace("shop.billing", "shop.other"), 401, "invalid_client"),
        (form, good.replace("shop.billing", &"x".repeat(5000)), 401, "invalid_client"),
        (form, format!("{good}&client_assertion=x"), 400, "invalid_request"),
        (form, format!("{good}&{}", "a=1&".repeat(500)), 400, "invalid_request"),
        (form, "x".repeat(100_000), 413, "invalid_request"),
        ("application/json", good.clone(), 415, "invalid_request"),
    ];
    for (content_type, body, status, code) in cases {
        let (got, answer) = post(&http, endpoint, content_type, body.clone()).await;
        let shown: String = body.chars().take(80).collect();
        assert_eq!(got.as_u16(), status, "{shown}: {answer}");
        let json: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(json["error"], code, "{shown}: {answer}");
        assert!(!json["error_description"].as_str().unwrap().is_empty());
        assert!(!answer.contains(&secret), "the secret is never echoed");
    }

    let access = token(&http, endpoint, dev.client("shop.billing").unwrap(), &[]).await.unwrap();
    let api = &dev.json.signed_urls_endpoint;
    let route = "shop/reports";
    let path = "/reports/q3.pdf";
    let cases = [
        (json!({}), 400),
        (json!([]), 400),
        (json!({"route": route}), 400),
        (json!({"route": route, "path": path, "unknown": 1}), 400),
        (json!({"route": "shop/none", "path": path}), 404),
        (json!({"route": "reports", "path": path}), 404),
        (json!({"route": route, "path": "/elsewhere/q3.pdf"}), 400),
        (json!({"route": route, "path": "/reports/../secret"}), 400),
        (json!({"route": route, "path": "/reports/%2e%2e/secret"}), 400),
        (json!({"route": route, "path": "/reports//q3.pdf"}), 400),
        (json!({"route": route, "path": "/reports/é"}), 400),
        (json!({"route": route, "path": "/reports/a\r\nb"}), 400),
        (json!({"route": route, "path": format!("/reports/{}", "a".repeat(9000))}), 400),
        (json!({"route": route, "path": path, "query": "sx-s=x"}), 400),
        (json!({"route": route, "path": path, "query": "SX%2Ds=x"}), 400),
        (json!({"route": route, "path": path, "host": "other.example"}), 400),
        (json!({"route": route, "path": path, "methods": ["DELETE"]}), 400),
        (json!({"route": route, "path": path, "methods": []}), 400),
        (json!({"route": route, "path": path, "expires_in": 0}), 400),
        (json!({"route": route, "path": path, "expires_in": 999_999_999}), 400),
        (json!({"route": route, "path": path, "expires_in": 1.5}), 400),
        (json!({"route": route, "path": path, "expires_in": "60"}), 400),
        (json!({"route": route, "path": path, "format": "s3"}), 400),
        (json!({"route": route, "path": path, "for": "shop.billing"}), 400),
        (json!({"route": route, "path": path, "constraints": {"uses": 0}}), 400),
        (json!({"route": route, "path": path, "constraints": {"uses": -1}}), 400),
        (json!({"route": route, "path": path, "constraints": {"uses": 1_000_001}}), 400),
        (json!({"route": route, "path": path, "constraints": {"network": "10.0.0.1/8"}}), 400),
        (json!({"route": route, "path": path, "constraints": {"rate": "5/60s"}}), 400),
        (json!({"route": route, "path": path, "constraints": {"concurrent": 2}}), 400),
        (json!({"route": route, "path": path, "constraints": {"origin": "https://a/path"}}), 400),
        (json!({"route": route, "path": path, "constraints": {"origin": "HTTPS://a"}}), 400),
        (json!({"route": route, "path": path, "constraints": {"user_agent": ""}}), 400),
        (json!({"route": route, "path": path, "constraints": {"later": 1}}), 400),
    ];
    for (body, status) in cases {
        let answer = http.post(api).bearer_auth(&access).json(&body).send().await.unwrap();
        let shown: String = body.to_string().chars().take(120).collect();
        assert_eq!(answer.status().as_u16(), status, "{shown}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{shown}");
        let problem: Value = answer.json().await.unwrap();
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{shown}: {problem}");
    }
    let (status, _) = post(&http, api, "application/json", "{").await;
    assert_eq!(status, 401, "credentials come first");
    for header in ["Bearer", "Bearer  ", "Bearer a.b.c", "bearer x", "Basic eDp4", "Token x", "Bearer \u{7f}"] {
        let Ok(value) = reqwest::header::HeaderValue::from_str(header) else { continue };
        let answer = http.post(api).header("authorization", value).json(&json!({})).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{header}");
        assert!(answer.headers().contains_key("www-authenticate"), "{header}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_and_headers() {
    let dev = Dev::quickstart().await.unwrap();
    let http = http();
    let access = token(&http, &dev.json.token_endpoint, dev.client("shop.billing").unwrap(), &[]).await.unwrap();
    let url = sign_report(&http, &dev, &access, json!({})).await.unwrap();
    let target = url.split_once("localhost").unwrap().1.split_once('/').unwrap().1;
    let host = format!("localhost:{}", dev.gateway_port);
    let get = |line: &str, headers: &str| {
        format!("GET {line} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n")
    };

    assert_eq!(raw(dev.gateway_port, get(&format!("/{target}"), "").as_bytes()).await, 200, "the URL itself is good");
    for bad in [
        format!("/./{target}"),
        format!("//{target}"),
        format!("/reports/..%2f{target}"),
        format!("/{target}&x=1"),
        format!("/{target}&sx-s=x"),
        format!("/{}", target.replace("sx-s", "SX-S")),
        format!("/{}", target.replace("sx-s", "sx%2Ds")),
        format!("/{}", target.replace("q3.pdf", "q3%2Epdf")),
        format!("/{}", target.replace("q3.pdf", "q3.pdf;x")),
        format!("/{}", target.replace("q3.pdf", "%00")),
        "/".to_owned(),
        "*".to_owned(),
        "/~sx/x/reports/".to_owned(),
        format!("/reports/{}", "a".repeat(10_000)),
    ] {
        let status = raw(dev.gateway_port, get(&bad, "").as_bytes()).await;
        let shown: String = bad.chars().take(100).collect();
        assert!((400..500).contains(&status), "{shown} answered {status}");
    }
    for headers in [
        "Host: other.example\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Transfer-Encoding: chunked, x\r\n",
        "X: \u{1}\r\n",
        "NoColon\r\n",
    ] {
        let status = raw(dev.gateway_port, get(&format!("/{target}"), headers).as_bytes()).await;
        assert!(status == 0 || (400..500).contains(&status), "{headers:?} answered {status}");
        let status = raw(dev.server_port, get("/t/acme/jwks.json", headers).as_bytes()).await;
        assert!(status == 0 || (400..500).contains(&status), "server: {headers:?} answered {status}");
    }
    for bytes in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ] {
        for port in [dev.gateway_port, dev.server_port] {
            let status = raw(port, bytes).await;
            assert!(status == 0 || (400..600).contains(&status) && status != 500, "{bytes:?} answered {status}");
        }
    }
    // Spoofed forwarding headers from a peer that is not configured change nothing.
    let answer = http
        .get(&url)
        .header("x-forwarded-host", "other.example")
        .header("x-forwarded-uri", "/x")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let answer = http
        .get(format!("http://{host}/forward-auth"))
        .header("x-forwarded-uri", format!("/{target}"))
        .send()
        .await
        .unwrap();
    assert_ne!(answer.status(), 204, "forward-auth answers configured peers only: {:?}", reason(&answer));
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_and_environment() {
    let scratch = Scratch::new("flags").unwrap();
    let args = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let kek = ("AUTHLY_KEK".to_owned(), (0..32).map(|n| format!("{n:02x}")).collect::<String>());
    let cases = [
        ("server", vec![], "database"),
        (
            "server --listen 127.0.0.1:0 --management-listen 127.0.0.1:0 --database-url postgres://u@127.0.0.1:1/x",
            vec![],
            "kek",
        ),
        (
            "server --listen 127.0.0.1:0 --management-listen 127.0.0.1:0 --database-url nonsense",
            vec![kek.clone()],
            "database",
        ),
        (
            "server --listen 127.0.0.1:0 --management-listen 127.0.0.1:0 --database-url postgres://u@127.0.0.1:1/x --kek-file /no/such/file",
            vec![],
            "/no/such/file",
        ),
        (
            "server --listen 127.0.0.1:0 --management-listen 127.0.0.1:0 --database-url postgres://u@127.0.0.1:1/x --trusted-proxy nowhere",
            vec![kek.clone()],
            "--trusted-proxy",
        ),
        (
            "server --listen 127.0.0.1:0 --management-listen 127.0.0.1:0 --database-url postgres://u@127.0.0.1:1/x --trusted-proxy 10.0.0.1/8",
            vec![kek.clone()],
            "10.0.0",
        ),
        (
            "server --listen 127.0.0.1:0 --management-listen 127.0.0.1:0 --database-url postgres://u@127.0.0.1:1/x",
            vec![("AUTHLY_KEK".to_owned(), "short".to_owned())],
            "32 random bytes",
        ),
        (
            "gateway --listen 127.0.0.1:0 --management-listen 127.0.0.1:0 --database-url postgres://u@127.0.0.1:1/x --service files=/tmp",
            vec![],
            "NAMESPACE/NAME",
        ),
        ("operator --database-url postgres://u@127.0.0.1:1/x", vec![kek], "issuer-base"),
        (
            "dev /no/such/folder",
            vec![("AUTHLY_DATA_DIR".to_owned(), scratch.path().join("d").to_string_lossy().into_owned())],
            "/no/such/folder",
        ),
        ("get --data-dir /no/such/folder", vec![], "authly dev"),
        ("nonsense", vec![], "nonsense"),
    ];
    for (index, (line, environment, word)) in cases.into_iter().enumerate() {
        let mut process = Process::authly(&format!("case-{index}"), scratch.path(), &args(line), &environment).unwrap();
        let status = process.ended(Duration::from_secs(20)).await.unwrap();
        let output = process.output();
        assert!(!status.success(), "{line} succeeded: {output}");
        assert!(output.contains(word), "{line}: no `{word}` in: {output}");
        assert!(!output.contains("panicked"), "{line}: {output}");
    }
}
