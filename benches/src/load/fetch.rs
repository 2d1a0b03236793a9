//! Gets tokens and signed URLs through the product's API, 64 at a time, each into a line of a file.

use std::{fs::File, io::Write};

use anyhow::{Context, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::{Client, RequestBuilder, StatusCode, header};
use serde_json::{Value, json};

use crate::dev::Dev;

const AT_ONCE: usize = 64;
/// Longer than a run takes.
const LIFETIME_SECONDS: u32 = 7200;

/// `count` tokens into each file.
pub(crate) async fn tokens(dev: &Dev, count: usize, files: &[&str]) -> anyhow::Result<()> {
    let client = client()?;
    for file in files {
        let token = |_| async { token(&client, dev).await };
        write(file, count, token).await?;
    }
    Ok(())
}

/// How often a counted URL may be redeemed: the most that there is.
const USES: u32 = 1_000_000;

/// The targets of `count` signed URLs, no two alike, into each file; counted ones have `USES` uses.
pub(crate) async fn urls(dev: &Dev, count: usize, is_counted: bool, files: &[&str]) -> anyhow::Result<()> {
    let client = client()?;
    let bearer = token(&client, dev).await?;
    for (part, file) in files.iter().enumerate() {
        let sign = |n| {
            let path = format!("/reports/2026/{part}/{n}.pdf");
            let (client, bearer) = (&client, &bearer);
            async move { sign(client, bearer, dev, &path, is_counted.then_some(USES)).await }
        };
        write(file, count, sign).await?;
    }
    Ok(())
}

/// The target of one signed URL of that path.
pub(crate) async fn url(dev: &Dev, path: &str) -> anyhow::Result<String> {
    let client = client()?;
    let bearer = token(&client, dev).await?;
    sign(&client, &bearer, dev, path, None).await
}

async fn sign(client: &Client, bearer: &str, dev: &Dev, path: &str, uses: Option<u32>) -> anyhow::Result<String> {
    let mut request = json!({"route": "shop/reports", "path": path, "expires_in": LIFETIME_SECONDS});
    if let Some(uses) = uses {
        request["constraints"] = json!({ "uses": uses });
    }
    let request = client.post(&dev.signed_urls_endpoint).bearer_auth(bearer).json(&request);
    let answer = answer(request, StatusCode::CREATED).await?;
    let url = answer["url"].as_str().context("the answer has no url")?;
    let start = url.find("/reports/").context("the URL is not below /reports/")?;
    Ok(url[start..].to_owned())
}

async fn token(client: &Client, dev: &Dev) -> anyhow::Result<String> {
    let request = client.post(&dev.token_endpoint).header(header::AUTHORIZATION, &dev.authorization);
    let answer = answer(request.form(&[("grant_type", "client_credentials")]), StatusCode::OK).await?;
    Ok(answer["access_token"].as_str().context("the answer has no access_token")?.to_owned())
}

async fn answer(request: RequestBuilder, expected: StatusCode) -> anyhow::Result<Value> {
    let response = request.send().await?;
    let status = response.status();
    let body: Value = response.json().await?;
    ensure!(status == expected, "{status}: {body}");
    Ok(body)
}

async fn write<F>(file: &str, count: usize, line: impl FnMut(usize) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<String>>,
{
    let mut file = std::io::BufWriter::new(File::create(file).with_context(|| file.to_owned())?);
    let mut lines = stream::iter(0..count).map(line).buffer_unordered(AT_ONCE);
    while let Some(line) = lines.try_next().await? {
        writeln!(file, "{line}")?;
    }
    Ok(file.flush()?)
}

#[allow(clippy::disallowed_methods)] // asks only the product under test, on loopback
fn client() -> anyhow::Result<Client> {
    Ok(Client::builder().no_proxy().build()?)
}
