//! Every refusal, once: its reason, its status at the proxy, and what to do (signed-url.md, "Answers of the proxy").
//! Forward-auth answers only 403 or 503, because nginx turns anything else into 500.

use std::borrow::Cow;

use authly_runtime::problem::Problem;
use authly_signed_url::Refusal;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};

/// The header that carries the reason.
const REASON: HeaderName = HeaderName::from_static("authly-reason");

/// Why a URL is not redeemed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The URL itself: form, signature, time, method, network.
    Url(Refusal),
    /// The request around the URL is not unambiguous.
    NotCanonical(&'static str),
    /// Host or path belong to no route.
    NoRoute,
    /// The tenant is suspended or deleted.
    TenantSuspended,
    /// The issue time is revoked for this id, subject, client, route or key.
    Revoked,
    /// No use is left.
    UsedUp,
    /// Cedar denied it, or no policy permits it.
    PolicyDenied,
    /// A constraint that this gateway does not enforce.
    ConstraintUnsupported,
    /// The configuration or the revocations are too old, or the use could not be recorded.
    Unavailable,
    /// The route has no backend: it is enforced by forward-auth only.
    NoBackend,
    /// The backend could not be reached.
    BackendUnreachable,
    /// The backend did not answer in time.
    BackendTimeout,
}

impl Refused {
    /// The stable reason.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Url(refusal) => refusal.reason(),
            Self::NotCanonical(_) => "not_canonical",
            Self::NoRoute => "no_route",
            Self::TenantSuspended => "tenant_suspended",
            Self::Revoked => "revoked",
            Self::UsedUp => "used_up",
            Self::PolicyDenied => "policy_denied",
            Self::ConstraintUnsupported => "constraint_unsupported",
            Self::Unavailable => "temporarily_unavailable",
            Self::NoBackend => "no_backend",
            Self::BackendUnreachable => "backend_unreachable",
            Self::BackendTimeout => "backend_timeout",
        }
    }

    /// The status at the proxy.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Url(refusal) if refusal.reason() == "not_canonical" => StatusCode::BAD_REQUEST,
            Self::NotCanonical(_) => StatusCode::BAD_REQUEST,
            Self::Url(_)
            | Self::TenantSuspended
            | Self::PolicyDenied
            | Self::ConstraintUnsupported
            | Self::NoBackend => StatusCode::FORBIDDEN,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::Revoked | Self::UsedUp => StatusCode::GONE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::BackendUnreachable => StatusCode::BAD_GATEWAY,
            Self::BackendTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    fn detail(&self) -> Cow<'static, str> {
        match self {
            Self::Url(refusal) => refusal.detail().into(),
            Self::NotCanonical(detail) => (*detail).into(),
            Self::NoRoute => "no SignedUrlRoute has this host and path".into(),
            Self::TenantSuspended => "the tenant is suspended: ask the administrator of the platform".into(),
            Self::Revoked => "the URL was revoked: ask its issuer for a new one".into(),
            Self::UsedUp => "the URL has no use left: ask its issuer for a new one".into(),
            Self::PolicyDenied => "no policy of the tenant permits the redemption".into(),
            Self::ConstraintUnsupported => "the URL has a constraint that this gateway does not enforce".into(),
            Self::Unavailable => "the gateway cannot decide now: try again after the time in Retry-After".into(),
            Self::NoBackend => "the route has no backend: ask through forward-auth, or set spec.backend".into(),
            Self::BackendUnreachable => "the backend could not be reached".into(),
            Self::BackendTimeout => "the backend did not answer in time".into(),
        }
    }

    /// The answer of the proxy.
    pub(crate) fn into_proxy_answer(self) -> Response {
        let mut response = problem(self.status(), self.reason(), self.detail());
        self.finish(&mut response);
        response
    }

    /// The answer of forward-auth.
    pub(crate) fn into_forward_auth_answer(self) -> Response {
        let status = match self.status() {
            StatusCode::SERVICE_UNAVAILABLE => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::FORBIDDEN,
        };
        let mut response = problem(status, self.reason(), self.detail());
        self.finish(&mut response);
        response
    }

    fn finish(&self, response: &mut Response) {
        let headers = response.headers_mut();
        headers.insert(REASON, HeaderValue::from_static(self.reason()));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if *self == Self::Unavailable {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
    }
}

fn problem(status: StatusCode, reason: &'static str, detail: Cow<'static, str>) -> Response {
    Problem::new(status, reason, status.canonical_reason().unwrap_or("Refused")).detail(detail).into_response()
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Url(refusal)
    }
}
