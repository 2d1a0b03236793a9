//! The product's HTTP interfaces as a client sees them.

use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::dev::{Dev, DevClient};

/// An HTTP client without redirects, with time limits.
pub fn http() -> Client {
    builder().build().expect("a client")
}

/// The same, but no connection is used twice: for requests that make the server close theirs.
pub fn http_once() -> Client {
    builder().pool_max_idle_per_host(0).build().expect("a client")
}

fn builder() -> ClientBuilder {
    Client::builder().timeout(Duration::from_secs(30)).redirect(reqwest::redirect::Policy::none())
}

/// A token for a client, by `client_secret_basic`.
pub async fn token(http: &Client, endpoint: &str, client: &DevClient, form: &[(&str, &str)]) -> anyhow::Result<String> {
    let secret = client.client_secret.as_deref().context("the client has a secret")?;
    let form: Vec<_> = [("grant_type", "client_credentials")].iter().chain(form).collect();
    let response = http.post(endpoint).basic_auth(&client.client_id, Some(secret)).form(&form).send().await?;
    let status = response.status();
    let body: Value = response.json().await?;
    ensure!(status == StatusCode::OK, "{status}: {body}");
    Ok(body["access_token"].as_str().context("access_token")?.to_owned())
}

/// A request for a token of the quick start's client, to this port of a server that runs beside dev.
pub fn token_request(http: &Client, dev: &Dev, port: u16) -> RequestBuilder {
    let client = dev.client("shop.billing").expect("the quick start's client");
    let request = http.post(format!("http://127.0.0.1:{port}/t/acme/token"));
    let request = request.header("host", format!("localhost:{}", dev.server_port));
    request.basic_auth(&client.client_id, client.client_secret.as_deref()).form(&[("grant_type", "client_credentials")])
}

/// Signs a URL; answers the response's JSON.
pub async fn sign(http: &Client, dev: &Dev, token: &str, request: &Value) -> anyhow::Result<Value> {
    let response = http.post(&dev.json.signed_urls_endpoint).bearer_auth(token).json(request).send().await?;
    let status = response.status();
    let body: Value = response.json().await?;
    ensure!(status == StatusCode::CREATED, "{status}: {body}");
    Ok(body)
}

/// Signs a URL of the quick start's file with these constraints; answers the URL.
pub async fn sign_report(http: &Client, dev: &Dev, token: &str, constraints: Value) -> anyhow::Result<String> {
    let request = json!({"route": "shop/reports", "path": "/reports/q3.pdf", "constraints": constraints});
    let body = sign(http, dev, token, &request).await?;
    Ok(body["url"].as_str().context("url")?.to_owned())
}

/// Sends a signed URL to another gateway than the one that its host names.
pub async fn through(http: &Client, method: Method, url: &str, port: u16) -> anyhow::Result<Response> {
    let mut parsed = url::Url::parse(url)?;
    let host = format!("{}:{}", parsed.host_str().context("host")?, parsed.port_or_known_default().context("port")?);
    parsed.set_host(Some("127.0.0.1"))?;
    parsed.set_port(Some(port)).ok();
    Ok(http.request(method, parsed.as_str()).header("host", host).send().await?)
}

/// The status and the reason of an answer of the gateway.
pub fn reason(response: &Response) -> (u16, String) {
    let reason = response.headers().get("authly-reason").and_then(|value| value.to_str().ok()).unwrap_or("");
    (response.status().as_u16(), reason.to_owned())
}
