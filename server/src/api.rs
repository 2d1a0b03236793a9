//! What our own JSON API shares: strict bodies and the problems that any endpoint may answer (RFC 9457).

use std::{borrow::Cow, time::Duration};

use authly_runtime::problem::Problem;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::oauth::error::RETRY_AFTER;

/// The largest body accepted of [`StrictJson`].
const MAX_BODY: usize = 16 * 1024;

/// How long a request's body may take in all.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadBody {
    /// Longer than the limit.
    TooLarge,
    /// Cut off, malformed or too slow.
    Broken,
}

/// Reads a body within its limits of size and time.
pub(crate) async fn body(request: Request, limit: usize) -> Result<Bytes, BadBody> {
    let read = Limited::new(request.into_body(), limit).collect();
    match tokio::time::timeout(BODY_TIME, read).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BadBody::TooLarge),
        _ => Err(BadBody::Broken),
    }
}

/// A JSON body of exactly the shape of `T`.
#[derive(Debug)]
pub(crate) struct StrictJson<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for StrictJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        json(request, MAX_BODY).await.map(Self)
    }
}

/// Reads a JSON body of exactly the shape of `T`.
pub(crate) async fn json<T: DeserializeOwned>(request: Request, limit: usize) -> Result<T, Problem> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    if !content_type.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("application/json") {
        let detail = "send the body as Content-Type: application/json";
        return Err(problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
    }
    let body = body(request, limit).await.map_err(|refused| match refused {
        BadBody::TooLarge => {
            problem(StatusCode::PAYLOAD_TOO_LARGE, "too_large", format!("the body must be at most {limit} bytes"))
        }
        BadBody::Broken => invalid("the body ended before its announced end, or took longer than 10 s"),
    })?;
    serde_json::from_slice(&body).map_err(|error| invalid(error.to_string()))
}

/// A problem whose title is the status's own name.
pub(crate) fn problem(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Problem {
    Problem::new(status, code, status.canonical_reason().unwrap_or("Error")).detail(detail)
}

/// 400: the request is not of the documented shape.
pub(crate) fn invalid(detail: impl Into<String>) -> Problem {
    problem(StatusCode::BAD_REQUEST, "invalid_request", detail.into())
}

/// 503: nothing was done; try again.
pub(crate) fn unavailable() -> Problem {
    let detail = "the service cannot record the request now: try again after the time in Retry-After";
    problem(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", detail).header(header::RETRY_AFTER, RETRY_AFTER)
}

/// 500: the details are in the log, under the request's id.
pub(crate) fn internal() -> Problem {
    let detail = "an internal error was logged with this request's id";
    problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
}

/// The most policies that an answer or an audit record names.
const MAX_NAMED: usize = 32;

/// The first of the deciding policies: a hundred matching ones must not make an answer or a record too large.
pub(crate) fn named(policies: &[String]) -> &[String] {
    policies.get(..MAX_NAMED).unwrap_or(policies)
}

/// 403: a policy decided against it, or none permits it.
pub(crate) fn policy_denied(action: &str, policies: &[String]) -> Problem {
    let policies = named(policies);
    let detail = if policies.is_empty() {
        format!("no policy permits {action}: add a permit to an AccessPolicy of the tenant")
    } else {
        format!("{action} was denied by: {}", policies.join(", "))
    };
    problem(StatusCode::FORBIDDEN, "policy_denied", detail).with("policies", serde_json::json!(policies))
}
