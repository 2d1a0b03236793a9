//! One request on its way to the API server and back.

use std::sync::Arc;

use anyhow::Context;
use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use futures::{StreamExt, TryStreamExt};
use http::{Method, StatusCode, header, request::Parts};
use serde_json::{Value, json};

use super::control::{Answered, Control};

/// The largest request.
const LIMIT: usize = 8 * 1024 * 1024;
/// What belongs to a connection, or is made anew.
const HOP: [header::HeaderName; 4] =
    [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION];

pub(super) struct Shared {
    pub(super) client: kube::Client,
    pub(super) control: Arc<Control>,
}

/// Answers a request. It goes on even if who asked is gone: what left a process cannot be called back.
pub(super) async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    match tokio::spawn(async move { answer(&shared, request).await }).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => refused(StatusCode::SERVICE_UNAVAILABLE, &format!("{error:#}")),
        Err(_) => refused(StatusCode::INTERNAL_SERVER_ERROR, "the proxy failed"),
    }
}

async fn answer(shared: &Shared, request: Request) -> anyhow::Result<Response> {
    let control = &shared.control;
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LIMIT).await?;
    let what = format!("{} {}", parts.method, parts.uri.path());
    let is_lease = parts.uri.path().contains("/leases");
    if let Some(lease) = is_lease.then(|| control.forged(&parts.method, &body)).flatten() {
        return Ok(([(header::CONTENT_TYPE, "application/json")], lease.to_string()).into_response());
    }
    if control.trap.is_dead() || control.is_cut() {
        return Ok(refused(StatusCode::SERVICE_UNAVAILABLE, "the API server is away"));
    }
    if is_lease {
        return lease(shared, &parts, &body).await;
    }
    let writes = parts.method != Method::GET && !what.ends_with("/selfsubjectreviews");
    if !writes {
        let watches = parts.uri.query().unwrap_or_default().contains("watch=");
        if watches && control.take_gone() {
            return Ok(refused(StatusCode::GONE, "too old resource version: the proxy expired it"));
        }
        return Ok(streamed(control, send(shared, &parts, &body).await?, watches));
    }
    let was_held = control.wait_if_held(&what).await;
    let Ok(number) = control.trap.before(what.clone()).await else {
        return Ok(refused(StatusCode::SERVICE_UNAVAILABLE, "the operator is dead"));
    };
    let response = send(shared, &parts, &body).await?;
    let (head, body) = response.into_parts();
    let body = body.collect_bytes().await?;
    control.note(Answered { what, status: head.status, was_held });
    if control.trap.after(number).is_err() {
        return Ok(refused(StatusCode::SERVICE_UNAVAILABLE, "the operator is dead"));
    }
    Ok(clean(Response::from_parts(head, Body::from(body))))
}

async fn lease(shared: &Shared, parts: &Parts, body: &[u8]) -> anyhow::Result<Response> {
    let (head, body) = send(shared, parts, body).await?.into_parts();
    let body = body.collect_bytes().await?;
    if head.status.is_success()
        && let Ok(lease) = serde_json::from_slice::<Value>(&body)
    {
        shared.control.note_lease(lease);
    }
    Ok(clean(Response::from_parts(head, Body::from(body))))
}

async fn send(shared: &Shared, parts: &Parts, body: &[u8]) -> anyhow::Result<http::Response<kube::client::Body>> {
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut request = http::Request::builder().method(parts.method.clone()).uri(target);
    for (name, value) in parts.headers.iter().filter(|(name, _)| !HOP.contains(name)) {
        request = request.header(name, value);
    }
    let request = request.body(kube::client::Body::from(body.to_vec()))?;
    shared.client.send(request).await.context("the API server does not answer")
}

/// A read, passed on as it comes; a watch ends with the next cut.
fn streamed(control: &Arc<Control>, response: http::Response<kube::client::Body>, watches: bool) -> Response {
    let (head, body) = response.into_parts();
    if watches && head.status == StatusCode::GONE {
        control.note_gone();
    }
    let (mut cuts, seen) = (control.cuts(), Arc::clone(control));
    let chunks = Body::new(body).into_data_stream().inspect_ok(move |chunk| {
        if watches && contains(chunk, br#""type":"ERROR""#) && contains(chunk, br#""code":410"#) {
            seen.note_gone();
        }
    });
    let cut = async move { cuts.changed().await };
    let body = if watches { Body::from_stream(chunks.take_until(Box::pin(cut))) } else { Body::from_stream(chunks) };
    clean(Response::from_parts(head, body))
}

fn contains(chunk: &[u8], part: &[u8]) -> bool {
    chunk.windows(part.len()).any(|window| window == part)
}

fn clean(mut response: Response) -> Response {
    for name in &HOP {
        response.headers_mut().remove(name);
    }
    response
}

fn refused(status: StatusCode, message: &str) -> Response {
    let reason = if status == StatusCode::GONE { "Expired" } else { "ServiceUnavailable" };
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": status.as_u16(),
    });
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
