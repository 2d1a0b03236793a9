//! The reverse proxy: redeem, clean, send on, stream back. Every wait has a limit.

use std::time::Duration;

use authly_runtime::ClientAddress;

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Uri, Version, header, request::Parts, uri::PathAndQuery};
use http_body::Body as _;
use hyper_util::client::legacy::Error as ClientError;
use tokio::time::Instant;
use tower_http::timeout::TimeoutBody;

use crate::{
    answer::Refused,
    app::Gateway,
    backend::Target,
    headers,
    presented::Presented,
    progress::{Progress, Watched},
    redeem::{self, Redeemed},
};

/// How long a backend may take until its response headers.
const RESPONSE_HEADERS: Duration = Duration::from_secs(60);
/// How long either side may pause within a body.
const BODY_PAUSE: Duration = Duration::from_secs(60);

/// Judges the request and, if it may go on, answers with what the backend says.
pub(crate) async fn answer(gateway: &Gateway, client: ClientAddress, request: Request) -> Response {
    match forward(gateway, client, request).await {
        Ok(response) => {
            gateway.metrics.redeemed();
            response
        }
        Err(refused) => {
            gateway.metrics.refused(&refused);
            refused.into_proxy_answer()
        }
    }
}

async fn forward(gateway: &Gateway, client: ClientAddress, request: Request) -> Result<Response, Refused> {
    let (mut parts, body) = request.into_parts();
    let presented = Presented::to_proxy(&parts, client)?;
    let redeemed = redeem::redeem(gateway, &presented, true).await?;
    let forwarding = Forwarding::of(&presented);
    let backend = redeemed.route.backend.as_ref().ok_or(Refused::NoBackend)?;
    let namespace = &redeemed.route.object.namespace;
    let target = gateway.services.resolve(namespace, backend).ok_or(Refused::BackendUnreachable)?;

    headers::clean_request(&mut parts.headers);
    parts.version = Version::HTTP_11;
    forwarding.set(&mut parts.headers);
    parts.extensions.clear();
    let mut response = match target {
        Target::Url(base) => {
            parts.uri = at(&base, &redeemed)?;
            send(gateway, parts, body).await?
        }
        Target::Folder(files) => {
            parts.uri = redeemed.target.parse().map_err(|_| Refused::NotCanonical("the target is no URI"))?;
            files.serve(Request::from_parts(parts, body)).await
        }
    };
    headers::clean_response(response.headers_mut(), redeemed.private);
    Ok(response.into_response())
}

/// Sends the request; the time until the response's headers runs from the last progress of the request's body, so
/// that a long upload is not cut while it moves.
async fn send(gateway: &Gateway, parts: Parts, body: Body) -> Result<Response, Refused> {
    let progress = Progress::default();
    let body = if body.is_end_stream() {
        Body::empty() // a wrapped body has no known end: DELETE would go on as chunked
    } else {
        Body::new(Watched { body: Box::pin(TimeoutBody::new(BODY_PAUSE, body)), progress: progress.clone() })
    };
    let mut sent = std::pin::pin!(gateway.services.client().request(Request::from_parts(parts, body)));
    loop {
        let deadline = progress.last() + RESPONSE_HEADERS;
        match tokio::time::timeout_at(deadline, &mut sent).await {
            Ok(Ok(response)) => {
                let (parts, body) = response.into_parts();
                return Ok(Response::from_parts(parts, Body::new(TimeoutBody::new(BODY_PAUSE, body))));
            }
            Ok(Err(error)) => return Err(unreachable(&error)),
            Err(_) if progress.last() + RESPONSE_HEADERS > Instant::now() => {}
            Err(_) => return Err(Refused::BackendTimeout),
        }
    }
}

/// The client's host stays; who asked, and for which host, is told by the gateway alone.
struct Forwarding {
    host: Option<HeaderValue>,
    address: Option<HeaderValue>,
}

impl Forwarding {
    fn of(presented: &Presented<'_>) -> Self {
        let address = presented.address.and_then(|address| HeaderValue::try_from(address.to_string()).ok());
        Self { host: HeaderValue::from_str(presented.host).ok(), address }
    }

    fn set(self, headers: &mut http::HeaderMap) {
        if let Some(host) = self.host {
            headers.insert(header::HOST, host.clone());
            headers.insert("x-forwarded-host", host);
        }
        if let Some(address) = self.address {
            headers.insert("x-forwarded-for", address);
        }
    }
}

fn at(base: &Uri, redeemed: &Redeemed) -> Result<Uri, Refused> {
    let bad = |_| Refused::NotCanonical("the target is no URI");
    let target: PathAndQuery = redeemed.target.parse().map_err(bad)?;
    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(target);
    Uri::from_parts(parts).map_err(|_| Refused::NotCanonical("the target is no URI"))
}

fn unreachable(error: &ClientError) -> Refused {
    tracing::debug!(%error, connect = error.is_connect(), "the backend did not answer");
    Refused::BackendUnreachable
}
